package ptx

import (
	"math"
	"math/bits"
)

type action = func(w *warp, m uint32)

// each calls f with every lane of m.
func each(m uint32, f func(l int)) {
	for ; m != 0; m &= m - 1 {
		f(bits.TrailingZeros32(m))
	}
}

// instruction compiles the statement at hand.
func (k *compiler) instruction() action {
	switch k.s.op[0] {
	case "mov":
		return k.mov()
	case "ld":
		return k.ld()
	case "st":
		return k.st()
	case "cvt":
		return k.cvt()
	case "setp":
		return k.setp()
	case "selp":
		return k.selp()
	case "fma", "mad":
		return k.mad()
	case "shfl":
		return k.shfl()
	case "vote":
		return k.vote()
	case "dp4a":
		return k.dp4a()
	case "ldmatrix":
		return k.ldmatrix()
	case "mma":
		return k.mma()
	case "cp":
		return k.cp()
	case "add", "sub", "mul", "div", "rem", "min", "max", "and", "or", "xor", "shl", "shr":
		return k.binary()
	case "neg", "abs", "not", "sqrt", "rsqrt", "rcp", "ex2", "lg2", "tanh", "popc", "clz":
		return k.unary()
	case "prmt":
		return k.prmt()
	case "mbarrier":
		return k.mbarrier()
	case "wgmma":
		return k.wgmma()
	case "cvta":
		if k.s.op[1] != "param" {
			failf("is not interpreted")
		}
		return k.mov()
	case "fence", "setmaxnreg", "prefetch":
		return func(*warp, uint32) {}
	}
	failf("is not interpreted")
	return nil
}

func (k *compiler) mov() action {
	d, a := k.arg(0), k.arg(1)
	if k.s.last() == "pred" {
		dst, src := k.pred(d), k.pred(a)
		return func(w *warp, m uint32) { w.setP(dst, m, w.needP(src, m)) }
	}
	wide := k.size(k.s.last()) == 8
	switch {
	case d.kind == opVec: // mov.b32 {lo, hi}, x
		n := len(d.vec)
		width := k.size(k.s.last()) * 8 / n
		src := k.reg(a, wide)
		dst := make([]int, n)
		for i, v := range d.vec {
			dst[i] = k.reg(v, width == 64)
		}
		return func(w *warp, m uint32) {
			for i, slot := range dst {
				if wide {
					x, y := w.needD(src, m), w.setR(slot, m)
					each(m, func(l int) { y[l] = uint32(x[l]>>(i*width)) & uint32(1<<width-1) })
				} else {
					x, y := *w.needR(src, m), w.setR(slot, m)
					each(m, func(l int) { y[l] = x[l] >> (i * width) & (1<<width - 1) })
				}
			}
		}
	case a.kind == opVec: // mov.b32 x, {lo, hi}
		n := len(a.vec)
		width := k.size(k.s.last()) * 8 / n
		dst := k.reg(d, wide)
		src := make([]int, n)
		for i, v := range a.vec {
			src[i] = k.reg(v, false)
		}
		return func(w *warp, m uint32) {
			var sum [warpSize]uint64
			for i, slot := range src {
				x := w.needR(slot, m)
				each(m, func(l int) { sum[l] |= (uint64(x[l]) & (1<<width - 1)) << (i * width) })
			}
			if wide {
				y := w.setD(dst, m)
				each(m, func(l int) { y[l] = sum[l] })
			} else {
				y := w.setR(dst, m)
				each(m, func(l int) { y[l] = uint32(sum[l]) })
			}
		}
	}
	dst, src := k.reg(d, wide), k.reg(a, wide)
	if wide {
		return func(w *warp, m uint32) {
			x, y := w.needD(src, m), w.setD(dst, m)
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				y[l] = x[l]
			}
		}
	}
	return func(w *warp, m uint32) {
		x, y := w.needR(src, m), w.setR(dst, m)
		if m == full {
			*y = *x
			return
		}
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			y[l] = x[l]
		}
	}
}

