package kernels

import (
	"fmt"
	"slices"
	"sync"
	"unsafe"

	"github.com/seed-512d3d71/weft/internal/par"
)

// Precision is what the products by weights, of linear layers and
// convolutions, are computed in.
type Precision uint8

const (
	// PrecisionF32 has the same bits on every machine.
	PrecisionF32 Precision = iota
	// PrecisionBF16 rounds weights and activations to bfloat16 and adds up in
	// float32: see [PackBF16].
	PrecisionBF16
)

var precisionNames = [...]string{PrecisionF32: "f32", PrecisionBF16: "bf16"}

// String returns the name that ParsePrecision takes.
func (p Precision) String() string { return precisionNames[p] }

// ParsePrecision returns the precision called name: f32 or bf16.
func ParsePrecision(name string) (Precision, error) {
	if i := slices.Index(precisionNames[:], name); i >= 0 {
		return Precision(i), nil
	}
	return PrecisionF32, fmt.Errorf("precision %q is none of f32, bf16", name)
}

// Check returns an error that names what is missing if products in this
// precision have no kernels here. WEFT_ISA=ref, and builds without assembly,
// compute in any, slowly.
func (p Precision) Check() error {
	if p == PrecisionF32 || gemmBF16.active.tile != nil || ISA() == ISARef {
		return nil
	}
	if lacks := gemmBF16.rows[0].missing(); lacks != "" {
		return fmt.Errorf("precision %v: the CPU lacks %s", p, lacks)
	}
	return fmt.Errorf("precision %v: WEFT_ISA=%s forbids %s", p, ISA(), gemmBF16.rows[0].isa)
}

// wordsBF16 is the number of words of 32 bits that n numbers in bfloat16 take,
// filled up with zeros to whole blocks of a panel.
func wordsBF16(n int) int {
	return (n + 2*bf16Words - 1) / (2 * bf16Words) * bf16Words
}

// PackBF16 packs weights [ns[i], k], stacked as one product, rounded to
// bfloat16 (to nearest even). If transposed there is one, stored as k rows of n.
// [LinearF32] rounds its activations too:
//
//	dst[i][j] = act(Σ_p bf16(a[i][p])·bf16(w[j][p]) + bias[j]) + residual[i][j]
//
// The products are exact and the sum is float32, one chain in rising pairs of p,
// by the CPU's instruction: ref.DotBF16 on amd64, BFMMLA on arm64. They round
// differently, so that bits are the same for any number of threads and rows, but
// on CPUs of one kind only. Either is within k+1 units of 2⁻²³ of Σ|a·w| of the
// exact sum; denormal numbers may count as zeros.
func PackBF16(ws [][]float32, ns []int, k int, transposed bool) *Matrix {
	total := 0
	for _, n := range ns {
		total += n
	}
	m := newMatrix(total, k, true)
	task := &packBF16{m: m, ws: ws, ns: ns, transposed: transposed}
	var t *par.Team
	if len(m.data) > 1<<18 {
		t = par.Enter(0)
		defer t.Leave()
	}
	t.Run(task, (total+panelWidth-1)/panelWidth)
	return m
}

// packBF16 packs one matrix; a chunk is a panel.
type packBF16 struct {
	m          *Matrix
	ws         [][]float32
	ns         []int
	transposed bool
}

func (p *packBF16) Do(chunk int) {
	m, depth := p.m, p.m.depth()
	at := chunk * panelWidth
	rows := min(panelWidth, m.n-at)
	packPanelBF16(m.data[at*depth:][:panelWidth*depth], rows, m.k, func(i int, row []float32) []float32 {
		i += at
		w := 0
		for i >= p.ns[w] {
			i -= p.ns[w]
			w++
		}
		if !p.transposed {
			return p.ws[w][i*m.k:][:m.k]
		}
		for j := range row {
			row[j] = p.ws[w][j*p.ns[w]+i]
		}
		return row
	})
}

// packPanelBF16 packs up to 16 rows of k floats, given one by one (row has room
// for one), as a panel.
func packPanelBF16(panel []float32, rows, k int, get func(i int, row []float32) []float32) {
	words := wordsBF16(k)
	scratch := scratches.Get().(*scratch)
	row, rounded := grow(&scratch.a, k), grow(&scratch.b, rows*words)
	for i := range rows {
		roundRow(rounded[i*words:][:words], get(i, row))
	}
	packRows(panel, 0, 0, rounded, words, words, rows)
	scratches.Put(scratch)
	if bf16Words == 1 {
		return
	}
	// The words of a block side by side.
	var block [panelWidth * bf16Words]float32
	for p := 0; p < len(panel); p += len(block) {
		copy(block[:], panel[p:])
		for i, x := range block {
			panel[p+i%panelWidth*bf16Words+i/panelWidth] = x
		}
	}
}

