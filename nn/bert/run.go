package bert

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Run does one forward pass. Inputs: input_ids or inputs_embeds, and
// attention_mask, token_type_ids, position_ids, as Hugging Face's forward()
// takes them ([B, T]; multiple choice: [B, choices, T]); with cross attention
// encoder_hidden_states [B, S, C] and encoder_attention_mask [B, S]. Outputs carry the
// names of the class's output object.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	if err := o.Known(); err != nil {
		return nil, fmt.Errorf("bert: %w", err)
	}
	choices := 0
	if m.task == "ForMultipleChoice" {
		var err error
		if in, choices, err = flattenChoices(in); err != nil {
			return nil, fmt.Errorf("bert: %w", err)
		}
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	b, err := m.batch(p, in)
	if err != nil {
		return nil, fmt.Errorf("bert: %w", err)
	}
	var out, hidden nn.Outputs
	x := m.Encoder.Forward(p, b, func(i int, x tensor.Tensor) {
		if o.HiddenStates {
			hidden.Add(fmt.Sprintf("hidden_states.%d", i), b.R.Pad(p, x))
		}
	})
	m.heads(p, &out, b.R, x)
	if choices > 0 {
		out[0].Tensor = out[0].Reshape(b.R.B/choices, choices)
	}
	return nn.Finish(p, m.params, append(out, hidden...))
}

// batch checks the inputs and strips padding.
func (m *Model) batch(p nn.Pass, in nn.Inputs) (Batch, error) {
	c := m.Encoder.Config
	known := []string{"input_ids", "attention_mask", "token_type_ids", "position_ids", "inputs_embeds"}
	if c.TypeVocabSize == 0 {
		known = []string{"input_ids", "attention_mask", "position_ids", "inputs_embeds"}
	}
	if c.AddCrossAttention {
		known = append(known, "encoder_hidden_states", "encoder_attention_mask")
	}
	if err := in.Known(known...); err != nil {
		return Batch{}, err
	}
	var b Batch
	ids, embeds, batch, t, err := in.Tokens(c.VocabSize, c.HiddenSize)
	if err != nil {
		return b, err
	}
	mask, err := in.Mask("attention_mask", batch, t)
	if err != nil {
		return b, err
	}
	positions, err := m.positions(in, ids, batch, t)
	if err != nil {
		return b, err
	}
	types := make([]int32, batch*t)
	if in.Has("token_type_ids") {
		if types, err = in.BroadcastIDs("token_type_ids", c.TypeVocabSize, batch, t); err != nil {
			return b, err
		}
	}
	b.R = nn.NewRagged(mask, batch, t, m.readsFirst())
	b.IDs, b.TokenType, b.Position = b.R.Pick(ids), b.R.Pick(types), b.R.Pick(positions)
	if !embeds.IsZero() {
		b.Embeds = b.R.Pack(p, p.Floats(embeds.F32(), batch*t, c.HiddenSize))
	}
	return b, m.encoderStates(p, in, &b)
}

// encoderStates takes the hidden states of an encoder, which a decoder with
// cross attention may be given.
func (m *Model) encoderStates(p nn.Pass, in nn.Inputs, b *Batch) error {
	const states, mask = "encoder_hidden_states", "encoder_attention_mask"
	if !in.Has(states) {
		if in.Has(mask) {
			return nn.InputError(states, "missing, with "+mask+" given")
		}
		return nil
	}
	width := m.Encoder.Config.HiddenSize
	x, err := in.F32(states, b.R.B, -1, width)
	if err != nil {
		return err
	}
	t := x.Dim(1)
	if t == 0 {
		return nn.InputError(states, "shape %v is empty", x.Shape())
	}
	visible, err := in.Mask(mask, b.R.B, t)
	if err != nil {
		return err
	}
	b.EncoderR = nn.NewRagged(visible, b.R.B, t, false)
	b.Encoder = b.EncoderR.Pack(p, p.Floats(x.F32(), b.R.B*t, width))
	return nil
}

// positions returns the position ids [B·T]: those given, else 0 … T-1, else
// for RoBERTa pad+1 … counted over the tokens that are not padding.
func (m *Model) positions(in nn.Inputs, ids []int32, batch, t int) ([]int32, error) {
	c := m.Encoder.Config
	if in.Has("position_ids") {
		return in.BroadcastIDs("position_ids", c.MaxPositionEmbeddings, batch, t)
	}
	out := make([]int32, batch*t)
	first := 0
	if c.Family == RoBERTa || c.Family == XLMRoBERTa {
		first = c.PadTokenID + 1
	}
	for s := range batch {
		next := first
		for j := range t {
			i := s*t + j
			if first > 0 && ids != nil && int(ids[i]) == c.PadTokenID {
				out[i] = int32(c.PadTokenID)
				continue
			}
			if next >= c.MaxPositionEmbeddings {
				return nil, nn.InputError("input_ids", "%d tokens need position %d; the model has %d (max_position_embeddings)", t, next, c.MaxPositionEmbeddings)
			}
			out[i] = int32(next)
			next++
		}
	}
	return out, nil
}

// flattenChoices turns [B, choices, T] inputs into [B·choices, T].
func flattenChoices(in nn.Inputs) (nn.Inputs, int, error) {
	flat, choices := nn.Inputs{}, 0
	for name, x := range in {
		rank := 3
		if name == "inputs_embeds" {
			rank = 4
		}
		s := x.Shape()
		if len(s) != rank || choices != 0 && s[1] != choices || s[1] == 0 {
			return nil, 0, nn.InputError(name, "shape %v, want [batch, choices, tokens]", s)
		}
		choices = s[1]
		flat[name] = x.Reshape(append([]int{s[0] * s[1]}, s[2:]...)...)
	}
	return flat, choices, nil
}
