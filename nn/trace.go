package nn

import (
	"context"
	"slices"
	"strings"
	"sync"
	"unsafe"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

// Tracer runs another backend on the host's memory and notes what reads the
// outputs of norms, and the largest inputs of the linear layers that do.
type Tracer struct {
	Backend

	mu     sync.Mutex
	layers map[Matrix]string
	names  map[*float32]string // of vectors, by their first element
	norms  map[string]*Norm    // by gain
	other  map[string]bool     // layers that read something else too
}

// Norm is a layer norm, or an RMS norm, that a pass has run.
type Norm struct {
	Gain, Bias string   // the tensors; Bias may be ""
	Layers     []string // the linear layers that read its output, by the names that [Backend.Matrix] has
	// Alone: nothing else reads the output, and those layers read nothing else.
	Alone bool
	Max   []float32 // the largest magnitude of each column of the output
}

// NewTracer returns a Tracer over b.
func NewTracer(b Backend) *Tracer {
	return &Tracer{Backend: b, layers: map[Matrix]string{}, names: map[*float32]string{}, norms: map[string]*Norm{}, other: map[string]bool{}}
}

// Norms returns the norms that passes have run, by the names of their gains.
func (t *Tracer) Norms() []Norm {
	t.mu.Lock()
	defer t.mu.Unlock()
	var list []Norm
	for _, n := range t.norms {
		c := *n
		c.Layers = slices.Compact(slices.Sorted(slices.Values(c.Layers)))
		c.Alone = c.Alone && !slices.ContainsFunc(c.Layers, func(l string) bool { return t.other[l] })
		list = append(list, c)
	}
	for i, n := range list { // a layer that reads two norms
		for k, m := range list {
			if i != k && slices.ContainsFunc(n.Layers, func(l string) bool { return slices.Contains(m.Layers, l) }) {
				list[i].Alone = false
			}
		}
	}
	slices.SortFunc(list, func(a, b Norm) int { return strings.Compare(a.Gain, b.Gain) })
	return list
}

func (t *Tracer) Matrix(name string, parts ...MatrixPart) (Matrix, error) {
	m, err := t.Backend.Matrix(name, parts...)
	if err == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.layers[m] = name
	}
	return m, err
}

func (t *Tracer) Vector(name string, data []float32, rows, cols int) (tensor.Tensor, error) {
	v, err := t.Backend.Vector(name, data, rows, cols)
	if err == nil && len(data) > 0 {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.names[&data[0]] = name
	}
	return v, err
}

func (t *Tracer) Begin(ctx context.Context) Pass {
	return &tracedPass{inner: t.Backend.Begin(ctx), t: t}
}

// tracedPass is a Pass of a Tracer. It writes out every operation, so that one
// that is added to Pass cannot go unseen.
type tracedPass struct {
	inner Pass
	t     *Tracer
	live  []normed
}

// normed is memory that holds the output of a norm.
type normed struct {
	begin, end uintptr
	ld, cols   int
	norm       *Norm
}

// addresses returns the addresses that a tensor spans.
func addresses(x tensor.Tensor) (begin, end uintptr) {
	if x.IsZero() || x.Device() != nil || x.DType() != tensor.F32 || x.Rows() == 0 || x.Cols() == 0 {
		return 0, 0
	}
	begin = uintptr(unsafe.Pointer(unsafe.SliceData(x.F32())))
	return begin, begin + uintptr((x.Rows()-1)*x.LD()+x.Cols())*4
}

// reads notes that something other than a linear layer reads tensors.
func (p *tracedPass) reads(list ...tensor.Tensor) {
	for _, x := range list {
		begin, end := addresses(x)
		for i := range p.live {
			if l := &p.live[i]; begin < l.end && l.begin < end {
				p.t.mu.Lock()
				l.norm.Alone = false
				p.t.mu.Unlock()
			}
		}
	}
}

