package pil

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

func isBMP(b []byte) bool { return len(b) >= 2 && b[0] == 'B' && b[1] == 'M' }

// BMP compression methods.
const (
	bmpRaw       = 0
	bmpRLE8      = 1
	bmpRLE4      = 2
	bmpBitfields = 3
)

type bmpHeader struct {
	w, h        int
	topDown     bool
	bits        int
	compression uint32
	colours     uint32
	entry       int // bytes of a palette entry
	masks       [4]uint32
	palette     []byte
	offset      int // of the pixels
}

func configBMP(b []byte, lim Limits) (int, int, error) {
	h, err := parseBMP(b, lim)
	if err != nil {
		return 0, 0, err
	}
	return h.w, h.h, nil
}

func parseBMP(b []byte, lim Limits) (*bmpHeader, error) {
	if len(b) < 18 {
		return nil, ErrTruncated
	}
	le := binary.LittleEndian
	h := &bmpHeader{}
	offset := uint64(le.Uint32(b[10:]))
	size := le.Uint32(b[14:])
	if uint64(size) > uint64(len(b)-14) {
		return nil, ErrTruncated
	}
	s := b[18 : 14+max(size, 4)]
	pos := 14 + int(size) // read so far
	switch size {
	case 12: // OS/2 1.x
		h.w, h.h = int(le.Uint16(s)), int(le.Uint16(s[2:]))
		h.bits = int(le.Uint16(s[6:]))
		h.entry = 3
	case 40, 52, 56, 64, 108, 124: // Windows 3 to 5, OS/2 2.x
		w, ht := le.Uint32(s), le.Uint32(s[4:])
		h.topDown = s[7] == 0xFF
		if h.topDown {
			ht = -ht
		}
		if w > math.MaxInt32 || ht > math.MaxInt32 {
			return nil, fmt.Errorf("%w: %d×%d pixels", ErrTooLarge, w, ht)
		}
		h.w, h.h = int(w), int(ht)
		h.bits = int(le.Uint16(s[10:]))
		h.compression = le.Uint32(s[12:])
		h.colours = le.Uint32(s[28:])
		h.entry = 4
		if h.compression == bmpBitfields {
			n := 3
			m := s[36:]
			switch {
			case len(s) >= 52:
				n = 4
			case len(s) < 48: // the masks follow the header
				if len(b)-pos < 12 {
					return nil, ErrTruncated
				}
				m = b[pos:]
				pos += 12
			}
			for i := range n {
				h.masks[i] = le.Uint32(m[4*i:])
			}
		}
	default:
		return nil, fmt.Errorf("%w BMP header of %d bytes", ErrUnsupported, size)
	}
	if err := checkSize(h.w, h.h, lim); err != nil {
		return nil, err
	}
	switch h.bits {
	case 1, 4, 8, 16, 24, 32:
	default:
		return nil, fmt.Errorf("%w BMP depth of %d bits", ErrUnsupported, h.bits)
	}
	if h.colours == 0 && h.bits <= 16 {
		h.colours = 1 << h.bits
	}
	if h.bits <= 8 {
		if h.colours < 1 || h.colours > 65536 {
			return nil, fmt.Errorf("palette of %d colours", h.colours)
		}
		n := h.entry * int(h.colours)
		if offset == 14+uint64(size) {
			offset += uint64(n)
		}
		n = min(n, len(b)-pos)
		h.palette = b[pos : pos+n]
		pos += n
	}
	if offset == 0 {
		offset = uint64(pos)
	}
	if offset > uint64(len(b)) {
		return nil, ErrTruncated
	}
	h.offset = int(offset)
	return h, nil
}

// bmpLayout says where a pixel's colours lie.
type bmpLayout struct {
	bytes   int // of a pixel
	r, g, b int // byte offsets, for 24 and 32 bits
	green   int // bits of green, for 16 bits
}

// layout finds the pixel layout of 16, 24 and 32-bit pictures; only those
// that Pillow knows.
func (h *bmpHeader) layout() (bmpLayout, error) {
	bgr := bmpLayout{bytes: h.bits / 8, r: 2, g: 1, b: 0, green: 5}
	if h.compression != bmpBitfields {
		return bgr, nil
	}
	rgb := [3]uint32(h.masks[:3])
	switch h.bits {
	case 16:
		switch rgb {
		case [3]uint32{0xF800, 0x7E0, 0x1F}:
			return bmpLayout{bytes: 2, green: 6}, nil
		case [3]uint32{0x7C00, 0x3E0, 0x1F}:
			return bgr, nil
		}
	case 24:
		if rgb == [3]uint32{0xFF0000, 0xFF00, 0xFF} {
			return bgr, nil
		}
	case 32:
		switch h.masks {
		case [4]uint32{0xFF0000, 0xFF00, 0xFF, 0}, [4]uint32{0xFF0000, 0xFF00, 0xFF, 0xFF000000}, [4]uint32{}:
			return bgr, nil
		case [4]uint32{0xFF000000, 0xFF0000, 0xFF00, 0}, [4]uint32{0xFF000000, 0xFF0000, 0xFF00, 0xFF}:
			return bmpLayout{bytes: 4, r: 3, g: 2, b: 1}, nil
		case [4]uint32{0xFF000000, 0xFF00, 0xFF, 0}, [4]uint32{0xFF000000, 0xFF00, 0xFF, 0xFF0000}:
			return bmpLayout{bytes: 4, r: 3, g: 1, b: 0}, nil
		case [4]uint32{0xFF, 0xFF00, 0xFF0000, 0xFF000000}:
			return bmpLayout{bytes: 4, r: 0, g: 1, b: 2}, nil
		}
	}
	return bmpLayout{}, fmt.Errorf("%w BMP bit fields %08x", ErrUnsupported, h.masks)
}

