package main

import "math"

var inf, nan = math.Inf(1), math.NaN()

// The functions follow package kernels/ref, with its polynomials.

const (
	log2e = 0x1.715476p0
	ln2Hi = 0x1.63p-1
	ln2Lo = -0x1.bd0106p-13
	magic = 0x1.8p23
)

var expPoly = []float64{0x1.6a4f28p-10, 0x1.12398p-7, 0x1.5558aep-5, 0x1.555492p-3, 0x1.fffffcp-2, 1, 1}

// poly is Horner's rule, highest coefficient first.
func poly(x val, c []float64) val {
	p := flt(c[0])
	for _, c := range c[1:] {
		p = fma(p, x, flt(c))
	}
	return p
}

// atMost is the lesser of x and c, NaN if x is.
func atMost(x val, c float64) val  { return choose(gt(x, flt(c)), flt(c), x) }
func atLeast(x val, c float64) val { return choose(lt(x, flt(c)), flt(c), x) }

// reduce splits x = n·ln2 + r, n an integer.
func reduce(x val) (r, n val) {
	m := fma(x, flt(log2e), flt(magic))
	n = reg(s32)
	emit("mov.b32", n, m)
	n = sub(n, sint(int(math.Float32bits(magic))))
	f := sub(m, flt(magic))
	return fma(f, flt(-ln2Lo), fma(f, flt(-ln2Hi), x)), n
}

// power is 2ⁿ as two factors, for n in -252 … 254.
func power(n val) (a, b val) {
	half := shr(n, i32(1))
	bits := func(n val) val {
		d := reg(f32)
		emit("mov.b32", d, shl(add(n, sint(127)), i32(23)))
		return d
	}
	return bits(half), bits(sub(n, half))
}

func scale(x, n val) val {
	a, b := power(n)
	return mul(mul(x, a), b)
}

// exp is e^x within 1 ULP.
func exp(x val) val {
	r, n := reduce(atMost(atLeast(x, -104), 89))
	return scale(poly(r, expPoly), n)
}

// expFast is e^x for x ≤ 0 within some 2^-21 of itself, by the hardware.
func expFast(x val) val { return unary("ex2.approx", mul(x, flt(log2e))) }

// expm1 is e^x - 1 for x in -30 … 80.
func expm1(x val) val {
	r, n := reduce(x)
	p := fma(mul(r, r), poly(r, expPoly[:5]), r)
	a, b := power(n)
	s := mul(a, b)
	return fma(s, p, sub(s, flt(1)))
}

// sigmoid is 1/(1+e^-x).
func sigmoid(x val) val { return div(flt(1), add(exp(neg(x)), flt(1))) }

// normalTail is Φ(-|x|), the normal distribution's tail, by formula 7.1.26 of
// Abramowitz & Stegun, within 1e-7.
func normalTail(x val) val {
	t := abs(x)
	z := mul(t, flt(math.Sqrt2/2))
	u := div(flt(1), fma(z, flt(0.3275911), flt(1)))
	p := mul(u, poly(u, []float64{1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592}))
	return mul(mul(p, flt(0.5)), exp(neg(mul(z, z)))) // Φ(-t)
}

// copySign is |x| with the sign of s.
func copySign(x, s val) val {
	bits := reg(u32)
	emit("mov.b32", bits, s)
	d, b := reg(f32), reg(u32)
	emit("mov.b32", b, x)
	emit("mov.b32", d, or(and(b, hex(0x7fffffff)), and(bits, hex(0x80000000))))
	return d
}

func tanh(x val) val {
	t := minOf(abs(x), flt(10))
	e := expm1(add(t, t))
	y := copySign(div(e, add(e, flt(2))), x)
	return choose(compare("nan", x, x), x, y)
}

// erfPoly is erf(x)/x - 1 in x², for |x| < 1.
var erfPoly = []float64{-0x1.238cdap-19, 0x1.69b1b2p-14, -0x1.a998eep-11, 0x1.5482fep-8, -0x1.b8044ep-6, 0x1.ce2d74p-4, -0x1.81274p-2, 0x1.06eba8p-3}

func erf(x val) val {
	t := minOf(abs(x), flt(4))
	far := fma(normalTail(mul(t, flt(math.Sqrt2))), flt(-2), flt(1))
	near := fma(t, poly(mul(t, t), erfPoly), t)
	y := copySign(choose(lt(t, flt(1)), near, far), x)
	return choose(compare("nan", x, x), x, y)
}

