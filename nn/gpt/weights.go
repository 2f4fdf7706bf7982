package gpt

import "github.com/seed-512d3d71/weft/nn"

// bindTransformer binds the model from p, the level that holds "wte". tied
// names an output projection that may stand in for absent token embeddings.
func bindTransformer(p nn.Params, c Config, tied func() []float32) *Transformer {
	m := &Transformer{Config: c, Blocks: make([]Block, c.NLayer)}
	if data := tied(); data != nil && !p.Has("wte.weight") {
		m.Token.Table = p.Place("wte.weight", data, c.VocabSize, c.NEmbd)
	} else {
		m.Token = p.Embedding("wte", c.VocabSize, c.NEmbd)
	}
	m.Position = p.Embedding("wpe", c.NPositions, c.NEmbd)
	m.Norm = p.LayerNorm("ln_f", c.NEmbd, c.Eps)
	n := c.NEmbd
	for i := range m.Blocks {
		l := p.Sub("h.%d", i)
		m.Blocks[i] = Block{
			AttentionNorm: l.LayerNorm("ln_1", n, c.Eps),
			Attention:     nn.Attention{QKV: conv1D(l, "attn.c_attn", n, 3*n), Heads: c.NHead, Dim: n},
			AttentionOut:  conv1D(l, "attn.c_proj", n, n),
			MLPNorm:       l.LayerNorm("ln_2", n, c.Eps),
			MLP: nn.MLP{
				Up:   conv1D(l, "mlp.c_fc", n, c.NInner),
				Down: conv1D(l, "mlp.c_proj", c.NInner, n),
				Act:  c.Activation,
			},
		}
		if c.AddCrossAttention {
			m.Blocks[i].Cross = &CrossAttention{
				Norm:     l.LayerNorm("ln_cross_attn", n, c.Eps),
				Query:    conv1D(l, "crossattention.q_attn", n, n),
				KeyValue: conv1D(l, "crossattention.c_attn", n, 2*n),
				Out:      conv1D(l, "crossattention.c_proj", n, n),
			}
		}
	}
	return m
}

// conv1D binds GPT-2's Conv1D: a linear layer whose weight is [in, out].
func conv1D(p nn.Params, name string, in, out int) nn.Linear {
	w := p.Weight(name+".weight", out, in, true)
	b, _ := p.F32(name+".bias", out)
	if b == nil {
		return nn.Linear{}
	}
	return p.LinearFrom(name, []nn.MatrixPart{w}, b)
}
