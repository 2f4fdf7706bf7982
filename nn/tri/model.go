// Package tri is an encoder of sentences, pictures and sounds into one space, in
// which what means the same lies together, and a decoder that says in words what
// a vector of that space means.
//
// The encoders are models of their own, each in its folder, as Hugging Face
// saves them; config.json names the folders and heads.safetensors holds what
// joins them:
//
//	text_projection.weight, image_projection.weight, speech_projection.weight  [D, hidden size]
//	logit_scale                                                                 []
//	prefix.weight, prefix.bias                                                  [P·C, D], [P·C]
//
// A text or picture is the projection of the first position of its
// last_hidden_state, a sound that of the mean over its frames, all brought to
// length 1 for comparison. Training pulls pairs together as CLIP does (Radford
// et al. 2021, arXiv:2103.00020; see package nn/align), with speech as a third
// kind (as AudioCLIP, Guzhov et al. 2021, arXiv:2106.13043). The decoder, of
// width C, reads a vector as P vectors before its first token (ClipCap, Mokady
// et al. 2021, arXiv:2111.09734).
package tri

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/align"
	"github.com/seed-512d3d71/weft/tensor"
)

// Encoder is a part of a Model: a model whose output last_hidden_state is
// [B, T, Width].
type Encoder struct {
	nn.Model
	Width     int
	MaxTokens int // of a text; 0: any number
}

// Parts are the models that a Model is made of; those that Config does not name
// are nil.
type Parts struct {
	Text, Image, Speech Encoder
	Caption             nn.Generator // that also is an nn.TokenEmbedder
	CaptionWidth        int          // hidden size
	BOS                 int          // the token that captions begin after
}

// Model is the parts with their heads bound. It is safe for concurrent use.
type Model struct {
	Config              Config
	Parts               Parts
	params              nn.Params
	text, image, speech nn.Linear
	prefix              nn.Linear
	scale               float64 // exp(logit_scale)
}

