package cuda

var (
	layerNormKernels  = byVector("norm_sm75", "layer_norm")
	rmsNormKernels    = byVector("norm_sm75", "rms_norm")
	softmaxKernels    = byType("norm_sm75", "softmax")
	groupStatsKernels = byType("norm_sm75", "group_stats")
	groupMerge        = Kernel{"norm_sm75", "group_merge"}
	groupApplyKernels = byType("norm_sm75", "group_apply")
)

// rowThreads is the threads that share a row of cols elements.
func rowThreads(cols int) int {
	switch {
	case cols <= 128:
		return 32
	case cols <= 1024:
		return 128
	}
	return 256
}

// byRow launches a kernel with a block a row.
func byRow(q Queue, k Kernel, rows, cols int, a *Args) {
	if rows <= 0 || cols <= 0 {
		return
	}
	q.Launch(k, Dim{rows, 1, 1}, Dim{rowThreads(cols), 1, 1}, 0, a)
}

// LayerNorm normalises each row of x (+ residual, if present); gain and bias
// are floats, bias may be none. dst may be x or residual.
func LayerNorm(q Queue, t Type, dst, x, residual Mat, gain, bias Ptr, eps float32, rows, cols int) {
	four := dst.whole(t, cols) && x.whole(t, cols) && residual.whole(t, cols) && gain%16 == 0 && bias%16 == 0
	byRow(q, layerNormKernels.choose(t, four), rows, cols,
		q.Args().Mat(dst).Mat(x).Mat(residual).Ptr(gain).Ptr(bias).F32(eps).I32(cols))
}

// RMSNorm: dst = x / √(mean(x²) + eps) · gain, row by row. dst may be x.
func RMSNorm(q Queue, t Type, dst, x Mat, gain Ptr, eps float32, rows, cols int) {
	four := dst.whole(t, cols) && x.whole(t, cols) && gain%16 == 0
	byRow(q, rmsNormKernels.choose(t, four), rows, cols, q.Args().Mat(dst).Mat(x).Ptr(gain).F32(eps).I32(cols))
}

// Softmax over each row. dst may be x.
func Softmax(q Queue, t Type, dst, x Mat, rows, cols int) {
	byRow(q, softmaxKernels[t], rows, cols, q.Args().Mat(dst).Mat(x).I32(cols))
}

const (
	groupRows = 256 // rows of a block of partial sums
	groupCols = 32
)

// GroupNormWork is the bytes of work that [GroupNorm] needs.
func GroupNormWork(rows, cols, groups int) int { return 8 * (ceil(rows, groupRows)*cols + groups) }

// GroupNorm normalises x [rows, cols], dense, over all rows and each group's
// columns, then applies act; gain and bias are floats. dst may be x.
func GroupNorm(q Queue, t Type, dst, x, gain, bias Ptr, groups int, eps float32, act Act, rows, cols int, work Ptr) {
	if rows <= 0 || cols <= 0 {
		return
	}
	blocks := ceil(rows, groupRows)
	stats := work + Ptr(8*blocks*cols)
	q.Launch(groupStatsKernels[t], Dim{ceil(cols, groupCols), blocks, 1}, Dim{groupCols, 8, 1}, 0,
		q.Args().Ptr(work).Ptr(x).I32(rows).I32(cols))
	q.Launch(groupMerge, Dim{groups, 1, 1}, Dim{256, 1, 1}, 0,
		q.Args().Ptr(stats).Ptr(work).F32(eps).I32(rows).I32(cols).I32(cols/groups))
	q.Launch(groupApplyKernels[t], Dim{ceil(cols, mapThreads), min(rows, maxGrid), 1}, Dim{mapThreads, 1, 1}, 0,
		q.Args().Ptr(dst).Ptr(x).Ptr(stats).Ptr(gain).Ptr(bias).I32(int(act)).I32(rows).I32(cols).I32(cols/groups))
}
