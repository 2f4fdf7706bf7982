package clip

import (
	"math"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// bindText binds the text encoder from p, the level that holds "embeddings".
func bindText(p nn.Params, c TextConfig, siglip bool) *TextEncoder {
	return &TextEncoder{
		Config:   c,
		Token:    p.Embedding("embeddings.token_embedding", c.VocabSize, c.HiddenSize),
		Position: p.Embedding("embeddings.position_embedding", c.MaxPositionEmbeddings, c.HiddenSize),
		Layers:   bindLayers(p.Sub("encoder.layers"), c.EncoderConfig),
		Norm:     p.LayerNorm("final_layer_norm", c.HiddenSize, c.LayerNormEps),
		Causal:   !siglip,
	}
}

// bindVision binds the image encoder from p, the level that holds
// "embeddings".
func bindVision(p nn.Params, c VisionConfig, siglip bool) *VisionEncoder {
	m := &VisionEncoder{Config: c}
	h, n, prefix := c.HiddenSize, c.Side()*c.Side(), 1
	if siglip {
		prefix = 0
	}
	e := p.Sub("embeddings")
	patch, _ := e.F32("patch_embedding.weight", h, c.NumChannels, c.PatchSize, c.PatchSize)
	pos, _ := e.F32("position_embedding.weight", prefix+n, h)
	var bias []float32
	if siglip {
		bias, _ = e.F32("patch_embedding.bias", h)
	} else {
		class, _ := e.F32("class_embedding", h)
		m.PreNorm = p.LayerNorm("pre_layrnorm", h, c.LayerNormEps) // their spelling
		if p.Err() != nil {
			return m
		}
		first := make([]float32, h)
		for i := range first {
			first[i] = class[i] + pos[i]
		}
		m.Class = e.Place("class_embedding", first, 1, h)
	}
	if p.Err() != nil {
		return m
	}
	m.Patch = e.LinearFrom("patch_embedding",
		[]nn.MatrixPart{{Data: patch, Out: h, In: c.NumChannels * c.PatchSize * c.PatchSize}}, bias)
	m.Position = e.Place("position_embedding.weight", pos[prefix*h:], n, h)
	m.Layers = bindLayers(p.Sub("encoder.layers"), c.EncoderConfig)
	return m
}

func bindLayers(p nn.Params, c EncoderConfig) []Layer {
	layers := make([]Layer, c.NumHiddenLayers)
	h := c.HiddenSize
	for i := range layers {
		l := p.Sub("%d", i)
		layers[i] = Layer{
			Norm1: l.LayerNorm("layer_norm1", h, c.LayerNormEps),
			Attention: nn.Attention{
				QKV:   l.Stacked([]string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, h, h, true),
				Heads: c.NumAttentionHeads, Dim: h,
			},
			AttentionOut: l.Linear("self_attn.out_proj", h, h, true),
			Norm2:        l.LayerNorm("layer_norm2", h, c.LayerNormEps),
			MLP:          bindMLP(l.Sub("mlp"), c),
		}
		if p.Err() != nil {
			break
		}
	}
	return layers
}

func bindMLP(p nn.Params, c EncoderConfig) nn.MLP {
	return nn.MLP{
		Up:   p.Linear("fc1", c.HiddenSize, c.IntermediateSize, true),
		Down: p.Linear("fc2", c.IntermediateSize, c.HiddenSize, true),
		Act:  c.HiddenAct,
	}
}

// bindPool binds SigLIP's attention pooling, a torch.nn.MultiheadAttention.
func bindPool(p nn.Params, c EncoderConfig) *AttentionPool {
	h := c.HiddenSize
	probe, _ := p.F32("probe", 1, 1, h)
	w, _ := p.F32("attention.in_proj_weight", 3*h, h)
	b, _ := p.F32("attention.in_proj_bias", 3*h)
	if p.Err() != nil {
		return nil
	}
	return &AttentionPool{
		Probe:    p.Place("probe", probe, 1, h),
		Query:    p.LinearFrom("attention.query", []nn.MatrixPart{{Data: w[:h*h], Out: h, In: h}}, b[:h]),
		KeyValue: p.LinearFrom("attention.key_value", []nn.MatrixPart{{Data: w[h*h:], Out: 2 * h, In: h}}, b[h:]),
		Out:      p.Linear("attention.out_proj", h, h, true),
		Norm:     p.LayerNorm("layernorm", h, c.LayerNormEps),
		MLP:      bindMLP(p.Sub("mlp"), c),
		Heads:    c.NumAttentionHeads,
	}
}

// bindUnit returns the gain with which an RMS norm brings rows to length 1.
func bindUnit(p nn.Params, n int) tensor.Tensor {
	gain := make([]float32, n)
	for i := range gain {
		gain[i] = float32(1 / math.Sqrt(float64(n)))
	}
	return p.Place("unit", gain, 1, n)
}