// mad compiles fma and mad: products of numbers and a sum.
func (k *compiler) mad() action {
	typ := k.s.last()
	switch {
	case typ == "f32":
		d, a, b, c := k.reg(k.arg(0), false), k.reg(k.arg(1), false), k.reg(k.arg(2), false), k.reg(k.arg(3), false)
		return func(w *warp, m uint32) {
			x, y, z := w.needR(a, m), w.needR(b, m), w.needR(c, m)
			o := w.setR(d, m)
			if m == full {
				for l := range warpSize {
					o[l] = bits32(float32(float64(f32(x[l]))*float64(f32(y[l])) + float64(f32(z[l]))))
				}
				return
			}
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				o[l] = bits32(float32(float64(f32(x[l]))*float64(f32(y[l])) + float64(f32(z[l]))))
			}
		}
	case k.s.has("wide"):
		d, a, b, c := k.reg(k.arg(0), true), k.reg(k.arg(1), false), k.reg(k.arg(2), false), k.reg(k.arg(3), true)
		signed := typ[0] == 's'
		return func(w *warp, m uint32) {
			x, y, z := w.needR(a, m), w.needR(b, m), w.needD(c, m)
			o := w.setD(d, m)
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				if signed {
					o[l] = uint64(int64(int32(x[l]))*int64(int32(y[l]))) + z[l]
				} else {
					o[l] = uint64(x[l])*uint64(y[l]) + z[l]
				}
			}
		}
	case k.s.has("lo") && k.size(typ) == 4:
		d, a, b, c := k.reg(k.arg(0), false), k.reg(k.arg(1), false), k.reg(k.arg(2), false), k.reg(k.arg(3), false)
		return func(w *warp, m uint32) {
			x, y, z := w.needR(a, m), w.needR(b, m), w.needR(c, m)
			o := w.setR(d, m)
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				o[l] = x[l]*y[l] + z[l]
			}
		}
	case k.s.has("lo") && k.size(typ) == 8:
		d, a, b, c := k.reg(k.arg(0), true), k.reg(k.arg(1), true), k.reg(k.arg(2), true), k.reg(k.arg(3), true)
		return func(w *warp, m uint32) {
			x, y, z := w.needD(a, m), w.needD(b, m), w.needD(c, m)
			o := w.setD(d, m)
			each(m, func(l int) { o[l] = x[l]*y[l] + z[l] })
		}
	}
	failf("is not interpreted")
	return nil
}

// binary compiles instructions of two operands.
func (k *compiler) binary() action {
	op, typ := k.s.op[0], k.s.last()
	if typ == "pred" {
		d, a, b := k.pred(k.arg(0)), k.pred(k.arg(1)), k.pred(k.arg(2))
		return func(w *warp, m uint32) {
			x, y := w.needP(a, m), w.needP(b, m)
			switch op {
			case "and":
				x &= y
			case "or":
				x |= y
			default:
				x ^= y
			}
			w.setP(d, m, x)
		}
	}
	if k.s.has("wide") {
		d, a, b := k.reg(k.arg(0), true), k.reg(k.arg(1), false), k.reg(k.arg(2), false)
		signed := typ[0] == 's'
		return func(w *warp, m uint32) {
			x, y, o := w.needR(a, m), w.needR(b, m), w.setD(d, m)
			each(m, func(l int) {
				if signed {
					o[l] = uint64(int64(int32(x[l])) * int64(int32(y[l])))
				} else {
					o[l] = uint64(x[l]) * uint64(y[l])
				}
			})
		}
	}
	if k.size(typ) == 8 {
		return k.binary64(op, typ)
	}
	d, a, b := k.reg(k.arg(0), false), k.reg(k.arg(1), false), k.reg(k.arg(2), false)
	f := binary32(op, typ, k.s)
	if f == nil {
		failf("is not interpreted")
	}
	switch {
	case op == "add" && k.size(typ) == 4 && typ != "f32":
		return func(w *warp, m uint32) {
			x, y, o := w.needR(a, m), w.needR(b, m), w.setR(d, m)
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				o[l] = x[l] + y[l]
			}
		}
	case op == "mul" && typ == "f32":
		return func(w *warp, m uint32) {
			x, y, o := w.needR(a, m), w.needR(b, m), w.setR(d, m)
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				o[l] = bits32(f32(x[l]) * f32(y[l]))
			}
		}
	}
	return func(w *warp, m uint32) {
		x, y, o := w.needR(a, m), w.needR(b, m), w.setR(d, m)
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			o[l] = f(x[l], y[l])
		}
	}
}

func (k *compiler) binary64(op, typ string) action {
	if typ == "f64" {
		failf("is not interpreted")
	}
	shift := op == "shl" || op == "shr"
	d, a := k.reg(k.arg(0), true), k.reg(k.arg(1), true)
	b := k.reg(k.arg(2), !shift)
	signed := typ[0] == 's'
	var f func(x, y uint64) uint64
	switch op {
	case "add":
		f = func(x, y uint64) uint64 { return x + y }
	case "sub":
		f = func(x, y uint64) uint64 { return x - y }
	case "mul":
		f = func(x, y uint64) uint64 { return x * y }
	case "and":
		f = func(x, y uint64) uint64 { return x & y }
	case "or":
		f = func(x, y uint64) uint64 { return x | y }
	case "xor":
		f = func(x, y uint64) uint64 { return x ^ y }
	case "shl":
		f = func(x, y uint64) uint64 { return x << min(y, 64) }
	case "shr":
		f = func(x, y uint64) uint64 {
			if signed {
				return uint64(int64(x) >> min(y, 63))
			}
			return x >> min(y, 64)
		}
	default:
		failf("is not interpreted")
	}
	return func(w *warp, m uint32) {
		x := w.needD(a, m)
		if shift {
			y, o := w.needR(b, m), w.setD(d, m)
			each(m, func(l int) { o[l] = f(x[l], uint64(y[l])) })
			return
		}
		y, o := w.needD(b, m), w.setD(d, m)
		if op == "add" {
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				o[l] = x[l] + y[l]
			}
			return
		}
		each(m, func(l int) { o[l] = f(x[l], y[l]) })
	}
}

