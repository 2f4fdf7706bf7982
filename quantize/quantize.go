// Package quantize turns a Hugging Face directory into one whose linear layers
// are stored in 8 or 4 bits, in the compressed-tensors convention
// (https://github.com/neuralmagic/compressed-tensors): config.json gets a
// quantization_config, a layer X the tensors
//
//	X.weight         I8 [out, in]            w8a8, embeddings
//	X.weight_packed  I32 [out, in·bits/32]   w8, w4: from the least bits on, counted from the least value
//	X.weight_scale   F32 [out, in/group]     one a row in 8 bits
//	X.weight_shape   I64 [2]                 of what is packed
//
// and w = q·scale. A checkpoint is read and written tensor by tensor: memory is
// bounded by the largest one. The new directory appears whole or not at all.
package quantize

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/safetensors"
)

// Errors of this package, beside those of the packages that read the model.
var (
	// ErrQuantized: the checkpoint is quantized already.
	ErrQuantized = errors.New("the checkpoint is quantized already")
	// ErrExists: the new directory exists and is not empty.
	ErrExists = errors.New("exists and is not an empty directory")
	// ErrWeight: a weight that cannot be quantized.
	ErrWeight = errors.New("cannot be quantized")
)

// Method is how the scale of a weight's group (in 8 bits, of one output's
// weights) is chosen. Activations have no stored scales: each row's own come from
// the row.
type Method uint8

const (
	// Auto is MSE in 4 bits or with samples, and Max else.
	Auto Method = iota
	// Max: the largest weight is the largest integer.
	Max
	// MSE: the mean square error is least; with samples, that of the product with
	// their inputs. Large weights may be clipped.
	MSE
	// Percentile: weights beyond a percentile of the magnitudes are clipped.
	Percentile
)

var methods = [...]string{"auto", "max", "mse", "percentile"}

// ParseMethod returns the method called name: auto, max, mse or percentile.
func ParseMethod(name string) (Method, error) {
	if i := slices.Index(methods[:], name); i >= 0 {
		return Method(i), nil
	}
	return Auto, fmt.Errorf("calibration method %q is none of auto, max, mse, percentile", name)
}

// Options say how to quantize.
type Options struct {
	Scheme kernels.Scheme
	// Group is the number of inputs that share a scale in W4. It must divide the
	// inputs of every layer. 0: a power of two from 128 to 8 that divides nearly all;
	// a layer whose inputs it does not divide stays float32.
	Group int
	// Keep names layers that stay as they are: those of whose name it matches a
	// part. May be nil.
	Keep *regexp.Regexp
	// Embeddings stores tables of embeddings in 8 bits too.
	Embeddings bool
	// Cosine, if not 0, is the cosine with the float32 model's outputs that the
	// quantized one is to reach on Samples: as few layers as can be found stay
	// float32. 0 leaves all to be quantized.
	Cosine float64
	// Samples are inputs of the model: with them the method MSE weighs errors by
	// the inputs that the layers really see. Without them Cosine and Smooth work on
	// inputs made up.
	Samples []weft.Inputs
	// Method is how scales are chosen, and Percentile that of its name.
	Method     Method
	Percentile float64
	// Smooth, if not 0, is the α of SmoothQuant: how much of the range of inputs
	// is migrated to the weights, through norms that feed linear layers alone.
	Smooth float64
	// Progress, if not nil, is told about every layer.
	Progress func(Layer)
}

// Report is what was done.
type Report struct {
	Scheme string  `json:"scheme"`
	Group  int     `json:"group,omitempty"`
	Layers []Layer `json:"layers"`
	Before int64   `json:"bytes_before"` // of the tensors
	After  int64   `json:"bytes_after"`
	// Cosine is the least cosine of an output with the float32 model's, if it was
	// asked for.
	Cosine float64 `json:"cosine,omitempty"`
	// Smoothed is the number of norms whose scales were migrated.
	Smoothed int      `json:"smoothed,omitempty"`
	Left     []string `json:"left,omitempty"` // files of the directory that were not copied
}

