package gpt

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Run does one forward pass. Inputs: input_ids or inputs_embeds, and
// attention_mask, token_type_ids, position_ids, as Hugging Face's forward()
// takes them ([B, T]; GPT2DoubleHeadsModel: [B, choices, T], with mc_token_ids
// [B, choices]); with cross attention encoder_hidden_states [B, S, C] and
// encoder_attention_mask [B, S]. Positions count from the left edge, padding
// included, unless position_ids says otherwise. Outputs carry the names of the
// class's output object. Of GPT2LMHeadModel the argument logits_to_keep leaves
// the logits of so many last positions.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	keep, err := m.options(o)
	if err != nil {
		return nil, fmt.Errorf("gpt2: %w", err)
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	b, err := m.input(p, in)
	if err != nil {
		return nil, fmt.Errorf("gpt2: %w", err)
	}
	var out, hidden nn.Outputs
	show := func(i int, x tensor.Tensor) {
		if o.HiddenStates {
			hidden.Add(fmt.Sprintf("hidden_states.%d", i), b.r.Pad(p, x))
		}
	}
	x := m.Transformer.Forward(p, b.Batch, show)
	x = m.Transformer.Norm.Forward(p, x)
	if o.HiddenStates {
		hidden.Add(fmt.Sprintf("hidden_states.%d", len(m.Transformer.Blocks)), b.shaped(b.r.Pad(p, x)))
	}
	m.heads(p, &out, b, x)
	if keep > 0 {
		out[0].Tensor = lastSteps(out[0].Tensor, keep)
	}
	return nn.Finish(p, m.params, append(out, hidden...))
}

// options reads the arguments and returns how many positions' logits to keep,
// 0 for all. use_cache changes no output.
func (m *Model) options(o nn.RunOptions) (keep int, err error) {
	known := []string{"use_cache"}
	if m.task == "LMHeadModel" {
		known = append(known, "logits_to_keep")
	}
	if err := o.Known(known...); err != nil {
		return 0, err
	}
	if raw, ok := o.Set["logits_to_keep"]; ok {
		if err := json.Unmarshal(raw, &keep); err != nil || keep < 0 {
			return 0, nn.InputError("logits_to_keep", "%s, want a number of positions", raw)
		}
	}
	return keep, nil
}

// lastSteps returns the last n of the T steps of x [B, T, …].
func lastSteps(x tensor.Tensor, n int) tensor.Tensor {
	shape := x.Shape()
	b, t := shape[0], shape[1]
	c := x.Len() / (b * t)
	n = min(n, t)
	shape[1] = n
	out := make([]float32, 0, b*n*c)
	for s := range b {
		out = append(out, x.F32()[((s+1)*t-n)*c:(s+1)*t*c]...)
	}
	return tensor.FromF32(out, shape...)
}

// input is a checked call.
type input struct {
	Batch
	r    *nn.Ragged
	lead []int   // the dimensions before the tokens: [B] or [B, choices]
	last []int32 // the row that a head over one position reads, by sequence
}

// shaped restores the leading dimensions of an output [B·choices, T, C].
func (in *input) shaped(t tensor.Tensor) tensor.Tensor {
	return t.Reshape(append(in.lead[:len(in.lead):len(in.lead)], t.Dim(1), t.Dim(2))...)
}

func (m *Model) input(p nn.Pass, in nn.Inputs) (*input, error) {
	c := m.Transformer.Config
	known := []string{"input_ids", "attention_mask", "token_type_ids", "position_ids", "inputs_embeds"}
	if c.AddCrossAttention {
		known = append(known, "encoder_hidden_states", "encoder_attention_mask")
	}
	if m.task == "DoubleHeadsModel" {
		known = append(known, "mc_token_ids")
	}
	if err := in.Known(known...); err != nil {
		return nil, err
	}
	b := &input{}
	in, err := b.flatten(in)
	if err != nil {
		return nil, err
	}
	ids, embeds, batch, t, err := in.Tokens(c.VocabSize, c.NEmbd)
	if err != nil {
		return nil, err
	}
	mask, err := in.Mask("attention_mask", batch, t)
	if err != nil {
		return nil, err
	}
	positions, err := m.positions(in, batch, t)
	if err != nil {
		return nil, err
	}
	if b.r = nn.NewRagged(mask, batch, t, false); m.readsHidden() && !b.r.Whole() {
		b.r = nn.NewGrid(mask, batch, t)
	}
	b.IDs, b.Position = b.r.Pick(ids), b.r.Pick(positions)
	if in.Has("token_type_ids") {
		types, err := in.BroadcastIDs("token_type_ids", c.VocabSize, batch, t)
		if err != nil {
			return nil, err
		}
		b.TokenType = b.r.Pick(types)
	}
	if !embeds.IsZero() {
		b.Embeds = b.r.Pack(p, p.Floats(embeds.F32(), batch*t, c.NEmbd))
	}
	b.Attention = b.r.Args(p)
	b.Attention.Causal = true
	if b.last, err = m.lastRows(in, ids, batch, t); err != nil {
		return nil, err
	}
	return b, m.encoderStates(p, in, b)
}