// New binds the heads from p.
func New(cfg Config, parts Parts, p nn.Params) (*Model, error) {
	m := &Model{Config: cfg, Parts: parts, params: p}
	for _, part := range []struct {
		folder, name string
		encoder      Encoder
		to           *nn.Linear
	}{
		{cfg.Text, "text", parts.Text, &m.text},
		{cfg.Image, "image", parts.Image, &m.image},
		{cfg.Speech, "speech", parts.Speech, &m.speech},
	} {
		if part.folder != "" {
			*part.to = p.Linear(part.name+"_projection", part.encoder.Width, cfg.ProjectionDim, false)
		}
	}
	if s, _ := p.F32("logit_scale"); s != nil {
		m.scale = math.Exp(float64(s[0]))
	}
	if cfg.Caption != "" {
		if parts.CaptionWidth > 1<<24/cfg.PrefixLength {
			return nil, fmt.Errorf("%s: prefix_length: %d vectors of %d", ModelType, cfg.PrefixLength, parts.CaptionWidth)
		}
		if _, ok := parts.Caption.(nn.TokenEmbedder); !ok {
			return nil, nn.Unsupported("captions by a decoder that takes no vectors")
		}
		m.prefix = p.Linear("prefix", cfg.ProjectionDim, cfg.PrefixLength*parts.CaptionWidth, true)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// TextFeatures returns the vectors [B, D] of sentences in the shared space, not
// normalised. Inputs are those of the text encoder.
func (m *Model) TextFeatures(ctx context.Context, in nn.Inputs) (tensor.Tensor, error) {
	return m.features(ctx, "text", m.Parts.Text, m.text, in, first)
}

// ImageFeatures returns the vectors [B, D] of pictures. Inputs are those of the
// image encoder.
func (m *Model) ImageFeatures(ctx context.Context, in nn.Inputs, o nn.RunOptions) (tensor.Tensor, error) {
	if err := o.Known(); err != nil {
		return tensor.Tensor{}, err
	}
	return m.features(ctx, "image", m.Parts.Image, m.image, in, first)
}

// SpeechFeatures returns the vectors [B, D] of sounds. Inputs are those of the
// speech encoder; what attention_mask hides at the end of a sound has no part in
// it.
func (m *Model) SpeechFeatures(ctx context.Context, in nn.Inputs) (tensor.Tensor, error) {
	return m.features(ctx, "speech", m.Parts.Speech, m.speech, in, mean)
}

// pooling makes one row [B, C] of each sequence of last_hidden_state [B, T, C].
type pooling func(p nn.Pass, x tensor.Tensor, out nn.Outputs) tensor.Tensor

func first(p nn.Pass, x tensor.Tensor, _ nn.Outputs) tensor.Tensor {
	b, t, c := x.Dim(0), x.Dim(1), x.Dim(2)
	rows := make([]float32, 0, b*c)
	for s := range b {
		rows = append(rows, x.F32()[s*t*c:][:c]...)
	}
	return p.Floats(rows, b, c)
}

func mean(p nn.Pass, x tensor.Tensor, out nn.Outputs) tensor.Tensor {
	b, t, c := x.Dim(0), x.Dim(1), x.Dim(2)
	rows, off := make([]float32, 0, b*t*c), make([]int32, b+1)
	for s, n := range out.Get("frames").I64() {
		rows = append(rows, x.F32()[s*t*c:][:int(n)*c]...)
		off[s+1] = off[s] + int32(n)
	}
	dst := p.New(b, c)
	p.MeanRows(dst, p.Floats(rows, int(off[b]), c), off)
	return dst
}

func (m *Model) features(ctx context.Context, part string, e Encoder, head nn.Linear, in nn.Inputs, pool pooling) (tensor.Tensor, error) {
	fail := func(err error) (tensor.Tensor, error) {
		return tensor.Tensor{}, fmt.Errorf("%s: %w", part, err)
	}
	if e.Model == nil {
		return fail(nn.Unsupported("features of a model without this encoder"))
	}
	var o nn.RunOptions
	if part == "speech" {
		o.Set = map[string]json.RawMessage{"ragged": json.RawMessage("true")}
	}
	out, err := e.Run(ctx, in, o)
	if err != nil {
		return fail(err)
	}
	x := out.Get("last_hidden_state")
	if x.IsZero() || x.Rank() != 3 || x.Cols() != e.Width {
		return fail(nn.Unsupported("an encoder whose last_hidden_state is %v, with a projection of %d numbers", x, e.Width))
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	return m.finish(p, part+"_features", head.Forward(p, pool(p, x, out), kernels.ActNone))
}

// finish ends a pass that results in x.
func (m *Model) finish(p nn.Pass, name string, x tensor.Tensor) (tensor.Tensor, error) {
	out, err := nn.Finish(p, m.params, nn.Outputs{{Name: name, Tensor: p.Host(x).Clone()}})
	if err != nil {
		return tensor.Tensor{}, err
	}
	return out[0].Tensor, nil
}

// Prefix returns what the decoder reads before it writes [B, P+1, C]: the
// prefix of each vector of unit [B, D], which has length 1, and BOS.
func (m *Model) Prefix(ctx context.Context, unit tensor.Tensor) (tensor.Tensor, error) {
	if m.Config.Caption == "" {
		return tensor.Tensor{}, nn.Unsupported("captions of a model without decoder")
	}
	if unit.DType() != tensor.F32 || unit.Rank() != 2 || unit.Rows() == 0 || unit.Cols() != m.Config.ProjectionDim {
		return tensor.Tensor{}, nn.InputError("features", "%v, want rows of %d numbers", unit, m.Config.ProjectionDim)
	}
	begin, err := m.Parts.Caption.(nn.TokenEmbedder).EmbedTokens(ctx, int32(m.Parts.BOS))
	if err != nil {
		return tensor.Tensor{}, err
	}
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	x, err := m.finish(p, "prefix", m.prefix.Forward(p, p.Floats(unit.Clone().F32(), unit.Rows(), unit.Cols()), kernels.ActNone))
	if err != nil {
		return tensor.Tensor{}, err
	}
	n := x.Cols() // P·C
	data := make([]float32, 0, x.Rows()*(n+begin.Cols()))
	for r := range x.Rows() {
		data = append(data, x.F32()[r*n:][:n]...)
		data = append(data, begin.F32()...)
	}
	return tensor.FromF32(data, x.Rows(), m.Config.PrefixLength+1, m.Parts.CaptionWidth), nil
}

// LogitScale returns what training multiplies cosines by.
func (m *Model) LogitScale() float64 { return m.scale }

// MaxTokens returns the most tokens that a text can have, 0 for any number.
func (m *Model) MaxTokens() int { return m.Parts.Text.MaxTokens }

// PadTexts lays out token ids as the text encoder takes them: input_ids [B, T]
// and attention_mask.
func (m *Model) PadTexts(sentences [][]int64) nn.Inputs {
	t := 0
	for _, ids := range sentences {
		t = max(t, len(ids))
	}
	ids, mask := make([]int64, len(sentences)*t), make([]int64, len(sentences)*t)
	for s, row := range sentences {
		for j, id := range row {
			ids[s*t+j], mask[s*t+j] = id, 1
		}
	}
	return nn.Inputs{"input_ids": tensor.FromI64(ids, len(sentences), t), "attention_mask": tensor.FromI64(mask, len(sentences), t)}
}

// Run encodes what there is an input for, any of input_ids [B, T] (with
// attention_mask and token_type_ids), pixel_values [B, C, H, W] and input_values
// [B, S], into text_embeds, image_embeds and speech_embeds [B, D], rows of length
// 1 as CLIPModel has them.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	err := o.Known()
	if err == nil {
		err = in.Known("input_ids", "attention_mask", "token_type_ids", "pixel_values", "input_values")
	}
	var out nn.Outputs
	for _, part := range []struct {
		name, input string
		features    func(nn.Inputs) (tensor.Tensor, error)
	}{
		{"text", "input_ids", func(in nn.Inputs) (tensor.Tensor, error) { return m.TextFeatures(ctx, in) }},
		{"image", "pixel_values", func(in nn.Inputs) (tensor.Tensor, error) { return m.ImageFeatures(ctx, in, o) }},
		{"speech", "input_values", func(in nn.Inputs) (tensor.Tensor, error) { return m.SpeechFeatures(ctx, in) }},
	} {
		if err != nil || !in.Has(part.input) {
			continue
		}
		own := nn.Inputs{part.input: in[part.input]}
		for _, beside := range []string{"attention_mask", "token_type_ids"} {
			if part.name == "text" && in.Has(beside) {
				own[beside] = in[beside]
			}
		}
		var x tensor.Tensor
		if x, err = part.features(own); err == nil {
			x, _, err = align.Normalize(x)
		}
		out.Add(part.name+"_embeds", x)
	}
	if err == nil && len(out) == 0 {
		err = nn.InputError("input_ids", "missing, as are pixel_values and input_values")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", ModelType, err)
	}
	return out, nil
}
