package kernels

import (
	"sync"

	"github.com/seed-512d3d71/weft/internal/par"
)

// Epilogue is what happens to a product before it is stored: the bias is
// added, the activation applied and the residual added, in that order.
type Epilogue struct {
	Bias     []float32 // [n], or nil
	Act      Act
	Residual []float32 // [m, n] with row stride LDR, or nil; may be dst
	LDR      int
}

func (e *Epilogue) empty() bool { return e.Bias == nil && e.Act == ActNone && e.Residual == nil }

// apply finishes rows [i0, i1) and columns [j0, j1) of dst.
func (e *Epilogue) apply(dst []float32, ldd, i0, i1, j0, j1 int) {
	if e.empty() || i0 >= i1 || j0 >= j1 {
		return
	}
	bias, residual := e.Bias, e.Residual
	if bias != nil {
		bias = bias[j0:j1]
	}
	if residual != nil {
		residual = residual[i0*e.LDR+j0:]
	}
	BiasActResidualF32(dst[i0*ldd+j0:], ldd, bias, e.Act, residual, e.LDR, i1-i0, j1-j0)
}

// LinearF32 multiplies by a packed weight:
//
//	dst[i][j] = act(Σ_p a[i][p]·w[j][p] + bias[j]) + residual[i][j]
//
// Shapes: a [m, k] with row stride lda, dst [m, n] with row stride ldd. dst may
// not alias a. The sum is one chain of fused multiply-adds in rising p from 0,
// so it does not depend on m, on t or on the instruction set. A weight of
// [PackBF16] is multiplied as its comment says.
func LinearF32(t *par.Team, dst []float32, ldd int, a []float32, lda, m int, w *Matrix, ep Epilogue) {
	if m == 0 || w.n == 0 {
		return
	}
	if lda < w.k || ldd < w.n || len(a) < (m-1)*lda+w.k || len(dst) < (m-1)*ldd+w.n {
		panic("kernels: short operand of a product")
	}
	k := w.depth()
	if w.bf16 {
		r := roundTasks.Get().(*roundTask)
		defer roundTasks.Put(r)
		a, lda = r.round(t, a, lda, m, w.k)
	}
	task := linearTasks.Get().(*linearTask)
	*task = linearTask{dst: dst, ldd: ldd, a: a, lda: lda, m: m, k: k, w: w, ep: ep}
	task.grid = split(t.Threads(), m, w.n, k, blockRows(k))
	t.Run(task, task.grid.chunks())
	*task = linearTask{}
	linearTasks.Put(task)
}

// linearTask is one LinearF32. A chunk is a block of rows by a range of panels.
type linearTask struct {
	dst, a   []float32
	ldd, lda int
	m, k     int
	w        *Matrix
	ep       Epilogue
	grid     grid
}

var linearTasks = sync.Pool{New: func() any { return new(linearTask) }}

// Do computes one chunk, a few panels at a time: all of k, then the epilogue
// while the results are in the cache.
func (g *linearTask) Do(chunk int) {
	i0, i1, j0, j1 := g.grid.chunk(chunk)
	s := strip{ldd: g.ldd, rows: i1 - i0, ldb: g.k * panelWidth, bf16: g.w.bf16}
	scratch := scratches.Get().(*scratch)
	step := blockK(s.rows, g.k)
	group := groupPanels
	if step >= g.k {
		group /= 2 // the sums are complete at once: finish them while they are near
	}
	for s.fresh = true; j0 < j1; j0, s.fresh = j0+group, false {
		end := min(j0+group, j1)
		for p := 0; p == 0 || p < g.k; p += step {
			s.panels, s.cols = end-j0, min(end*panelWidth, g.w.n)-j0*panelWidth
			s.a, s.lda, s.dst, s.b = g.a[i0*g.lda+p:], g.lda, g.dst[i0*g.ldd+j0*panelWidth:], g.w.data[(j0*g.k+p)*panelWidth:]
			s.k, s.add = min(step, g.k-p), p > 0
			s.compact(scratch)
			// What follows: the next steps of these panels, or the next panels.
			if p+step < g.k {
				s.next = s.b[s.k*panelWidth:]
			} else if end < j1 {
				s.next = g.w.data[end*s.ldb:]
			} else {
				s.next = nil
			}
			s.run()
		}
		g.ep.apply(g.dst, g.ldd, i0, i1, j0*panelWidth, min(end*panelWidth, g.w.n))
	}
	scratches.Put(scratch)
}

