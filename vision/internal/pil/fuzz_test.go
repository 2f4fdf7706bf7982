package pil

import (
	"bytes"
	"compress/zlib"
	"testing"
)

func deflatedZeros(n int) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(make([]byte, n))
	z.Close()
	return b.Bytes()
}

// FuzzDecode gives every decoder arbitrary bytes, without the guard that turns
// a panic into an error.
func FuzzDecode(f *testing.F) {
	for _, p := range pictures(f) {
		f.Add(p.File)
	}
	lim := Limits{Pixels: 1 << 16, Frames: 20, Scans: 20}
	f.Fuzz(func(t *testing.T, b []byte) {
		format, err := sniff(b)
		if err != nil {
			return
		}
		w, h, configErr := format.config(b, lim)
		im, o, err := format.decode(b, lim)
		if err != nil {
			return
		}
		if configErr != nil || w*h != im.W*im.H || w*h > lim.Pixels {
			t.Fatalf("decoded %d×%d pixels, config says %d×%d, %v", im.W, im.H, w, h, configErr)
		}
		if im = o.apply(im); len(im.Pix) != 3*im.W*im.H {
			t.Fatalf("%d bytes for %d×%d pixels", len(im.Pix), im.W, im.H)
		}
	})
}

// FuzzOrientation reads arbitrary EXIF blocks, PNG raw profiles and XMP.
func FuzzOrientation(f *testing.F) {
	f.Add([]byte("Exif\x00\x00II*\x00\x08\x00\x00\x00\x01\x00\x12\x01\x03\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00\x08\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("MM\x00+\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00\x10"))
	f.Add([]byte("\nexif\n      12\n4578696600004d4d002a\n"))
	f.Add([]byte(`<rdf:Description tiff:Orientation="3"/>`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, m := range []metadata{{exif: b}, {rawProfile: string(b), hasProfile: true}, {xmp: b}} {
			if o, _ := m.orientation(); o < 0 || o > 9 {
				t.Fatalf("orientation %d", o)
			}
		}
	})
}
