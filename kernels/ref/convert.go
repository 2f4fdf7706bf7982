package ref

import "math"

// F16 returns the value of a half precision number (IEEE 754 binary16).
func F16(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&31, uint32(h)&0x3ff
	switch exp {
	case 0: // zero or denormal: frac·2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(frac)*0x1p-24))
	case 31:
		if frac != 0 {
			frac |= 0x200 // quiet
		}
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+127-15)<<23 | frac<<13)
}

// ToF16 rounds to half precision, to nearest even; what is too large is ±Inf.
func ToF16(x float32) uint16 {
	bits := math.Float32bits(x)
	sign, a := uint16(bits>>16&0x8000), bits&^(1<<31)
	switch {
	case a > 0xff<<23: // NaN
		return sign | 0x7e00 | uint16(a>>13&0x3ff)
	case a >= 0x477ff000: // 65520 and more
		return sign | 0x7c00
	case a < 0x38800000: // below 2⁻¹⁴: a multiple of 2⁻²⁴, rounded by the adder
		f := math.Float32frombits(a) + 0.5
		return sign | uint16(math.Float32bits(f)-math.Float32bits(0.5))
	}
	a += 0xfff + a>>13&1 // to nearest even
	return sign | uint16((a-(127-15)<<23)>>13)
}

// BF16 returns the value of a bfloat16 number.
func BF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToBF16 rounds to bfloat16, to nearest even; a NaN stays one.
func ToBF16(x float32) uint16 {
	bits := math.Float32bits(x)
	if x != x {
		return uint16(bits>>16) | 0x40
	}
	return uint16((bits + 0x7fff + bits>>16&1) >> 16)
}
