package llama

import (
	"math"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/tensor"
)

// Decoder is LlamaModel and its like: embeddings, layers and the last norm.
type Decoder struct {
	Config Config
	Token  nn.Embedding // embed_tokens
	Layers []Layer
	Norm   nn.RMSNorm

	rope *rope
}

// Layer is attention and feed-forward, each after a norm and added to what came
// in. The feed-forward part is MLP or, if that is zero, MoE.
type Layer struct {
	InputNorm    nn.RMSNorm // input_layernorm
	Attention    Attention
	AttentionOut nn.Linear
	MLPNorm      nn.RMSNorm // post_attention_layernorm
	MLP          nn.GatedMLP
	MoE          *moe.Layer
}

// Attention is self-attention in which several query heads share a key and a
// value head (Ainslie et al. 2023, arXiv:2305.13245).
type Attention struct {
	QKV            nn.Linear // queries, keys and values side by side
	Heads, KVHeads int
	HeadDim        int
	Window         int // how many keys back a query sees; 0: all
}

// Batch is a ragged batch: one entry a row.
type Batch struct {
	IDs       []int32       // token ids; nil if Embeds is given
	Embeds    tensor.Tensor // [rows, C] in place of the ids' vectors
	Position  []int32
	Length    int // the sequences' length, which some rotary embeddings depend on
	Attention nn.AttentionArgs
	// Last, if not nil, are the last rows of the sequences of a cache: only they
	// are wanted of the last layer.
	Last []int32
}

// Watch is shown what passes by; nil functions are not called.
type Watch struct {
	Layer  func(i int, x tensor.Tensor)      // the input of layer i
	Router func(i int, logits tensor.Tensor) // [rows, experts] of layer i
}

// Forward returns what the layers make of the batch [rows, C], or of the rows
// b.Last, before the last norm.
func (m *Decoder) Forward(p nn.Pass, b Batch, w Watch) tensor.Tensor {
	x := p.New(len(b.Position), m.Config.HiddenSize)
	if b.IDs == nil {
		p.Scale(x, b.Embeds, 1)
	} else {
		p.Embedding(x, p.Ints(b.IDs), m.Token.Table, false)
	}
	y := p.New(x.Rows(), x.Cols())
	rotary := m.rope.upTo(b.Length)
	for i := range m.Layers {
		if w.Layer != nil {
			w.Layer(i, x)
		}
		b.Attention.Layer = i
		var rows []int32 // all
		if i == len(m.Layers)-1 && b.Last != nil {
			rows, y = b.Last, p.New(len(b.Last), x.Cols())
		}
		mark := p.Mark()
		logits := m.Layers[i].forward(p, y, x, &b, rotary, rows)
		if w.Router != nil && !logits.IsZero() {
			w.Router(i, logits)
		}
		p.Release(mark)
		x, y = y, x
	}
	if b.Last != nil && len(m.Layers) == 0 {
		x = gather(p, x, b.Last)
	}
	return x
}

// forward computes a layer, for the given rows or, if nil, for all, and returns
// the logits of its router, if it has one.
func (l *Layer) forward(p nn.Pass, dst, x tensor.Tensor, b *Batch, rotary *nn.Rotary, rows []int32) tensor.Tensor {
	h := l.Attention.forward(p, l.InputNorm.Forward(p, x), b, rotary, rows)
	if rows != nil {
		x = gather(p, x, rows)
	}
	h = l.AttentionOut.Add(p, h, x)
	n := l.MLPNorm.Forward(p, h)
	if l.MoE != nil {
		return l.MoE.Forward(p, dst, n, h, nil)
	}
	l.MLP.Into(p, dst, n, h)
	return tensor.Tensor{}
}

func (a *Attention) forward(p nn.Pass, x tensor.Tensor, b *Batch, rotary *nn.Rotary, rows []int32) tensor.Tensor {
	args := b.Attention
	args.Heads, args.KVHeads, args.HeadDim = a.Heads, a.KVHeads, a.HeadDim
	args.Window, args.Scale = a.Window, float32(1/math.Sqrt(float64(a.HeadDim)))
	nq, nk := a.Heads*a.HeadDim, a.KVHeads*a.HeadDim
	qkv := a.QKV.Forward(p, x, 0)
	q, k, v := qkv.SliceCols(0, nq), qkv.SliceCols(nq, nq+nk), qkv.SliceCols(nq+nk, nq+2*nk)
	rotary.Apply(p, qkv.SliceCols(0, nq+nk), b.Position, a.HeadDim)
	if args.Cache != nil {
		p.Append(args.Cache, args.Layer, k, v)
	}
	if rows != nil {
		q, args.QOff = gather(p, q, rows), args.Cache.OneEach()
	}
	dst := p.New(q.Rows(), nq)
	p.Attention(dst, q, k, v, args)
	return dst
}
