package ref

import "math"

// QuantizeS8 quantizes a row to 8 bits, symmetrically, to nearest even:
//
//	scale = max|x|/127, q[j] = round(x[j]·(127/max|x|))
//
// and returns the scale. A row below 2⁻¹⁰⁰ is all zeros and has scale 0. The
// scale of a row with a NaN or an infinity is NaN, so that what is computed
// from it is too; its q mean nothing.
func QuantizeS8(q []int8, x []float32) (scale float32) {
	top := uint32(0)
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	most := math.Float32frombits(top)
	switch {
	case top >= 0x7f800000:
		clear(q)
		return float32(math.NaN())
	case most < 0x1p-100:
		clear(q)
		return 0
	}
	inv := 127 / most
	for j, v := range x {
		q[j] = int8(math.RoundToEven(float64(float32(v * inv))))
	}
	return most / 127
}

// QuantizeU8 quantizes a row to 8 bits between its least and its greatest
// element and 0, to nearest even:
//
//	scale = (high-low)/255, zero = round(-low·(255/(high-low)))
//	q[j] = min(round(x[j]·(255/(high-low))) + zero, 255)
//
// so that x[j] is about (q[j]-zero)·scale and 0 is exact. A row whose range is
// below 2⁻¹⁰⁰ is all zeros and has scale 0. The scale of a row with a NaN, an
// infinity or a range that overflows is NaN, so that what is computed from it
// is too; its q mean nothing.
func QuantizeU8(q []uint8, x []float32) (scale float32, zero int32) {
	top, low, high := uint32(0), float32(0), float32(0)
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31))
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
	}
	span := high - low
	switch {
	case top >= 0x7f800000 || math.IsInf(float64(span), 0):
		clear(q)
		return float32(math.NaN()), 0
	case span < 0x1p-100:
		clear(q)
		return 0, 0
	}
	inv := 255 / span
	zero = int32(math.RoundToEven(float64(float32(-low * inv))))
	for j, v := range x {
		q[j] = uint8(min(int32(math.RoundToEven(float64(float32(v*inv))))+zero, 255))
	}
	return span / 255, zero
}

// DotU8S8 adds a row of a product of bytes with a packed weight, exactly:
//
//	dst[j] += Σ_p (a[p]-zero)·b[p/4*64 + j*4 + p%4]
//
// for the 16 columns of a panel.
func DotU8S8(dst *[16]int32, a []uint8, zero int32, b []int8) {
	for p, x := range a {
		for j := range dst {
			dst[j] += (int32(x) - zero) * int32(b[p/4*64+j*4+p%4])
		}
	}
}

// ScaleS8 turns an exact sum into a float32 and adds it to before, which is 0
// but for the later taps of a convolution.
func ScaleS8(sum int32, rowScale, colScale, before float32) float32 {
	return FMA32(float32(sum), float32(rowScale*colScale), before)
}

// QuantizeS4 quantizes a group to 4 bits, symmetrically, with the scale
// max|x|/7.5: -8 … 7 reach from one end to the other, as the
// compressed-tensors format has it. Special values are those of QuantizeS8.
func QuantizeS4(q []int8, x []float32) (scale float32) {
	top := uint32(0)
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	most := math.Float32frombits(top)
	clear(q)
	switch {
	case top >= 0x7f800000:
		return float32(math.NaN())
	case most < 0x1p-100:
		return 0
	}
	inv := 7.5 / most
	for j, v := range x {
		q[j] = int8(min(math.RoundToEven(float64(float32(v*inv))), 7))
	}
	return most / 7.5
}

// SplitBlock is the most elements that SplitF32 gives one exponent.
const SplitBlock = 32

// SplitF32 writes up to SplitBlock floats as fixed-point numbers of 24 bits, in
// three signed digits of base 256, so that products by small integers can be
// summed exactly:
//
//	x[p] = (d0[p] + 256·d1[p] + 65536·d2[p])·unit, rounded to nearest even
//
// unit is the power of two 2²² (or, close to the next one, 2²¹) below the
// largest magnitude: what is rounded away is at most 2⁻²³ of that, as much as of
// a float32. Digit d of element p is digits[p/8*32 + p/4%2*16 + d*4 + p%4]; what
// x does not fill is 0. sum[d] is -8 times the sum of the digits d, sum[3] are
// the bits of unit. A block below 2⁻¹⁰⁰ is 0, with unit 0; the unit of one with a
// NaN or an infinity is NaN, so that what is computed from it is too.
func SplitF32(digits []int8, sum []int32, x []float32) {
	top := uint32(0)
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	clear(digits)
	clear(sum[:3])
	switch {
	case top >= 0x7f800000:
		sum[3] = 0x7fc00000
		return
	case top < 0x0d800000:
		sum[3] = 0
		return
	}
	// 0x7f7f7f is the largest number of three such digits: from 0x7efeff on the
	// fraction of the largest magnitude needs the next power of two.
	exp := int32(top+0x10101)&0x7f800000 - 22<<23
	sum[3] = exp
	scale := math.Float32frombits(uint32(254<<23 - exp))
	for p, v := range x {
		n := int32(math.RoundToEven(float64(float32(v*scale)))) + 0x808080
		for d := range 3 {
			digit := int8(n>>(8*d)) ^ -0x80
			digits[p/8*32+p/4%2*16+d*4+p%4] = digit
			sum[d] -= 8 * int32(digit)
		}
	}
}

// AddBlockS4 adds the product of a block that SplitF32 has split with a group
// of a panel of nibbles:
//
//	s[d] = sum[d] + Σ_p digit(p, d)·b(p, j)
//	dst[j] = fma(fma(s[2], 65536, fma(s[1], 256, s[0]))·unit, scale[j], dst[j])
//
// where the s are exact, then rounded to float32. b(p, j) is nibble p/4%2 of
// byte b[p/8*64 + j*4 + p%4], the weight plus 8.
func AddBlockS4(dst []float32, digits []int8, sum [4]int32, b []int8, scale []float32) {
	unit := math.Float32frombits(uint32(sum[3]))
	for j := range dst {
		s := [3]int32(sum[:3])
		for at := range len(digits) / 32 {
			for p := range 8 {
				q := int32(uint8(b[at*64+j*4+p%4]) >> (p / 4 * 4) & 15)
				for d := range s {
					s[d] += q * int32(digits[at*32+p/4*16+d*4+p%4])
				}
			}
		}
		t := FMA32(float32(s[2]), 65536, FMA32(float32(s[1]), 256, float32(s[0])))
		dst[j] = FMA32(float32(t*unit), scale[j], dst[j])
	}
}

// AddGroupS8 adds the product of a row with a group of a panel of bytes:
//
//	dst[j] = fma(Σ_p a[p]·b[p*16+j], scale[j], dst[j])
//
// The sum is one chain of fused multiply-adds in rising p.
func AddGroupS8(dst, a []float32, b []int8, scale []float32) {
	for j := range dst {
		s := float32(0)
		for p, x := range a {
			s = FMA32(x, float32(b[p*16+j]), s)
		}
		dst[j] = FMA32(s, scale[j], dst[j])
	}
}
