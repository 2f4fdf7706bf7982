package gpt

import (
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Config holds the keys of config.json that change the computation.
type Config struct {
	VocabSize  int
	NPositions int
	NEmbd      int
	NLayer     int
	NHead      int
	NInner     int // 4·NEmbd unless given
	Activation nn.Act
	Eps        float32 // layer_norm_epsilon

	ScaleAttnWeights           bool // by 1/√(head size)
	ScaleAttnByInverseLayerIdx bool // and by 1/(layer+1)
	AddCrossAttention          bool // layers read encoder_hidden_states
	TieWordEmbeddings          bool

	PadTokenID int // -1: none
	NumLabels  int
	Summary    SummaryConfig
}

// SummaryConfig describes the vector that a sequence is summed up in
// (SequenceSummary): keys summary_*.
type SummaryConfig struct {
	Type         string // "last", "first", "mean" or "cls_index"
	UseProj      bool
	ProjToLabels bool
	Activation   nn.Act
}

// ParseConfig reads config.json. The names that Hugging Face maps to GPT-2's
// own (hidden_size, …) are accepted too.
func ParseConfig(c *hfconfig.Config) (Config, error) {
	if t := c.Str("model_type", ""); t != "gpt2" {
		return Config{}, nn.Unsupported("model_type %q", t)
	}
	alias := func(key, other string) string {
		if !c.Has(key) && c.Has(other) {
			return other
		}
		return key
	}
	cfg := Config{
		VocabSize:                  c.Dim("vocab_size", 50257),
		NPositions:                 c.Dim(alias("n_positions", "max_position_embeddings"), 1024),
		NEmbd:                      c.Dim(alias("n_embd", "hidden_size"), 768),
		NLayer:                     c.IntRange(alias("n_layer", "num_hidden_layers"), 12, 0, 1<<12),
		NHead:                      c.Dim(alias("n_head", "num_attention_heads"), 12),
		Eps:                        float32(c.Float("layer_norm_epsilon", 1e-5)),
		ScaleAttnWeights:           c.Bool("scale_attn_weights", true),
		ScaleAttnByInverseLayerIdx: c.Bool("scale_attn_by_inverse_layer_idx", false),
		AddCrossAttention:          c.Bool("add_cross_attention", false),
		TieWordEmbeddings:          c.Bool("tie_word_embeddings", true),
		PadTokenID:                 c.IntRange("pad_token_id", -1, -1, 1<<31-1),
		NumLabels:                  nn.NumLabels(c),
		Summary: SummaryConfig{
			Type:         c.Str("summary_type", "cls_index"),
			UseProj:      c.Bool("summary_use_proj", true),
			ProjToLabels: c.Bool("summary_proj_to_labels", true),
		},
	}
	cfg.NInner = c.Dim("n_inner", 4*cfg.NEmbd)
	act := c.Str("activation_function", "gelu_new")
	summaryAct := c.Str("summary_activation", "")
	if err := c.Err(); err != nil {
		return Config{}, err
	}
	var err error
	if cfg.Activation, err = nn.ParseAct(act); err != nil {
		return Config{}, err
	}
	if summaryAct != "" {
		if cfg.Summary.Activation, err = nn.ParseAct(summaryAct); err != nil {
			return Config{}, err
		}
	}
	return cfg, nn.CheckHeads(cfg.NEmbd, cfg.NHead)
}
