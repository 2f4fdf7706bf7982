// Package fft computes discrete Fourier transforms of real signals of any
// length in float64.
package fft

import (
	"math"
	"math/bits"
)

// maxRadix is the greatest prime factor that is transformed directly; lengths
// with a greater one go through Bluestein's algorithm.
const maxRadix = 13

// Real transforms real signals of one length. It is safe for concurrent use.
type Real struct {
	n     int
	half  *plan        // of n/2 complex values, for even n
	whole *plan        // of n, for odd n
	turn  []complex128 // exp(−2πi k/n), k < n/2, for even n
}

// NewReal plans transforms of n ≥ 1 values.
func NewReal(n int) *Real {
	r := &Real{n: n}
	if n%2 != 0 {
		r.whole = newPlan(n)
		return r
	}
	r.half = newPlan(n / 2)
	r.turn = make([]complex128, n/2)
	for k := range r.turn {
		r.turn[k] = unit(k, n)
	}
	return r
}

// Work is the memory of one caller of [Real.Transform].
type Work struct{ in, out, conv []complex128 }

// NewWork returns memory for Transform.
func (r *Real) NewWork() *Work {
	p := r.whole
	if p == nil {
		p = r.half
	}
	w := &Work{in: make([]complex128, p.n), out: make([]complex128, p.n)}
	if p.chirp != nil {
		w.conv = make([]complex128, 2*p.inner.n)
	}
	return w
}

// Transform computes
//
//	dst[k] = Σ_t x[t] exp(−2πi kt/n)  for k = 0 … n/2
//
// len(x) is n and len(dst) n/2+1. w comes from NewWork and is one caller's.
func (r *Real) Transform(dst []complex128, x []float64, w *Work) {
	if r.whole != nil {
		for i, v := range x {
			w.in[i] = complex(v, 0)
		}
		r.whole.transform(w.out, w.in, w.conv)
		copy(dst, w.out[:r.n/2+1])
		return
	}
	// Even and odd values are the real and imaginary parts of one transform of
	// half the length, taken apart by symmetry.
	h := r.n / 2
	for i := range h {
		w.in[i] = complex(x[2*i], x[2*i+1])
	}
	z := w.out
	r.half.transform(z, w.in, w.conv)
	dst[0] = complex(real(z[0])+imag(z[0]), 0)
	dst[h] = complex(real(z[0])-imag(z[0]), 0)
	for k := 1; k < h; k++ {
		a, b := z[k], conj(z[h-k])
		even, odd := a+b, mul(minusI(a-b), r.turn[k])
		dst[k] = complex((real(even)+real(odd))*0.5, (imag(even)+imag(odd))*0.5)
	}
}

// The products are rounded before they are added, so that the results are the
// same on machines for which the compiler fuses the two.

func mul(a, b complex128) complex128 {
	return complex(float64(real(a)*real(b))-float64(imag(a)*imag(b)), float64(real(a)*imag(b))+float64(imag(a)*real(b)))
}

func scale(a complex128, f float64) complex128 {
	return complex(float64(real(a)*f), float64(imag(a)*f))
}
func conj(a complex128) complex128   { return complex(real(a), -imag(a)) }
func minusI(a complex128) complex128 { return complex(imag(a), -real(a)) }

// unit returns exp(−2πi k/n).
func unit(k, n int) complex128 {
	s, c := math.Sincos(2 * math.Pi * float64(k) / float64(n))
	return complex(c, -s)
}

// plan transforms n complex values.
type plan struct {
	n      int
	stages []stage
	// Bluestein's algorithm (1970): kt = (k² + t² − (k−t)²)/2 makes the
	// transform a convolution with a chirp, done by transforms of a power of 2.
	inner *plan
	chirp []complex128 // exp(−πi k²/n)
	freq  []complex128 // the transform of the conjugate chirp
}

// stage is one pass of Stockham's algorithm (decimation in frequency), after
// which the values are in order without a permutation: s interleaved transforms
// of radix·m values become radix·s of m.
type stage struct {
	radix, m, s int
	turn        []complex128 // exp(−2πi pr/(radix·m)) at p·(radix−1) + r−1, r ≥ 1
	roots       []complex128 // exp(−2πi k/radix)
}

func newPlan(n int) *plan {
	p := &plan{n: n}
	m, s := n, 1
	for _, f := range []int{4, 2, 3, 5, 7, 11, maxRadix} {
		for m%f == 0 {
			st := stage{radix: f, m: m / f, s: s}
			for p := range st.m {
				for r := 1; r < f; r++ {
					st.turn = append(st.turn, unit(p*r, m))
				}
			}
			for k := range f {
				st.roots = append(st.roots, unit(k, f))
			}
			p.stages = append(p.stages, st)
			m, s = m/f, s*f
		}
	}
	if m > 1 {
		p.stages = nil
		p.bluestein()
	}
	return p
}

