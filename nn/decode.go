package nn

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/tensor"
)

// Generator is a [Model] that can write token by token: a decoder, or an
// encoder and a decoder.
type Generator interface {
	Model
	// DecoderInfo returns what a search over tokens must know of the model.
	DecoderInfo() DecoderInfo
	// NewDecoder returns a decoder that holds no sequence yet.
	NewDecoder() Decoder
}

// DecoderInfo describes the decoder of a [Generator].
type DecoderInfo struct {
	VocabSize int
	// MaxPositions is the most tokens that a sequence can have, or with Longer is
	// meant to have; 0: any number.
	MaxPositions int
	// Longer says that sequences of more than MaxPositions tokens run too: rotary
	// positions have no last one.
	Longer bool
	// Windowed says that attention sees some tokens back only.
	Windowed bool
	// Encoder says that an encoder's output is attended to.
	Encoder bool
	// Input is the encoder's main input ("input_ids", "pixel_values",
	// "input_features"), whose first dimension is the batch; "" without Encoder.
	Input string
}

// Prompt is what generation starts from.
type Prompt struct {
	// IDs are the first tokens of each sequence, at least one, without padding.
	// They count their positions from 0.
	IDs [][]int32
	// Embeds, if not nil, are the vectors [T, C] of each sequence's first
	// positions, at least one, in place of IDs.
	Embeds []tensor.Tensor
	// Inputs are what an encoder reads: its rows are the sequences.
	Inputs Inputs
	// Room is the number of tokens that sequences are expected to grow to.
	Room int
}

// Sequences returns the number of sequences.
func (p Prompt) Sequences() int { return max(len(p.IDs), len(p.Embeds)) }

// Len returns the number of positions that sequence s begins with.
func (p Prompt) Len(s int) int {
	if p.Embeds != nil {
		return p.Embeds[s].Rows()
	}
	return len(p.IDs[s])
}

// Vectors returns Embeds end to end, rows of width numbers, nil if there are
// none.
func (p Prompt) Vectors(width int) ([]float32, error) {
	if p.Embeds != nil && p.IDs != nil {
		return nil, InputError("inputs_embeds", "given beside input_ids")
	}
	var out []float32
	for _, x := range p.Embeds {
		if x.DType() != tensor.F32 || x.Rank() != 2 || x.Rows() == 0 || x.Cols() != width {
			return nil, InputError("inputs_embeds", "vectors %v of a sequence, want rows of %d", x, width)
		}
		for r := range x.Rows() {
			out = append(out, x.F32()[r*x.LD():][:width]...)
		}
	}
	return out, nil
}

// TokenEmbedder is a [Generator] that gives the vectors of its tokens, for
// prompts of other vectors beside them.
type TokenEmbedder interface {
	Generator
	// EmbedTokens returns the vectors [n, C] that the decoder reads for ids.
	EmbedTokens(ctx context.Context, ids ...int32) (tensor.Tensor, error)
}

// Decoder is a batch of sequences that grow token by token, and the keys and
// values computed so far. It belongs to one goroutine. Sequences do not
// influence each other: the logits of one are the same to the bit in any batch,
// and the same as those of one pass over all its tokens.
type Decoder interface {
	// Prefill drops what the decoder holds and takes the prompts, one sequence
	// each. It returns the logits [sequences, V] of what follows their last
	// tokens, which the next call overwrites.
	Prefill(ctx context.Context, p Prompt) (tensor.Tensor, error)
	// Step appends ids[i] to sequence i and returns the next logits, as Prefill.
	Step(ctx context.Context, ids []int32) (tensor.Tensor, error)
	// Reorder makes sequence i what sequence from[i] was. Sequences may be
	// repeated and left out; their keys and values are shared, not copied.
	Reorder(from []int32)
}

// Resumer is a Decoder that can go on from keys and values computed before.
type Resumer interface {
	Decoder
	// Resume drops what the decoder holds and takes past, the past_key_values of
	// Hugging Face's forward(): keys and values, [B, heads, T, D] each, of every
	// layer in turn.
	Resume(ctx context.Context, past []tensor.Tensor) error
	// Cut leaves the first rows tokens of every sequence.
	Cut(rows int)
}

// HostRows keeps the result of a pass after its end.
type HostRows struct{ data []float32 }

// Keep copies x [rows, cols] to host memory that the next call overwrites. It
// ends a decoder's pass as Finish ends a Run: with the context's error, then
// that of a NaN or an infinity, traced to the weight that holds it if one does.
func (h *HostRows) Keep(p Pass, params Params, x tensor.Tensor) (tensor.Tensor, error) {
	if err := p.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	x = p.Host(x)
	rows, cols := x.Rows(), x.Cols()
	if cap(h.data) < rows*cols {
		h.data = make([]float32, rows*cols)
	}
	h.data = h.data[:rows*cols]
	for r := range rows {
		to := h.data[r*cols:][:cols]
		for i, v := range x.F32()[r*x.LD():][:cols] {
			if v-v != 0 {
				if cause := params.CheckFinite(); cause != nil {
					return tensor.Tensor{}, cause
				}
				return tensor.Tensor{}, fmt.Errorf("logits: element %d is %v: %w", i, v, ErrNotFinite)
			}
			to[i] = v
		}
	}
	return tensor.FromF32(h.data, rows, cols), nil
}