// writes notes that a tensor has been written.
func (p *tracedPass) writes(x tensor.Tensor) {
	begin, end := addresses(x)
	p.live = slices.DeleteFunc(p.live, func(l normed) bool { return begin < l.end && l.begin < end })
}

// reader notes that a linear layer reads x.
func (p *tracedPass) reader(w Matrix, x tensor.Tensor) {
	p.t.mu.Lock()
	name := p.t.layers[w]
	begin, end := addresses(x)
	i := slices.IndexFunc(p.live, func(l normed) bool {
		return l.begin <= begin && end <= l.end && x.Cols() == l.cols && (x.LD() == l.ld || x.Rows() == 1) && (begin-l.begin)%uintptr(4*l.ld) == 0
	})
	if i < 0 {
		p.t.other[name] = true
		p.t.mu.Unlock()
		p.reads(x) // a part of its columns
		return
	}
	n := p.live[i].norm
	if !slices.Contains(n.Layers, name) {
		n.Layers = append(n.Layers, name)
	}
	p.t.mu.Unlock()
}

// norm notes the output of a norm.
func (p *tracedPass) norm(dst, gain, bias tensor.Tensor) {
	p.writes(dst)
	begin, end := addresses(dst)
	if begin == end || p.inner.Err() != nil {
		return
	}
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	name := p.t.names[&gain.F32()[0]]
	n := p.t.norms[name]
	if n == nil {
		n = &Norm{Gain: name, Alone: name != "", Max: make([]float32, dst.Cols())}
		if !bias.IsZero() {
			n.Bias = p.t.names[&bias.F32()[0]]
			n.Alone = n.Alone && n.Bias != ""
		}
		p.t.norms[name] = n
	}
	if len(n.Max) != dst.Cols() {
		n.Alone = false
		return
	}
	for i := range dst.Rows() {
		for c, v := range dst.F32()[i*dst.LD():][:dst.Cols()] {
			n.Max[c] = max(n.Max[c], v, -v)
		}
	}
	p.live = append(p.live, normed{begin, end, dst.LD(), dst.Cols(), n})
}

func (p *tracedPass) New(rows, cols int) tensor.Tensor { return p.inner.New(rows, cols) }
func (p *tracedPass) Mark() tensor.Mark                { return p.inner.Mark() }
func (p *tracedPass) Release(m tensor.Mark)            { p.inner.Release(m) }
func (p *tracedPass) Ints(src []int32) tensor.Tensor   { return p.inner.Ints(src) }
func (p *tracedPass) Fail(err error)                   { p.inner.Fail(err) }
func (p *tracedPass) Err() error                       { return p.inner.Err() }
func (p *tracedPass) End()                             { p.inner.End() }

func (p *tracedPass) Floats(src []float32, rows, cols int) tensor.Tensor {
	return p.inner.Floats(src, rows, cols)
}

func (p *tracedPass) Const(src []float32, rows, cols int) tensor.Tensor {
	return p.inner.Const(src, rows, cols)
}

func (p *tracedPass) Host(x tensor.Tensor) tensor.Tensor {
	p.reads(x)
	return p.inner.Host(x)
}

func (p *tracedPass) Linear(dst, x tensor.Tensor, w Matrix, e Epilogue) {
	p.reader(w, x)
	p.reads(e.Residual)
	p.inner.Linear(dst, x, w, e)
	p.writes(dst)
}

func (p *tracedPass) MatMul(dst, a, b tensor.Tensor, transposeB bool) {
	p.reads(a, b)
	p.inner.MatMul(dst, a, b, transposeB)
	p.writes(dst)
}

func (p *tracedPass) Attention(dst, q, k, v tensor.Tensor, a AttentionArgs) {
	p.reads(q, k, v, a.Bias)
	p.inner.Attention(dst, q, k, v, a)
	p.writes(dst)
}

