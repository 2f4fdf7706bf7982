package llama

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/tensor"
)

// maxPosition bounds the position ids that a call may give: a table of angles
// reaches up to them.
const maxPosition = 1 << 22

// Run does one forward pass. Inputs: input_ids [B, T] or inputs_embeds
// [B, T, C], and attention_mask, position_ids, as Hugging Face's forward() takes
// them. Positions count from the left edge, padding included, unless
// position_ids says otherwise. Arguments: logits_to_keep, output_router_logits,
// use_cache.
// Outputs carry the names of the class's output object.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	fail := func(err error) (nn.Outputs, error) { return nil, fmt.Errorf("%s: %w", m.Class, err) }
	if err := o.Known("logits_to_keep", "output_router_logits", "use_cache"); err != nil {
		return fail(err)
	}
	c := m.Decoder.Config
	routers, err := o.Bool("output_router_logits", c.MoE.RouterLogits)
	if err != nil {
		return fail(err)
	}
	cached, err := o.Bool("use_cache", c.UseCache)
	if err != nil {
		return fail(err)
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	b, err := m.input(p, in, routers, !cached)
	if err != nil {
		return fail(err)
	}
	if raw, ok := o.Set["logits_to_keep"]; ok {
		if err := json.Unmarshal(raw, &b.keep); err != nil || b.keep < 0 {
			return fail(nn.InputError("logits_to_keep", "%s, want a count", raw))
		}
	}
	var out, hidden nn.Outputs
	var w Watch
	if o.HiddenStates {
		w.Layer = func(i int, x tensor.Tensor) { hidden.Add(fmt.Sprintf("hidden_states.%d", i), b.r.Pad(p, x)) }
	}
	n := 0
	balance := moe.NewBalance(c.MoE.Experts, c.MoE.ExpertsPerToken)
	if routers {
		w.Router = func(_ int, logits tensor.Tensor) {
			all := b.r.Pad(p, logits).Reshape(b.r.B*b.r.T, c.MoE.Experts)
			hidden.Add(fmt.Sprintf("router_logits.%d", n), all)
			balance.Add(all, b.mask)
			n++
		}
	}
	x := m.Decoder.Forward(p, b.Batch, w)
	x = m.Decoder.Norm.Forward(p, x)
	if w.Layer != nil {
		w.Layer(len(m.Decoder.Layers), x)
	}
	m.heads(p, &out, b, x)
	if n > 0 && m.task == "ForCausalLM" {
		out.Add("aux_loss", balance.Loss())
	}
	return nn.Finish(p, m.params, append(out, hidden...))
}

// input is a checked call.
type input struct {
	Batch
	r    *nn.Ragged
	mask []int64 // [B·T], nil: all ones
	keep int     // logits_to_keep; 0: all
	last []int32 // the row that a head over one position reads, by sequence
}

// input checks a call. routers: the routers' logits are wanted, of hidden
// positions too. packed: position_ids may tell that sequences lie end to end.
func (m *Model) input(p nn.Pass, in nn.Inputs, routers, packed bool) (*input, error) {
	c := m.Decoder.Config
	if err := in.Known("input_ids", "attention_mask", "position_ids", "inputs_embeds"); err != nil {
		return nil, err
	}
	ids, embeds, batch, t, err := in.Tokens(c.VocabSize, c.HiddenSize)
	if err != nil {
		return nil, err
	}
	b := &input{}
	if b.mask, err = in.Mask("attention_mask", batch, t); err != nil {
		return nil, err
	}
	positions := make([]int32, batch*t)
	for i := range positions {
		positions[i] = int32(i % t)
	}
	if in.Has("position_ids") {
		if positions, err = in.BroadcastIDs("position_ids", max(maxPosition, t), batch, t); err != nil {
			return nil, err
		}
	}
	for _, at := range positions {
		b.Length = max(b.Length, int(at)+1)
	}
	b.r = nn.NewRagged(b.mask, batch, t, false)
	if !b.r.Whole() && (routers || m.task == "ForSequenceClassification" || m.slides() && holes(b.mask, batch, t)) {
		b.r = nn.NewGrid(b.mask, batch, t)
	}
	b.IDs, b.Position = b.r.Pick(ids), b.r.Pick(positions)
	if !embeds.IsZero() {
		b.Embeds = b.r.Pack(p, p.Floats(embeds.F32(), batch*t, c.HiddenSize))
	}
	b.Attention = b.r.Args(p)
	b.Attention.Causal = true
	if packed && in.Has("position_ids") && b.mask == nil {
		off := unpack(positions, t)
		b.Attention.QOff, b.Attention.KOff = off, off
	}
	if m.task == "ForSequenceClassification" {
		b.last, err = lastTokens(ids, batch, t, c.PadTokenID)
	}
	return b, err
}

// unpack returns the offsets of the sequences in rows of t positions: one begins
// wherever positions do not rise by one.
func unpack(positions []int32, t int) []int32 {
	off := []int32{0}
	for i := 1; i < len(positions); i++ {
		if i%t == 0 || positions[i] != positions[i-1]+1 {
			off = append(off, int32(i))
		}
	}
	return append(off, int32(len(positions)))
}

// slides reports whether a layer's attention has a window.
func (m *Model) slides() bool {
	for _, l := range m.Decoder.Layers {
		if l.Attention.Window > 0 {
			return true
		}
	}
	return false
}

// holes reports whether a hidden position lies between two visible ones: a
// window counts it.
func holes(mask []int64, batch, t int) bool {
	for s := range batch {
		ends := 0
		row := mask[s*t : (s+1)*t]
		for j, v := range row {
			if v != 0 && (j+1 == t || row[j+1] == 0) {
				ends++
			}
		}
		if ends > 1 {
			return true
		}
	}
	return false
}

// lastTokens returns the grid position of the last token of each sequence that
// is not padding. Without ids or a padding id it is the last position.
func lastTokens(ids []int32, batch, t, pad int) ([]int32, error) {
	if pad < 0 && batch != 1 {
		return nil, nn.InputError("input_ids", "%d sequences; without a pad_token_id in config.json the class takes one", batch)
	}
	last := make([]int32, batch)
	for s := range last {
		j := t - 1
		for pad >= 0 && ids != nil && j > 0 && int(ids[s*t+j]) == pad {
			j--
		}
		last[s] = int32(s*t + j)
	}
	return last, nil
}
