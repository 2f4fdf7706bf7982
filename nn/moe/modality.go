package moe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Decoder turns joint features into the output of one modality. It is safe for
// concurrent use.
type Decoder interface {
	// Decode returns the outputs for features [n, C], all with n as their first
	// dimension.
	Decode(ctx context.Context, features tensor.Tensor) (nn.Outputs, error)
}

// Modality is a choice of [Modalities]: a decoder that is opened when a feature
// first chooses it. Without Open it answers nothing.
type Modality struct {
	Name string // "text", "image", "audio", "none", …
	Open func() (Decoder, error)
}

// Modalities is a mixture of experts whose experts are decoders: from a joint
// feature of what came in, a router chooses what goes out. A decoder that no
// feature has chosen is not opened.
type Modalities struct {
	Router  Router
	Choices []Modality

	params nn.Params
	opened []openDecoder
}

type openDecoder struct {
	mu sync.Mutex
	d  Decoder
}

// NewModalities binds the router's gate, name.weight [choices, width] and, if it
// is there, name.bias. r says how it chooses.
func NewModalities(p nn.Params, name string, width int, r Router, choices ...Modality) (*Modalities, error) {
	if r.Policy == ExpertChoice || r.Capacity > 0 {
		return nil, nn.Unsupported("features that compete for a modality")
	}
	if err := r.Check(len(choices)); err != nil {
		return nil, err
	}
	r.Gate = p.Linear(name, width, len(choices), p.Has(name+".bias"))
	if err := p.Err(); err != nil {
		return nil, err
	}
	return &Modalities{Router: r, Choices: choices, params: p, opened: make([]openDecoder, len(choices))}, nil
}

// Answer is what one feature gives.
type Answer struct {
	// Weights are those of the choices, 0 where one is not chosen.
	Weights []float32
	// Outputs are the outputs of the chosen decoders, without the batch's
	// dimension. Where several give one of the same name it is their weighted
	// mean.
	Outputs nn.Outputs
}

// Forward answers each of the features [n, C]. Each chosen decoder runs once,
// on all features that chose it.
func (m *Modalities) Forward(ctx context.Context, features tensor.Tensor) ([]Answer, error) {
	width := m.Router.Gate.W.In()
	if err := tensor.CheckShape("features", features.Shape(), []int{-1, width}); err != nil {
		return nil, fmt.Errorf("%w: %w", nn.ErrInput, err)
	}
	if !features.Contiguous() {
		features = features.Clone()
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	x := p.Floats(features.F32(), features.Rows(), width)
	r := routings.Get().(*Routing)
	defer routings.Put(r)
	m.Router.Route(p, r, m.Router.Logits(p, x), nil)
	if err := p.Err(); err != nil {
		return nil, err
	}
	answers := make([]Answer, features.Rows())
	for i := range answers {
		answers[i].Weights = make([]float32, len(m.Choices))
	}
	totals := make([]map[string]float32, len(answers))
	for c, choice := range m.Choices {
		rows, weights := r.Row[r.Expert[c]:r.Expert[c+1]], r.Weight[r.Expert[c]:r.Expert[c+1]]
		for j, row := range rows {
			answers[row].Weights[c] = weights[j]
		}
		if len(rows) == 0 || choice.Open == nil {
			continue
		}
		d, err := m.decoder(c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", choice.Name, err)
		}
		chosen := p.New(len(rows), width)
		p.Gather(chosen, x, p.Ints(rows))
		outputs, err := d.Decode(ctx, p.Host(chosen).Clone())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", choice.Name, err)
		}
		for _, o := range outputs {
			if o.Rank() == 0 || o.Dim(0) != len(rows) {
				return nil, fmt.Errorf("%s: %s: shape %v for %d features: %w", choice.Name, o.Name, o.Shape(), len(rows), tensor.ErrShape)
			}
			for j, row := range rows {
				if totals[row] == nil {
					totals[row] = map[string]float32{}
				}
				if err := answers[row].mix(o, j, weights[j], totals[row]); err != nil {
					return nil, fmt.Errorf("%s: %w", choice.Name, err)
				}
			}
		}
	}
	return answers, nil
}

// mix adds row j of an output, whose decoder has the given weight. total holds
// the weights of what has been mixed by name.
func (a *Answer) mix(o nn.Output, j int, weight float32, total map[string]float32) error {
	shape := o.Shape()[1:]
	each := o.Len() / o.Dim(0)
	have := a.Outputs.Get(o.Name)
	if have.IsZero() {
		one := nn.Output{Name: o.Name}
		if o.DType() == tensor.I64 {
			one.Tensor = tensor.FromI64(o.I64()[j*each:][:each], shape...).Clone()
		} else {
			one.Tensor = tensor.FromF32(o.F32()[j*each:][:each], shape...).Clone()
		}
		a.Outputs = append(a.Outputs, one)
		total[o.Name] = weight
		return nil
	}
	if err := tensor.CheckShape(o.Name, shape, have.Shape()); err != nil {
		return err
	}
	if have.DType() != tensor.F32 || o.DType() != tensor.F32 {
		return fmt.Errorf("%s: integers of two decoders cannot be mixed: %w", o.Name, tensor.ErrShape)
	}
	total[o.Name] += weight
	share := weight / total[o.Name]
	mean := have.F32()
	for i, v := range o.F32()[j*each:][:each] {
		mean[i] += float32(share * (v - mean[i]))
	}
	return nil
}

// decoder returns the decoder of a choice, opening it at the first call.
func (m *Modalities) decoder(c int) (Decoder, error) {
	o := &m.opened[c]
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.d == nil {
		d, err := m.Choices[c].Open()
		if err != nil {
			return nil, err
		}
		o.d = d
	}
	return o.d, nil
}

// Opened reports whether the decoder of a choice has been opened.
func (m *Modalities) Opened(c int) bool {
	m.opened[c].mu.Lock()
	defer m.opened[c].mu.Unlock()
	return m.opened[c].d != nil
}

// Close closes the opened decoders that are [io.Closer]s. They are opened anew
// if a feature chooses them again.
func (m *Modalities) Close() error {
	var all error
	for c := range m.opened {
		o := &m.opened[c]
		o.mu.Lock()
		if closer, ok := o.d.(io.Closer); ok {
			all = errors.Join(all, closer.Close())
		}
		o.d = nil
		o.mu.Unlock()
	}
	return all
}

// ModelDecoder is a [Decoder] that gives a feature to a model as a sequence of
// one token: as inputs_embeds to a decoder of text.
type ModelDecoder struct {
	Model nn.Model
	Input string // the name of the input, "" is inputs_embeds
}

// Decode runs the model on the features [n, 1, C].
func (d ModelDecoder) Decode(ctx context.Context, features tensor.Tensor) (nn.Outputs, error) {
	name := d.Input
	if name == "" {
		name = "inputs_embeds"
	}
	return d.Model.Run(ctx, nn.Inputs{name: features.Reshape(features.Rows(), 1, features.Cols())}, nn.RunOptions{})
}
