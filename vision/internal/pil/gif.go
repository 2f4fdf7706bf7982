package pil

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

func isGIF(b []byte) bool {
	return bytes.HasPrefix(b, []byte("GIF87a")) || bytes.HasPrefix(b, []byte("GIF89a"))
}

// gifFrame is the first frame of a GIF file, up to its compressed pixels.
type gifFrame struct {
	w, h           int // logical screen, grown to hold the frame as Pillow does
	x0, y0, x1, y1 int
	interlaced     bool
	palette        []byte // nil: grey
	transparent    int    // index, or -1
	bits           int    // initial LZW code size
	data           []byte // sub-blocks
}

func configGIF(b []byte, lim Limits) (int, int, error) {
	f, err := parseGIF(b, lim)
	if err != nil {
		return 0, 0, err
	}
	return f.w, f.h, nil
}

// parseGIF finds the first frame.
func parseGIF(b []byte, lim Limits) (*gifFrame, error) {
	if len(b) < 13 {
		return nil, ErrTruncated
	}
	f := &gifFrame{transparent: -1}
	f.w, f.h = int(binary.LittleEndian.Uint16(b[6:])), int(binary.LittleEndian.Uint16(b[8:]))
	flags, pos := b[10], 13
	take := func(n int) ([]byte, error) {
		if n > len(b)-pos {
			pos = len(b)
			return nil, ErrTruncated
		}
		pos += n
		return b[pos-n : pos], nil
	}
	colours := func(flags byte) ([]byte, error) {
		p, err := take(3 << (flags&7 + 1))
		if err != nil {
			return nil, err
		}
		if isGreyRamp(p) {
			return nil, nil
		}
		return p, nil
	}
	var err error
	if flags&0x80 != 0 {
		if f.palette, err = colours(flags); err != nil {
			return nil, err
		}
	}
	block := func() ([]byte, error) { // nil at the end of a chain
		n, err := take(1)
		if err != nil || n[0] == 0 {
			return nil, err
		}
		return take(int(n[0]))
	}
	for {
		kind, err := take(1)
		if err != nil || kind[0] == ';' {
			return nil, errors.New("no frame")
		}
		switch kind[0] {
		case '!':
			label, err := take(1)
			if err != nil {
				return nil, err
			}
			for first := true; ; first = false {
				d, err := block()
				if err != nil {
					return nil, err
				}
				if d == nil {
					break
				}
				if label[0] == 0xF9 && first && len(d) >= 4 && d[0]&1 != 0 {
					f.transparent = int(d[3])
				}
			}
		case ',':
			s, err := take(9)
			if err != nil {
				return nil, err
			}
			u := func(i int) int { return int(binary.LittleEndian.Uint16(s[i:])) }
			f.x0, f.y0 = u(0), u(2)
			f.x1, f.y1 = f.x0+u(4), f.y0+u(6)
			f.w, f.h = max(f.w, f.x1), max(f.h, f.y1)
			if err := checkSize(f.w, f.h, lim); err != nil {
				return nil, err
			}
			f.interlaced = s[8]&0x40 != 0
			if s[8]&0x80 != 0 {
				if f.palette, err = colours(s[8]); err != nil {
					return nil, err
				}
			}
			n, err := take(1)
			if err != nil {
				return nil, err
			}
			f.bits, f.data = int(n[0]), b[pos:]
			if f.bits > 12 {
				return nil, fmt.Errorf("LZW code size %d", f.bits)
			}
			return f, nil
		}
	}
}

// isGreyRamp reports whether colour i of the palette is grey of level i, in
// which case Pillow reads the picture as grey.
func isGreyRamp(p []byte) bool {
	for i := 0; i+2 < len(p); i += 3 {
		if v := i / 3; int(p[i]) != v || int(p[i+1]) != v || int(p[i+2]) != v {
			return false
		}
	}
	return true
}

