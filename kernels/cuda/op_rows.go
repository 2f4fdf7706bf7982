package cuda

var (
	embeddingKernels = byType("rows_sm75", "embedding")
	gatherKernels    = byType("rows_sm75", "gather")
	combineKernels   = byType("rows_sm75", "combine")
	meanRowsKernels  = byType("rows_sm75", "mean_rows")
	rotaryKernels    = byType("rows_sm75", "rotary")
	appendKernels    = byType("rows_sm75", "append")
	patchesKernels   = byType("rows_sm75", "patches")
	transposeKernels = byType("rows_sm75", "transpose")
	poolMaxKernels   = byType("rows_sm75", "pool_max")
	poolMeanKernels  = byType("rows_sm75", "pool_mean")
	topKKernels      = byType("rows_sm75", "top_k")
)

// rowsBy launches a kernel of one thread a column and one block row a row.
func rowsBy(q Queue, k Kernel, rows, cols int, a *Args) {
	if rows <= 0 || cols <= 0 {
		return
	}
	a.I32(rows).I32(cols)
	q.Launch(k, Dim{ceil(cols, mapThreads), min(rows, maxGrid), 1}, Dim{mapThreads, 1, 1}, 0, a)
}

// Embedding: dst[i] = table[ids[i]], or += if accumulate; ids are int32.
func Embedding(q Queue, t Type, dst Mat, ids Ptr, table Mat, accumulate bool, rows, cols int) {
	rowsBy(q, embeddingKernels[t], rows, cols, q.Args().Mat(dst).Ptr(ids).Mat(table).I32(flag(accumulate)))
}

// Gather: dst[i] = x[ids[i]]; a negative id gives zeros.
func Gather(q Queue, t Type, dst, x Mat, ids Ptr, rows, cols int) {
	rowsBy(q, gatherKernels[t], rows, cols, q.Args().Mat(dst).Mat(x).Ptr(ids))
}

// Combine: dst[i] = Σ_j weights[j]·x[ids[j]] + residual[i] with j = off[i] …
// off[i+1]-1; residual may be none. off and ids are int32, weights floats. dst
// may not be x.
func Combine(q Queue, t Type, dst, x, residual Mat, off, ids, weights Ptr, rows, cols int) {
	rowsBy(q, combineKernels[t], rows, cols, q.Args().Mat(dst).Mat(x).Mat(residual).Ptr(off).Ptr(ids).Ptr(weights))
}

// MeanRows: dst[s] = mean of rows off[s] … off[s+1]-1 of x, for n sequences.
func MeanRows(q Queue, t Type, dst, x Mat, off Ptr, n, cols int) {
	rowsBy(q, meanRowsKernels[t], n, cols, q.Args().Mat(dst).Mat(x).Ptr(off))
}

// Rotary turns, in place, elements j and half+j of each head of x by the angle
// whose cosine is table[positions[row]][j] and whose sine is …[half+j]; the
// table holds floats, positions int32. cols is all of a row of x.
func Rotary(q Queue, t Type, x, table Mat, positions Ptr, headDim, half, rows, cols int) {
	rowsBy(q, rotaryKernels[t], rows, cols/headDim*half, q.Args().Mat(x).Mat(table).Ptr(positions).I32(headDim).I32(half))
}

// Append stores row i of x in a cache of pages: row slots[i] of them, counting
// pageRows a page; page p starts p·page elements behind dst, and its rows lie
// dst.LD apart. slots are int32; a negative one is left out.
func Append(q Queue, t Type, dst Mat, page, pageRows int, x Mat, slots Ptr, rows, cols int) {
	rowsBy(q, appendKernels[t], rows, cols, q.Args().Mat(dst).I64(page).I32(pageRows).Mat(x).Ptr(slots))
}

// Patches unfolds pictures [b, c, h, w] into patches of ph by pw, one a row of
// dst: [b·(h/ph)·(w/pw), c·ph·pw].
func Patches(q Queue, t Type, dst Mat, x Ptr, b, c, h, w, ph, pw int) {
	rowsBy(q, patchesKernels[t], b*(h/ph)*(w/pw), c*ph*pw, q.Args().Mat(dst).Ptr(x).I32(c).I32(h).I32(w).I32(ph).I32(pw))
}

// Transpose: dst[c][r] = x[r][c]. dst may not be x.
func Transpose(q Queue, t Type, dst, x Mat, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	q.Launch(transposeKernels[t], Dim{ceil(cols, 32), min(ceil(rows, 32), maxGrid), 1}, Dim{32, 8, 1}, 0,
		q.Args().Mat(dst).Mat(x).I32(rows).I32(cols))
}

// Window is the geometry of a convolution or pooling on pictures.
type Window struct {
	StrideH, StrideW       int
	PadT, PadL, PadB, PadR int
	DilH, DilW             int
}

// Out returns the size of the result of a kh by kw window on h by w pixels.
func (g Window) Out(h, w, kh, kw int) (oh, ow int) {
	return steps(h+g.PadT+g.PadB, g.DilH*(kh-1)+1, g.StrideH), steps(w+g.PadL+g.PadR, g.DilW*(kw-1)+1, g.StrideW)
}

func steps(n, reach, stride int) int {
	if n < reach {
		return 0
	}
	return (n-reach)/stride + 1
}

// Pool takes the largest element, or the mean, of each kh by kw window of x
// [h, w, c], channel by channel: dst [oh, ow, c]. Padding takes no part, but
// countPad counts it in the mean.
func Pool(q Queue, t Type, dst, x Ptr, h, w, c, kh, kw int, g Window, mean, countPad bool) {
	oh, ow := g.Out(h, w, kh, kw)
	k := poolMaxKernels[t]
	if mean {
		k = poolMeanKernels[t]
	}
	rowsBy(q, k, oh*ow, c, q.Args().Ptr(dst).Ptr(x).I32(h).I32(w).I32(ow).I32(kh).I32(kw).
		I32(g.StrideH).I32(g.StrideW).I32(g.PadT).I32(g.PadL).I32(g.DilH).I32(g.DilW).
		I32(h+g.PadB).I32(w+g.PadR).I32(flag(countPad)))
}

// TopK finds the k largest elements of each row of x, largest first, and their
// indices: values [rows, k] floats, indices [rows, k] int32. Of equal ones the
// first counts as larger; NaN counts as the largest.
func TopK(q Queue, t Type, values, indices Ptr, x Mat, k, rows, cols int) {
	if k <= 0 {
		return
	}
	byRow(q, topKKernels[t], rows, cols, q.Args().Ptr(values).Ptr(indices).Mat(x).I32(k).I32(cols))
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
