package llama

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// DecoderInfo describes the class as a generator of text.
func (m *Model) DecoderInfo() nn.DecoderInfo {
	c := m.Decoder.Config
	return nn.DecoderInfo{VocabSize: c.VocabSize, MaxPositions: c.Rope.MaxPositions, Longer: true, Windowed: m.slides()}
}

// NewDecoder returns a decoder of a ForCausalLM class, nil for others.
func (m *Model) NewDecoder() nn.Decoder {
	if m.task != "ForCausalLM" {
		return nil
	}
	c := m.Decoder.Config
	n := c.KVHeads * c.HeadDim
	return &decoder{m: m, cache: nn.NewCache(m.params.Backend(), c.HiddenLayers, n, n)}
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
		return tensor.Tensor{}, fmt.Errorf("%s: %w", d.m.Class, p.Inputs.Known())
	}
	var err error
	if d.embeds, err = p.Vectors(d.m.Decoder.Config.HiddenSize); err != nil {
		return tensor.Tensor{}, fmt.Errorf("%s: %w", d.m.Class, err)
	}
	d.cache.Reset(p.Sequences(), p.Room)
	d.ids = d.ids[:0]
	for _, ids := range p.IDs {
		d.ids = append(d.ids, ids...)
	}
	d.cache.Extend(p.Len)
	return d.forward(ctx)
}

func (d *decoder) Step(ctx context.Context, ids []int32) (tensor.Tensor, error) {
	d.ids, d.embeds = append(d.ids[:0], ids...), nil
	d.cache.Extend(func(int) int { return 1 })
	return d.forward(ctx)
}

func (d *decoder) Reorder(from []int32) { d.cache.Reorder(from) }

// forward runs the rows that the cache was extended by.
func (d *decoder) forward(ctx context.Context) (tensor.Tensor, error) {
	m := d.m.Decoder
	length := 0
	for s := range d.cache.Sequences() {
		length = max(length, d.cache.Rows(s))
	}
	p := d.m.params.Backend().Begin(ctx)
	defer p.End()
	b := Batch{IDs: d.ids, Position: d.cache.Positions(), Length: length, Attention: d.cache.Args(), Last: d.cache.LastRows()}
	if d.embeds != nil {
		b.IDs, b.Embeds = nil, p.Floats(d.embeds, len(b.Position), m.Config.HiddenSize)
	}
	x := m.Forward(p, b, Watch{})
	x = m.Norm.Forward(p, x)
	return d.logits.Keep(p, d.m.params, d.m.project(p, x))
}

// EmbedTokens returns the rows of embed_tokens [n, C] for ids.
func (m *Model) EmbedTokens(ctx context.Context, ids ...int32) (tensor.Tensor, error) {
	c := m.Decoder.Config
	for i, id := range ids {
		if id < 0 || int(id) >= c.VocabSize {
			return tensor.Tensor{}, fmt.Errorf("%s: %w", m.Class, nn.InputError("input_ids", "element %d is %d, want 0 … %d", i, id, c.VocabSize-1))
		}
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	x := p.New(len(ids), c.HiddenSize)
	p.Embedding(x, p.Ints(ids), m.Decoder.Token.Table, false)
	return p.Host(x).Clone(), p.Err()
}
