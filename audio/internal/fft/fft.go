// Package fft computes discrete Fourier transforms of real signals of any
// length in float64.
package fft

import (
	"math"
	"math/bits"
	"math/cmplx"
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
		a, b := z[k], cmplx.Conj(z[h-k])
		even, odd := (a+b)/2, (a-b)*complex(0, -0.5)
		dst[k] = even + odd*r.turn[k]
	}
}

// unit returns exp(−2πi k/n).
func unit(k, n int) complex128 {
	s, c := math.Sincos(2 * math.Pi * float64(k) / float64(n))
	return complex(c, -s)
}

// plan transforms n complex values.
type plan struct {
	n       int
	factors []int
	turn    []complex128 // exp(−2πi k/n), k < n
	// Bluestein's algorithm (1970): kt = (k² + t² − (k−t)²)/2 makes the
	// transform a convolution with a chirp, done by transforms of a power of 2.
	inner *plan
	chirp []complex128 // exp(−πi k²/n)
	freq  []complex128 // the transform of the conjugate chirp
}

func newPlan(n int) *plan {
	p := &plan{n: n}
	m := n
	for _, f := range []int{4, 2, 3, 5, 7, 11, maxRadix} {
		for m%f == 0 {
			p.factors = append(p.factors, f)
			m /= f
		}
	}
	if m > 1 {
		p.bluestein()
		return p
	}
	p.turn = make([]complex128, n)
	for k := range p.turn {
		p.turn[k] = unit(k, n)
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
		b[k] = cmplx.Conj(p.chirp[k])
		if k > 0 {
			b[len(b)-k] = b[k]
		}
		square = (square + 2*k + 1) % (2 * p.n)
	}
	p.freq = make([]complex128, len(b))
	p.inner.transform(p.freq, b, nil)
}

func (p *plan) transform(dst, src, conv []complex128) {
	if p.chirp == nil {
		p.mixed(dst, src, 1, p.factors)
		return
	}
	m := p.inner.n
	a, b := conv[:m], conv[m:2*m]
	clear(a)
	for k, c := range p.chirp {
		a[k] = src[k] * c
	}
	p.inner.transform(b, a, nil)
	// The inverse is the transform of the conjugate, conjugated and divided.
	for k := range b {
		b[k] = cmplx.Conj(b[k] * p.freq[k])
	}
	p.inner.transform(a, b, nil)
	for k, c := range p.chirp {
		dst[k] = cmplx.Conj(a[k]) / complex(float64(m), 0) * c
	}
}

// mixed is Cooley and Tukey's recursion, decimation in time: the transform of
// src[0], src[stride], src[2·stride] … into dst.
func (p *plan) mixed(dst, src []complex128, stride int, factors []int) {
	if len(factors) == 0 {
		dst[0] = src[0]
		return
	}
	f, m := factors[0], len(dst)/factors[0]
	if m == 1 {
		for q := range f {
			dst[q] = src[q*stride]
		}
	} else {
		for q := range f {
			p.mixed(dst[q*m:(q+1)*m], src[q*stride:], stride*f, factors[1:])
		}
	}
	switch f {
	case 2:
		for k := range m {
			a, b := dst[k], dst[m+k]*p.turn[k*stride]
			dst[k], dst[m+k] = a+b, a-b
		}
	case 4:
		for k := range m {
			a, b := dst[k], dst[m+k]*p.turn[k*stride]
			c, d := dst[2*m+k]*p.turn[2*k*stride], dst[3*m+k]*p.turn[3*k*stride]
			s, t, u, v := a+c, a-c, b+d, b-d
			v = complex(imag(v), -real(v)) // · −i
			dst[k], dst[m+k], dst[2*m+k], dst[3*m+k] = s+u, t+v, s-u, t-v
		}
	default:
		var in [maxRadix]complex128
		step := len(p.turn) / f
		for k := range m {
			for q := range f {
				in[q] = dst[q*m+k] * p.turn[q*k*stride]
			}
			for j := range f {
				sum := in[0]
				for q := 1; q < f; q++ {
					sum += in[q] * p.turn[j*q%f*step]
				}
				dst[j*m+k] = sum
			}
		}
	}
}