// artanhPoly is 2·artanh(s)/s in s², for |s| ≤ 1/3.
var artanhPoly = []float64{0x1.f08af8p-3, 0x1.b72bb8p-3, 0x1.25051p-2, 0x1.9996d8p-2, 0x1.555558p-1, 2}

// softplus is ln(1 + e^x) = max(x, 0) + 2·artanh(e/(2+e)), with e = e^-|x|.
func softplus(x val) val {
	e := exp(neg(abs(x)))
	s := div(e, add(e, flt(2)))
	return add(atLeast(x, 0), mul(s, poly(mul(s, s), artanhPoly)))
}

// hardsigmoid is min(max(x+3, 0), 6)/6.
func hardsigmoid(x val) val { return div(atMost(atLeast(add(x, flt(3)), 0), 6), flt(6)) }

// logistic is x/(1+e^-v) for v of x's sign, 0 at -Inf: max(x, 0) - |x|/(1+e^|v|).
func logistic(x, v val) val {
	t := minOf(abs(x), flt(math.MaxFloat32))
	e := exp(neg(abs(v)))
	y := sub(atLeast(x, 0), mul(t, div(e, add(e, flt(1)))))
	return choose(compare("nan", x, x), x, y)
}

func gelu(x val) val {
	t := minOf(abs(x), flt(14.5))
	y := sub(atLeast(x, 0), mul(t, normalTail(t)))
	return choose(compare("nan", x, x), x, y)
}

// activations are the functions by their numbers, those of kernels.Act.
var activations = []struct {
	name string
	f    func(x val) val
}{
	{"none", nil},
	{"gelu", gelu},
	{"gelu_tanh", func(x val) val {
		u := mul(mul(x, x), x)
		return logistic(x, mul(fma(u, flt(0.044715), x), flt(2*math.Sqrt(2/math.Pi))))
	}},
	{"relu", func(x val) val { return atLeast(x, 0) }},
	{"silu", func(x val) val { return logistic(x, x) }},
	{"quick_gelu", func(x val) val { return logistic(x, mul(x, flt(1.702))) }},
	{"tanh", tanh},
	{"sigmoid", sigmoid},
	{"gelu_10", func(x val) val { return atMost(atLeast(gelu(x), -10), 10) }},
	{"relu2", func(x val) val { y := atLeast(x, 0); return mul(y, y) }},
	{"relu6", func(x val) val { return atMost(atLeast(x, 0), 6) }},
	{"leaky_relu", func(x val) val { return choose(lt(x, flt(0)), mul(x, flt(0.01)), x) }},
	{"hardsigmoid", hardsigmoid},
	{"hardswish", func(x val) val { return mul(x, hardsigmoid(x)) }},
	{"hardtanh", func(x val) val { return atMost(atLeast(x, -1), 1) }},
	{"elu", func(x val) val { return choose(lt(x, flt(0)), expm1(atLeast(minOf(x, flt(0)), -30)), x) }},
	{"softplus", softplus},
	{"sqrtsoftplus", func(x val) val { return unary("sqrt.rn", softplus(x)) }},
	{"mish", func(x val) val {
		x = atLeast(x, -110)
		e := exp(atMost(x, 20))
		w := mul(e, add(e, flt(2)))
		return mul(x, div(w, add(w, flt(2))))
	}},
	{"laplace", func(x val) val {
		z := div(sub(x, flt(0.707107)), flt(0.282095))
		tail := normalTail(minOf(abs(z), flt(14.5)))
		y := choose(lt(z, flt(0)), tail, sub(flt(1), tail))
		return choose(compare("nan", z, z), z, y)
	}},
	{"erf", erf},
	{"exp", exp},
}

// activate applies the activation whose number is code to variables, in place.
// All threads of a warp have the same code.
func activate(code val, x ...val) {
	if k.module.inline {
		activateInline(code, x...)
		return
	}
	if k.module.functions.Len() == 0 {
		outer, m := k, k.module
		m.function("activate", "the activation of %x whose number is %n", func(y, n val) { activateInline(n, y) })
		k = outer
	}
	for _, v := range x {
		emit("call", "("+v.s+")", "activate", "("+v.s+", "+code.s+")")
	}
}

func activateInline(code val, x ...val) {
	end := label()
	jumpIf(eq(code, i32(0)), end)
	for i, a := range activations {
		if a.f == nil {
			continue
		}
		next := label()
		jumpIf(ne(code, i32(i)), next)
		comment("%s", a.name)
		for _, v := range x {
			set(v, a.f(v))
		}
		jump(end)
		mark(next)
	}
	mark(end)
}