func decodeGIF(b []byte, lim Limits) (*Image, orientation, error) {
	f, err := parseGIF(b, lim)
	if err != nil {
		return nil, 0, err
	}
	fw, fh := f.x1-f.x0, f.y1-f.y0
	if fw <= 0 || fh <= 0 {
		return nil, 0, fmt.Errorf("frame of %d×%d pixels is empty", fw, fh)
	}
	// One LZW code of at least three bits gives at most 4096 pixels.
	if fw*fh/(4096*8/3) > len(f.data) {
		return nil, 0, ErrTruncated
	}
	idx := make([]uint8, fw*fh)
	if err := f.lzw(idx); err != nil {
		return nil, 0, err
	}
	var lut *[256][3]uint8
	if f.palette != nil {
		lut = paletteLUT(f.palette, 3, 0, 1, 2)
	} else {
		lut = greyLUT(8)
	}
	im := newImage(f.w, f.h)
	if f.transparent >= 0 {
		im.Transparent = &lut[f.transparent]
	}
	// What the frame does not cover shows the transparent index if there is
	// one, else index 0.
	if fw < f.w || fh < f.h {
		c := lut[max(f.transparent, 0)]
		for i := 0; i < len(im.Pix); i += 3 {
			im.Pix[i], im.Pix[i+1], im.Pix[i+2] = c[0], c[1], c[2]
		}
	}
	y := 0
	place := func(start, step int) {
		for r := start; r < fh; r += step {
			unpackLUT(im.Pix[3*((f.y0+r)*f.w+f.x0):], idx[y*fw:], fw, 8, lut)
			y++
		}
	}
	if f.interlaced {
		place(0, 8)
		place(4, 8)
		place(2, 4)
		place(1, 2)
	} else {
		place(0, 1)
	}
	return im, 0, nil
}

// gifBits reads LZW codes, least significant bit first, from sub-blocks.
type gifBits struct {
	src  []byte
	left int // bytes left in the sub-block
	acc  uint32
	n    int
}

func (r *gifBits) code(width int) (int, error) {
	for r.n < width {
		if r.left == 0 {
			// Pillow starts on a sub-block only when all of it is there.
			if len(r.src) == 0 || len(r.src) < 1+int(r.src[0]) {
				return 0, ErrTruncated
			}
			r.left, r.src = int(r.src[0]), r.src[1:]
			if r.left == 0 {
				continue // an empty sub-block is stepped over
			}
		}
		r.acc |= uint32(r.src[0]) << r.n
		r.src = r.src[1:]
		r.left--
		r.n += 8
	}
	c := int(r.acc) & (1<<width - 1)
	r.acc >>= width
	r.n -= width
	return c, nil
}

var errLZW = errors.New("malformed LZW data")

// lzw decompresses the frame. Codes after the end of the picture are not
// looked at; an end code before it leaves the rest at index 0.
func (f *gifFrame) lzw(dst []uint8) error {
	const table = 4096
	var (
		suffix [table]uint8
		prefix [table]uint16
		stack  [table + 1]uint8
	)
	r := gifBits{src: f.data}
	clearCode := 1 << f.bits
	end := clearCode + 1
	width, next := f.bits+1, clearCode+2
	last, lastByte := -1, uint8(0) // last: -1 right after a clear code
	for out := 0; out < len(dst); {
		c, err := r.code(width)
		if err != nil {
			return err
		}
		if c == clearCode {
			width, next, last = f.bits+1, clearCode+2, -1
			continue
		}
		if c == end {
			return nil
		}
		if last < 0 {
			if c > clearCode {
				return errLZW
			}
			last, lastByte = c, uint8(c)
			dst[out] = lastByte
			out++
			continue
		}
		if c > next {
			return errLZW
		}
		code, sp := c, len(stack)
		if code == next { // the string that this very code defines
			sp--
			stack[sp] = lastByte
			code = last
		}
		for code >= clearCode {
			if sp == 0 || code >= table || code == end || code == clearCode {
				return errLZW
			}
			sp--
			stack[sp] = suffix[code]
			code = int(prefix[code])
		}
		if sp == 0 {
			return errLZW
		}
		lastByte = uint8(code)
		sp--
		stack[sp] = lastByte
		if next < table {
			suffix[next], prefix[next] = lastByte, uint16(last)
			if next == 1<<width-1 && width < 12 {
				width++
			}
			next++
		}
		last = c
		out += copy(dst[out:], stack[sp:])
	}
	return nil
}
