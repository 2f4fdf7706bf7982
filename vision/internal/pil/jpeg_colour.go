package pil

import "fmt"

// colourSpace of a JPEG's components.
type jpegSpace int

const (
	jpegGrey jpegSpace = iota
	jpegYCC
	jpegRGB
	jpegCMYK
	jpegYCCK
)

// colourSpace guesses as libjpeg does (jdapimin.c, default_decompress_parms).
func (d *jpegDecoder) colourSpace() (jpegSpace, error) {
	switch len(d.comps) {
	case 1:
		return jpegGrey, nil
	case 3:
		ids := [3]int{d.comps[0].id, d.comps[1].id, d.comps[2].id}
		switch {
		case d.jfif:
			return jpegYCC, nil
		case d.adobe && d.adobeTransform == 0:
			return jpegRGB, nil
		case d.adobe:
			return jpegYCC, nil
		case ids == [3]int{'R', 'G', 'B'}:
			return jpegRGB, nil
		}
		return jpegYCC, nil
	case 4:
		if d.adobe && d.adobeTransform != 0 {
			return jpegYCCK, nil
		}
		return jpegCMYK, nil
	}
	return 0, fmt.Errorf("%w: JPEG with %d components", ErrUnsupported, len(d.comps))
}

// Fixed-point YCbCr to RGB (JFIF 1.02, page 3), 16 fractional bits.
var ycc = func() (t struct{ crR, cbB, crG, cbG [256]int32 }) {
	const half = 1 << 15
	for i := range t.crR {
		x := int32(i) - 128
		t.crR[i] = (91881*x + half) >> 16  // 1.40200
		t.cbB[i] = (116130*x + half) >> 16 // 1.77200
		t.crG[i] = -46802 * x              // 0.71414
		t.cbG[i] = -22554*x + half         // 0.34414
	}
	return
}()

func clamp8(v int32) uint8 {
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return uint8(v)
}

func yccToRGB(y, cb, cr uint8) (r, g, b uint8) {
	l := int32(y)
	return clamp8(l + ycc.crR[cr]), clamp8(l + (ycc.cbG[cb]+ycc.crG[cr])>>16), clamp8(l + ycc.cbB[cb])
}

// rgb upsamples and converts the decoded planes.
func (d *jpegDecoder) rgb(space jpegSpace) (*Image, error) {
	im := newImage(d.w, d.h)
	err := d.eachRow(func(y int, rows [4][]uint8) {
		dst := im.Pix[3*y*d.w:][:3*d.w]
		a := rows[0]
		switch space {
		case jpegGrey:
			for x, v := range a {
				dst[3*x], dst[3*x+1], dst[3*x+2] = v, v, v
			}
		case jpegRGB:
			b, c := rows[1][:len(a)], rows[2][:len(a)]
			for x := range a {
				dst[3*x], dst[3*x+1], dst[3*x+2] = a[x], b[x], c[x]
			}
		case jpegYCC:
			b, c := rows[1][:len(a)], rows[2][:len(a)]
			for x := range a {
				dst[3*x], dst[3*x+1], dst[3*x+2] = yccToRGB(a[x], b[x], c[x])
			}
		case jpegCMYK, jpegYCCK:
			// Pillow takes every four-component JPEG for one of Adobe's, whose
			// samples are inverted.
			b, c, k := rows[1][:len(a)], rows[2][:len(a)], rows[3][:len(a)]
			for x := range a {
				cy, mg, yl := 255-a[x], 255-b[x], 255-c[x]
				if space == jpegYCCK {
					cy, mg, yl = yccToRGB(a[x], b[x], c[x])
				}
				dst[3*x], dst[3*x+1], dst[3*x+2] = cmykToRGB(cy, mg, yl, 255-k[x])
			}
		}
	})
	return im, err
}

// cmykToRGB is Pillow's conversion.
func cmykToRGB(c, m, y, k uint8) (r, g, b uint8) {
	n := int32(255 - k)
	f := func(v uint8) uint8 {
		t := int32(v)*n + 128
		return clamp8(n - (t>>8+t)>>8)
	}
	return f(c), f(m), f(y)
}

