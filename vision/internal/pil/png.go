package pil

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// maxPNGText is Pillow's limit for a decompressed text chunk.
const maxPNGText = 1 << 20

func isPNG(b []byte) bool { return bytes.HasPrefix(b, []byte(pngMagic)) }

// PNG colour types (PNG specification, table 11.1).
const (
	pngGrey      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

type pngHeader struct {
	w, h       int
	depth      int // bits a sample
	colour     int
	interlaced bool
	palette    []byte
	trns       []byte // of the chunk tRNS
	meta       metadata
}

// channels is the number of samples a pixel.
func (h *pngHeader) channels() int {
	return [...]int{pngGrey: 1, pngRGB: 3, pngPalette: 1, pngGreyAlpha: 2, pngRGBA: 4}[h.colour]
}

func configPNG(b []byte, lim Limits) (int, int, error) {
	if len(b) < 8+8+13 || string(b[12:16]) != "IHDR" {
		return 0, 0, errors.New("no header chunk")
	}
	var h pngHeader
	if err := h.parse(b[16:29], lim); err != nil {
		return 0, 0, err
	}
	return h.w, h.h, nil
}

func (h *pngHeader) parse(s []byte, lim Limits) error {
	if len(s) < 13 {
		return errors.New("header chunk is cut off")
	}
	w, ht := binary.BigEndian.Uint32(s), binary.BigEndian.Uint32(s[4:])
	if w > 1<<31-1 || ht > 1<<31-1 {
		return fmt.Errorf("%w: %d×%d pixels", ErrTooLarge, w, ht)
	}
	h.w, h.h = int(w), int(ht)
	h.depth, h.colour = int(s[8]), int(s[9])
	ok := false
	switch h.colour {
	case pngGrey:
		ok = h.depth == 1 || h.depth == 2 || h.depth == 4 || h.depth == 8 || h.depth == 16
	case pngPalette:
		ok = h.depth == 1 || h.depth == 2 || h.depth == 4 || h.depth == 8
	case pngRGB, pngGreyAlpha, pngRGBA:
		ok = h.depth == 8 || h.depth == 16
	}
	if !ok {
		return fmt.Errorf("colour type %d with %d bits is not in the standard", h.colour, h.depth)
	}
	if s[11] != 0 {
		return fmt.Errorf("unknown filter method %d", s[11])
	}
	h.interlaced = s[12] != 0
	return checkSize(h.w, h.h, lim)
}

// pngChunks steps through the chunks of a file.
type pngChunks struct {
	b   []byte
	pos int
}

// next returns the next chunk. crcOK is false when the checksum is wrong.
func (c *pngChunks) next() (id string, data []byte, crcOK bool, err error) {
	b := c.b[c.pos:]
	if len(b) < 8 {
		return "", nil, false, ErrTruncated
	}
	n := binary.BigEndian.Uint32(b)
	id = string(b[4:8])
	for _, ch := range b[4:8] {
		if !('a' <= ch && ch <= 'z' || 'A' <= ch && ch <= 'Z' || '0' <= ch && ch <= '9' || ch == '_') {
			return "", nil, false, fmt.Errorf("malformed chunk name %q", id)
		}
	}
	if uint64(n) > uint64(len(b)-8) {
		// The data that is there is handed out, for the picture's own chunks.
		c.pos = len(c.b)
		return id, b[8:], false, fmt.Errorf("%w: chunk %s", ErrTruncated, id)
	}
	data = b[8 : 8+n]
	b = b[8+n:]
	if len(b) < 4 {
		c.pos = len(c.b)
		return id, data, false, nil
	}
	crcOK = crc32.Update(crc32.ChecksumIEEE([]byte(id)), crc32.IEEETable, data) == binary.BigEndian.Uint32(b)
	c.pos += 12 + int(n)
	return id, data, crcOK, nil
}

func decodePNG(b []byte, lim Limits) (*Image, orientation, error) {
	c := &pngChunks{b: b, pos: len(pngMagic)}
	var h pngHeader
	var idat [][]byte
	seenHeader, inData := false, false
	for {
		id, data, crcOK, err := c.next()
		if id == "IDAT" && seenHeader && (!inData || len(idat) > 0) {
			// Pillow does not check the checksums of picture data, and takes
			// what a truncated chunk holds.
			idat = append(idat, data)
			inData = true
			if err != nil {
				break
			}
			continue
		}
		if err != nil || id == "IEND" {
			if !inData {
				if err == nil {
					err = errors.New("no picture data")
				}
				return nil, 0, err
			}
			if err != nil && id != "" {
				return nil, 0, err // trailing chunk cut off: Pillow refuses it
			}
			break
		}
		if !inData && !crcOK {
			return nil, 0, fmt.Errorf("chunk %s: wrong checksum", id)
		}
		if id == "IHDR" {
			if seenHeader {
				continue
			}
			if err := h.parse(data, lim); err != nil {
				return nil, 0, err
			}
			seenHeader = true
			continue
		}
		if !seenHeader {
			return nil, 0, fmt.Errorf("chunk %s before the header", id)
		}
		if err := h.chunk(id, data, inData); err != nil {
			return nil, 0, fmt.Errorf("chunk %s: %w", id, err)
		}
	}
	o, err := h.meta.orientation()
	if err != nil {
		return nil, 0, err
	}
	im, err := h.pixels(idat)
	if err != nil {
		return nil, 0, err
	}
	im.Transparent = h.transparent()
	return im, o, nil
}

// transparent is the transparent colour as Pillow sees it: the tRNS chunk's
// entry of a palette if that alone is transparent and the rest opaque; else its
// sample as it stands, unscaled and of 16 bits the low byte.
func (h *pngHeader) transparent() *[3]uint8 {
	if h.trns == nil {
		return nil
	}
	sample := func(i int) int { return int(binary.BigEndian.Uint16(h.trns[2*i:])) }
	switch {
	case h.colour == pngPalette:
		i := bytes.IndexByte(h.trns, 0)
		if i < 0 || bytes.Count(h.trns, []byte{0xff}) != len(h.trns)-1 {
			return nil
		}
		c := h.lut()[min(i, 255)]
		return &c
	case h.colour == pngRGB:
		return &[3]uint8{uint8(sample(0)), uint8(sample(1)), uint8(sample(2))}
	case h.colour != pngGrey:
		return nil
	case h.depth == 1: // Pillow takes a single number as red alone
		return &[3]uint8{uint8(min(sample(0), 1) * 255)}
	case h.depth == 16:
		return &[3]uint8{uint8(sample(0))}
	default:
		v := uint8(min(sample(0), 255))
		return &[3]uint8{v, v, v}
	}
}

// chunk takes in what an auxiliary chunk says.
func (h *pngHeader) chunk(id string, s []byte, inData bool) error {
	switch id {
	case "PLTE":
		if h.colour == pngPalette && !inData {
			h.palette = s
		}
	case "tRNS":
		if want := map[int]int{pngGrey: 2, pngRGB: 6}[h.colour]; len(s) < want {
			return ErrTruncated
		}
		h.trns = s
	case "fcTL":
		if inData {
			return nil
		}
		if len(s) < 26 {
			return ErrTruncated
		}
		w, ht := binary.BigEndian.Uint32(s[4:]), binary.BigEndian.Uint32(s[8:])
		if int64(w) != int64(h.w) || int64(ht) != int64(h.h) {
			return fmt.Errorf("%w: first frame of an animation smaller than its canvas", ErrUnsupported)
		}
	case "eXIf":
		h.meta.exif = s
	case "tEXt":
		k, v, _ := bytes.Cut(s, []byte{0})
		h.text(string(k), v)
	case "zTXt":
		k, v, _ := bytes.Cut(s, []byte{0})
		if len(v) == 0 {
			return nil
		}
		if v[0] != 0 {
			return fmt.Errorf("unknown compression method %d", v[0])
		}
		t, err := inflateText(v[1:])
		if err != nil {
			return err
		}
		h.text(string(k), t)
	case "iTXt":
		k, r, ok := bytes.Cut(s, []byte{0})
		if !ok || len(r) < 2 {
			return nil
		}
		compressed, method := r[0] != 0, r[1]
		_, r, ok = bytes.Cut(r[2:], []byte{0}) // language
		if !ok {
			return nil
		}
		_, v, ok := bytes.Cut(r, []byte{0}) // translated keyword
		if !ok || compressed && method != 0 {
			return nil
		}
		if compressed {
			var err error
			if v, err = inflateText(v); err != nil {
				return err
			}
		}
		h.text(string(k), v)
	}
	return nil
}

func (h *pngHeader) text(key string, v []byte) {
	switch key {
	case "exif":
		h.meta.exif = v
	case "Raw profile type exif":
		h.meta.rawProfile, h.meta.hasProfile = string(v), true
	case "XML:com.adobe.xmp":
		h.meta.xmp = v
	}
}

// inflateText decompresses a text chunk; like Pillow it takes broken data as
// an empty text and refuses one that is too large.
func inflateText(b []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, nil
	}
	t, err := io.ReadAll(io.LimitReader(r, maxPNGText+1))
	if len(t) > maxPNGText {
		return nil, fmt.Errorf("%w: text of more than %d bytes", ErrTooLarge, maxPNGText)
	}
	if err != nil && err != io.ErrUnexpectedEOF {
		return nil, nil
	}
	return t, nil
}

