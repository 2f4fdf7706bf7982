package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// ScaleF32 is dst[i] = x[i]·s. dst may be x.
func ScaleF32(t *par.Team, dst, x []float32, s float32) {
	runFlat(t, vecTask{run: scaleChunk, dst: dst, a: x, s: s}, len(dst))
}

func scaleChunk(v *vecTask, lo, hi int) { scale(v.dst[lo:hi], v.a[lo:hi], v.s) }

func scale(dst, x []float32, s float32) {
	if f := scaleF32.active; f != nil {
		f(&dst[0], 0, &x[0], 0, s, 1, len(dst))
		return
	}
	ref.ScaleF32(dst, x[:len(dst)], s)
}

// AxpyF32 is dst[i] = x[i]·s + dst[i], fused. x may be dst.
func AxpyF32(t *par.Team, dst, x []float32, s float32) {
	runFlat(t, vecTask{run: axpyChunk, dst: dst, a: x, s: s}, len(dst))
}

func axpyChunk(v *vecTask, lo, hi int) {
	dst, x := v.dst[lo:hi], v.a[lo:hi]
	if f := axpyF32.active; f != nil {
		f(&dst[0], 0, &x[0], 0, v.s, 1, len(dst))
		return
	}
	ref.AxpyF32(dst, x, v.s)
}

// ClampF32 is dst[i] = min(max(x[i], low), high). A NaN stays. dst may be x.
func ClampF32(t *par.Team, dst, x []float32, low, high float32) {
	runFlat(t, vecTask{run: clampChunk, dst: dst, a: x, s: low, s2: high}, len(dst))
}

func clampChunk(v *vecTask, lo, hi int) {
	dst, x := v.dst[lo:hi], v.a[lo:hi]
	if f := clampF32.active; f != nil {
		f(&dst[0], 0, &x[0], 0, v.s, v.s2, 1, len(dst))
		return
	}
	ref.ClampF32(dst, x, v.s, v.s2)
}

// AffineF32 maps each column by itself, as a batch norm does:
//
//	dst[r][c] = x[r][c]·scale[c] + shift[c]
//
// rounded once. Shapes: x and dst [rows, cols] with row strides ldx and ldd,
// scale and shift [cols]. dst may be x.
func AffineF32(t *par.Team, dst []float32, ldd int, x []float32, ldx int, scale, shift []float32, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	check(dst, ldd, rows, cols)
	check(x, ldx, rows, cols)
	runRows(t, vecTask{run: affineChunk, dst: dst, ldd: ldd, a: x, lda: ldx, b: scale[:cols], c: shift[:cols], cols: cols}, rows, cols)
}

func affineChunk(v *vecTask, lo, hi int) {
	if f := affineF32.active; f != nil {
		f(&v.dst[lo*v.ldd], v.ldd, &v.a[lo*v.lda], v.lda, &v.b[0], &v.c[0], hi-lo, v.cols)
		return
	}
	for i := lo; i < hi; i++ {
		ref.AffineF32(v.dst[i*v.ldd:][:v.cols], v.a[i*v.lda:][:v.cols], v.b, v.c)
	}
}
