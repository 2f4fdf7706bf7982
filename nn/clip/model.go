package clip

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// TextEncoder is CLIPTextModel without its pooling.
type TextEncoder struct {
	Config   TextConfig
	Token    nn.Embedding
	Position nn.Embedding
	Layers   []Layer
	Norm     nn.LayerNorm
	Causal   bool
}

// VisionEncoder is CLIPVisionModel without its pooling.
type VisionEncoder struct {
	Config   VisionConfig
	Patch    nn.Linear     // the patch convolution: [C, channels·p·p]
	Class    tensor.Tensor // class token plus its position [1, C]; zero: none (SigLIP)
	Position tensor.Tensor // of the patches at the configured size [P, C]
	PreNorm  nn.LayerNorm  // zero: none (SigLIP)
	Layers   []Layer
}

// Layer is one Transformer block with its norms before attention and MLP.
type Layer struct {
	Norm1        nn.LayerNorm
	Attention    nn.Attention
	AttentionOut nn.Linear
	Norm2        nn.LayerNorm
	MLP          nn.MLP
}

// AttentionPool lets one learned query attend to all tokens.
type AttentionPool struct {
	Probe    tensor.Tensor // [1, C]
	Query    nn.Linear
	KeyValue nn.Linear // side by side
	Out      nn.Linear
	Norm     nn.LayerNorm
	MLP      nn.MLP
	Heads    int
}

// TextBatch is a ragged batch of sentences: one entry a row of R.
type TextBatch struct {
	R             *nn.Ragged
	IDs, Position []int32
}

// VisionBatch is a batch of pictures of one size.
type VisionBatch struct {
	Pixels   tensor.Tensor // [B, channels, height, width], on the host
	Position tensor.Tensor // [P, C] for this size
	R        *nn.Ragged    // over class token and patches
}

// Forward returns the last hidden state [rows, C], normalised. layer, if not
// nil, is shown the embedding output (0) and each layer's output (1, 2, …).
func (m *TextEncoder) Forward(p nn.Pass, b TextBatch, layer func(i int, x tensor.Tensor)) tensor.Tensor {
	x := p.New(b.R.Rows(), m.Config.HiddenSize)
	p.Embedding(x, p.Ints(b.IDs), m.Token.Table, false)
	p.Embedding(x, p.Ints(b.Position), m.Position.Table, true)
	args := b.R.Args(p)
	args.Causal = m.Causal
	return m.Norm.Forward(p, forward(p, m.Layers, x, args, layer))
}

// Forward returns the last layer's output [rows, C]. layer, if not nil, is shown
// the input of the first layer (0) and each layer's output (1, 2, …).
func (m *VisionEncoder) Forward(p nn.Pass, b VisionBatch, layer func(i int, x tensor.Tensor)) tensor.Tensor {
	x := p.New(b.R.Rows(), m.Config.HiddenSize)
	m.embed(p, x, b)
	if !m.PreNorm.Gain.IsZero() {
		x = m.PreNorm.Forward(p, x)
	}
	return forward(p, m.Layers, x, b.R.Args(p), layer)
}

// embed writes the class token and the patches, with their positions, of each
// picture.
func (m *VisionEncoder) embed(p nn.Pass, dst tensor.Tensor, b VisionBatch) {
	n := b.Position.Rows() // patches of a picture
	prefix := b.R.T - n
	mark := p.Mark()
	patches := p.New(b.R.B*n, m.Patch.W.In())
	p.Patches(patches, nn.Upload(p, b.Pixels), m.Config.PatchSize, m.Config.PatchSize)
	for i := range b.R.B {
		row := i * b.R.T
		if prefix > 0 {
			p.Scale(dst.SliceRows(row, row+prefix), m.Class, 1)
		}
		p.Linear(dst.SliceRows(row+prefix, row+b.R.T), patches.SliceRows(i*n, (i+1)*n), m.Patch.W,
			nn.Epilogue{Bias: m.Patch.B, Residual: b.Position})
	}
	p.Release(mark)
}

// forward runs x through the layers and returns where the result lies.
func forward(p nn.Pass, layers []Layer, x tensor.Tensor, args nn.AttentionArgs, layer func(i int, x tensor.Tensor)) tensor.Tensor {
	if layer == nil {
		layer = func(int, tensor.Tensor) {}
	}
	layer(0, x)
	y := p.New(x.Rows(), x.Cols())
	for i := range layers {
		layers[i].forward(p, y, x, args)
		x, y = y, x
		layer(i+1, x)
	}
	return x
}

func (l *Layer) forward(p nn.Pass, dst, x tensor.Tensor, args nn.AttentionArgs) {
	mark := p.Mark()
	args.Scale = scale(l.Attention.Dim, l.Attention.Heads)
	h := l.Attention.Forward(p, l.Norm1.Forward(p, x), args)
	h = l.AttentionOut.Add(p, h, x)
	l.MLP.Into(p, dst, l.Norm2.Forward(p, h), h)
	p.Release(mark)
}

// Forward returns a vector for each sequence of x [B, C].
func (m *AttentionPool) Forward(p nn.Pass, r *nn.Ragged, x tensor.Tensor) tensor.Tensor {
	n := x.Cols()
	probe := p.New(r.B, n)
	p.Gather(probe, m.Probe, p.Ints(make([]int32, r.B)))
	q := m.Query.Forward(p, probe, kernels.ActNone)
	kv := m.KeyValue.Forward(p, x, kernels.ActNone)
	one := make([]int32, r.B+1) // a query a sequence
	for i := range one {
		one[i] = int32(i)
	}
	h := p.New(r.B, n)
	p.Attention(h, q, kv.SliceCols(0, n), kv.SliceCols(n, 2*n), nn.AttentionArgs{
		Heads: m.Heads, KVHeads: m.Heads, HeadDim: n / m.Heads, Scale: scale(n, m.Heads), QOff: one, KOff: r.Off,
	})
	h = m.Out.Forward(p, h, kernels.ActNone)
	return m.MLP.Forward(p, m.Norm.Forward(p, h), h)
}

func scale(width, heads int) float32 { return float32(1 / math.Sqrt(float64(width/heads))) }
