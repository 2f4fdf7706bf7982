package kernels

import (
	"sync"
	"unsafe"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// byteRow is one implementation of the product of floats by a weight of 8
// bits; without tile it is ref.
type byteRow struct {
	panels []int // side by side in the widest tile, by its rows
	tile   func(h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int)
}

// nibbleRow is one implementation of the product of rows that are split into
// digits by a weight of 4 bits; without tile it is ref.
type nibbleRow struct {
	panels []int // side by side in the widest tile, by its rows
	tile   func(h, n int, a *int8, sum *int32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int)
	// split is ref.SplitF32 for the blocks of a row; nil: that itself.
	split func(digits *int8, sum *int32, x *float32, k, group int)
}

const (
	// unit is the number of nibbles in a lane of 32 bits.
	unit = 2 * quad
	// splitBytes is what the digits of a unit take, and blockBytes what a block
	// has beside them.
	splitBytes, blockBytes = 32, 16
)

// linearWeightOnly is LinearQ with W8 and W4.
func linearWeightOnly(t *par.Team, dst []float32, ldd int, a []float32, lda, m int, w *QMatrix, ep Epilogue) {
	task := weightTasks.Get().(*weightTask)
	task.dst, task.ldd, task.a, task.lda, task.m, task.w, task.ep = dst, ldd, a, lda, m, w, ep
	if w.scheme == W4 {
		task.layout()
		task.splitting = true
		t.Run(task, (m+task.rows-1)/task.rows)
		task.splitting = false
	}
	task.grid = weightGrid(t.Threads(), m, w.n, w.k)
	t.Run(task, task.grid.chunks())
	*task = weightTask{store: task.store}
	weightTasks.Put(task)
}

// weightTask is one LinearQ with W8 or W4: with W4 first a region that splits
// A, then one that multiplies. It keeps its buffer for the next.
type weightTask struct {
	dst, a   []float32
	ldd, lda int
	m        int
	w        *QMatrix
	ep       Epilogue
	grid     grid

	splitting bool
	rows      int     // of A in a chunk of it
	store     []int32 // A split: of each row the digits, then the sums
	ld        int     // from row to row
	sums      int     // where they begin
}

var weightTasks = sync.Pool{New: func() any { return new(weightTask) }}

// weightGrid is split in units of pairs of panels: a chunk is a block of rows
// that stays in L2 by pairs that pass by.
func weightGrid(threads, m, n, k int) grid {
	g := split(threads, m, n, k, blockRows(k))
	if g.across > 1 {
		g.panels += g.panels % 2
	}
	g.panels, g.n = (g.panels+1)/2, (g.n+1)/2
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
	j0, j1 = 2*j0, 2*j1
	g.product(i0, i1, j0, j1)
	ep := g.ep
	ep.Bias = nil // the sums began with it
	ep.apply(g.dst, g.ldd, i0, i1, j0*panelWidth, min(j1*panelWidth, g.w.n))
}

// product computes rows [i0, i1) by panels [j0, j1), as many panels side by
// side as the tiles allow: they stay near while the rows pass by.
func (g *weightTask) product(i0, i1, j0, j1 int) {
	w, panels := g.w, byteF32.active.panels
	if w.scheme == W4 {
		panels = nibbleF32.active.panels
	}
	if panels == nil || w.k == 0 {
		g.productRef(i0, i1, j0, j1)
		return
	}
	scratch := scratches.Get().(*scratch)
	for j := j0; j < j1 && j*panelWidth < w.n; {
		n := panels[tileHeight(i1-i0, len(panels)-1)]
		for n > j1-j {
			n /= 2
		}
		at, cols := j*panelWidth, min(n*panelWidth, w.n-j*panelWidth)
		for i := i0; i < i1; {
			h := tileHeight(i1-i, len(panels)-1)
			c, ldc := g.dst[i*g.ldd+at:], g.ldd
			if cols < n*panelWidth {
				c, ldc = grow(&scratch.b, h*n*panelWidth), n*panelWidth
				clear(c)
			}
			for r := range h {
				g.begin(c[r*ldc:][:cols], at)
			}
			g.tile(h, n, i, j, &c[0], ldc)
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

// tile adds h rows by n panels.
func (g *weightTask) tile(h, n, i, j int, c *float32, ldc int) {
	w := g.w
	b, scale, lds := &w.data[j*w.step], &w.scale[j*w.groups()*panelWidth], w.groups()*panelWidth
	if w.scheme == W4 {
		a := g.store[i*g.ld:]
		nibbleF32.active.tile(h, n, int8s(a), &a[g.sums], 4*g.ld, b, w.step, scale, lds, c, ldc, units(w.k), units(w.group))
		return
	}
	byteF32.active.tile(h, n, &g.a[i*g.lda], g.lda, b, w.step, scale, lds, c, ldc, w.k, w.group)
}

func (g *weightTask) productRef(i0, i1, j0, j1 int) {
	w := g.w
	for at := j0 * panelWidth; at < min(j1*panelWidth, w.n); at += panelWidth {
		for i := i0; i < i1; i++ {
			c := g.dst[i*g.ldd+at:][:min(panelWidth, w.n-at)]
			g.begin(c, at)
			panel := at / panelWidth
			for group := range (w.k + w.group - 1) / w.group {
				scale := w.scale[(panel*w.groups()+group)*panelWidth:]
				lo, hi := group*w.group, min((group+1)*w.group, w.k)
				if w.scheme == W8 {
					ref.AddGroupS8(c, g.a[i*g.lda:][lo:hi], w.data[panel*w.step+lo*panelWidth:], scale)
					continue
				}
				row := g.store[i*g.ld:]
				for p := lo; p < hi; p += ref.SplitBlock {
					sum := row[g.sums+w.block(p)*blockBytes/4:][:4]
					ref.AddBlockS4(c, unsafe.Slice(int8s(row[p/unit*splitBytes/4:]), splitBytes*units(min(ref.SplitBlock, hi-p))),
						[4]int32(sum), w.data[panel*w.step+p/unit*64:], scale)
				}
			}
		}
	}
}

// layout sets the size of the split A.
func (g *weightTask) layout() {
	w := g.w
	g.sums = units(w.k) * splitBytes / 4
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

// splitRow splits row i, block by block.
func (g *weightTask) splitRow(i int) {
	w := g.w
	x, row := g.a[i*g.lda:][:w.k], g.store[i*g.ld:]
	split := nibbleF32.active.split
	if split == nil {
		for lo := 0; lo < w.k; lo += w.group {
			hi := min(lo+w.group, w.k)
			for p := lo; p < hi; p += ref.SplitBlock {
				ref.SplitF32(unsafe.Slice(int8s(row[p/unit*splitBytes/4:]), splitBytes*units(min(ref.SplitBlock, hi-p))),
					row[g.sums+w.block(p)*blockBytes/4:], x[p:min(p+ref.SplitBlock, hi)])
			}
		}
		return
	}
	last := w.k // the start of a block that ends within a unit
	if w.k%unit != 0 {
		last = (w.k - 1) / w.group * w.group
		last += (w.k - 1 - last) / ref.SplitBlock * ref.SplitBlock
	}
	if last > 0 {
		split(int8s(row), &row[g.sums], &x[0], units(last), units(w.group))
	}
	if last < w.k {
		scratch := scratches.Get().(*scratch)
		tail := grow(&scratch.a, ref.SplitBlock)
		clear(tail[copy(tail, x[last:]):])
		split(int8s(row[last/unit*splitBytes/4:]), &row[g.sums+w.block(last)*blockBytes/4], &tail[0], units(w.k-last), ref.SplitBlock/unit)
		scratches.Put(scratch)
	}
}

// units returns how many units n columns take.
func units(n int) int { return (n + unit - 1) / unit }

// block returns the number of the block of column p: blocks have up to
// ref.SplitBlock columns and begin anew with each group.
func (m *QMatrix) block(p int) int {
	each := (m.group + ref.SplitBlock - 1) / ref.SplitBlock
	return p/m.group*each + p%m.group/ref.SplitBlock
}

func int8s(x []int32) *int8 { return (*int8)(unsafe.Pointer(unsafe.SliceData(x))) }

// newBytes returns n zero bytes, in the memory of packed weights.
func newBytes(n int) []int8 {
	x := newWeights((n + 3) / 4)
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(x))), n)
}