func decodeBMP(b []byte, lim Limits) (*Image, orientation, error) {
	h, err := parseBMP(b, lim)
	if err != nil {
		return nil, 0, err
	}
	data := b[h.offset:]
	switch h.compression {
	case bmpRaw, bmpBitfields:
		if h.compression == bmpBitfields && h.bits <= 8 {
			return nil, 0, fmt.Errorf("%w BMP bit fields with %d bits", ErrUnsupported, h.bits)
		}
	case bmpRLE8, bmpRLE4:
		if h.bits > 8 {
			return nil, 0, fmt.Errorf("run-length coding with %d bits", h.bits)
		}
		im, err := h.runLength(b)
		return im, 0, err
	default:
		return nil, 0, fmt.Errorf("%w BMP compression %d", ErrUnsupported, h.compression)
	}
	stride := (h.w*h.bits + 31) / 32 * 4
	// The last row need not be padded.
	if need := stride*(h.h-1) + (h.w*h.bits+7)/8; len(data) < need {
		return nil, 0, ErrTruncated
	}
	lut := h.lut()
	var lay bmpLayout
	if lut == nil {
		if lay, err = h.layout(); err != nil {
			return nil, 0, err
		}
	}
	im := newImage(h.w, h.h)
	for i := range h.h {
		src := data[i*stride:]
		dst := h.row(im, i)
		switch {
		case lut != nil:
			unpackLUT(dst, src, h.w, h.bits, lut)
		case lay.bytes == 2:
			unpackBMP16(dst, src, h.w, lay.green)
		default:
			for x := range h.w {
				p := src[x*lay.bytes:]
				dst[3*x], dst[3*x+1], dst[3*x+2] = p[lay.r], p[lay.g], p[lay.b]
			}
		}
	}
	return im, 0, nil
}

// row is row i in file order.
func (h *bmpHeader) row(im *Image, i int) []uint8 {
	if !h.topDown {
		i = h.h - 1 - i
	}
	return im.Pix[3*h.w*i:][:3*h.w]
}

// unpackBMP16 spreads 5 or 6 bits over 0..255, rounding down as Pillow does.
func unpackBMP16(dst, src []byte, w, green int) {
	for x := range w {
		p := int(src[2*x]) | int(src[2*x+1])<<8
		dst[3*x+2] = uint8((p & 31) * 255 / 31)
		dst[3*x+1] = uint8((p >> 5 & (1<<green - 1)) * 255 / (1<<green - 1))
		dst[3*x] = uint8((p >> (5 + green) & 31) * 255 / 31)
	}
}

// lut maps palette indices to colours, nil for deeper pictures.
func (h *bmpHeader) lut() *[256][3]uint8 {
	if h.bits > 8 {
		return nil
	}
	return paletteLUT(h.palette, h.entry, 2, 1, 0)
}

var errBMPRun = errors.New("run-length data ends early")

// runLength decodes RLE8 and RLE4, with Pillow's reading of odd streams.
func (h *bmpHeader) runLength(file []byte) (*Image, error) {
	lut := h.lut()
	total := h.w * h.h
	// Two bytes give at most 255 pixels; a jump of four bytes 255 rows.
	pos := h.offset
	idx := make([]uint8, 0, min(total, 1<<20))
	x := 0
	rle4 := h.compression == bmpRLE4
	put := func(v uint8, n int) {
		for range n {
			idx = append(idx, v)
		}
	}
loop:
	for len(idx) < total {
		if pos+2 > len(file) {
			break
		}
		n, v := int(file[pos]), file[pos+1]
		pos += 2
		switch {
		case n > 0:
			n = min(n, max(0, h.w-x))
			if rle4 {
				for i := range n {
					idx = append(idx, v>>(4*(1-i%2))&15)
				}
			} else {
				put(v, n)
			}
			x += n
		case v == 0: // end of line
			if r := len(idx) % h.w; r != 0 {
				put(0, h.w-r)
			}
			x = 0
		case v == 1: // end of bitmap
			break loop
		case v == 2: // jump
			if pos+2 > len(file) {
				break loop
			}
			put(0, min(total-len(idx), int(file[pos])+int(file[pos+1])*h.w))
			pos += 2
			x = len(idx) % h.w
		default: // literal pixels
			count := min(total-len(idx), int(v))
			bytes := count
			if rle4 {
				bytes = (count + 1) / 2
			}
			got := file[pos:min(pos+bytes, len(file))]
			pos += len(got)
			if rle4 {
				for i, p := range got {
					idx = append(idx, p>>4)
					if 2*i+1 < count {
						idx = append(idx, p&15)
					}
				}
			} else {
				idx = append(idx, got...)
			}
			if len(got) < bytes || len(idx) == total {
				break loop
			}
			x += int(v)
			pos += pos & 1
		}
	}
	if len(idx) < total {
		return nil, errBMPRun
	}
	im := newImage(h.w, h.h)
	for i := range h.h {
		unpackLUT(h.row(im, i), idx[i*h.w:], h.w, 8, lut)
	}
	return im, nil
}
