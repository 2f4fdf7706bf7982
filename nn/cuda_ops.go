package nn

import (
	"github.com/seed-512d3d71/weft/kernels/cuda"
	"github.com/seed-512d3d71/weft/tensor"
)

// ptr is the address of an operand, 0 for one that is absent.
func (p *cudaPass) ptr(t tensor.Tensor) cuda.Ptr {
	if t.IsZero() {
		return 0
	}
	if t.Device() != any(p.backend) {
		p.Fail(errNotHere)
	}
	return cuda.Ptr(t.Address())
}

func (p *cudaPass) mat(t tensor.Tensor) cuda.Mat {
	if t.IsZero() {
		return cuda.Mat{}
	}
	return cuda.Mat{P: p.ptr(t), LD: t.LD()}
}

// as returns t in a type, converted if it has another.
func (p *cudaPass) as(typ cuda.Type, t tensor.Tensor) tensor.Tensor {
	if t.IsZero() || typeOf(t) == typ {
		return t
	}
	x := p.make(typ, t.Rows(), t.Cols())
	p.cast(x, t)
	return x
}

// dense returns t, copied if its rows have gaps.
func (p *cudaPass) dense(t tensor.Tensor) tensor.Tensor {
	if t.IsZero() || t.Contiguous() {
		return t
	}
	x := p.make(typeOf(t), t.Rows(), t.Cols())
	p.cast(x, t)
	return x
}

func (p *cudaPass) cast(dst, x tensor.Tensor) {
	rows, cols := extent(dst, x)
	cuda.Cast(p.list, typeOf(dst), p.mat(dst), typeOf(x), p.mat(x), rows, cols)
}

// extent returns what an elementwise operation goes over: one row of all
// elements where no operand has gaps, else dst's rows.
func extent(dst tensor.Tensor, operands ...tensor.Tensor) (rows, cols int) {
	whole := dst.Contiguous()
	for _, t := range operands {
		whole = whole && t.Contiguous()
	}
	if whole {
		return 1, dst.Len()
	}
	return dst.Rows(), dst.Cols()
}

// start begins an operation: it returns false if the pass is over. What the
// operation allocates is released by finish.
func (p *cudaPass) start() (tensor.Mark, bool) { return p.arena.Mark(), !p.done() }

func (p *cudaPass) epilogue(e Epilogue, out cuda.Type) cuda.Epilogue {
	return cuda.Epilogue{Bias: p.ptr(p.as(cuda.F32, e.Bias)), Act: cuda.Act(e.Act), Residual: p.mat(p.as(out, e.Residual))}
}

// result returns where a product whose operands are of a type is stored, of what
// type, and a function that brings it to dst: a product of floats is floats.
func (p *cudaPass) result(dst tensor.Tensor, in cuda.Type) (to tensor.Tensor, typ cuda.Type, bring func()) {
	if typ = typeOf(dst); in == cuda.F32 && typ != cuda.F32 {
		x := p.make(cuda.F32, dst.Rows(), dst.Cols())
		return x, cuda.F32, func() { p.cast(dst, x) }
	}
	return dst, typ, func() {}
}

func (p *cudaPass) Linear(dst, x tensor.Tensor, w Matrix, e Epilogue) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	m, ok := w.(*cudaMatrix)
	if !ok {
		p.Fail(errWrongType)
		return
	}
	to, typ, bring := p.result(dst, m.typ)
	cuda.MatMul(p.list, &cuda.Gemm{
		Dst: p.mat(to), A: p.mat(p.as(m.typ, x)), B: cuda.Mat{P: m.at, LD: m.in},
		M: x.Rows(), N: m.out, K: m.in, In: m.typ, Out: typ, Epilogue: p.epilogue(e, typ),
	})
	bring()
}

// MatMul multiplies floats, whatever the type of activations.
func (p *cudaPass) MatMul(dst, a, b tensor.Tensor, transposeB bool) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	to, typ, bring := p.result(dst, cuda.F32)
	cuda.MatMul(p.list, &cuda.Gemm{
		Dst: p.mat(to), A: p.mat(p.as(cuda.F32, a)), B: p.mat(p.as(cuda.F32, b)), Plain: !transposeB,
		M: dst.Rows(), N: dst.Cols(), K: a.Cols(), In: cuda.F32, Out: typ,
	})
	bring()
}

