package kernels

import (
	"sync"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// Matrix is a weight [Rows, Cols] (out features, in features) packed once into
// panels of 16 rows: within a panel the 16 elements of one column lie side by
// side, so that a micro-kernel reads it from front to back. The layout is the
// same on every instruction set. The last panel is filled up with zeros.
type Matrix struct {
	n, k int
	data []float32 // ceil(n/16) panels of k·16
}

// panelWidth is the number of rows in a panel.
const panelWidth = 16

// Rows returns the number of out features.
func (m *Matrix) Rows() int { return m.n }

// Cols returns the number of in features.
func (m *Matrix) Cols() int { return m.k }

// Bytes returns the memory the packed weight takes.
func (m *Matrix) Bytes() int { return 4 * len(m.data) }

func newMatrix(n, k int) *Matrix {
	return &Matrix{n: n, k: k, data: make([]float32, (n+panelWidth-1)/panelWidth*panelWidth*k)}
}

// PackF32 packs w, n rows of k with row stride ldw: a PyTorch Linear's weight.
func PackF32(w []float32, n, k, ldw int) *Matrix {
	m := newMatrix(n, k)
	m.packRows(w, 0, n, ldw)
	return m
}

// PackRowsF32 packs several weights [ns[i], k] stacked, as one product.
func PackRowsF32(ws [][]float32, ns []int, k int) *Matrix {
	total := 0
	for _, n := range ns {
		total += n
	}
	m := newMatrix(total, k)
	at := 0
	for i, w := range ws {
		m.packRows(w, at, ns[i], k)
		at += ns[i]
	}
	return m
}

// PackF32T packs w, k rows of n with row stride ldw: GPT-2's Conv1D weight.
func PackF32T(w []float32, k, n, ldw int) *Matrix {
	m := newMatrix(n, k)
	packColumns(m.data, w, k, n, ldw)
	return m
}

// packRows copies n rows of w to rows at, at+1, … of the matrix.
func (m *Matrix) packRows(w []float32, at, n, ldw int) {
	for i := range n {
		r := at + i
		panel := m.data[r/panelWidth*panelWidth*m.k:]
		lane := r % panelWidth
		for p, v := range w[i*ldw : i*ldw+m.k] {
			panel[p*panelWidth+lane] = v
		}
	}
}

// packColumns packs b, k rows of n, into panels of 16 columns.
func packColumns(dst, b []float32, k, n, ldb int) {
	for j := 0; j < n; j += panelWidth {
		w := min(panelWidth, n-j)
		panel := dst[j*k : (j+panelWidth)*k]
		for p := range k {
			copy(panel[p*panelWidth:][:w], b[p*ldb+j:])
		}
	}
}

// Epilogue is what happens to a product before it is stored: the bias is
// added, the activation applied and the residual added, in that order.
type Epilogue struct {
	Bias     []float32 // [n], or nil
	Act      Act
	Residual []float32 // [m, n] with row stride LDR, or nil; may be dst
	LDR      int
}

func (e *Epilogue) empty() bool { return e.Bias == nil && e.Act == ActNone && e.Residual == nil }

// LinearF32 multiplies by a packed weight:
//
//	dst[i][j] = act(Σ_p a[i][p]·w[j][p] + bias[j]) + residual[i][j]
//
// Shapes: a [m, k] with row stride lda, dst [m, n] with row stride ldd. dst may
// not alias a. The sum is one chain of fused multiply-adds in rising p from 0,
// so it does not depend on m, on t or on the instruction set.
func LinearF32(t *par.Team, dst []float32, ldd int, a []float32, lda, m int, w *Matrix, ep Epilogue) {
	gemm(t, &gemmTask{dst: dst, ldd: ldd, a: a, lda: lda, m: m, n: w.n, k: w.k, b: w.data, ep: ep})
}

// gemmTask is one product dst [m, n] = a [m, k] · panels of b. A chunk is a
// block of rows by a block of panels.
type gemmTask struct {
	dst, a, b    []float32
	ldd, lda     int
	m, n, k      int
	ep           Epilogue
	rows, panels int // of a chunk
	across       int // chunks across the panels
}

var gemmTasks = sync.Pool{New: func() any { return new(gemmTask) }}

const (
	// blockK bounds the part of a panel that the micro-kernel rereads for every
	// tile of rows: 384·16 floats are 24 KiB, which stay in a 32 KiB L1.
	blockK = 384
	// blockM rows of blockK floats, 216 KiB, stay in L2 while the panels of a
	// chunk pass by. A multiple of 6 and 12.
	blockM = 144
	// splitWork is the number of multiply-adds below which a product is not
	// worth a second thread (about 10 µs).
	splitWork = 1 << 18
)

func gemm(t *par.Team, g *gemmTask) {
	if g.m == 0 || g.n == 0 {
		return
	}
	if len(g.a) < (g.m-1)*g.lda+g.k || len(g.dst) < (g.m-1)*g.ldd+g.n || g.lda < g.k || g.ldd < g.n {
		panic("kernels: short operand of a product")
	}
	panels := (g.n + panelWidth - 1) / panelWidth
	g.rows, g.panels = blockM, panels
	blocks := (g.m + g.rows - 1) / g.rows
	if threads := t.Threads(); threads > 1 && g.m*g.n*g.k > splitWork {
		// About four chunks a thread even out what other processes take.
		if want := 4 * threads; blocks < want {
			across := min((want+blocks-1)/blocks, panels)
			g.panels = (panels + across - 1) / across
		}
	}
	g.across = (panels + g.panels - 1) / g.panels
	task := gemmTasks.Get().(*gemmTask)
	*task = *g
	t.Run(task, blocks*g.across)
	*task = gemmTask{}
	gemmTasks.Put(task)
}

// Do computes one chunk: block by block over k, then the epilogue on the rows
// that are still in the cache.
func (g *gemmTask) Do(chunk int) {
	i0 := chunk / g.across * g.rows
	j0 := chunk % g.across * g.panels
	i1 := min(i0+g.rows, g.m)
	j1 := min(j0+g.panels, (g.n+panelWidth-1)/panelWidth)
	step := blockK
	if i1-i0 <= 6 {
		step = max(g.k, 1) // every panel is read once: no block to reread
	}
	for p := 0; p == 0 || p < g.k; p += step {
		g.block(i0, i1, j0, j1, p, min(step, g.k-p))
	}
	if !g.ep.empty() {
		c0 := j0 * panelWidth
		c1 := min(j1*panelWidth, g.n)
		ep := g.ep
		if ep.Bias != nil {
			ep.Bias = ep.Bias[c0:c1]
		}
		if ep.Residual != nil {
			ep.Residual = ep.Residual[i0*ep.LDR+c0:]
		}
		BiasActResidualF32(g.dst[i0*g.ldd+c0:], g.ldd, ep.Bias, ep.Act, ep.Residual, ep.LDR, i1-i0, c1-c0)
	}
}

// packA copies steps [p, p+k) of rows [i0, i1) together when the row stride
// puts them all into a few sets of the cache, and returns where they lie.
func (g *gemmTask) packA(i0, i1, p, k int, buf *[blockM * blockK]float32) (a []float32, lda int) {
	if g.lda%256 != 0 || i1-i0 <= 6 || k > blockK {
		return g.a[i0*g.lda+p:], g.lda
	}
	for i := i0; i < i1; i++ {
		copy(buf[(i-i0)*k:][:k], g.a[i*g.lda+p:])
	}
	return buf[:], k
}

// block computes the steps [p, p+k) of rows [i0, i1) and panels [j0, j1).
// p = 0 starts the chains; a later p goes on from what dst holds.
func (g *gemmTask) block(i0, i1, j0, j1, p, k int) {
	row := &gemmF32.active
	if row.micro == nil {
		g.blockRef(i0, i1, j0, j1, p, k)
		return
	}
	scratch := gemmScratch.Get().(*scratch)
	packed, lda := g.packA(i0, i1, p, k, &scratch.a)
	side := row.side(i1 - i0)
	for j := j0; j < j1; {
		n := side
		if j+n > j1 || (j+n)*panelWidth > g.n {
			n = 1
		}
		b, ldb := &g.b[(j*g.k+p)*panelWidth], g.k*panelWidth
		cols := g.n - j*panelWidth
		for i := i0; i < i1; {
			h := tileHeight(i1-i, row.rows)
			a, at := &packed[(i-i0)*lda], i*g.ldd+j*panelWidth
			if cols >= n*panelWidth {
				row.micro(h, n, a, lda, b, ldb, &g.dst[at], g.ldd, k, p > 0)
			} else {
				g.narrow(row, &scratch.tile, h, a, lda, b, at, cols, k, p > 0)
			}
			i += h
		}
		j += n
	}
	gemmScratch.Put(scratch)
}

// narrow computes a tile of the last panel, which has fewer than 16 columns,
// by way of scratch.
func (g *gemmTask) narrow(row *gemmRow, scratch *[maxTile]float32, h int, a *float32, lda int, b *float32, at, cols, k int, add bool) {
	if add {
		for r := range h {
			copy(scratch[r*panelWidth:][:cols], g.dst[at+r*g.ldd:])
		}
	}
	row.micro(h, 1, a, lda, b, 0, &scratch[0], panelWidth, k, add)
	for r := range h {
		copy(g.dst[at+r*g.ldd:][:cols], scratch[r*panelWidth:])
	}
}

// maxTile is the largest tile one panel wide.
const maxTile = 16 * panelWidth

// scratch is what one thread needs beside its operands.
type scratch struct {
	tile [maxTile]float32
	a    [blockM * blockK]float32
}

var gemmScratch = sync.Pool{New: func() any { return new(scratch) }}

// tileHeight returns the height of the next tile when left rows remain: most,
// but the last two share what is left so that neither is thin.
func tileHeight(left, most int) int {
	if left >= 2*most || left <= most {
		return min(left, most)
	}
	return (left + 1) / 2
}

func (g *gemmTask) blockRef(i0, i1, j0, j1, p, k int) {
	for j := j0; j < j1; j++ {
		w := min(panelWidth, g.n-j*panelWidth)
		panel := g.b[(j*g.k+p)*panelWidth:][:k*panelWidth]
		for i := i0; i < i1; i++ {
			ref.GemmRowF32(g.dst[i*g.ldd+j*panelWidth:][:w], g.a[i*g.lda+p:][:k], panel, panelWidth, p > 0)
		}
	}
}

var gemmFamilies = []anyFamily{&gemmF32}

// gemmRow is one implementation of the matrix product's inner loop.
type gemmRow struct {
	rows int // of the tallest tile
	// side is the number of panels side by side that fill the pipeline when a
	// block has m rows.
	side func(m int) int
	// micro sets (or adds to) a tile of h rows by n panels; see the stubs of
	// kernels/amd64. nil: ref.
	micro func(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool)
}
