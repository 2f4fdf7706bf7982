package pil

import (
	"errors"
	"fmt"
	"slices"
)

// TIFF tags (TIFF 6.0).
const (
	tImageWidth      = 256
	tImageLength     = 257
	tBitsPerSample   = 258
	tCompression     = 259
	tPhotometric     = 262
	tFillOrder       = 266
	tStripOffsets    = 273
	tSamplesPerPixel = 277
	tRowsPerStrip    = 278
	tStripByteCounts = 279
	tPlanarConfig    = 284
	tT4Options       = 292
	tPredictor       = 317
	tColorMap        = 320
	tTileWidth       = 322
	tTileLength      = 323
	tTileOffsets     = 324
	tTileByteCounts  = 325
	tExtraSamples    = 338
	tSampleFormat    = 339
	tJPEGTables      = 347
	tYCbCrSubsample  = 530
	tXMP             = 700
	tWindowsMedia    = 0xBC01
)

// Photometric interpretations.
const (
	photoWhiteIsZero = 0
	photoBlackIsZero = 1
	photoRGB         = 2
	photoPalette     = 3
	photoCMYK        = 5
	photoYCbCr       = 6
)

func isTIFF(b []byte) bool {
	_, _, ok := tiffHeader(b)
	return ok
}

// tiffImage is the first picture of a file.
type tiffImage struct {
	tiffReader
	dir map[uint16]tiffEntry

	w, h        int
	compression int
	photometric int
	planar      bool // planes stored one after the other
	reversed    bool // fill order 2: bits of a byte from the lowest up
	bits        int  // a sample
	samples     int  // a pixel
	format      int  // 1 unsigned, 2 signed, 3 float
	extra       []int
	blockW      int // strip or tile
	blockH      int
	tiled       bool
	offsets     []uint64
	counts      []uint64
	predictor   int
}

func configTIFF(b []byte, lim Limits) (int, int, error) {
	t, err := parseTIFF(b, lim)
	if err != nil {
		return 0, 0, err
	}
	return t.w, t.h, nil
}

// value reads the first integer of a tag.
func (t *tiffImage) value(tag uint16, def int) (int, error) {
	e, ok := t.dir[tag]
	if !ok {
		return def, nil
	}
	v, err := t.ints(e)
	if err != nil {
		return 0, fmt.Errorf("tag %d: %w", tag, err)
	}
	if v[0] > 1<<31-1 {
		if tag == tRowsPerStrip {
			return 1<<31 - 1, nil
		}
		return 0, fmt.Errorf("tag %d: value %d is out of range", tag, v[0])
	}
	return int(v[0]), nil
}

// list reads a tag's integers, or gives def.
func (t *tiffImage) list(tag uint16, def ...int) ([]int, error) {
	e, ok := t.dir[tag]
	if !ok {
		return def, nil
	}
	v, err := t.ints(e)
	if err != nil {
		return nil, fmt.Errorf("tag %d: %w", tag, err)
	}
	if len(v) > 1<<16 {
		return nil, fmt.Errorf("tag %d: %d values", tag, len(v))
	}
	out := make([]int, len(v))
	for i := range v {
		out[i] = int(min(v[i], 1<<31-1))
	}
	return out, nil
}

func parseTIFF(b []byte, lim Limits) (*tiffImage, error) {
	order, big, _ := tiffHeader(b)
	t := &tiffImage{tiffReader: tiffReader{b: b, order: order, big: big}}
	off := uint64(order.Uint32(b[4:]))
	if big {
		if len(b) < 16 {
			return nil, ErrTruncated
		}
		off = order.Uint64(b[8:])
	}
	if off == 0 {
		return nil, errors.New("no picture")
	}
	var err error
	if t.dir, _, err = t.directory(off); err != nil && len(t.dir) == 0 {
		return nil, err
	}
	if _, ok := t.dir[tWindowsMedia]; ok {
		return nil, fmt.Errorf("%w: Windows Media Photo", ErrUnsupported)
	}
	var planar, fill int
	for _, f := range []struct {
		tag uint16
		def int
		p   *int
	}{
		{tImageWidth, 0, &t.w}, {tImageLength, 0, &t.h}, {tCompression, 1, &t.compression},
		{tPhotometric, 0, &t.photometric}, {tPlanarConfig, 1, &planar}, {tFillOrder, 1, &fill},
		{tPredictor, 1, &t.predictor},
	} {
		if *f.p, err = t.value(f.tag, f.def); err != nil {
			return nil, err
		}
	}
	if err := checkSize(t.w, t.h, lim); err != nil {
		return nil, err
	}
	t.planar = planar == 2
	if fill != 1 && fill != 2 {
		return nil, fmt.Errorf("%w: TIFF fill order %d", ErrUnsupported, fill)
	}
	t.reversed = fill == 2
	if err := t.parseSamples(); err != nil {
		return nil, err
	}
	return t, t.parseBlocks()
}