func (p *tracedPass) Append(c *Cache, layer int, k, v tensor.Tensor) {
	p.reads(k, v)
	p.inner.Append(c, layer, k, v)
}

func (p *tracedPass) Rotary(x, table, positions tensor.Tensor, headDim int) {
	p.reads(x, table)
	p.inner.Rotary(x, table, positions, headDim)
	p.writes(x)
}

func (p *tracedPass) RMSNorm(dst, x, gain tensor.Tensor, eps float32) {
	p.reads(x)
	p.inner.RMSNorm(dst, x, gain, eps)
	p.norm(dst, gain, tensor.Tensor{})
}

func (p *tracedPass) LayerNorm(dst, x, residual, gain, bias tensor.Tensor, eps float32) {
	p.reads(x, residual)
	p.inner.LayerNorm(dst, x, residual, gain, bias, eps)
	p.norm(dst, gain, bias)
}

func (p *tracedPass) GroupNorm(dst, x, gain, bias tensor.Tensor, groups int, eps float32, act Act) {
	p.reads(x)
	p.inner.GroupNorm(dst, x, gain, bias, groups, eps, act)
	p.writes(dst)
}

func (p *tracedPass) Embedding(dst, ids, table tensor.Tensor, accumulate bool) {
	p.reads(table)
	if accumulate {
		p.reads(dst)
	}
	p.inner.Embedding(dst, ids, table, accumulate)
	p.writes(dst)
}

func (p *tracedPass) Conv1D(dst, x tensor.Tensor, w Conv, g Window1D, e Epilogue) {
	p.reads(x, e.Residual)
	p.inner.Conv1D(dst, x, w, g, e)
	p.writes(dst)
}

func (p *tracedPass) Conv2D(dst, x tensor.Tensor, h, w int, k Conv, g Window2D, e Epilogue) {
	p.reads(x, e.Residual)
	p.inner.Conv2D(dst, x, h, w, k, g, e)
	p.writes(dst)
}

func (p *tracedPass) Patches(dst, pictures tensor.Tensor, ph, pw int) {
	p.reads(pictures)
	p.inner.Patches(dst, pictures, ph, pw)
	p.writes(dst)
}

func (p *tracedPass) Activate(dst, x tensor.Tensor, act kernels.Act) {
	p.reads(x)
	p.inner.Activate(dst, x, act)
	p.writes(dst)
}

func (p *tracedPass) Add(dst, a, b tensor.Tensor) {
	p.reads(a, b)
	p.inner.Add(dst, a, b)
	p.writes(dst)
}

func (p *tracedPass) Scale(dst, x tensor.Tensor, s float32) {
	p.reads(x)
	p.inner.Scale(dst, x, s)
	p.writes(dst)
}

func (p *tracedPass) Affine(dst, x, scale, shift tensor.Tensor) {
	p.reads(x, scale, shift)
	p.inner.Affine(dst, x, scale, shift)
	p.writes(dst)
}

func (p *tracedPass) Gated(dst, gate, up tensor.Tensor, act Act) {
	p.reads(gate, up)
	p.inner.Gated(dst, gate, up, act)
	p.writes(dst)
}

func (p *tracedPass) Softmax(dst, x tensor.Tensor) {
	p.reads(x)
	p.inner.Softmax(dst, x)
	p.writes(dst)
}

func (p *tracedPass) Gather(dst, x, rows tensor.Tensor) {
	p.reads(x)
	p.inner.Gather(dst, x, rows)
	p.writes(dst)
}

func (p *tracedPass) Combine(dst, x, residual tensor.Tensor, off []int32, rows, weights tensor.Tensor) {
	p.reads(x, residual, weights)
	p.inner.Combine(dst, x, residual, off, rows, weights)
	p.writes(dst)
}

func (p *tracedPass) MeanRows(dst, x tensor.Tensor, off []int32) {
	p.reads(x)
	p.inner.MeanRows(dst, x, off)
	p.writes(dst)
}
