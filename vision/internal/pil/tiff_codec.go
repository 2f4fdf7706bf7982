package pil

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"io"
	"math/bits"

	"golang.org/x/image/ccitt"
	"golang.org/x/image/tiff/lzw"
)

// TIFF compression schemes.
const (
	cNone       = 1
	cCCITT      = 2
	cGroup3     = 3
	cGroup4     = 4
	cLZW        = 5
	cJPEG       = 7
	cDeflate    = 8
	cPackBits   = 32773
	cOldDeflate = 32946
)

var tiffSchemes = map[int]string{
	cCCITT: "CCITT run-length", 6: "old-style JPEG", 32771: "CCITT run-length with words",
	32809: "ThunderScan", 34676: "SGI LogLuv", 34677: "SGI 24-bit LogLuv", 34925: "LZMA", 50000: "Zstandard", 50001: "WebP",
}

// scheme refuses compression schemes that are not implemented.
func (t *tiffImage) scheme() error {
	switch t.compression {
	case cNone, cGroup3, cGroup4, cLZW, cJPEG, cDeflate, cOldDeflate, cPackBits:
		return nil
	}
	name := tiffSchemes[t.compression]
	if name == "" {
		name = "unknown"
	}
	return fmt.Errorf("%w: TIFF compression %d (%s)", ErrUnsupported, t.compression, name)
}

// blocks is the number of strips or tiles across and down a plane.
func (t *tiffImage) blocks() (across, down int) {
	return ceilDiv(t.w, t.blockW), ceilDiv(t.h, t.blockH)
}

// plausible refuses a file too short for its claimed size, before the picture
// is allocated.
func (t *tiffImage) plausible(planes int) error {
	expand := uint64(1)
	switch t.compression {
	case cLZW, cGroup3, cGroup4:
		expand = 1 << 14
	case cDeflate, cOldDeflate:
		expand = maxDeflate
	case cPackBits:
		expand = 64
	case cJPEG: // a bit for a block of 64 samples, and fewer of chroma
		expand = 1 << 11
	}
	bitsPixel := t.bits
	if planes == 1 {
		bitsPixel *= t.samples
	}
	if need := uint64(t.w) * uint64(t.h) / 8 * uint64(bitsPixel); need/expand > uint64(len(t.b)) {
		return ErrTruncated
	}
	return nil
}

// block gives the bytes of strip or tile i; need is its size when it is not
// compressed.
func (t *tiffImage) block(i, need int) ([]byte, error) {
	if i >= len(t.offsets) {
		return nil, fmt.Errorf("%w: block %d is missing", ErrTruncated, i)
	}
	off := t.offsets[i]
	if off > uint64(len(t.b)) {
		return nil, fmt.Errorf("%w: block %d", ErrTruncated, i)
	}
	b := t.b[off:]
	if t.compression == cNone { // Pillow reads what it needs, whatever the counts say
		if need > len(b) {
			return nil, fmt.Errorf("%w: block %d", ErrTruncated, i)
		}
		return b[:need], nil
	}
	if i < len(t.counts) {
		if t.counts[i] > uint64(len(b)) {
			return nil, fmt.Errorf("%w: block %d", ErrTruncated, i)
		}
		b = b[:t.counts[i]]
	}
	return b, nil
}

