package weft

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/bert"
	"github.com/seed-512d3d71/weft/nn/clip"
	"github.com/seed-512d3d71/weft/nn/gpt"
	"github.com/seed-512d3d71/weft/nn/llama"
	"github.com/seed-512d3d71/weft/nn/t5"
	"github.com/seed-512d3d71/weft/nn/vit"
	"github.com/seed-512d3d71/weft/nn/wav2vec"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
	"github.com/seed-512d3d71/weft/vision"
)

// Model is an opened checkpoint. It is safe for concurrent use; it keeps its
// weight files mapped until Close.
type Model struct {
	dir     *hub.Dir
	config  *hfconfig.Config
	class   string
	backend nn.Backend
	device  func() error // closes the backend; nil: it is another model's
	weights io.Closer
	parts   parts // of a model whose encoders lie in folders of their own
	params  nn.Params
	net     nn.Model

	tokenizer lazy[*text.Tokenizer]
	images    lazy[*vision.Processor]
	sounds    lazy[*audio.Extractor]
}

// lazy is a part that is read when it is first needed.
type lazy[T any] struct {
	once sync.Once
	v    T
	err  error
}

func (l *lazy[T]) get(open func() (T, error)) (T, error) {
	l.once.Do(func() { l.v, l.err = open() })
	return l.v, l.err
}

// Types that calls take and return.
type (
	// Tensor is a shaped array: see package tensor.
	Tensor = tensor.Tensor
	// Inputs are tensors by the names of forward()'s arguments.
	Inputs = nn.Inputs
	// Outputs are named results.
	Outputs = nn.Outputs
	// RunOptions are the options of [Model.Run].
	RunOptions = nn.RunOptions
)

// Open opens the Hugging Face directory dir: config.json says which class it
// is, the weights are mapped and bound, and the tokenizer and preprocessors
// are read when first needed.
func Open(dir string, opts ...Option) (*Model, error) {
	d, err := hub.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	o, backend, err := prepare(opts)
	if err != nil {
		return nil, err
	}
	m, err := openOn(d, backend, o.class)
	return m, in(dir, err)
}

// in names the directory that an error is about.
func in(dir string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", dir, err)
	}
	return err
}

// OpenFS is Open for a file system whose root is the model's directory, such
// as an embed.FS.
func OpenFS(fsys fs.FS, opts ...Option) (*Model, error) {
	d, err := hub.OpenDirFS(fsys)
	if err != nil {
		return nil, err
	}
	return OpenDir(d, opts...)
}

// OpenDir is Open for a directory that package hub has opened.
func OpenDir(d *hub.Dir, opts ...Option) (*Model, error) {
	o, backend, err := prepare(opts)
	if err != nil {
		return nil, err
	}
	return openOn(d, backend, o.class)
}

// prepare applies the options and makes the backend that they ask for.
func prepare(opts []Option) (options, nn.Backend, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	backend, err := newBackend(o)
	return o, backend, err
}

// openOn is open with a backend of the model's own.
func openOn(d *hub.Dir, backend nn.Backend, class string) (*Model, error) {
	m, err := open(d, backend, class)
	if err != nil {
		return nil, errors.Join(err, closeBackend(backend))
	}
	m.device = func() error { return closeBackend(backend) }
	return m, nil
}

func open(d *hub.Dir, backend nn.Backend, class string) (*Model, error) {
	m := &Model{dir: d, backend: backend}
	var err error
	if m.config, err = readConfig(d); err != nil {
		return nil, err
	}
	if m.class, err = className(m.config, class); err != nil {
		return nil, err
	}
	if isTri(m.config) {
		if err := m.openTri(); err != nil {
			return nil, err
		}
		return m, nil
	}
	load, err := loader(m.config)
	if err != nil {
		return nil, err
	}
	weights, err := d.Weights()
	if err != nil {
		return nil, err
	}
	m.weights = weights
	m.params = nn.NewParams(weights, backend, m.config.Str("model_type", ""))
	stored, err := nn.ParseStoredQuantization(m.config)
	if err != nil {
		m.weights.Close()
		return nil, err
	}
	m.params.SetStored(stored)
	err = safetensors.Guard(func() error {
		net, err := load(m.config, m.class, m.params)
		m.params.Forget()
		m.net = guarded{net}
		return err
	})
	if err != nil {
		m.weights.Close()
		return nil, err
	}
	return m, nil
}

// guarded turns the fault of reading a mapped weight file that has shrunk into
// an error of the call.
type guarded struct{ nn.Model }

func (g guarded) Run(ctx context.Context, in Inputs, o RunOptions) (out Outputs, err error) {
	err = safetensors.Guard(func() error {
		out, err = g.Model.Run(ctx, in, o)
		return err
	})
	return out, err
}

// loadFunc binds a class of one family.
type loadFunc func(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error)

