package weft

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/classify"
	"github.com/seed-512d3d71/weft/task/embed"
	"github.com/seed-512d3d71/weft/task/encode"
	"github.com/seed-512d3d71/weft/task/transcribe"
	"github.com/seed-512d3d71/weft/text"
	"github.com/seed-512d3d71/weft/vision"
)

// Types of the tasks.
type (
	// Label is a class and its score.
	Label = classify.Label
	// Embedder turns sentences into vectors.
	Embedder = embed.Embedder
	// MultiModalInput is a sentence, a picture and a sound, each optional.
	MultiModalInput = encode.Input
	// Features are what the encoders made of a MultiModalInput.
	Features = encode.Features
)

// OpenEmbedder opens a sentence-transformers directory; one without a
// modules.json is a transformer whose tokens are averaged.
func OpenEmbedder(dir string, opts ...Option) (*Embedder, error) {
	d, err := hub.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	o, backend, err := prepare(opts)
	if err != nil {
		return nil, err
	}
	e, err := embed.Open(d, backend, func(sub *hub.Dir) (nn.Model, error) {
		class := o.class
		if class == "" {
			// Whatever head the checkpoint was trained with, its encoder is wanted.
			c, err := readConfig(sub)
			if err != nil {
				return nil, err
			}
			class = baseClass(c.Str("model_type", ""))
		}
		m, err := open(sub, backend, class)
		if err != nil {
			return nil, err
		}
		return m.net, nil
	})
	if err != nil {
		return nil, in(dir, errors.Join(err, closeBackend(backend)))
	}
	// An Embedder is not closed: the device it computes on goes when it does.
	runtime.AddCleanup(e, func(b nn.Backend) { closeBackend(b) }, backend)
	return e, nil
}

// baseClass returns the class without a head of a text model type, "" for
// those that are not known to have one.
func baseClass(modelType string) string {
	switch modelType {
	case "bert":
		return "BertModel"
	case "roberta":
		return "RobertaModel"
	case "camembert":
		return "CamembertModel"
	case "xlm-roberta":
		return "XLMRobertaModel"
	case "distilbert":
		return "DistilBertModel"
	case "llama":
		return "LlamaModel"
	case "mistral":
		return "MistralModel"
	case "qwen2":
		return "Qwen2Model"
	case "t5":
		return "T5EncoderModel"
	}
	return ""
}

// OpenTokenizer opens the tokenizer of a directory that need not hold a model.
func OpenTokenizer(dir string) (*text.Tokenizer, error) {
	d, err := hub.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	t, err := text.Open(d.FS())
	return t, in(dir, err)
}

// OpenImageProcessor opens the image processor of a directory that need not
// hold weights.
func OpenImageProcessor(dir string) (*vision.Processor, error) {
	d, err := hub.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	p, err := imageProcessor(d)
	return p, in(dir, err)
}

// OpenFeatureExtractor opens the audio feature extractor of a directory that
// need not hold weights.
func OpenFeatureExtractor(dir string) (*audio.Extractor, error) {
	d, err := hub.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	x, err := featureExtractor(d)
	return x, in(dir, err)
}

// EncodeText runs the model on sentences, tokenized, as one batch. A sentence of
// more tokens than the model has positions is an [ErrInput], unless
// tokenizer.json says to truncate.
func (m *Model) EncodeText(ctx context.Context, sentences ...string) (Outputs, error) {
	t, err := m.text()
	if err != nil {
		return nil, err
	}
	return t.Run(ctx, sentences...)
}

// EncodeImage runs the model on pictures, preprocessed, as one batch.
func (m *Model) EncodeImage(ctx context.Context, pictures ...*vision.Image) (Outputs, error) {
	i, err := m.image()
	if err != nil {
		return nil, err
	}
	return i.Run(ctx, pictures...)
}

// EncodeAudio runs the model on a sound, mixed to mono and resampled.
func (m *Model) EncodeAudio(ctx context.Context, clip *audio.Clip) (Outputs, error) {
	a, err := m.audio()
	if err != nil {
		return nil, err
	}
	return a.Run(ctx, clip)
}

// ClassifyText returns the labels of a sentence, best first.
func (m *Model) ClassifyText(ctx context.Context, sentence string) ([]Label, error) {
	out, err := m.EncodeText(ctx, sentence)
	return m.rank(out, err)
}