// eachBlock decodes every strip or tile of planes planes, whose pixels have
// the given number of bits, and calls f with the plane, the place and size of
// the part that lies in the picture, and its rows.
func (t *tiffImage) eachBlock(planes, pixelBits int, f func(plane, x, y, w, h int, data []byte, stride int)) error {
	across, down := t.blocks()
	stride := (t.blockW*pixelBits + 7) / 8
	var buf []byte
	for plane := range planes {
		for by := range down {
			for bx := range across {
				i := (plane*down+by)*across + bx
				if t.compression == cNone && planes == 1 && across*down == 1 {
					i = len(t.offsets) - 1 // as Pillow, the last of several
				}
				x, y := bx*t.blockW, by*t.blockH
				w, h := min(t.blockW, t.w-x), min(t.blockH, t.h-y)
				rows := h
				if t.tiled && t.compression != cNone {
					rows = t.blockH
				}
				need := stride * rows
				if t.compression == cNone { // the last row need not be complete
					need = stride*(h-1) + (w*pixelBits+7)/8
				}
				src, err := t.block(i, need)
				if err != nil {
					return err
				}
				data := src
				if t.compression != cNone {
					if len(buf) < need {
						buf = make([]byte, need)
					}
					data = buf[:need]
					if err := t.expand(data, src, rows); err != nil {
						return fmt.Errorf("block %d: %w", i, err)
					}
					if err := t.unpredict(data, stride, pixelBits); err != nil {
						return err
					}
				} else if t.reversed {
					data = reverseBits(src)
				}
				f(plane, x, y, w, h, data, stride)
			}
		}
	}
	return nil
}

func reverseBits(b []byte) []byte {
	out := make([]byte, len(b))
	for i, v := range b {
		out[i] = bits.Reverse8(v)
	}
	return out
}

// expand decompresses a block into dst, which it must fill.
func (t *tiffImage) expand(dst, src []byte, rows int) error {
	var r io.Reader
	if t.reversed && t.compression != cGroup3 && t.compression != cGroup4 {
		src = reverseBits(src)
	}
	switch t.compression {
	case cLZW:
		if len(src) >= 2 && src[0] == 0 && src[1]&1 != 0 {
			return fmt.Errorf("%w: TIFF with old-style LZW", ErrUnsupported)
		}
		r = lzw.NewReader(bytes.NewReader(src), lzw.MSB, 8)
	case cDeflate, cOldDeflate:
		z, err := zlib.NewReader(bytes.NewReader(src))
		if err != nil {
			return tiffDataError(err)
		}
		if _, err := io.ReadFull(z, dst); err != nil {
			return tiffDataError(err)
		}
		return inflateEnd(z)
	case cPackBits:
		return unpackBits(dst, src)
	case cGroup3, cGroup4:
		return t.fax(dst, src, rows)
	}
	_, err := io.ReadFull(r, dst)
	return tiffDataError(err)
}

func tiffDataError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}

// unpackBits is the Macintosh run-length coding (TIFF 6.0, section 9). Runs
// that lead beyond the block are cut short.
func unpackBits(dst, src []byte) error {
	for len(dst) > 0 {
		if len(src) == 0 {
			return ErrTruncated
		}
		n := int(int8(src[0]))
		src = src[1:]
		switch {
		case n >= 0:
			if n = min(n+1, len(dst)); n > len(src) {
				return ErrTruncated
			}
			copy(dst, src[:n])
			src = src[n:]
		case n == -128:
			continue
		default:
			if len(src) == 0 {
				return ErrTruncated
			}
			n = min(1-n, len(dst))
			for i := range n {
				dst[i] = src[0]
			}
			src = src[1:]
		}
		dst = dst[n:]
	}
	return nil
}

