package main

import "math"

// The tables of kernels/ref/activation.go, which explains them.
var (
	phiAt = [8]float32{0x1.b898p0, 0x1.6b8d8p1, 0x1.1e04p2, 0x1.b4548p2, 0x1.4d2p3, 0x1.b000bep3, 0x1.03dp-2, 0x1.bb37p-1}
	phi   = [8][8]float32{
		{0x1.7fd526p-3, 0x1.049d0cp-3, 0x1.5d919ap-4, 0x1.d5a73cp-5, 0x1.371df6p-5, 0x1.e18d0ap-6, 0x1.a6d84ep-2, 0x1.1ff77ep-2},
		{-0x1.a154f8p-2, -0x1.2ddc16p-2, -0x1.a4ececp-3, -0x1.20ad2ep-3, -0x1.8283b4p-4, -0x1.2c29e8p-4, -0x1.6cbea4p-1, -0x1.1b1f08p-1},
		{0x1.31be48p-3, 0x1.4d4892p-4, 0x1.4dc678p-5, 0x1.3f9d12p-6, 0x1.214bcp-7, 0x1.5e1ad8p-8, 0x1.a374bp-2, 0x1.0aea3cp-2},
		{-0x1.9b493cp-5, -0x1.5bc49ep-6, -0x1.001356p-7, -0x1.5bba42p-9, -0x1.ad78a6p-11, -0x1.963abap-12, -0x1.9f60f6p-3, -0x1.beebep-4},
		{0x1.0178d2p-6, 0x1.5928d4p-8, 0x1.7cf126p-10, 0x1.73cb4cp-12, 0x1.3bc5fcp-14, 0x1.d4f918p-16, 0x1.6ec06ep-4, 0x1.545decp-5},
		{-0x1.2ec536p-8, -0x1.48a94p-10, -0x1.152044p-12, -0x1.899d74p-15, -0x1.cb94c4p-18, -0x1.1156ecp-19, -0x1.26c22ap-5, -0x1.de77dep-7},
		{0x1.5d656p-10, 0x1.37ebd4p-12, 0x1.9843fcp-15, 0x1.ac0e6ap-18, 0x1.63d36p-21, 0x1.38defp-23, 0x1.bb6e8ap-7, 0x1.4094d2p-8},
		{-0x1.8c2378p-12, -0x1.01c35p-14, -0x1.f0bbccp-18, -0x1.849f1p-21, -0x1.1294d2p-24, 0x1.fa8ed2p-30, -0x1.48aa42p-8, -0x1.b0e9ccp-10},
	}
)

var (
	halfPoly   = []float32{0x1.6a4f28p-16, -0x1.12398p-12, 0x1.5558aep-9, -0x1.555492p-6, 0x1.fffffcp-4, -0.5}
	erfPoly    = []float32{-0x1.238cdap-19, 0x1.69b1b2p-14, -0x1.a998eep-11, 0x1.5482fep-8, -0x1.b8044ep-6, 0x1.ce2d74p-4, -0x1.81274p-2, 0x1.06eba8p-3}
	artanhPoly = []float32{0x1.f08af8p-3, 0x1.b72bb8p-3, 0x1.25051p-2, 0x1.9996d8p-2, 0x1.555558p-1, 2}
)

const (
	phiMax      = 14.5
	logisticMax = 110
	sqrt2       = 0x1.6a09e6p0
)

// indices turns words i into the bytes 4·(i mod 8) … 4·(i mod 8)+3, for lookup.
func (m simd) indices(x vecs) vecs {
	i := m.bits(mulInt, m.bits(and, x, 7), 0x04040404)
	return m.bits(addInt, i, 0x03020100)
}

// lookup is t[i] in each lane, where index is what indices made of i. The two
// registers of a table have to be neighbours.
func (m simd) lookup(t [8]float32, index vecs) vecs {
	words := make([]uint32, 8)
	for i, c := range t {
		words[i] = math.Float32bits(c)
	}
	at := cur.file.constant(words...)
	low, high := cur.fixedV(30), cur.fixedV(31)
	ldrQ(low, cur.table, at)
	ldrQ(high, cur.table, at+16)
	return m.each(func(d, n *reg) { tbl2(d, low, high, n) }, index)
}

// act is an activation function: its name in kernels/ref, and its code.
type act struct {
	name string
	f    func(m simd, x vecs) vecs
}

