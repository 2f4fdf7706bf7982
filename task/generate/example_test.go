package generate_test

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/tensor"
)

// A beam search by a tiny GPT-2 over two prompts of different lengths, without
// repetitions.
func Example() {
	m, err := weft.Open("../../testdata/golden/gpt2.lm")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	g, err := m.Generator(map[string]json.RawMessage{"num_beams": []byte("3"), "max_new_tokens": []byte("4"), "no_repeat_ngram_size": []byte("1")})
	if err != nil {
		fmt.Println(err)
		return
	}
	out, err := g.Generate(context.Background(), weft.Inputs{
		"input_ids":      tensor.FromI64([]int64{32, 55, 35, 0, 0, 10}, 2, 3),
		"attention_mask": tensor.FromI64([]int64{1, 1, 1, 0, 0, 1}, 2, 3),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, ids := range out.Sequences {
		fmt.Println(ids[:out.Prompt], ids[out.Prompt:])
	}
	// Output:
	// [32 55 35] [23 44 47 9]
	// [0 0 10] [14 21 54 3]
}
