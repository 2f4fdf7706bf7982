package kernels

import (
	"math"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// MeanRowsF32 is the mean of rows: dst[c] = Σ_r x[r][c] / rows.
//
// Shapes: x [rows, cols] with row stride ld, dst [cols]. A column is summed in
// the order of the rows from +0, then multiplied by the rounded 1/rows. No rows
// give NaN.
func MeanRowsF32(dst, x []float32, ld, rows, cols int) {
	if cols <= 0 {
		return
	}
	dst = dst[:cols]
	clear(dst)
	if rows > 0 {
		check(x, ld, rows, cols)
		columnSums(dst, x, ld, rows)
	}
	scale(dst, dst, 1/float32(rows))
}

// MaxPool2DF32 is the largest element of each kh by kw window, channel by
// channel, NaN if there is one. Padding does not take part; a window that is
// all padding gives -Inf.
//
// Shapes: x [h, w, c], dst [oh, ow, c] (see Window.Out). dst may not be x.
func MaxPool2DF32(t *par.Team, dst, x []float32, h, w, c, kh, kw int, win Window) {
	pool(t, dst, x, vecTask{h: h, w: w, cols: c, kh: kh, kw: kw, win: win})
}

// AvgPool2DF32 is the mean of each kh by kw window, channel by channel: the sum
// of its elements in order from +0, times the rounded reciprocal of their
// number. countPad counts padding too, as zeros (PyTorch's count_include_pad).
//
// Shapes: x [h, w, c], dst [oh, ow, c] (see Window.Out). dst may not be x.
func AvgPool2DF32(t *par.Team, dst, x []float32, h, w, c, kh, kw int, win Window, countPad bool) {
	pool(t, dst, x, vecTask{h: h, w: w, cols: c, kh: kh, kw: kw, win: win, mean: true, mul: countPad})
}

func pool(t *par.Team, dst, x []float32, v vecTask) {
	oh, ow := v.win.Out(v.h, v.w, v.kh, v.kw)
	if oh <= 0 || ow <= 0 || v.cols <= 0 {
		return
	}
	check(x, v.cols, v.h*v.w, v.cols)
	check(dst, v.cols, oh*ow, v.cols)
	v.run, v.dst, v.a = poolChunk, dst, x
	runRows(t, v, oh, ow*v.cols*v.kh*v.kw)
}

// poolChunk computes lines of the result, one tap of the window at a time over
// all the places of a line that it reaches.
func poolChunk(v *vecTask, lo, hi int) {
	g, C := v.win, v.cols
	_, ow := g.Out(v.h, v.w, v.kh, v.kw)
	start := float32(math.Inf(-1))
	if v.mean {
		start = 0
	}
	for oy := lo; oy < hi; oy++ {
		line := v.dst[oy*ow*C:][:ow*C]
		for i := range line {
			line[i] = start
		}
		for ky := range v.kh {
			y := oy*g.StrideH - g.PadT + ky*g.DilH
			if y < 0 || y >= v.h {
				continue
			}
			for kx := range v.kw {
				at := kx*g.DilW - g.PadL // of place 0
				if x0, x1 := inside(at, g.StrideW, v.w, ow); x0 < x1 {
					tap(line[x0*C:], v.a[(y*v.w+at+x0*g.StrideW)*C:], g.StrideW*C, x1-x0, C, v.mean)
				}
			}
		}
		if v.mean {
			rows := taps(oy*g.StrideH-g.PadT, g.DilH, v.kh, v.h, g.PadB, v.mul)
			for ox := range ow {
				n := rows * taps(ox*g.StrideW-g.PadL, g.DilW, v.kw, v.w, g.PadR, v.mul)
				scale(line[ox*C:][:C], line[ox*C:][:C], 1/float32(n))
			}
		}
	}
}

// inside returns the places x0 ≤ x < x1 of w for which at + x·stride lies in
// [0, n).
func inside(at, stride, n, w int) (x0, x1 int) {
	if at < 0 {
		x0 = (-at + stride - 1) / stride
	}
	if at < n {
		x1 = min(w, (n-1-at)/stride+1)
	}
	return x0, x1
}

// taps returns how many of k taps from at on lie in [0, n), or before n+pad if
// padding counts.
func taps(at, dilation, k, n, pad int, countPad bool) int {
	c := 0
	for i := range k {
		if y := at + i*dilation; y >= 0 && y < n || countPad && y < n+pad {
			c++
		}
	}
	return c
}

// tap adds rows of x to rows of dst, or takes their maximum.
func tap(dst, x []float32, ldx, rows, cols int, sum bool) {
	for i, n := 0, callRows(cols); i < rows; i += n {
		n := min(n, rows-i)
		d, s := dst[i*cols:], x[i*ldx:]
		if sum {
			biasAct(d, cols, d, cols, nil, s, ldx, false, ActNone, n, cols)
			continue
		}
		if f := maxF32.active; f != nil {
			f(&d[0], cols, &s[0], ldx, n, cols)
			continue
		}
		for r := range n {
			ref.MaxIntoF32(d[r*cols:][:cols], s[r*ldx:][:cols])
		}
	}
}
