// Package caption says in words what a vector of a space shared by sentences,
// pictures and sounds means: a few vectors are made of it and a decoder writes
// on from them (ClipCap, Mokady et al. 2021, arXiv:2111.09734).
package caption

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/generate"
	"github.com/seed-512d3d71/weft/tensor"
)

// Captioner is a decoder and what it writes on from.
type Captioner struct {
	// Prefix makes of vectors of length 1 [N, D] the first inputs of the decoder
	// [N, T, C].
	Prefix func(ctx context.Context, unit tensor.Tensor) (tensor.Tensor, error)
	// Generator writes with the settings of the checkpoint; its Tokenizer must be
	// there.
	Generator *generate.Generator
}

// Captions returns a sentence for each vector of unit [N, D].
func (c Captioner) Captions(ctx context.Context, unit tensor.Tensor) ([]string, error) {
	if c.Generator.Tokenizer == nil {
		return nil, fmt.Errorf("caption: %w", nn.InputError("tokenizer", "the decoder's directory has none"))
	}
	prefix, err := c.Prefix(ctx, unit)
	if err != nil {
		return nil, fmt.Errorf("caption: %w", err)
	}
	r, err := c.Generator.Generate(ctx, nn.Inputs{"inputs_embeds": prefix})
	if err != nil {
		return nil, fmt.Errorf("caption: %w", err)
	}
	out := make([]string, len(r.Sequences))
	for i, ids := range r.Sequences {
		if out[i], err = c.Generator.Tokenizer.Decode(ids, true); err != nil {
			return nil, fmt.Errorf("caption: %w", err)
		}
	}
	return out, nil
}
