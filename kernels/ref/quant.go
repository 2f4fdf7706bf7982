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

// DotS8 adds a row of a product of bytes with a packed weight, exactly:
//
//	dst[j] += Σ_p a[p]·b[p/4*64 + j*4 + p%4]
//
// for the 16 columns of a panel.
func DotS8[A int8 | uint8](dst *[16]int32, a []A, b []int8) {
	for p, x := range a {
		for j := range dst {
			dst[j] += int32(x) * int32(b[p/4*64+j*4+p%4])
		}
	}
}

// ScaleS8 turns an exact sum into a float32.
func ScaleS8(sum int32, rowScale, colScale float32) float32 {
	return float32(sum) * float32(rowScale*colScale)
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