func binary32(op, typ string, s *stmt) func(x, y uint32) uint32 {
	if typ == "f32" {
		return floatOp(op, s)
	}
	signed, wide := typ[0] == 's', sizes[typ] == 4
	if !wide && op != "and" && op != "or" && op != "xor" && op != "shl" && op != "shr" {
		return nil
	}
	switch op {
	case "add":
		return func(x, y uint32) uint32 { return x + y }
	case "sub":
		return func(x, y uint32) uint32 { return x - y }
	case "mul":
		if s.has("hi") {
			if signed {
				return func(x, y uint32) uint32 { return uint32(int64(int32(x)) * int64(int32(y)) >> 32) }
			}
			return func(x, y uint32) uint32 { return uint32(uint64(x) * uint64(y) >> 32) }
		}
		return func(x, y uint32) uint32 { return x * y }
	case "div", "rem":
		rem := op == "rem"
		return func(x, y uint32) uint32 {
			if y == 0 {
				failf("division by 0")
			}
			switch {
			case signed && rem:
				return uint32(int32(x) % int32(y))
			case signed:
				return uint32(int32(x) / int32(y))
			case rem:
				return x % y
			}
			return x / y
		}
	case "min":
		if signed {
			return func(x, y uint32) uint32 { return uint32(min(int32(x), int32(y))) }
		}
		return func(x, y uint32) uint32 { return min(x, y) }
	case "max":
		if signed {
			return func(x, y uint32) uint32 { return uint32(max(int32(x), int32(y))) }
		}
		return func(x, y uint32) uint32 { return max(x, y) }
	case "and":
		return func(x, y uint32) uint32 { return x & y }
	case "or":
		return func(x, y uint32) uint32 { return x | y }
	case "xor":
		return func(x, y uint32) uint32 { return x ^ y }
	case "shl":
		return func(x, y uint32) uint32 { return x << min(y, 32) }
	case "shr":
		if signed {
			return func(x, y uint32) uint32 { return uint32(int32(x) >> min(y, 31)) }
		}
		return func(x, y uint32) uint32 { return x >> min(y, 32) }
	}
	return nil
}

// floatOp is an operation on two floats. min and max take the number of a
// number and a NaN, or with .NaN the NaN.
func floatOp(op string, s *stmt) func(x, y uint32) uint32 {
	pick := func(x, y uint32, less bool) uint32 {
		a, b := f32(x), f32(y)
		if a != a || b != b {
			switch {
			case s.has("NaN"):
				return 0x7fffffff
			case a != a:
				return y
			}
			return x
		}
		if (a < b || a == b && x>>31 > y>>31) == less {
			return x
		}
		return y
	}
	switch op {
	case "add":
		return func(x, y uint32) uint32 { return bits32(f32(x) + f32(y)) }
	case "sub":
		return func(x, y uint32) uint32 { return bits32(f32(x) - f32(y)) }
	case "mul":
		return func(x, y uint32) uint32 { return bits32(f32(x) * f32(y)) }
	case "div":
		return func(x, y uint32) uint32 { return bits32(f32(x) / f32(y)) }
	case "min":
		return func(x, y uint32) uint32 { return pick(x, y, true) }
	case "max":
		return func(x, y uint32) uint32 { return pick(x, y, false) }
	}
	return nil
}

