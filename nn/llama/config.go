package llama

import (
	"fmt"
	"slices"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Family is a variant of the architecture.
type Family int

// The families, by their model_type.
const (
	Llama Family = iota
	Mistral
	Qwen2
	Mixtral
	Qwen2MoE
)

var families = map[string]Family{
	"llama": Llama, "mistral": Mistral, "qwen2": Qwen2, "mixtral": Mixtral, "qwen2_moe": Qwen2MoE,
}

// classPrefix is what the classes of a family begin with.
var classPrefix = map[Family]string{
	Llama: "Llama", Mistral: "Mistral", Qwen2: "Qwen2", Mixtral: "Mixtral", Qwen2MoE: "Qwen2Moe",
}

// Config holds the keys of config.json that change the computation.
type Config struct {
	Family Family

	VocabSize        int
	HiddenSize       int
	IntermediateSize int // of a dense feed-forward layer
	HiddenLayers     int
	Heads, KVHeads   int
	HeadDim          int
	HiddenAct        nn.Act
	RMSNormEps       float32
	QKVBias          bool
	OutBias          bool
	MLPBias          bool
	// Windows holds for each layer how many keys back it sees; 0: all.
	Windows []int
	Rope    RopeConfig

	TieWordEmbeddings bool
	// UseCache is Hugging Face's default for a call that keeps keys and values.
	// Without, positions that do not rise by one begin another sequence.
	UseCache   bool
	PadTokenID int // -1: none
	NumLabels  int

	MoE MoEConfig
}

// MoEConfig describes the layers that are mixtures of experts.
type MoEConfig struct {
	Sparse           []bool // by layer
	Experts          int
	ExpertsPerToken  int
	IntermediateSize int
	NormTopKProb     bool
	SharedSize       int // of the shared expert; 0: none
	// RouterLogits says that the routers' logits are outputs.
	RouterLogits bool
}

// ParseConfig reads config.json.
func ParseConfig(c *hfconfig.Config) (Config, error) {
	t := c.Str("model_type", "")
	family, ok := families[t]
	if !ok {
		return Config{}, nn.Unsupported("model_type %q", t)
	}
	d := defaults[family]
	cfg := Config{
		Family:            family,
		VocabSize:         c.Dim("vocab_size", d.vocab),
		HiddenSize:        c.Dim("hidden_size", d.hidden),
		IntermediateSize:  c.Dim("intermediate_size", d.inner),
		HiddenLayers:      c.IntRange("num_hidden_layers", d.layers, 0, 1<<12),
		Heads:             c.Dim("num_attention_heads", d.heads),
		RMSNormEps:        float32(c.Float("rms_norm_eps", d.eps)),
		TieWordEmbeddings: c.Bool("tie_word_embeddings", false),
		UseCache:          c.Bool("use_cache", true),
		PadTokenID:        c.IntRange("pad_token_id", -1, -1, 1<<31-1),
		NumLabels:         nn.NumLabels(c),
	}
	cfg.KVHeads = d.kvHeads
	if d.kvHeads == 0 || c.Null("num_key_value_heads") {
		cfg.KVHeads = cfg.Heads
	}
	cfg.KVHeads = c.Dim("num_key_value_heads", cfg.KVHeads)
	cfg.HeadDim = c.Dim("head_dim", max(1, cfg.HiddenSize/cfg.Heads))
	switch family {
	case Llama:
		cfg.QKVBias = c.Bool("attention_bias", false)
		cfg.OutBias = cfg.QKVBias
		cfg.MLPBias = c.Bool("mlp_bias", false)
	case Qwen2:
		cfg.QKVBias = true
	case Qwen2MoE:
		cfg.QKVBias = c.Bool("qkv_bias", true)
	}
	cfg.Windows = windows(c, family, cfg.HiddenLayers)
	cfg.MoE = parseMoE(c, cfg)
	var err error
	if cfg.Rope, err = parseRope(c, d, cfg.HeadDim); err != nil {
		return Config{}, err
	}
	act := c.Str("hidden_act", "silu")
	if err := c.Err(); err != nil {
		return Config{}, err
	}
	if cfg.HiddenAct, err = nn.ParseAct(act); err != nil {
		return Config{}, err
	}
	return cfg, cfg.check()
}

func (c Config) check() error {
	switch {
	case c.Heads%c.KVHeads != 0:
		return fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", c.Heads, c.KVHeads)
	case c.Family == Llama && c.HiddenSize%c.Heads != 0:
		return nn.CheckHeads(c.HiddenSize, c.Heads)
	case c.HeadDim%2 != 0:
		return fmt.Errorf("head_dim %d is odd: rotary positions turn pairs", c.HeadDim)
	case slices.Contains(c.MoE.Sparse, true) && c.MoE.ExpertsPerToken > c.MoE.Experts:
		return fmt.Errorf("num_experts_per_tok %d, of %d experts (%s)", c.MoE.ExpertsPerToken, c.MoE.Experts, expertsKey(c.Family))
	}
	return nil
}

// defaults are the keys' values where config.json lacks them.
var defaults = map[Family]familyDefaults{
	Llama:    {vocab: 32000, hidden: 4096, inner: 11008, layers: 32, heads: 32, eps: 1e-6, positions: 2048, theta: 1e4},
	Mistral:  {vocab: 32000, hidden: 4096, inner: 14336, layers: 32, heads: 32, kvHeads: 8, eps: 1e-6, positions: 4096 * 32, theta: 1e4},
	Qwen2:    {vocab: 151936, hidden: 4096, inner: 22016, layers: 32, heads: 32, kvHeads: 32, eps: 1e-6, positions: 32768, theta: 1e4},
	Mixtral:  {vocab: 32000, hidden: 4096, inner: 14336, layers: 32, heads: 32, kvHeads: 8, eps: 1e-5, positions: 4096 * 32, theta: 1e6},
	Qwen2MoE: {vocab: 151936, hidden: 2048, inner: 5632, layers: 24, heads: 16, kvHeads: 16, eps: 1e-6, positions: 32768, theta: 1e4},
}

type familyDefaults struct {
	vocab, hidden, inner, layers, heads int
	kvHeads                             int // 0: as many as heads
	eps                                 float64
	positions                           int
	theta                               float64
}

// windows returns how far back each layer sees.
func windows(c *hfconfig.Config, family Family, layers int) []int {
	out := make([]int, layers)
	size := func(def int) int {
		if c.Null("sliding_window") {
			return 0
		}
		return c.IntRange("sliding_window", def, 1, 1<<30)
	}
	switch family {
	case Mistral, Mixtral:
		def := 0
		if family == Mistral {
			def = 4096
		}
		n := size(def)
		for i := range out {
			out[i] = n
		}
	case Qwen2, Qwen2MoE:
		use, first := c.Bool("use_sliding_window", false), c.IntRange("max_window_layers", 28, 0, 1<<30)
		n := 0
		if use {
			n = size(4096)
		}
		types := c.Strs("layer_types")
		if types != nil && len(types) != layers {
			c.Fail("layer_types", "%d layers, want %d", len(types), layers)
			return out
		}
		for i := range out {
			slides := n > 0 && i >= first
			if family == Qwen2MoE {
				slides = n > 0 && i%2 == 0 && i < first
			}
			if types != nil {
				slides = types[i] == "sliding_attention"
				if !slides && types[i] != "full_attention" {
					c.Fail("layer_types", "element %d is %q", i, types[i])
				}
				if slides && n == 0 {
					c.Fail("layer_types", "element %d is %q without use_sliding_window and sliding_window", i, types[i])
				}
			}
			if slides {
				out[i] = n
			}
		}
	}
	return out
}

// expertsKey is the key that holds the number of experts.
func expertsKey(f Family) string {
	if f == Mixtral {
		return "num_local_experts"
	}
	return "num_experts"
}

func parseMoE(c *hfconfig.Config, cfg Config) MoEConfig {
	m := MoEConfig{Sparse: make([]bool, cfg.HiddenLayers)}
	switch cfg.Family {
	case Mixtral:
		key := expertsKey(Mixtral)
		if !c.Has(key) && c.Has("num_experts") {
			key = "num_experts" // its other name
		}
		m.Experts, m.ExpertsPerToken = c.Dim(key, 8), c.Dim("num_experts_per_tok", 2)
		m.IntermediateSize, m.NormTopKProb = cfg.IntermediateSize, true
		for i := range m.Sparse {
			m.Sparse[i] = true
		}
	case Qwen2MoE:
		m.Experts, m.ExpertsPerToken = c.IntRange(expertsKey(Qwen2MoE), 60, 0, 1<<24), c.Dim("num_experts_per_tok", 4)
		m.IntermediateSize = c.Dim("moe_intermediate_size", 1408)
		m.SharedSize = c.Dim("shared_expert_intermediate_size", 5632)
		m.NormTopKProb = c.Bool("norm_topk_prob", false)
		step, dense := c.Dim("decoder_sparse_step", 1), c.Ints("mlp_only_layers")
		for i := range m.Sparse {
			m.Sparse[i] = !slices.Contains(dense, i) && m.Experts > 0 && (i+1)%step == 0
		}
	default:
		return m
	}
	m.RouterLogits = c.Bool("output_router_logits", false)
	return m
}
