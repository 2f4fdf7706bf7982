package weft

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/task/encode"
	"github.com/seed-512d3d71/weft/text"
	"github.com/seed-512d3d71/weft/vision"
)

// aligned is a model whose texts and pictures lie in one space.
type aligned interface {
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
// and pictures share, not normalised: CLIP's and SigLIP's get_text_features.
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
		e, err := tok.Encode(s, text.EncodeOptions{NoPadding: true})
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
// and pictures share, not normalised: CLIP's and SigLIP's get_image_features.
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

// imageFeatures runs a model's ImageFeatures as a model of its own.
type imageFeatures struct{ aligned }

func (f imageFeatures) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	x, err := f.ImageFeatures(ctx, in, o)
	if err != nil {
		return nil, err
	}
	return nn.Outputs{{Name: "image_features", Tensor: x}}, nil
}
