package t5_test

import (
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/t5"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := t5.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) {
	golden.Run(t, load, "t5", "switch")
}

func TestRowsAlone(t *testing.T) {
	golden.RunAlone(t, load, "switch.encoder", "switch.capacity", "t5.gated")
}

func TestCachedBits(t *testing.T) {
	golden.CachedBits(t, load, "switch.seq2seq", "t5.gated")
}

func TestStepAllocations(t *testing.T) { golden.StepAllocations(t, load, "switch.seq2seq") }

func TestGoldenCUDA(t *testing.T) { golden.RunCUDA(t, load, "t5", "switch") }

func TestCachedCUDA(t *testing.T) { golden.CachedCUDA(t, load, "switch.seq2seq", "t5.gated") }

func TestBF16CUDA(t *testing.T) { golden.CUDAInBF16(t, load, []int{80}, "t5.gated") }
