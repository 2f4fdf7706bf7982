package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

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

// tables are the file's tables of 8 floats, in order of use.
var tables [][8]float32

// lookup is t[i mod 8] in each lane.
func (m simd) lookup(t [8]float32, index vecs) vecs {
	at := -1
	for i := range tables {
		if tables[i] == t {
			at = i
		}
	}
	if at < 0 {
		at = len(tables)
		tables = append(tables, t)
	}
	d := m.alloc()
	for i := range d {
		VPERMPS(Mem{Symbol: Symbol{Name: "vecTable", Static: true}, Base: StaticBase, Disp: at * 4 * m.lanes}, index[i], d[i])
	}
	return d
}

func emitTables(v isa) {
	if len(tables) == 0 {
		return
	}
	GLOBL("vecTable", RODATA|NOPTR)
	for i, t := range tables {
		for j := range v.lanes {
			DATA((i*v.lanes+j)*4, U32(math.Float32bits(t[j%8])))
		}
	}
}

// act is an activation function: its name in kernels/ref, and its code, which
// may overwrite x.
type act struct {
	name string
	f    func(m simd, x vecs) vecs
	// large: two registers of floats side by side need more registers than
	// AVX2 has, or keep its permutations waiting for each other.
	large bool
}

// unroll is the number of registers side by side.
func (a act) unroll(v isa) int {
	if a.large && v.lanes == 8 {
		return 1
	}
	return 2
}

var acts = []act{
	{name: "None", f: func(m simd, x vecs) vecs { return x }},
	{name: "GELU", f: simd.gelu, large: true},
	{name: "GELUTanh", f: simd.geluTanh, large: true},
	{name: "ReLU", f: simd.relu},
	{name: "SiLU", f: simd.silu, large: true},
	{name: "QuickGELU", f: simd.quickGELU, large: true},
	{name: "Tanh", f: simd.tanh},
	{name: "Sigmoid", f: simd.sigmoid, large: true},
	{name: "GELU10", large: true, f: func(m simd, x vecs) vecs { return m.atMost(m.atLeast(m.gelu(x), -10), 10) }},
	{name: "ReLU2", f: func(m simd, x vecs) vecs { y := m.relu(x); return m.mul(y, y) }},
	{name: "ReLU6", f: simd.relu6},
	{name: "LeakyReLU", f: func(m simd, x vecs) vecs { return m.op(maxPS, m.mulC(x, 0.01), x) }},
	{name: "Hardsigmoid", f: func(m simd, x vecs) vecs { return m.opC(divPS, m.relu6(m.addC(x, 3)), 6) }},
	{name: "Hardswish", f: func(m simd, x vecs) vecs { return m.mul(x, m.opC(divPS, m.relu6(m.addC(x, 3)), 6)) }},
	{name: "Hardtanh", f: func(m simd, x vecs) vecs { return m.atMost(m.atLeast(x, -1), 1) }},
	{name: "ELU", f: simd.elu},
	{name: "Softplus", f: simd.softplus},
	{name: "SqrtSoftplus", f: func(m simd, x vecs) vecs {
		y := m.softplus(x)
		for i := range y {
			VSQRTPS(y[i], y[i])
		}
		return y
	}},
	{name: "Mish", f: simd.mish},
	{name: "Laplace", f: simd.laplace, large: true},
	{name: "Erf", f: simd.erf, large: true},
	{name: "Exp", f: simd.exp},
}

func (m simd) relu(x vecs) vecs  { return m.op(maxPS, m.zero(), x) }
func (m simd) relu6(x vecs) vecs { return m.atMost(m.relu(x), 6) }

// clip is min(|x|, c); a NaN becomes c.
func (m simd) clip(x vecs, c float32) vecs { return m.opC(minPS, m.abs(x), c) }

