package vit

import (
	"fmt"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Config holds the keys of config.json that change the computation.
type Config struct {
	DeiT bool // a distillation token follows the class token

	HiddenSize        int
	NumHiddenLayers   int
	NumAttentionHeads int
	HeadDim           int
	IntermediateSize  int
	HiddenAct         nn.Act
	LayerNormEps      float32
	ImageSize         [2]int // height, width
	PatchSize         [2]int // height, width
	NumChannels       int
	QKVBias           bool
	PoolerOutputSize  int
	PoolerAct         nn.Act
	EncoderStride     int // pixels a side that the masked-image decoder makes of a patch
	NumLabels         int
}

// ParseConfig reads config.json.
func ParseConfig(c *hfconfig.Config) (Config, error) {
	cfg := Config{
		DeiT:              c.OneOf("model_type", "", "vit", "deit") == "deit",
		HiddenSize:        c.Dim("hidden_size", 768),
		NumHiddenLayers:   c.IntRange("num_hidden_layers", 12, 0, 1<<12),
		NumAttentionHeads: c.Dim("num_attention_heads", 12),
		IntermediateSize:  c.Dim("intermediate_size", 3072),
		LayerNormEps:      float32(c.Float("layer_norm_eps", 1e-12)),
		ImageSize:         nn.Pair(c, "image_size", 224),
		PatchSize:         nn.Pair(c, "patch_size", 16),
		NumChannels:       c.Dim("num_channels", 3),
		QKVBias:           c.Bool("qkv_bias", true),
		EncoderStride:     c.IntRange("encoder_stride", 16, 1, 1<<10),
		NumLabels:         nn.NumLabels(c),
	}
	hiddenAct, poolerAct := c.Str("hidden_act", "gelu"), c.Str("pooler_act", "tanh")
	if err := c.Err(); err != nil {
		return cfg, err
	}
	var err error
	if cfg.HiddenAct, err = nn.ParseAct(hiddenAct); err != nil {
		return cfg, fmt.Errorf("hidden_act: %w", err)
	}
	if cfg.PoolerAct, err = nn.ParseAct(poolerAct); err != nil {
		return cfg, fmt.Errorf("pooler_act: %w", err)
	}
	if cfg.PoolerOutputSize = c.IntRange("pooler_output_size", 0, 0, 1<<24); cfg.PoolerOutputSize == 0 {
		cfg.PoolerOutputSize = cfg.HiddenSize
	}
	if c.Has("head_dim") && !c.Null("head_dim") {
		cfg.HeadDim = c.Dim("head_dim", 0)
	} else if err := nn.CheckHeads(cfg.HiddenSize, cfg.NumAttentionHeads); err != nil {
		return cfg, err
	} else {
		cfg.HeadDim = cfg.HiddenSize / cfg.NumAttentionHeads
	}
	if cfg.HeadDim > 1<<24/cfg.NumAttentionHeads {
		return cfg, fmt.Errorf("%d attention heads of head_dim %d are too wide", cfg.NumAttentionHeads, cfg.HeadDim)
	}
	if g := cfg.Grid(cfg.ImageSize[0], cfg.ImageSize[1]); g[0] == 0 || g[1] == 0 {
		return cfg, fmt.Errorf("image_size %v is smaller than patch_size %v", cfg.ImageSize, cfg.PatchSize)
	}
	return cfg, c.Err()
}

// Grid returns the rows and columns of patches of an image.
func (c Config) Grid(height, width int) [2]int {
	return [2]int{height / c.PatchSize[0], width / c.PatchSize[1]}
}

// Prefix is the number of tokens before the patches.
func (c Config) Prefix() int {
	if c.DeiT {
		return 2
	}
	return 1
}

// family is base_model_prefix: the name under which a head holds the encoder.
func (c Config) family() string {
	if c.DeiT {
		return "deit"
	}
	return "vit"
}
