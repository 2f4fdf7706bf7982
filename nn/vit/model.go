package vit

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Encoder is ViTModel without its pooler.
type Encoder struct {
	Config     Config
	Embeddings Embeddings
	Layers     []Layer
	Norm       nn.LayerNorm
}

// Embeddings turn patches into tokens.
type Embeddings struct {
	Patch    nn.Linear     // the patch convolution: [C, channels·ph·pw]
	Prefix   tensor.Tensor // class (and distillation) token plus their positions [n, C]
	Position tensor.Tensor // of the patches at the configured size [P, C]
	Mask     tensor.Tensor // stands for a masked patch [C]; zero if the checkpoint has none
}

// Layer is one Transformer block with its norms before attention and MLP.
type Layer struct {
	NormBefore   nn.LayerNorm
	Attention    nn.Attention
	AttentionOut nn.Linear
	NormAfter    nn.LayerNorm
	MLP          nn.MLP
}

// Batch is a batch of pictures of one size.
type Batch struct {
	Pixels   tensor.Tensor // [B, channels, height, width], on the host
	Position tensor.Tensor // [P, C] for this size
	R        *nn.Ragged    // over prefix and patches
	Masked   []int64       // 1 for each patch [B·P] that the mask token replaces; nil: none
}

// Forward returns the normalised last hidden state [rows, C]. layer, if not
// nil, is shown the embedding output (0) and each layer's output (1, 2, …).
func (m *Encoder) Forward(p nn.Pass, b Batch, layer func(i int, x tensor.Tensor)) tensor.Tensor {
	if layer == nil {
		layer = func(int, tensor.Tensor) {}
	}
	c := m.Config
	x := p.New(b.R.B*b.R.T, c.HiddenSize)
	m.embed(p, x, b)
	x = b.R.Pack(p, x)
	layer(0, x)
	args := b.R.Args(p)
	args.Scale = float32(1 / math.Sqrt(float64(c.HeadDim)))
	y := p.New(x.Rows(), c.HiddenSize)
	for i := range m.Layers {
		m.Layers[i].forward(p, y, x, args)
		x, y = y, x
		layer(i+1, x)
	}
	return m.Norm.Forward(p, x)
}

// embed writes prefix and patch tokens, with their positions, of each picture.
func (m *Encoder) embed(p nn.Pass, dst tensor.Tensor, b Batch) {
	c := m.Config
	n, t := c.Prefix(), b.R.T
	mark := p.Mark()
	patches := p.New(b.R.B*(t-n), c.NumChannels*c.PatchSize[0]*c.PatchSize[1])
	p.Patches(patches, nn.Upload(p, b.Pixels), c.PatchSize[0], c.PatchSize[1])
	for i := range b.R.B {
		p.Scale(dst.SliceRows(i*t, i*t+n), m.Embeddings.Prefix, 1)
		p.Linear(dst.SliceRows(i*t+n, (i+1)*t), patches.SliceRows(i*(t-n), (i+1)*(t-n)), m.Embeddings.Patch.W,
			nn.Epilogue{Bias: m.Embeddings.Patch.B, Act: kernels.ActNone, Residual: b.Position})
	}
	for i, v := range b.Masked {
		if v != 0 {
			picture, patch := i/(t-n), i%(t-n)
			row := picture*t + n + patch
			p.Add(dst.SliceRows(row, row+1), m.Embeddings.Mask, b.Position.SliceRows(patch, patch+1))
		}
	}
	p.Release(mark)
}

func (l *Layer) forward(p nn.Pass, dst, x tensor.Tensor, args nn.AttentionArgs) {
	mark := p.Mark()
	h := l.Attention.Forward(p, l.NormBefore.Forward(p, x), args)
	h = l.AttentionOut.Add(p, h, x)
	u := l.MLP.Up.Forward(p, l.NormAfter.Forward(p, h), l.MLP.Act)
	p.Linear(dst, u, l.MLP.Down.W, nn.Epilogue{Bias: l.MLP.Down.B, Residual: h})
	p.Release(mark)
}