var acts = []act{
	{"None", func(m simd, x vecs) vecs { return x }},
	{"GELU", simd.gelu},
	{"GELUTanh", simd.geluTanh},
	{"ReLU", simd.relu},
	{"SiLU", simd.silu},
	{"QuickGELU", simd.quickGELU},
	{"Tanh", simd.tanh},
	{"Sigmoid", simd.sigmoid},
	{"GELU10", func(m simd, x vecs) vecs { return m.atMost(m.atLeast(m.gelu(x), -10), 10) }},
	{"ReLU2", func(m simd, x vecs) vecs { y := m.relu(x); return m.mul(y, y) }},
	{"ReLU6", simd.relu6},
	{"LeakyReLU", func(m simd, x vecs) vecs { return m.max(m.mulC(x, 0.01), x) }},
	{"Hardsigmoid", simd.hardsigmoid},
	{"Hardswish", func(m simd, x vecs) vecs { return m.mul(x, m.hardsigmoid(x)) }},
	{"Hardtanh", func(m simd, x vecs) vecs { return m.atMost(m.atLeast(x, -1), 1) }},
	{"ELU", simd.elu},
	{"Softplus", simd.softplus},
	{"SqrtSoftplus", func(m simd, x vecs) vecs { return m.each(fsqrt, m.softplus(x)) }},
	{"Mish", simd.mish},
	{"Laplace", simd.laplace},
	{"Erf", simd.erf},
	{"Exp", simd.exp},
}

func (m simd) relu(x vecs) vecs        { return m.max(broadcast(m.zero()[0], int(m)), x) }
func (m simd) relu6(x vecs) vecs       { return m.atMost(m.relu(x), 6) }
func (m simd) hardsigmoid(x vecs) vecs { return m.opC(fdiv, m.relu6(m.addC(x, 3)), 6) }

// clip is min(|x|, c); a NaN becomes c.
func (m simd) clip(x vecs, c float32) vecs { return m.min(m.abs(x), broadcast(floats(c), int(m))) }

// phiTail is a·Φ(-t), from 0 ≤ t ≤ phiMax.
func (m simd) phiTail(a, t vecs) vecs {
	index := m.indices(m.shift(ushr, m.bits(subInt, m.addC(t, 19./16), 3<<19), 22))
	h := m.sub(t, m.lookup(phiAt, index))
	q := m.lookup(phi[7], index)
	for k := 6; k >= 1; k-- {
		next := m.lookup(phi[k], index)
		m.acc(next, q, h)
		q = next
	}
	q = m.mul(h, q)
	c := m.mul(a, m.lookup(phi[0], index))

	tn := m.set(magic)
	m.accC(tn, m.mul(t, t), -log2e/2)
	n := m.subC(tn, magic)
	r := m.mulC(n, 2*ln2Hi)
	m.acc(r, t, t)
	m.accC(r, n, 2*ln2Lo)
	e := m.mul(r, m.poly(r, halfPoly...))

	z := m.add(e, q)
	m.acc(z, e, q)
	y := m.copy(c)
	m.acc(y, z, c)
	return m.scale(y, m.lowPower(tn))
}

func (m simd) gelu(x vecs) vecs {
	t := m.clip(x, phiMax)
	y := m.phiTail(t, t)
	return m.sub(m.relu(x), y)
}

func (m simd) erf(x vecs) vecs {
	t := m.clip(x, 4)
	y := m.phiTail(m.set(2), m.mulC(t, sqrt2))
	y = m.sub(m.set(1), y)
	small := m.copy(t)
	m.acc(small, m.poly(m.mul(t, t), erfPoly...), t)
	return m.signed(m.where(m.subC(t, 1), small, y), x)
}

func (m simd) laplace(x vecs) vecs {
	z := m.opC(fdiv, m.subC(x, 0.707107), 0.282095)
	y := m.phiTail(m.set(1), m.clip(z, phiMax))
	return m.orNaN(m.where(z, y, m.sub(m.set(1), y)), z)
}

// quotient is a/(d+low).
func (m simd) quotient(a, d, low vecs) vecs {
	inv := m.div(m.set(1), d)
	q := m.mul(a, inv)
	rest := m.copy(a)
	m.nacc(rest, q, d)
	m.nacc(rest, q, low)
	m.acc(q, rest, inv)
	return q
}

// logisticTail is a/(1+e^(v+low)); an a of nil is 1, a low of nil 0.
func (m simd) logisticTail(a, v, low vecs) vecs {
	r, _, t := m.reduce(m.neg(v))
	if low != nil {
		r = m.sub(r, low)
	}
	p := m.poly(r, expPoly[:6]...) // e^r = r·p + 1
	w := m.lowPower(t)
	q := m.set(1)
	m.acc(q, p, r)
	e := m.scale(q, w)
	d := m.addC(e, 1)
	e = m.sub(e, m.subC(d, 1))
	if a != nil {
		q = m.copy(a)
		m.acc(q, p, m.mul(r, a))
	}
	return m.scale(m.quotient(q, d, e), w)
}

func (m simd) sigmoid(x vecs) vecs {
	y := m.logisticTail(nil, m.atMost(m.abs(x), logisticMax), nil)
	return m.where(x, y, m.sub(m.set(1), y))
}

