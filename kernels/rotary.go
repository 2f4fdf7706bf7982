package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// RotaryF32 applies the rotary position embedding in place: of each head, the
// pairs of elements j and n+j, 0 ≤ j < n, are turned by the angles of their
// row's position:
//
//	x[r][h·headDim+j]   = u·cos - v·sin
//	x[r][h·headDim+n+j] = v·cos + u·sin
//
// with u, v the pair before, cos = table[positions[r]][j] and sin =
// table[positions[r]][n+j]; each product is rounded. Shapes: x
// [len(positions), heads·headDim] with row stride ldx, table [_, 2n] with row
// stride ldt; 2n ≤ headDim, and what is beyond 2n stays. Su et al. 2021,
// arXiv:2104.09864.
func RotaryF32(t *par.Team, x []float32, ldx int, table []float32, ldt int, positions []int32, cols, headDim, n int) {
	if len(positions) == 0 || cols <= 0 || n <= 0 {
		return
	}
	check(x, ldx, len(positions), cols)
	runRows(t, vecTask{run: rotaryChunk, dst: x, ldd: ldx, a: table, lda: ldt, ids: positions, cols: cols, w: headDim, kw: n}, len(positions), cols)
}

func rotaryChunk(v *vecTask, lo, hi int) {
	for i := lo; i < hi; i++ {
		x, angles := v.dst[i*v.ldd:][:v.cols], v.a[int(v.ids[i])*v.lda:][:2*v.kw]
		heads := v.cols / v.w
		if f := rotaryF32.active; f != nil {
			f(&x[0], v.w, &angles[0], heads, v.kw)
			continue
		}
		for h := range heads {
			ref.RotaryF32(x[h*v.w:], angles)
		}
	}
}