// Layer is one layer of the report.
type Layer struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"` // as stored
	Bits  int    `json:"bits"`  // 0: kept as it was
	Why   string `json:"why,omitempty"`
	// RMS is the error's root mean square relative to the weight's, Cosine the
	// cosine between what was stored and the weight.
	RMS    float64 `json:"rms"`
	Cosine float64 `json:"cosine"`
}

// Dir quantizes the model of the directory src into dst, which must not exist
// or be an empty directory.
func Dir(ctx context.Context, src, dst string, o Options) (*Report, error) {
	if o.Scheme == kernels.Float32 {
		return nil, nn.Unsupported("quantization to %v", o.Scheme)
	}
	if o.Group < 0 || o.Group%8 != 0 {
		return nil, nn.InputError("group size", "%d is not a multiple of 8", o.Group)
	}
	if o.Method == Percentile && !(o.Percentile > 0 && o.Percentile <= 100) {
		return nil, nn.InputError("percentile", "%v is not between 0 and 100", o.Percentile)
	}
	if o.Smooth < 0 || o.Smooth > 1 || o.Smooth != o.Smooth {
		return nil, nn.InputError("smooth", "%v is not between 0 and 1", o.Smooth)
	}
	if err := vacant(dst); err != nil {
		return nil, err
	}
	d, err := hub.OpenDir(src)
	if err != nil {
		return nil, err
	}
	model, norms := d, 0
	if o.Smooth != 0 {
		var tmp string
		if tmp, norms, err = smoothed(ctx, d, dst, o); err != nil {
			return nil, err
		}
		defer os.RemoveAll(tmp)
		if model, err = hub.OpenDir(tmp); err != nil {
			return nil, err
		}
	}
	job, err := newJob(ctx, model, o)
	if err != nil {
		return nil, err
	}
	defer job.weights.Close()
	job.report.Smoothed = norms
	if err := job.choose(); err != nil {
		return nil, err
	}
	err = replace(dst, func(tmp string) error {
		if err := safetensors.Guard(func() error { return job.writeWeights(tmp) }); err != nil {
			return err
		}
		if err := job.writeConfig(tmp); err != nil {
			return err
		}
		return job.copyFiles(src, d, tmp)
	})
	if err != nil {
		return nil, err
	}
	return job.report, nil
}

// job is one call of Dir.
type job struct {
	Options
	ctx     context.Context
	dir     *hub.Dir
	config  []byte
	weights *safetensors.Set
	index   string // the index file, "" if there is one weight file
	uses    map[string]nn.Use
	layers  []*layer // in the order of the files
	byName  map[string]*layer
	tied    []string // layers whose weight is another tensor
	report  *Report
}

// layer is a tensor that is, or could have been, quantized.
type layer struct {
	use    nn.Use
	t      safetensors.Tensor
	bits   int
	group  int
	why    string // it stays as it is
	second []float32

	scale  []float32 // once it has been quantized
	result Layer
}

func newJob(ctx context.Context, d *hub.Dir, o Options) (*job, error) {
	j := &job{Options: o, ctx: ctx, dir: d, byName: map[string]*layer{}, uses: map[string]nn.Use{}, report: &Report{Scheme: o.Scheme.String()}}
	config, err := d.Config("config.json")
	if err != nil {
		return nil, err
	}
	if config.Has("quantization_config") && !config.Null("quantization_config") {
		return nil, fmt.Errorf("config.json: quantization_config: %w", ErrQuantized)
	}
	if j.config, err = d.ReadFile("config.json", maxConfig); err != nil {
		return nil, err
	}
	if j.weights, err = d.Weights(); err != nil {
		return nil, err
	}
	if err = j.plan(); err != nil {
		j.weights.Close()
		return nil, err
	}
	return j, nil
}

// fresh returns an error if a tensor is one of a quantized checkpoint, of
// whatever method.
func fresh(weights *safetensors.Set) error {
	for _, name := range weights.Names() {
		t, _ := weights.Lookup(name)
		switch t.DType {
		case safetensors.I8, safetensors.F8_E4M3, safetensors.F8_E5M2, safetensors.F4:
			return fmt.Errorf("%s: stored as %v: %w", name, t.DType, ErrQuantized)
		}
		switch path.Ext(name) {
		case ".weight_packed", ".weight_scale", ".weight_shape", ".qweight", ".qzeros", ".g_idx", ".absmax", ".quant_map", ".SCB":
			return fmt.Errorf("%s: %w", name, ErrQuantized)
		}
	}
	return nil
}

