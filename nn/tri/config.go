package tri

import (
	"fmt"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Class is the only class of the family, and ModelType its model_type.
const (
	Class     = "TriEncoder"
	ModelType = "tri-encoder"
)

// HeadsFile holds the projections, beside config.json.
const HeadsFile = "heads.safetensors"

// Config is config.json. The folders of the parts are relative to it; a part
// whose folder is "" is absent.
type Config struct {
	ProjectionDim int // of the shared space
	Text          string
	Image         string
	Speech        string
	Caption       string
	PrefixLength  int // vectors that stand before what Caption writes
}

// ParseConfig reads config.json. At least two kinds of input are needed for
// there to be something to compare.
func ParseConfig(c *hfconfig.Config, class string) (Config, error) {
	if class != Class {
		return Config{}, nn.Unsupported("class %q for model_type %q", class, ModelType)
	}
	cfg := Config{
		ProjectionDim: c.Dim("projection_dim", 0),
		Text:          c.Str("text", ""),
		Image:         c.Str("image", ""),
		Speech:        c.Str("speech", ""),
		Caption:       c.Str("caption", ""),
	}
	if cfg.Caption != "" {
		cfg.PrefixLength = c.IntRange("prefix_length", 1, 1, 1<<12)
	}
	if err := c.Err(); err != nil {
		return cfg, err
	}
	n := 0
	for _, folder := range []string{cfg.Text, cfg.Image, cfg.Speech} {
		if folder != "" {
			n++
		}
	}
	if n < 2 {
		return cfg, fmt.Errorf("%w: text, image and speech name %d folders, want two or three", hfconfig.ErrFormat, n)
	}
	return cfg, nil
}
