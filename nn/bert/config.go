package bert

import (
	"strings"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Config holds the keys of config.json that change the computation. DistilBERT
// has its own names for most of them.
type Config struct {
	Family Family

	VocabSize             int
	HiddenSize            int
	NumHiddenLayers       int
	NumAttentionHeads     int
	IntermediateSize      int
	MaxPositionEmbeddings int
	TypeVocabSize         int // 0: no token types (DistilBERT)
	HiddenAct             nn.Act
	LayerNormEps          float32
	PadTokenID            int  // -1: none
	IsDecoder             bool // causal
	AddCrossAttention     bool // a decoder that reads encoder_hidden_states
	TieWordEmbeddings     bool
	NumLabels             int
}

// Family is one of the architectures that share the encoder.
type Family uint8

// The families.
const (
	BERT Family = iota
	RoBERTa
	XLMRoBERTa
	DistilBERT
)

// familyOf maps config.json's model_type.
func familyOf(modelType string) (Family, bool) {
	switch modelType {
	case "bert":
		return BERT, true
	case "roberta", "camembert":
		return RoBERTa, true
	case "xlm-roberta":
		return XLMRoBERTa, true
	case "distilbert":
		return DistilBERT, true
	}
	return 0, false
}

// prefix is base_model_prefix: the name under which a head holds the encoder.
func (f Family) prefix() string {
	switch f {
	case BERT:
		return "bert"
	case DistilBERT:
		return "distilbert"
	}
	return "roberta"
}

// ParseConfig reads config.json.
func ParseConfig(c *hfconfig.Config) (Config, error) {
	modelType := c.Str("model_type", "")
	family, ok := familyOf(modelType)
	if !ok {
		return Config{}, nn.Unsupported("model_type %q", modelType)
	}
	cfg := Config{
		Family:                family,
		VocabSize:             c.Dim("vocab_size", 30522),
		MaxPositionEmbeddings: c.Dim("max_position_embeddings", 512),
		TieWordEmbeddings:     c.Bool("tie_word_embeddings", true),
		NumLabels:             nn.NumLabels(c),
	}
	var act string
	if family == DistilBERT {
		cfg.HiddenSize = c.Dim("dim", 768)
		cfg.NumHiddenLayers = c.IntRange("n_layers", 6, 0, 1<<12)
		cfg.NumAttentionHeads = c.Dim("n_heads", 12)
		cfg.IntermediateSize = c.Dim("hidden_dim", 4*768)
		cfg.LayerNormEps = 1e-12
		act = c.Str("activation", "gelu")
	} else {
		eps, pad := 1e-12, 0
		if family != BERT {
			pad = 1
		}
		cfg.HiddenSize = c.Dim("hidden_size", 768)
		cfg.NumHiddenLayers = c.IntRange("num_hidden_layers", 12, 0, 1<<12)
		cfg.NumAttentionHeads = c.Dim("num_attention_heads", 12)
		cfg.IntermediateSize = c.Dim("intermediate_size", 3072)
		cfg.TypeVocabSize = c.Dim("type_vocab_size", 2)
		cfg.LayerNormEps = float32(c.Float("layer_norm_eps", eps))
		cfg.PadTokenID = c.IntRange("pad_token_id", pad, -1, 1<<31-1)
		if c.Null("pad_token_id") {
			cfg.PadTokenID = -1
		}
		cfg.IsDecoder = c.Bool("is_decoder", false)
		act = c.Str("hidden_act", "gelu")
		if t := c.Str("position_embedding_type", "absolute"); t != "absolute" {
			return Config{}, nn.Unsupported("position_embedding_type %q", t)
		}
		if cfg.AddCrossAttention = c.Bool("add_cross_attention", false); cfg.AddCrossAttention && !cfg.IsDecoder {
			c.Fail("add_cross_attention", "needs is_decoder")
		}
	}
	if err := c.Err(); err != nil {
		return Config{}, err
	}
	var err error
	if cfg.HiddenAct, err = nn.ParseAct(act); err != nil {
		return Config{}, err
	}
	if family != BERT && family != DistilBERT && cfg.PadTokenID < 0 {
		return Config{}, nn.Unsupported("pad_token_id null (positions count from it)")
	}
	return cfg, nn.CheckHeads(cfg.HiddenSize, cfg.NumAttentionHeads)
}

// task returns what follows the family's name in a class ("Model",
// "ForMaskedLM", …).
func (f Family) task(class string) (string, bool) {
	prefixes := []string{"Roberta", "XLMRoberta", "Camembert"} // one architecture
	switch f {
	case BERT:
		prefixes = []string{"Bert"}
	case DistilBERT:
		prefixes = []string{"DistilBert"}
	}
	for _, p := range prefixes {
		if t, ok := strings.CutPrefix(class, p); ok {
			return t, true
		}
	}
	return "", false
}
