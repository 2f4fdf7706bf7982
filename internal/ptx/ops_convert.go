package ptx

import (
	"math"
	"math/bits"
)

// cvt compiles conversions.
func (k *compiler) cvt() action {
	ops := k.s.op
	to, from := ops[len(ops)-2], ops[len(ops)-1]
	if to == "bf16x2" || to == "f16x2" { // cvt.rn.bf16x2.f32 d, hi, lo
		d, hi, lo := k.reg(k.arg(0), false), k.reg(k.arg(1), false), k.reg(k.arg(2), false)
		f := toBF16
		if to == "f16x2" {
			f = toF16
		}
		return func(w *warp, m uint32) {
			x, y, o := *w.needR(hi, m), *w.needR(lo, m), w.setR(d, m)
			each(m, func(l int) { o[l] = uint32(f(f32(x[l])))<<16 | uint32(f(f32(y[l]))) })
		}
	}
	ts, fs := k.size(to), k.size(from)
	d, a := k.reg(k.arg(0), ts == 8), k.reg(k.arg(1), fs == 8)
	if isFloat(to) || isFloat(from) {
		return k.cvtFloat(to, from, d, a)
	}
	return func(w *warp, m uint32) {
		each(m, func(l int) {
			var v uint64
			if fs == 8 {
				v = w.needD(a, m)[l]
			} else {
				v = uint64(w.needR(a, m)[l])
			}
			shift := 64 - 8*fs
			if from[0] == 's' {
				v = uint64(int64(v<<shift) >> shift)
			} else {
				v = v << shift >> shift
			}
			shift = 64 - 8*ts
			if to[0] == 's' {
				v = uint64(int64(v<<shift) >> shift)
			} else {
				v = v << shift >> shift
			}
			if ts == 8 {
				w.setD(d, m)[l] = v
			} else {
				w.setR(d, m)[l] = uint32(v)
			}
		})
	}
}

func isFloat(typ string) bool {
	return typ == "f32" || typ == "f16" || typ == "bf16" || typ == "tf32" || typ == "f64"
}

func (k *compiler) cvtFloat(to, from string, d, a int) action {
	if k.size(to) == 8 || k.size(from) == 8 {
		failf("is not interpreted")
	}
	var f func(x uint32) uint32
	switch {
	case from == "f32" && to == "f16":
		f = func(x uint32) uint32 { return uint32(toF16(f32(x))) }
	case from == "f16" && to == "f32":
		f = func(x uint32) uint32 { return bits32(fromF16(uint16(x))) }
	case from == "f32" && to == "bf16":
		f = func(x uint32) uint32 { return uint32(toBF16(f32(x))) }
	case from == "bf16" && to == "f32":
		f = func(x uint32) uint32 { return x << 16 }
	case from == "f32" && to == "tf32":
		f = toTF32
	case from == "f32" && (to == "s32" || to == "u32"):
		round := math.Trunc
		switch {
		case k.s.has("rni"):
			round = math.RoundToEven
		case k.s.has("rmi"):
			round = math.Floor
		case k.s.has("rpi"):
			round = math.Ceil
		}
		f = func(x uint32) uint32 {
			v := round(float64(f32(x)))
			switch {
			case v != v:
				return 0
			case to == "s32":
				return uint32(int32(max(math.MinInt32, min(math.MaxInt32, v))))
			}
			return uint32(max(0, min(math.MaxUint32, v)))
		}
	case from == "s32" && to == "f32":
		f = func(x uint32) uint32 { return bits32(float32(int32(x))) }
	case from == "u32" && to == "f32":
		f = func(x uint32) uint32 { return bits32(float32(x)) }
	case from == "f32" && to == "f32" && k.s.has("rni"):
		f = func(x uint32) uint32 { return bits32(float32(math.RoundToEven(float64(f32(x))))) }
	default:
		failf("is not interpreted")
	}
	return func(w *warp, m uint32) {
		x, o := w.needR(a, m), w.setR(d, m)
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			o[l] = f(x[l])
		}
	}
}

// toBF16 rounds to nearest even; a NaN is 0x7fff.
func toBF16(x float32) uint16 {
	b := bits32(x)
	if x != x {
		return 0x7fff
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// toTF32 rounds to nearest, away from zero.
func toTF32(b uint32) uint32 {
	if b&0x7f800000 == 0x7f800000 {
		return b
	}
	return (b + 0x1000) &^ 0x1fff
}

// toF16 rounds to nearest even; a NaN is 0x7fff.
func toF16(x float32) uint16 {
	sign := uint16(bits32(x) >> 16 & 0x8000)
	v := math.Abs(float64(x))
	switch {
	case x != x:
		return 0x7fff
	case v >= 65520:
		return sign | 0x7c00
	}
	exp := -14
	if v >= 0x1p-14 {
		exp = math.Ilogb(v)
	}
	n := uint16(math.RoundToEven(math.Ldexp(v, 10-exp))) // 1024 … 2048, or less for a subnormal
	if v < 0x1p-14 {
		return sign | n
	}
	return sign | uint16(exp+14)<<10 + n
}

func fromF16(h uint16) float32 {
	exp, frac := int(h>>10&31), float64(h&0x3ff)
	v := 0.0
	switch exp {
	case 0:
		v = math.Ldexp(frac, -24)
	case 31:
		if v = math.Inf(1); frac != 0 {
			v = math.NaN()
		}
	default:
		v = math.Ldexp(1024+frac, exp-25)
	}
	if h>>15 != 0 {
		v = -v
	}
	return float32(v)
}
