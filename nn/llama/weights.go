package llama

import (
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
)

// bindDecoder binds the decoder from p, the level that holds "embed_tokens".
// tied is an output projection that may stand in for absent token embeddings,
// nil if there is none.
func bindDecoder(p nn.Params, c Config, tied []float32) (*Decoder, error) {
	m := &Decoder{Config: c, Layers: make([]Layer, c.HiddenLayers)}
	if tied != nil && !p.Has("embed_tokens.weight") {
		m.Token.Table = p.Place("embed_tokens.weight", tied, c.VocabSize, c.HiddenSize)
	} else {
		m.Token = p.Embedding("embed_tokens", c.VocabSize, c.HiddenSize)
	}
	m.Norm = p.RMSNorm("norm", c.HiddenSize, c.RMSNormEps)
	for i := range m.Layers {
		l := p.Sub("layers.%d", i)
		nq, nk := c.Heads*c.HeadDim, c.KVHeads*c.HeadDim
		m.Layers[i] = Layer{
			InputNorm: l.RMSNorm("input_layernorm", c.HiddenSize, c.RMSNormEps),
			Attention: Attention{
				QKV: sideBySide(l.Sub("self_attn"), c.HiddenSize, c.QKVBias,
					output{"q_proj", nq}, output{"k_proj", nk}, output{"v_proj", nk}),
				Heads: c.Heads, KVHeads: c.KVHeads, HeadDim: c.HeadDim, Window: c.Windows[i],
			},
			AttentionOut: l.Linear("self_attn.o_proj", nq, c.HiddenSize, c.OutBias),
			MLPNorm:      l.RMSNorm("post_attention_layernorm", c.HiddenSize, c.RMSNormEps),
		}
		if c.MoE.Sparse[i] {
			m.Layers[i].MoE = bindMoE(l, c)
		} else {
			m.Layers[i].MLP = bindMLP(l.Sub("mlp"), c)
		}
		if p.Err() != nil {
			return nil, p.Err()
		}
	}
	var err error
	m.rope, err = newRope(c.Rope)
	return m, err
}

type output struct {
	name string
	size int
}

// sideBySide binds linear layers of one input as one product.
func sideBySide(p nn.Params, in int, bias bool, outputs ...output) nn.Linear {
	var parts []nn.MatrixPart
	var biases []float32
	for _, o := range outputs {
		parts = append(parts, p.Weight(o.name+".weight", o.size, in, false))
		if bias {
			b, _ := p.F32(o.name+".bias", o.size)
			biases = append(biases, b...)
		}
	}
	if p.Err() != nil {
		return nn.Linear{}
	}
	return p.LinearFrom(outputs[0].name, parts, biases)
}

func bindMLP(p nn.Params, c Config) nn.GatedMLP {
	return nn.GatedMLP{
		GateUp: sideBySide(p, c.HiddenSize, c.MLPBias, output{"gate_proj", c.IntermediateSize}, output{"up_proj", c.IntermediateSize}),
		Down:   p.Linear("down_proj", c.IntermediateSize, c.HiddenSize, c.MLPBias),
		Act:    c.HiddenAct,
	}
}

// bindMoE binds the mixture of experts of a layer. Published checkpoints hold
// the experts one by one; Hugging Face's modules hold them together.
func bindMoE(l nn.Params, c Config) *moe.Layer {
	names := moe.Names{Gate: "gate_proj", Up: "up_proj", Down: "down_proj"}
	p := l.Sub("mlp")
	if c.Family == Mixtral && l.HasPrefix("block_sparse_moe") {
		p = l.Sub("block_sparse_moe")
	}
	if c.Family == Mixtral {
		names = moe.Names{Gate: "w1", Up: "w3", Down: "w2"}
	}
	m := &moe.Layer{Router: moe.Router{TopK: c.MoE.ExpertsPerToken, Normalize: c.MoE.NormTopKProb}}
	m.Router.Gate = p.Linear("gate", c.HiddenSize, c.MoE.Experts, false)
	s := moe.Sizes{Experts: c.MoE.Experts, Width: c.HiddenSize, Inner: c.MoE.IntermediateSize, Act: c.HiddenAct}
	if p.Has("experts.gate_up_proj") {
		m.Experts = moe.LoadStacked(p, []string{"experts.gate_up_proj"}, "experts.down_proj", s)
	} else {
		m.Experts = moe.Load(p, "experts.%d", names, s)
	}
	if c.MoE.SharedSize > 0 {
		s.Inner = c.MoE.SharedSize
		m.Shared = moe.NewExpert(p.Sub("shared_expert"), names, s)
		m.SharedGate = p.Linear("shared_expert_gate", c.HiddenSize, 1, false)
	}
	return m
}
