package pil

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"io"

	"golang.org/x/image/vp8"
	"golang.org/x/image/vp8l"
)

func isWebP(b []byte) bool {
	if len(b) < 16 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return false
	}
	switch string(b[12:16]) {
	case "VP8 ", "VP8L", "VP8X":
		return true
	}
	return false
}

// webpFile is what the container says: the canvas and the first frame on it.
type webpFile struct {
	w, h   int // canvas
	x, y   int // place of the frame
	fw, fh int
	lossy  []byte // VP8 data, or
	exact  []byte // VP8L data
	meta   metadata
}

func configWebP(b []byte, lim Limits) (int, int, error) {
	f, err := parseWebP(b, lim)
	if err != nil {
		return 0, 0, err
	}
	return f.w, f.h, nil
}

// riffChunk takes the next chunk off b.
func riffChunk(b []byte) (id string, data, rest []byte, err error) {
	if len(b) < 8 {
		return "", nil, nil, ErrTruncated
	}
	n := binary.LittleEndian.Uint32(b[4:])
	id, b = string(b[:4]), b[8:]
	if uint64(n) > uint64(len(b)) {
		return "", nil, nil, fmt.Errorf("%w: chunk %q", ErrTruncated, id)
	}
	data, rest = b[:n], b[n:]
	if n%2 == 1 && len(rest) > 0 {
		rest = rest[1:]
	}
	return id, data, rest, nil
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// parseWebP reads the container (WebP container specification).
func parseWebP(b []byte, lim Limits) (*webpFile, error) {
	size := uint64(binary.LittleEndian.Uint32(b[4:]))
	if size > uint64(len(b)-8) {
		return nil, ErrTruncated
	}
	b = b[12 : 8+max(size, 4)]
	f := &webpFile{}
	id, data, rest, err := riffChunk(b)
	if err != nil {
		return nil, err
	}
	if id != "VP8X" {
		if err := f.frame(id, data); err != nil {
			return nil, err
		}
		f.w, f.h = f.fw, f.fh
		return f, checkSize(f.w, f.h, lim)
	}
	if len(data) < 10 {
		return nil, errors.New("chunk VP8X is cut off")
	}
	animated := data[0]&2 != 0
	f.w, f.h = uint24(data[4:])+1, uint24(data[7:])+1
	if err := checkSize(f.w, f.h, lim); err != nil {
		return nil, err
	}
	for len(rest) >= 8 {
		id, data, rest, err = riffChunk(rest)
		if err != nil {
			return nil, err
		}
		seen := f.lossy != nil || f.exact != nil
		switch id {
		case "EXIF":
			f.meta.exif = data
		case "XMP ":
			f.meta.xmp = data
		case "VP8 ", "VP8L":
			if animated || seen {
				continue
			}
			if err := f.frame(id, data); err != nil {
				return nil, err
			}
			if f.fw != f.w || f.fh != f.h {
				return nil, fmt.Errorf("picture of %d×%d on a canvas of %d×%d", f.fw, f.fh, f.w, f.h)
			}
		case "ANMF":
			if !animated || seen {
				continue
			}
			if err := f.animationFrame(data); err != nil {
				return nil, err
			}
		}
	}
	if f.lossy == nil && f.exact == nil {
		return nil, errors.New("no picture data")
	}
	return f, nil
}

// animationFrame reads an ANMF chunk.
func (f *webpFile) animationFrame(b []byte) error {
	if len(b) < 16 {
		return errors.New("chunk ANMF is cut off")
	}
	f.x, f.y = 2*uint24(b), 2*uint24(b[3:])
	w, h := uint24(b[6:])+1, uint24(b[9:])+1
	for rest := b[16:]; len(rest) >= 8; {
		id, data, r, err := riffChunk(rest)
		if err != nil {
			return err
		}
		rest = r
		if id != "VP8 " && id != "VP8L" {
			continue
		}
		if err := f.frame(id, data); err != nil {
			return err
		}
		if f.fw != w || f.fh != h || f.x+w > f.w || f.y+h > f.h {
			return fmt.Errorf("frame of %d×%d at (%d, %d) does not fit", f.fw, f.fh, f.x, f.y)
		}
		return nil
	}
	return errors.New("frame without picture data")
}

// frame reads the size of a bitstream.
func (f *webpFile) frame(id string, data []byte) error {
	if id == "VP8L" {
		c, err := vp8l.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			return webpError(err)
		}
		f.fw, f.fh, f.exact = c.Width, c.Height, data
		return nil
	}
	d := vp8.NewDecoder()
	d.Init(bytes.NewReader(data), len(data))
	h, err := d.DecodeFrameHeader()
	if err != nil {
		return webpError(err)
	}
	if !h.KeyFrame {
		return errors.New("not a key frame")
	}
	f.fw, f.fh, f.lossy = h.Width, h.Height, data
	return nil
}

