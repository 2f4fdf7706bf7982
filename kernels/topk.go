package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// ArgMaxF32 puts the index of the largest element of each row into dst; of
// equal ones the first. NaN counts as the largest, as in PyTorch.
//
// Shapes: x [rows, cols] with row stride ld, dst [rows]; cols is positive.
func ArgMaxF32(t *par.Team, dst []int32, x []float32, rows, cols, ld int) {
	if rows <= 0 {
		return
	}
	check(x, ld, rows, cols)
	runRows(t, vecTask{run: argMaxChunk, ids: dst[:rows], a: x, lda: ld, cols: cols}, rows, cols)
}

func argMaxChunk(v *vecTask, lo, hi int) {
	var value [1]float32
	for i := lo; i < hi; i++ {
		topK(value[:], v.ids[i:i+1], v.a[i*v.lda:][:v.cols])
	}
}

// TopKF32 finds the k largest elements of each row, largest first, and their
// indices; of equal ones the first counts as larger. NaN counts as the largest.
//
// Shapes: x [rows, cols] with row stride ld, values and indices [rows, k];
// 0 ≤ k ≤ cols.
func TopKF32(t *par.Team, values []float32, indices []int32, x []float32, rows, cols, ld, k int) {
	if rows <= 0 || k <= 0 {
		return
	}
	check(x, ld, rows, cols)
	runRows(t, vecTask{run: topKChunk, dst: values[:rows*k], ids: indices[:rows*k], a: x, lda: ld, ldd: k, cols: cols}, rows, cols)
}

func topKChunk(v *vecTask, lo, hi int) {
	for i := lo; i < hi; i++ {
		topK(v.dst[i*v.ldd:][:v.ldd], v.ids[i*v.ldd:][:v.ldd], v.a[i*v.lda:][:v.cols])
	}
}

// topK keeps the best len(values) elements so far sorted. Once there are so
// many, only what exceeds the last of them is looked at.
func topK(values []float32, indices []int32, x []float32) {
	k, n := len(values), 0
	for j := 0; j < len(x); j++ {
		if n == k {
			if j = findAbove(x, j, values[k-1]); j == len(x) {
				return
			}
			if !above(x[j], values[k-1]) {
				continue // NaN does not exceed NaN
			}
			n--
		}
		i := n
		for ; i > 0 && above(x[j], values[i-1]); i-- {
			values[i], indices[i] = values[i-1], indices[i-1]
		}
		values[i], indices[i] = x[j], int32(j)
		n++
	}
}

// above orders numbers, with NaN above them all.
func above(a, b float32) bool { return a > b || a != a && b == b }

// findAbove returns the first index from j on of an element that is not at
// most limit, or len(x).
func findAbove(x []float32, j int, limit float32) int {
	f := findAboveF32.active
	if f == nil {
		return j + ref.FindAboveF32(x[j:], limit)
	}
	for whole := (len(x) - j) &^ 31; whole > 0; {
		n := min(whole, 8*callElems)
		at := f(&x[j], n, limit)
		j, whole = j+at, whole-at
		if at < n {
			break
		}
	}
	return j + ref.FindAboveF32(x[j:], limit)
}
