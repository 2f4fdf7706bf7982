package weft

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/clip"
	"github.com/seed-512d3d71/weft/nn/tri"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/task/caption"
	"github.com/seed-512d3d71/weft/task/encode"
	"github.com/seed-512d3d71/weft/task/match"
	"github.com/seed-512d3d71/weft/text"
	"github.com/seed-512d3d71/weft/vision"
)

// aligned is a model whose texts and pictures, and perhaps sounds, lie in one
// space.
type aligned interface {
	MaxTokens() int // of a text; 0: any number
	PadTexts(sentences [][]int64) nn.Inputs
	TextFeatures(ctx context.Context, in nn.Inputs) (Tensor, error)
	ImageFeatures(ctx context.Context, in nn.Inputs, o nn.RunOptions) (Tensor, error)
}

// aligned returns the model as one, or an [ErrUnsupported].
func (m *Model) aligned() (aligned, error) {
	inner, _ := m.net.(guarded)
	net, ok := inner.Model.(aligned)
	if !ok {
		return nil, nn.Unsupported("features of %s in a space of texts and pictures", m.class)
	}
	return net, nil
}

// TextFeatures returns the vectors [N, D] of sentences in the space that texts
// and pictures share, not normalised: those of a tri-encoder, and CLIP's and
// SigLIP's get_text_features. Longer texts than the model has positions for are
// cut.
func (m *Model) TextFeatures(ctx context.Context, sentences ...string) (Tensor, error) {
	net, err := m.aligned()
	if err != nil {
		return Tensor{}, err
	}
	tok, err := m.Tokenizer()
	if err != nil {
		return Tensor{}, err
	}
	ids := make([][]int64, len(sentences))
	for i, s := range sentences {
		e, err := tok.Encode(s, text.EncodeOptions{NoPadding: true, MaxLength: net.MaxTokens()})
		if err != nil {
			return Tensor{}, fmt.Errorf("text %d: %w", i, err)
		}
		for _, id := range e.IDs {
			ids[i] = append(ids[i], int64(id))
		}
	}
	var out Tensor
	err = safetensors.Guard(func() (err error) {
		out, err = net.TextFeatures(ctx, net.PadTexts(ids))
		return err
	})
	return out, err
}

// ImageFeatures returns the vectors [N, D] of pictures in the space that texts
// and pictures share, not normalised: those of a tri-encoder, and CLIP's and
// SigLIP's get_image_features.
func (m *Model) ImageFeatures(ctx context.Context, pictures ...*vision.Image) (Tensor, error) {
	net, err := m.aligned()
	if err != nil {
		return Tensor{}, err
	}
	p, err := m.ImageProcessor()
	if err != nil {
		return Tensor{}, err
	}
	out, err := encode.Image{Model: guarded{imageFeatures{net}}, Processor: p}.Run(ctx, pictures...)
	return out.Get("image_features"), err
}

// SpeechFeatures returns the vectors [N, D] of sounds in the space that they
// share with texts and pictures, not normalised. Each sound is encoded as it
// would be alone, however long the others are.
func (m *Model) SpeechFeatures(ctx context.Context, clips ...*audio.Clip) (Tensor, error) {
	inner, _ := m.net.(guarded)
	net, ok := inner.Model.(interface {
		SpeechFeatures(ctx context.Context, in nn.Inputs) (Tensor, error)
	})
	if !ok {
		return Tensor{}, nn.Unsupported("features of sounds with %s", m.class)
	}
	x, err := m.FeatureExtractor()
	if err != nil {
		return Tensor{}, err
	}
	in, err := encode.Sounds(x, clips...)
	if err != nil {
		return Tensor{}, err
	}
	var out Tensor
	err = safetensors.Guard(func() (err error) {
		out, err = net.SpeechFeatures(ctx, in)
		return err
	})
	return out, err
}

// Has reports whether the model encodes this kind of item into a space that it
// shares with others.
func (m *Model) Has(kind match.Kind) bool {
	inner, _ := m.net.(guarded)
	switch net := inner.Model.(type) {
	case *tri.Model:
		return map[match.Kind]bool{match.Text: m.parts.text != nil, match.Image: m.parts.image != nil, match.Sound: m.parts.speech != nil}[kind]
	case *clip.Model:
		return kind == match.Text && net.Text != nil || kind == match.Image && net.Vision != nil
	}
	return false
}

// LogitScale returns what training multiplies cosines by, exp(logit_scale); 1 for
// a model without.
func (m *Model) LogitScale() float64 {
	inner, _ := m.net.(guarded)
	if net, ok := inner.Model.(interface{ LogitScale() float64 }); ok {
		return net.LogitScale()
	}
	return 1
}

// Captions says in words what pictures, sounds or sentences show or mean, by the
// decoder of a tri-encoder.
func (m *Model) Captions(ctx context.Context, items ...match.Item) ([]string, error) {
	unit, err := match.Embed(ctx, m, items...)
	if err != nil {
		return nil, err
	}
	return m.CaptionsOf(ctx, unit)
}

// CaptionsOf is Captions for vectors [N, D] of the shared space, of length 1 as
// [match.Embed] returns them.
func (m *Model) CaptionsOf(ctx context.Context, unit Tensor) ([]string, error) {
	inner, _ := m.net.(guarded)
	net, ok := inner.Model.(*tri.Model)
	if !ok || m.parts.caption == nil {
		return nil, nn.Unsupported("captions with %s", m.class)
	}
	g, err := m.parts.caption.Generator(nil)
	if err != nil {
		return nil, err
	}
	c := caption.Captioner{Generator: g, Prefix: func(ctx context.Context, unit Tensor) (x Tensor, err error) {
		err = safetensors.Guard(func() error {
			x, err = net.Prefix(ctx, unit)
			return err
		})
		return x, err
	}}
	return c.Captions(ctx, unit)
}

// imageFeatures runs a model's ImageFeatures as a model of its own.
type imageFeatures struct{ aligned }

func (f imageFeatures) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	x, err := f.ImageFeatures(ctx, in, o)
	if err != nil {
		return nil, err
	}
	return nn.Outputs{{Name: "image_features", Tensor: x}}, nil
}
