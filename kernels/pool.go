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

// Pool2D is the geometry of a pooling over a picture [H·W, C], channels last.
type Pool2D struct {
	H, W, C                int
	KH, KW                 int // window
	StrideH, StrideW       int
	PadT, PadL, PadB, PadR int
	DilationH, DilationW   int // 0 is 1
}

// Out returns the height and width of the result; zero or less if the window
// does not fit.
func (p *Pool2D) Out() (h, w int) {
	out := func(n, pad, k, dilation, stride int) int {
		if n += pad - max(1, dilation)*(k-1) - 1; n < 0 {
			return 0
		}
		return n/stride + 1
	}
	return out(p.H, p.PadT+p.PadB, p.KH, p.DilationH, p.StrideH), out(p.W, p.PadL+p.PadR, p.KW, p.DilationW, p.StrideW)
}

// MaxPool2DF32 is the largest element of each window, channel by channel, NaN
// if there is one. Padding does not take part.
//
// Shapes: x [H·W, C], dst [hOut·wOut, C], dense; dst may not be x.
func MaxPool2DF32(t *par.Team, dst, x []float32, p *Pool2D) { pool(t, dst, x, p, false, false) }

// AvgPool2DF32 is the mean of each window, channel by channel: the sum of its
// elements in order from +0, times the rounded reciprocal of their number.
// countPad counts padding too, as zeros (PyTorch's count_include_pad).
//
// Shapes: x [H·W, C], dst [hOut·wOut, C], dense; dst may not be x.
func AvgPool2DF32(t *par.Team, dst, x []float32, p *Pool2D, countPad bool) {
	pool(t, dst, x, p, true, countPad)
}

func pool(t *par.Team, dst, x []float32, p *Pool2D, mean, countPad bool) {
	h, w := p.Out()
	if h <= 0 || w <= 0 || p.C <= 0 {
		return
	}
	check(x, p.C, p.H*p.W, p.C)
	check(dst, p.C, h*w, p.C)
	runRows(t, vecTask{run: poolChunk, dst: dst, a: x, pool: *p, w: w, mean: mean, mul: countPad}, h, w*p.C*p.KH*p.KW)
}

// poolChunk computes lines of the result, one tap of the window at a time over
// all the places of a line that it reaches.
func poolChunk(v *vecTask, lo, hi int) {
	p, C, w := &v.pool, v.pool.C, v.w
	dilH, dilW := max(1, p.DilationH), max(1, p.DilationW)
	start := float32(math.Inf(-1))
	if v.mean {
		start = 0
	}
	for oy := lo; oy < hi; oy++ {
		line := v.dst[oy*w*C:][:w*C]
		for i := range line {
			line[i] = start
		}
		for ky := range p.KH {
			y := oy*p.StrideH - p.PadT + ky*dilH
			if y < 0 || y >= p.H {
				continue
			}
			for kx := range p.KW {
				at := kx*dilW - p.PadL // of place 0
				x0, x1 := inside(at, p.StrideW, p.W, w)
				if x0 >= x1 {
					continue
				}
				tap(line[x0*C:], v.a[(y*p.W+at+x0*p.StrideW)*C:], p.StrideW*C, x1-x0, C, v.mean)
			}
		}
		if v.mean {
			rows := taps(oy*p.StrideH-p.PadT, dilH, p.KH, p.H, p.PadB, v.mul)
			for ox := range w {
				n := rows * taps(ox*p.StrideW-p.PadL, dilW, p.KW, p.W, p.PadR, v.mul)
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
