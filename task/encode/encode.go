// Package encode turns a sentence, a picture or a sound into a model's
// features: preprocessing as the checkpoint's own files say, then one forward
// pass.
package encode

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
	"github.com/seed-512d3d71/weft/vision"
)

// Text is a text model and its tokenizer.
type Text struct {
	Model     nn.Model
	Tokenizer *text.Tokenizer
	TypeIDs   bool // the model takes token_type_ids
}

// Run runs the model on sentences as one batch. Outputs are padded to the
// longest sentence, as a Hugging Face tokenizer with padding=True pads them.
func (t Text) Run(ctx context.Context, sentences ...string) (nn.Outputs, error) {
	in, err := t.Inputs(sentences...)
	if err != nil {
		return nil, err
	}
	return t.Model.Run(ctx, in, nn.RunOptions{})
}

// Inputs tokenizes sentences: input_ids, attention_mask and, if the model
// takes them, token_type_ids, each [B, T].
func (t Text) Inputs(sentences ...string) (nn.Inputs, error) {
	encs := make([]text.Encoding, len(sentences))
	longest := 0
	for i, s := range sentences {
		var err error
		if encs[i], err = t.Tokenizer.Encode(s, text.EncodeOptions{NoPadding: true}); err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
		longest = max(longest, len(encs[i].IDs))
	}
	if longest == 0 {
		return nil, nn.InputError("text", "no tokens")
	}
	n := len(encs) * longest
	ids, mask, types := make([]int64, n), make([]int64, n), make([]int64, n)
	for i, e := range encs {
		for j, id := range e.IDs {
			k := i*longest + j
			ids[k], mask[k] = int64(id), 1
			if j < len(e.TypeIDs) {
				types[k] = int64(e.TypeIDs[j])
			}
		}
	}
	in := nn.Inputs{
		"input_ids":      tensor.FromI64(ids, len(encs), longest),
		"attention_mask": tensor.FromI64(mask, len(encs), longest),
	}
	if t.TypeIDs {
		in["token_type_ids"] = tensor.FromI64(types, len(encs), longest)
	}
	return in, nil
}

// Image is an image model and its processor.
type Image struct {
	Model     nn.Model
	Processor *vision.Processor
}

// Run runs the model on pictures, which the processor must bring to one size,
// as one batch.
func (m Image) Run(ctx context.Context, pictures ...*vision.Image) (nn.Outputs, error) {
	var pixels []float32
	var shape [3]int
	for i, pic := range pictures {
		data, s, err := m.Processor.Process(pic)
		if err != nil {
			return nil, fmt.Errorf("image %d: %w", i, err)
		}
		if i > 0 && s != shape {
			return nil, nn.InputError("image", "pictures of one batch come out as %v and %v", shape, s)
		}
		pixels, shape = append(pixels, data...), s
	}
	return m.Model.Run(ctx, nn.Inputs{
		"pixel_values": tensor.FromF32(pixels, len(pictures), shape[0], shape[1], shape[2]),
	}, nn.RunOptions{})
}

// Audio is a speech model and its feature extractor.
type Audio struct {
	Model     nn.Model
	Extractor *audio.Extractor
}

// Run runs the model on one sound.
func (m Audio) Run(ctx context.Context, clip *audio.Clip) (nn.Outputs, error) {
	name, data, shape, err := m.Extractor.Process(clip)
	if err != nil {
		return nil, fmt.Errorf("audio: %w", err)
	}
	return m.Model.Run(ctx, nn.Inputs{name: tensor.FromF32(data, shape...)}, nn.RunOptions{})
}

// Sounds brings each sound to a model's input_values by itself and lays them
// out as one batch, padded to the longest with zeros that attention_mask hides.
func Sounds(x *audio.Extractor, clips ...*audio.Clip) (nn.Inputs, error) {
	const name = "input_values"
	rows := make([][]float32, len(clips))
	longest := 0
	for i, clip := range clips {
		got, data, shape, err := x.Process(clip)
		if err != nil {
			return nil, fmt.Errorf("sound %d: %w", i, err)
		}
		if got != name || len(shape) != 2 {
			return nil, nn.Unsupported("a batch of the %s %v of %s", got, shape, x.Class())
		}
		rows[i], longest = data, max(longest, len(data))
	}
	if longest == 0 {
		return nil, nn.InputError(name, "no sounds")
	}
	if n, ok := tensor.Elems(len(clips), longest); !ok || n > 1<<28 {
		return nil, nn.InputError(name, "%d sounds of up to %d samples are too large a batch", len(clips), longest)
	}
	data, mask := make([]float32, len(clips)*longest), make([]int64, len(clips)*longest)
	for i, row := range rows {
		copy(data[i*longest:], row)
		for j := range row {
			mask[i*longest+j] = 1
		}
	}
	return nn.Inputs{name: tensor.FromF32(data, len(clips), longest), "attention_mask": tensor.FromI64(mask, len(clips), longest)}, nil
}

// MultiModal is the multi-modal encoder: three encoders side by side.
type MultiModal struct {
	Text  Text
	Image Image
	Audio Audio
}

// Input is what MultiModal encodes. Absent parts are left out of the result.
type Input struct {
	Text  string
	Image *vision.Image
	Audio *audio.Clip
}

// Features are the encoders' outputs; those of absent inputs are nil.
type Features struct {
	Text  nn.Outputs // last_hidden_state [1, T, C], …
	Image nn.Outputs // last_hidden_state [1, P, C], …
	Audio nn.Outputs // extract_features and last_hidden_state [1, F, C], …
}

// Encode runs the encoders that in has an input for.
func (m MultiModal) Encode(ctx context.Context, in Input) (Features, error) {
	var f Features
	var err error
	if in.Text != "" {
		if f.Text, err = m.Text.Run(ctx, in.Text); err != nil {
			return f, fmt.Errorf("text: %w", err)
		}
	}
	if in.Image != nil {
		if f.Image, err = m.Image.Run(ctx, in.Image); err != nil {
			return f, fmt.Errorf("image: %w", err)
		}
	}
	if in.Audio != nil {
		if f.Audio, err = m.Audio.Run(ctx, in.Audio); err != nil {
			return f, fmt.Errorf("audio: %w", err)
		}
	}
	return f, nil
}