// flatten joins the leading dimensions: [B, choices, T] becomes [B·choices, T].
func (b *input) flatten(in nn.Inputs) (nn.Inputs, error) {
	name := "input_ids"
	if in.Has("inputs_embeds") {
		name = "inputs_embeds"
		if s := in[name].Shape(); len(s) > 0 {
			b.lead = s[:1]
		}
		return in, nil
	}
	s := in[name].Shape()
	if len(s) != 3 {
		if len(s) > 0 {
			b.lead = s[:1]
		}
		return in, nil
	}
	b.lead = s[:2]
	flat := nn.Inputs{}
	for k, x := range in {
		if k == "mc_token_ids" {
			flat[k] = x
			continue
		}
		if got := x.Shape(); len(got) == 3 && got[0] == s[0] && got[1] == s[1] {
			x = x.Reshape(got[0]*got[1], got[2])
		}
		flat[k] = x
	}
	return flat, nil
}

// positions returns the position ids [B·T]: those given, else 0 … T-1.
func (m *Model) positions(in nn.Inputs, batch, t int) ([]int32, error) {
	limit := m.Transformer.Config.NPositions
	if in.Has("position_ids") {
		return in.BroadcastIDs("position_ids", limit, batch, t)
	}
	if t > limit {
		name := "input_ids"
		if in.Has("inputs_embeds") {
			name = "inputs_embeds"
		}
		return nil, nn.InputError(name, "%d tokens; the model has %d positions (n_positions)", t, limit)
	}
	out := make([]int32, batch*t)
	for i := range out {
		out[i] = int32(i % t)
	}
	return out, nil
}

// lastRows returns the grid position that a head over one position of each
// sequence reads.
func (m *Model) lastRows(in nn.Inputs, ids []int32, batch, t int) ([]int32, error) {
	if !m.readsHidden() {
		return nil, nil
	}
	c := m.Transformer.Config
	last := make([]int32, batch)
	for s := range last {
		last[s] = int32(s*t + t - 1)
	}
	if m.task == "ForSequenceClassification" {
		if c.PadTokenID < 0 && batch != 1 {
			return nil, nn.InputError("input_ids", "%d sequences; without a pad_token_id in config.json the class takes one", batch)
		}
		if c.PadTokenID < 0 || ids == nil {
			return last, nil
		}
		for s := range last {
			last[s] = int32(s * t) // a sequence of padding alone reads its first position
			for j := t - 1; j > 0; j-- {
				if int(ids[s*t+j]) != c.PadTokenID {
					last[s] = int32(s*t + j)
					break
				}
			}
		}
		return last, nil
	}
	if c.Summary.Type == "cls_index" && in.Has("mc_token_ids") {
		x := in["mc_token_ids"]
		if x.DType() != tensor.I64 || x.Len() != batch {
			return nil, nn.InputError("mc_token_ids", "%v, want one id a sequence", x)
		}
		at, err := nn.CheckIDs("mc_token_ids", x.I64(), t)
		if err != nil {
			return nil, err
		}
		for s := range last {
			last[s] = int32(s*t) + at[s]
		}
	}
	return last, nil
}

// summaryRows returns the rows that SequenceSummary reads, so many for each
// vector that it averages. Without choices that is one position of each
// sequence, or all. With choices Hugging Face takes the dimension of the
// choices for the time, except with cls_index: what is first, last or mean is
// then a choice, at every position.
func (in *input) summaryRows(kind string) (rows []int32, each int) {
	if kind == "cls_index" {
		return in.last, 1
	}
	steps, inner := in.r.T, 1 // the length of that dimension and the rows in a step
	if len(in.lead) > 1 {
		steps, inner = in.lead[1], in.r.T
	}
	from, to := 0, steps
	switch kind {
	case "first":
		to = 1
	case "last":
		from = steps - 1
	}
	for b := range in.lead[0] {
		for j := range inner {
			for i := from; i < to; i++ {
				rows = append(rows, int32((b*steps+i)*inner+j))
			}
		}
	}
	return rows, to - from
}

// summaryShape returns the shape of SequenceSummary's vectors.
func (in *input) summaryShape(kind string) []int {
	switch {
	case kind == "cls_index":
		return slices.Clone(in.lead)
	case len(in.lead) > 1:
		return []int{in.lead[0], in.r.T}
	}
	return []int{in.lead[0]}
}

// encoderStates takes the hidden states of an encoder, which a model with
// cross attention may be given.
func (m *Model) encoderStates(p nn.Pass, in nn.Inputs, b *input) error {
	const states, mask = "encoder_hidden_states", "encoder_attention_mask"
	if !in.Has(states) {
		if in.Has(mask) {
			return nn.InputError(states, "missing, with "+mask+" given")
		}
		return nil
	}
	width := m.Transformer.Config.NEmbd
	x, err := in.F32(states, b.r.B, -1, width)
	if err != nil {
		return err
	}
	t := x.Dim(1)
	if t == 0 {
		return nn.InputError(states, "shape %v is empty", x.Shape())
	}
	visible, err := in.Mask(mask, b.r.B, t)
	if err != nil {
		return err
	}
	r := nn.NewRagged(visible, b.r.B, t, false)
	b.Encoder = r.Pack(p, p.Floats(x.F32(), b.r.B*t, width))
	b.Cross = nn.AttentionArgs{QOff: b.r.Off, KOff: r.Off}
	return nil
}
