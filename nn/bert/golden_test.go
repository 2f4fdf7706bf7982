package bert_test

import (
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/bert"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := bert.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) {
	golden.Run(t, load, "bert", "roberta", "xlm_roberta", "camembert", "distilbert")
}

func TestRowsAlone(t *testing.T) {
	golden.RunAlone(t, load, "bert.model", "bert.leftpad", "bert.decoder", "bert.pretraining", "bert.cross_attention", "bert.inputs_embeds", "bert.sequence_classification", "roberta.model", "distilbert.model")
}

func TestGoldenCUDA(t *testing.T) {
	golden.RunCUDA(t, load, "bert", "roberta", "xlm_roberta", "camembert", "distilbert")
}

func TestBF16CUDA(t *testing.T) {
	golden.CUDAInBF16(t, load, []int{75, 80, 90}, "bert.model", "bert.cross_attention")
}
