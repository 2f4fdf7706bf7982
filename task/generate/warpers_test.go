package generate

import (
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
)

// TestWarpers compares what each sampling setting leaves possible with
// Hugging Face.
func TestWarpers(t *testing.T) {
	b, err := os.ReadFile("testdata/warpers.json")
	if err != nil {
		t.Fatal(err)
	}
	var groups []struct {
		Scores []float32
		Calls  []struct {
			Key   string
			Value json.Number
			Kept  []int // nil: all
		}
	}
	if err := json.Unmarshal(b, &groups); err != nil {
		t.Fatal(err)
	}
	none, err := hfconfig.Parse([]byte("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range groups {
		for _, call := range group.Calls {
			set := map[string]json.RawMessage{"do_sample": []byte("true"), "top_k": []byte("0")}
			set[call.Key] = json.RawMessage(call.Value)
			c, err := ParseConfig(none, set)
			if err != nil {
				t.Fatal(err)
			}
			scores := slices.Clone(group.Scores)
			for _, p := range c.warpers() {
				p.process(scores, nil)
			}
			var kept []int
			for i, v := range scores {
				if v > negInf {
					kept = append(kept, i)
				}
			}
			if len(kept) == len(scores) {
				kept = nil
			}
			if !slices.Equal(kept, call.Kept) {
				t.Errorf("%s=%s of %d scores: kept %v, want %v", call.Key, call.Value, len(scores), kept, call.Kept)
			}
		}
	}
}
