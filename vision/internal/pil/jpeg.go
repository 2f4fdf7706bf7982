package pil

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// The JPEG decoder gives libjpeg-turbo's default output to the bit: its "islow"
// integer inverse DCT, its fancy (triangle) chroma upsampling and its fixed-point
// colour conversion. References: ITU-T T.81; for what the standard leaves open
// (rounding, upsampling, recovery from damaged data), libjpeg-turbo's behaviour.

func isJPEG(b []byte) bool { return bytes.HasPrefix(b, []byte{0xFF, 0xD8, 0xFF}) }

// JPEG markers (T.81, table B.1).
const (
	mSOF0 = 0xC0
	mSOF1 = 0xC1
	mSOF2 = 0xC2
	mDHT  = 0xC4
	mDAC  = 0xCC
	mRST0 = 0xD0
	mRST7 = 0xD7
	mSOI  = 0xD8
	mEOI  = 0xD9
	mSOS  = 0xDA
	mDQT  = 0xDB
	mDRI  = 0xDD
	mAPP0 = 0xE0
)

// jpegComponent is one colour plane.
type jpegComponent struct {
	id, h, v, tq int
	w, ht        int // samples: ⌈picture · h / hmax⌉
	bw, bh       int // blocks that hold samples
	stride       int // blocks a row, padded to whole MCUs; rows are padded likewise
	rows         int
	quant        *[64]uint16 // as of the component's first scan
	coefs        [][64]int16 // progressive pictures: all coefficients, natural order
	pix          []uint8     // stride·8 samples a row
	coefBits     [64]int8    // progressive: Al of the last scan, -1 before the first
	seen         bool        // had a scan
}

type jpegDecoder struct {
	b   []byte
	pos int
	lim Limits

	w, h           int
	progressive    bool
	comps          []jpegComponent
	hmax, vmax     int
	mcusX, mcusY   int
	quant          [4]*[64]uint16
	dc, ac         [4]*huffman
	restart        int
	jfif, adobe    bool
	adobeTransform byte
	exif           []byte
	xmp            []byte
	scans          int
	inTIFF         bool // inside TIFF: the caller knows the colour space
}

func configJPEG(b []byte, lim Limits) (int, int, error) {
	d := &jpegDecoder{b: b, lim: lim}
	if _, err := d.header(); err != nil {
		return 0, 0, err
	}
	return d.w, d.h, nil
}

func decodeJPEG(b []byte, lim Limits) (*Image, orientation, error) {
	d := &jpegDecoder{b: b, lim: lim}
	if err := d.decode(); err != nil {
		return nil, 0, err
	}
	m := metadata{exif: d.exif, xmp: d.xmp}
	o, err := m.orientation()
	if errors.Is(err, errExif) {
		o = 0 // Pillow forgives it: it has tried once before, for the resolution
	} else if err != nil {
		return nil, 0, err
	}
	space, err := d.colourSpace()
	if err != nil {
		return nil, 0, err
	}
	im, err := d.rgb(space)
	return im, o, err
}

// decode reads the whole file and leaves the samples in the components.
func (d *jpegDecoder) decode() error {
	m, err := d.header()
	if err != nil {
		return err
	}
	for {
		if m != mSOS {
			return fmt.Errorf("marker %02x where a scan was expected", m)
		}
		single, err := d.scan()
		if err != nil {
			return err
		}
		if single { // Pillow does not look beyond the last pixel
			return d.finish()
		}
		if m, err = d.tables(); err != nil {
			return err
		}
		if m == mEOI {
			return d.finish()
		}
	}
}

// header reads up to the first scan and returns its marker.
func (d *jpegDecoder) header() (byte, error) {
	if !isJPEG(d.b) {
		return 0, errors.New("no start of image")
	}
	d.pos = 2
	m, err := d.tables()
	if err != nil {
		return 0, err
	}
	if len(d.comps) == 0 {
		return 0, errors.New("no frame header")
	}
	return m, nil
}

// marker finds the next marker, stepping over fill bytes and junk.
func (d *jpegDecoder) marker() (byte, error) {
	for d.pos < len(d.b) {
		c := d.b[d.pos]
		d.pos++
		if c != 0xFF {
			continue
		}
		for d.pos < len(d.b) && d.b[d.pos] == 0xFF {
			d.pos++
		}
		if d.pos == len(d.b) {
			break
		}
		c = d.b[d.pos]
		d.pos++
		if c != 0 {
			return c, nil
		}
	}
	return 0, ErrTruncated
}

