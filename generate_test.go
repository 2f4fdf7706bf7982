package weft_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/tensor"
)

// TestGenerateText: a prompt goes through the tokenizer, the decoder and back,
// and the stream is the text piece by piece.
func TestGenerateText(t *testing.T) {
	const golden = "testdata/golden/gpt2.lm"
	set := map[string]json.RawMessage{"do_sample": json.RawMessage("false"), "max_new_tokens": json.RawMessage("7"), "eos_token_id": json.RawMessage("null"), "pad_token_id": json.RawMessage("0")}
	bare, err := weft.Open(golden)
	if err != nil {
		t.Fatal(err)
	}
	defer bare.Close()
	if _, err := bare.GenerateText(t.Context(), "w1", set); !errors.Is(err, weft.ErrInput) {
		t.Errorf("without a tokenizer: %v", err)
	}

	dir := t.TempDir()
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(golden, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	vocab := map[string]int{}
	for i := range 61 {
		vocab[fmt.Sprint("w", i)] = i
	}
	tok, err := json.Marshal(map[string]any{
		"model":         map[string]any{"type": "WordLevel", "vocab": vocab, "unk_token": "w0"},
		"pre_tokenizer": map[string]any{"type": "WhitespaceSplit"},
		"added_tokens":  []any{},
	})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "tokenizer.json"), tok, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	m, err := weft.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	g, err := m.Generator(set)
	if err != nil {
		t.Fatal(err)
	}
	r, err := g.Generate(t.Context(), weft.Inputs{"input_ids": tensor.FromI64([]int64{5, 17, 3}, 1, 3)})
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, id := range r.Sequences[0][3:] {
		want = append(want, fmt.Sprint("w", id))
	}
	got, err := m.GenerateText(t.Context(), "w5 w17 w3", set)
	if err != nil || len(want) != 7 || strings.Join(strings.Fields(got), " ") != strings.Join(want, " ") {
		t.Errorf("%q (%v), want %q", got, err, want)
	}
	n := 0
	for token, err := range m.StreamText(t.Context(), "w5 w17 w3", set) {
		if err != nil || strings.TrimSpace(token.Text) != want[n] {
			t.Fatalf("token %d: %q (%v), want %q", n, token.Text, err, want[n])
		}
		if n++; n == 3 {
			break
		}
	}
}
