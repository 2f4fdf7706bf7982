package clip

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// TextFeatures returns the vectors [B, D] of sentences in the common space, as
// get_text_features does: not normalised. Inputs are those of Run for texts.
func (m *Model) TextFeatures(ctx context.Context, in nn.Inputs) (tensor.Tensor, error) {
	if !m.parts.text || !m.parts.projection && !m.Config.SigLIP {
		return tensor.Tensor{}, nn.Unsupported("text features of %s", m.Class)
	}
	err := in.Known(textInputs...)
	return m.features(ctx, err, func(p nn.Pass) (encoded, error) { return m.text(p, in, nn.RunOptions{}) })
}

// ImageFeatures returns the vectors [B, D] of pictures in the common space, as
// get_image_features does: not normalised. Inputs are those of Run for
// pictures, with its argument interpolate_pos_encoding.
func (m *Model) ImageFeatures(ctx context.Context, in nn.Inputs, o nn.RunOptions) (tensor.Tensor, error) {
	if !m.parts.vision || !m.parts.projection && m.pool == nil {
		return tensor.Tensor{}, nn.Unsupported("image features of %s", m.Class)
	}
	err := in.Known(visionInput)
	if err == nil {
		err = o.Known(interpolates)
	}
	o.HiddenStates = false
	return m.features(ctx, err, func(p nn.Pass) (encoded, error) { return m.vision(p, in, o) })
}

// features runs an encoder and returns its pooled output.
func (m *Model) features(ctx context.Context, err error, run func(p nn.Pass) (encoded, error)) (tensor.Tensor, error) {
	if err != nil {
		return tensor.Tensor{}, fmt.Errorf("clip: %w", err)
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	e, err := run(p)
	if err != nil {
		return tensor.Tensor{}, fmt.Errorf("clip: %w", err)
	}
	out, err := nn.Finish(p, m.params, nn.Outputs{{Name: "features", Tensor: p.Host(e.pooled).Clone()}})
	if err != nil {
		return tensor.Tensor{}, err
	}
	return out[0].Tensor, nil
}

// LogitScale returns exp(logit_scale), 1 for an encoder alone.
func (m *Model) LogitScale() float64 {
	if m.parts.text && m.parts.vision {
		return float64(m.scale)
	}
	return 1
}

// MaxTokens returns the most tokens that a text can have.
func (m *Model) MaxTokens() int { return m.Config.Text.MaxPositionEmbeddings }

// PadTexts lays out token ids as the model was trained on them: input_ids
// [B, T], filled up with pad_token_id to the longest and with an attention_mask,
// or, for SigLIP, to max_position_embeddings and without a mask.
func (m *Model) PadTexts(sentences [][]int64) nn.Inputs {
	c, t := m.Config.Text, 0
	for _, ids := range sentences {
		t = max(t, len(ids))
	}
	if m.Config.SigLIP {
		t = max(t, c.MaxPositionEmbeddings)
	}
	ids, mask := make([]int64, len(sentences)*t), make([]int64, len(sentences)*t)
	for s, row := range sentences {
		for j := range t {
			i := s*t + j
			if ids[i] = int64(c.PadTokenID); j < len(row) {
				ids[i], mask[i] = row[j], 1
			}
		}
	}
	in := nn.Inputs{"input_ids": tensor.FromI64(ids, len(sentences), t)}
	if !m.Config.SigLIP {
		in["attention_mask"] = tensor.FromI64(mask, len(sentences), t)
	}
	return in
}