func webpError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}

func decodeWebP(b []byte, lim Limits) (*Image, orientation, error) {
	f, err := parseWebP(b, lim)
	if err != nil {
		return nil, 0, err
	}
	o, err := f.meta.orientation()
	if err != nil {
		return nil, 0, err
	}
	if err := checkSize(f.fw, f.fh, lim); err != nil {
		return nil, 0, err
	}
	var row func(y int, dst []uint8)
	if f.exact != nil {
		m, err := vp8l.Decode(bytes.NewReader(f.exact))
		if err != nil {
			return nil, 0, webpError(err)
		}
		n, ok := m.(*image.NRGBA)
		if !ok {
			return nil, 0, fmt.Errorf("decoder gave %T", m)
		}
		row = func(y int, dst []uint8) {
			src := n.Pix[y*n.Stride:][:4*f.fw]
			for x := range f.fw {
				dst[3*x], dst[3*x+1], dst[3*x+2] = src[4*x], src[4*x+1], src[4*x+2]
			}
		}
	} else {
		d := vp8.NewDecoder()
		d.Init(bytes.NewReader(f.lossy), len(f.lossy))
		if _, err := d.DecodeFrameHeader(); err != nil {
			return nil, 0, webpError(err)
		}
		// Every macroblock takes bits of the first partition.
		if f.fw/16*(f.fh/16)/64 > len(f.lossy) {
			return nil, 0, ErrTruncated
		}
		m, err := d.DecodeFrame()
		if err != nil {
			return nil, 0, webpError(err)
		}
		u := &webpUpsampler{m: m, w: f.fw, h: f.fh}
		row = u.row
	}
	im := newImage(f.w, f.h) // what the frame leaves free is transparent black
	for y := range f.fh {
		row(y, im.Pix[3*((f.y+y)*f.w+f.x):][:3*f.fw])
	}
	return im, o, nil
}

// webpUpsampler turns a decoded 4:2:0 picture into RGB rows as libwebp does:
// each chroma value is weighted 9:3:3:1 from the four nearest.
type webpUpsampler struct {
	m    *image.YCbCr
	w, h int
}

func (p *webpUpsampler) row(y int, dst []uint8) {
	m := p.m
	cw, ch := (p.w+1)/2, (p.h+1)/2
	near := y / 2
	far := near - 1
	if y%2 == 1 {
		far = near + 1
	}
	far = min(max(far, 0), ch-1)
	luma := m.Y[y*m.YStride:][:p.w]
	un, uf := m.Cb[near*m.CStride:][:cw], m.Cb[far*m.CStride:][:cw]
	vn, vf := m.Cr[near*m.CStride:][:cw], m.Cr[far*m.CStride:][:cw]
	put := func(x int, u, v int32) {
		dst[3*x], dst[3*x+1], dst[3*x+2] = webpRGB(int32(luma[x]), u, v)
	}
	edge := func(c int, near, far []uint8) int32 { return (3*int32(near[c]) + int32(far[c]) + 2) >> 2 }
	put(0, edge(0, un, uf), edge(0, vn, vf))
	for c := 1; 2*c-1 < p.w; c++ {
		if c == cw { // an even width ends between chroma samples
			put(p.w-1, edge(cw-1, un, uf), edge(cw-1, vn, vf))
			break
		}
		ul, ur := webpBlend(int32(un[c-1]), int32(un[c]), int32(uf[c-1]), int32(uf[c]))
		vl, vr := webpBlend(int32(vn[c-1]), int32(vn[c]), int32(vf[c-1]), int32(vf[c]))
		put(2*c-1, ul, vl)
		if 2*c < p.w {
			put(2*c, ur, vr)
		}
	}
}

// webpBlend gives the two values between chroma samples nl and nr of the near
// row, with fl and fr of the far row, in libwebp's order of roundings.
func webpBlend(nl, nr, fl, fr int32) (l, r int32) {
	sum := nl + nr + fl + fr + 8
	diagonal1 := (sum + 2*(nr+fl)) >> 3
	diagonal2 := (sum + 2*(nl+fr)) >> 3
	return (diagonal1 + nl) >> 1, (diagonal2 + nr) >> 1
}

// webpRGB is libwebp's fixed-point BT.601 conversion (limited range).
func webpRGB(y, u, v int32) (r, g, b uint8) {
	clip := func(v int32) uint8 {
		if v < 0 {
			return 0
		}
		return uint8(min(v>>6, 255))
	}
	l := y * 19077 >> 8
	return clip(l + (v * 26149 >> 8) - 14234),
		clip(l - (u * 6419 >> 8) - (v * 13320 >> 8) + 8708),
		clip(l + (u * 33050 >> 8) - 17685)
}
