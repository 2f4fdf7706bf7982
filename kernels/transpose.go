package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// TransposeF32 transposes matrices: dst[i][c][r] = x[i][r][c].
//
// Shapes: x [n, rows, cols] and dst [n, cols, rows], dense. dst may not be x.
// With rows = C, cols = H·W it turns NCHW into NHWC, and back the other way.
func TransposeF32(t *par.Team, dst, x []float32, n, rows, cols int) {
	if n <= 0 || rows <= 0 || cols <= 0 {
		return
	}
	check(x, rows*cols, n, rows*cols)
	check(dst, rows*cols, n, rows*cols)
	bands := (rows + transposeBand - 1) / transposeBand
	runRows(t, vecTask{run: transposeChunk, dst: dst, a: x, h: rows, w: cols, cols: bands}, n*bands, transposeBand*cols)
}

// transposeBand rows are transposed together: 16 floats are a cache line of
// the result.
const transposeBand = 16

func transposeChunk(v *vecTask, lo, hi int) {
	for b := lo; b < hi; b++ {
		i, r := b/v.cols, b%v.cols*transposeBand
		n := min(transposeBand, v.h-r)
		const step = callElems / transposeBand
		for c := 0; c < v.w; c += step {
			transpose(v.dst[(i*v.w+c)*v.h+r:], v.h, v.a[(i*v.h+r)*v.w+c:], v.w, n, min(step, v.w-c))
		}
	}
}

func transpose(dst []float32, ldd int, x []float32, ldx, rows, cols int) {
	r8, c8 := rows&^7, cols&^7
	f := transposeF32.active
	if f == nil || r8 == 0 || c8 == 0 {
		ref.TransposeF32(dst, ldd, x, ldx, rows, cols)
		return
	}
	f(&dst[0], ldd, &x[0], ldx, r8, c8)
	if c8 < cols {
		ref.TransposeF32(dst[c8*ldd:], ldd, x[c8:], ldx, rows, cols-c8)
	}
	if r8 < rows {
		ref.TransposeF32(dst[r8:], ldd, x[r8*ldx:], ldx, rows-r8, c8)
	}
}
