package t5

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Run does one forward pass. Inputs: input_ids [B, T] or inputs_embeds, and
// attention_mask; unless the class is an EncoderModel decoder_input_ids [B, S]
// or decoder_inputs_embeds, and decoder_attention_mask, as Hugging Face's
// forward() takes them; classes with a head on labels shift input_ids where the
// decoder's are absent. Arguments: output_router_logits. Outputs carry the names
// of the class's output object.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	out, err := m.run(ctx, in, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Class, err)
	}
	return out, nil
}

func (m *Model) run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	if err := o.Known("use_cache", "output_router_logits"); err != nil {
		return nil, err
	}
	routers, err := o.Bool("output_router_logits", false)
	if err != nil {
		return nil, err
	}
	if routers && !m.Config.Switch {
		return nil, nn.Unsupported("output_router_logits of T5")
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
	encoder, err := m.input(p, in, m.Encoder, "", routers)
	if err != nil {
		return nil, err
	}
	var decoder *input
	if m.Decoder != nil {
		in = m.shiftRight(in)
		if decoder, err = m.input(p, in, m.Decoder, "decoder_", routers); err != nil {
			return nil, err
		}
		if decoder.r.B != encoder.r.B {
			return nil, nn.InputError("decoder_input_ids", "%d sequences, want %d", decoder.r.B, encoder.r.B)
		}
	}
	var out nn.Outputs
	prefix := "encoder_"
	if m.Decoder == nil {
		prefix = ""
	}
	shown := watcher{p: p, hidden: o.HiddenStates, routers: routers, prefix: prefix, r: encoder.r}
	x := m.Encoder.last(p, encoder, shown.watch())
	last := encoder.r.Pad(p, x)
	if m.Decoder == nil {
		if m.task == "ForTokenClassification" {
			out.Add("logits", encoder.r.Pad(p, m.project(p, x)))
		} else {
			out.Add("last_hidden_state", last)
		}
		return nn.Finish(p, m.params, append(out, shown.out...))
	}
	visible := encoder.r
	if visible.Hidden != nil {
		visible = visible.Visible()
		x = gather(p, x, visible.Row) // the grid keeps every position
	}
	decoder.Encoder, decoder.Cross = x, nn.AttentionArgs{QOff: decoder.r.Off, KOff: visible.Off}
	written := watcher{p: p, hidden: o.HiddenStates, routers: routers, prefix: "decoder_", r: decoder.r}
	y := m.Decoder.last(p, decoder, written.watch())
	switch m.task {
	case "Model":
		out.Add("last_hidden_state", decoder.r.Pad(p, y))
	case "ForConditionalGeneration":
		out.Add("logits", decoder.r.Pad(p, m.project(p, y)))
		shown.losses(m.Config.EncoderStep)
		written.losses(m.Config.DecoderStep)
	case "ForQuestionAnswering":
		span := m.project(p, y)
		out.Add("start_logits", decoder.r.Pad(p, span.SliceCols(0, 1)).Reshape(decoder.r.B, decoder.r.T))
		out.Add("end_logits", decoder.r.Pad(p, span.SliceCols(1, 2)).Reshape(decoder.r.B, decoder.r.T))
	case "ForSequenceClassification":
		ends, err := m.lastEnds(in, decoder)
		if err != nil {
			return nil, err
		}
		h := m.dense.Forward(p, gather(p, y, ends), kernels.ActTanh)
		out.Add("logits", p.Host(m.project(p, h)).Clone())
	}
	out.Add("encoder_last_hidden_state", last)
	return nn.Finish(p, m.params, append(append(out, shown.out...), written.out...))
}

// last returns the last hidden state of a stack [rows, C].
func (m *Stack) last(p nn.Pass, in *input, w Watch) tensor.Tensor {
	x := m.Norm.Forward(p, m.Forward(p, in.Batch, w))
	if w.Layer != nil && len(m.Blocks) > 0 {
		w.Layer(len(m.Blocks), x)
	}
	return x
}

// input is the checked part of a call that one stack reads.
type input struct {
	Batch
	r *nn.Ragged
}

// input reads the inputs of a stack, whose names begin with prefix. routers: the
// routers' logits are wanted, of hidden positions too.
func (m *Model) input(p nn.Pass, in nn.Inputs, stack *Stack, prefix string, routers bool) (*input, error) {
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
	if early && m.Config.Switch && t > m.Config.Capacity || routers && !b.r.Whole() {
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
