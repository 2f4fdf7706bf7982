package t5_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/t5"
	"github.com/seed-512d3d71/weft/tensor"
)

// TestBadConfigs: what config.json asks for and the family or the checkpoint
// does not have is an error that names it.
func TestBadConfigs(t *testing.T) {
	for _, c := range []struct {
		folder, set, want string
		unsupported       bool
	}{
		{"switch.seq2seq", `{"num_experts": 4}`, "router.classifier.weight: shape [3 12], want [4 12]", false},
		{"switch.seq2seq", `{"num_experts": 2}`, "router.classifier.weight: shape [3 12], want [2 12]", false},
		{"switch.seq2seq", `{"d_ff": 11}`, "shape [10 12], want [11 12]", false},
		{"switch.seq2seq", `{"router_dtype": "bfloat16"}`, `router_dtype "bfloat16"`, true},
		{"switch.seq2seq", `{"router_type": "experts_masked"}`, `router_type "experts_masked"`, true},
		{"switch.seq2seq", `{"dense_act_fn": "gated-gelu"}`, `activation "gated-gelu"`, true},
		{"switch.seq2seq", `{"expert_capacity": 0}`, "expert_capacity", false},
		{"switch.seq2seq", `{"encoder_sparse_step": 0}`, "experts in a layer that config.json says is dense", false},
		{"switch.seq2seq", `{"relative_attention_num_buckets": 3}`, "relative_attention_num_buckets", false},
		{"switch.seq2seq", `{"relative_attention_max_distance": 4}`, "relative_attention_max_distance", false},
		{"t5.gated", `{"feed_forward_proj": "relu"}`, "DenseReluDense.wi.weight: missing", false},
		{"t5.gated", `{"feed_forward_proj": "gated-swiglu"}`, `activation "swiglu"`, true},
		{"t5.gated", `{"vocab_size": 32}`, "shape [31 12], want [32 12]", false},
	} {
		g := golden.Open(t, filepath.Join(golden.Root(t), "testdata", "golden", c.folder))
		_, err := t5.Load(g.With(t, c.set), g.Class, g.Params(t, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, nn.ErrUnsupported) != c.unsupported {
			t.Errorf("%s: %s: %v, want %s", c.folder, c.set, err, c.want)
		}
	}
}

func TestBadInputs(t *testing.T) {
	g := golden.Open(t, filepath.Join(golden.Root(t), "testdata", "golden", "switch.seq2seq"))
	m, err := t5.Load(g.Config, g.Class, g.Params(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	ids := func(rows int, v ...int64) tensor.Tensor { return tensor.FromI64(v, rows, len(v)/rows) }
	for want, in := range map[string]nn.Inputs{
		"exactly one of input_ids":         {},
		"exactly one of decoder_input_ids": {"input_ids": ids(1, 1, 2)},
		"want 0 … 30":                      {"input_ids": ids(1, 31), "decoder_input_ids": ids(1, 0)},
		"2 sequences, want 1":              {"input_ids": ids(1, 1), "decoder_input_ids": ids(2, 0, 0)},
		"decoder_attention_mask":           {"input_ids": ids(1, 1), "decoder_input_ids": ids(1, 0), "decoder_attention_mask": ids(1, 1, 1)},
		"position_ids":                     {"input_ids": ids(1, 1), "decoder_input_ids": ids(1, 0), "position_ids": ids(1, 1)},
	} {
		if _, err := m.Run(t.Context(), in, nn.RunOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	for _, class := range []string{"T5Model", "SwitchTransformersForSequenceClassification"} {
		if _, err := t5.Load(g.Config, class, g.Params(t, 1)); !errors.Is(err, nn.ErrUnsupported) {
			t.Errorf("%s: %v", class, err)
		}
	}
}