func (k *compiler) unary() action {
	op, typ := k.s.op[0], k.s.last()
	if typ == "pred" {
		d, a := k.pred(k.arg(0)), k.pred(k.arg(1))
		return func(w *warp, m uint32) { w.setP(d, m, ^w.needP(a, m)) }
	}
	if k.size(typ) == 8 {
		d, a := k.reg(k.arg(0), true), k.reg(k.arg(1), true)
		if op != "not" && op != "neg" || typ == "f64" {
			failf("is not interpreted")
		}
		return func(w *warp, m uint32) {
			x, o := w.needD(a, m), w.setD(d, m)
			each(m, func(l int) {
				if o[l] = ^x[l]; op == "neg" {
					o[l]++
				}
			})
		}
	}
	d, a := k.reg(k.arg(0), false), k.reg(k.arg(1), false)
	var f func(x uint32) uint32
	float := func(g func(x float64) float64) func(x uint32) uint32 {
		if typ != "f32" {
			failf("is not interpreted")
		}
		return func(x uint32) uint32 { return bits32(float32(g(float64(f32(x))))) }
	}
	switch op {
	case "neg":
		if f = func(x uint32) uint32 { return -x }; typ == "f32" {
			f = func(x uint32) uint32 { return x ^ 1<<31 }
		}
	case "abs":
		if f = func(x uint32) uint32 { return max(x, -x) }; typ == "f32" {
			f = func(x uint32) uint32 { return x &^ (1 << 31) }
		} else if f = func(x uint32) uint32 { y := int32(x) >> 31; return (x ^ uint32(y)) - uint32(y) }; typ != "s32" {
			failf("is not interpreted")
		}
	case "not":
		f = func(x uint32) uint32 { return ^x }
	case "popc":
		f = func(x uint32) uint32 { return uint32(bits.OnesCount32(x)) }
	case "clz":
		f = func(x uint32) uint32 { return uint32(bits.LeadingZeros32(x)) }
	case "sqrt":
		f = float(math.Sqrt)
	case "rsqrt":
		f = float(func(x float64) float64 { return 1 / math.Sqrt(x) })
	case "rcp":
		f = float(func(x float64) float64 { return 1 / x })
	case "ex2":
		f = float(math.Exp2)
	case "lg2":
		f = float(math.Log2)
	case "tanh":
		f = float(math.Tanh)
	}
	return func(w *warp, m uint32) {
		x, o := w.needR(a, m), w.setR(d, m)
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			o[l] = f(x[l])
		}
	}
}

func (k *compiler) selp() action {
	p, wide := k.pred(k.arg(3)), k.size(k.s.last()) == 8
	d, a, b := k.reg(k.arg(0), wide), k.reg(k.arg(1), wide), k.reg(k.arg(2), wide)
	return func(w *warp, m uint32) {
		c := w.needP(p, m)
		if wide {
			x, y, o := w.needD(a, m), w.needD(b, m), w.setD(d, m)
			each(m, func(l int) {
				if o[l] = y[l]; c>>l&1 != 0 {
					o[l] = x[l]
				}
			})
			return
		}
		x, y, o := w.needR(a, m), w.needR(b, m), w.setR(d, m)
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			if c>>l&1 != 0 {
				o[l] = x[l]
			} else {
				o[l] = y[l]
			}
		}
	}
}

// setp compiles comparisons. Those of floats are false with a NaN, but for ne
// … u.
func (k *compiler) setp() action {
	cmp, typ := k.s.op[1], k.s.last()
	d := k.pred(k.arg(0))
	if len(k.s.args) != 3 {
		failf("is not interpreted with %d operands", len(k.s.args))
	}
	if k.size(typ) == 8 {
		a, b := k.reg(k.arg(1), true), k.reg(k.arg(2), true)
		signed := typ[0] == 's'
		return func(w *warp, m uint32) {
			x, y, r := w.needD(a, m), w.needD(b, m), uint32(0)
			each(m, func(l int) {
				less := x[l] < y[l]
				if signed {
					less = int64(x[l]) < int64(y[l])
				}
				if compare(cmp, less, x[l] == y[l], false) {
					r |= 1 << l
				}
			})
			w.setP(d, m, r)
		}
	}
	a, b := k.reg(k.arg(1), false), k.reg(k.arg(2), false)
	switch cmp {
	case "eq", "ne", "lt", "le", "gt", "ge", "nan", "num", "equ", "neu", "ltu", "leu", "gtu", "geu":
	default:
		failf("is not interpreted")
	}
	ints := typ == "u32" || typ == "b32"
	var op int
	switch cmp {
	case "lt":
		op = 1
	case "ge":
		op = 2
	}
	return func(w *warp, m uint32) {
		x, y, r := w.needR(a, m), w.needR(b, m), uint32(0)
		all := m
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			var is bool
			switch {
			case ints && op == 1:
				is = x[l] < y[l]
			case ints && op == 2:
				is = x[l] >= y[l]
			case typ == "f32":
				u, v := f32(x[l]), f32(y[l])
				is = compare(cmp, u < v, u == v, u != u || v != v)
			case typ == "s32":
				is = compare(cmp, int32(x[l]) < int32(y[l]), x[l] == y[l], false)
			default:
				is = compare(cmp, x[l] < y[l], x[l] == y[l], false)
			}
			if is {
				r |= 1 << l
			}
		}
		w.setP(d, all, r)
	}
}

func compare(cmp string, less, equal, nan bool) bool {
	switch cmp {
	case "nan":
		return nan
	case "num":
		return !nan
	}
	if nan {
		return len(cmp) == 3 // with a u
	}
	switch cmp[:2] {
	case "eq":
		return equal
	case "ne":
		return !equal
	case "lt":
		return less
	case "le":
		return less || equal
	case "gt":
		return !less && !equal
	}
	return !less
}