// ClassifyImage returns the labels of a picture, best first.
func (m *Model) ClassifyImage(ctx context.Context, picture *vision.Image) ([]Label, error) {
	out, err := m.EncodeImage(ctx, picture)
	return m.rank(out, err)
}

// ClassifyAudio returns the labels of a sound, best first.
func (m *Model) ClassifyAudio(ctx context.Context, clip *audio.Clip) ([]Label, error) {
	out, err := m.EncodeAudio(ctx, clip)
	return m.rank(out, err)
}

func (m *Model) rank(out Outputs, err error) ([]Label, error) {
	if err != nil {
		return nil, err
	}
	labels, err := classify.New(m.config)
	if err != nil {
		return nil, err
	}
	rows, err := labels.Rank(out.Get("logits"))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.class, err)
	}
	return rows[0], nil
}

// Transcribe returns what a sound says, by a CTC model.
func (m *Model) Transcribe(ctx context.Context, clip *audio.Clip) (string, error) {
	if !strings.HasSuffix(m.class, "ForCTC") {
		return "", nn.Unsupported("transcription with %s", m.class)
	}
	a, err := m.audio()
	if err != nil {
		return "", err
	}
	tok, err := m.Tokenizer()
	if err != nil {
		return "", err
	}
	return transcribe.Transcriber{Audio: a, Tokenizer: tok}.Transcribe(ctx, clip)
}

func (m *Model) text() (encode.Text, error) {
	tok, err := m.Tokenizer()
	return encode.Text{Model: m.net, Tokenizer: tok, TypeIDs: m.config.Str("model_type", "") == "bert"}, err
}

func (m *Model) image() (encode.Image, error) {
	p, err := m.ImageProcessor()
	return encode.Image{Model: m.net, Processor: p}, err
}

func (m *Model) audio() (encode.Audio, error) {
	e, err := m.FeatureExtractor()
	return encode.Audio{Model: m.net, Extractor: e}, err
}

// MultiModalEncoder is three encoders side by side: given a sentence, a
// picture and a sound it returns the text encoder's and the image encoder's
// last_hidden_state and the speech encoder's extract_features and
// last_hidden_state. An encoder may be nil if its input never comes.
type MultiModalEncoder struct{ Text, Image, Audio *Model }

// OpenMultiModal opens the encoders in the folders text, image and audio of
// dir; those that are absent stay nil.
func OpenMultiModal(dir string, opts ...Option) (*MultiModalEncoder, error) {
	d, err := hub.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	var e MultiModalEncoder
	found := false
	for _, part := range []struct {
		name string
		m    **Model
	}{{"text", &e.Text}, {"image", &e.Image}, {"audio", &e.Audio}} {
		if !d.Exists(part.name + "/config.json") {
			continue
		}
		sub, err := d.Sub(part.name)
		if err == nil {
			*part.m, err = OpenDir(sub, opts...)
		}
		if err != nil {
			e.Close()
			return nil, fmt.Errorf("%s: %s: %w", dir, part.name, err)
		}
		found = true
	}
	if !found {
		return nil, fmt.Errorf("%s: no text, image or audio folder with a config.json", dir)
	}
	return &e, nil
}

// Encode runs the encoders that in has an input for, side by side.
func (e *MultiModalEncoder) Encode(ctx context.Context, in MultiModalInput) (Features, error) {
	var mm encode.MultiModal
	var err error
	for _, part := range []struct {
		name   string
		wanted bool
		m      *Model
		bind   func(*Model) error
	}{
		{"text", in.Text != "", e.Text, func(m *Model) (err error) { mm.Text, err = m.text(); return }},
		{"image", in.Image != nil, e.Image, func(m *Model) (err error) { mm.Image, err = m.image(); return }},
		{"audio", in.Audio != nil, e.Audio, func(m *Model) (err error) { mm.Audio, err = m.audio(); return }},
	} {
		if !part.wanted {
			continue
		}
		if part.m == nil {
			return Features{}, fmt.Errorf("%s: %w: no encoder for it", part.name, ErrInput)
		}
		if err = part.bind(part.m); err != nil {
			return Features{}, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return mm.Encode(ctx, in)
}

// Close closes the encoders.
func (e *MultiModalEncoder) Close() error {
	var first error
	for _, m := range []*Model{e.Text, e.Image, e.Audio} {
		if m != nil {
			if err := m.Close(); err != nil && first == nil {
				first = err
			}
		}
	}
	return first
}
