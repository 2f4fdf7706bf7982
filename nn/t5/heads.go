package t5

import (
	"maps"
	"math"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// project returns the logits [rows, V] of a last hidden state.
func (m *Model) project(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	if m.Config.ScaleOutputs && m.task == "ForConditionalGeneration" {
		scaled := p.New(x.Rows(), x.Cols())
		p.Scale(scaled, x, float32(1/math.Sqrt(float64(m.Config.DModel))))
		x = scaled
	}
	return m.output.Forward(p, x, 0)
}

func gather(p nn.Pass, x tensor.Tensor, rows []int32) tensor.Tensor {
	h := p.New(len(rows), x.Cols())
	p.Gather(h, x, p.Ints(rows))
	return h
}

// shiftRight adds the decoder's input where a class makes it of the encoder's:
// the start token, and the ids but the last.
func (m *Model) shiftRight(in nn.Inputs) nn.Inputs {
	x, ok := in["input_ids"]
	if m.task == "Model" || m.task == "ForConditionalGeneration" || in.Has("decoder_input_ids") || in.Has("decoder_inputs_embeds") ||
		!ok || m.Config.DecoderStart < 0 || x.Rank() != 2 || x.DType() != tensor.I64 {
		return in
	}
	t := x.Dim(1)
	shifted := make([]int64, x.Len())
	for i := range shifted {
		if i%t == 0 {
			shifted[i] = int64(m.Config.DecoderStart)
		} else {
			shifted[i] = x.I64()[i-1]
		}
	}
	in = maps.Clone(in)
	in["decoder_input_ids"] = tensor.FromI64(shifted, x.Shape()...)
	return in
}

// lastEnds returns the decoder's row at the position of each sequence's last end
// token in input_ids, which stands for the sequence.
func (m *Model) lastEnds(in nn.Inputs, decoder *input) ([]int32, error) {
	x := in["input_ids"]
	if x.IsZero() || x.Dim(1) != decoder.r.T {
		return nil, nn.InputError("input_ids", "%v; the class reads the decoder where they have end tokens", x)
	}
	at := make(map[int32]int32, len(decoder.r.Row)) // the rows by their place in the grid
	for i, g := range decoder.r.Row {
		at[g] = int32(i)
	}
	ends, first := make([]int32, x.Dim(0)), 0
	for s := range ends {
		n := 0
		for j, id := range x.I64()[s*x.Dim(1) : (s+1)*x.Dim(1)] {
			if id == int64(m.Config.EOS) {
				n++
				row, ok := at[int32(s*decoder.r.T+j)]
				if !ok {
					return nil, nn.InputError("decoder_attention_mask", "hides an end token of sequence %d", s)
				}
				ends[s] = row
			}
		}
		if s == 0 {
			first = n
		}
		if n == 0 || n != first {
			return nil, nn.InputError("input_ids", "sequence %d has %d end tokens (eos_token_id %d), the first has %d; the class wants as many in all, and one at least", s, n, m.Config.EOS, first)
		}
	}
	return ends, nil
}
