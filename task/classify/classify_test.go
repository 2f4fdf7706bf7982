package classify

import (
	"errors"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

func parse(t *testing.T, config string) *Labels {
	t.Helper()
	c, err := hfconfig.Parse([]byte(config))
	if err != nil {
		t.Fatal(err)
	}
	l, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestRank(t *testing.T) {
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	e := math.Exp(1) + 1 + math.Exp(3)
	for _, c := range []struct {
		config string
		logits []float32
		names  string
		scores []float64
	}{
		{`{"id2label":{"0":"a","1":"b","2":"c"}}`, []float32{1, 0, 3}, "cab", []float64{math.Exp(3) / e, math.Exp(1) / e, 1 / e}},
		{`{"id2label":{"0":"a","1":"b","2":"c"},"problem_type":"multi_label_classification"}`, []float32{1, 0, 3}, "cab", []float64{sigmoid(3), sigmoid(1), 0.5}},
		{`{"id2label":{"0":"a"}}`, []float32{2}, "a", []float64{sigmoid(2)}},
		{`{"id2label":{"0":"a","1":"b"}}`, []float32{1000, -1000}, "ab", []float64{1, 0}},
	} {
		rows, err := parse(t, c.config).Rank(tensor.FromF32(c.logits, 1, len(c.logits)))
		if err != nil {
			t.Fatal(err)
		}
		for i, l := range rows[0] {
			if l.Name != c.names[i:i+1] || math.Abs(float64(l.Score)-c.scores[i]) > 1e-6 {
				t.Errorf("%s: place %d is %+v, want %c with %v", c.config, i, l, c.names[i], c.scores[i])
			}
		}
	}
}

func TestNamesByDefault(t *testing.T) {
	l := parse(t, `{"num_labels":3}`)
	if l.Name(2) != "LABEL_2" {
		t.Error(l.Name(2))
	}
	if _, err := l.Rank(tensor.FromF32(make([]float32, 4), 2, 2)); !errors.Is(err, nn.ErrUnsupported) {
		t.Errorf("2 logits over 3 labels: %v", err)
	}
}
