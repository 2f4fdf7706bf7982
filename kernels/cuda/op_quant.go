package cuda

var (
	quantizeS8Kernels = byType("quant_sm75", "quantize_s8")
	quantizeU8Kernels = byType("quant_sm75", "quantize_u8")
	embeddingS8       = byType("quant_sm75", "embedding_s8")
	gemmS8            = byType("quant_sm75", "gemm_u8s8")
)

// QuantizeS8 quantizes each row of x to 8 bits, symmetrically: dst are int8,
// scale floats. What is computed is ref.QuantizeS8. dst.LD counts bytes; the
// bytes of a row of dst from cols on are set to 0.
func QuantizeS8(q Queue, t Type, dst Mat, scale Ptr, x Mat, rows, cols int) {
	byRow(q, quantizeS8Kernels[t], rows, cols, q.Args().Mat(dst).Ptr(scale).Mat(x).I32(cols))
}

// QuantizeU8 quantizes each row of x between its least and greatest element and
// 0: dst are uint8, scale floats, zero int32. What is computed is
// ref.QuantizeU8. dst.LD counts bytes; the bytes of a row of dst from cols on
// are set to 0.
func QuantizeU8(q Queue, t Type, dst Mat, scale, zero Ptr, x Mat, rows, cols int) {
	byRow(q, quantizeU8Kernels[t], rows, cols, q.Args().Mat(dst).Ptr(scale).Ptr(zero).Mat(x).I32(cols))
}

// EmbeddingS8: dst[i] = table[ids[i]]·scale[ids[i]], or += if accumulate; the
// table holds int8.
func EmbeddingS8(q Queue, t Type, dst Mat, ids Ptr, table Mat, scale Ptr, accumulate bool, rows, cols int) {
	rowsBy(q, embeddingS8[t], rows, cols, q.Args().Mat(dst).Ptr(ids).Mat(table).Ptr(scale).I32(flag(accumulate)))
}

// GemmU8S8 is a product of bytes
//
//	Dst[i][j] = act((Σ_p A[i][p]·B[j][p] - ZeroA[i]·SumB[j])·(ScaleA[i]·ScaleB[j]) + bias[j]) + residual[i][j]
//
// with A uint8 [M, K] and B int8 [N, K], their rows a multiple of 16 bytes
// apart and padded to one with zeros, ZeroA and SumB (the sums of B's rows)
// int32, the scales floats. Dst and the residual are of type Out. The sums are
// exact.
type GemmU8S8 struct {
	Dst, A, B                   Mat
	M, N, K                     int
	ScaleA, ZeroA, ScaleB, SumB Ptr
	Out                         Type
	Epilogue
}

// MatMulU8S8 computes g.
func MatMulU8S8(q Queue, g *GemmU8S8) {
	if g.M <= 0 || g.N <= 0 {
		return
	}
	a := q.Args().Mat(g.A).Mat(g.B).I32(g.M).I32(g.N).I32(g.K).Ptr(g.ScaleA).Ptr(g.ZeroA).Ptr(g.ScaleB).Ptr(g.SumB).
		Mat(g.Dst).Ptr(g.Bias).Mat(g.Residual).I32(int(g.Act))
	if q.Target() >= 80 {
		t := chooseMMA(g.M, g.N)
		t.launch(q, t.bytes[g.Out], g.M, g.N, 1, a)
		return
	}
	q.Launch(gemmS8[g.Out], Dim{ceil(g.M, 64), ceil(g.N, 64), 1}, Dim{256, 1, 1}, 0, a)
}
