package weft

import (
	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
)

// Info says what a model directory holds and what will run it.
type Info struct {
	ModelType   string           `json:"model_type"`
	Class       string           `json:"class"`
	Parameters  int64            `json:"parameters"`   // of all tensors; scales and zero points are none
	DTypes      map[string]int64 `json:"dtypes"`       // elements by stored type
	WeightBytes int64            `json:"weight_bytes"` // on disk
	// Quantized counts the weights that the class uses and that are stored
	// quantized, by scheme.
	Quantized    map[string]int `json:"quantized,omitempty"`
	Tokenizer    string         `json:"tokenizer"` // the file, "" if there is none
	Preprocessor string         `json:"preprocessor"`
	Kernels      string         `json:"kernels"` // the instruction set that is chosen
	Runs         bool           `json:"runs"`
	Why          string         `json:"why,omitempty"` // why it does not run
	Unused       []string       `json:"unused"`        // tensors that the class does not use
	// Parts are the models that a model of several folders is made of, whose
	// sizes the sums above include.
	Parts map[string]*Info `json:"parts,omitempty"`
}

// Inspect describes the model directory dir. An architecture that weft lacks
// is described too, with Runs false; a directory that is no model is an error.
func Inspect(dir string, opts ...Option) (*Info, error) {
	d, err := hub.OpenDir(dir)
	if err != nil {
		return nil, err
	}
	o, backend, err := prepare(opts)
	if err != nil {
		return nil, err
	}
	defer closeBackend(backend)
	info, err := inspect(d, o.class, backend)
	return info, in(dir, err)
}

func inspect(d *hub.Dir, class string, backend nn.Backend) (*Info, error) {
	cfg, err := readConfig(d)
	if err != nil {
		return nil, err
	}
	info := &Info{ModelType: cfg.Str("model_type", ""), DTypes: map[string]int64{}, Kernels: kernels.ISA(), Unused: []string{}}
	if info.Class, err = className(cfg, class); err != nil {
		info.Class = ""
	}
	if isTri(cfg) {
		return info, info.inspectTri(d, cfg, backend)
	}
	weights, err := d.Weights()
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	info.count(weights)
	info.Tokenizer = firstFile(d, tokenizerFiles...)
	info.Preprocessor = firstFile(d, "preprocessor_config.json", "processor_config.json")

	load, err := loader(cfg)
	if err == nil {
		p := nn.NewParams(weights, backend, info.ModelType)
		var stored nn.StoredQuantization
		if stored, err = nn.ParseStoredQuantization(cfg); err == nil {
			p.SetStored(stored)
			_, err = load(cfg, info.Class, p)
		}
		if err == nil {
			info.Unused = append(info.Unused, p.Unused()...)
			info.Quantized = p.StoredKinds()
		}
	}
	info.says(err)
	return info, nil
}

// count adds the tensors of a file or set.
func (info *Info) count(weights nn.Source) {
	for _, name := range weights.Names() {
		t, _ := weights.Lookup(name)
		info.Parameters += nn.StoredElements(weights, t)
		info.DTypes[t.DType.String()] += int64(t.Len())
		info.WeightBytes += t.End - t.Begin
	}
}

// says notes whether the model runs, given what opening it said.
func (info *Info) says(err error) {
	if info.Runs = err == nil; err != nil {
		info.Why = err.Error()
	}
}

func firstFile(d *hub.Dir, names ...string) string {
	for _, n := range names {
		if d.Exists(n) {
			return n
		}
	}
	return ""
}

// Uses returns what the model of a directory uses its weights for: see
// [nn.Params.Uses]. It packs and runs nothing.
func Uses(d *hub.Dir, opts ...Option) ([]nn.Use, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	m, err := open(d, nn.NewPlanner(), o.class)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	return m.params.Uses(), nil
}