func (p *cudaPass) Attention(dst, q, k, v tensor.Tensor, a AttentionArgs) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	if a.HeadDim > cuda.MaxHeadDim {
		p.Fail(Unsupported("heads of %d elements on cuda, at most %d", a.HeadDim, cuda.MaxHeadDim))
		return
	}
	typ := typeOf(dst)
	at := cuda.Attention{
		Dst: p.mat(dst), Q: p.mat(p.as(typ, q)), Type: typ,
		Heads: a.Heads, KVHeads: a.KVHeads, D: a.HeadDim, Scale: a.Scale,
		Seqs: len(a.QOff) - 1, QOff: p.ptr(p.Ints(a.QOff)), KOff: p.ptr(p.Ints(a.KOff)), MaxQ: longest(a.QOff), MaxK: longest(a.KOff),
		Causal: a.Causal, Window: a.Window,
		Bias: p.ptr(p.as(cuda.F32, a.Bias)), BiasSeq: a.BiasSeq, BiasHead: a.BiasHead, BiasRow: a.BiasRow,
	}
	if c := a.Cache; c != nil {
		m := p.cachePages(c)
		if m == nil {
			return
		}
		at.K, at.V = m.at(a.Layer)
		at.PageRows, at.Page = CachePage, m.page()
		at.Pages, at.SeqPages = p.ptr(p.Ints(c.table[:c.n*c.stride])), c.stride
	} else {
		at.K, at.V = p.mat(p.as(typ, k)), p.mat(p.as(typ, v))
		at.Rows, at.Keys = q.Rows(), k.Rows()
		at.Rows, at.Keys = q.Rows(), k.Rows()
	}
	at.Scratch = p.scratch(at.Work())
	cuda.Attend(p.list, &at)
}

// longest returns the longest sequence of offsets.
func longest(off []int32) int {
	n := int32(0)
	for i := 1; i < len(off); i++ {
		n = max(n, off[i]-off[i-1])
	}
	return int(n)
}

// cachePages returns a cache's memory, nil if the pass has failed.
func (p *cudaPass) cachePages(c *Cache) *cudaPages {
	m, ok := c.pages.(*cudaPages)
	switch {
	case !ok || m.backend != p.backend:
		p.Fail(errNotHere)
		return nil
	case m.err != nil:
		p.Fail(m.err)
		return nil
	}
	return m
}

func (p *cudaPass) Append(c *Cache, layer int, k, v tensor.Tensor) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	m := p.cachePages(c)
	if m == nil {
		return
	}
	typ, slots := p.backend.typ, p.ptr(p.Ints(c.slots))
	toK, toV := m.at(layer)
	cuda.Append(p.list, typ, toK, m.page(), CachePage, p.mat(p.as(typ, k)), slots, len(c.slots), m.keyCols)
	cuda.Append(p.list, typ, toV, m.page(), CachePage, p.mat(p.as(typ, v)), slots, len(c.slots), m.valueCols)
}

func (p *cudaPass) Rotary(x, table, positions tensor.Tensor, headDim int) {
	if p.done() {
		return
	}
	cuda.Rotary(p.list, typeOf(x), p.mat(x), p.mat(table), p.ptr(positions), headDim, table.Cols()/2, x.Rows(), x.Cols())
}

func (p *cudaPass) RMSNorm(dst, x, gain tensor.Tensor, eps float32) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.RMSNorm(p.list, typ, p.mat(dst), p.mat(p.as(typ, x)), p.ptr(p.as(cuda.F32, gain)), eps, x.Rows(), x.Cols())
}

func (p *cudaPass) LayerNorm(dst, x, residual, gain, bias tensor.Tensor, eps float32) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.LayerNorm(p.list, typ, p.mat(dst), p.mat(p.as(typ, x)), p.mat(p.as(typ, residual)),
		p.ptr(p.as(cuda.F32, gain)), p.ptr(p.as(cuda.F32, bias)), eps, x.Rows(), x.Cols())
}

func (p *cudaPass) GroupNorm(dst, x, gain, bias tensor.Tensor, groups int, eps float32, act Act) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.GroupNorm(p.list, typ, p.ptr(dst), p.ptr(p.dense(p.as(typ, x))), p.ptr(p.as(cuda.F32, gain)), p.ptr(p.as(cuda.F32, bias)),
		groups, eps, cuda.Act(act), x.Rows(), x.Cols(), p.scratch(cuda.GroupNormWork(x.Rows(), x.Cols(), groups)))
}

func (p *cudaPass) Embedding(dst, ids, table tensor.Tensor, accumulate bool) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.Embedding(p.list, typ, p.mat(dst), p.ptr(ids), p.mat(p.as(typ, table)), accumulate, ids.Len(), dst.Cols())
}

