package clip_test

import (
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/clip"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := clip.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) { golden.Run(t, load, "clip", "siglip") }

func TestRowsAlone(t *testing.T) {
	golden.RunAlone(t, load, "clip.text", "clip.vision", "clip.interpolate", "clip.image_classification", "siglip.vision")
}

func TestGoldenCUDA(t *testing.T) { golden.RunCUDA(t, load, "clip", "siglip") }

func TestBF16CUDA(t *testing.T) { golden.CUDAInBF16(t, load, []int{80}, "clip.model") }
