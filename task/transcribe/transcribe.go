// Package transcribe turns speech into text with a CTC model (Graves et al.
// 2006): the best symbol of every frame, repeats joined, blanks dropped.
package transcribe

import (
	"context"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/encode"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
)

// Transcriber is a CTC model with its feature extractor and vocabulary.
type Transcriber struct {
	encode.Audio
	Tokenizer *text.Tokenizer
}

// Transcribe returns what clip says.
func (t Transcriber) Transcribe(ctx context.Context, clip *audio.Clip) (string, error) {
	out, err := t.Run(ctx, clip)
	if err != nil {
		return "", err
	}
	ids, err := Frames(out.Get("logits"))
	if err != nil {
		return "", err
	}
	return t.Tokenizer.Decode(ids[0], false)
}

// Frames returns the best symbol of every frame of logits [B, T, V]; of equal
// logits the first.
func Frames(logits tensor.Tensor) ([][]int, error) {
	if logits.IsZero() || logits.Rank() != 3 {
		return nil, nn.Unsupported("transcription with a class that has no frame logits")
	}
	b, n, v := logits.Dim(0), logits.Dim(1), logits.Dim(2)
	out := make([][]int, b)
	for s := range out {
		out[s] = make([]int, n)
		for i := range n {
			row := logits.F32()[(s*n+i)*v:][:v]
			best := 0
			for j, x := range row {
				if x > row[best] {
					best = j
				}
			}
			out[s][i] = best
		}
	}
	return out, nil
}