// fax decodes CCITT Group 3 (one-dimensional) and Group 4 data.
func (t *tiffImage) fax(dst, src []byte, rows int) error {
	if t.bits != 1 || t.samples != 1 {
		return errors.New("fax coding of more than one bit a pixel")
	}
	sub, order := ccitt.Group4, ccitt.MSB
	var opt ccitt.Options
	if t.compression == cGroup3 {
		o, err := t.value(tT4Options, 0)
		if err != nil {
			return err
		}
		if o&1 != 0 {
			return fmt.Errorf("%w: TIFF with two-dimensional Group 3 coding", ErrUnsupported)
		}
		sub = ccitt.Group3
	}
	if t.reversed {
		order = ccitt.LSB
	}
	m := image.NewGray(image.Rect(0, 0, t.blockW, rows))
	if err := ccitt.DecodeIntoGray(m, bytes.NewReader(src), order, sub, &opt); err != nil {
		return tiffDataError(err)
	}
	stride := (t.blockW + 7) / 8
	clear(dst)
	for y := range rows {
		for x, v := range m.Pix[y*m.Stride:][:t.blockW] {
			if v == 0 { // black, which is 1 in the data
				dst[y*stride+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return nil
}

// unpredict undoes the predictor of LZW and deflate data, row by row.
func (t *tiffImage) unpredict(data []byte, stride, pixelBits int) error {
	switch t.compression {
	case cLZW, cDeflate, cOldDeflate:
	default:
		return nil
	}
	step := pixelBits / t.bits // samples from a sample to the one it is predicted from
	for ; len(data) >= stride; data = data[stride:] {
		row := data[:stride]
		switch {
		case t.predictor == 1:
			return nil
		case t.predictor == 2 && t.bits == 8:
			for i := step; i < len(row); i++ {
				row[i] += row[i-step]
			}
		case t.predictor == 2 && t.bits == 16:
			for i := 2 * step; i+1 < len(row); i += 2 {
				t.order.PutUint16(row[i:], t.order.Uint16(row[i:])+t.order.Uint16(row[i-2*step:]))
			}
		case t.predictor == 2 && t.bits == 32:
			for i := 4 * step; i+3 < len(row); i += 4 {
				t.order.PutUint32(row[i:], t.order.Uint32(row[i:])+t.order.Uint32(row[i-4*step:]))
			}
		case t.predictor == 3 && t.bits == 32 && t.format == 3:
			t.unpredictFloat(row, step)
		default:
			return fmt.Errorf("%w: TIFF predictor %d with %d bits", ErrUnsupported, t.predictor, t.bits)
		}
	}
	return nil
}

// unpredictFloat undoes the floating-point predictor: bytes are differences,
// and the most significant bytes of all samples come first (TIFF Technical
// Note 3).
func (t *tiffImage) unpredictFloat(row []byte, step int) {
	for i := step; i < len(row); i++ {
		row[i] += row[i-step]
	}
	n := len(row) / 4
	out := make([]byte, len(row))
	for i := range n {
		v := uint32(row[i])<<24 | uint32(row[n+i])<<16 | uint32(row[2*n+i])<<8 | uint32(row[3*n+i])
		t.order.PutUint32(out[4*i:], v)
	}
	copy(row, out)
}

// decodeJPEGBlocks reads pictures whose blocks are JPEG pictures that share
// their tables.
func (t *tiffImage) decodeJPEGBlocks(lim Limits) (*Image, error) {
	if t.bits != 8 || t.planar && t.samples > 1 {
		return nil, fmt.Errorf("%w: TIFF with JPEG planes or %d bits", ErrUnsupported, t.bits)
	}
	space := jpegRGB
	var unpack unpacker
	if t.photometric == photoYCbCr && t.samples == 3 {
		space = jpegYCC
	} else {
		var err error
		if unpack, err = t.unpacker(); err != nil {
			return nil, err
		}
	}
	var tables []byte
	if e, ok := t.dir[tJPEGTables]; ok {
		tables = e.data
	}
	across, down := t.blocks()
	if across*down > len(t.offsets) {
		return nil, fmt.Errorf("%w: %d blocks of %d", ErrTruncated, len(t.offsets), across*down)
	}
	if err := t.plausible(1); err != nil {
		return nil, err
	}
	im := newImage(t.w, t.h)
	for by := range down {
		for bx := range across {
			i := by*across + bx
			src, err := t.block(i, 0)
			if err != nil {
				return nil, err
			}
			x, y := bx*t.blockW, by*t.blockH
			w, h := min(t.blockW, t.w-x), min(t.blockH, t.h-y)
			d := &jpegDecoder{b: src, lim: lim, inTIFF: true}
			if err := d.preload(tables); err != nil {
				return nil, fmt.Errorf("JPEG tables: %w", err)
			}
			if err := d.decode(); err != nil {
				return nil, fmt.Errorf("block %d: %w", i, err)
			}
			if d.w < w || d.h < h || len(d.comps) != t.samples {
				return nil, fmt.Errorf("block %d: JPEG of %d×%d pixels with %d components", i, d.w, d.h, len(d.comps))
			}
			row := func(r int) []uint8 { return im.Pix[3*((y+r)*t.w+x):][:3*w] }
			if unpack == nil {
				part, err := d.rgb(space)
				if err != nil {
					return nil, err
				}
				for r := range h {
					copy(row(r), part.Pix[3*r*d.w:])
				}
				continue
			}
			line := make([]byte, d.w*t.samples)
			d.eachRow(func(r int, rows [4][]uint8) {
				if r >= h {
					return
				}
				for c := range t.samples {
					for x, v := range rows[c] {
						line[x*t.samples+c] = v
					}
				}
				unpack(row(r), line, w)
			})
		}
	}
	return im, nil
}

// decodeYCbCr reads compressed YCbCr pictures that are not JPEG, as libtiff's
// RGBA interface does: chroma is repeated, not interpolated.
func (t *tiffImage) decodeYCbCr() (*Image, error) {
	sub, err := t.list(tYCbCrSubsample, 2, 2)
	if err != nil {
		return nil, err
	}
	if t.bits != 8 || len(t.extra) > 0 || len(sub) != 2 || t.planar || t.reversed ||
		t.dir[529].count > 0 || t.dir[532].count > 0 && !t.fullRange() {
		return nil, fmt.Errorf("%w: TIFF with this kind of YCbCr", ErrUnsupported)
	}
	sh, sv := sub[0], sub[1]
	if !(sh == 1 || sh == 2 || sh == 4) || !(sv == 1 || sv == 2 || sv == 4) {
		return nil, fmt.Errorf("YCbCr subsampling %d×%d", sh, sv)
	}
	if t.predictor != 1 && sh*sv > 1 {
		return nil, fmt.Errorf("%w: TIFF with subsampled YCbCr and a predictor", ErrUnsupported)
	}
	if err := t.plausible(1); err != nil {
		return nil, err
	}
	across, down := t.blocks()
	if across*down > len(t.offsets) {
		return nil, fmt.Errorf("%w: %d blocks of %d", ErrTruncated, len(t.offsets), across*down)
	}
	im := newImage(t.w, t.h)
	unit := sh*sv + 2 // lumas, then Cb and Cr
	stride := ceilDiv(t.blockW, sh) * unit
	for by := range down {
		for bx := range across {
			i := by*across + bx
			src, err := t.block(i, 0)
			if err != nil {
				return nil, err
			}
			x0, y0 := bx*t.blockW, by*t.blockH
			w, h := min(t.blockW, t.w-x0), min(t.blockH, t.h-y0)
			rows := h
			if t.tiled {
				rows = t.blockH
			}
			data := make([]byte, stride*ceilDiv(rows, sv))
			if err := t.expand(data, src, rows); err != nil {
				return nil, fmt.Errorf("block %d: %w", i, err)
			}
			if err := t.unpredict(data, stride, 8*t.samples); err != nil {
				return nil, err
			}
			for y := range h {
				dst := im.Pix[3*((y0+y)*t.w+x0):]
				for x := range w {
					u := data[y/sv*stride+x/sh*unit:]
					dst[3*x], dst[3*x+1], dst[3*x+2] = tiffYCC(u[y%sv*sh+x%sh], u[unit-2], u[unit-1])
				}
			}
		}
	}
	return im, nil
}

// fullRange reports whether ReferenceBlackWhite says what is the default.
func (t *tiffImage) fullRange() bool {
	e := t.dir[532]
	if e.typ != 5 || e.count != 6 {
		return false
	}
	for i, want := range [6]uint32{0, 255, 128, 255, 128, 255} {
		n, d := t.order.Uint32(e.data[8*i:]), t.order.Uint32(e.data[8*i+4:])
		if d != 1 || n != want {
			return false
		}
	}
	return true
}

// tiffYCC is libtiff's conversion with the default coefficients, 16
// fractional bits.
func tiffYCC(y, cb, cr uint8) (r, g, b uint8) {
	const half = 1 << 15
	l, u, v := int32(y), int32(cb)-128, int32(cr)-128
	return clamp8(l + (91881*v+half)>>16), clamp8(l + (-22553*u+half-46802*v)>>16), clamp8(l + (116130*u+half)>>16)
}
