package main

import "math"

// vecs are the same variable of several independent elements' computations: an
// operation on vecs is one instruction a register, so that functions written
// as a plain chain come out interleaved and hide their latency.
type vecs []*reg

// simd writes vector code for so many registers side by side. It computes what
// the code of the same names in gen/amd64 does, to the bit; a function returns
// new registers unless it says otherwise.
type simd int

func (m simd) alloc() vecs {
	x := make(vecs, m)
	for i := range x {
		x[i] = cur.v()
	}
	return x
}

// floats returns one register with a constant in all lanes.
func floats(c float32) *reg { return constant(math.Float32bits(c)) }

// do is dst = x op y.
func (m simd) do(op func(d, n, m *reg), dst, x, y vecs) {
	for i := range dst {
		op(dst[i], x[i], y[i])
	}
}

func (m simd) op(op func(d, n, m *reg), x, y vecs) vecs { d := m.alloc(); m.do(op, d, x, y); return d }

func (m simd) opC(op func(d, n, m *reg), x vecs, c float32) vecs {
	return m.op(op, x, broadcast(floats(c), int(m)))
}

func (m simd) each(op func(d, n *reg), x vecs) vecs {
	d := m.alloc()
	for i := range d {
		op(d[i], x[i])
	}
	return d
}

// shift is x shifted by c bits.
func (m simd) shift(op func(d, n *reg, c int), x vecs, c int) vecs {
	return m.each(func(d, n *reg) { op(d, n, c) }, x)
}

func (m simd) add(x, y vecs) vecs          { return m.op(fadd, x, y) }
func (m simd) sub(x, y vecs) vecs          { return m.op(fsub, x, y) }
func (m simd) mul(x, y vecs) vecs          { return m.op(fmul, x, y) }
func (m simd) div(x, y vecs) vecs          { return m.op(fdiv, x, y) }
func (m simd) addC(x vecs, c float32) vecs { return m.opC(fadd, x, c) }
func (m simd) subC(x vecs, c float32) vecs { return m.opC(fsub, x, c) }
func (m simd) mulC(x vecs, c float32) vecs { return m.opC(fmul, x, c) }
func (m simd) neg(x vecs) vecs             { return m.each(fneg, x) }
func (m simd) abs(x vecs) vecs             { return m.each(fabs, x) }
func (m simd) copy(x vecs) vecs            { return m.each(movV, x) }

// bits is x op a constant in every word.
func (m simd) bits(op func(d, n, m *reg), x vecs, c uint32) vecs {
	return m.op(op, x, broadcast(constant(c), int(m)))
}

// acc is a += x·y, in place.
func (m simd) acc(a, x, y vecs) { m.do(fmla, a, x, y) }

// accC is a += x·c, in place.
func (m simd) accC(a, x vecs, c float32) { m.do(fmla, a, x, broadcast(floats(c), int(m))) }

// nacc is a -= x·y, in place.
func (m simd) nacc(a, x, y vecs) { m.do(fmls, a, x, y) }

// low is x·y - p.
func (m simd) low(x, y, p vecs) vecs { d := m.neg(p); m.acc(d, x, y); return d }

// set returns registers that hold a constant.
func (m simd) set(c float32) vecs {
	d := make(vecs, m)
	for i := range d {
		d[i] = floats(c)
	}
	return d
}

func (m simd) zero() vecs {
	d := m.alloc()
	for _, x := range d {
		zero(x)
	}
	return d
}

// larger is x or y: x > y ? x : y. Unlike FMAX it is y for a NaN and for two
// zeros, as the definition has it.
func larger(d, x, y *reg) { fcmgt(d, x, y); bsl(d, x, y) }

// smaller is x < y ? x : y.
func smaller(d, x, y *reg) { fcmgt(d, y, x); bsl(d, x, y) }

func (m simd) max(x, y vecs) vecs { return m.op(larger, x, y) }
func (m simd) min(x, y vecs) vecs { return m.op(smaller, x, y) }

// atMost is x or c, whichever is smaller; a NaN stays (c < x ? c : x).
func (m simd) atMost(x vecs, c float32) vecs { return m.min(broadcast(floats(c), int(m)), x) }

// atLeast is x or c, whichever is larger; a NaN stays (c > x ? c : x).
func (m simd) atLeast(x vecs, c float32) vecs { return m.max(broadcast(floats(c), int(m)), x) }

// poly is the polynomial with coefficients c (highest first) at x.
func (m simd) poly(x vecs, c ...float32) vecs {
	p := m.set(c[0])
	for _, c := range c[1:] {
		next := m.set(c)
		m.acc(next, p, x)
		p = next
	}
	return p
}

// where is y where x's sign bit is set, else z.
func (m simd) where(x, y, z vecs) vecs {
	mask := m.each(negative, x)
	m.do(bsl, mask, y, z)
	return mask
}

// orNaN is y, or NaN where x is.
func (m simd) orNaN(y, x vecs) vecs { return m.op(orn, y, m.op(fcmeq, x, x)) }

// signed is y ≥ 0 with the sign of x, or x if that is NaN.
func (m simd) signed(y, x vecs) vecs {
	return m.orNaN(m.op(or, y, m.bits(and, x, 1<<31)), x)
}

// broadcast returns u copies of one register.
func broadcast(x *reg, u int) vecs {
	d := make(vecs, u)
	for i := range d {
		d[i] = x
	}
	return d
}

// tree reduces 32 lanes to one, which it spreads over a register: lane i takes
// lane i+16, i+8, i+4, i+2, i+1. acc is overwritten.
func tree(acc vecs, f func(d, n, m *reg)) *reg {
	for n := 4; n > 0; n /= 2 {
		for i := range n {
			d := cur.v()
			f(d, acc[i], acc[i+n])
			acc[i] = d
		}
	}
	return fold(acc[0], f)
}

// fold reduces a register: lane i takes lane i+2, i+1.
func fold(x *reg, f func(d, n, m *reg)) *reg {
	for _, bytes := range []int{8, 4} {
		high, d := cur.v(), cur.v()
		ext(high, x, x, bytes)
		f(d, x, high)
		x = d
	}
	d := cur.v()
	dup(d, x, 0)
	return d
}