// eachRow calls f with every row of the picture, the components at full size.
func (d *jpegDecoder) eachRow(f func(y int, rows [4][]uint8)) error {
	var up [4]*upsampler
	for i := range d.comps {
		c := &d.comps[i]
		up[i] = newUpsampler(c, d.hmax/c.h, d.vmax/c.v, d.w)
	}
	var rows [4][]uint8
	for y := range d.h {
		for i := range d.comps {
			rows[i] = up[i].row(y)
		}
		f(y, rows)
	}
	return nil
}

// upsampler brings a component to full size, row by row.
type upsampler struct {
	c      *jpegComponent
	fx, fy int // factors
	w      int // of the picture
	fancy  bool
	out    []uint8
	sum    []int32 // h2v2: 3·near + far of the rows
}

func newUpsampler(c *jpegComponent, fx, fy, w int) *upsampler {
	u := &upsampler{c: c, fx: fx, fy: fy, w: w}
	switch {
	case fx == 2 && fy <= 2:
		u.fancy = c.w > 2
	case fx == 1 && fy == 2:
		u.fancy = true
	}
	u.out = make([]uint8, max(c.w*fx, w))
	if u.fancy && fx == 2 && fy == 2 {
		u.sum = make([]int32, c.w)
	}
	return u
}

// src is row y of the component, the first and last repeated beyond the edge.
func (u *upsampler) src(y int) []uint8 {
	y = min(max(y, 0), u.c.ht-1)
	return u.c.pix[y*u.c.stride*8:][:u.c.w]
}

// row gives row y of the picture; it is valid until the next call.
func (u *upsampler) row(y int) []uint8 {
	near := u.src(y / u.fy)
	switch {
	case u.fx == 1 && u.fy == 1:
		return near[:u.w]
	case !u.fancy:
		for x, v := range near {
			o := u.out[x*u.fx:][:u.fx]
			for i := range o {
				o[i] = v
			}
		}
		return u.out[:u.w]
	case u.fy == 1:
		triangleH(u.out, near)
		return u.out[:u.w]
	}
	// The farther of the two rows that share the output row.
	far, bias := u.src(y/2-1), int32(1)
	if y%2 == 1 {
		far, bias = u.src(y/2+1), 2
	}
	if u.fx == 1 {
		for x, v := range near {
			u.out[x] = uint8((3*int32(v) + int32(far[x]) + bias) >> 2)
		}
		return u.out[:u.w]
	}
	sum := u.sum
	for x, v := range near {
		sum[x] = 3*int32(v) + int32(far[x])
	}
	n := len(sum)
	u.out[0] = uint8((4*sum[0] + 8) >> 4)
	u.out[1] = uint8((3*sum[0] + sum[1] + 7) >> 4)
	for x := 1; x < n-1; x++ {
		u.out[2*x] = uint8((3*sum[x] + sum[x-1] + 8) >> 4)
		u.out[2*x+1] = uint8((3*sum[x] + sum[x+1] + 7) >> 4)
	}
	u.out[2*n-2] = uint8((3*sum[n-1] + sum[n-2] + 8) >> 4)
	u.out[2*n-1] = uint8((4*sum[n-1] + 7) >> 4)
	return u.out[:u.w]
}

// triangleH doubles a row with weights 3/4 and 1/4; len(in) > 2.
func triangleH(out, in []uint8) {
	n := len(in)
	out[0] = in[0]
	out[1] = uint8((3*int32(in[0]) + int32(in[1]) + 2) >> 2)
	for x := 1; x < n-1; x++ {
		v := 3 * int32(in[x])
		out[2*x] = uint8((v + int32(in[x-1]) + 1) >> 2)
		out[2*x+1] = uint8((v + int32(in[x+1]) + 2) >> 2)
	}
	out[2*n-2] = uint8((3*int32(in[n-1]) + int32(in[n-2]) + 1) >> 2)
	out[2*n-1] = in[n-1]
}