func (p *plan) bluestein() {
	p.inner = newPlan(1 << bits.Len(uint(2*p.n-2)))
	p.chirp = make([]complex128, p.n)
	b := make([]complex128, p.inner.n)
	square := 0 // k² mod 2n
	for k := range p.chirp {
		p.chirp[k] = unit(square, 2*p.n)
		b[k] = conj(p.chirp[k])
		if k > 0 {
			b[len(b)-k] = b[k]
		}
		square = (square + 2*k + 1) % (2 * p.n)
	}
	p.freq = make([]complex128, len(b))
	p.inner.transform(p.freq, b, nil)
}

// transform transforms src into dst, both of n values, and spoils src. conv has
// twice the length of the inner plan, if there is one.
func (p *plan) transform(dst, src, conv []complex128) {
	if p.chirp == nil {
		from, to := src, dst
		for i := range p.stages {
			p.stages[i].run(to, from)
			from, to = to, from
		}
		if len(p.stages)%2 == 0 {
			copy(dst, src)
		}
		return
	}
	m := p.inner.n
	a, b := conv[:m], conv[m:2*m]
	clear(a)
	for k, c := range p.chirp {
		a[k] = mul(src[k], c)
	}
	p.inner.transform(b, a, nil)
	// The inverse is the transform of the conjugate, conjugated and divided.
	for k, f := range p.freq {
		b[k] = conj(mul(b[k], f))
	}
	p.inner.transform(a, b, nil)
	for k, c := range p.chirp {
		dst[k] = scale(mul(conj(a[k]), c), 1/float64(m))
	}
}

// run computes, for p < m and q < s,
//
//	y[(radix·p + r)·s + q] = exp(−2πi pr/(radix·m)) Σ_i x[(p + m·i)·s + q] exp(−2πi ir/radix)
func (st *stage) run(y, x []complex128) {
	s, block := st.s, st.m*st.s
	for p := range st.m {
		in, out := x[p*s:], y[p*s*st.radix:][:s*st.radix]
		turn := st.turn[p*(st.radix-1):][:st.radix-1]
		switch st.radix {
		case 2:
			radix2(out, in[:s], in[block:][:s], turn[0])
		case 4:
			radix4(out, in[:s], in[block:][:s], in[2*block:][:s], in[3*block:][:s], turn)
		case 5:
			radix5(out, in[:s], in[block:][:s], in[2*block:][:s], in[3*block:][:s], in[4*block:][:s], turn)
		default:
			st.any(out, in, turn)
		}
	}
}

func radix2(y, x0, x1 []complex128, w complex128) {
	y0, y1 := y[:len(x0)], y[len(x0):][:len(x0)]
	x1 = x1[:len(x0)]
	for q, a := range x0 {
		b := x1[q]
		y0[q], y1[q] = a+b, mul(a-b, w)
	}
}

func radix4(y, x0, x1, x2, x3, turn []complex128) {
	s := len(x0)
	w1, w2, w3 := turn[0], turn[1], turn[2]
	y0, y1, y2, y3 := y[:s], y[s:][:s], y[2*s:][:s], y[3*s:][:s]
	x1, x2, x3 = x1[:s], x2[:s], x3[:s]
	for q := range s {
		a, b, c, d := x0[q], x1[q], x2[q], x3[q]
		sum, diff, sum1, diff1 := a+c, a-c, b+d, minusI(b-d)
		y0[q], y1[q] = sum+sum1, mul(diff+diff1, w1)
		y2[q], y3[q] = mul(sum-sum1, w2), mul(diff-diff1, w3)
	}
}

func radix5(y, x0, x1, x2, x3, x4, turn []complex128) {
	// cos and sin of 2π/5 and 4π/5.
	const c1, c2 = 0.309016994374947424102293417183, -0.809016994374947424102293417183
	const s1, s2 = 0.951056516295153572116439333379, 0.587785252292473129168705954639
	s := len(x0)
	w1, w2, w3, w4 := turn[0], turn[1], turn[2], turn[3]
	y0, y1, y2, y3, y4 := y[:s], y[s:][:s], y[2*s:][:s], y[3*s:][:s], y[4*s:][:s]
	x1, x2, x3, x4 = x1[:s], x2[:s], x3[:s], x4[:s]
	for q := range s {
		a := x0[q]
		sum1, diff1 := x1[q]+x4[q], minusI(x1[q]-x4[q])
		sum2, diff2 := x2[q]+x3[q], minusI(x2[q]-x3[q])
		even1 := a + scale(sum1, c1) + scale(sum2, c2)
		even2 := a + scale(sum1, c2) + scale(sum2, c1)
		odd1 := scale(diff1, s1) + scale(diff2, s2)
		odd2 := scale(diff1, s2) - scale(diff2, s1)
		y0[q] = a + sum1 + sum2
		y1[q], y4[q] = mul(even1+odd1, w1), mul(even1-odd1, w4)
		y2[q], y3[q] = mul(even2+odd2, w2), mul(even2-odd2, w3)
	}
}

// any is the stage for any radix.
func (st *stage) any(y, x, turn []complex128) {
	s, block := st.s, st.m*st.s
	for q := range s {
		for r := range st.radix {
			sum := x[q]
			for i := 1; i < st.radix; i++ {
				sum += mul(x[i*block+q], st.roots[i*r%st.radix])
			}
			if r > 0 {
				sum = mul(sum, turn[r-1])
			}
			y[r*s+q] = sum
		}
	}
}