// phiTail is a·Φ(-t), from 0 ≤ t ≤ phiMax.
func (m simd) phiTail(a, t vecs) vecs {
	index := m.addC(t, 19./16)
	for i := range index {
		if m.lanes == 16 {
			VPSUBD_BCST(m.bits(3<<19), index[i], index[i])
		} else {
			VPSUBD(m.bits(3<<19), index[i], index[i])
		}
		VPSRLD(Imm(22), index[i], index[i])
	}
	h := m.sub(t, m.lookup(phiAt, index))
	q := m.lookup(phi[7], index)
	for k := 6; k >= 1; k-- {
		m.do(fma213, q, h, m.lookup(phi[k], index))
	}
	m.do(mulPS, q, h, q)
	c := m.mul(a, m.lookup(phi[0], index))

	n := m.set(magic)
	m.accC(n, m.mul(t, t), -log2e/2)
	tn := n
	n = m.subC(tn, magic)
	r := m.mulC(n, 2*ln2Hi)
	m.acc(r, t, t)
	m.accC(r, n, 2*ln2Lo)
	e := m.poly(r, halfPoly...)
	m.do(mulPS, e, r, e)

	z := m.add(e, q)
	m.acc(z, e, q)
	m.do(fma213, z, c, c)
	return m.scale(z, m.lowPower(n, tn))
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
	small := m.poly(m.mul(t, t), erfPoly...)
	m.do(fma213, small, t, t)
	below := m.negative(m.subC(t, 1))
	return m.signed(m.where(below, small, y), x)
}

// signed is y ≥ 0 with the sign of x, or x if that is NaN.
func (m simd) signed(y, x vecs) vecs {
	m.do(orPS, y, y, m.andC(x, 0x80000000))
	return m.orNaN(y, x)
}

// orNaN is y, or NaN where x is.
func (m simd) orNaN(y, x vecs) vecs {
	for i := range y {
		if m.lanes == 16 {
			k := K()
			VCMPPS(Imm(3), x[i], x[i], k)
			VMOVAPS(x[i], k, y[i])
			continue
		}
		nan := m.vec()
		VCMPPS(Imm(3), x[i], x[i], nan)
		VORPS(nan, y[i], y[i])
	}
	return y
}

func (m simd) laplace(x vecs) vecs {
	z := m.opC(divPS, m.subC(x, 0.707107), 0.282095)
	t := m.clip(z, phiMax)
	y := m.phiTail(m.set(1), t)
	return m.orNaN(m.where(m.negative(z), y, m.sub(m.set(1), y)), z)
}

// quotient is a/(d+low). a and low are overwritten.
func (m simd) quotient(a, d, low vecs) vecs {
	inv := m.div(m.set(1), d)
	q := m.mul(a, inv)
	m.do(fnma231, a, q, d)
	m.do(fnma231, a, q, low)
	m.acc(q, a, inv)
	return q
}

// logisticTail is a/(1+e^(v+low)); an a of nil is 1, a low of nil 0. v is
// overwritten.
func (m simd) logisticTail(a, v, low vecs) vecs {
	r, n, t := m.reduce(m.xorC(v, 0x80000000))
	if low != nil {
		m.do(subPS, r, r, low)
	}
	p := m.poly(r, expPoly[:6]...)
	w := m.lowPower(n, t)
	q := m.copy(p)
	m.horner(q, r, 1)
	if a == nil {
		p = m.copy(q)
	} else {
		m.do(mulPS, r, r, a)
		m.do(fma213, p, r, a)
	}
	e := m.scale(q, w)
	d := m.addC(e, 1)
	m.do(subPS, e, e, m.subC(d, 1))
	return m.scale(m.quotient(p, d, e), w)
}

func (m simd) sigmoid(x vecs) vecs {
	y := m.logisticTail(nil, m.atMost(m.abs(x), logisticMax), nil)
	return m.where(m.negative(x), y, m.sub(m.set(1), y))
}

func (m simd) silu(x vecs) vecs {
	t := m.clip(x, logisticMax)
	y := m.logisticTail(t, t, nil)
	return m.sub(m.relu(x), y)
}

func (m simd) quickGELU(x vecs) vecs {
	t := m.clip(x, 64.5)
	v := m.mulC(t, 1.702)
	low := m.copy(v)
	m.doC(fms231, low, t, math.Float32bits(1.702))
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
	low := m.copy(s)
	m.do(fms231, low, t, t)
	w := m.set(a)
	m.accC(w, s, b)
	wLow := m.sub(m.set(a), w)
	m.accC(wLow, s, b)
	m.accC(wLow, s, bLow)
	m.accC(wLow, low, b)
	wLow = m.addC(wLow, aLow)
	v := m.mul(t, w)
	vLow := m.copy(v)
	m.do(fms231, vLow, t, w)
	m.acc(vLow, t, wLow)
	return m.sub(m.relu(x), m.logisticTail(t, v, vLow))
}