// tables reads marker segments up to the next scan or the end of the picture.
func (d *jpegDecoder) tables() (byte, error) {
	for {
		m, err := d.marker()
		if err != nil {
			return 0, err
		}
		switch {
		case m == mEOI:
			return m, nil
		case m == mSOI:
			return 0, errors.New("second start of image")
		case m >= mRST0 && m <= mRST7 || m == 0x01:
			continue // parameterless
		}
		if len(d.b)-d.pos < 2 {
			return 0, ErrTruncated
		}
		n := int(binary.BigEndian.Uint16(d.b[d.pos:]))
		if n < 2 {
			return 0, fmt.Errorf("marker %02x: length %d", m, n)
		}
		if n > len(d.b)-d.pos {
			return 0, fmt.Errorf("%w: marker %02x", ErrTruncated, m)
		}
		s := d.b[d.pos+2 : d.pos+n]
		if m == mSOS {
			return m, nil
		}
		d.pos += n
		if err := d.segment(m, s); err != nil {
			return 0, fmt.Errorf("marker %02x: %w", m, err)
		}
	}
}

func (d *jpegDecoder) segment(m byte, s []byte) error {
	switch {
	case m == mDQT:
		return d.defineQuant(s)
	case m == mDHT:
		return d.defineHuffman(s)
	case m == mDAC:
		return fmt.Errorf("%w: arithmetic coding", ErrUnsupported)
	case m == mSOF0 || m == mSOF1 || m == mSOF2:
		d.progressive = m == mSOF2
		return d.frame(s)
	case m == 0xC3 || m == 0xC7 || m == 0xCB || m == 0xCF:
		return fmt.Errorf("%w: lossless JPEG", ErrUnsupported)
	case m == 0xC9 || m == 0xCA:
		return fmt.Errorf("%w: arithmetic coding", ErrUnsupported)
	case m > mSOF2 && m <= 0xCF || m == 0xDE || m == 0xDF:
		return fmt.Errorf("%w: hierarchical JPEG", ErrUnsupported)
	case m == 0xDC:
		return nil // number of lines: only meaningful with a height of 0, refused
	case m == mDRI:
		if len(s) != 2 {
			return fmt.Errorf("length %d", len(s))
		}
		d.restart = int(binary.BigEndian.Uint16(s))
	case m == mAPP0:
		if len(s) >= 14 && bytes.HasPrefix(s, []byte("JFIF\x00")) {
			d.jfif = true
		}
	case m == mAPP0+1:
		if bytes.HasPrefix(s, []byte("Exif\x00\x00")) {
			if d.exif == nil {
				d.exif = s
			} else {
				d.exif = append(d.exif[:len(d.exif):len(d.exif)], s[6:]...)
			}
		} else if p, ok := bytes.CutPrefix(s, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok {
			d.xmp = p
		}
	case m == mAPP0+14:
		if len(s) >= 12 && bytes.HasPrefix(s, []byte("Adobe")) {
			d.adobe, d.adobeTransform = true, s[11]
		}
	}
	return nil
}

// zigzag[i] is the natural-order place of coefficient i; the last 16 entries
// catch run lengths that lead beyond the block.
var zigzag = [64 + 16]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
	63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63, 63,
}

func (d *jpegDecoder) defineQuant(s []byte) error {
	for len(s) > 0 {
		p, t := s[0]>>4, s[0]&15
		if t > 3 {
			return fmt.Errorf("quantisation table %d", t)
		}
		n := 64
		if p != 0 {
			n = 128
		}
		if len(s) < 1+n {
			return errors.New("quantisation table is cut off")
		}
		q := new([64]uint16)
		for i := range 64 {
			if p != 0 {
				q[zigzag[i]] = binary.BigEndian.Uint16(s[1+2*i:])
			} else {
				q[zigzag[i]] = uint16(s[1+i])
			}
		}
		d.quant[t] = q
		s = s[1+n:]
	}
	return nil
}

