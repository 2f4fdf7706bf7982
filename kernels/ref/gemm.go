package ref

import "math"

// GemmRowF32 computes one row of a product with a packed panel:
//
//	dst[j] = Σ_p a[p]·b[p*ldb+j]  (+ dst[j] if add)
//
// as one chain of fused multiply-adds in rising p.
func GemmRowF32(dst, a, b []float32, ldb int, add bool) {
	for j := range dst {
		s := float32(0)
		if add {
			s = dst[j]
		}
		for p, x := range a {
			s = FMA32(x, b[p*ldb+j], s)
		}
		dst[j] = s
	}
}

// GemmRowBF16 is GemmRowF32 on pairs of bfloat16, by DotBF16, in panels whose
// columns have words pairs side by side:
//
//	dst[j] = Σ_p a[p]·b[(p/words*16+j)*words+p%words]  (+ dst[j] if add)
func GemmRowBF16(dst, a, b []float32, words int, add bool) {
	for j := range dst {
		s := float32(0)
		if add {
			s = dst[j]
		}
		for p, x := range a {
			s = DotBF16(x, b[(p/words*16+j)*words+p%words], s)
		}
		dst[j] = s
	}
}

// DotBF16 adds the products of two pairs of bfloat16, each in the bits of a
// float32, to s:
//
//	s = fma(upper a, upper b, s)
//	s = fma(lower a, lower b, s)
//
// with denormal operands and results taken as zeros: what AVX512_BF16 does.
// Arm's BFMMLA adds exact products in another order and rounds to odd.
func DotBF16(a, b, s float32) float32 {
	x, y := math.Float32bits(a), math.Float32bits(b)
	s = flush(FMA32(flush(upperHalf(x)), flush(upperHalf(y)), flush(s)))
	return flush(FMA32(flush(upperHalf(x<<16)), flush(upperHalf(y<<16)), s))
}

// upperHalf is the bfloat16 in the upper half of a word.
func upperHalf(w uint32) float32 { return math.Float32frombits(w & 0xffff0000) }

// flush makes a denormal number zero.
func flush(x float32) float32 {
	if bits := math.Float32bits(x); bits&0x7f800000 == 0 {
		return math.Float32frombits(bits & (1 << 31))
	}
	return x
}
