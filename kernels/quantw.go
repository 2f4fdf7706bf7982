package kernels

import (
	"sync"

	"github.com/seed-512d3d71/weft/internal/par"
)

// weightRow is one implementation of the product of floats by a weight of few
// bits, for W8 and W4; without tile it is ref, which dequantizes.
type weightRow struct {
	rows   int    // the most that a tile multiplies by a weight in registers
	panels [5]int // of the widest tile of so many rows
	plain  bool   // tile takes no scale, with W8
	tile   func(s Scheme, h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, cols, group int)
	unpack func(s Scheme, dst *float32, b *int8, scale *float32, k int)
}

// linearWeightOnly is LinearQ with W8 and W4. Few rows multiply by the weight
// as it is unpacked in registers; more rows share a block of it that is
// unpacked into the cache. Where a row has one scale it multiplies the sum.
func linearWeightOnly(t *par.Team, dst []float32, ldd int, a []float32, lda, m int, w *QMatrix, ep Epilogue) {
	task := weightTasks.Get().(*weightTask)
	*task = weightTask{dst: dst, ldd: ldd, a: a, lda: lda, m: m, w: w, ep: ep}
	task.grid = splitPairs(t.Threads(), m, w.n, w.k)
	if m > weight.active.rows {
		// A block is unpacked for every block of rows: make those tall.
		task.grid = split(t.Threads(), m, w.n, w.k, blockRows(w.k))
	}
	t.Run(task, task.grid.chunks())
	*task = weightTask{}
	weightTasks.Put(task)
}

// weightTask is one LinearQ with W8 or W4. A chunk is a block of rows by a
// range of pairs of panels, or of panels if the block is unpacked first.
type weightTask struct {
	dst, a   []float32
	ldd, lda int
	m        int
	w        *QMatrix
	ep       Epilogue
	grid     grid
}

var weightTasks = sync.Pool{New: func() any { return new(weightTask) }}

func (g *weightTask) Do(chunk int) {
	i0, i1, j0, j1 := g.grid.chunk(chunk)
	if g.m > weight.active.rows {
		g.unpacked(i0, i1, j0, j1)
		return
	}
	j0, j1 = 2*j0, 2*j1
	g.direct(i0, i1, j0, j1)
	g.finish(i0, i1, j0*panelWidth, min(j1*panelWidth, g.w.n))
}

// finish scales rows [i0, i1) and columns [c0, c1) of the sums if they are not
// yet, adding the bias in the same rounding, and does the rest of the epilogue.
func (g *weightTask) finish(i0, i1, c0, c1 int) {
	ep := g.ep
	if shift := g.w.shift; shift != nil && c0 < c1 {
		if ep.Bias != nil {
			shift = ep.Bias
			ep.Bias = nil
		}
		dst := g.dst[i0*g.ldd+c0:]
		AffineF32(nil, dst, g.ldd, dst, g.ldd, g.w.scale[c0:c1], shift[c0:c1], i1-i0, c1-c0)
	}
	ep.apply(g.dst, g.ldd, i0, i1, c0, c1)
}

// ones are the scales of a panel that is to be scaled later.
var ones = [panelWidth]float32{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}

// direct multiplies the few rows [i0, i1) by panels [j0, j1).
func (g *weightTask) direct(i0, i1, j0, j1 int) {
	row, w, h := &weight.active, g.w, i1-i0
	for j := j0; j < j1 && j*panelWidth < w.n; {
		n := row.panels[h]
		for n > j1-j {
			n /= 2
		}
		cols := min(n*panelWidth, w.n-j*panelWidth)
		if w.k == 0 {
			for i := i0; i < i1; i++ {
				clear(g.dst[i*g.ldd+j*panelWidth:][:cols])
			}
		} else {
			scale, lds := &w.scale[j*w.groups()*panelWidth], w.groups()*panelWidth
			switch {
			case w.shift != nil && row.plain:
				scale = nil
			case w.shift != nil:
				scale, lds = &ones[0], 0
			}
			row.tile(w.scheme, h, n, &g.a[i0*g.lda], g.lda, &w.data[j*w.step], w.step, scale, lds,
				&g.dst[i0*g.ldd+j*panelWidth], g.ldd, w.k, cols, w.group)
		}
		j += n
	}
}

// unpacked multiplies rows [i0, i1) by panels [j0, j1), block by block.
func (g *weightTask) unpacked(i0, i1, j0, j1 int) {
	w := g.w
	wide := 1
	if row := &gemmF32.active; row.side != nil {
		wide = row.side(i1 - i0)
	}
	scratch := scratches.Get().(*scratch)
	s := strip{ldd: g.ldd, rows: i1 - i0}
	step := (blockK(s.rows, w.k) + 7) &^ 7
	for s.fresh = true; j0 < j1; j0 += groupPanels {
		end := min(j0+groupPanels, j1)
		for p := 0; p == 0 || p < w.k; p += step {
			s.a, s.lda, s.k, s.add = g.a[i0*g.lda+p:], g.lda, min(step, w.k-p), p > 0
			s.compact(scratch)
			for j := j0; j < end; j += wide {
				s.panels = min(wide, end-j)
				s.cols = min((j+s.panels)*panelWidth, w.n) - j*panelWidth
				s.dst = g.dst[i0*g.ldd+j*panelWidth:]
				s.ldb = s.k * panelWidth
				s.b = grow(&scratch.b, s.panels*s.ldb)
				for i := range s.panels {
					w.unpack(s.b[i*s.ldb:], j+i, p, s.k)
				}
				s.run()
				s.fresh = false
			}
		}
		g.finish(i0, i1, j0*panelWidth, min(end*panelWidth, w.n))
	}
	scratches.Put(scratch)
}

// unpack sets dst to k steps from p on of a panel, dequantized:
//
//	dst[i*16+j] = q(j, p+i)·scale(j, p+i)
//
// or to q itself if the sum is scaled. p is a multiple of 8.
func (m *QMatrix) unpack(dst []float32, panel, p, k int) {
	for end := p + k; p < end; {
		group := p / m.group
		n := min((group+1)*m.group, end) - p
		scale := m.scale[(panel*m.groups()+group)*panelWidth:][:panelWidth]
		if m.shift != nil {
			scale = ones[:]
		}
		if row := &weight.active; row.unpack != nil {
			row.unpack(m.scheme, &dst[0], &m.data[panel*m.step+p/m.per()*64], &scale[0], n)
		} else {
			for i := range n {
				for j, s := range scale {
					dst[i*panelWidth+j] = float32(m.at(panel*panelWidth+j, p+i)) * s
				}
			}
		}
		dst, p = dst[n*panelWidth:], p+n
	}
}
