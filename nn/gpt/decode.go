package gpt

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// DecoderInfo describes the class as a generator of text.
func (m *Model) DecoderInfo() nn.DecoderInfo {
	c := m.Transformer.Config
	return nn.DecoderInfo{VocabSize: c.VocabSize, MaxPositions: c.NPositions}
}

// NewDecoder returns a decoder of GPT2LMHeadModel or GPT2DoubleHeadsModel, nil
// for a class that does not generate.
func (m *Model) NewDecoder() nn.Decoder {
	if m.task != "LMHeadModel" && m.task != "DoubleHeadsModel" {
		return nil
	}
	c := m.Transformer.Config
	return &decoder{m: m, cache: nn.NewCache(m.params.Backend(), c.NLayer, c.NEmbd, c.NEmbd)}
}

type decoder struct {
	m      *Model
	cache  *nn.Cache
	ids    []int32
	embeds []float32 // vectors in place of ids, nil: none
	logits nn.HostRows
}

func (d *decoder) Prefill(ctx context.Context, p nn.Prompt) (tensor.Tensor, error) {
	if len(p.Inputs) > 0 {
		return tensor.Tensor{}, fmt.Errorf("gpt2: %w", p.Inputs.Known())
	}
	var err error
	if d.embeds, err = p.Vectors(d.m.Transformer.Config.NEmbd); err != nil {
		return tensor.Tensor{}, fmt.Errorf("gpt2: %w", err)
	}
	d.cache.Reset(p.Sequences(), p.Room)
	d.ids = d.ids[:0]
	for s, ids := range p.IDs {
		if len(ids) == 0 {
			return tensor.Tensor{}, fmt.Errorf("gpt2: %w", nn.InputError("input_ids", "prompt %d is empty", s))
		}
		d.ids = append(d.ids, ids...)
	}
	return d.extend(ctx, p.Len)
}

func (d *decoder) Step(ctx context.Context, ids []int32) (tensor.Tensor, error) {
	if len(ids) != d.cache.Sequences() {
		return tensor.Tensor{}, fmt.Errorf("gpt2: %w", nn.InputError("input_ids", "%d tokens for %d sequences", len(ids), d.cache.Sequences()))
	}
	d.ids, d.embeds = append(d.ids[:0], ids...), nil
	return d.extend(ctx, func(int) int { return 1 })
}

// extend appends d.ids, n(s) of them to sequence s, and returns the logits
// after the last of each.
func (d *decoder) extend(ctx context.Context, n func(s int) int) (tensor.Tensor, error) {
	c := d.m.Transformer.Config
	for i, id := range d.ids {
		if id < 0 || int(id) >= c.VocabSize {
			return tensor.Tensor{}, fmt.Errorf("gpt2: %w", nn.InputError("input_ids", "element %d is %d, want 0 … %d", i, id, c.VocabSize-1))
		}
	}
	for s := range d.cache.Sequences() {
		if rows := d.cache.Rows(s) + n(s); rows > c.NPositions {
			return tensor.Tensor{}, fmt.Errorf("gpt2: %w", nn.InputError("input_ids", "%d tokens; the model has %d positions (n_positions)", rows, c.NPositions))
		}
	}
	d.cache.Extend(n)
	return d.forward(ctx)
}

func (d *decoder) Reorder(from []int32) { d.cache.Reorder(from) }

func (d *decoder) Cut(rows int) { d.cache.Cut(rows) }

func (d *decoder) Resume(ctx context.Context, past []tensor.Tensor) error {
	c := d.m.Transformer.Config
	if len(past) != 2*c.NLayer {
		return fmt.Errorf("gpt2: %w", nn.InputError("past_key_values", "%d tensors, want %d", len(past), 2*c.NLayer))
	}
	if err := tensor.CheckShape("past_key_values", past[0].Shape(), []int{-1, c.NHead, -1, c.NEmbd / c.NHead}); err != nil {
		return fmt.Errorf("gpt2: %w: %w", nn.ErrInput, err)
	}
	p := d.m.params.Backend().Begin(ctx)
	defer p.End()
	return d.cache.Fill(p, past)
}

// forward runs the rows that the cache was extended by.
func (d *decoder) forward(ctx context.Context) (tensor.Tensor, error) {
	t := d.m.Transformer
	p := d.m.params.Backend().Begin(ctx)
	defer p.End()
	b := Batch{IDs: d.ids, Position: d.cache.Positions(), Attention: d.cache.Args(), Last: d.cache.LastRows()}
	if d.embeds != nil {
		b.IDs, b.Embeds = nil, p.Floats(d.embeds, len(b.Position), t.Config.NEmbd)
	}
	x := t.Forward(p, b, nil)
	return d.logits.Keep(p, d.m.params, d.m.project(p, t.Norm.Forward(p, x)))
}

// EmbedTokens returns the rows of wte [n, C] for ids.
func (m *Model) EmbedTokens(ctx context.Context, ids ...int32) (tensor.Tensor, error) {
	c := m.Transformer.Config
	for i, id := range ids {
		if id < 0 || int(id) >= c.VocabSize {
			return tensor.Tensor{}, fmt.Errorf("gpt2: %w", nn.InputError("input_ids", "element %d is %d, want 0 … %d", i, id, c.VocabSize-1))
		}
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	x := p.New(len(ids), c.NEmbd)
	p.Embedding(x, p.Ints(ids), m.Transformer.Token.Table, false)
	return p.Host(x).Clone(), p.Err()
}
