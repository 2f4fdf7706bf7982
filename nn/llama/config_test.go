package llama_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/llama"
	"github.com/seed-512d3d71/weft/tensor"
)

// TestBadConfigs: what config.json asks for and the family or the checkpoint
// does not have is an error that names it.
func TestBadConfigs(t *testing.T) {
	for _, c := range []struct {
		folder, set, want string
		unsupported       bool
	}{
		{"mixtral.lm", `{"num_experts_per_tok": 5}`, "num_experts_per_tok 5, of 4 experts (num_local_experts)", false},
		{"mixtral.lm", `{"num_local_experts": 5}`, "gate.weight: shape [4 16], want [5 16]", false},
		{"mixtral.lm", `{"num_local_experts": 3}`, "gate.weight: shape [4 16], want [3 16]", false},
		{"mixtral.stacked", `{"num_local_experts": 4}`, "gate.weight: shape [3 16], want [4 16]", false},
		{"mixtral.lm", `{"intermediate_size": 11}`, "experts.0.w1.weight: shape [10 16], want [11 16]", false},
		{"mixtral.stacked", `{"intermediate_size": 11}`, "experts.gate_up_proj: shape [3 20 16], want [3 22 16]", false},
		{"mixtral.lm", `{"num_key_value_heads": 3}`, "num_key_value_heads 3", false},
		{"mixtral.lm", `{"head_dim": 5}`, "head_dim 5 is odd", false},
		{"mixtral.lm", `{"sliding_window": 0}`, "sliding_window", false},
		{"mixtral.lm", `{"hidden_act": "swiglu"}`, `activation "swiglu"`, true},
		{"mixtral.lm", `{"rope_parameters": {"rope_type": "axial"}}`, `rope_type "axial"`, true},
		{"mixtral.lm", `{"rope_parameters": {"rope_type": "yarn"}}`, "factor: missing", false},
		{"mixtral.lm", `{"rope_parameters": {"rope_type": "linear", "factor": 0}}`, "factor", false},
		{"mixtral.lm", `{"rope_parameters": {"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 4}}`, "high_freq_factor", false},
		{"mixtral.lm", `{"rope_parameters": {"rope_type": "longrope", "short_factor": [1]}}`, "short_factor", false},
		{"mixtral.lm", `{"rope_parameters": {"full_attention": {"rope_type": "default"}}}`, "rope_parameters by layer type", true},
		{"qwen2moe.model", `{"layer_types": ["full_attention"]}`, "layer_types", false},
		{"qwen2moe.model", `{"mlp_only_layers": []}`, "layers.0.mlp.gate.weight: missing", false},
		{"qwen2moe.lm", `{"shared_expert_intermediate_size": 8}`, "shared_expert.gate_proj.weight: shape [7 16], want [8 16]", false},
		{"qwen2moe.lm", `{"num_experts": 0}`, "mlp.gate_proj.weight: missing", false},
	} {
		g := golden.Open(t, filepath.Join(golden.Root(t), "testdata", "golden", c.folder))
		_, err := llama.Load(g.With(t, c.set), g.Class, g.Params(t, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, nn.ErrUnsupported) != c.unsupported {
			t.Errorf("%s: %s: %v, want %s", c.folder, c.set, err, c.want)
		}
	}
}

func TestBadInputs(t *testing.T) {
	g := golden.Open(t, filepath.Join(golden.Root(t), "testdata", "golden", "mixtral.lm"))
	m, err := llama.Load(g.Config, g.Class, g.Params(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	ids := func(v ...int64) tensor.Tensor { return tensor.FromI64(v, 1, len(v)) }
	for name, in := range map[string]nn.Inputs{
		"exactly one of":     {},
		"want 0 … 28":        {"input_ids": ids(1, 29)},
		"is empty":           {"input_ids": ids()},
		"attention_mask":     {"input_ids": ids(1, 2), "attention_mask": ids(1)},
		"position_ids":       {"input_ids": ids(1, 2), "position_ids": ids(1, 1<<30)},
		"token_type_ids":     {"input_ids": ids(1, 2), "token_type_ids": ids(0, 0)},
		"inputs_embeds: sha": {"inputs_embeds": tensor.FromF32(make([]float32, 8), 1, 1, 8)},
	} {
		in := in
		if _, err := m.Run(t.Context(), in, nn.RunOptions{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %s", err, name)
		}
	}
	if _, err := llama.Load(g.Config, "MixtralForMaskedLM", g.Params(t, 1)); !errors.Is(err, nn.ErrUnsupported) {
		t.Error(err)
	}
	if _, err := llama.Load(g.Config, "Qwen2MoeForCausalLM", g.Params(t, 1)); !errors.Is(err, nn.ErrUnsupported) {
		t.Error(err)
	}
}