// adam7 is the interlacing: first column and row, and the steps, of a pass.
var adam7 = [7]struct{ x, y, dx, dy int }{
	{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2},
}

// maxDeflate bounds how much deflate can expand: 258 bytes from two bits.
const maxDeflate = 1032

// pixels decodes the picture data.
func (h *pngHeader) pixels(idat [][]byte) (*Image, error) {
	bits := h.depth * h.channels()
	size := 0
	readers := make([]io.Reader, len(idat))
	for i, d := range idat {
		size += len(d)
		readers[i] = bytes.NewReader(d)
	}
	// A file too short for its claimed size is refused before the picture is
	// allocated.
	if raw := (uint64(h.w)*uint64(bits)/8 + 1) * uint64(h.h); raw/maxDeflate > uint64(size) {
		return nil, ErrTruncated
	}
	z, err := zlib.NewReader(io.MultiReader(readers...))
	if err != nil {
		return nil, pngDataError(err)
	}
	im := newImage(h.w, h.h)
	lut := h.lut()
	n := (h.w*bits + 7) / 8
	bpp := max(bits/8, 1)
	cur, prev := make([]byte, n+1), make([]byte, n+1)
	row := make([]byte, 3*h.w)
	passes := adam7[:]
	if !h.interlaced {
		passes = []struct{ x, y, dx, dy int }{{0, 0, 1, 1}}
	}
	for _, p := range passes {
		w := (h.w - p.x + p.dx - 1) / p.dx
		if w <= 0 || p.y >= h.h {
			continue
		}
		n := (w*bits+7)/8 + 1
		clear(prev)
		for y := p.y; y < h.h; y += p.dy {
			if _, err := io.ReadFull(z, cur[:n]); err != nil {
				return nil, pngDataError(err)
			}
			if err := pngUnfilter(cur[0], cur[1:n], prev[1:n], bpp); err != nil {
				return nil, err
			}
			if p.dx == 1 {
				h.unpack(im.Pix[y*h.w*3:][:3*h.w], cur[1:n], w, lut)
			} else {
				h.unpack(row, cur[1:n], w, lut)
				dst := im.Pix[y*h.w*3:][:3*h.w]
				for i, x := 0, p.x; i < w; i, x = i+1, x+p.dx {
					copy(dst[3*x:3*x+3], row[3*i:3*i+3])
				}
			}
			cur, prev = prev, cur
		}
	}
	return im, inflateEnd(z)
}

