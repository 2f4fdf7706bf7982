package kernels

import (
	"sync"
	"unsafe"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// LinearQ is [LinearF32] by a quantized weight. With W8A8 each row of a is
// quantized by ref.QuantizeU8 and the sum is exact:
//
//	dst[i][j] = act(float32(Σ_p (qa[i][p]-za[i])·qw[j][p])·(sa[i]·sw[j]) + bias[j]) + residual[i][j]
//
// With W8 and W4 the sum begins with the bias and takes one block of columns
// after the other: up to 32, all of one group. Of a block it takes
//
//	n, unit = ref.FixedF32(a[i] over the block)
//	s = fma(float32(Σ_p n[p]·qw[j][p])·unit, sw[j][group], s)
//
// n are integers of 24 bits, as many as a float32 has, under the exponent of
// the block's largest element, and their sum is exact. The result is closer to
// the exact product than that of LinearF32 by [QMatrix.Dequantize], unless the
// elements of a block range over many powers of ten: then it is about as close.
//
// Both operands of W8A8 have 8 full bits on every instruction set, and the
// activations a zero point, since all of it shows. Measured on all-MiniLM-L6-v2
// with 200 sentences, the mean cosine with the float32 embeddings:
//
//	weights of 8 bits, activations float32       0.9996
//	8 bits and 8 with a zero point (this)        0.9990
//	8 bits and 8 without                         0.9975
//	7 bits and 8, 8 bits and 7, without          0.9960, 0.9944
//
// VPMADDUBSW would ask for one of those bits, to stay within its 16: see package
// amd64 for what AVX2 does in its place.
func LinearQ(t *par.Team, dst []float32, ldd int, a []float32, lda, m int, w *QMatrix, ep Epilogue) {
	if m == 0 || w.n == 0 {
		return
	}
	if lda < w.k || ldd < w.n || len(a) < (m-1)*lda+w.k || len(dst) < (m-1)*ldd+w.n {
		panic("kernels: short operand of a product")
	}
	if w.scheme != W8A8 {
		linearWeightOnly(t, dst, ldd, a, lda, m, w, ep)
		return
	}
	task := igemmTasks.Get().(*igemmTask)
	task.linear(a, lda, m, w)
	task.dst, task.ldd, task.ep = dst, ldd, ep
	task.quantize(t)
	task.product(t)
	igemmTasks.Put(task)
}

// MatMulU8S8 multiplies unsigned bytes by a packed weight, exactly:
//
//	dst[i][j] = Σ_p a[i][p]·qw[j][p]
//
// Shapes: a [m, k] with row stride lda, dst [m, n] with row stride ldd. w is
// of scheme W8A8; its scales are not used.
func MatMulU8S8(t *par.Team, dst []int32, ldd int, a []uint8, lda, m int, w *QMatrix) {
	if m == 0 || w.n == 0 {
		return
	}
	if w.scheme != W8A8 || lda < w.k || ldd < w.n || len(a) < (m-1)*lda+w.k || len(dst) < (m-1)*ldd+w.n {
		panic("kernels: short operand of a product")
	}
	task := igemmTasks.Get().(*igemmTask)
	task.linear(nil, 0, m, w)
	task.bytes(t, a, lda)
	// The micro-kernels store 32 bits a lane, whatever they mean.
	task.dst = unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst))
	task.ldd, task.raw = ldd, true
	task.product(t)
	igemmTasks.Put(task)
}

// igemmRow is one implementation of the product of bytes; without tile it is
// ref.
type igemmRow struct {
	rows   int // of the tallest tile
	panels int // side by side in a tile
	bytes  int // of an element of A
	// quantize stores rows of A as tile reads them.
	quantize func(dst *byte, ldd int, x *float32, ldx int, scale *float32, zero *int32, rows, cols int)
	// widen stores n unsigned bytes so, n a multiple of 16; nil: they need nothing.
	widen func(dst, src *byte, n int)
	tile  func(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32)
}

// row returns the implementation that multiplies by m.
func (m *QMatrix) row() *igemmRow {
	if m.narrow {
		return &igemmNarrow.active
	}
	return &igemm.active
}

var igemmRef = row[igemmRow]{name: "ref.DotU8S8", isa: ISARef}

