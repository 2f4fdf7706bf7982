package nn

import "github.com/seed-512d3d71/weft/tensor"

// Linear is y = x·Wᵀ + b.
type Linear struct {
	W Matrix
	B tensor.Tensor // [Out], or zero
}

// Forward returns act(x·Wᵀ + b) [rows, Out].
func (l Linear) Forward(p Pass, x tensor.Tensor, act Act) tensor.Tensor {
	dst := p.New(x.Rows(), l.W.Out())
	p.Linear(dst, x, l.W, Epilogue{Bias: l.B, Act: act})
	return dst
}

// Add returns x·Wᵀ + b + residual [rows, Out].
func (l Linear) Add(p Pass, x, residual tensor.Tensor) tensor.Tensor {
	dst := p.New(x.Rows(), l.W.Out())
	p.Linear(dst, x, l.W, Epilogue{Bias: l.B, Residual: residual})
	return dst
}

// LayerNorm normalises each row: Ba et al. 2016, arXiv:1607.06450.
type LayerNorm struct {
	Gain, Bias tensor.Tensor
	Eps        float32
}

// Forward returns the normalised rows of x.
func (l LayerNorm) Forward(p Pass, x tensor.Tensor) tensor.Tensor {
	dst := p.New(x.Rows(), x.Cols())
	p.LayerNorm(dst, x, tensor.Tensor{}, l.Gain, l.Bias, l.Eps)
	return dst
}

// RMSNorm divides each row by its root mean square: Zhang & Sennrich 2019,
// arXiv:1910.07467.
type RMSNorm struct {
	Gain tensor.Tensor
	Eps  float32
}

// Forward returns the normalised rows of x.
func (l RMSNorm) Forward(p Pass, x tensor.Tensor) tensor.Tensor {
	dst := p.New(x.Rows(), x.Cols())
	p.RMSNorm(dst, x, l.Gain, l.Eps)
	return dst
}

// Embedding is a table of vectors, one an id.
type Embedding struct{ Table tensor.Tensor }

// Rows returns the number of ids.
func (e Embedding) Rows() int { return e.Table.Rows() }

// Attention is multi-head self-attention whose query, key and value
// projections are one product (Vaswani et al. 2017, arXiv:1706.03762).
type Attention struct {
	QKV   Linear // [3C, C], or separate biases stacked
	Heads int
	Dim   int // C, the width of all heads together
}

// Forward returns the heads' outputs side by side [rows, C], before the output
// projection. With args.Cache the keys and values are appended to it first.
func (a Attention) Forward(p Pass, x tensor.Tensor, args AttentionArgs) tensor.Tensor {
	q, k, v := a.project(p, x, args)
	return a.attend(p, q, k, v, args)
}

// ForwardLast is Forward for the last row of each sequence alone: rows, which
// see all that the cache holds of their sequences.
func (a Attention) ForwardLast(p Pass, x tensor.Tensor, args AttentionArgs, rows []int32) tensor.Tensor {
	q, k, v := a.project(p, x, args)
	last := p.New(len(rows), a.Dim)
	p.Gather(last, q, p.Ints(rows))
	args.QOff = args.Cache.OneEach()
	return a.attend(p, last, k, v, args)
}

func (a Attention) project(p Pass, x tensor.Tensor, args AttentionArgs) (q, k, v tensor.Tensor) {
	qkv := a.QKV.Forward(p, x, 0)
	q, k, v = qkv.SliceCols(0, a.Dim), qkv.SliceCols(a.Dim, 2*a.Dim), qkv.SliceCols(2*a.Dim, 3*a.Dim)
	if args.Cache != nil {
		p.Append(args.Cache, args.Layer, k, v)
	}
	return q, k, v
}

func (a Attention) attend(p Pass, q, k, v tensor.Tensor, args AttentionArgs) tensor.Tensor {
	args.Heads, args.KVHeads, args.HeadDim = a.Heads, a.Heads, a.Dim/a.Heads
	dst := p.New(q.Rows(), a.Dim)
	p.Attention(dst, q, k, v, args)
	return dst
}

// MLP is the feed-forward block Down(act(Up(x))).
type MLP struct {
	Up, Down Linear
	Act      Act
}

// Forward returns Down(act(Up(x))) + residual.
func (m MLP) Forward(p Pass, x, residual tensor.Tensor) tensor.Tensor {
	dst := p.New(x.Rows(), m.Down.W.Out())
	m.Into(p, dst, x, residual)
	return dst
}

// Into is Forward with the result in dst.
func (m MLP) Into(p Pass, dst, x, residual tensor.Tensor) {
	mark := p.Mark()
	// The rows lie a little apart: their width is often a multiple of 1024, and
	// a stride of 4 KiB would put the same column of all rows into one cache set.
	n := m.Up.W.Out()
	h := p.New(x.Rows(), n+16).SliceCols(0, n)
	p.Linear(h, x, m.Up.W, Epilogue{Bias: m.Up.B, Act: m.Act})
	p.Linear(dst, h, m.Down.W, Epilogue{Bias: m.Down.B, Residual: residual})
	p.Release(mark)
}

// GatedMLP is the feed-forward block Down(act(gate)·up), gate and up the halves
// of one product: Shazeer 2020, arXiv:2002.05202.
type GatedMLP struct {
	GateUp Linear // [2F, C]
	Down   Linear // [C, F]
	Act    Act
}

// Forward returns Down(act(gate)·up) + residual.
func (m GatedMLP) Forward(p Pass, x, residual tensor.Tensor) tensor.Tensor {
	dst := p.New(x.Rows(), m.Down.W.Out())
	m.Into(p, dst, x, residual)
	return dst
}

// Into is Forward with the result in dst.
func (m GatedMLP) Into(p Pass, dst, x, residual tensor.Tensor) {
	mark := p.Mark()
	n := m.Down.W.In()
	both := m.GateUp.Forward(p, x, 0)
	h := p.New(x.Rows(), n)
	p.Gated(h, both.SliceCols(0, n), both.SliceCols(n, 2*n), m.Act)
	p.Linear(dst, h, m.Down.W, Epilogue{Bias: m.Down.B, Residual: residual})
	p.Release(mark)
}