// inflateEnd looks at what follows the last byte wanted of a zlib stream: as
// zlib does, it minds a wrong checksum and lets pass one that is cut off and
// data that go on.
func inflateEnd(z io.Reader) error {
	var b [1]byte
	if _, err := io.ReadFull(z, b[:]); errors.Is(err, zlib.ErrChecksum) {
		return fmt.Errorf("picture data: %w", err)
	}
	return nil
}

func pngDataError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return fmt.Errorf("picture data: %w", err)
}

// pngUnfilter undoes a row's filter in place (PNG specification, section 9).
func pngUnfilter(filter byte, cur, prev []byte, bpp int) error {
	switch filter {
	case 0:
	case 1:
		for i := bpp; i < len(cur); i++ {
			cur[i] += cur[i-bpp]
		}
	case 2:
		for i, p := range prev {
			cur[i] += p
		}
	case 3:
		for i := range min(bpp, len(cur)) {
			cur[i] += prev[i] / 2
		}
		for i := bpp; i < len(cur); i++ {
			cur[i] += byte((int(cur[i-bpp]) + int(prev[i])) / 2)
		}
	case 4:
		for i := range min(bpp, len(cur)) {
			cur[i] += prev[i]
		}
		for i := bpp; i < len(cur); i++ {
			a, b, c := int(cur[i-bpp]), int(prev[i]), int(prev[i-bpp])
			pa, pb := b-c, a-c
			pc := abs(pa + pb)
			pa, pb = abs(pa), abs(pb)
			switch {
			case pa <= pb && pa <= pc:
				cur[i] += byte(a)
			case pb <= pc:
				cur[i] += byte(b)
			default:
				cur[i] += byte(c)
			}
		}
	default:
		return fmt.Errorf("unknown row filter %d", filter)
	}
	return nil
}