// parseSamples finds out what a pixel is made of.
func (t *tiffImage) parseSamples() error {
	bps, err := t.list(tBitsPerSample, 1)
	if err != nil {
		return err
	}
	if t.extra, err = t.list(tExtraSamples); err != nil {
		return err
	}
	formats, err := t.list(tSampleFormat, 1)
	if err != nil {
		return err
	}
	if t.samples, err = t.value(tSamplesPerPixel, 1); err != nil {
		return err
	}
	if t.planar && len(t.extra) > 0 && slices.Max(t.extra) == 0 {
		// Unspecified planes at the end are left unread.
		bps = bps[:max(len(bps)-len(t.extra), 0)]
		t.samples -= len(t.extra)
		t.extra = nil
	}
	if t.samples < 1 || t.samples > 6 {
		return fmt.Errorf("%d samples a pixel", t.samples)
	}
	if len(bps) == 1 {
		bps = slices.Repeat(bps, t.samples)
	}
	if len(bps) < t.samples {
		return fmt.Errorf("%d depths for %d samples a pixel", len(bps), t.samples)
	}
	t.bits = bps[0]
	for _, v := range bps[:t.samples] {
		if v != t.bits {
			return fmt.Errorf("%w: TIFF with samples of %v bits", ErrUnsupported, bps[:t.samples])
		}
	}
	t.format = formats[0]
	if slices.Max(formats) != slices.Min(formats) {
		return fmt.Errorf("%w: TIFF with sample formats %v", ErrUnsupported, formats)
	}
	return nil
}

// parseBlocks finds the strips or tiles.
func (t *tiffImage) parseBlocks() error {
	var err error
	offsets, counts := uint16(tStripOffsets), uint16(tStripByteCounts)
	t.blockW = t.w
	if t.blockH, err = t.value(tRowsPerStrip, t.h); err != nil {
		return err
	}
	if _, ok := t.dir[offsets]; !ok {
		offsets, counts, t.tiled = tTileOffsets, tTileByteCounts, true
		if t.blockW, err = t.value(tTileWidth, 0); err != nil {
			return err
		}
		if t.blockH, err = t.value(tTileLength, 0); err != nil {
			return err
		}
	}
	e, ok := t.dir[offsets]
	if !ok {
		return errors.New("neither strips nor tiles")
	}
	if t.offsets, err = t.ints(e); err != nil {
		return fmt.Errorf("tag %d: %w", offsets, err)
	}
	if e, ok := t.dir[counts]; ok {
		if t.counts, err = t.ints(e); err != nil {
			return fmt.Errorf("tag %d: %w", counts, err)
		}
	}
	if t.blockW < 1 || t.blockH < 1 {
		return fmt.Errorf("blocks of %d×%d pixels", t.blockW, t.blockH)
	}
	if !t.tiled {
		t.blockH = min(t.blockH, t.h)
	}
	if t.blockW > 2*t.w+4096 || t.blockH > 2*t.h+4096 {
		return fmt.Errorf("%w: TIFF tiles of %d×%d pixels", ErrTooLarge, t.blockW, t.blockH)
	}
	return nil
}

func decodeTIFF(b []byte, lim Limits) (*Image, orientation, error) {
	t, err := parseTIFF(b, lim)
	if err != nil {
		return nil, 0, err
	}
	if err := t.scheme(); err != nil {
		return nil, 0, err
	}
	o := t.orientation()
	var im *Image
	switch {
	case t.compression == cJPEG:
		im, err = t.decodeJPEGBlocks(lim)
	case t.photometric == photoYCbCr && t.samples == 3 && t.compression != cNone:
		im, err = t.decodeYCbCr()
	default:
		im, err = t.decodeSamples()
	}
	return im, o, err
}

func (t *tiffImage) orientation() orientation {
	if e, ok := t.dir[tagOrientation]; ok {
		v, err := t.ints(e)
		if err != nil || len(v) != 1 || v[0] > 8 {
			return 0
		}
		return orientation(v[0])
	}
	return xmpOrientation(t.dir[tXMP].data)
}

