package kernels

import (
	"math"
	"sync"
	"unsafe"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// weightRow is one implementation of the product of rows of fixed-point
// numbers by a weight of few bits; without tile it is ref.
type weightRow struct {
	panels []int // side by side in the widest tile, by its rows
	// split stores what ref.FixedF32 makes of the blocks of a row: unitBytes for
	// every 8 elements, and blockBytes for a block at sum, its unit last.
	split func(digits *byte, sum *int32, x *float32, k, group int)
	tile  func(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int)
}

// weightRowOf returns the row in use for a scheme.
func weightRowOf(s Scheme) *weightRow {
	if s == W4 {
		return &weight4.active
	}
	return &weight8.active
}

const (
	unitCols   = 8 // k and the groups of the kernels are in units of so many
	unitBytes  = 4 * unitCols
	blockBytes = 16
)

// units returns how many units n columns take.
func units(n int) int { return (n + unitCols - 1) / unitCols }

// block returns the number of the block of column p: blocks have up to
// ref.FixedBlock columns and begin anew with each group.
func (m *QMatrix) block(p int) int {
	each := (m.group + ref.FixedBlock - 1) / ref.FixedBlock
	return p/m.group*each + p%m.group/ref.FixedBlock
}

// blockStart returns the first column of the block of column p, blockEnd the
// one after its last.
func (m *QMatrix) blockStart(p int) int { return p - p%m.group%ref.FixedBlock }

func (m *QMatrix) blockEnd(p int) int {
	start := m.blockStart(p)
	return min(start+ref.FixedBlock, start/m.group*m.group+m.group, m.k)
}

// linearWeightOnly is LinearQ with W8 and W4.
func linearWeightOnly(t *par.Team, dst []float32, ldd int, a []float32, lda, m int, w *QMatrix, ep Epilogue) {
	task := weightTasks.Get().(*weightTask)
	task.dst, task.ldd, task.a, task.lda, task.m, task.w, task.ep = dst, ldd, a, lda, m, w, ep
	task.layout()
	task.splitting = true
	t.Run(task, (m+task.rows-1)/task.rows)
	task.splitting = false
	task.grid = weightGrid(t.Threads(), m, w.n, w.k)
	t.Run(task, task.grid.chunks())
	*task = weightTask{store: task.store}
	weightTasks.Put(task)
}

// weightTask is one LinearQ with W8 or W4: first a region that splits A, then
// one that multiplies. It keeps its buffer for the next.
type weightTask struct {
	dst, a   []float32
	ldd, lda int
	m        int
	w        *QMatrix
	ep       Epilogue
	grid     grid

	splitting bool
	rows      int     // of A in a chunk of it
	store     []int32 // A: of each row the numbers, then the blocks
	ld        int     // from row to row
	sums      int     // where the blocks begin
}

var weightTasks = sync.Pool{New: func() any { return new(weightTask) }}

// weightGrid is split in units of the panels that lie side by side: a chunk is
// a block of rows that stays in L2 by such panels that pass by.
func weightGrid(threads, m, n, k int) grid {
	g := split(threads, m, n, k, blockRows(k))
	g.panels, g.n = (g.panels+sideBySide-1)/sideBySide, (g.n+sideBySide-1)/sideBySide
	g.across = (g.n + g.panels - 1) / g.panels
	return g
}

// Do does one chunk.
func (g *weightTask) Do(chunk int) {
	if g.splitting {
		for i := chunk * g.rows; i < min((chunk+1)*g.rows, g.m); i++ {
			g.splitRow(i)
		}
		return
	}
	i0, i1, j0, j1 := g.grid.chunk(chunk)
	j0, j1 = sideBySide*j0, sideBySide*j1
	g.product(i0, i1, j0, j1)
	ep := g.ep
	ep.Bias = nil // the sums began with it
	ep.apply(g.dst, g.ldd, i0, i1, j0*panelWidth, min(j1*panelWidth, g.w.n))
}

// product computes rows [i0, i1) by panels [j0, j1), as many panels side by
// side as the tiles allow: they stay near while the rows pass by. j0 is a
// multiple of sideBySide.
func (g *weightTask) product(i0, i1, j0, j1 int) {
	w, row := g.w, weightRowOf(g.w.scheme)
	if row.tile == nil || w.k == 0 {
		g.productRef(i0, i1, j0, j1)
		return
	}
	scratch := scratches.Get().(*scratch)
	most := len(row.panels) - 1
	for j := j0; j < j1 && j*panelWidth < w.n; {
		n := row.panels[tileHeight(i1-i0, most)]
		for n > j1-j {
			n /= 2
		}
		at, cols := j*panelWidth, min(n*panelWidth, w.n-j*panelWidth)
		lds := w.groups() * panelWidth
		for i := i0; i < i1; {
			h := tileHeight(i1-i, most)
			c, ldc := g.dst[i*g.ldd+at:], g.ldd
			if cols < n*panelWidth { // a tile writes all of its panels
				c, ldc = grow(&scratch.b, h*n*panelWidth), n*panelWidth
				clear(c)
			}
			for r := range h {
				g.begin(c[r*ldc:][:cols], at)
			}
			a := g.store[i*g.ld:]
			row.tile(h, n, bytesOf(a), &a[g.sums], 4*g.ld, &w.data[w.panel(j)], &w.scale[j*lds], lds,
				&c[0], ldc, units(w.k), units(w.group))
			if cols < n*panelWidth {
				for r := range h {
					copy(g.dst[(i+r)*g.ldd+at:][:cols], c[r*ldc:])
				}
			}
			i += h
		}
		j += n
	}
	scratches.Put(scratch)
}

// begin sets a row of the result, from column at on, to what its sums begin
// with.
func (g *weightTask) begin(c []float32, at int) {
	if g.ep.Bias == nil {
		clear(c)
	} else {
		copy(c, g.ep.Bias[at:])
	}
}

func (g *weightTask) productRef(i0, i1, j0, j1 int) {
	w := g.w
	scratch := scratches.Get().(*scratch)
	if cap(scratch.q) < w.k {
		scratch.q = make([]int8, w.k)
	}
	q := scratch.q[:w.k]
	for j := j0 * panelWidth; j < min(j1*panelWidth, w.n); j++ {
		for p := range q {
			q[p] = w.at(j, p)
		}
		for i := i0; i < i1; i++ {
			c, row := &g.dst[i*g.ldd+j], g.store[i*g.ld:]
			g.begin(g.dst[i*g.ldd+j:][:1], j)
			for p, end := 0, 0; p < w.k; p = end {
				end = w.blockEnd(p)
				scale := w.scale[(j/panelWidth*w.groups()+p/w.group)*panelWidth+j%panelWidth]
				unit := math.Float32frombits(uint32(row[g.sums+w.block(p)*blockBytes/4+3]))
				*c = ref.AddFixed(*c, row[p:end], unit, q[p:], scale)
			}
		}
	}
	scratches.Put(scratch)
}

// layout sets the size of the stored A.
func (g *weightTask) layout() {
	w := g.w
	g.sums = units(w.k) * unitBytes / 4
	g.ld = g.sums
	if w.k > 0 {
		g.ld += (w.block(w.k-1) + 1) * blockBytes / 4
	}
	if g.ld%128 == 0 {
		g.ld += 16 // a power of two puts the rows into one set of L1
	}
	if cap(g.store) < g.m*g.ld {
		g.store = make([]int32, g.m*g.ld)
	}
	g.store = g.store[:g.m*g.ld]
	g.rows = max(1, chunkElems/max(1, w.k))
}

// splitRow splits row i. The ref row stores the numbers as they are.
func (g *weightTask) splitRow(i int) {
	w := g.w
	x, row := g.a[i*g.lda:][:w.k], g.store[i*g.ld:]
	split := weightRowOf(w.scheme).split
	if split == nil {
		for p, end := 0, 0; p < w.k; p = end {
			end = w.blockEnd(p)
			unit := ref.FixedF32(row[p:end], x[p:end])
			row[g.sums+w.block(p)*blockBytes/4+3] = int32(math.Float32bits(unit))
		}
		return
	}
	last := w.k // the start of a block that ends within a unit
	if w.k%unitCols != 0 {
		last = w.blockStart(w.k - 1)
	}
	if last > 0 {
		split(bytesOf(row), &row[g.sums], &x[0], units(last), units(w.group))
	}
	if last < w.k {
		scratch := scratches.Get().(*scratch)
		tail := grow(&scratch.a, ref.FixedBlock)
		clear(tail[copy(tail, x[last:]):])
		split(bytesOf(row[last*unitBytes/unitCols/4:]), &row[g.sums+w.block(last)*blockBytes/4], &tail[0],
			units(w.k-last), ref.FixedBlock/unitCols)
		scratches.Put(scratch)
	}
}

func bytesOf(x []int32) *byte { return (*byte)(unsafe.Pointer(unsafe.SliceData(x))) }

// newBytes returns n zero bytes, in the memory of packed weights.
func newBytes(n int) []int8 {
	x := newWeights((n + 3) / 4)
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(x))), n)
}