// scratch is what one thread needs beside its operands.
type scratch struct {
	a, b []float32
	q    []int8
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

// grow returns x with room for n elements.
func grow(x *[]float32, n int) []float32 {
	if cap(*x) < n {
		*x = make([]float32, n)
	}
	*x = (*x)[:n]
	return *x
}

const (
	// groupPanels is the number of panels after which a chunk turns to the next
	// block of k: 256 columns of a block of rows stay in L2.
	groupPanels = 16
	// splitWork is the number of multiply-adds below which a product is not
	// worth a second thread (about 5 µs).
	splitWork = 1 << 18
	// longestK bounds the time that one call of a micro-kernel takes.
	longestK = 4096
)

// blockK returns how many steps of k a block of rows takes at a time.
func blockK(rows, k int) int {
	if row := &gemmF32.active; rows > row.once && row.deep > 0 {
		return even(k, row.deep)
	}
	return even(k, longestK) // every panel is read once
}

// even divides k into parts of about the same size, each at most a little over
// most and a multiple of 4, and returns the size.
func even(k, most int) int {
	parts := max(1, (k+most-1)/most)
	return (k/parts + 4) &^ 3
}

// blockRows is the number of rows whose part of a block of k stays in L2 while
// the panels of a chunk pass by; so does the result of groupPanels.
func blockRows(k int) int {
	wide := groupPanels * panelWidth
	if deep := gemmF32.active.deep; deep > 0 {
		wide = max(wide, min(k, deep))
	}
	return max(24, cpu.l2/2/(4*wide)/24*24)
}

// grid divides a result into chunks: blocks of rows by ranges of panels.
type grid struct {
	m, n         int // rows, panels of the result
	rows, panels int // of a chunk
	across       int // chunks across the panels
}

// split divides a product of m by n by k (n in columns) for a team.
func split(threads, m, n, k, most int) grid {
	g := grid{m: m, n: (n + panelWidth - 1) / panelWidth}
	blocks := (m + most - 1) / most
	g.rows = min(m, ((m+blocks-1)/blocks+23)/24*24)
	blocks = (m + g.rows - 1) / g.rows
	g.panels = g.n
	if threads > 1 && m*n*k > splitWork {
		// About four chunks a thread even out what other processes take.
		if want := 4 * threads; blocks < want {
			across := min((want+blocks-1)/blocks, g.n)
			g.panels = (g.n + across - 1) / across
			if g.panels > 2 {
				g.panels += g.panels % 2
			}
		}
	}
	g.across = (g.n + g.panels - 1) / g.panels
	return g
}

func (g *grid) chunks() int { return (g.m + g.rows - 1) / g.rows * g.across }

// chunk returns the rows [i0, i1) and panels [j0, j1) of a chunk.
func (g *grid) chunk(i int) (i0, i1, j0, j1 int) {
	i0, j0 = i/g.across*g.rows, i%g.across*g.panels
	return i0, min(i0+g.rows, g.m), j0, min(j0+g.panels, g.n)
}

var gemmFamilies = []anyFamily{&gemmF32, &gemmBF16, &depthwiseF32, &peakF32}

// gemmRow is one implementation of the matrix product. The functions are the
// stubs of kernels/amd64 by height and panels of the tile; nil: ref. gemmBF16
// has the functions of packed panels alone and is blocked as gemmF32 is.
type gemmRow struct {
	rows [5]int // of the tallest tile n panels wide
	once int    // the most rows that read a panel once
	thin int    // the fewest rows of a tile that keep the pipeline full
	// deep is the number of steps of k in a block: a panel is reread for every
	// tile of rows, so its part of the block stays in L1, or in L2 if the tile
	// is large enough to be fed from there.
	deep int
	// fetch is the number of floats of next that a tile one panel wide fetches a
	// step; wider ones fetch 16.
	fetch int
	// side is the number of panels side by side that fill the pipeline when a
	// block has m rows.
	side func(m int) int
	tile func(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, cols int, add bool, next *float32, step int)
	// direct reads B in place, for directRows rows or fewer; packing does and
	// packs it, for the first tile of more.
	direct      func(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next *float32)
	packing     func(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next, pack *float32, ldp int)
	directRows  int
	packRows    func(dst, src *float32, ld, k int)
	packColumns func(dst *float32, ldd int, src *float32, ld, k, panels int)
	copyRows    func(dst *float32, ldd int, src *float32, ld, rows, n int)
}
