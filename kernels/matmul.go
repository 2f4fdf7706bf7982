package kernels

import (
	"sync"

	"github.com/seed-512d3d71/weft/internal/par"
)

// MatMulF32 multiplies matrices that both change from call to call, batch of
// them:
//
//	dst[z][i][j] = Σ_p a[z][i][p]·b[z][p][j]
//
// Shapes: a [m, k], b [k, n] (or [n, k] if bT), dst [m, n], each with its row
// stride and with a stride (sd, sa, sb) from one product of the batch to the
// next. dst may not alias a or b. The numbers are those of LinearF32.
func MatMulF32(t *par.Team, dst []float32, ldd int, a []float32, lda int, b []float32, ldb int, bT bool, m, n, k int, batch, sd, sa, sb int) {
	if m == 0 || n == 0 || batch == 0 {
		return
	}
	rows, cols := k, n
	if bT {
		rows, cols = n, k
	}
	if lda < k || ldd < n || ldb < cols || len(a) < (batch-1)*sa+(m-1)*lda+k || len(dst) < (batch-1)*sd+(m-1)*ldd+n ||
		rows > 0 && len(b) < (batch-1)*sb+(rows-1)*ldb+cols {
		panic("kernels: short operand of a product")
	}
	task := matmulTasks.Get().(*matmulTask)
	*task = matmulTask{dst: dst, a: a, b: b, ldd: ldd, lda: lda, ldb: ldb, sd: sd, sa: sa, sb: sb, bT: bT, m: m, n: n, k: k}
	threads := t.Threads()
	if batch >= 4*threads {
		threads = 1 // the batch alone feeds them
	}
	// A block of B is packed for every block of rows: make those tall.
	task.grid = split(threads, m, n, k, blockRows())
	if threads := t.Threads(); threads > 1 && batch*m*n*k <= splitWork {
		t = nil
	}
	t.Run(task, batch*task.grid.chunks())
	*task = matmulTask{}
	matmulTasks.Put(task)
}

// matmulTask is one MatMulF32. A chunk is a chunk of the grid of one product.
type matmulTask struct {
	dst, a, b     []float32
	ldd, lda, ldb int
	sd, sa, sb    int
	bT            bool
	m, n, k       int
	grid          grid
}

var matmulTasks = sync.Pool{New: func() any { return new(matmulTask) }}

// Do computes one chunk: B is packed block by block into scratch that stays in
// L2, or read in place if few rows would use it.
func (g *matmulTask) Do(chunk int) {
	z := chunk / g.grid.chunks()
	i0, i1, j0, j1 := g.grid.chunk(chunk % g.grid.chunks())
	a, b, dst := g.a[z*g.sa+i0*g.lda:], g.b[z*g.sb:], g.dst[z*g.sd+i0*g.ldd:]
	if !g.bT && i1-i0 <= gemmF32.active.directRows && g.k > 0 {
		j0 = g.inPlace(a, b, dst, i1-i0, j0, j1)
	}
	scratch := scratches.Get().(*scratch)
	s := strip{ldd: g.ldd, rows: i1 - i0}
	step := min(blockK(s.rows, g.k), even(g.k, cpu.l2/2/(4*groupPanels*panelWidth)))
	for ; j0 < j1; j0 += groupPanels {
		s.panels = min(groupPanels, j1-j0)
		s.cols = min((j0+s.panels)*panelWidth, g.n) - j0*panelWidth
		s.dst = dst[j0*panelWidth:]
		for p := 0; p == 0 || p < g.k; p += step {
			s.k, s.add = min(step, g.k-p), p > 0
			s.ldb = s.k * panelWidth
			s.b = grow(&scratch.b, s.panels*s.ldb)
			if g.bT {
				packRows(s.b, s.ldb, 0, b[j0*panelWidth*g.ldb+p:], g.ldb, s.k, s.cols)
				clearLanes(s.b, s.ldb, s.k, s.cols)
			} else {
				packColumns(s.b, s.ldb, b[min(p*g.ldb+j0*panelWidth, len(b)):], g.ldb, s.k, s.cols)
			}
			s.a, s.lda = a[p:], g.lda
			s.compact(scratch)
			s.run()
		}
	}
	scratches.Put(scratch)
}

// clearLanes zeroes what the n columns leave of the last panel.
func clearLanes(b []float32, ldb, k, n int) {
	w := n % panelWidth
	if w == 0 {
		return
	}
	panel := b[n/panelWidth*ldb:]
	for p := range k {
		clear(panel[p*panelWidth+w : (p+1)*panelWidth])
	}
}

// inPlace computes the full panels of [j0, j1) from B's own rows and returns
// where it stopped. A few rows of B at a time pass by from left to right, so
// that memory is read in streams.
func (g *matmulTask) inPlace(a, b, dst []float32, m, j0, j1 int) int {
	row := &gemmF32.active
	j1 = min(j1, g.n/panelWidth)
	side := row.directSide(m)
	step := 8
	if m > 4 {
		step = 16
	}
	for p := 0; p < g.k; p += step {
		k := min(step, g.k-p)
		for j := j0; j < j1; {
			n := side
			for n > j1-j {
				n /= 2
			}
			at := &b[p*g.ldb+j*panelWidth]
			for i := 0; i < m; {
				h := tileHeight(m-i, row.directRows)
				if n == 4 {
					h = min(h, row.rows[4])
				} else if n == 2 {
					h = min(h, row.rows[2])
				}
				row.direct(h, n, &a[i*g.lda+p], g.lda, at, g.ldb, &dst[i*g.ldd+j*panelWidth], g.ldd, k, n*panelWidth, p > 0, at)
				i += h
			}
			j += n
		}
	}
	return max(j0, j1)
}
