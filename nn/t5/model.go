package t5

import (
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/tensor"
)

// Stack is the encoder or the decoder.
type Stack struct {
	Token  nn.Embedding // embed_tokens
	Blocks []Block
	Norm   nn.RMSNorm // final_layer_norm
	Bias   *RelativeBias
}

// Block is self-attention, in a decoder cross-attention, and feed-forward, each
// after a norm and added to what came in. Scores are not scaled.
type Block struct {
	AttentionNorm nn.RMSNorm
	Attention     nn.Attention
	AttentionOut  nn.Linear
	Cross         *CrossAttention // nil in an encoder
	FFNorm        nn.RMSNorm
	FF            FeedForward
}

// FeedForward is one of its parts; the others are zero.
type FeedForward struct {
	Plain *nn.MLP
	Gated *nn.GatedMLP
	MoE   *moe.Layer
}

// CrossAttention lets the decoder attend to the encoder's output.
type CrossAttention struct {
	Norm     nn.RMSNorm
	Query    nn.Linear
	KeyValue nn.Linear // side by side
	Out      nn.Linear
}

// Batch is a ragged batch: one entry a row.
type Batch struct {
	IDs       []int32       // token ids; nil if Embeds is given
	Embeds    tensor.Tensor // [rows, C] in place of the ids' vectors
	Attention nn.AttentionArgs
	Groups    []int32 // the sequences' offsets, for expert capacity
	// Encoder is the encoder's output, and Cross how the decoder attends to it.
	// It is zero if Cross has a cache that holds its keys and values.
	Encoder tensor.Tensor
	Cross   nn.AttentionArgs
}

// Watch is shown what passes by; nil functions are not called.
type Watch struct {
	Layer  func(i int, x tensor.Tensor) // the input of block i
	Router func(logits tensor.Tensor)   // [rows, experts]
}

// Forward returns what the blocks make of the batch [rows, C], before the last
// norm.
func (m *Stack) Forward(p nn.Pass, b Batch, w Watch) tensor.Tensor {
	rows := len(b.IDs)
	if b.IDs == nil {
		rows = b.Embeds.Rows()
	}
	x := p.New(rows, m.Norm.Gain.Cols())
	if b.IDs == nil {
		p.Scale(x, b.Embeds, 1)
	} else {
		p.Embedding(x, p.Ints(b.IDs), m.Token.Table, false)
	}
	y := p.New(x.Rows(), x.Cols())
	for i := range m.Blocks {
		if w.Layer != nil {
			w.Layer(i, x)
		}
		mark := p.Mark()
		b.Attention.Layer, b.Cross.Layer = i, i
		logits := m.Blocks[i].forward(p, y, x, &b)
		if w.Router != nil && !logits.IsZero() {
			w.Router(logits)
		}
		p.Release(mark)
		x, y = y, x
	}
	return x
}

// forward computes a block and returns the logits of its router, if it has one.
func (l *Block) forward(p nn.Pass, dst, x tensor.Tensor, b *Batch) tensor.Tensor {
	args := b.Attention
	args.Scale = 1
	h := l.Attention.Forward(p, l.AttentionNorm.Forward(p, x), args)
	h = l.AttentionOut.Add(p, h, x)
	if l.Cross != nil {
		h = l.Cross.forward(p, h, b, l.Attention.Heads, l.Attention.Dim)
	}
	n := l.FFNorm.Forward(p, h)
	switch f := l.FF; {
	case f.MoE != nil:
		return f.MoE.Forward(p, dst, n, h, b.Groups)
	case f.Gated != nil:
		f.Gated.Into(p, dst, n, h)
	default:
		f.Plain.Into(p, dst, n, h)
	}
	return tensor.Tensor{}
}

func (c *CrossAttention) forward(p nn.Pass, x tensor.Tensor, b *Batch, heads, dim int) tensor.Tensor {
	args := b.Cross
	args.Heads, args.KVHeads, args.HeadDim, args.Scale = heads, heads, dim/heads, 1
	q := c.Query.Forward(p, c.Norm.Forward(p, x), 0)
	var k, v tensor.Tensor
	if !b.Encoder.IsZero() {
		kv := c.KeyValue.Forward(p, b.Encoder, 0)
		k, v = kv.SliceCols(0, dim), kv.SliceCols(dim, 2*dim)
		if args.Cache != nil {
			p.Append(args.Cache, args.Layer, k, v)
		}
	}
	h := p.New(x.Rows(), dim)
	p.Attention(h, q, k, v, args)
	return c.Out.Add(p, h, x)
}
