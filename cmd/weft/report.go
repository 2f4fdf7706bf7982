package main

import (
	"bytes"
	_ "embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"io"

	"github.com/seed-512d3d71/weft/task/match"
	"github.com/seed-512d3d71/weft/vision"
)

//go:embed report.html
var reportHTML string

var reportPage = template.Must(template.New("report").Parse(reportHTML))

// webPictures are the formats that browsers show, by the names that
// vision.DecodeConfig gives them.
var webPictures = map[string]bool{"png": true, "jpeg": true, "gif": true, "webp": true, "bmp": true}

// writePage writes the exhibition as one HTML file that refers to no other.
func (x *exhibition) writePage(w io.Writer) error {
	for _, e := range x.Exhibits { // before anything is written
		if _, err := e.URI(); err != nil {
			return fmt.Errorf("%s: %w", e.Name, err)
		}
	}
	return reportPage.Execute(w, x)
}

// Is reports whether the exhibit is of a kind.
func (e *exhibit) Is(kind match.Kind) bool { return e.Kind() == kind }

// URI returns the picture or the sound as a data: URI: the file itself or, of a
// picture that browsers may not know, a PNG.
func (e *exhibit) URI() (template.URL, error) {
	kind, data := "", e.file
	switch {
	case e.Is(match.Sound) && bytes.HasPrefix(data, []byte("fLaC")):
		kind = "audio/flac"
	case e.Is(match.Sound):
		kind = "audio/wav"
	case e.Is(match.Image):
		kind = "image/png"
		c, err := vision.DecodeConfig(bytes.NewReader(e.file), vision.Limits{})
		if err != nil {
			return "", err
		}
		if webPictures[c.Format] {
			kind = "image/" + c.Format
			break
		}
		if data, err = encodePNG(e.Image); err != nil {
			return "", err
		}
	default:
		return "", nil
	}
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data)), nil
}

func encodePNG(im *vision.Image) ([]byte, error) {
	out := image.NewNRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.W * im.H {
		copy(out.Pix[4*i:], im.Pix[3*i:3*i+3])
		out.Pix[4*i+3] = 0xff
	}
	var b bytes.Buffer
	err := png.Encode(&b, out)
	return b.Bytes(), err
}

// Shade colours a cell: the deeper, the nearer.
func (s similarity) Shade(v float32) template.CSS {
	alpha := min(max(float64(v), 0), 1)
	c := color.NRGBA{R: 0x1b, G: 0x7f, B: 0x5c}
	return template.CSS(fmt.Sprintf("background:rgba(%d,%d,%d,%.2f)", c.R, c.G, c.B, alpha*alpha))
}
