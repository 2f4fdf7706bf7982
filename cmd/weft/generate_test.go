package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/safetensors"
)

// prompts writes an input file with one prompt and its mask.
func prompts(t *testing.T, ids [][]int64, mask [][]int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in.safetensors")
	entries := []safetensors.Entry{safetensors.I64Entry("input_ids", slices.Concat(ids...), len(ids), len(ids[0]))}
	if mask != nil {
		entries = append(entries, safetensors.I64Entry("attention_mask", slices.Concat(mask...), len(mask), len(mask[0])))
	}
	if err := safetensors.WriteFile(path, entries, nil); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestGenerate runs the reference calls by their flags.
func TestGenerate(t *testing.T) {
	b, err := os.ReadFile(goldens + "gpt2.lm/generate.json")
	if err != nil {
		t.Fatal(err)
	}
	var calls []struct {
		InputIDs  [][]int64                  `json:"input_ids"`
		Mask      [][]int64                  `json:"attention_mask"`
		Set       map[string]json.RawMessage `json:"set"`
		Sequences [][]int                    `json:"sequences"`
	}
	if err := json.Unmarshal(b, &calls); err != nil {
		t.Fatal(err)
	}
	for i, c := range calls {
		args := []string{"generate", "--model", goldens + "gpt2.lm", "--in", prompts(t, c.InputIDs, c.Mask), "--json"}
		for k, v := range c.Set {
			switch k {
			case "max_new_tokens":
				args = append(args, "--max-new-tokens", string(v))
			case "num_beams":
				args = append(args, "--num-beams", string(v))
			default:
				args = append(args, "--set", k+"="+string(v))
			}
		}
		if c.Set["num_beams"] == nil {
			args = append(args, "--greedy")
		}
		status, stdout, stderr := invoke(args...)
		var got generated
		if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != exitOK || got.Texts != nil {
			t.Fatalf("call %d: status %d, %q, %s", i, status, stdout, stderr)
		}
		if !slices.EqualFunc(got.Sequences, c.Sequences, slices.Equal) {
			t.Errorf("call %d: %v, want %v", i, got.Sequences, c.Sequences)
		}
	}

	first := calls[0]
	status, stdout, stderr := invoke("generate", "--model", goldens+"gpt2.lm", "--in", prompts(t, first.InputIDs, nil), "--greedy", "--max-new-tokens", "5", "--set", "eos_token_id=null")
	want := strings.Trim(fmt.Sprint(first.Sequences[0][len(first.InputIDs[0]):][:5]), "[]")
	if status != exitOK || strings.TrimSpace(stdout) != want || !strings.Contains(stderr, "5 tokens in") {
		t.Errorf("without --json: status %d, %q, want %q, %s", status, stdout, want, stderr)
	}
}

func TestGenerateRefused(t *testing.T) {
	in := prompts(t, [][]int64{{1, 2, 3}}, nil)
	for _, c := range []struct {
		args   string
		status int
		last   string
	}{
		{"", exitUsage, "weft: give --in, --text, --image or --audio"},
		{"--in " + in + " --text x", exitUsage, "weft: --in, or --text, --image and --audio"},
		{"--in " + in + " --greedy --num-beams 2", exitUsage, "weft: --greedy or --num-beams, not both"},
		{"--in " + in + " --max-new-tokens -1", exitUsage, "weft: --max-new-tokens and --num-beams must not be negative"},
		{"--text x", exitError, "weft: --text: the model's directory has no tokenizer"},
		{"--image x.png", exitUnsupported, "weft: unsupported: --image or --audio with GPT2LMHeadModel"},
		{"--in " + in + " --max-new-tokens 63", exitError, "weft: bad input: max_new_tokens: 63 new tokens after a prompt of 3 need 65 positions; the model has 64"},
		{"--in " + in + " --set top_kk=1", exitError, "weft: bad input: top_kk: no setting of generation"},
		{"--in " + in + " --set num_beam_groups=2 --num-beams 2", exitUnsupported, "weft: unsupported: generation with num_beam_groups"},
		{"--in " + goldens + "vit.model/in.safetensors", exitError, "weft: bad input: pixel_values"},
	} {
		args := append([]string{"generate", "--model", goldens + "gpt2.lm"}, strings.Fields(c.args)...)
		status, stdout, stderr := invoke(args...)
		if status != c.status || !strings.HasPrefix(lastLine(stderr), c.last) || stdout != "" {
			t.Errorf("generate %s: status %d, want %d; %q; stderr %q, want %q", c.args, status, c.status, stdout, stderr, c.last)
		}
	}
}
