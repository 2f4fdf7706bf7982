package t5

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// DecoderInfo describes the class as a generator of text. Relative positions
// have no last one.
func (m *Model) DecoderInfo() nn.DecoderInfo {
	return nn.DecoderInfo{VocabSize: m.Config.VocabSize, Encoder: true, Input: "input_ids"}
}

// NewDecoder returns a decoder of a ForConditionalGeneration class, nil for
// others.
func (m *Model) NewDecoder() nn.Decoder {
	if m.task != "ForConditionalGeneration" {
		return nil
	}
	n, b := m.Config.Heads*m.Config.DKV, m.params.Backend()
	return &decoder{m: m, self: nn.NewCache(b, m.Config.DecoderLayers, n, n), cross: nn.NewCache(b, m.Config.DecoderLayers, n, n)}
}

type decoder struct {
	m      *Model
	self   *nn.Cache
	cross  *nn.Cache // the keys and values of the encoder's output
	ids    []int32
	logits nn.HostRows
}

func (d *decoder) Prefill(ctx context.Context, prompt nn.Prompt) (tensor.Tensor, error) {
	logits, err := d.prefill(ctx, prompt)
	if err != nil {
		return logits, fmt.Errorf("%s: %w", d.m.Class, err)
	}
	return logits, nil
}

func (d *decoder) prefill(ctx context.Context, prompt nn.Prompt) (tensor.Tensor, error) {
	if err := prompt.Inputs.Known("input_ids", "attention_mask", "inputs_embeds"); err != nil {
		return tensor.Tensor{}, err
	}
	p := d.m.params.Backend().Begin(ctx)
	defer p.End()
	in, err := d.m.input(p, prompt.Inputs, d.m.Encoder, "", false)
	if err != nil {
		return tensor.Tensor{}, err
	}
	if in.r.B != len(prompt.IDs) {
		return tensor.Tensor{}, nn.InputError("input_ids", "%d sequences, want %d", in.r.B, len(prompt.IDs))
	}
	x := d.m.Encoder.last(p, in, Watch{})
	visible := in.r
	if visible.Hidden != nil {
		visible = visible.Visible()
		x = gather(p, x, visible.Row)
	}
	d.cross.Reset(in.r.B, visible.Rows())
	d.cross.Extend(func(s int) int { return int(visible.Off[s+1] - visible.Off[s]) })
	d.self.Reset(len(prompt.IDs), prompt.Room)
	d.ids = d.ids[:0]
	for _, ids := range prompt.IDs {
		d.ids = append(d.ids, ids...)
	}
	d.self.Extend(func(s int) int { return len(prompt.IDs[s]) })
	return d.forward(p, x)
}

func (d *decoder) Step(ctx context.Context, ids []int32) (tensor.Tensor, error) {
	d.ids = append(d.ids[:0], ids...)
	d.self.Extend(func(int) int { return 1 })
	p := d.m.params.Backend().Begin(ctx)
	defer p.End()
	return d.forward(p, tensor.Tensor{})
}

func (d *decoder) Reorder(from []int32) {
	d.self.Reorder(from)
	d.cross.Reorder(from)
}

// forward runs the rows that the cache was extended by. encoder is the
// encoder's output if its keys and values are still to be made.
func (d *decoder) forward(p nn.Pass, encoder tensor.Tensor) (tensor.Tensor, error) {
	m := d.m.Decoder
	args := d.self.Args()
	b := Batch{
		IDs: d.ids, Attention: m.Bias.Args(p, args, nil), Groups: args.QOff,
		Encoder: encoder, Cross: d.cross.CrossArgs(args.QOff),
	}
	x := m.Forward(p, b, Watch{})
	x = m.Norm.Forward(p, gather(p, x, d.self.LastRows()))
	return d.logits.Keep(p, d.m.params, d.m.project(p, x))
}