// igemmTask is one product or convolution: first a region that stores A as
// bytes, then one that multiplies. It keeps its buffers for the next.
//
// A is a picture of pixels of k channels for each group, and a product has one
// row of them. Where the window moves by more than a pixel, those it steps on
// together lie together, so that the rows of a tile always follow each other:
// pixel (y, x) of the padded picture is
//
//	(y·phases + x%stride)·wide + x/stride
type igemmTask struct {
	phase igemmPhase
	row   *igemmRow

	x      []float32 // the picture as it came
	h, w   int
	ldx    int // floats from pixel to pixel
	win    Window
	high   int // rows of the padded picture, those that the window reaches
	wide   int
	phases int // of the stride that are needed
	skip   int // rows in which the window sees the first of so many

	u   []uint8 // A as it came, if that is bytes
	ldu int

	a      []byte // what the micro-kernels read
	last   []byte // its last rows, from row whole on, where they lie elsewhere
	whole  int
	store  []byte // of a or last
	lda    int    // bytes from pixel to pixel
	pixels int    // of a group
	scale  []float32
	zero   []int32

	k, n, m int // of a group: channels, outputs, pixels of the result
	ow      int // those in a row of the picture
	oh      int // pixels of A between them: the rows of the result
	groups  int
	taps    []int // where each tap of the window is from the first, in pixels
	weight  *QMatrix
	panels  int // of the weight, for a tap of a group

	dst  []float32
	ldd  int
	raw  bool
	ep   Epilogue
	step int // pixels or rows of a chunk of the first region
	grid grid
}

type igemmPhase uint8

const (
	phaseQuantize igemmPhase = iota
	phaseWiden
	phaseProduct
)

var igemmTasks = sync.Pool{New: func() any { return new(igemmTask) }}

// linear describes a product: a row of m pixels of k channels.
func (g *igemmTask) linear(a []float32, lda, m int, w *QMatrix) {
	g.x, g.ldx, g.h, g.w, g.win = a, lda, 1, m, Window{StrideH: 1, StrideW: 1}
	g.high, g.wide, g.phases, g.skip = 1, m, 1, 1
	g.k, g.n, g.m, g.ow, g.oh = w.k, w.n, m, m, 0
	g.groups, g.taps = 1, append(g.taps[:0], 0)
	g.weight, g.row, g.panels = w, w.row(), len(w.scale)/panelWidth
}

// layout makes room for so many pixels of A.
func (g *igemmTask) layout(pixels int) []byte {
	// What the quantization of a row writes is a multiple of 32 elements. Rows
	// that are a power of two apart would share a set of L1.
	ld := (g.k + 31) / 32 * 32 * max(1, g.row.bytes)
	if ld%512 == 0 {
		ld += 64
	}
	if cap(g.store) < pixels*ld {
		g.store = make([]byte, pixels*ld)
	}
	g.lda = ld
	g.step = max(1, chunkElems/2/max(1, g.k*g.groups))
	return g.store[:pixels*ld]
}

// quantize stores the pixels as bytes with their scales.
func (g *igemmTask) quantize(t *par.Team) {
	g.pixels = g.high * g.phases * g.wide
	g.a = g.layout(g.groups * g.pixels)
	g.whole = g.m
	grow(&g.scale, g.groups*g.pixels)
	if cap(g.zero) < len(g.scale) {
		g.zero = make([]int32, len(g.scale))
	}
	g.zero = g.zero[:len(g.scale)]
	g.phase = phaseQuantize
	t.Run(g, g.high*g.phases*((g.wide+g.step-1)/g.step))
}

// bytes takes A as it is where the micro-kernels can read it so. They read k to
// a multiple of four, which the weight multiplies by zero, and so may not reach
// past the end.
func (g *igemmTask) bytes(t *par.Team, a []uint8, lda int) {
	g.u, g.ldu = a, lda
	if g.row.widen != nil {
		g.a = g.layout(g.m)
		g.whole = g.m
		g.phase = phaseWiden
		t.Run(g, (g.m+g.step-1)/g.step)
		return
	}
	g.a, g.lda, g.whole = a, lda, g.m
	full := (g.k + quad - 1) / quad * quad
	for g.whole > 0 && (g.whole-1)*lda+full > len(a) {
		g.whole--
	}
	if rest := g.m - g.whole; rest > 0 {
		if cap(g.store) < rest*lda+quad {
			g.store = make([]byte, rest*lda+quad)
		}
		g.last = g.store[:rest*lda+quad]
		clear(g.last[copy(g.last, a[g.whole*lda:]):])
	}
}

