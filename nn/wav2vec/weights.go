package wav2vec

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
)

// normEps is PyTorch's default, for the norms whose eps no key sets.
const normEps = 1e-5

// bindEncoder binds the encoder from p, the level that holds
// "feature_extractor".
func bindEncoder(p nn.Params, c Config) *Encoder {
	m := &Encoder{Config: c, Layers: make([]Layer, c.NumHiddenLayers)}
	in := 1
	for i, out := range c.ConvDim {
		l := p.Sub("feature_extractor.conv_layers.%d", i)
		layer := ConvLayer{Conv: bindConv(l, "conv", in, out, c.ConvKernel[i], 1, c.ConvBias), Stride: c.ConvStride[i]}
		if layer.Group = c.FeatExtractGroupNorm && i == 0; layer.Group || !c.FeatExtractGroupNorm {
			layer.Norm = l.LayerNorm("layer_norm", out, normEps)
		}
		m.Features = append(m.Features, layer)
		in = out
	}
	h := c.HiddenSize
	if c.FeatProjLayerNorm {
		m.Projection.Norm = p.LayerNorm("feature_projection.layer_norm", in, c.LayerNormEps)
	}
	m.Projection.Linear = p.Linear("feature_projection.projection", in, h, true)

	e := p.Sub("encoder")
	m.PosConv = bindPosConv(e.Sub("pos_conv_embed.conv"), c)
	if c.ConvPosBatchNorm {
		bindBatchNorm(e.Sub("pos_conv_embed.batch_norm"), m)
	}
	if p.Has("masked_spec_embed") {
		m.MaskEmbed = p.Vector("masked_spec_embed", h)
	}
	m.Norm = e.LayerNorm("layer_norm", h, c.LayerNormEps)
	for i := range m.Layers {
		m.Layers[i] = bindLayer(e.Sub("layers.%d", i), c)
	}
	if c.AddAdapter {
		m.Adapter = bindAdapter(p.Sub("adapter"), c)
	}
	return m
}

// bindBatchNorm folds a batch norm's statistics into a scale and a shift.
func bindBatchNorm(p nn.Params, m *Encoder) {
	h := m.Config.HiddenSize
	gain, _ := p.F32("weight", h)
	bias, _ := p.F32("bias", h)
	mean, _ := p.F32("running_mean", h)
	variance, _ := p.F32("running_var", h)
	if p.Err() != nil {
		return
	}
	scale, shift := make([]float32, h), make([]float32, h)
	for i := range scale {
		s := float64(gain[i]) / math.Sqrt(float64(variance[i])+normEps)
		scale[i], shift[i] = float32(s), float32(float64(bias[i])-float64(mean[i])*s)
	}
	m.PosScale, m.PosShift = p.Place("scale", scale, 1, h), p.Place("shift", shift, 1, h)
}

func bindLayer(p nn.Params, c Config) Layer {
	h := c.HiddenSize
	l := Layer{
		Attention: nn.Attention{
			QKV:   p.Stacked([]string{"attention.q_proj", "attention.k_proj", "attention.v_proj"}, h, h, true),
			Heads: c.NumAttentionHeads, Dim: h,
		},
		AttentionOut: p.Linear("attention.out_proj", h, h, true),
		Norm:         p.LayerNorm("layer_norm", h, c.LayerNormEps),
		FeedForward: nn.MLP{
			Up:   p.Linear("feed_forward.intermediate_dense", h, c.IntermediateSize, true),
			Down: p.Linear("feed_forward.output_dense", c.IntermediateSize, h, true),
			Act:  c.HiddenAct,
		},
		FinalNorm: p.LayerNorm("final_layer_norm", h, c.LayerNormEps),
	}
	if n := c.AdapterAttnDim; n > 0 {
		a := p.Sub("adapter_layer")
		l.Adapter = &AttnAdapter{
			Norm: a.LayerNorm("norm", h, normEps),
			MLP:  nn.MLP{Up: a.Linear("linear_1", h, n, true), Down: a.Linear("linear_2", n, h, true), Act: kernels.ActReLU},
		}
	}
	return l
}

func bindAdapter(p nn.Params, c Config) *Adapter {
	out := c.OutputHiddenSize
	a := &Adapter{Stride: c.AdapterStride}
	if out != c.HiddenSize {
		a.Proj = p.Linear("proj", c.HiddenSize, out, true)
		a.ProjNorm = p.LayerNorm("proj_layer_norm", out, normEps)
	}
	for i := range c.NumAdapterLayers {
		a.Layers = append(a.Layers, bindConv(p.Sub("layers.%d", i), "conv", out, 2*out, c.AdapterKernelSize, 1, true))
	}
	return a
}

func bindConv(p nn.Params, name string, in, out, width, groups int, bias bool) Conv {
	w, _ := p.F32(name+".weight", out, in/groups, width)
	var b []float32
	if bias {
		b, _ = p.F32(name+".bias", out)
	}
	return packConv(p, name, w, b, in, out, width, groups)
}

func packConv(p nn.Params, name string, w, b []float32, in, out, width, groups int) Conv {
	c := Conv{Width: width, W: p.Conv1D(name, w, out, in, width, groups)}
	if b != nil && p.Err() == nil {
		c.B = p.Place(name+".bias", b, 1, out)
	}
	return c
}

// bindPosConv binds the positional convolution, whose weight is stored as a
// gain per tap and a direction (weight norm, Salimans & Kingma 2016, over all
// but the last dimension), under PyTorch's old or new names.
func bindPosConv(p nn.Params, c Config) Conv {
	h, width, groups := c.HiddenSize, c.NumConvPosEmbeddings, c.NumConvPosGroups
	var w []float32
	switch g, v := "parametrizations.weight.original0", "parametrizations.weight.original1"; {
	case p.Has("weight"):
		w, _ = p.F32("weight", h, h/groups, width)
	default:
		if !p.Has(g) && p.Has("weight_g") {
			g, v = "weight_g", "weight_v"
		}
		gain, _ := p.F32(g, 1, 1, width)
		direction, _ := p.F32(v, h, h/groups, width)
		if p.Err() == nil {
			w = weightNorm(gain, direction)
		}
	}
	return Conv{W: p.Conv1D("", w, h, h, width, groups), B: p.Vector("bias", h), Width: width}
}

// weightNorm returns v·g/‖v‖, with the norm over each column of v [n, len(g)].
func weightNorm(g, v []float32) []float32 {
	k := len(g)
	norm := make([]float64, k)
	for i, x := range v {
		norm[i%k] += float64(x) * float64(x)
	}
	for i := range norm {
		norm[i] = float64(g[i]) / math.Sqrt(norm[i])
	}
	w := make([]float32, len(v))
	for i, x := range v {
		w[i] = float32(float64(x) * norm[i%k])
	}
	return w
}
