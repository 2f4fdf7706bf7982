package wav2vec

import (
	"math"
	"slices"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Encoder is Wav2Vec2Model or HubertModel.
type Encoder struct {
	Config     Config
	Features   []ConvLayer // feature_extractor.conv_layers
	Projection Projection
	PosScale   tensor.Tensor // batch norm before PosConv [C]; zero: none
	PosShift   tensor.Tensor
	PosConv    Conv // positional convolution, "same" length
	Norm       nn.LayerNorm
	Layers     []Layer
	Adapter    *Adapter      // nil: none
	MaskEmbed  tensor.Tensor // stands for a frame that mask_time_indices names [C]; zero: none
}

// Conv is a 1-d convolution with its bias.
type Conv struct {
	W     nn.Conv
	B     tensor.Tensor
	Width int
}

// ConvLayer is one step of the feature extractor.
type ConvLayer struct {
	Conv
	Stride int
	Norm   nn.LayerNorm // zero: none
	Group  bool         // Norm is over time, a group a channel
}

// Projection brings features to the Transformer's width.
type Projection struct {
	Norm   nn.LayerNorm // zero: none
	Linear nn.Linear
}

// Layer is one Transformer block. Its norms stand after the residuals, or with
// do_stable_layer_norm before attention and feed-forward.
type Layer struct {
	Attention    nn.Attention
	AttentionOut nn.Linear
	Norm         nn.LayerNorm
	FeedForward  nn.MLP
	FinalNorm    nn.LayerNorm
	Adapter      *AttnAdapter // nil: none
}

// AttnAdapter is the small residual MLP that fine-tunes a stable layer.
type AttnAdapter struct {
	Norm nn.LayerNorm
	MLP  nn.MLP
}

// Adapter shortens the sequence with strided, gated convolutions.
type Adapter struct {
	Proj     nn.Linear // zero: widths agree
	ProjNorm nn.LayerNorm
	Layers   []Conv // [T, C] → [T', 2C]
	Stride   int
}

// extract returns the features of one sound, samples [S], as [T, C].
func (m *Encoder) extract(p nn.Pass, samples tensor.Tensor) tensor.Tensor {
	x := samples.Reshape(samples.Len(), 1)
	for _, l := range m.Features {
		g := nn.Window1D{Stride: l.Stride, Dilation: 1}
		y := p.New(g.Len(x.Rows(), l.Width), l.W.Out())
		e := nn.Epilogue{Bias: l.B}
		if l.Norm.Gain.IsZero() {
			e.Act = m.Config.FeatExtractAct
		}
		p.Conv1D(y, x, l.W, g, e)
		switch {
		case l.Group:
			p.GroupNorm(y, y, l.Norm.Gain, l.Norm.Bias, y.Cols(), l.Norm.Eps, m.Config.FeatExtractAct)
		case !l.Norm.Gain.IsZero():
			p.LayerNorm(y, y, tensor.Tensor{}, l.Norm.Gain, l.Norm.Bias, l.Norm.Eps)
			p.Activate(y, y, m.Config.FeatExtractAct)
		}
		x = y
	}
	return x
}

// Batch is a batch of sounds, padded to one length.
type Batch struct {
	Samples tensor.Tensor // [B, S]
	R       *nn.Ragged    // over feature frames
	Lengths []int         // samples of each sound that the convolutions see; nil: all
	Masked  []int64       // mask_time_indices [B·T]; nil: none
}

// Forward returns the normalised features of the sounds as [B·T, C] and the
// last hidden state over the rows of R. layer, if not nil, is shown the input
// of the first layer (0) and each layer's output (1, 2, …).
func (m *Encoder) Forward(p nn.Pass, b Batch, layer func(i int, x tensor.Tensor)) (features, last tensor.Tensor) {
	if layer == nil {
		layer = func(int, tensor.Tensor) {}
	}
	c, r := m.Config, b.R
	features = p.New(r.B*r.T, c.ConvDim[len(c.ConvDim)-1])
	for s := range r.B {
		mark := p.Mark()
		sound, n := b.Samples.SliceRows(s, s+1), r.T
		if b.Lengths != nil {
			sound, n = sound.SliceCols(0, b.Lengths[s]), c.Frames(b.Lengths[s])
			p.Gather(features.SliceRows(s*r.T+n, (s+1)*r.T), features.SliceRows(s*r.T, s*r.T+1), p.Ints(slices.Repeat([]int32{-1}, r.T-n)))
		}
		p.Scale(features.SliceRows(s*r.T, s*r.T+n), m.extract(p, sound), 1)
		p.Release(mark)
	}
	if n := m.Projection.Norm; !n.Gain.IsZero() {
		p.LayerNorm(features, features, tensor.Tensor{}, n.Gain, n.Bias, n.Eps)
	}
	h := m.Projection.Linear.Forward(p, r.Pack(p, features), kernels.ActNone)
	for i, g := range r.Row {
		if c.ApplySpecAugment && b.Masked != nil && b.Masked[g] != 0 {
			p.Scale(h.SliceRows(i, i+1), m.MaskEmbed, 1)
		}
	}
	r.ZeroHidden(p, h)
	x, y := p.New(h.Rows(), c.HiddenSize), p.New(h.Rows(), c.HiddenSize)
	m.position(p, x, h, r)
	if !c.DoStableLayerNorm {
		p.LayerNorm(x, x, tensor.Tensor{}, m.Norm.Gain, m.Norm.Bias, m.Norm.Eps)
	}
	layer(0, x)
	args := r.Args(p)
	args.Scale = float32(1 / math.Sqrt(float64(c.HiddenSize/c.NumAttentionHeads)))
	for i := range m.Layers {
		if c.DoStableLayerNorm {
			m.Layers[i].forwardStable(p, y, x, args)
		} else {
			m.Layers[i].forward(p, y, x, args)
		}
		x, y = y, x
		layer(i+1, x)
	}
	if c.DoStableLayerNorm {
		p.LayerNorm(x, x, tensor.Tensor{}, m.Norm.Gain, m.Norm.Bias, m.Norm.Eps)
	}
	return features, x
}

// position adds the positional convolution of each sequence: dst = h +
// act(conv(h)). An even width loses its last step, so the length stays.
func (m *Encoder) position(p nn.Pass, dst, h tensor.Tensor, r *nn.Ragged) {
	w := m.PosConv.Width
	g := nn.Window1D{Stride: 1, Dilation: 1, PadLeft: w / 2, PadRight: (w - 1) / 2}
	for s := range r.B {
		lo, hi := int(r.Off[s]), int(r.Off[s+1])
		if lo == hi {
			continue
		}
		x := h.SliceRows(lo, hi)
		in := x
		if !m.PosScale.IsZero() {
			in = p.New(hi-lo, h.Cols())
			p.Affine(in, x, m.PosScale, m.PosShift)
		}
		p.Conv1D(dst.SliceRows(lo, hi), in, m.PosConv.W, g,
			nn.Epilogue{Bias: m.PosConv.B, Act: m.Config.FeatExtractAct, Residual: x})
	}
}

func (l *Layer) forward(p nn.Pass, dst, x tensor.Tensor, args nn.AttentionArgs) {
	mark := p.Mark()
	h := l.AttentionOut.Add(p, l.Attention.Forward(p, x, args), x)
	h = l.Norm.Forward(p, h)
	h = l.FeedForward.Forward(p, h, h)
	p.LayerNorm(dst, h, tensor.Tensor{}, l.FinalNorm.Gain, l.FinalNorm.Bias, l.FinalNorm.Eps)
	p.Release(mark)
}

func (l *Layer) forwardStable(p nn.Pass, dst, x tensor.Tensor, args nn.AttentionArgs) {
	mark := p.Mark()
	h := l.Attention.Forward(p, l.Norm.Forward(p, x), args)
	h = l.AttentionOut.Add(p, h, x)
	h = l.FeedForward.Forward(p, l.FinalNorm.Forward(p, h), h)
	if a := l.Adapter; a != nil {
		h = a.MLP.Forward(p, a.Norm.Forward(p, h), h)
	}
	p.Scale(dst, h, 1)
	p.Release(mark)
}

// Forward shortens the sequences of x, which all have t rows, and returns them
// end to end with their new length.
func (a *Adapter) Forward(p nn.Pass, x tensor.Tensor, batch, t int) (tensor.Tensor, int) {
	if a.Proj.W != nil {
		x = a.ProjNorm.Forward(p, a.Proj.Forward(p, x, kernels.ActNone))
	}
	for _, l := range a.Layers {
		g := nn.Window1D{Stride: a.Stride, PadLeft: 1, PadRight: 1, Dilation: 1}
		n, c := g.Len(t, l.Width), x.Cols()
		y, z := p.New(batch*n, 2*c), p.New(batch*n, c)
		for b := range batch {
			p.Conv1D(y.SliceRows(b*n, (b+1)*n), x.SliceRows(b*t, (b+1)*t), l.W, g, nn.Epilogue{Bias: l.B})
		}
		p.Gated(z, y.SliceCols(c, 2*c), y.SliceCols(0, c), kernels.ActSigmoid)
		x, t = z, n
	}
	return x, t
}

// adapterLen returns the length that Forward gives t rows; zero or less if
// they are too few.
func (a *Adapter) adapterLen(t int) int {
	for _, l := range a.Layers {
		if t = (nn.Window1D{Stride: a.Stride, PadLeft: 1, PadRight: 1, Dilation: 1}).Len(t, l.Width); t < 1 {
			break
		}
	}
	return t
}