func abs(x int) int {
	if x < 0 {
		return -x
	}
	return x
}

// lut maps a sample of up to 8 bits to RGB, for grey and palette pictures.
func (h *pngHeader) lut() *[256][3]uint8 {
	if h.depth > 8 || h.channels() != 1 {
		return nil
	}
	if h.colour == pngPalette {
		return paletteLUT(h.palette, 3, 0, 1, 2)
	}
	return greyLUT(h.depth)
}

// paletteLUT reads a palette of entries of the given size in bytes, with the
// offsets of red, green and blue in an entry. Indices beyond it are black.
func paletteLUT(p []byte, size, r, g, b int) *[256][3]uint8 {
	var lut [256][3]uint8
	for i := 0; i < 256 && (i+1)*size <= len(p); i++ {
		e := p[i*size:]
		lut[i] = [3]uint8{e[r], e[g], e[b]}
	}
	return &lut
}

// greyLUT spreads samples of 1, 2, 4 or 8 bits over 0..255.
func greyLUT(depth int) *[256][3]uint8 {
	var lut [256][3]uint8
	top := 1<<depth - 1
	for i := range 256 {
		v := uint8((i & top) * 255 / top)
		lut[i] = [3]uint8{v, v, v}
	}
	return &lut
}

// unpack turns a row of w pixels into RGB.
func (h *pngHeader) unpack(dst, src []byte, w int, lut *[256][3]uint8) {
	if lut != nil {
		unpackLUT(dst, src, w, h.depth, lut)
		return
	}
	step, hi := h.channels(), 1 // samples of a pixel, bytes of a sample
	if h.depth == 16 {
		hi = 2
	}
	switch h.colour {
	case pngGrey: // 16 bits: Pillow clips, it does not scale
		for x := range w {
			v := src[2*x+1]
			if src[2*x] != 0 {
				v = 255
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
		}
	case pngGreyAlpha:
		for x := range w {
			v := src[x*step*hi]
			dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
		}
	default: // RGB and RGBA: the high bytes
		for x := range w {
			s := src[x*step*hi:]
			dst[3*x], dst[3*x+1], dst[3*x+2] = s[0], s[hi], s[2*hi]
		}
	}
}

// unpackLUT looks up w samples of depth bits, most significant bits first.
func unpackLUT(dst, src []byte, w, depth int, lut *[256][3]uint8) {
	if depth == 8 {
		for x, v := range src[:w] {
			c := &lut[v]
			dst[3*x], dst[3*x+1], dst[3*x+2] = c[0], c[1], c[2]
		}
		return
	}
	mask := byte(1<<depth - 1)
	per := 8 / depth
	for x := range w {
		c := &lut[src[x/per]>>(8-depth-x%per*depth)&mask]
		dst[3*x], dst[3*x+1], dst[3*x+2] = c[0], c[1], c[2]
	}
}