// plan decides what becomes of each tensor.
func (j *job) plan() error {
	if err := fresh(j.weights); err != nil {
		return err
	}
	uses, err := weft.Uses(j.dir)
	if err != nil {
		return err
	}
	for _, u := range uses {
		j.uses[u.Name] = u
		if u.Kind == nn.UseTied {
			j.tied = append(j.tied, trimWeight(u.Name))
		}
	}
	mixture := nn.IsMixture(j.weights.Names())
	why := map[string]string{} // a layer is a stack of tensors: one stays float32, all do
	for _, name := range j.weights.Names() {
		t, _ := j.weights.Lookup(name)
		if u := j.uses[name]; u.Kind == nn.UseLinear && len(t.Shape) == 2 {
			out, in := t.Shape[0], t.Shape[1]
			if u.Transposed {
				out, in = in, out
			}
			if w := nn.KeptFloat32(u.Layer, out, in, mixture); w != "" {
				why[u.Layer] = w
			}
		}
		u := j.uses[name]
		if u.Kind == nn.UseOther || len(t.Shape) != 2 {
			continue
		}
		l := &layer{use: u, t: t, bits: 8, group: t.Shape[1]}
		if u.Transposed {
			l.group = t.Shape[0]
		}
		j.layers = append(j.layers, l)
		j.byName[name] = l
		switch {
		case j.Keep != nil && j.Keep.MatchString(name):
			l.why = "asked for"
		case trimWeight(name) == name:
			l.why = "not called weight"
		case u.Kind == nn.UseTable && !j.Embeddings:
			l.why = "embeddings"
		case u.Kind == nn.UseLinear && j.Scheme == kernels.W4:
			l.bits = 4
		}
		if l.why != "" {
			l.bits = 0
		}
	}
	for _, l := range j.layers {
		if w := why[l.use.Layer]; w != "" && l.use.Kind == nn.UseLinear {
			l.why, l.bits = w, 0
		}
	}
	if j.Scheme == kernels.W4 {
		if err := j.groups(); err != nil {
			return err
		}
	}
	for _, l := range j.layers {
		if l.bits > 0 {
			return nil
		}
	}
	return fmt.Errorf("%w: no linear layer is left to quantize", ErrWeight)
}

// groups gives the layers of 4 bits their group: one size for all, since the
// convention names one. The largest is taken that leaves out no more than a
// tenth of what another one could hold.
func (j *job) groups() error {
	sizes := []int{128, 64, 32, 16, 8}
	if j.Group > 0 {
		sizes = []int{j.Group}
	}
	held := make([]int, len(sizes)) // elements
	for i, size := range sizes {
		for _, l := range j.layers {
			if l.bits == 4 && l.group%size == 0 && !l.use.Transposed {
				held[i] += l.t.Len()
			}
		}
	}
	best := 0
	for i, size := range sizes {
		if held[i] > 0 && float64(held[i]) >= 0.9*float64(slices.Max(held)) {
			best = size
			break
		}
	}
	if best == 0 {
		best = sizes[0]
	}
	for _, l := range j.layers {
		switch {
		case l.bits != 4:
		case l.use.Transposed:
			l.bits = 8 // there is no layout for groups along the rows
		case l.group%best == 0:
			l.group = best
		case j.Group > 0:
			return fmt.Errorf("%s: %w: groups of %d do not divide %d inputs", l.t.Name, ErrWeight, j.Group, l.group)
		default:
			l.bits, l.why = 0, fmt.Sprintf("groups of %d do not divide %d inputs", best, l.group)
		}
	}
	j.report.Group = best
	return nil
}

func trimWeight(name string) string {
	if base := filepath.Ext(name); base == ".weight" {
		return name[:len(name)-len(base)]
	}
	return name
}
