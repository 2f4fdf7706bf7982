package ref

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