// product multiplies, and forgets the operands.
func (g *igemmTask) product(t *par.Team) {
	g.phase = phaseProduct
	g.split(t.Threads())
	t.Run(g, g.groups*g.grid.chunks())
	*g = igemmTask{store: g.store, scale: g.scale, zero: g.zero, taps: g.taps}
}

// Do does one chunk of the phase.
func (g *igemmTask) Do(chunk int) {
	switch g.phase {
	case phaseProduct:
		g.multiply(chunk)
	case phaseQuantize:
		across := (g.wide + g.step - 1) / g.step
		line, lo := chunk/across, chunk%across*g.step
		g.quantizeLine(line/g.phases, line%g.phases, lo, min(lo+g.step, g.wide))
	case phaseWiden:
		for i := chunk * g.step; i < min((chunk+1)*g.step, g.m); i++ {
			g.row.widenRow(g.a[i*g.lda:][:g.lda], g.u[i*g.ldu:][:g.k])
		}
	}
}

// quantizeLine stores pixels [lo, hi) of those of row y that are phase from
// where the window steps. Those around the picture are zeros.
func (g *igemmTask) quantizeLine(y, phase, lo, hi int) {
	if y%g.win.StrideH >= g.skip {
		return
	}
	at := (y*g.phases + phase) * g.wide
	y -= g.win.PadT
	x0, step := phase-g.win.PadL, g.win.StrideW
	from, to := hi, hi // those in the picture
	if y >= 0 && y < g.h {
		from = min(max(lo, (max(0, -x0)+step-1)/step), hi)
		to = min(max(from, (g.w-x0+step-1)/step), hi)
	}
	for group := range g.groups {
		line := group*g.pixels + at
		g.zeroPixels(line+lo, line+from)
		if to > from {
			g.quantizePixels(line+from, g.x[(y*g.w+x0+from*step)*g.ldx+group*g.k:], step*g.ldx, to-from)
		}
		g.zeroPixels(line+to, line+hi)
	}
}

func (g *igemmTask) zeroPixels(lo, hi int) {
	clear(g.a[lo*g.lda : hi*g.lda])
	clear(g.scale[lo:hi])
	clear(g.zero[lo:hi])
}

// quantizePixels stores n pixels of k channels, ldx floats apart, as those from
// at on.
func (g *igemmTask) quantizePixels(at int, x []float32, ldx, n int) {
	if g.k == 0 {
		g.zeroPixels(at, at+n)
		return
	}
	if row := g.row; row.tile != nil {
		row.quantize(&g.a[at*g.lda], g.lda, &x[0], ldx, &g.scale[at], &g.zero[at], n, g.k)
		return
	}
	for i := range n {
		g.scale[at+i], g.zero[at+i] = ref.QuantizeU8(g.a[(at+i)*g.lda:][:g.k], x[i*ldx:][:g.k])
	}
}

// widenRow stores bytes as the micro-kernel reads them.
func (row *igemmRow) widenRow(dst []byte, src []uint8) {
	full := len(src) &^ 15
	if full > 0 {
		row.widen(&dst[0], &src[0], full)
	}
	if full < len(src) {
		var last [16]byte
		copy(last[:], src[full:])
		row.widen(&dst[full*row.bytes], &last[0], 16)
	}
}