// unpacker turns w pixels, interleaved, into RGB.
type unpacker func(dst, src []byte, w int)

// unpacker finds the conversion for the kinds of pixel that Pillow knows
// (TiffImagePlugin.OPEN_INFO).
func (t *tiffImage) unpacker() (unpacker, error) {
	little := t.b[0] == 'I'
	first := -1 // first extra sample
	if len(t.extra) > 0 {
		first = t.extra[0]
		for _, v := range t.extra[1:] {
			if v != 0 {
				return nil, t.unknown()
			}
		}
	}
	colours := t.samples - len(t.extra)
	if t.reversed && t.bits > 8 && !(little && t.bits == 16 && t.photometric == photoBlackIsZero) ||
		t.reversed && (len(t.extra) > 0 || t.planar && t.samples > 1) {
		return nil, t.unknown()
	}
	if t.format != 1 && !(t.photometric <= photoBlackIsZero && t.samples == 1) {
		return nil, t.unknown()
	}
	switch t.photometric {
	case photoWhiteIsZero, photoBlackIsZero:
		return t.greyUnpacker(little, first, colours)
	case photoRGB:
		alpha := first
		if t.samples == 4 && len(t.extra) == 0 {
			colours, alpha = 3, 2 // alpha, undeclared
			if t.planar && t.compression != cNone {
				alpha = 1 // libtiff and Pillow then take it for premultiplied
			}
		}
		if colours != 3 || t.bits != 8 && t.bits != 16 || t.bits == 16 && t.samples > 4 {
			return nil, t.unknown()
		}
		switch alpha {
		case -1, 0, 2:
		case 1:
			return rgbUnpacker(t.samples, t.bits/8, t.high(), true), nil
		case 999: // Corel Draw 10
			if t.samples != 4 || t.bits != 8 {
				return nil, t.unknown()
			}
		default:
			return nil, t.unknown()
		}
		return rgbUnpacker(t.samples, t.bits/8, t.high(), false), nil
	case photoPalette:
		if t.bits > 8 || t.bits&(t.bits-1) != 0 || colours != 1 || t.samples > 2 ||
			t.samples == 2 && (t.bits != 8 || first == 1 || first > 2) {
			return nil, t.unknown()
		}
		lut, err := t.palette()
		if err != nil {
			return nil, err
		}
		return lutUnpacker(lut, t.bits, t.samples), nil
	case photoCMYK:
		if colours != 4 || t.bits != 8 && t.bits != 16 || t.bits == 16 && t.samples > 4 || first > 0 || t.reversed {
			return nil, t.unknown()
		}
		step, size, hi := t.samples*t.bits/8, t.bits/8, t.high()
		return func(dst, src []byte, w int) {
			for x := range w {
				s := src[x*step+hi:]
				dst[3*x], dst[3*x+1], dst[3*x+2] = cmykToRGB(s[0], s[size], s[2*size], s[3*size])
			}
		}, nil
	case photoYCbCr:
		if t.bits != 8 || len(t.extra) > 0 || t.reversed {
			return nil, t.unknown()
		}
		switch t.samples {
		case 1:
			return lutUnpacker(greyLUT(8), 8, 1), nil
		case 3:
			return func(dst, src []byte, w int) {
				for x := range w {
					s := src[3*x:]
					dst[3*x], dst[3*x+1], dst[3*x+2] = pillowYCC(s[0], s[1], s[2])
				}
			}, nil
		}
	}
	return nil, t.unknown()
}

// high is the offset of a sample's high byte.
func (t *tiffImage) high() int {
	if t.bits == 16 && t.b[0] == 'I' {
		return 1
	}
	return 0
}

func (t *tiffImage) unknown() error {
	return fmt.Errorf("%w: TIFF of photometric interpretation %d, sample format %d, %d samples of %d bits, extra samples %v, fill order reversed %t",
		ErrUnsupported, t.photometric, t.format, t.samples, t.bits, t.extra, t.reversed)
}

