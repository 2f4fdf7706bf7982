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
	if batch*m*n*k <= splitWork {
		t, threads = nil, 1
	} else if batch >= 4*threads {
		threads = 1 // the batch alone feeds them
	}
	task.grid = split(threads, m, n, k, blockRows(k))
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

// Do computes one chunk. If few rows use B it is read in place; else a block
// of as many panels as a tile is wide is packed into scratch, by the first tile
// itself if B's rows run along the columns.
func (g *matmulTask) Do(chunk int) {
	z := chunk / g.grid.chunks()
	i0, i1, j0, j1 := g.grid.chunk(chunk % g.grid.chunks())
	a, b, dst := g.a[z*g.sa+i0*g.lda:], g.b[z*g.sb:], g.dst[z*g.sd+i0*g.ldd:]
	row := &gemmF32.active
	if !g.bT && i1-i0 <= row.directRows && g.k > 0 {
		j0 = g.inPlace(a, b, dst, i1-i0, j0, j1)
	}
	wide := 1
	if row.side != nil {
		wide = row.side(i1 - i0)
	}
	scratch := scratches.Get().(*scratch)
	s := strip{ldd: g.ldd, rows: i1 - i0}
	step := blockK(s.rows, g.k)
	for s.fresh = true; j0 < j1; j0 += groupPanels {
		end := min(j0+groupPanels, j1)
		for p := 0; p == 0 || p < g.k; p += step {
			s.a, s.lda, s.k, s.add = a[p:], g.lda, min(step, g.k-p), p > 0
			s.compact(scratch)
			for j := j0; j < end; j += wide {
				s.panels = min(wide, end-j)
				s.cols = min((j+s.panels)*panelWidth, g.n) - j*panelWidth
				s.dst = dst[j*panelWidth:]
				g.pack(&s, b, p, j, scratch)
				s.run()
				s.fresh = false
			}
		}
	}
	scratches.Put(scratch)
}

// pack gives s its panels from j on, steps p … of them.
func (g *matmulTask) pack(s *strip, b []float32, p, j int, scratch *scratch) {
	row := &gemmF32.active
	s.ldb = s.k * panelWidth
	s.b = grow(&scratch.b, s.panels*s.ldb)
	if g.bT {
		from := j * panelWidth * g.ldb
		packRows(s.b, s.ldb, 0, b[min(from+p, len(b)):], g.ldb, s.k, s.cols)
		clearLanes(s.b, s.ldb, s.k, s.cols)
		s.next = b[min(from+s.cols*g.ldb+p, len(b)):]
		return
	}
	from := b[min(p*g.ldb+j*panelWidth, len(b)):]
	full := 0
	s.raw = nil
	if row.packing != nil && s.k > 0 && s.rows > row.directRows && tileHeight(s.rows, row.rows[row.side(s.rows)]) < s.rows {
		s.raw, s.ldr, full = from, g.ldb, s.cols/panelWidth
	}
	packColumns(s.b[full*s.ldb:], s.ldb, from[min(full*panelWidth, len(from)):], g.ldb, s.k, s.cols-full*panelWidth)
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
// where it stopped.
func (g *matmulTask) inPlace(a, b, dst []float32, m, j0, j1 int) int {
	row := &gemmF32.active
	j1 = min(j1, g.n/panelWidth)
	step := even(g.k, directK)
	for p := 0; p < g.k; p += step {
		k := min(step, g.k-p)
		for j := j0; j < j1; {
			n := row.side(m)
			for n > j1-j {
				n /= 2
			}
			at := b[p*g.ldb+j*panelWidth:]
			for i := 0; i < m; {
				h := tileHeight(m-i, min(row.rows[n], row.directRows))
				row.direct(h, n, &a[i*g.lda+p], g.lda, &at[0], g.ldb, &dst[i*g.ldd+j*panelWidth], g.ldd, k, p > 0, ahead(at, g.ldb))
				i += h
			}
			j += n
		}
	}
	return max(j0, j1)
}

const directK = 1024