func (d *jpegDecoder) frame(s []byte) error {
	if len(d.comps) > 0 {
		return errors.New("second frame header")
	}
	if len(s) < 6 {
		return ErrTruncated
	}
	if s[0] != 8 {
		return fmt.Errorf("%w: JPEG with %d-bit samples", ErrUnsupported, s[0])
	}
	d.h, d.w = int(binary.BigEndian.Uint16(s[1:])), int(binary.BigEndian.Uint16(s[3:]))
	if err := checkSize(d.w, d.h, d.lim); err != nil {
		return err
	}
	n := int(s[5])
	if n != 1 && n != 3 && n != 4 && !(d.inTIFF && n == 2) {
		return fmt.Errorf("%w: JPEG with %d components", ErrUnsupported, n)
	}
	if len(s) != 6+3*n {
		return fmt.Errorf("length %d for %d components", len(s), n)
	}
	comps := make([]jpegComponent, n)
	d.hmax, d.vmax = 1, 1
	for i := range comps {
		e := s[6+3*i:]
		c := &comps[i]
		c.id, c.h, c.v, c.tq = int(e[0]), int(e[1]>>4), int(e[1]&15), int(e[2])
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return fmt.Errorf("component %d: sampling %d×%d", c.id, c.h, c.v)
		}
		d.hmax, d.vmax = max(d.hmax, c.h), max(d.vmax, c.v)
	}
	d.mcusX, d.mcusY = ceilDiv(d.w, 8*d.hmax), ceilDiv(d.h, 8*d.vmax)
	blocks := 0
	for i := range comps {
		c := &comps[i]
		if d.hmax%c.h != 0 || d.vmax%c.v != 0 {
			return fmt.Errorf("%w: JPEG with fractional sampling", ErrUnsupported)
		}
		c.w, c.ht = ceilDiv(d.w*c.h, d.hmax), ceilDiv(d.h*c.v, d.vmax)
		c.bw, c.bh = ceilDiv(c.w, 8), ceilDiv(c.ht, 8)
		c.stride, c.rows = d.mcusX*c.h, d.mcusY*c.v
		blocks += c.bw * c.bh
		for k := range c.coefBits {
			c.coefBits[k] = -1
		}
	}
	// Each block takes a bit at least.
	if blocks/8 > len(d.b) {
		return ErrTruncated
	}
	d.comps = comps
	return nil
}

// allocate makes room for the samples, once the first scan has been found.
func (d *jpegDecoder) allocate(multi bool) {
	for i := range d.comps {
		c := &d.comps[i]
		if c.pix != nil {
			return
		}
		c.pix = make([]uint8, c.stride*c.rows*64)
		if multi && d.progressive {
			c.coefs = make([][64]int16, c.stride*c.rows)
		}
	}
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// finish turns the coefficients of a progressive picture into samples.
func (d *jpegDecoder) finish() error {
	for i := range d.comps {
		c := &d.comps[i]
		if !c.seen {
			return fmt.Errorf("component %d has no scan", c.id)
		}
	}
	if !d.progressive {
		return nil
	}
	if err := d.smoothable(); err != nil {
		return err
	}
	for i := range d.comps {
		c := &d.comps[i]
		for by := range c.bh {
			for bx := range c.bw {
				idct(&c.coefs[by*c.stride+bx], c.quant, c.pix[(by*c.stride*8+bx)*8:], c.stride*8)
			}
		}
		c.coefs = nil
	}
	return nil
}

// smoothable refuses progressive pictures that break off before their low
// frequencies are complete: libjpeg estimates those from neighbouring blocks.
func (d *jpegDecoder) smoothable() error {
	for i := range d.comps {
		c := &d.comps[i]
		for k := 1; k < 10; k++ {
			if c.coefBits[zigzag[k]] != 0 {
				return fmt.Errorf("%w: progressive JPEG that stops before its last scans", ErrUnsupported)
			}
		}
	}
	return nil
}

// preload reads an abbreviated table file (T.81, B.5), as TIFF keeps beside
// its strips.
func (d *jpegDecoder) preload(tables []byte) error {
	if len(tables) == 0 {
		return nil
	}
	if !isJPEG(tables) {
		return errors.New("no start of image")
	}
	b := d.b
	d.b, d.pos = tables, 2
	m, err := d.tables()
	d.b = b
	if err == nil && (m != mEOI || len(d.comps) > 0) {
		err = errors.New("not a table file")
	}
	return err
}
