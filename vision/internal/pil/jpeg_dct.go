package pil

// Constants of the Loeffler, Ligtenberg and Moschytz algorithm ("Practical Fast
// 1-D DCT Algorithms with 11 Multiplications", ICASSP 1989), scaled by 2^13.
const (
	dctBits   = 13
	dctPass1  = 2
	dct0_298  = 2446
	dct0_390  = 3196
	dct0_541  = 4433
	dct0_765  = 6270
	dct0_899  = 7373
	dct1_175  = 9633
	dct1_501  = 12299
	dct1_847  = 15137
	dct1_961  = 16069
	dct2_053  = 16819
	dct2_562  = 20995
	dct3_072  = 25172
	dctRound1 = 1 << (dctBits - dctPass1 - 1)
	dctShift1 = dctBits - dctPass1
	dctShift2 = dctBits + dctPass1 + 3
	dctRound2 = 1 << (dctShift2 - 1)
)

// idct dequantises a block of coefficients in natural order, transforms it and
// stores the 8×8 samples, level-shifted and clamped. It is libjpeg's accurate
// integer inverse DCT ("islow"): columns first, with two more fractional bits
// kept between the passes.
func idct(block *[64]int16, quant *[64]uint16, dst []uint8, stride int) {
	var ws [64]int32
	for i := range 8 {
		// A column of zeros below its first coefficient is constant.
		if block[8+i]|block[16+i]|block[24+i]|block[32+i]|block[40+i]|block[48+i]|block[56+i] == 0 {
			v := int32(block[i]) * int32(quant[i]) << dctPass1
			for j := i; j < 64; j += 8 {
				ws[j] = v
			}
			continue
		}
		q := func(j int) int32 { return int32(block[j+i]) * int32(quant[j+i]) }
		e0, e1, e2, e3, o0, o1, o2, o3 := butterfly(q(0), q(8), q(16), q(24), q(32), q(40), q(48), q(56))
		ws[i] = (e0 + o3 + dctRound1) >> dctShift1
		ws[56+i] = (e0 - o3 + dctRound1) >> dctShift1
		ws[8+i] = (e1 + o2 + dctRound1) >> dctShift1
		ws[48+i] = (e1 - o2 + dctRound1) >> dctShift1
		ws[16+i] = (e2 + o1 + dctRound1) >> dctShift1
		ws[40+i] = (e2 - o1 + dctRound1) >> dctShift1
		ws[24+i] = (e3 + o0 + dctRound1) >> dctShift1
		ws[32+i] = (e3 - o0 + dctRound1) >> dctShift1
	}
	for i := range 8 {
		w := ws[8*i : 8*i+8 : 8*i+8]
		out := dst[i*stride : i*stride+8 : i*stride+8]
		if w[1]|w[2]|w[3]|w[4]|w[5]|w[6]|w[7] == 0 {
			v := clampSample((w[0] + 1<<(dctPass1+2)) >> (dctPass1 + 3))
			for j := range out {
				out[j] = v
			}
			continue
		}
		e0, e1, e2, e3, o0, o1, o2, o3 := butterfly(w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7])
		out[0] = clampSample((e0 + o3 + dctRound2) >> dctShift2)
		out[7] = clampSample((e0 - o3 + dctRound2) >> dctShift2)
		out[1] = clampSample((e1 + o2 + dctRound2) >> dctShift2)
		out[6] = clampSample((e1 - o2 + dctRound2) >> dctShift2)
		out[2] = clampSample((e2 + o1 + dctRound2) >> dctShift2)
		out[5] = clampSample((e2 - o1 + dctRound2) >> dctShift2)
		out[3] = clampSample((e3 + o0 + dctRound2) >> dctShift2)
		out[4] = clampSample((e3 - o0 + dctRound2) >> dctShift2)
	}
}

// butterfly is the one-dimensional transform before its final additions:
// result i is (e_i + o_(3-i)), result 7-i is (e_i - o_(3-i)), scaled by 2^13.
func butterfly(x0, x1, x2, x3, x4, x5, x6, x7 int32) (e0, e1, e2, e3, o0, o1, o2, o3 int32) {
	z1 := (x2 + x6) * dct0_541
	t2 := z1 - x6*dct1_847
	t3 := z1 + x2*dct0_765
	t0 := (x0 + x4) << dctBits
	t1 := (x0 - x4) << dctBits
	e0, e3, e1, e2 = t0+t3, t0-t3, t1+t2, t1-t2

	z1, z2, z3, z4 := x7+x1, x5+x3, x7+x3, x5+x1
	z5 := (z3 + z4) * dct1_175
	o0, o1, o2, o3 = x7*dct0_298, x5*dct2_053, x3*dct3_072, x1*dct1_501
	z1 *= -dct0_899
	z2 *= -dct2_562
	z3 = z3*-dct1_961 + z5
	z4 = z4*-dct0_390 + z5
	o0 += z1 + z3
	o1 += z2 + z4
	o2 += z2 + z3
	o3 += z1 + z4
	return
}

// clampSample shifts a sample's level to 0..255.
func clampSample(v int32) uint8 {
	v += 128
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return uint8(v)
}
