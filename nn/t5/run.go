package t5

import (
	"context"
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Run does one forward pass. Inputs: input_ids [B, T] or inputs_embeds, and
// attention_mask; unless the class is an EncoderModel decoder_input_ids [B, S]
// or decoder_inputs_embeds, and decoder_attention_mask, as Hugging Face's
// forward() takes them. Outputs carry the names of the class's output object.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	out, err := m.run(ctx, in, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Class, err)
	}
	return out, nil
}

func (m *Model) run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	if err := o.Known("use_cache"); err != nil {
		return nil, err
	}
	known := []string{"input_ids", "attention_mask", "inputs_embeds"}
	if m.Decoder != nil {
		known = append(known, "decoder_input_ids", "decoder_attention_mask", "decoder_inputs_embeds")
	}
	if err := in.Known(known...); err != nil {
		return nil, err
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	encoder, err := m.input(p, in, m.Encoder, "")
	if err != nil {
		return nil, err
	}
	var decoder *input
	if m.Decoder != nil {
		if decoder, err = m.input(p, in, m.Decoder, "decoder_"); err != nil {
			return nil, err
		}
		if decoder.r.B != encoder.r.B {
			return nil, nn.InputError("decoder_input_ids", "%d sequences, want %d", decoder.r.B, encoder.r.B)
		}
	}
	var out, hidden nn.Outputs
	prefix := "encoder_"
	if m.Decoder == nil {
		prefix = ""
	}
	x := m.Encoder.last(p, encoder, watch(p, o, &hidden, prefix, encoder.r))
	last := encoder.r.Pad(p, x)
	if m.Decoder == nil {
		out.Add("last_hidden_state", last)
		return nn.Finish(p, m.params, append(out, hidden...))
	}
	visible := encoder.r
	if visible.Hidden != nil {
		visible = visible.Visible()
		x = m.gather(p, x, visible.Row) // the grid keeps every position
	}
	decoder.Encoder, decoder.Cross = x, nn.AttentionArgs{QOff: decoder.r.Off, KOff: visible.Off}
	y := m.Decoder.last(p, decoder, watch(p, o, &hidden, "decoder_", decoder.r))
	if m.task == "Model" {
		out.Add("last_hidden_state", decoder.r.Pad(p, y))
	} else {
		out.Add("logits", decoder.r.Pad(p, m.project(p, y)))
	}
	out.Add("encoder_last_hidden_state", last)
	return nn.Finish(p, m.params, append(out, hidden...))
}

// last returns the last hidden state of a stack [rows, C].
func (m *Stack) last(p nn.Pass, in *input, w Watch) tensor.Tensor {
	x := m.Norm.Forward(p, m.Forward(p, in.Batch, w))
	if w.Layer != nil && len(m.Blocks) > 0 {
		w.Layer(len(m.Blocks), x)
	}
	return x
}

// watch collects every block's input if the options ask for it.
func watch(p nn.Pass, o nn.RunOptions, out *nn.Outputs, prefix string, r *nn.Ragged) Watch {
	if !o.HiddenStates {
		return Watch{}
	}
	return Watch{Layer: func(i int, x tensor.Tensor) {
		out.Add(fmt.Sprintf("%shidden_states.%d", prefix, i), r.Pad(p, x))
	}}
}

// project returns the logits [rows, V] of the decoder's output.
func (m *Model) project(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	if m.Config.ScaleOutputs {
		scaled := p.New(x.Rows(), x.Cols())
		p.Scale(scaled, x, float32(1/math.Sqrt(float64(m.Config.DModel))))
		x = scaled
	}
	return m.output.Forward(p, x, 0)
}

func (m *Model) gather(p nn.Pass, x tensor.Tensor, rows []int32) tensor.Tensor {
	h := p.New(len(rows), x.Cols())
	p.Gather(h, x, p.Ints(rows))
	return h
}

// input is the checked part of a call that one stack reads.
type input struct {
	Batch
	r *nn.Ragged
}

// input reads the inputs of a stack, whose names begin with prefix.
func (m *Model) input(p nn.Pass, in nn.Inputs, stack *Stack, prefix string) (*input, error) {
	name, embedName := prefix+"input_ids", prefix+"inputs_embeds"
	if in.Has(name) == in.Has(embedName) {
		return nil, nn.InputError(name, "exactly one of %s and %s is needed", name, embedName)
	}
	var ids []int32
	var embeds tensor.Tensor
	var err error
	if in.Has(embedName) {
		name = embedName
		embeds, err = in.F32(name, -1, -1, m.Config.DModel)
	} else {
		ids, err = in.IDs(name, m.Config.VocabSize, -1, -1)
	}
	if err != nil {
		return nil, err
	}
	batch, t := in[name].Dim(0), in[name].Dim(1)
	if batch == 0 || t == 0 {
		return nil, nn.InputError(name, "shape %v is empty", in[name].Shape())
	}
	mask, err := in.Mask(prefix+"attention_mask", batch, t)
	if err != nil {
		return nil, err
	}
	b := &input{r: nn.NewRagged(mask, batch, t, false)}
	early, holes := hiddenBefore(mask, batch, t)
	if early && m.Config.Switch && t > m.Config.Capacity {
		// Hidden positions take their share of the experts' capacity.
		b.r = nn.NewGrid(mask, batch, t)
	}
	b.IDs, b.Groups = b.r.Pick(ids), b.r.Off
	if !embeds.IsZero() {
		b.Embeds = b.r.Pack(p, p.Floats(embeds.F32(), batch*t, m.Config.DModel))
	}
	var position []int32
	if holes && b.r.Hidden == nil {
		position = make([]int32, b.r.Rows())
		for i, g := range b.r.Row {
			position[i] = g % int32(t)
		}
	}
	b.Attention = stack.Bias.Args(p, b.r.Args(p), position)
	b.Attention.Causal = stack.Bias.Causal
	return b, nil
}

// hiddenBefore reports whether a mask hides a position before one that it
// shows, and whether it does so after having shown another.
func hiddenBefore(mask []int64, batch, t int) (early, between bool) {
	if mask == nil {
		return false, false
	}
	for s := range batch {
		shown, gap := false, false
		for _, v := range mask[s*t : (s+1)*t] {
			if v == 0 {
				gap = true
				continue
			}
			early = early || gap
			between = between || gap && shown
			shown, gap = true, false
		}
	}
	return early, between
}
