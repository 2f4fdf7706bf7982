package generate_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/gpt"
	"github.com/seed-512d3d71/weft/nn/llama"
	"github.com/seed-512d3d71/weft/nn/t5"
	"github.com/seed-512d3d71/weft/task/generate"
	"github.com/seed-512d3d71/weft/tensor"
)

// call is one call of Hugging Face's generate().
type call struct {
	InputIDs  [][]int64                  `json:"input_ids"`
	Mask      [][]int64                  `json:"attention_mask"`
	Set       map[string]json.RawMessage `json:"set"`
	Sequences [][]int                    `json:"sequences"`
}

func (c call) inputs() nn.Inputs {
	in := nn.Inputs{"input_ids": grid(c.InputIDs)}
	if c.Mask != nil {
		in["attention_mask"] = grid(c.Mask)
	}
	return in
}

func grid(rows [][]int64) tensor.Tensor {
	return tensor.FromI64(slices.Concat(rows...), len(rows), len(rows[0]))
}

// load binds the golden folder's model.
func load(tb testing.TB, name string, threads int) (nn.Generator, *hfconfig.Config, []call) {
	tb.Helper()
	dir := filepath.Join(golden.Root(tb), "testdata", "golden", name)
	c := golden.Open(tb, dir)
	var m nn.Generator
	var err error
	switch t := c.Config.Str("model_type", ""); t {
	case "gpt2":
		m, err = gpt.Load(c.Config, c.Class, c.Params(tb, threads))
	case "mixtral", "qwen2_moe":
		m, err = llama.Load(c.Config, c.Class, c.Params(tb, threads))
	case "switch_transformers":
		m, err = t5.Load(c.Config, c.Class, c.Params(tb, threads))
	default:
		tb.Fatalf("%s: model_type %q", name, t)
	}
	if err != nil {
		tb.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "generate.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var calls []call
	if err := json.Unmarshal(b, &calls); err != nil {
		tb.Fatal(err)
	}
	return m, c.Config, calls
}

func generator(tb testing.TB, m nn.Generator, c *hfconfig.Config, set map[string]json.RawMessage) *generate.Generator {
	tb.Helper()
	settings, err := generate.ParseConfig(c, set)
	if err != nil {
		tb.Fatal(err)
	}
	return &generate.Generator{Model: m, Config: settings}
}

// TestGolden compares with the ids that Hugging Face gives.
func TestGolden(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(golden.Root(t), "testdata", "golden", "*", "generate.json"))
	if len(files) == 0 {
		t.Fatal("no golden folders")
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		for _, threads := range []int{1, 3} {
			m, c, calls := load(t, name, threads)
			for i, call := range calls {
				r, err := generator(t, m, c, call.Set).Generate(t.Context(), call.inputs())
				if err != nil {
					t.Errorf("%s: call %d: %v", name, i, err)
					continue
				}
				for n, want := range call.Sequences {
					if n >= len(r.Sequences) || !slices.Equal(r.Sequences[n], want) {
						t.Errorf("%s: call %d: sequences\n%v, want\n%v", name, i, r.Sequences, call.Sequences)
						break
					}
				}
			}
		}
	}
}
