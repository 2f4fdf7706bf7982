package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// The constants of kernels/ref/exp.go, which explains them.
const (
	log2e  = 0x1.715476p0
	ln2Hi  = 0x1.63p-1
	ln2Lo  = -0x1.bd0106p-13
	magic  = 0x1.8p23
	expMin = -104
	expMax = 89
)

// expPoly are the coefficients of e^r, |r| ≤ ln(2)/2, highest first.
var expPoly = []float32{0x1.6a4f28p-10, 0x1.12398p-7, 0x1.5558aep-5, 0x1.555492p-3, 0x1.fffffcp-2, 1, 1}

// power is 2ⁿ on its way: AVX-512 keeps n as a float; the others keep two
// factors, since 2ⁿ itself may not be a float: 2^⌊n/2⌋ and the rest, or, if n
// is not large, 2^(n+64) and the constant 2^-64.
type power struct{ n, first, second vecs }

// reduce splits x = n·ln2 + r. x is overwritten with r; t is n + magic.
func (m simd) reduce(x vecs) (r, n, t vecs) {
	t = m.set(magic)
	m.accC(t, x, log2e)
	n = m.subC(t, magic)
	m.accC(x, n, -ln2Hi)
	m.accC(x, n, -ln2Lo)
	return x, n, t
}

// power returns 2ⁿ for an integer n in [-256, 255]; t is n + magic.
func (m simd) power(n, t vecs) power {
	if m.lanes == 16 {
		return power{n: n}
	}
	p := power{first: m.alloc(), second: m.alloc()}
	for i := range t {
		VPSLLD(Imm(23), t[i], p.second[i]) // n<<23
		VPSRAD(Imm(1), p.second[i], p.first[i])
		VPAND(m.bits(0xff800000), p.first[i], p.first[i])
		VPSUBD(p.first[i], p.second[i], p.second[i])
		VPADDD(m.float(1), p.first[i], p.first[i])
		VPADDD(m.float(1), p.second[i], p.second[i])
	}
	return p
}

// lowPower is power for n in [-190, 63].
func (m simd) lowPower(n, t vecs) power {
	if m.lanes == 16 {
		return power{n: n}
	}
	p := power{first: m.alloc()}
	for i := range t {
		VPSLLD(Imm(23), t[i], p.first[i])
		VPADDD(m.float(0x1p64), p.first[i], p.first[i])
	}
	return p
}

// scale is x·2ⁿ, rounded once. x is overwritten.
func (m simd) scale(x vecs, p power) vecs {
	for i := range x {
		if m.lanes == 16 {
			VSCALEFPS(p.n[i], x[i], x[i])
			continue
		}
		VMULPS(p.first[i], x[i], x[i])
		if p.second == nil {
			VMULPS(m.float(0x1p-64), x[i], x[i])
		} else {
			VMULPS(p.second[i], x[i], x[i])
		}
	}
	return x
}

// exp is ref.Exp of each lane. x is overwritten.
func (m simd) exp(x vecs) vecs {
	x = m.atMost(m.atLeast(x, expMin), expMax)
	r, n, t := m.reduce(x)
	return m.scale(m.poly(r, expPoly...), m.power(n, t))
}

// expNegative is exp for x ≤ 0 (or NaN), as softmax wants it: no upper bound.
func (m simd) expNegative(x vecs) vecs {
	r, n, t := m.reduce(m.atLeast(x, expMin))
	return m.scale(m.poly(r, expPoly...), m.lowPower(n, t))
}
