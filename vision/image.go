package vision

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/seed-512d3d71/weft/vision/internal/pil"
)

// Errors that callers tell apart with errors.Is. Any other error of [Decode]
// means a malformed file.
var (
	// ErrUnsupported marks a picture format, a variant of one, an image
	// processor or an option of one that this package does not implement. The
	// message names it.
	ErrUnsupported = pil.ErrUnsupported
	// ErrTooLarge marks a file that claims more than [Limits] allows.
	ErrTooLarge = pil.ErrTooLarge
	// ErrTruncated marks a file that ends before its pixels do.
	ErrTruncated = pil.ErrTruncated
	// ErrFormat marks bytes that are no known picture format.
	ErrFormat = pil.ErrFormat
)

// Image is an 8-bit RGB picture.
type Image struct {
	W, H int     // pixels
	Pix  []uint8 // W·H·3 bytes, row-major, red first
	// Transparent is the one colour that a GIF or PNG file without alpha
	// channel declares transparent; nil: none. [Processor.Process] paints it
	// white where the configuration says do_convert_rgb, as Transformers does.
	Transparent *[3]uint8
}

// Limits bounds what [Decode] takes; a field that is 0 has its default.
type Limits struct {
	// Pixels is the greatest width × height, of the picture and of any canvas
	// or frame in it. Default 178,956,970, where Pillow refuses too.
	Pixels int
	// Bytes is the greatest size of the file. Default 1 GiB.
	Bytes int64
	// Frames is how many frames or directories may be stepped over to find
	// the first picture. Default 1000.
	Frames int
	// Scans is how many scans a progressive JPEG may have. Default 1000.
	Scans int
}

func (l Limits) orDefault() Limits {
	if l.Pixels == 0 {
		l.Pixels = 178_956_970
	}
	if l.Bytes == 0 {
		l.Bytes = 1 << 30
	}
	if l.Frames == 0 {
		l.Frames = 1000
	}
	if l.Scans == 0 {
		l.Scans = 1000
	}
	return l
}

func (l Limits) pil() pil.Limits {
	return pil.Limits{Pixels: l.Pixels, Frames: l.Frames, Scans: l.Scans}
}

// check refuses an image whose fields do not fit together.
func (im *Image) check() error {
	if im == nil {
		return errors.New("vision: no image")
	}
	if im.W <= 0 || im.H <= 0 || im.W > len(im.Pix)/3/im.H || im.W*im.H*3 != len(im.Pix) {
		return fmt.Errorf("vision: image of %d×%d pixels with %d bytes", im.W, im.H, len(im.Pix))
	}
	return nil
}

// Decode reads the first frame of a picture as RGB, upright. The format is told
// by its first bytes. Alpha is dropped, not composited.
func Decode(r io.Reader, lim Limits) (*Image, error) {
	b, err := readAll(r, lim.orDefault().Bytes)
	if err != nil {
		return nil, err
	}
	return DecodeBytes(b, lim)
}

// DecodeBytes is [Decode] for a file in memory.
func DecodeBytes(b []byte, lim Limits) (*Image, error) {
	lim = lim.orDefault()
	if int64(len(b)) > lim.Bytes {
		return nil, fmt.Errorf("vision: %w: %d bytes, limit %d", ErrTooLarge, len(b), lim.Bytes)
	}
	im, err := pil.Decode(b, lim.pil())
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	return &Image{W: im.W, H: im.H, Pix: im.Pix, Transparent: im.Transparent}, nil
}

// Open reads the picture file at path; see [Decode].
func Open(path string, lim Limits) (*Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	} else if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("vision: %s: not a regular file", path)
	}
	im, err := Decode(f, lim)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return im, nil
}

// Config is what a picture's header says.
type Config struct {
	Format string // "png", "jpeg", "gif", "bmp", "webp" or "tiff"
	W, H   int    // pixels as stored, before any EXIF orientation
}

// DecodeConfig reads a picture's format and size without decoding it.
func DecodeConfig(r io.Reader, lim Limits) (Config, error) {
	lim = lim.orDefault()
	b, err := readAll(r, lim.Bytes)
	if err != nil {
		return Config{}, err
	}
	c, err := pil.DecodeConfig(b, lim.pil())
	if err != nil {
		return Config{}, fmt.Errorf("vision: %w", err)
	}
	return Config(c), nil
}

func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("vision: %w: more than %d bytes", ErrTooLarge, limit)
	}
	return b, nil
}
