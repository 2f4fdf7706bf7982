package kernels

import (
	"sync"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// LayerNormF32 normalises each row of x, or of x + residual:
//
//	y = x[r] + residual[r];  sum[r] = y
//	dst[r][c] = (y[c]-mean) / √(var+eps) · gain[c] + bias[c]
//
// Shapes: dst, x, residual and sum [rows, cols], each with a row stride, gain
// and bias [cols]. residual, sum and bias may be nil, but there is no sum
// without a residual; dst may be x, residual or sum.
// var divides by cols. Sums have 32 lanes; var is of deviations from the mean,
// and what rounding took from the mean is put back (ref.LayerNormF32), so that
// an element is within 2·10⁻⁵ even where the mean is 10⁶ times the deviation.
// Ba et al. 2016, arXiv:1607.06450.
func LayerNormF32(t *par.Team, dst []float32, ldd int, x []float32, ldx int, residual []float32, ldr int, sum []float32, lds int, gain, bias []float32, eps float32, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	check(dst, ldd, rows, cols)
	check(x, ldx, rows, cols)
	v := vecTask{run: layerNormChunk, dst: dst, ldd: ldd, a: x, lda: ldx, b: residual, ldb: ldr, c: sum, ldc: lds, d: gain[:cols], e: bias, s: eps, cols: cols}
	if bias != nil {
		v.e = bias[:cols]
	}
	switch {
	case residual == nil:
		v.c, v.ldc = x, ldx
		if sum != nil {
			panic("kernels: a sum without a residual")
		}
	case sum == nil:
		v.c, v.ldc = dst, ldd
	}
	if residual != nil {
		check(residual, ldr, rows, cols)
		check(v.c, v.ldc, rows, cols)
	}
	runRows(t, v, rows, cols)
}

func layerNormChunk(v *vecTask, lo, hi int) {
	if f := layerNormF32.active; f != nil {
		var residual, bias *float32
		ldr := 0
		if v.b != nil {
			residual, ldr = &v.b[lo*v.ldb], v.ldb
		}
		if v.e != nil {
			bias = &v.e[0]
		}
		f(&v.dst[lo*v.ldd], v.ldd, &v.a[lo*v.lda], v.lda, residual, ldr, &v.c[lo*v.ldc], v.ldc,
			&v.d[0], bias, float32(v.cols), v.s, hi-lo, v.cols)
		return
	}
	for i := lo; i < hi; i++ {
		var residual, sum []float32
		if v.b != nil {
			residual, sum = v.b[i*v.ldb:][:v.cols], v.c[i*v.ldc:][:v.cols]
		}
		ref.LayerNormF32(v.dst[i*v.ldd:][:v.cols], v.a[i*v.lda:][:v.cols], residual, sum, v.d, v.e, v.s)
	}
}

// RMSNormF32 divides each row by its root mean square:
//
//	dst[r][c] = x[r][c] / √(Σ_c x[r][c]²/cols + eps) · gain[c]
//
// Shapes: x and dst [rows, cols] with row strides ldx and ldd, gain [cols].
// dst may be x. The sum has 32 lanes of fused multiply-adds; an element is
// within 16 ULP for up to a few thousand columns. Zhang & Sennrich 2019,
// arXiv:1910.07467.
func RMSNormF32(t *par.Team, dst []float32, ldd int, x []float32, ldx int, gain []float32, eps float32, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	check(dst, ldd, rows, cols)
	check(x, ldx, rows, cols)
	runRows(t, vecTask{run: rmsNormChunk, dst: dst, ldd: ldd, a: x, lda: ldx, d: gain[:cols], s: eps, cols: cols}, rows, cols)
}

func rmsNormChunk(v *vecTask, lo, hi int) {
	if f := rmsNormF32.active; f != nil {
		f(&v.dst[lo*v.ldd], v.ldd, &v.a[lo*v.lda], v.lda, &v.d[0], float32(v.cols), v.s, hi-lo, v.cols)
		return
	}
	for i := lo; i < hi; i++ {
		ref.RMSNormF32(v.dst[i*v.ldd:][:v.cols], v.a[i*v.lda:][:v.cols], v.d, v.s)
	}
}

// L2NormF32 scales each row to length 1: dst[r][c] = x[r][c] / max(‖x[r]‖₂, eps).
//
// Shapes: x and dst [rows, cols] with row strides ldx and ldd. dst may be x.
func L2NormF32(t *par.Team, dst []float32, ldd int, x []float32, ldx int, eps float32, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	check(dst, ldd, rows, cols)
	check(x, ldx, rows, cols)
	runRows(t, vecTask{run: l2NormChunk, dst: dst, ldd: ldd, a: x, lda: ldx, s: eps, cols: cols}, rows, cols)
}

func l2NormChunk(v *vecTask, lo, hi int) {
	if f := l2NormF32.active; f != nil {
		f(&v.dst[lo*v.ldd], v.ldd, &v.a[lo*v.lda], v.lda, v.s, hi-lo, v.cols)
		return
	}
	for i := lo; i < hi; i++ {
		ref.L2NormF32(v.dst[i*v.ldd:][:v.cols], v.a[i*v.lda:][:v.cols], v.s)
	}
}

// GroupNormF32 normalises x over time and over the channels of each group,
// then applies an activation:
//
//	dst[t][c] = act((x[t][c]-mean) / √(var+eps) · gain[c] + bias[c])
//
// with mean and var of the group's C/groups channels over all T steps. Shapes:
// x and dst [T, C] dense, gain and bias [C]. groups divides C. dst may be x.
// Wu & He 2018, arXiv:1803.08494.
//
// The sums of a channel are taken in blocks of 256 steps, each in order from
// +0; the blocks are added in order from +0; the channels of a group are added
// in 32 lanes. The mean is taken first, then the deviations from it and their
// squares (fused multiply-adds) and, as in layer norm, what rounding took from
// the mean is put back.
func GroupNormF32(t *par.Team, dst, x []float32, T, C, groups int, gain, bias []float32, eps float32, a Act) {
	if T <= 0 || C <= 0 {
		return
	}
	check(x, C, T, C)
	check(dst, C, T, C)
	if groups < 1 || C%groups != 0 {
		panic("kernels: groups do not divide the channels")
	}
	blocks := (T + statRows - 1) / statRows
	buf := statScratch.Get().(*[]float32)
	need := (2*blocks + 6) * C
	if cap(*buf) < need {
		*buf = make([]float32, need)
	}
	s := (*buf)[:need]
	take := func(n int) (p []float32) { p, s = s[:n:n], s[n:]; return p }
	first, second := take(blocks*C), take(blocks*C)
	mean, shift, scale, total := take(C), take(C), take(C), take(C)

	n := float32(T) * float32(C/groups)
	v := vecTask{run: sumBlocks, dst: first, a: x, cols: C, ldd: T}
	v.start(t, blocks, 1)
	addBlocks(total, first)
	eachGroup(total, groups, func(g int, part []float32) {
		m := groupSum(part) / n
		for i := range part {
			mean[g*len(part)+i] = m
		}
	})

	v = vecTask{run: momentBlocks, dst: first, b: second, a: x, c: mean, cols: C, ldd: T}
	v.start(t, blocks, 1)
	addBlocks(total, first)
	eachGroup(total, groups, func(g int, part []float32) {
		m := groupSum(part) / n
		for i := range part {
			shift[g*len(part)+i] = m
		}
	})
	addBlocks(total, second)
	eachGroup(total, groups, func(g int, part []float32) {
		inv := ref.InverseDeviation(groupSum(part)/n, shift[g*len(part)], eps)
		for i := range part {
			scale[g*len(part)+i] = inv * gain[g*len(part)+i]
		}
	})

	v = vecTask{run: columnNormChunk, dst: dst, a: x, b: mean, c: shift, d: scale, e: bias[:C], act: a, cols: C}
	runRows(t, v, T, C)
	statScratch.Put(buf)
}

// statRows is the number of rows of a block of column statistics, downRows
// that of one pass over the columns of a block: so many rows the hardware
// prefetches side by side.
const (
	statRows = 256
	downRows = 16
)

var statScratch = sync.Pool{New: func() any { return new([]float32) }}

// groupSum is ref.SumF32, which has nothing to add for one channel.
func groupSum(x []float32) float32 {
	if len(x) == 1 {
		return x[0] + 0
	}
	return ref.SumF32(x)
}

func eachGroup(x []float32, groups int, f func(g int, part []float32)) {
	per := len(x) / groups
	for g := range groups {
		f(g, x[g*per:(g+1)*per])
	}
}

// addBlocks adds the rows of blocks, in order from +0.
func addBlocks(dst, blocks []float32) {
	clear(dst)
	ref.ColumnSumsF32(dst, blocks, len(dst), len(blocks)/len(dst))
}

func sumBlocks(v *vecTask, lo, hi int) {
	for b := lo; b < hi; b++ {
		sum := v.dst[b*v.cols:][:v.cols]
		clear(sum)
		columnSums(sum, v.a[b*statRows*v.cols:], v.cols, min(statRows, v.ldd-b*statRows))
	}
}

// columnSums adds rows of x to sum, in order.
func columnSums(sum, x []float32, ldx, rows int) {
	f := columnSumsF32.active
	if f == nil {
		ref.ColumnSumsF32(sum, x, ldx, rows)
		return
	}
	for i := 0; i < rows; i += downRows {
		f(&sum[0], &x[i*ldx], ldx, min(downRows, rows-i), len(sum))
	}
}

func momentBlocks(v *vecTask, lo, hi int) {
	for b := lo; b < hi; b++ {
		sum, squares := v.dst[b*v.cols:][:v.cols], v.b[b*v.cols:][:v.cols]
		clear(sum)
		clear(squares)
		x, rows := v.a[b*statRows*v.cols:], min(statRows, v.ldd-b*statRows)
		f := momentsF32.active
		if f == nil {
			ref.ColumnMomentsF32(sum, squares, x, v.cols, v.c, rows)
			continue
		}
		for i := 0; i < rows; i += downRows {
			f(&sum[0], &squares[0], &x[i*v.cols], v.cols, &v.c[0], min(downRows, rows-i), v.cols)
		}
	}
}

func columnNormChunk(v *vecTask, lo, hi int) {
	C := v.cols
	dst, x := v.dst[lo*C:hi*C], v.a[lo*C:hi*C]
	if f := columnNormF32.active; f != nil {
		f(&dst[0], C, &x[0], C, &v.b[0], &v.c[0], &v.d[0], &v.e[0], hi-lo, C)
	} else {
		for i := range hi - lo {
			ref.ColumnNormF32(dst[i*C:][:C], x[i*C:][:C], v.b, v.c, v.d, v.e)
		}
	}
	if v.act != ActNone {
		biasAct(dst, C, dst, C, nil, nil, 0, false, v.act, hi-lo, C)
	}
}