func (t *tiffImage) greyUnpacker(little bool, first, colours int) (unpacker, error) {
	invert := t.photometric == photoWhiteIsZero
	switch {
	case colours != 1 || t.samples > 2:
	case t.samples == 2:
		if t.bits == 8 && !invert && (first == 0 || first == 2) {
			return lutUnpacker(greyLUT(8), 8, 2), nil
		}
	case t.bits == 1 || t.bits == 2 || t.bits == 4 || t.bits == 8:
		if t.format == 1 || t.format == 2 && t.bits == 8 && !invert && !t.reversed {
			lut := greyLUT(t.bits)
			if invert {
				for i := range lut {
					for c := range lut[i] {
						lut[i][c] = 255 - lut[i][c]
					}
				}
			}
			return lutUnpacker(lut, t.bits, 1), nil
		}
	case t.bits == 12 && little && !invert && t.format == 1 && !t.reversed:
		return func(dst, src []byte, w int) {
			for x := range w {
				s := src[x/2*3:]
				v := int(s[0])<<4 | int(s[1])>>4
				if x%2 == 1 {
					v = int(s[1])&15<<8 | int(s[2])
				}
				grey(dst[3*x:], v)
			}
		}, nil
	case t.bits == 16 && t.format == 1 && (little || !invert):
		return func(dst, src []byte, w int) { // white-is-zero is not inverted
			for x := range w {
				grey(dst[3*x:], int(t.order.Uint16(src[2*x:])))
			}
		}, nil
	case t.bits == 16 && t.format == 2 && !invert && !t.reversed:
		return func(dst, src []byte, w int) {
			for x := range w {
				grey(dst[3*x:], int(int16(t.order.Uint16(src[2*x:]))))
			}
		}, nil
	case t.bits == 32 && !invert && !t.reversed && (t.format == 2 || t.format == 1 && little):
		return func(dst, src []byte, w int) {
			for x := range w {
				grey(dst[3*x:], int(int32(t.order.Uint32(src[4*x:]))))
			}
		}, nil
	case t.bits == 32 && t.format == 3:
		return func(dst, src []byte, w int) {
			for x := range w {
				grey(dst[3*x:], floatLevel(t.order.Uint32(src[4*x:])))
			}
		}, nil
	}
	return nil, t.unknown()
}

// palette reads the colour map: all reds, then greens, then blues, of 16 bits.
func (t *tiffImage) palette() (*[256][3]uint8, error) {
	m, err := t.list(tColorMap)
	if err != nil {
		return nil, err
	}
	if len(m) == 0 {
		return nil, errors.New("no colour map")
	}
	var lut [256][3]uint8
	n := len(m) / 3
	for i := range min(n, 256) {
		lut[i] = [3]uint8{uint8(m[i] / 256), uint8(m[n+i] / 256), uint8(m[2*n+i] / 256)}
	}
	return &lut, nil
}

// decodeSamples reads pictures whose blocks unpack to plain samples.
func (t *tiffImage) decodeSamples() (*Image, error) {
	unpack, err := t.unpacker()
	if err != nil {
		return nil, err
	}
	if t.compression != cNone && t.b[0] == 'M' && (t.bits == 32 || t.bits == 16 && t.format == 2) {
		return nil, fmt.Errorf("%w: compressed big-endian TIFF with %d-bit samples of format %d", ErrUnsupported, t.bits, t.format)
	}
	if t.planar && t.samples > 1 {
		return t.decodePlanes(unpack)
	}
	bits := t.bits * t.samples
	if err := t.plausible(1); err != nil {
		return nil, err
	}
	im := newImage(t.w, t.h)
	err = t.eachBlock(1, bits, func(_, x, y, w, h int, data []byte, stride int) {
		for r := range h {
			unpack(im.Pix[3*((y+r)*t.w+x):][:3*w], data[r*stride:], w)
		}
	})
	return im, err
}

// decodePlanes gathers planes of 8 bits, then unpacks the pixels.
func (t *tiffImage) decodePlanes(unpack unpacker) (*Image, error) {
	if t.bits != 8 && (t.bits != 16 || t.compression == cNone) || t.samples > 4 {
		return nil, fmt.Errorf("%w: TIFF with %d planes of %d bits", ErrUnsupported, t.samples, t.bits)
	}
	size := t.bits / 8
	if err := t.plausible(t.samples); err != nil {
		return nil, err
	}
	step := t.samples * size
	pixels := make([]byte, t.w*t.h*step)
	err := t.eachBlock(t.samples, t.bits, func(plane, x, y, w, h int, data []byte, stride int) {
		for r := range h {
			dst := pixels[((y+r)*t.w+x)*step+plane*size:]
			for i := range w * size {
				dst[i/size*step+i%size] = data[r*stride+i]
			}
		}
	})
	if err != nil {
		return nil, err
	}
	im := newImage(t.w, t.h)
	for y := range t.h {
		unpack(im.Pix[3*y*t.w:][:3*t.w], pixels[y*t.w*step:], t.w)
	}
	return im, nil
}