// loader chooses the family by model_type. This switch is the only list of
// model families: a program that imports one family's package links that one.
func loader(c *hfconfig.Config) (loadFunc, error) {
	switch t := c.Str("model_type", ""); t {
	case "bert", "roberta", "camembert", "xlm-roberta", "distilbert":
		return wrap(bert.Load), nil
	case "clip", "clip_text_model", "clip_vision_model", "siglip", "siglip_text_model", "siglip_vision_model":
		return wrap(clip.Load), nil
	case "gpt2":
		return wrap(gpt.Load), nil
	case "llama", "mistral", "qwen2", "mixtral", "qwen2_moe":
		return wrap(llama.Load), nil
	case "t5", "switch_transformers":
		return wrap(t5.Load), nil
	case "vit", "deit":
		return wrap(vit.Load), nil
	case "wav2vec2", "hubert":
		return wrap(wav2vec.Load), nil
	case "":
		return nil, fmt.Errorf("config.json: no model_type")
	default:
		return nil, nn.Unsupported("model_type %q", t)
	}
}

func wrap[M nn.Model](load func(*hfconfig.Config, string, nn.Params) (M, error)) loadFunc {
	return func(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
		m, err := load(c, class, p)
		if err != nil {
			return nil, err // not a typed nil in an interface
		}
		return m, nil
	}
}

func readConfig(d *hub.Dir) (*hfconfig.Config, error) {
	b, err := d.ReadFile("config.json", maxJSON)
	if err != nil {
		return nil, err
	}
	c, err := hfconfig.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("config.json: %w", err)
	}
	return c, nil
}

// maxJSON bounds the configuration files, in bytes.
const maxJSON = 16 << 20

func className(c *hfconfig.Config, asked string) (string, error) {
	if asked != "" {
		return asked, nil
	}
	names := c.Strs("architectures")
	if err := c.Err(); err != nil {
		return "", fmt.Errorf("config.json: %w", err)
	}
	if len(names) == 0 {
		return "", fmt.Errorf("config.json: no architectures; name a class")
	}
	return names[0], nil
}

// Class returns the name of the Hugging Face class that the model runs as.
func (m *Model) Class() string { return m.class }

// Config returns config.json.
func (m *Model) Config() *hfconfig.Config { return m.config }

// SetThreads changes the bound of [WithThreads] for the calls that follow.
func (m *Model) SetThreads(n int) {
	if b, ok := m.backend.(*nn.CPU); ok {
		b.SetThreads(n)
	}
}

// Unused returns the names of the checkpoint's tensors that the class does not
// use, in the order of the file.
func (m *Model) Unused() []string { return m.params.Unused() }

// Close unmaps the weights and gives a GPU's memory back. The model must not be
// used afterwards.
func (m *Model) Close() error {
	err := errors.Join(m.weights.Close(), m.parts.Close())
	if m.device != nil {
		err = errors.Join(err, m.device())
	}
	return err
}

// Run does one forward pass on named tensors: see [nn.Model].
func (m *Model) Run(ctx context.Context, in Inputs, o RunOptions) (Outputs, error) {
	return m.net.Run(ctx, in, o)
}

// tokenizerFiles are the files that a tokenizer is read from, first first.
var tokenizerFiles = []string{"tokenizer.json", "vocab.txt", "vocab.json"}

// HasTokenizer reports whether the directory holds a tokenizer.
func (m *Model) HasTokenizer() bool {
	return firstFile(m.partOf(m.parts.text).dir, tokenizerFiles...) != ""
}

// Tokenizer returns the directory's tokenizer.
func (m *Model) Tokenizer() (*text.Tokenizer, error) {
	m = m.partOf(m.parts.text)
	return m.tokenizer.get(func() (*text.Tokenizer, error) { return text.Open(m.dir.FS()) })
}

// ImageProcessor returns the image processor of preprocessor_config.json.
func (m *Model) ImageProcessor() (*vision.Processor, error) {
	m = m.partOf(m.parts.image)
	return m.images.get(func() (*vision.Processor, error) { return imageProcessor(m.dir) })
}

// FeatureExtractor returns the audio feature extractor of
// preprocessor_config.json.
func (m *Model) FeatureExtractor() (*audio.Extractor, error) {
	m = m.partOf(m.parts.speech)
	return m.sounds.get(func() (*audio.Extractor, error) { return featureExtractor(m.dir) })
}

func imageProcessor(d *hub.Dir) (*vision.Processor, error) {
	pre, cfg, err := preprocessorFiles(d)
	if err != nil {
		return nil, err
	}
	return vision.ParseProcessor(pre, cfg)
}

func featureExtractor(d *hub.Dir) (*audio.Extractor, error) {
	pre, cfg, err := preprocessorFiles(d)
	if err != nil {
		return nil, err
	}
	return audio.ParseExtractor(pre, cfg)
}

// preprocessorFiles reads preprocessor_config.json (or, as newer checkpoints
// have it, processor_config.json) and config.json, which may be absent.
func preprocessorFiles(d *hub.Dir) (pre, cfg []byte, err error) {
	name := "preprocessor_config.json"
	if !d.Exists(name) && d.Exists("processor_config.json") {
		name = "processor_config.json"
	}
	if pre, err = d.ReadFile(name, maxJSON); err != nil {
		return nil, nil, err
	}
	if d.Exists("config.json") {
		cfg, err = d.ReadFile("config.json", maxJSON)
	}
	return pre, cfg, err
}
