package llama_test

import (
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/llama"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := llama.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) {
	golden.Run(t, load, "llama", "mistral", "qwen2", "mixtral", "qwen2moe")
}

func TestRowsAlone(t *testing.T) {
	golden.RunAlone(t, load, "mixtral.left_window", "mixtral.stacked", "qwen2moe.model", "llama.yarn")
}

func TestCachedBits(t *testing.T) {
	golden.CachedBits(t, load, "mixtral.lm", "mixtral.stacked", "qwen2moe.lm", "qwen2.lm", "llama.yarn")
}

func TestStepAllocations(t *testing.T) { golden.StepAllocations(t, load, "qwen2moe.lm") }

func TestGoldenCUDA(t *testing.T) {
	golden.RunCUDA(t, load, "llama", "mistral", "qwen2", "mixtral", "qwen2moe")
}

func TestCachedCUDA(t *testing.T) { golden.CachedCUDA(t, load, "mixtral.lm") }

func TestBF16CUDA(t *testing.T) { golden.CUDAInBF16(t, load, []int{80}, "llama.yarn", "mixtral.lm") }
