package weft

import (
	"errors"
	"fmt"

	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/tri"
	"github.com/seed-512d3d71/weft/safetensors"
)

// parts are the models of a [tri.Model], each opened from its folder as a
// checkpoint of its own; nil where there is none.
type parts struct{ text, image, speech, caption *Model }

// Close closes the parts.
func (p parts) Close() error {
	var errs []error
	for _, m := range []*Model{p.text, p.image, p.speech, p.caption} {
		if m != nil {
			errs = append(errs, m.Close())
		}
	}
	return errors.Join(errs...)
}

// partOf returns part, or the model itself where it has none.
func (m *Model) partOf(part *Model) *Model {
	if part != nil {
		return part
	}
	return m
}

func isTri(c *hfconfig.Config) bool { return c.Str("model_type", "") == tri.ModelType }

// openTri opens a model whose config.json names the folders of its parts.
func (m *Model) openTri() error {
	cfg, err := tri.ParseConfig(m.config, m.class)
	if err != nil {
		return fmt.Errorf("%s: config.json: %w", tri.ModelType, err)
	}
	heads, err := safetensors.OpenFS(m.dir.FS(), tri.HeadsFile)
	if err != nil {
		return fmt.Errorf("%s: %w", tri.ModelType, err)
	}
	m.weights = heads
	net, err := m.bindTri(cfg, heads)
	if err != nil {
		m.Close()
		return err
	}
	m.net = guarded{net}
	return nil
}

func (m *Model) bindTri(cfg tri.Config, heads *safetensors.File) (*tri.Model, error) {
	var p tri.Parts
	for _, part := range []struct {
		folder  string
		m       **Model
		encoder *tri.Encoder
	}{
		{cfg.Text, &m.parts.text, &p.Text},
		{cfg.Image, &m.parts.image, &p.Image},
		{cfg.Speech, &m.parts.speech, &p.Speech},
		{cfg.Caption, &m.parts.caption, nil},
	} {
		if part.folder == "" {
			continue
		}
		sub, err := m.openPart(part.folder)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part.folder, err)
		}
		*part.m = sub
		if part.encoder != nil {
			*part.encoder = tri.Encoder{Model: sub.net, Width: sub.config.Dim("hidden_size", 768)}
			if part.encoder == &p.Text {
				p.Text.MaxTokens = sub.config.IntRange("max_position_embeddings", 0, 0, 1<<24)
			}
		}
		if err := sub.config.Err(); err != nil {
			return nil, fmt.Errorf("%s: config.json: %w", part.folder, err)
		}
	}
	if sub := m.parts.caption; sub != nil {
		g, err := sub.Generator(nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", cfg.Caption, err)
		}
		if p.BOS = g.Config.BOSTokenID; p.BOS < 0 || p.BOS >= g.Model.DecoderInfo().VocabSize {
			return nil, fmt.Errorf("%s: %w", cfg.Caption, nn.InputError("bos_token_id", "%d, the vocabulary has %d tokens", p.BOS, g.Model.DecoderInfo().VocabSize))
		}
		inner, _ := sub.net.(guarded)
		p.Caption, _ = inner.Model.(nn.Generator)
		p.CaptionWidth = sub.config.Dim("hidden_size", sub.config.Dim("n_embd", 768))
		if err := sub.config.Err(); err != nil {
			return nil, fmt.Errorf("%s: config.json: %w", cfg.Caption, err)
		}
	}
	m.params = nn.NewParams(heads, m.backend, tri.ModelType)
	var net *tri.Model
	err := safetensors.Guard(func() (err error) {
		net, err = tri.New(cfg, p, m.params)
		m.params.Forget()
		return err
	})
	return net, err
}

// openPart opens a folder as the model that its config.json names.
func (m *Model) openPart(folder string) (*Model, error) {
	d, err := m.dir.Sub(folder)
	if err != nil {
		return nil, err
	}
	return openNested(d, m.backend)
}

// openNested is open for a folder that may not be a model of folders itself.
func openNested(d *hub.Dir, backend nn.Backend) (*Model, error) {
	c, err := readConfig(d)
	if err != nil {
		return nil, err
	}
	if isTri(c) {
		return nil, nn.Unsupported("a %s in the folder of another", tri.ModelType)
	}
	return open(d, backend, "")
}

// inspectTri describes a model of several folders. A part that is none is an
// error, as for a directory.
func (info *Info) inspectTri(d *hub.Dir, c *hfconfig.Config, backend nn.Backend) error {
	heads, err := safetensors.OpenFS(d.FS(), tri.HeadsFile)
	if err != nil {
		return err
	}
	defer heads.Close()
	info.count(heads)
	info.Parts = map[string]*Info{}
	for _, key := range []string{"text", "image", "speech", "caption"} {
		folder := c.Str(key, "")
		if folder == "" {
			continue
		}
		sub, err := d.Sub(folder)
		if err != nil {
			return err
		}
		if nested, err := readConfig(sub); err != nil || isTri(nested) {
			return fmt.Errorf("%s: not a model of its own (%v)", folder, err)
		}
		part, err := inspect(sub, "", backend)
		if err != nil {
			return fmt.Errorf("%s: %w", folder, err)
		}
		info.Parts[key] = part
		info.Parameters += part.Parameters
		info.WeightBytes += part.WeightBytes
		for t, n := range part.DTypes {
			info.DTypes[t] += n
		}
		if info.Tokenizer == "" && part.Tokenizer != "" {
			info.Tokenizer = folder + "/" + part.Tokenizer
		}
		if part.Preprocessor != "" {
			if info.Preprocessor != "" {
				info.Preprocessor += ", "
			}
			info.Preprocessor += folder + "/" + part.Preprocessor
		}
	}
	m, err := open(d, backend, info.Class)
	if info.says(err); err == nil {
		info.Unused = append(info.Unused, m.Unused()...)
		m.Close()
	}
	return nil
}
