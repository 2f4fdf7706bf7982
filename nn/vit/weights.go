package vit

import "github.com/seed-512d3d71/weft/nn"

// names are the checkpoint's names for the parts of a layer: those that files
// have, and those of the modules since transformers 5.
type names struct {
	layers, query, key, value, attOut, up, down string
}

var fileNames = names{"encoder.layer", "attention.attention.query", "attention.attention.key", "attention.attention.value",
	"attention.output.dense", "intermediate.dense", "output.dense"}

var moduleNames = names{"layers", "attention.q_proj", "attention.k_proj", "attention.v_proj", "attention.o_proj", "mlp.fc1", "mlp.fc2"}

// bindEncoder binds the encoder from p, the level that holds "embeddings".
func bindEncoder(p nn.Params, c Config) *Encoder {
	m := &Encoder{Config: c, Layers: make([]Layer, c.NumHiddenLayers)}
	m.Embeddings = bindEmbeddings(p.Sub("embeddings"), c)
	n := fileNames
	if p.HasPrefix(moduleNames.layers) {
		n = moduleNames
	}
	h, heads := c.HiddenSize, c.NumAttentionHeads*c.HeadDim
	for i := range m.Layers {
		l := p.Sub("%s.%d", n.layers, i)
		m.Layers[i] = Layer{
			NormBefore: l.LayerNorm("layernorm_before", h, c.LayerNormEps),
			Attention: nn.Attention{
				QKV:   l.Stacked([]string{n.query, n.key, n.value}, h, heads, c.QKVBias),
				Heads: c.NumAttentionHeads, Dim: heads,
			},
			AttentionOut: l.Linear(n.attOut, heads, h, true),
			NormAfter:    l.LayerNorm("layernorm_after", h, c.LayerNormEps),
			MLP: nn.MLP{
				Up:   l.Linear(n.up, h, c.IntermediateSize, true),
				Down: l.Linear(n.down, c.IntermediateSize, h, true),
				Act:  c.HiddenAct,
			},
		}
		if p.Err() != nil {
			return m
		}
	}
	m.Norm = p.LayerNorm("layernorm", h, c.LayerNormEps)
	return m
}

func bindEmbeddings(p nn.Params, c Config) Embeddings {
	var e Embeddings
	h, n := c.HiddenSize, c.Prefix()
	grid := c.Grid(c.ImageSize[0], c.ImageSize[1])
	w, _ := p.F32("patch_embeddings.projection.weight", h, c.NumChannels, c.PatchSize[0], c.PatchSize[1])
	b, _ := p.F32("patch_embeddings.projection.bias", h)
	pos, _ := p.F32("position_embeddings", 1, n+grid[0]*grid[1], h)
	tokens, _ := p.F32("cls_token", 1, 1, h)
	prefix := append([]float32(nil), tokens...)
	if c.DeiT {
		distillation, _ := p.F32("distillation_token", 1, 1, h)
		prefix = append(prefix, distillation...)
	}
	if p.Has("mask_token") {
		mask, _ := p.F32("mask_token", 1, 1, h)
		e.Mask = p.Place("mask_token", mask, 1, h)
	}
	if p.Err() != nil {
		return e
	}
	for i := range prefix {
		prefix[i] += pos[i]
	}
	e.Patch = p.LinearFrom("patch_embeddings.projection",
		[]nn.MatrixPart{{Data: w, Out: h, In: c.NumChannels * c.PatchSize[0] * c.PatchSize[1]}}, b)
	e.Prefix = p.Place("cls_token", prefix, n, h)
	e.Position = p.Place("position_embeddings", pos[n*h:], grid[0]*grid[1], h)
	return e
}