func (p *cudaPass) Conv1D(dst, x tensor.Tensor, w Conv, g Window1D, e Epilogue) {
	p.Conv2D(dst, x, 1, x.Rows(), w, Window2D{StrideH: 1, StrideW: g.Stride,
		PadL: g.PadLeft, PadR: g.PadRight, DilationH: 1, DilationW: g.Dilation}, e)
}

func (p *cudaPass) Conv2D(dst, x tensor.Tensor, h, w int, k Conv, g Window2D, e Epilogue) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	m, ok := k.(*cudaConv)
	if !ok {
		p.Fail(errWrongType)
		return
	}
	to, typ, bring := p.result(dst, m.typ)
	cuda.Convolve(p.list, &cuda.Conv{
		Dst: p.mat(to), X: p.ptr(p.dense(p.as(m.typ, x))), Weight: m.at, H: h, W: w,
		Ins: m.ins, Outs: m.out, KH: m.kh, KW: m.kw, Groups: m.groups,
		Window: cuda.Window{StrideH: g.StrideH, StrideW: g.StrideW, PadT: g.PadT, PadL: g.PadL, PadB: g.PadB, PadR: g.PadR,
			DilH: g.DilationH, DilW: g.DilationW},
		In: m.typ, Out: typ, Epilogue: p.epilogue(e, typ),
	})
	bring()
}

func (p *cudaPass) Patches(dst, pictures tensor.Tensor, ph, pw int) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.Patches(p.list, typ, p.mat(dst), p.ptr(p.as(typ, pictures)),
		pictures.Dim(0), pictures.Dim(1), pictures.Dim(2), pictures.Dim(3), ph, pw)
}

func (p *cudaPass) Activate(dst, x tensor.Tensor, act Act) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	x = p.as(typ, x)
	rows, cols := extent(dst, x)
	cuda.Activate(p.list, typ, p.mat(dst), p.mat(x), cuda.Act(act), rows, cols)
}

func (p *cudaPass) Add(dst, a, b tensor.Tensor) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	a, b = p.as(typ, a), p.as(typ, b)
	rows, cols := extent(dst, a, b)
	cuda.Add(p.list, typ, p.mat(dst), p.mat(a), p.mat(b), rows, cols)
}

func (p *cudaPass) Scale(dst, x tensor.Tensor, s float32) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	x = p.as(typ, x)
	rows, cols := extent(dst, x)
	cuda.Scale(p.list, typ, p.mat(dst), p.mat(x), s, rows, cols)
}

func (p *cudaPass) Affine(dst, x, scale, shift tensor.Tensor) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.Affine(p.list, typ, p.mat(dst), p.mat(p.as(typ, x)), p.ptr(p.as(cuda.F32, scale)), p.ptr(p.as(cuda.F32, shift)), x.Rows(), x.Cols())
}

func (p *cudaPass) Gated(dst, gate, up tensor.Tensor, act Act) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	gate, up = p.as(typ, gate), p.as(typ, up)
	rows, cols := extent(dst, gate, up)
	cuda.Gated(p.list, typ, p.mat(dst), p.mat(gate), p.mat(up), cuda.Act(act), rows, cols)
}

func (p *cudaPass) Softmax(dst, x tensor.Tensor) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.Softmax(p.list, typ, p.mat(dst), p.mat(p.as(typ, x)), x.Rows(), x.Cols())
}

func (p *cudaPass) Gather(dst, x, rows tensor.Tensor) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.Gather(p.list, typ, p.mat(dst), p.mat(p.as(typ, x)), p.ptr(rows), rows.Len(), dst.Cols())
}

func (p *cudaPass) Combine(dst, x, residual tensor.Tensor, off []int32, rows, weights tensor.Tensor) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.Combine(p.list, typ, p.mat(dst), p.mat(p.as(typ, x)), p.mat(p.as(typ, residual)),
		p.ptr(p.Ints(off)), p.ptr(rows), p.ptr(p.as(cuda.F32, weights)), dst.Rows(), dst.Cols())
}

func (p *cudaPass) MeanRows(dst, x tensor.Tensor, off []int32) {
	mark, ok := p.start()
	if !ok {
		return
	}
	defer p.Release(mark)
	typ := typeOf(dst)
	cuda.MeanRows(p.list, typ, p.mat(dst), p.mat(p.as(typ, x)), p.ptr(p.Ints(off)), len(off)-1, x.Cols())
}
