package gpt_test

import (
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/gpt"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := gpt.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) {
	golden.Run(t, load, "gpt2")
}

func TestGoldenCUDA(t *testing.T) { golden.RunCUDA(t, load, "gpt2") }

func TestCachedCUDA(t *testing.T) { golden.CachedCUDA(t, load, "gpt2.lm") }

func TestBF16CUDA(t *testing.T) { golden.CUDAInBF16(t, load, []int{80}, "gpt2.lm") }
