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

// FixedBlock is the most elements that FixedF32 gives one unit.
const FixedBlock = 32

// FixedF32 writes up to FixedBlock floats as fixed-point numbers of 24 bits, so
// that products by small integers can be summed exactly:
//
//	n[p] = round(x[p]/unit), to nearest even, |n[p]| <= 0x7f7f7f
//
// unit is 2⁻²² (or, just below the next power of two, 2⁻²¹) of the power of two
// below the largest magnitude: what is rounded away is at most 2⁻²³ of that, about
// as much as from a float32. A block below 2⁻¹⁰⁰ is 0, with unit 0; the unit of one
// with a NaN or an infinity is NaN, so that what is computed from it is too.
func FixedF32(n []int32, x []float32) (unit float32) {
	top := uint32(0)
	for _, v := range x {
		top = max(top, math.Float32bits(v)&^(1<<31))
	}
	clear(n)
	switch {
	case top >= 0x7f800000:
		return float32(math.NaN())
	case top < 0x0d800000:
		return 0
	}
	// 0x7f7f7f is the largest number of three signed digits of 8 bits: from
	// 0x7efeff on the fraction asks for the next power of two.
	exp := (top+0x10101)&0x7f800000 - 22<<23
	scale := math.Float32frombits(254<<23 - exp)
	for p, v := range x {
		n[p] = int32(math.RoundToEven(float64(float32(v * scale))))
	}
	return math.Float32frombits(exp)
}

// AddFixed adds the product of a block of FixedF32 with a weight of integers
// that follow each other, to one element:
//
//	dst + unit·(Σ_p n[p]·q[p])·scale
//
// The sum is exact, then rounded to float32; the rest is one multiply-add.
func AddFixed(dst float32, n []int32, unit float32, q []int8, scale float32) float32 {
	s := int64(0)
	for p, v := range n {
		s += int64(v) * int64(q[p])
	}
	return FMA32(float32(float32(s)*unit), scale, dst)
}