// split is split in units of pairs of panels, for each group. Blocks end with
// rows of the picture if there are several.
func (g *igemmTask) split(threads int) {
	k := g.k * len(g.taps)
	s := grid{m: g.m, n: (g.n + pairWidth - 1) / pairWidth}
	// The bytes of a block of rows share L2 with the panels that pass by.
	most := max(24, cpu.l2/2/max(1, k*max(1, g.row.bytes))/24*24)
	blocks := (s.m + most - 1) / most
	s.rows = ((s.m+blocks-1)/blocks + 23) / 24 * 24
	if g.ow < s.m {
		s.rows = max(1, s.rows/g.ow) * g.ow
	}
	s.rows = min(s.m, s.rows)
	blocks = (s.m + s.rows - 1) / s.rows * g.groups
	s.panels = s.n
	if threads > 1 && s.m*g.n*k*g.groups > 4*splitWork {
		if want := 4 * threads; blocks < want {
			across := min((want+blocks-1)/blocks, s.n)
			s.panels = (s.n + across - 1) / across
		}
	}
	s.across = (s.n + s.panels - 1) / s.panels
	g.grid = s
}

// multiply computes one chunk: a few pairs of panels of a group over all of k
// and the rows, then the epilogue while the results are in the cache.
func (g *igemmTask) multiply(chunk int) {
	group := chunk / g.grid.chunks()
	i0, i1, j0, j1 := g.grid.chunk(chunk % g.grid.chunks())
	const pairs = groupPanels / 2
	for ; j0 < j1; j0 += pairs {
		end := min(j0+pairs, j1)
		for j := j0; j < end; j++ {
			g.pair(group, i0, i1, j)
		}
		if !g.raw {
			g.ep.apply(g.dst, g.ldd, i0, i1, group*g.n+j0*pairWidth, group*g.n+min(end*pairWidth, g.n))
		}
	}
}

// pair computes rows [i0, i1) of a pair of panels, tap by tap.
func (g *igemmTask) pair(group, i0, i1, j int) {
	row, w := g.row, g.weight
	wide := max(1, row.panels)
	for p := 2 * j; p < 2*j+2 && p*panelWidth < g.n; p += wide {
		at := p * panelWidth
		cols := min(wide*panelWidth, g.n-at)
		for t, tap := range g.taps {
			panel := (group*len(g.taps)+t)*g.panels + p
			// The first tile fetches what the next panels hold.
			next := panel + g.panels
			if t == len(g.taps)-1 {
				next = group*len(g.taps)*g.panels + p + wide
			}
			b, fetch := unsafe.SliceData(w.data[panel*w.step:]), unsafe.SliceData(w.data[min(next*w.step, len(w.data)):])
			for i := i0; i < i1; fetch = b {
				y, x := i/g.ow, i%g.ow
				dst, pixel := g.dst[i*g.ldd+group*g.n+at:], group*g.pixels+y*g.oh+x+tap
				if row.tile == nil {
					g.rowRef(dst[:cols], pixel, panel, t > 0)
					i++
					continue
				}
				n, a := min(i1-i, g.ow-x), g.a[pixel*g.lda:]
				if i >= g.whole {
					a = g.last[(i-g.whole)*g.lda:]
				} else {
					n = min(n, g.whole-i)
				}
				h := tileHeight(n, row.rows)
				var scale *float32
				var zero *int32
				if !g.raw {
					scale, zero = &g.scale[pixel], &g.zero[pixel]
				}
				row.tile(h, unsafe.SliceData(a), g.lda, b, w.step, fetch, &dst[0], g.ldd,
					(g.k+quad-1)/quad, cols, t > 0, zero, &w.sums[panel*panelWidth], scale, &w.scale[panel*panelWidth])
				i += h
			}
		}
	}
}

// rowRef computes a row of a panel.
func (g *igemmTask) rowRef(dst []float32, pixel, panel int, add bool) {
	w := g.weight
	a := g.a[min(pixel*g.lda, len(g.a)):]
	if pixel >= g.whole && g.raw {
		a = g.last[(pixel-g.whole)*g.lda:]
	}
	var sum [panelWidth]int32
	zero := int32(0)
	if !g.raw {
		zero = g.zero[pixel]
	}
	ref.DotU8S8(&sum, a[:g.k], zero, w.data[panel*w.step:][:w.step])
	for j := range dst {
		if g.raw {
			*(*int32)(unsafe.Pointer(&dst[j])) = sum[j]
			continue
		}
		before := float32(0)
		if add {
			before = dst[j]
		}
		dst[j] = ref.ScaleS8(sum[j], g.scale[pixel], w.scale[panel*panelWidth+j], before)
	}
}