// expm1 is e^x - 1 for x in [-30, 80]. x is overwritten.
func (m simd) expm1(x vecs) vecs {
	r, _, t := m.reduce(x)
	p := m.poly(r, expPoly[:5]...)
	m.do(fma213, p, m.mul(r, r), r)
	s := m.alloc()
	for i := range s {
		VPSLLD(Imm(23), t[i], s[i])
		if m.lanes == 16 {
			VPADDD_BCST(m.float(1), s[i], s[i])
		} else {
			VPADDD(m.float(1), s[i], s[i])
		}
	}
	m.do(fma213, p, s, m.subC(s, 1))
	return p
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
	return m.where(m.negative(x), y, x)
}

func (m simd) softplus(x vecs) vecs {
	r, n, t := m.reduce(m.xorC(m.atMost(m.abs(x), logisticMax), 0x80000000))
	p := m.poly(r, expPoly...)
	w := m.lowPower(n, t)
	d := m.addC(m.scale(m.copy(p), w), 2)
	q := m.div(p, d)
	s := m.scale(m.copy(q), w)
	m.do(mulPS, s, s, s)
	y := m.poly(s, artanhPoly...)
	m.do(mulPS, y, q, y)
	return m.add(m.relu(x), m.scale(y, w))
}

func (m simd) mish(x vecs) vecs {
	x = m.atLeast(x, -logisticMax)
	r, n, t := m.reduce(m.atMost(x, 20))
	p := m.poly(r, expPoly...)
	w := m.power(n, t)
	e := m.scale(m.copy(p), w)
	f := m.addC(e, 2)
	m.do(mulPS, p, p, f)
	d := m.set(2)
	m.acc(d, e, f)
	m.do(divPS, p, p, d)
	m.do(mulPS, p, x, p)
	return m.scale(p, w)
}

// actRows writes the activation kernels.
func actRows(v isa) {
	for _, a := range acts {
		name := "Act" + a.name + "F32" + v.name
		TEXT(name, NOSPLIT, "func(dst *float32, ldd int, x *float32, ldx int, bias *float32, with *float32, ldw int, mul bool, rows int, cols int)")
		Pragma("noescape")
		Doc(name+" applies ref."+a.name+" to the sum of x and a bias, then adds or multiplies:",
			"	for i := range rows {",
			"		for j := range cols {",
			"			y := f(x[i*ldx+j] + bias[j])",
			"			dst[i*ldd+j] = y + with[i*ldw+j] (or y * with[i*ldw+j] if mul)",
			"		}",
			"	}",
			"bias and with may be nil: nothing is added. x and with may be dst.")
		dst, x, with := arg("dst", "ldd"), arg("x", "ldx"), arg("with", "ldw")
		bias, cols := arg("bias", ""), Load(Param("cols"), GP64())
		mul := GP64()
		Load(Param("mul"), mul.As8())
		// A with of nil must not move: its stride is 0 then.
		v.rows([]operand{dst, x, with}, func() {
			v.columns("cols", a.unroll(v), cols, func(s span) {
				at := "Loop"
				if s.masks != nil {
					at = "Tail"
				}
				y := s.load(x)
				TESTQ(bias.base, bias.base)
				JZ(LabelRef("bias" + at))
				s.m.do(addPS, y, y, s.load(bias))
				Label("bias" + at)
				y = a.f(s.m, y)
				TESTQ(with.base, with.base)
				JZ(LabelRef("with" + at))
				w := s.load(with)
				TESTB(mul.As8(), mul.As8())
				JNZ(LabelRef("mul" + at))
				s.m.do(addPS, y, y, w)
				JMP(LabelRef("with" + at))
				Label("mul" + at)
				s.m.do(mulPS, y, y, w)
				Label("with" + at)
				s.store(y, dst)
			})
		})
	}
}
