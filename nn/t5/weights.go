package t5

import (
	"fmt"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/tensor"
)

// Model is one class. Decoder is nil in a class of the encoder alone, and the
// output projection zero in a class without head.
type Model struct {
	Config  Config
	Class   string
	Encoder *Stack
	Decoder *Stack

	params nn.Params
	task   string
	// output projects to the vocabulary (lm_head) or to labels, from what dense
	// makes of a sentence's vector in ForSequenceClassification.
	output, dense nn.Linear
}

// Load binds class ("SwitchTransformersForConditionalGeneration",
// "T5EncoderModel", …) from a checkpoint.
func Load(c *hfconfig.Config, class string, p nn.Params) (*Model, error) {
	cfg, err := ParseConfig(c)
	if err != nil {
		return nil, fmt.Errorf("%s: config.json: %w", c.Str("model_type", ""), err)
	}
	m := &Model{Config: cfg, Class: class, params: p}
	if m.task, err = cfg.task(class); err != nil {
		return nil, err
	}
	base := p
	if m.task == "ForSequenceClassification" || m.task == "ForTokenClassification" {
		base = p.Base("transformer")
	}
	m.Encoder = bindStack(base, "encoder", cfg, cfg.EncoderLayers, cfg.EncoderStep)
	if m.task != "EncoderModel" && m.task != "ForTokenClassification" {
		m.Decoder = bindStack(base, "decoder", cfg, cfg.DecoderLayers, cfg.DecoderStep)
	}
	switch m.task {
	case "ForConditionalGeneration":
		name := "lm_head.weight"
		if !p.Has(name) && cfg.TieWordEmbeddings {
			name = tokenWeight(p, "decoder")
		}
		m.output = p.LinearFrom("lm_head", []nn.MatrixPart{p.Weight(name, cfg.VocabSize, cfg.DModel, false)}, nil)
	case "ForSequenceClassification":
		m.dense = p.Linear("classification_head.dense", cfg.DModel, cfg.DModel, true)
		m.output = p.Linear("classification_head.out_proj", cfg.DModel, cfg.NumLabels, true)
	case "ForTokenClassification":
		m.output = p.Linear("classifier", cfg.DModel, cfg.NumLabels, true)
	case "ForQuestionAnswering":
		if cfg.NumLabels != 2 {
			return nil, nn.Unsupported("%s with %d labels", class, cfg.NumLabels)
		}
		m.output = p.Linear("qa_outputs", cfg.DModel, 2, true)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// tokenWeight returns the name of the token vectors of a stack: its own, or
// those that it shares.
func tokenWeight(p nn.Params, stack string) string {
	for _, name := range []string{stack + ".embed_tokens.weight", "shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"} {
		if p.Has(name) {
			return name
		}
	}
	return "shared.weight"
}

func bindStack(p nn.Params, name string, c Config, layers, step int) *Stack {
	m := &Stack{Blocks: make([]Block, layers)}
	m.Token.Table = p.Table(tokenWeight(p, name), c.VocabSize, c.DModel)
	decoder := name == "decoder"
	p = p.Sub("%s", name)
	m.Norm = p.RMSNorm("final_layer_norm", c.DModel, c.Eps)
	m.Bias = &RelativeBias{Heads: c.Heads, Buckets: c.Buckets, MaxDistance: c.MaxDistance, Causal: decoder}
	if layers > 0 {
		m.Bias.Weight, _ = p.F32("block.0.layer.0.SelfAttention.relative_attention_bias.weight", c.Buckets, c.Heads)
	}
	inner := c.Heads * c.DKV
	for i := range m.Blocks {
		l := p.Sub("block.%d", i)
		self := l.Sub("layer.0")
		b := &m.Blocks[i]
		b.AttentionNorm = self.RMSNorm("layer_norm", c.DModel, c.Eps)
		a := self.Sub("SelfAttention")
		b.Attention = nn.Attention{QKV: a.Stacked([]string{"q", "k", "v"}, c.DModel, inner, false), Heads: c.Heads, Dim: inner}
		b.AttentionOut = a.Linear("o", inner, c.DModel, false)
		ff := 1
		if decoder {
			ff = 2
			cross := l.Sub("layer.1")
			x := cross.Sub("EncDecAttention")
			b.Cross = &CrossAttention{
				Norm:     cross.RMSNorm("layer_norm", c.DModel, c.Eps),
				Query:    x.Linear("q", c.DModel, inner, false),
				KeyValue: x.Stacked([]string{"k", "v"}, c.DModel, inner, false),
				Out:      x.Linear("o", inner, c.DModel, false),
			}
		}
		f := l.Sub("layer.%d", ff)
		b.FFNorm = f.RMSNorm("layer_norm", c.DModel, c.Eps)
		b.FF = bindFeedForward(f, c, c.Switch && sparse(i, step))
	}
	return m
}

func bindFeedForward(p nn.Params, c Config, sparse bool) FeedForward {
	if !c.Switch {
		p = p.Sub("DenseReluDense")
	} else {
		p = p.Sub("mlp")
	}
	switch {
	case sparse:
		m := &moe.Layer{Router: moe.Router{TopK: 1, Capacity: c.Capacity}}
		m.Router.Gate = p.Linear("router.classifier", c.DModel, c.Experts, c.RouterBias)
		s := moe.Sizes{Experts: c.Experts, Width: c.DModel, Inner: c.DFF, Act: c.Act}
		m.Experts = moe.Load(p, "experts.expert_%d", moe.Names{Up: "wi", Down: "wo"}, s)
		return FeedForward{MoE: m}
	case p.HasPrefix("router"):
		p.Fail("router", fmt.Errorf("experts in a layer that config.json says is dense (num_sparse_encoder_layers, num_sparse_decoder_layers): %w", tensor.ErrShape))
		return FeedForward{}
	case c.Gated:
		return FeedForward{Gated: &nn.GatedMLP{
			GateUp: p.Stacked([]string{"wi_0", "wi_1"}, c.DModel, c.DFF, false),
			Down:   p.Linear("wo", c.DFF, c.DModel, false),
			Act:    c.Act,
		}}
	}
	return FeedForward{Plain: &nn.MLP{
		Up:   p.Linear("wi", c.DModel, c.DFF, false),
		Down: p.Linear("wo", c.DFF, c.DModel, false),
		Act:  c.Act,
	}}
}
