package clip

import (
	"fmt"
	"strings"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Config holds the keys of config.json that change the computation. A class
// that is one encoder alone leaves the other's part zero.
type Config struct {
	SigLIP bool

	Text          TextConfig
	Vision        VisionConfig
	ProjectionDim int // CLIPModel
	NumLabels     int
}

// EncoderConfig is what both encoders have.
type EncoderConfig struct {
	HiddenSize        int
	NumHiddenLayers   int
	NumAttentionHeads int
	IntermediateSize  int
	HiddenAct         nn.Act
	LayerNormEps      float32
}

// TextConfig is text_config.
type TextConfig struct {
	EncoderConfig
	VocabSize             int
	MaxPositionEmbeddings int
	EOSTokenID            int
	PadTokenID            int // see Model.PadTexts
	ProjectionDim         int // SigLIP: projection_size
}

// VisionConfig is vision_config.
type VisionConfig struct {
	EncoderConfig
	ImageSize     int
	PatchSize     int
	NumChannels   int
	ProjectionDim int
	UseHead       bool // SigLIP: pool by attention
}

// parts says what a class is made of.
type parts struct {
	text, vision bool
	projection   bool // to the common space
	classify     bool
}

// joint reports whether the class takes both configurations nested.
func (p parts) joint() bool { return p.text && p.vision || p.classify }

// classOf returns the family and the parts of a class.
func classOf(class string) (siglip bool, p parts, err error) {
	task, ok := strings.CutPrefix(class, "CLIP")
	if !ok {
		if task, siglip = strings.CutPrefix(class, "Siglip"); !siglip {
			return false, p, nn.Unsupported("class %q for this model type", class)
		}
	}
	switch {
	case task == "Model":
		return siglip, parts{text: true, vision: true, projection: !siglip}, nil
	case task == "TextModel":
		return siglip, parts{text: true}, nil
	case task == "VisionModel":
		return siglip, parts{vision: true}, nil
	case task == "ForImageClassification":
		return siglip, parts{vision: true, classify: true}, nil
	case task == "TextModelWithProjection" && !siglip:
		return siglip, parts{text: true, projection: true}, nil
	case task == "VisionModelWithProjection" && !siglip:
		return siglip, parts{vision: true, projection: true}, nil
	}
	return false, p, nn.Unsupported("class %q", class)
}

// ParseConfig reads config.json for a class.
func ParseConfig(c *hfconfig.Config, class string) (Config, error) {
	siglip, has, err := classOf(class)
	if err != nil {
		return Config{}, err
	}
	if t := c.Str("model_type", ""); strings.HasPrefix(t, "siglip") != siglip {
		return Config{}, nn.Unsupported("class %q for model_type %q", class, t)
	}
	cfg := Config{SigLIP: siglip, ProjectionDim: c.Dim("projection_dim", 512), NumLabels: nn.NumLabels(c)}
	if has.text {
		if cfg.Text, err = parseText(encoderConfig(c, "text_config", has.joint(), siglip), siglip); err != nil {
			return cfg, within(c, "text_config", err)
		}
	}
	if has.vision {
		if cfg.Vision, err = parseVision(encoderConfig(c, "vision_config", has.joint(), siglip), siglip); err != nil {
			return cfg, within(c, "vision_config", err)
		}
	}
	if siglip && has.text && has.vision {
		if a, b := cfg.Text.ProjectionDim, cfg.Vision.HiddenSize; a != b {
			return cfg, fmt.Errorf("text_config: projection_size %d differs from the image encoder's hidden_size %d", a, b)
		}
		if !cfg.Vision.UseHead {
			return cfg, fmt.Errorf("vision_config: vision_use_head false leaves %s nothing to compare", class)
		}
	}
	return cfg, c.Err()
}

// within says which encoder's configuration an error is about, unless the
// error names its key in full.
func within(c *hfconfig.Config, key string, err error) error {
	if c.Err() != nil {
		return err
	}
	return fmt.Errorf("%s: %w", key, err)
}

// encoderConfig returns the object with an encoder's keys: for a class of both
// encoders the nested one, and for an encoder alone also the file itself.
func encoderConfig(c *hfconfig.Config, key string, joint, siglip bool) *hfconfig.Config {
	switch old := key + "_dict"; {
	case joint && !siglip && c.Has(old) && !c.Null(old):
		return c.Sub(old) // of old checkpoints; it overrides, defaults included
	case joint || c.Has(key):
		return c.Sub(key)
	}
	return c
}

func parseEncoder(c *hfconfig.Config, width, heads, inner int, siglip bool) (EncoderConfig, error) {
	act, eps := "quick_gelu", 1e-5
	if siglip {
		act, eps = "gelu_pytorch_tanh", 1e-6
	}
	cfg := EncoderConfig{
		HiddenSize:        c.Dim("hidden_size", width),
		NumHiddenLayers:   c.IntRange("num_hidden_layers", 12, 0, 1<<12),
		NumAttentionHeads: c.Dim("num_attention_heads", heads),
		IntermediateSize:  c.Dim("intermediate_size", inner),
		LayerNormEps:      float32(c.Float("layer_norm_eps", eps)),
	}
	act = c.Str("hidden_act", act)
	if err := c.Err(); err != nil {
		return cfg, err
	}
	var err error
	if cfg.HiddenAct, err = nn.ParseAct(act); err != nil {
		return cfg, fmt.Errorf("hidden_act: %w", err)
	}
	return cfg, nn.CheckHeads(cfg.HiddenSize, cfg.NumAttentionHeads)
}

func parseText(c *hfconfig.Config, siglip bool) (TextConfig, error) {
	width, heads, inner, vocab, positions := 512, 8, 2048, 49408, 77
	if siglip {
		width, heads, inner, vocab, positions = 768, 12, 3072, 32000, 64
	}
	e, err := parseEncoder(c, width, heads, inner, siglip)
	if err != nil {
		return TextConfig{}, err
	}
	cfg := TextConfig{
		EncoderConfig:         e,
		VocabSize:             c.Dim("vocab_size", vocab),
		MaxPositionEmbeddings: c.Dim("max_position_embeddings", positions),
		PadTokenID:            c.IntRange("pad_token_id", 1, -1<<31, 1<<31-1),
	}
	if siglip {
		cfg.ProjectionDim = c.Dim("projection_size", e.HiddenSize)
	} else {
		cfg.ProjectionDim = c.Dim("projection_dim", 512)
		if c.Null("eos_token_id") {
			c.Fail("eos_token_id", "null, want the token that is pooled")
		}
		cfg.EOSTokenID = c.IntRange("eos_token_id", 49407, -1<<31, 1<<31-1)
	}
	return cfg, c.Err()
}

func parseVision(c *hfconfig.Config, siglip bool) (VisionConfig, error) {
	patch := 32
	if siglip {
		patch = 16
	}
	e, err := parseEncoder(c, 768, 12, 3072, siglip)
	if err != nil {
		return VisionConfig{}, err
	}
	cfg := VisionConfig{
		EncoderConfig: e,
		ImageSize:     c.Dim("image_size", 224),
		PatchSize:     c.Dim("patch_size", patch),
		NumChannels:   c.Dim("num_channels", 3),
		ProjectionDim: c.Dim("projection_dim", 512),
		UseHead:       siglip && c.Bool("vision_use_head", true),
	}
	if cfg.Side() == 0 {
		c.Fail("image_size", "%d is smaller than patch_size %d", cfg.ImageSize, cfg.PatchSize)
	}
	// both at most 2^24: their products fit
	if area := cfg.PatchSize * cfg.PatchSize; area > 1<<24/cfg.NumChannels || cfg.Side() > 1<<12 {
		c.Fail("patch_size", "%d of image_size %d and %d channels is too large or too small", cfg.PatchSize, cfg.ImageSize, cfg.NumChannels)
	}
	return cfg, c.Err()
}

// Side is the number of patches a side at the configured size.
func (c VisionConfig) Side() int { return c.ImageSize / c.PatchSize }
