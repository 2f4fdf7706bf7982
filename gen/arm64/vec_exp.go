package main

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

// power is 2ⁿ in two factors, since 2ⁿ itself may not be a float: 2^⌊n/2⌋ and
// the rest, or, if n is not large, 2^(n+64) and (nil) 2^-64.
type power struct{ first, second vecs }

// reduce splits x = n·ln2 + r; t is n + magic.
func (m simd) reduce(x vecs) (r, n, t vecs) {
	t = m.set(magic)
	m.accC(t, x, log2e)
	n = m.subC(t, magic)
	r = m.copy(x)
	m.accC(r, n, -ln2Hi)
	m.accC(r, n, -ln2Lo)
	return r, n, t
}

// power returns 2ⁿ for an integer n in [-256, 255]; t is n + magic.
func (m simd) power(t vecs) power {
	n := m.shift(shl, t, 23) // n<<23
	half := m.bits(and, m.shift(sshr, n, 1), 0xff800000)
	one := broadcast(floats(1), int(m))
	return power{m.op(addInt, half, one), m.op(addInt, m.op(subInt, n, half), one)}
}

// lowPower is power for n in [-190, 63].
func (m simd) lowPower(t vecs) power {
	return power{first: m.op(addInt, m.shift(shl, t, 23), broadcast(floats(0x1p64), int(m)))}
}

// scale is x·2ⁿ, rounded once.
func (m simd) scale(x vecs, p power) vecs {
	y := m.mul(x, p.first)
	if p.second == nil {
		return m.mulC(y, 0x1p-64)
	}
	return m.mul(y, p.second)
}

// exp is ref.Exp of each lane.
func (m simd) exp(x vecs) vecs {
	r, _, t := m.reduce(m.atMost(m.atLeast(x, expMin), expMax))
	return m.scale(m.poly(r, expPoly...), m.power(t))
}

// expNegative is exp for x ≤ 0 (or NaN), as softmax wants it: no upper bound.
func (m simd) expNegative(x vecs) vecs {
	r, _, t := m.reduce(m.atLeast(x, expMin))
	return m.scale(m.poly(r, expPoly...), m.lowPower(t))
}
