package t5

import (
	"strings"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Config holds the keys of config.json that change the computation.
type Config struct {
	Switch bool // switch_transformers, not t5

	VocabSize     int
	DModel        int
	DKV           int // of a head
	DFF           int
	Heads         int
	EncoderLayers int
	DecoderLayers int
	Buckets       int // relative_attention_num_buckets
	MaxDistance   int // relative_attention_max_distance
	Eps           float32
	Act           nn.Act
	Gated         bool

	TieWordEmbeddings bool
	ScaleOutputs      bool // the last hidden state by 1/√DModel before lm_head

	DecoderStart, EOS int // -1: none
	NumLabels         int

	// Of Switch. Layer i is sparse if i mod step is 1, or step is 1.
	Experts                  int
	Capacity                 int // expert_capacity
	RouterBias               bool
	EncoderStep, DecoderStep int
}

// ParseConfig reads config.json.
func ParseConfig(c *hfconfig.Config) (Config, error) {
	alias := func(key, other string) string {
		if !c.Has(key) && c.Has(other) {
			return other
		}
		return key
	}
	cfg := Config{
		VocabSize:     c.Dim("vocab_size", 32128),
		DModel:        c.Dim(alias("d_model", "hidden_size"), 512),
		DKV:           c.Dim("d_kv", 64),
		DFF:           c.Dim("d_ff", 2048),
		Heads:         c.Dim(alias("num_heads", "num_attention_heads"), 8),
		EncoderLayers: c.IntRange(alias("num_layers", "num_hidden_layers"), 6, 0, 1<<12),
		Buckets:       c.IntRange("relative_attention_num_buckets", 32, 4, 1<<20),
		MaxDistance:   c.Dim("relative_attention_max_distance", 128),
		Eps:           float32(c.Float("layer_norm_epsilon", 1e-6)),
		DecoderStart:  c.IntRange("decoder_start_token_id", -1, -1, 1<<31-1),
		EOS:           -1,
		NumLabels:     nn.NumLabels(c),
	}
	act := ""
	switch t := c.Str("model_type", ""); t {
	case "t5":
		act = cfg.parseT5(c)
	case "switch_transformers":
		if err := cfg.parseSwitch(c, alias); err != nil {
			return Config{}, err
		}
		act = c.Str("dense_act_fn", "relu")
	default:
		return Config{}, nn.Unsupported("model_type %q", t)
	}
	if cfg.MaxDistance <= cfg.Buckets/2 {
		c.Fail("relative_attention_max_distance", "%d, with %d buckets (relative_attention_num_buckets)", cfg.MaxDistance, cfg.Buckets)
	}
	if err := c.Err(); err != nil {
		return Config{}, err
	}
	var err error
	if cfg.Act, err = nn.ParseAct(act); err != nil {
		return Config{}, err
	}
	return cfg, nil
}

func (cfg *Config) parseT5(c *hfconfig.Config) (act string) {
	cfg.DecoderLayers = c.IntRange("num_decoder_layers", cfg.EncoderLayers, 0, 1<<12)
	if _, several := c.List("eos_token_id"); !several { // a class that needs one says so
		cfg.EOS = c.IntRange("eos_token_id", 1, -1, 1<<31-1)
	}
	// "relu", "gated-silu", …; gated-gelu has always meant gelu_new.
	proj := c.Str("feed_forward_proj", "relu")
	act = proj
	if name, ok := strings.CutPrefix(proj, "gated-"); ok {
		cfg.Gated, act = true, name
	}
	if proj == "gated-gelu" {
		act = "gelu_new"
	}
	cfg.TieWordEmbeddings = true
	cfg.ScaleOutputs = c.Bool("scale_decoder_outputs", c.Bool("tie_word_embeddings", true))
	return act
}

func (cfg *Config) parseSwitch(c *hfconfig.Config, alias func(key, other string) string) error {
	cfg.Switch = true
	cfg.DModel = c.Dim(alias("d_model", "hidden_size"), 768)
	cfg.Heads = c.Dim(alias("num_heads", "num_attention_heads"), 12)
	cfg.EncoderLayers = c.IntRange(alias("num_layers", "num_hidden_layers"), 12, 0, 1<<12)
	cfg.DecoderLayers = 12
	if c.Null("num_decoder_layers") {
		cfg.DecoderLayers = cfg.EncoderLayers
	}
	cfg.DecoderLayers = c.IntRange("num_decoder_layers", cfg.DecoderLayers, 0, 1<<12)
	cfg.TieWordEmbeddings = c.Bool("tie_word_embeddings", true)
	cfg.ScaleOutputs = cfg.TieWordEmbeddings
	cfg.Experts = c.Dim("num_experts", 8)
	cfg.Capacity = c.Dim("expert_capacity", 64)
	cfg.RouterBias = c.Bool("router_bias", false)
	cfg.EncoderStep = c.IntRange("encoder_sparse_step", sparseStep(cfg.EncoderLayers, c.IntRange("num_sparse_encoder_layers", 3, 0, 1<<12)), 0, 1<<12)
	cfg.DecoderStep = c.IntRange("decoder_sparse_step", sparseStep(cfg.DecoderLayers, c.IntRange("num_sparse_decoder_layers", 3, 0, 1<<12)), 0, 1<<12)
	if t := c.Str("router_dtype", "float32"); t != "float32" {
		return nn.Unsupported("router_dtype %q", t)
	}
	// Hugging Face's class has one router, and counts padding whatever
	// router_ignore_padding_tokens says.
	if t := c.Str("router_type", "tokens_masked"); t != "tokens_masked" {
		return nn.Unsupported("router_type %q", t)
	}
	return nil
}

// sparseStep is the distance of sparse layers when so many of them are wanted.
func sparseStep(layers, sparse int) int {
	if sparse == 0 {
		return layers
	}
	return layers / sparse
}

// sparse reports whether a layer is a mixture of experts.
func sparse(i, step int) bool { return step > 0 && (step == 1 || i%step == 1) }

// family returns the model_type and what its classes begin with.
func (cfg Config) family() (modelType, prefix string) {
	if cfg.Switch {
		return "switch_transformers", "SwitchTransformers"
	}
	return "t5", "T5"
}

// task returns what follows the family's name in a class.
func (cfg Config) task(class string) (string, error) {
	modelType, prefix := cfg.family()
	switch task := strings.TrimPrefix(class, prefix); task {
	case "Model", "ForConditionalGeneration", "EncoderModel":
		return task, nil
	case "ForSequenceClassification", "ForTokenClassification", "ForQuestionAnswering":
		if !cfg.Switch {
			return task, nil
		}
	}
	return "", nn.Unsupported("class %q for model_type %q", class, modelType)
}
