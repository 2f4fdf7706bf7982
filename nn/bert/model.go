package bert

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Encoder is BertModel without its pooler.
type Encoder struct {
	Config     Config
	Embeddings Embeddings
	Layers     []Layer
}

// Embeddings sum the vectors of a token, its segment and its position.
type Embeddings struct {
	Word, TokenType, Position nn.Embedding
	Norm                      nn.LayerNorm
}

// Layer is one Transformer block with its norms after the residuals.
type Layer struct {
	Attention     nn.Attention
	AttentionOut  nn.Linear
	AttentionNorm nn.LayerNorm
	Cross         *CrossAttention // nil: none
	MLP           nn.MLP
	OutputNorm    nn.LayerNorm
}

// CrossAttention lets a decoder's tokens attend to an encoder's.
type CrossAttention struct {
	Query    nn.Linear
	KeyValue nn.Linear // side by side
	Out      nn.Linear
	Norm     nn.LayerNorm
}

// Batch is a ragged batch: one entry a row of R.
type Batch struct {
	R         *nn.Ragged
	IDs       []int32       // token ids; nil if Embeds is given
	Embeds    tensor.Tensor // [rows, C] in place of the ids' vectors
	TokenType []int32
	Position  []int32
	// Encoder holds the hidden states of an encoder, over EncoderR; nil: none.
	Encoder  tensor.Tensor
	EncoderR *nn.Ragged
}

// Forward returns the last hidden state [rows, C]. layer, if not nil, is shown
// the embedding output (0) and each layer's output (1, 2, …).
func (m *Encoder) Forward(p nn.Pass, b Batch, layer func(i int, x tensor.Tensor)) tensor.Tensor {
	if layer == nil {
		layer = func(int, tensor.Tensor) {}
	}
	x, y := p.New(b.R.Rows(), m.Config.HiddenSize), p.New(b.R.Rows(), m.Config.HiddenSize)
	m.Embeddings.forward(p, x, b)
	layer(0, x)
	args := b.R.Args(p)
	args.Causal = m.Config.IsDecoder
	args.Scale = float32(1 / math.Sqrt(float64(m.Config.HiddenSize/m.Config.NumAttentionHeads)))
	cross := args
	if b.EncoderR != nil {
		cross.KOff, cross.Causal, cross.Bias = b.EncoderR.Off, false, tensor.Tensor{}
	}
	for i := range m.Layers {
		m.Layers[i].forward(p, y, x, args, b.Encoder, cross)
		x, y = y, x
		layer(i+1, x)
	}
	return x
}

func (e *Embeddings) forward(p nn.Pass, dst tensor.Tensor, b Batch) {
	if b.IDs == nil {
		p.Scale(dst, b.Embeds, 1)
	} else {
		p.Embedding(dst, p.Ints(b.IDs), e.Word.Table, false)
	}
	if !e.TokenType.Table.IsZero() {
		p.Embedding(dst, p.Ints(b.TokenType), e.TokenType.Table, true)
	}
	p.Embedding(dst, p.Ints(b.Position), e.Position.Table, true)
	p.LayerNorm(dst, dst, tensor.Tensor{}, e.Norm.Gain, e.Norm.Bias, e.Norm.Eps)
}

func (l *Layer) forward(p nn.Pass, dst, x tensor.Tensor, args nn.AttentionArgs, encoder tensor.Tensor, cross nn.AttentionArgs) {
	mark := p.Mark()
	h := l.Attention.Forward(p, x, args)
	h = l.AttentionOut.Add(p, h, x)
	h = l.AttentionNorm.Forward(p, h)
	if l.Cross != nil && !encoder.IsZero() {
		h = l.Cross.forward(p, h, encoder, l.Attention.Heads, cross)
	}
	h = l.MLP.Forward(p, h, h)
	p.LayerNorm(dst, h, tensor.Tensor{}, l.OutputNorm.Gain, l.OutputNorm.Bias, l.OutputNorm.Eps)
	p.Release(mark)
}

func (c *CrossAttention) forward(p nn.Pass, x, encoder tensor.Tensor, heads int, args nn.AttentionArgs) tensor.Tensor {
	n := x.Cols()
	args.Heads, args.KVHeads, args.HeadDim = heads, heads, n/heads
	q := c.Query.Forward(p, x, kernels.ActNone)
	kv := c.KeyValue.Forward(p, encoder, kernels.ActNone)
	h := p.New(x.Rows(), n)
	p.Attention(h, q, kv.SliceCols(0, n), kv.SliceCols(n, 2*n), args)
	return c.Norm.Forward(p, c.Out.Add(p, h, x))
}
