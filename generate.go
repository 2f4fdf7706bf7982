package weft

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/task/generate"
)

// Types of text generation.
type (
	// Generator writes text with a model and settings.
	Generator = generate.Generator
	// Generated is what a Generator wrote.
	Generated = generate.Result
	// Token is one token of a stream.
	Token = generate.Token
)

// Generator returns a writer with the settings of generation_config.json, else
// of config.json. set overrides single keys by their names there: max_new_tokens,
// num_beams, do_sample, temperature, eos_token_id … A null switches one off.
func (m *Model) Generator(set map[string]json.RawMessage) (*Generator, error) {
	inner, _ := m.net.(guarded)
	net, ok := inner.Model.(nn.Generator)
	if !ok {
		return nil, nn.Unsupported("generate with %s", m.class)
	}
	settings := m.config
	if name := "generation_config.json"; m.dir.Exists(name) {
		var err error
		if settings, err = m.dir.Config(name); err != nil {
			return nil, err
		}
	}
	c, err := generate.ParseConfig(settings, set)
	if err != nil {
		return nil, err
	}
	g := &Generator{Model: guardedGenerator{net}, Config: c}
	if m.HasTokenizer() {
		if g.Tokenizer, err = m.Tokenizer(); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// GenerateText continues a prompt, or answers it if the model has an encoder,
// and returns the new text. set is as in [Model.Generator].
func (m *Model) GenerateText(ctx context.Context, prompt string, set map[string]json.RawMessage) (string, error) {
	text := ""
	for t, err := range m.StreamText(ctx, prompt, set) {
		if err != nil {
			return text, err
		}
		text += t.Text
	}
	return text, nil
}

// StreamText is GenerateText token by token.
func (m *Model) StreamText(ctx context.Context, prompt string, set map[string]json.RawMessage) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		g, err := m.Generator(set)
		if err == nil && g.Tokenizer == nil {
			err = fmt.Errorf("%w: the model's directory has no tokenizer", ErrInput)
		}
		var in Inputs
		if err == nil {
			in, err = generate.Prompts(g.Tokenizer, prompt)
		}
		if err != nil {
			yield(Token{}, err)
			return
		}
		for t, err := range g.Stream(ctx, in) {
			if !yield(t, err) {
				return
			}
		}
	}
}

// guardedGenerator is guarded for decoders.
type guardedGenerator struct{ nn.Generator }

func (g guardedGenerator) NewDecoder() nn.Decoder {
	d := g.Generator.NewDecoder()
	if d == nil {
		return nil
	}
	out := &guardedDecoder{Decoder: d}
	out.step = func() (err error) {
		out.logits, err = out.Decoder.Step(out.ctx, out.ids)
		return err
	}
	return out
}

// guardedDecoder keeps the arguments of Step, so that a token allocates nothing.
type guardedDecoder struct {
	nn.Decoder
	step   func() error
	ctx    context.Context
	ids    []int32
	logits Tensor
}

func (g *guardedDecoder) Prefill(ctx context.Context, p nn.Prompt) (logits Tensor, err error) {
	err = safetensors.Guard(func() error {
		logits, err = g.Decoder.Prefill(ctx, p)
		return err
	})
	return logits, err
}

// Resume and Cut make it an nn.Resumer where the model's decoder is one.
func (g *guardedDecoder) Resume(ctx context.Context, past []Tensor) error {
	r, ok := g.Decoder.(nn.Resumer)
	if !ok {
		return nn.Unsupported("generation from past_key_values with this model")
	}
	return r.Resume(ctx, past)
}

func (g *guardedDecoder) Cut(rows int) {
	if r, ok := g.Decoder.(nn.Resumer); ok {
		r.Cut(rows)
	}
}

func (g *guardedDecoder) Step(ctx context.Context, ids []int32) (Tensor, error) {
	g.ctx, g.ids = ctx, ids
	err := safetensors.Guard(g.step)
	return g.logits, err
}
