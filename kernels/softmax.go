package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// SoftmaxF32 turns each row into probabilities:
//
//	dst[r][c] = e^(x[r][c]-max) / Σ_c e^(x[r][c]-max)
//
// Shapes: x [rows, cols] with row stride ld, dst [rows, cols] dense. dst may be
// x if ld is cols. The sum has 32 lanes; each value is within 4 ULP for up to
// a few thousand columns. A row that is all -Inf, or has +Inf or NaN, gives
// NaN, as the formula and PyTorch do.
func SoftmaxF32(t *par.Team, dst, x []float32, rows, cols, ld int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	check(x, ld, rows, cols)
	check(dst, cols, rows, cols)
	runRows(t, vecTask{run: softmaxChunk, dst: dst, a: x, ldd: cols, lda: ld, cols: cols}, rows, cols)
}

func softmaxChunk(v *vecTask, lo, hi int) {
	if f := softmaxF32.active; f != nil {
		f(&v.dst[lo*v.ldd], v.ldd, &v.a[lo*v.lda], v.lda, hi-lo, v.cols)
		return
	}
	for i := lo; i < hi; i++ {
		ref.SoftmaxF32(v.dst[i*v.ldd:][:v.cols], v.a[i*v.lda:][:v.cols])
	}
}
