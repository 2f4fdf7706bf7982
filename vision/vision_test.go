package vision

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// encoded is a picture as PNG or JPEG.
func encoded(t testing.TB, im *Image, format string) []byte {
	m := image.NewRGBA(image.Rect(0, 0, im.W, im.H))
	for i := range im.W * im.H {
		m.Set(i%im.W, i/im.W, color.RGBA{im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2], 255})
	}
	var b bytes.Buffer
	err := png.Encode(&b, m)
	if format == "jpeg" {
		b.Reset()
		err = jpeg.Encode(&b, m, &jpeg.Options{Quality: 90})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecode(t *testing.T) {
	want := noise(31, 17)
	b := encoded(t, want, "png")
	for name, r := range map[string]io.Reader{"at once": bytes.NewReader(b), "byte by byte": iotest.OneByteReader(bytes.NewReader(b))} {
		im, err := Decode(r, Limits{})
		if err != nil || !bytes.Equal(im.Pix, want.Pix) {
			t.Errorf("%s: other pixels, %v", name, err)
		}
	}
	cfg, err := DecodeConfig(bytes.NewReader(b), Limits{})
	if err != nil || cfg != (Config{"png", 31, 17}) {
		t.Errorf("DecodeConfig: %+v, %v", cfg, err)
	}
	for _, c := range []struct {
		name string
		b    []byte
		lim  Limits
		want error
	}{
		{"too many bytes", b, Limits{Bytes: int64(len(b) - 1)}, ErrTooLarge},
		{"too many pixels", b, Limits{Pixels: 31*17 - 1}, ErrTooLarge},
		{"cut off", b[:len(b)-40], Limits{}, ErrTruncated},
		{"no picture", []byte("hello"), Limits{}, ErrFormat},
		{"empty", nil, Limits{}, ErrFormat},
		{"other format", []byte("8BPS\x00\x01"), Limits{}, ErrUnsupported},
	} {
		if _, err := Decode(bytes.NewReader(c.b), c.lim); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if _, err := DecodeBytes(c.b, c.lim); !errors.Is(err, c.want) {
			t.Errorf("%s: DecodeBytes: %v, want %v", c.name, err, c.want)
		}
	}
	broken := errors.New("broken pipe")
	if _, err := Decode(iotest.ErrReader(broken), Limits{}); !errors.Is(err, broken) {
		t.Errorf("failing reader: %v", err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.png")
	if err := os.WriteFile(path, encoded(t, noise(5, 4), "png"), 0o600); err != nil {
		t.Fatal(err)
	}
	if im, err := Open(path, Limits{}); err != nil || im.W != 5 || im.H != 4 {
		t.Errorf("%v, %v", im, err)
	}
	if _, err := Open(filepath.Join(dir, "none"), Limits{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("absent file: %v", err)
	}
	if _, err := Open(dir, Limits{}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("folder: %v", err)
	}
}

func TestResizeErrors(t *testing.T) {
	im := noise(3, 2)
	for _, c := range []struct {
		name string
		im   *Image
		w, h int
		f    Filter
		want error
	}{
		{"no image", nil, 1, 1, Bilinear, nil},
		{"empty image", &Image{}, 1, 1, Bilinear, nil},
		{"too few pixels", &Image{W: math.MaxInt, H: math.MaxInt}, 1, 1, Bilinear, nil},
		{"negative image", &Image{W: -1, H: -1, Pix: make([]uint8, 3)}, 1, 1, Bilinear, nil},
		{"zero width", im, 0, 1, Bilinear, nil},
		{"negative height", im, 1, -1, Bilinear, nil},
		{"huge", im, math.MaxInt, math.MaxInt, Bilinear, ErrTooLarge},
		{"unknown filter", im, 1, 1, 8, ErrUnsupported},
		{"negative filter", im, 1, 1, -1, ErrUnsupported},
	} {
		if _, err := Resize(c.im, c.w, c.h, c.f); err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestFilterString(t *testing.T) {
	if s := Bicubic.String() + Filter(9).String(); s != "bicubicfilter(9)" {
		t.Error(s)
	}
}

// TestProcessorErrors has configurations that are refused, and what the error
// must name.
func TestProcessorErrors(t *testing.T) {
	for _, c := range []struct{ config, model, names string }{
		{``, ``, "EOF"},
		{`[]`, ``, "preprocessor config"},
		{`null`, ``, "not an object"},
		{`{} {}`, ``, "text after the object"},
		{`{}`, ``, "image_processor_type"},
		{`{}`, `{}`, `model type ""`},
		{`{}`, `{"model_type":"sam2"}`, `"sam2"`},
		{`{}`, `{"model_type":7}`, "model_type: 7"},
		{`{"image_processor_type":"NoSuchImageProcessor"}`, ``, `"NoSuchImageProcessor"`},
		{`{"image_processor_type":"ViTImageProcessor","size":0}`, ``, "size: 0"},
		{`{"image_processor_type":"ViTImageProcessor","size":-5}`, ``, "size: -5"},
		{`{"image_processor_type":"ViTImageProcessor","size":1e300}`, ``, "size: 1e300"},
		{`{"image_processor_type":"ViTImageProcessor","size":{"height":2.5,"width":2}}`, ``, "height: 2.5"},
		{`{"image_processor_type":"ViTImageProcessor","size":{"edge":2}}`, ``, `keys ["edge"]`},
		{`{"image_processor_type":"ViTImageProcessor","size":"large"}`, ``, `size: "large"`},
		{`{"image_processor_type":"ViTImageProcessor","resample":9}`, ``, "resample"},
		{`{"image_processor_type":"ViTImageProcessor","do_resize":"yes"}`, ``, "do_resize"},
		{`{"image_processor_type":"ViTImageProcessor","image_mean":[1,2]}`, ``, "image_mean: 2 values"},
		{`{"image_processor_type":"ViTImageProcessor","image_std":[1,0,1]}`, ``, "image_std[1] is zero"},
		{`{"image_processor_type":"ViTImageProcessor","image_std":[1e-60,1,1]}`, ``, "image_std[0] is zero"},
		{`{"image_processor_type":"ViTImageProcessor","rescale_factor":"x"}`, ``, "rescale_factor"},
		{`{"image_processor_type":"CLIPImageProcessor","crop_size":{"shortest_edge":3}}`, ``, "crop_size without height and width"},
		{`{"image_processor_type":"ConvNextImageProcessor","size":{"shortest_edge":224},"crop_pct":0}`, ``, "crop_pct"},
		{`{"image_processor_type":"ConvNextImageProcessor","size":{"height":2,"width":2}}`, ``, "shortest_edge"},
	} {
		var model []byte
		if c.model != "" {
			model = []byte(c.model)
		}
		_, err := ParseProcessor([]byte(c.config), model)
		if err == nil || !strings.Contains(err.Error(), c.names) {
			t.Errorf("%s %s: %v; want an error that names %s", c.config, c.model, err, c.names)
		}
	}
	_, err := ParseProcessor([]byte(`{"image_processor_type":"Sam2ImageProcessor"}`), nil)
	if !errors.Is(err, ErrUnsupported) {
		t.Errorf("unknown class: %v", err)
	}
}

// TestProcessHuge has sizes that fit a configuration and not a memory.
func TestProcessHuge(t *testing.T) {
	for _, config := range []string{
		`{"image_processor_type":"ViTImageProcessor","size":16777216}`,
		`{"image_processor_type":"CLIPImageProcessor","size":1,"crop_size":16777216}`,
		`{"image_processor_type":"CLIPImageProcessor","size":16777216,"do_center_crop":false}`,
		`{"image_processor_type":"ViTImageProcessor","do_pad":true,"pad_size":16777216}`,
	} {
		p, err := ParseProcessor([]byte(config), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Process(noise(3, 2)); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v, want %v", config, err, ErrTooLarge)
		}
	}
}

// TestProcessEmpty has pictures of which a configuration leaves nothing.
func TestProcessEmpty(t *testing.T) {
	for _, config := range []string{
		`{"image_processor_type":"PerceiverImageProcessor"}`,
		`{"image_processor_type":"GLPNImageProcessor"}`,
		`{"image_processor_type":"DPTImageProcessor","ensure_multiple_of":9000}`,
		`{"image_processor_type":"YolosImageProcessor","size":8}`,
		`{"image_processor_type":"ViltImageProcessor","size":{"shortest_edge":20}}`,
	} {
		p, err := ParseProcessor([]byte(config), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Process(noise(1, 40)); err == nil {
			t.Errorf("%s: no error", config)
		}
	}
}

// FuzzProcessor reads arbitrary configurations and, where they are small, runs
// them.
func FuzzProcessor(f *testing.F) {
	for i, c := range readGolden(f).Process {
		if i%3 == 0 {
			f.Add([]byte(c.Config), []byte(c.Model), uint8(c.Size[0]), uint8(c.Size[1]))
		}
	}
	f.Fuzz(func(t *testing.T, config, model []byte, w, h uint8) {
		p, err := ParseProcessor(config, model)
		if err != nil {
			return
		}
		for _, s := range []*size{p.opt.size, p.opt.cropSize, p.opt.padSize} {
			if s == nil {
				continue
			}
			for _, n := range s.fields() {
				if *n > 500 {
					return // correct, but slow
				}
			}
		}
		if v := p.opt.cropPct; v != nil && *v < 0.1 || w == 0 || h == 0 {
			return
		}
		v, shape, err := p.Process(noise(int(w), int(h)))
		if err == nil && len(v) != shape[0]*shape[1]*shape[2] {
			t.Fatalf("%d values of shape %v", len(v), shape)
		}
	})
}

// photo is smooth with some noise, so that it compresses as photographs do.
func photo(w, h int) *Image {
	im := noise(w, h)
	for i := range im.Pix {
		x, y := i/3%w, i/3/w
		im.Pix[i] = uint8(128 + 90*math.Sin(float64(x)/90)*math.Cos(float64(y)/70) + float64(im.Pix[i]>>4))
	}
	return im
}

// BenchmarkPhoto decodes a photograph of 12 megapixels and makes 224×224 of it.
func BenchmarkPhoto(b *testing.B) {
	im := photo(4000, 3000)
	for _, format := range []string{"jpeg", "png"} {
		file := encoded(b, im, format)
		b.Run("decode/"+format, func(b *testing.B) {
			b.SetBytes(int64(len(im.Pix)))
			for b.Loop() {
				if _, err := DecodeBytes(file, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, f := range []Filter{Bilinear, Bicubic, Lanczos} {
		b.Run("resize/"+f.String(), func(b *testing.B) {
			b.SetBytes(int64(len(im.Pix)))
			for b.Loop() {
				if _, err := Resize(im, 224, 224, f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	p, err := ParseProcessor([]byte(`{"image_processor_type":"CLIPImageProcessor"}`), nil)
	if err != nil {
		b.Fatal(err)
	}
	small := photo(256, 224)
	b.Run("process", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := p.Process(small); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A colour that the file declares transparent becomes white where the
// processor converts to RGB, and stays where it does not.
func TestConvertRGB(t *testing.T) {
	red, blue := color.RGBA{200, 0, 0, 255}, color.RGBA{0, 0, 200, 255}
	im := image.NewPaletted(image.Rect(0, 0, 2, 1), color.Palette{red, color.RGBA{}})
	im.Pix[0], im.Pix[1] = 0, 1
	im.Palette[1] = color.RGBA{blue.R, blue.G, blue.B, 0}
	var b bytes.Buffer
	if err := gif.Encode(&b, im, nil); err != nil {
		t.Fatal(err)
	}
	in, err := DecodeBytes(b.Bytes(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if in.Transparent == nil {
		t.Fatal("no transparent colour")
	}
	const raw = `"do_resize": false, "do_center_crop": false, "do_rescale": false, "do_normalize": false}`
	for config, want := range map[string]float32{
		`{"image_processor_type": "CLIPImageProcessor", ` + raw:                          255,
		`{"image_processor_type": "CLIPImageProcessor", "do_convert_rgb": false, ` + raw: float32(in.Transparent[0]),
		`{"image_processor_type": "ViTImageProcessor", ` + raw:                           float32(in.Transparent[0]),
		`{"image_processor_type": "ViTImageProcessor", "do_convert_rgb": true, ` + raw:   255,
	} {
		p, err := ParseProcessor([]byte(config), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, _, err := p.Process(in)
		if err != nil {
			t.Fatal(err)
		}
		if got[0] != 200 || got[1] != want {
			t.Errorf("%s: red %v, want [200 %v]", config, got[:2], want)
		}
	}
}