// roundRow rounds src to bfloat16, two in a word of dst, and fills dst up with
// zeros.
func roundRow(dst, src []float32) {
	if len(dst) == 0 {
		return
	}
	half := unsafe.Slice((*uint16)(unsafe.Pointer(&dst[0])), 2*len(dst))
	ConvertF32BF16(half[:len(src)], src)
	clear(half[len(src):])
}

// roundTask rounds rows of floats to bfloat16. It keeps their memory for the
// next.
type roundTask struct {
	store         []float32
	dst, src      []float32
	ldd, lds      int
	n, cols, part int // rows, their columns and those that are filled up together
	rows          int // of a chunk
}

var roundTasks = sync.Pool{New: func() any { return new(roundTask) }}

// round rounds m rows of k and returns them with their stride, in words.
func (r *roundTask) round(t *par.Team, a []float32, lda, m, k int) ([]float32, int) {
	ldd := wordsBF16(k)
	if ldd%128 == 0 {
		ldd += panelWidth // rows a power of two apart would share a set of L1
	}
	return r.run(t, a, lda, m, k, k, ldd), ldd
}

// pixels rounds the pixels of a convolution's input, group by group.
func (r *roundTask) pixels(t *par.Team, x []float32, n int, c *Conv) []float32 {
	part := c.in / c.groups
	if part%(2*bf16Words) == 0 { // one long vector
		n, part = 1, n*c.in
		return r.run(t, x, part, n, part, part, wordsBF16(part))
	}
	return r.run(t, x, c.in, n, c.in, part, c.pixel())
}

func (r *roundTask) run(t *par.Team, x []float32, ld, rows, cols, part, ldd int) []float32 {
	r.dst, r.ldd = grow(&r.store, rows*ldd), ldd
	r.src, r.lds, r.n, r.cols, r.part = x, ld, rows, cols, part
	dst := r.dst
	if rows == 1 && part > chunkElems {
		t.Run((*roundLong)(r), (part+chunkElems-1)/chunkElems)
	} else {
		r.rows = max(1, chunkElems/max(1, cols))
		t.Run(r, (rows+r.rows-1)/r.rows)
	}
	r.dst, r.src = nil, nil
	return dst
}

func (r *roundTask) Do(chunk int) {
	for i := chunk * r.rows; i < min((chunk+1)*r.rows, r.n); i++ {
		dst, src, words := r.dst[i*r.ldd:], r.src[i*r.lds:][:r.cols], wordsBF16(r.part)
		for len(src) > 0 {
			roundRow(dst[:words], src[:r.part])
			dst, src = dst[words:], src[r.part:]
		}
	}
}

// roundLong is a roundTask of one long row; a chunk is chunkElems of it.
type roundLong roundTask

func (r *roundLong) Do(chunk int) {
	lo := chunk * chunkElems
	hi := min(lo+chunkElems, r.cols)
	roundRow(r.dst[lo/2:][:wordsBF16(hi-lo)], r.src[lo:hi])
}

// PackConvBF16 is PackConvF32 with the weight rounded to bfloat16, for products
// as those of [PackBF16]. A depthwise convolution stays float32.
func PackConvBF16(w []float32, out, in, kh, kw, groups int) *Conv {
	c := &Conv{out: out, in: in, kh: kh, kw: kw, groups: groups}
	c.bf16 = !c.depthwise()
	return packConv(w, c)
}

// roundPanel packs one panel: the taps of an output channel, each filled up to
// whole blocks.
func (p *packConvTask) roundPanel(chunk int) {
	c, k := p.c, p.c.depth()
	co, ci, taps := c.out/c.groups, c.in/c.groups, c.kh*c.kw
	panels := (co + panelWidth - 1) / panelWidth
	g, j := chunk/panels, chunk%panels*panelWidth
	filled := 2 * wordsBF16(ci)
	packPanelBF16(p.c.data[chunk*panelWidth*k:][:panelWidth*k], min(panelWidth, co-j), taps*filled, func(i int, row []float32) []float32 {
		clear(row)
		for ch := range ci {
			for tap := range taps {
				row[tap*filled+ch] = p.w[((g*co+j+i)*ci+ch)*taps+tap]
			}
		}
		return row
	})
}
