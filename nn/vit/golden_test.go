package vit_test

import (
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/vit"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := vit.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) {
	golden.Run(t, load, "vit", "deit")
}

func TestRowsAlone(t *testing.T) {
	golden.RunAlone(t, load, "vit.model", "vit.nonsquare", "vit.interpolate", "vit.masked", "deit.teacher")
}

func TestGoldenCUDA(t *testing.T) { golden.RunCUDA(t, load, "vit", "deit") }

func TestBF16CUDA(t *testing.T) { golden.CUDAInBF16(t, load, []int{80}, "vit.model") }
