package bert

import "github.com/seed-512d3d71/weft/nn"

// names are the checkpoint's names for the parts of a layer.
type names struct {
	layers                             string
	query, key, value, attOut, attNorm string
	up, down, outNorm                  string
}

var bertNames = names{
	layers: "encoder.layer",
	query:  "attention.self.query", key: "attention.self.key", value: "attention.self.value",
	attOut: "attention.output.dense", attNorm: "attention.output.LayerNorm",
	up: "intermediate.dense", down: "output.dense", outNorm: "output.LayerNorm",
}

var distilNames = names{
	layers: "transformer.layer",
	query:  "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
	attOut: "attention.out_lin", attNorm: "sa_layer_norm",
	up: "ffn.lin1", down: "ffn.lin2", outNorm: "output_layer_norm",
}

// bindEncoder binds the encoder from p, the level that holds "embeddings".
// lmHead names the output projection that may stand in for the tied word
// embeddings when a checkpoint holds only that.
func bindEncoder(p nn.Params, c Config, tied func() ([]float32, bool)) *Encoder {
	m := &Encoder{Config: c, Layers: make([]Layer, c.NumHiddenLayers)}
	e := p.Sub("embeddings")
	if data, ok := tied(); ok && !e.Has("word_embeddings.weight") {
		m.Embeddings.Word.Table = e.Place("word_embeddings.weight", data, c.VocabSize, c.HiddenSize)
	} else {
		m.Embeddings.Word = e.Embedding("word_embeddings", c.VocabSize, c.HiddenSize)
	}
	m.Embeddings.Position = e.Embedding("position_embeddings", c.MaxPositionEmbeddings, c.HiddenSize)
	if c.TypeVocabSize > 0 {
		m.Embeddings.TokenType = e.Embedding("token_type_embeddings", c.TypeVocabSize, c.HiddenSize)
	}
	m.Embeddings.Norm = e.LayerNorm("LayerNorm", c.HiddenSize, c.LayerNormEps)

	n := bertNames
	if c.Family == DistilBERT {
		n = distilNames
	}
	h := c.HiddenSize
	for i := range m.Layers {
		l := p.Sub("%s.%d", n.layers, i)
		m.Layers[i] = Layer{
			Attention: nn.Attention{
				QKV:   l.Stacked([]string{n.query, n.key, n.value}, h, h, true),
				Heads: c.NumAttentionHeads, Dim: h,
			},
			AttentionOut:  l.Linear(n.attOut, h, h, true),
			AttentionNorm: l.LayerNorm(n.attNorm, h, c.LayerNormEps),
			MLP: nn.MLP{
				Up:   l.Linear(n.up, h, c.IntermediateSize, true),
				Down: l.Linear(n.down, c.IntermediateSize, h, true),
				Act:  c.HiddenAct,
			},
			OutputNorm: l.LayerNorm(n.outNorm, h, c.LayerNormEps),
		}
		if c.AddCrossAttention {
			x := l.Sub("crossattention")
			m.Layers[i].Cross = &CrossAttention{
				Query:    x.Linear("self.query", h, h, true),
				KeyValue: x.Stacked([]string{"self.key", "self.value"}, h, h, true),
				Out:      x.Linear("output.dense", h, h, true),
				Norm:     x.LayerNorm("output.LayerNorm", h, c.LayerNormEps),
			}
		}
	}
	return m
}
