// Package pil decodes picture files into 8-bit RGB with the pixels that Python's
// Pillow gives for
//
//	ImageOps.exif_transpose(Image.open(f)).convert("RGB")
//
// which is how Hugging Face Transformers opens a picture (image_utils.load_image).
// Alpha is dropped, not composited; palettes are looked up; 16-bit samples of
// colour pictures keep their high byte and 16-bit grey is clipped at 255; of
// several frames the first is taken.
//
// Every decoder takes the whole file as a byte slice, checks the claimed size
// against [Limits] before it allocates, and returns an error, never a panic.
package pil

import (
	"errors"
	"fmt"
	"math"
)

// Errors that callers tell apart with errors.Is. Everything else means a
// malformed or truncated file.
var (
	// ErrFormat: the bytes are no picture format known here.
	ErrFormat = errors.New("not a known picture format")
	// ErrUnsupported: a picture (or a variant of one) that Pillow may read
	// and this package does not. The message names it.
	ErrUnsupported = errors.New("unsupported")
	// ErrTooLarge: the file claims more than Limits allows.
	ErrTooLarge = errors.New("picture too large")
	// ErrTruncated: the file ends before its pixels do.
	ErrTruncated = errors.New("picture file is truncated")
)

// Limits bounds what a file may claim. Every field must be set.
type Limits struct {
	Pixels int // width × height, of the picture and of any frame or canvas
	Frames int // frames or sub-images that are stepped over to find the first
	Scans  int // scans of a progressive JPEG
}

// Image is an 8-bit RGB picture, row-major, three bytes a pixel, no padding.
type Image struct {
	W, H int
	Pix  []uint8
	// Transparent is the colour that stands for transparent in the picture,
	// nil when there is none: what Pillow keeps in info["transparency"] after
	// convert("RGB"). An alpha channel and a palette of several alphas leave none.
	Transparent *[3]uint8
}

// Config is what a file's header says, before any pixel is decoded.
type Config struct {
	Format string // "png", "jpeg", "gif", "bmp", "webp", "tiff"
	W, H   int    // as stored: EXIF orientation not applied
}

// A format is recognised by its first bytes.
type format struct {
	name   string
	accept func(b []byte) bool
	config func(b []byte, lim Limits) (w, h int, err error)
	decode func(b []byte, lim Limits) (*Image, orientation, error)
}

var formats = []format{
	{"png", isPNG, configPNG, decodePNG},
	{"jpeg", isJPEG, configJPEG, decodeJPEG},
	{"gif", isGIF, configGIF, decodeGIF},
	{"bmp", isBMP, configBMP, decodeBMP},
	{"webp", isWebP, configWebP, decodeWebP},
	{"tiff", isTIFF, configTIFF, decodeTIFF},
}

// sniff finds the format of b, or says which unsupported one it is.
func sniff(b []byte) (format, error) {
	for _, f := range formats {
		if f.accept(b) {
			return f, nil
		}
	}
	if name := foreign(b); name != "" {
		return format{}, fmt.Errorf("%w picture format: %s", ErrUnsupported, name)
	}
	if len(b) == 0 {
		return format{}, fmt.Errorf("%w: empty file", ErrFormat)
	}
	return format{}, ErrFormat
}

// DecodeConfig reads the size of the picture without decoding it.
func DecodeConfig(b []byte, lim Limits) (cfg Config, err error) {
	f, err := sniff(b)
	if err != nil {
		return Config{}, err
	}
	defer guard(f.name, &err)
	w, h, err := f.config(b, lim)
	if err != nil {
		return Config{}, wrap(f.name, err)
	}
	return Config{Format: f.name, W: w, H: h}, nil
}

// Decode reads the first frame of the picture in b, upright, as RGB.
func Decode(b []byte, lim Limits) (im *Image, err error) {
	f, err := sniff(b)
	if err != nil {
		return nil, err
	}
	defer guard(f.name, &err)
	im, o, err := f.decode(b, lim)
	if err != nil {
		return nil, wrap(f.name, err)
	}
	return o.apply(im), nil
}

// guard is the last line of defence at the decoder's edge: a decoder that
// runs into a bug on hostile bytes reports the file as malformed.
func guard(name string, err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: malformed file (%v)", name, r)
	}
}

func wrap(name string, err error) error { return fmt.Errorf("%s: %w", name, err) }

// checkSize refuses empty pictures and those over the pixel limit, before
// anything of their size is allocated.
func checkSize(w, h int, lim Limits) error {
	if w <= 0 || h <= 0 {
		return fmt.Errorf("size %d×%d is empty", w, h)
	}
	if w > lim.Pixels/h || w > math.MaxInt32 || h > math.MaxInt32 {
		return fmt.Errorf("%w: %d×%d pixels, limit %d", ErrTooLarge, w, h, lim.Pixels)
	}
	return nil
}

// newImage allocates a black picture; the size must have passed checkSize.
func newImage(w, h int) *Image { return &Image{W: w, H: h, Pix: make([]uint8, w*h*3)} }

// foreign names a format that Pillow may read and this package does not.
func foreign(b []byte) string {
	has := func(off int, s string) bool { return len(b) >= off+len(s) && string(b[off:off+len(s)]) == s }
	switch {
	case has(4, "ftypavif"), has(4, "ftypavis"):
		return "AVIF"
	case has(4, "ftypheic"), has(4, "ftypheix"), has(4, "ftypmif1"), has(4, "ftypmsf1"):
		return "HEIF"
	case has(0, "\x00\x00\x00\x0cjP  \r\n\x87\n"), has(0, "\xff\x4f\xff\x51"):
		return "JPEG 2000"
	case has(0, "\xff\x0a"), has(0, "\x00\x00\x00\x0cJXL \r\n\x87\n"):
		return "JPEG XL"
	case has(0, "P1"), has(0, "P2"), has(0, "P3"), has(0, "P4"), has(0, "P5"), has(0, "P6"),
		has(0, "P7"), has(0, "Pf"), has(0, "PF"), has(0, "Py"):
		return "Netpbm"
	case has(0, "8BPS"):
		return "Photoshop"
	case has(0, "qoif"):
		return "QOI"
	case has(0, "DDS "):
		return "DDS"
	case has(0, "icns"):
		return "ICNS"
	case has(0, "\x00\x00\x01\x00"):
		return "ICO"
	case has(0, "\x00\x00\x02\x00"):
		return "CUR"
	case has(0, "%!PS"), has(0, "\xc5\xd0\xd3\xc6"):
		return "PostScript"
	case has(0, "%PDF"):
		return "PDF"
	case has(0, "\x01\xda"):
		return "SGI"
	case has(0, "\x59\xa6\x6a\x95"):
		return "Sun raster"
	case has(0, "SIMPLE"):
		return "FITS"
	case has(0, "\x0a\x00\x01"), has(0, "\x0a\x02\x01"), has(0, "\x0a\x03\x01"), has(0, "\x0a\x05\x01"):
		return "PCX"
	case has(0, "/* XPM */"):
		return "XPM"
	case has(0, "#define"):
		return "XBM"
	case has(0, "\x8aMNG"):
		return "MNG"
	}
	return ""
}