func (m simd) silu(x vecs) vecs {
	t := m.clip(x, logisticMax)
	y := m.logisticTail(t, t, nil)
	return m.sub(m.relu(x), y)
}

func (m simd) quickGELU(x vecs) vecs {
	t := m.clip(x, 64.5)
	v := m.mulC(t, 1.702)
	low := m.low(t, broadcast(floats(1.702), int(m)), v)
	return m.sub(m.relu(x), m.logisticTail(t, v, low))
}

func (m simd) geluTanh(x vecs) vecs {
	const (
		a    = 0x1.9884p0
		aLow = 0x1.4cf50ep-18
		b    = 0x1.2444f2p-4
		bLow = 0x1.49b16ap-29
	)
	t := m.clip(x, 10.9)
	s := m.mul(t, t)
	low := m.low(t, t, s)
	w := m.set(a)
	m.accC(w, s, b)
	wLow := m.sub(m.set(a), w)
	m.accC(wLow, s, b)
	m.accC(wLow, s, bLow)
	m.accC(wLow, low, b)
	wLow = m.addC(wLow, aLow)
	v := m.mul(t, w)
	vLow := m.low(t, w, v)
	m.acc(vLow, t, wLow)
	return m.sub(m.relu(x), m.logisticTail(t, v, vLow))
}

// expm1 is e^x - 1 for x in [-30, 80].
func (m simd) expm1(x vecs) vecs {
	r, _, t := m.reduce(x)
	p := m.copy(r)
	m.acc(p, m.poly(r, expPoly[:5]...), m.mul(r, r))
	s := m.op(addInt, m.shift(shl, t, 23), broadcast(floats(1), int(m)))
	y := m.subC(s, 1)
	m.acc(y, p, s)
	return y
}

func (m simd) tanh(x vecs) vecs {
	t := m.clip(x, 10)
	e := m.expm1(m.add(t, t))
	d := m.addC(e, 2)
	low := m.sub(e, m.subC(d, 2))
	return m.signed(m.quotient(e, d, low), x)
}

func (m simd) elu(x vecs) vecs {
	y := m.expm1(m.atLeast(x, -30))
	return m.where(x, y, x)
}

func (m simd) softplus(x vecs) vecs {
	r, _, t := m.reduce(m.neg(m.atMost(m.abs(x), logisticMax)))
	p := m.poly(r, expPoly...)
	w := m.lowPower(t)
	q := m.div(p, m.addC(m.scale(p, w), 2))
	s := m.scale(q, w)
	y := m.mul(q, m.poly(m.mul(s, s), artanhPoly...))
	return m.add(m.relu(x), m.scale(y, w))
}

func (m simd) mish(x vecs) vecs {
	x = m.atLeast(x, -logisticMax)
	r, _, t := m.reduce(m.atMost(x, 20))
	p := m.poly(r, expPoly...)
	w := m.power(t)
	e := m.scale(p, w)
	f := m.addC(e, 2)
	d := m.set(2)
	m.acc(d, e, f)
	return m.scale(m.mul(x, m.div(m.mul(p, f), d)), w)
}

// actRows writes the activation kernels.
func actRows() {
	for _, a := range acts {
		text("Act"+a.name+"F32", "dst *float32, ldd int, x *float32, ldx int, bias *float32, with *float32, ldw int, mul bool, rows int, cols int", "",
			"applies ref."+a.name+" to the sum of x and a bias, then adds or multiplies:",
			"	for i := range rows {",
			"		for j := range cols {",
			"			y := f(x[i*ldx+j] + bias[j])",
			"			dst[i*ldd+j] = y + with[i*ldw+j] (or y * with[i*ldw+j] if mul)",
			"		}",
			"	}",
			"bias and with may be nil: nothing is added. x and with may be dst.")
		dst, x, with := operandArg("dst", "ldd"), operandArg("x", "ldx"), operandArg("with", "ldw")
		bias, cols, mul := operandArg("bias", ""), arg("cols"), arg("mul")
		// A with of nil must not move: its stride is 0 then.
		rows([]operand{dst, x, with}, func() {
			columns("cols", 2, cols, func(s span) {
				at := "Loop"
				if s.left != nil {
					at = "Tail"
				}
				y := s.load(x)
				branchZ("CBZ", bias.base, "bias"+at)
				s.m.do(fadd, y, y, s.load(bias))
				mark("bias" + at)
				y = s.m.copy(a.f(s.m, y))
				branchZ("CBZ", with.base, "with"+at)
				w := s.load(with)
				branchZ("CBNZ", mul, "mul"+at)
				s.m.do(fadd, y, y, w)
				branch("B", "with"+at)
				mark("mul" + at)
				s.m.do(fmul, y, y, w)
				mark("with" + at)
				s.store(y, dst)
			})
		})
	}
}
