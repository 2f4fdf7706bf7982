package ktest

import "math"

// half the distance of 1 from the next float32: the relative error of one
// rounding.
const unitRoundoff = 0x1p-24

// Gemm computes c = a·b in float64 for a [m, k] with row stride lda and
// b [k, n] with strides brow, bcol (in elements), and bounds how far any
// order of float32 fused multiply-adds may be from it (Higham 2002, 3.5).
// A sum that overflows or meets a NaN has no finite bound.
func Gemm(a []float32, lda int, b []float32, brow, bcol, m, n, k int) (c, bound []float64) {
	c, bound = make([]float64, m*n), make([]float64, m*n)
	for i := range m {
		for j := range n {
			s, abs := 0.0, 0.0
			for p := range k {
				x := float64(a[i*lda+p]) * float64(b[p*brow+j*bcol])
				s += x
				abs += math.Abs(x)
			}
			c[i*n+j] = s
			bound[i*n+j] = abs*float64(k+1)*unitRoundoff + float64(k+1)*0x1p-149
		}
	}
	return c, bound
}

// Window is the geometry of a convolution.
type Window struct {
	KH, KW, Groups         int
	StrideH, StrideW       int
	PadT, PadL, PadB, PadR int
	DilH, DilW             int
}

// Out returns the size of the output for an input of h by w.
func (g Window) Out(h, w int) (oh, ow int) {
	return (h+g.PadT+g.PadB-g.DilH*(g.KH-1)-1)/g.StrideH + 1, (w+g.PadL+g.PadR-g.DilW*(g.KW-1)-1)/g.StrideW + 1
}

// Conv2D convolves x [h, w, cin] with weight [cout, cin/groups, kh, kw] in
// float64; dst is [oh, ow, cout].
func Conv2D(x []float32, h, w, cin int, weight []float32, cout int, g Window) (dst, bound []float64) {
	oh, ow := g.Out(h, w)
	dst, bound = make([]float64, oh*ow*cout), make([]float64, oh*ow*cout)
	ci, co := cin/g.Groups, cout/g.Groups
	for at := range dst {
		oy, ox, o := at/cout/ow, at/cout%ow, at%cout
		s, abs := 0.0, 0.0
		for c := range ci {
			for ky := range g.KH {
				for kx := range g.KW {
					y, z := oy*g.StrideH-g.PadT+ky*g.DilH, ox*g.StrideW-g.PadL+kx*g.DilW
					if y < 0 || y >= h || z < 0 || z >= w {
						continue
					}
					v := float64(x[(y*w+z)*cin+o/co*ci+c]) * float64(weight[((o*ci+c)*g.KH+ky)*g.KW+kx])
					s += v
					abs += math.Abs(v)
				}
			}
		}
		k := float64(ci*g.KH*g.KW + 1)
		dst[at], bound[at] = s, abs*k*unitRoundoff+k*0x1p-149
	}
	return dst, bound
}
