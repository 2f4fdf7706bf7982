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

// TestEmbeds: a prompt given as the vectors of its tokens, whatever stands on
// its left, is continued as the prompt itself is, with the new tokens alone.
func TestEmbeds(t *testing.T) {
	for _, name := range []string{"gpt2.lm", "mixtral.lm"} {
		m, c, _ := load(t, name, 1)
		const most = 6
		set := settings("max_new_tokens", "6", "do_sample", "false", "num_beams", "1", "eos_token_id", "null")
		ids := [][]int32{{3, 1, 4, 1}, {5, 9}}
		want, err := generator(t, m, c, set).Generate(t.Context(), nn.Inputs{
			"input_ids": grid([][]int64{{3, 1, 4, 1}, {0, 0, 5, 9}}), "attention_mask": grid([][]int64{{1, 1, 1, 1}, {0, 0, 1, 1}}),
		})
		if err != nil {
			t.Fatal(name, err)
		}
		var width int
		var data []float32
		for _, row := range ids {
			x, err := m.(nn.TokenEmbedder).EmbedTokens(t.Context(), row...)
			if err != nil {
				t.Fatal(name, err)
			}
			width = x.Cols()
			for range 4 - len(row) {
				data = append(data, slices.Repeat([]float32{7}, width)...)
			}
			data = append(data, x.F32()...)
		}
		in := nn.Inputs{"inputs_embeds": tensor.FromF32(data, 2, 4, width), "attention_mask": grid([][]int64{{1, 1, 1, 1}, {0, 0, 1, 1}})}
		for _, beams := range []string{"1", "3"} {
			set["num_beams"] = json.RawMessage(beams)
			got, err := generator(t, m, c, set).Generate(t.Context(), in)
			if err != nil {
				t.Fatal(name, err)
			}
			for i, ids := range got.Sequences {
				if len(ids) != most || beams == "1" && !slices.Equal(ids, want.Sequences[i][4:]) {
					t.Errorf("%s: sequence %d: %v, want the end of %v", name, i, ids, want.Sequences[i])
				}
			}
		}
		// max_length counts the vectors, which the sequences do not hold.
		r, err := generator(t, m, c, settings("max_length", "7", "do_sample", "false", "eos_token_id", "null")).Generate(t.Context(), in)
		if err != nil || len(r.Sequences[0]) != 3 {
			t.Errorf("%s: max_length: %v, %v", name, r, err)
		}
		if _, err := generator(t, m, c, settings("max_length", "4")).Generate(t.Context(), in); err == nil {
			t.Errorf("%s: a prompt as long as max_length", name)
		}
		in["inputs_embeds"] = tensor.FromF32(data[:8*(width-1)], 2, 4, width-1)
		if _, err := generator(t, m, c, set).Generate(t.Context(), in); err == nil {
			t.Errorf("%s: vectors of another width", name)
		}
	}
}
