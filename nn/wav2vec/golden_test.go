package wav2vec_test

import (
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/wav2vec"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := wav2vec.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) {
	golden.Run(t, load, "wav2vec2", "hubert")
}

func TestRowsAlone(t *testing.T) {
	golden.RunAlone(t, load, "wav2vec2.stable", "wav2vec2.ctc", "hubert.ctc")
}
