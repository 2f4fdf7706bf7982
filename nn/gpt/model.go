package gpt

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Transformer is GPT2Model.
type Transformer struct {
	Config   Config
	Token    nn.Embedding // wte
	Position nn.Embedding // wpe
	Blocks   []Block      // h
	Norm     nn.LayerNorm // ln_f
}

// Block is one layer: attention and feed-forward, each after a norm and added
// to what came in.
type Block struct {
	AttentionNorm nn.LayerNorm // ln_1
	Attention     nn.Attention
	AttentionOut  nn.Linear
	Cross         *CrossAttention // nil: none
	MLPNorm       nn.LayerNorm    // ln_2
	MLP           nn.MLP
}

// CrossAttention lets the tokens attend to an encoder's.
type CrossAttention struct {
	Norm     nn.LayerNorm
	Query    nn.Linear
	KeyValue nn.Linear // side by side
	Out      nn.Linear
}

// Batch is a ragged batch: one entry a row.
type Batch struct {
	IDs       []int32       // token ids; nil if Embeds is given
	Embeds    tensor.Tensor // [rows, C] in place of the ids' vectors
	Position  []int32
	TokenType []int32 // ids of more vectors of Token to add; nil: none
	Attention nn.AttentionArgs
	// Last, if not nil, are the last rows of the sequences of a cache: only they
	// are wanted of the last block.
	Last []int32
	// Encoder holds the hidden states of an encoder, and Cross how they are
	// attended to. Zero: no cross attention.
	Encoder tensor.Tensor
	Cross   nn.AttentionArgs
}

// Embed returns the sum of the token, position and type vectors [rows, C].
func (m *Transformer) Embed(p nn.Pass, b Batch) tensor.Tensor {
	x := p.New(len(b.Position), m.Config.NEmbd)
	if b.IDs == nil {
		p.Scale(x, b.Embeds, 1)
	} else {
		p.Embedding(x, p.Ints(b.IDs), m.Token.Table, false)
	}
	p.Embedding(x, p.Ints(b.Position), m.Position.Table, true)
	if b.TokenType != nil {
		p.Embedding(x, p.Ints(b.TokenType), m.Token.Table, true)
	}
	return x
}

// Forward returns what the blocks make of the embeddings [rows, C], or of the
// rows b.Last, before the last norm. layer, if not nil, is shown the input of each block.
func (m *Transformer) Forward(p nn.Pass, b Batch, layer func(i int, x tensor.Tensor)) tensor.Tensor {
	x := m.Embed(p, b)
	y := p.New(x.Rows(), x.Cols())
	for i := range m.Blocks {
		if layer != nil {
			layer(i, x)
		}
		b.Attention.Layer, b.Attention.Scale = i, m.scale(i)
		b.Cross.Scale = m.scale(i)
		if b.Last != nil && i == len(m.Blocks)-1 {
			return m.Blocks[i].forwardLast(p, x, &b)
		}
		m.Blocks[i].forward(p, y, x, &b)
		x, y = y, x
	}
	if b.Last != nil {
		x = gather(p, x, b.Last) // there was no block
	}
	return x
}

// scale is the factor of layer i's attention scores.
func (m *Transformer) scale(i int) float32 {
	s := 1.0
	if m.Config.ScaleAttnWeights {
		s = 1 / math.Sqrt(float64(m.Config.NEmbd/m.Config.NHead))
	}
	if m.Config.ScaleAttnByInverseLayerIdx {
		s /= float64(i + 1)
	}
	return float32(s)
}

func (l *Block) forward(p nn.Pass, dst, x tensor.Tensor, b *Batch) {
	mark := p.Mark()
	h := l.AttentionNorm.Forward(p, x)
	h = l.Attention.Forward(p, h, b.Attention)
	h = l.AttentionOut.Add(p, h, x)
	if l.Cross != nil && !b.Encoder.IsZero() {
		h = l.Cross.forward(p, h, b.Encoder, l.Attention.Heads, b.Cross)
	}
	l.MLP.Into(p, dst, l.MLPNorm.Forward(p, h), h)
	p.Release(mark)
}

// forwardLast is forward for the rows b.Last. It has no cross attention.
func (l *Block) forwardLast(p nn.Pass, x tensor.Tensor, b *Batch) tensor.Tensor {
	h := l.AttentionNorm.Forward(p, x)
	h = l.Attention.ForwardLast(p, h, b.Attention, b.Last)
	h = l.AttentionOut.Add(p, h, gather(p, x, b.Last))
	return l.MLP.Forward(p, l.MLPNorm.Forward(p, h), h)
}

func (c *CrossAttention) forward(p nn.Pass, x, encoder tensor.Tensor, heads int, args nn.AttentionArgs) tensor.Tensor {
	n := x.Cols()
	args.Heads, args.KVHeads, args.HeadDim = heads, heads, n/heads
	q := c.Query.Forward(p, c.Norm.Forward(p, x), kernels.ActNone)
	kv := c.KeyValue.Forward(p, encoder, kernels.ActNone)
	h := p.New(x.Rows(), n)
	p.Attention(h, q, kv.SliceCols(0, n), kv.SliceCols(n, 2*n), args)
	return c.Out.Add(p, h, x)
}
