// Package golden compares models with reference outputs of Hugging Face
// Transformers, for tests.
//
// A golden folder is a checkpoint and one call of it: config.json and
// model.safetensors, in.safetensors with the inputs and ref.safetensors with
// every output, layer by layer. Metadata of ref.safetensors says which versions
// made it, which class was run if not architectures[0] ("class") and the call's
// scalar arguments ("set", a JSON object). A tensor __mask__.NAME [B, T] marks
// the positions of NAME that count; the others are padding. py/generate.py
// makes the folders.
package golden

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// Tolerance is the largest error of an element: Tolerance·(1 + max|reference|).
const Tolerance = 2e-5

const maskPrefix = "__mask__."

// Case is one golden folder.
type Case struct {
	Dir    string
	Config *hfconfig.Config
	Class  string // the class to run
	Inputs nn.Inputs
	Set    map[string]json.RawMessage
	Want   []Tensor

	weights *safetensors.Set
}

// Tensor is one reference output.
type Tensor struct {
	Name string
	tensor.Tensor
	Mask []int64 // [B, T], 0 where the value does not count; nil: all count
}

// LoadFunc binds a class of a model family.
type LoadFunc func(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error)

// Run runs every golden folder of the families (the names' part before the
// first dot) as a subtest. It compares each output with the reference and
// checks that the bits do not depend on the number of threads.
func Run(t *testing.T, load LoadFunc, families ...string) {
	t.Helper()
	for _, family := range families {
		dirs, err := filepath.Glob(filepath.Join(Root(t), "testdata", "golden", family+".*"))
		if err != nil || len(dirs) == 0 {
			t.Fatalf("no golden folders of %s (%v)", family, err)
		}
		for _, dir := range dirs {
			t.Run(filepath.Base(dir), func(t *testing.T) {
				c := Open(t, dir)
				out := c.Forward(t, load, 1)
				c.Check(t, out)
				SameBits(t, c.Forward(t, load, 3), out)
			})
		}
	}
}

// Root returns the module's folder.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			tb.Fatal("golden: no go.mod above the test")
		}
		dir = parent
	}
}

// Open reads a golden folder. Its files are closed when the test ends.
func Open(tb testing.TB, dir string) *Case {
	tb.Helper()
	c := &Case{Dir: dir}
	b, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		tb.Fatal(err)
	}
	if c.Config, err = hfconfig.Parse(b); err != nil {
		tb.Fatal(err)
	}
	if c.weights, err = safetensors.OpenDir(dir); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.weights.Close() })
	c.Inputs = nn.Inputs{}
	in, _ := readFile(tb, filepath.Join(dir, "in.safetensors"))
	for _, x := range in {
		c.Inputs[x.Name] = x.Tensor
	}
	ref, meta := readFile(tb, filepath.Join(dir, "ref.safetensors"))
	masks := map[string][]int64{}
	for _, x := range ref {
		if name, ok := strings.CutPrefix(x.Name, maskPrefix); ok {
			masks[name] = x.I64()
		}
	}
	for _, x := range ref {
		if !strings.HasPrefix(x.Name, maskPrefix) {
			x.Mask = masks[x.Name]
			c.Want = append(c.Want, x)
		}
	}
	if c.Class = meta["class"]; c.Class == "" {
		c.Class = c.Config.Strs("architectures")[0]
	}
	if set := meta["set"]; set != "" {
		if err := json.Unmarshal([]byte(set), &c.Set); err != nil {
			tb.Fatalf("%s: set: %v", dir, err)
		}
	}
	return c
}

// readFile reads a file's tensors: floats as F32, integers as I64.
func readFile(tb testing.TB, path string) ([]Tensor, map[string]string) {
	tb.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	var out []Tensor
	for _, name := range f.Names() {
		t, _ := f.Lookup(name)
		switch t.DType {
		case safetensors.F64, safetensors.F32, safetensors.F16, safetensors.BF16:
			data, err := t.Float32()
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, Tensor{Name: name, Tensor: tensor.FromF32(data, t.Shape...).Clone()})
		default:
			data, err := t.Int64()
			if err != nil {
				tb.Fatal(err)
			}
			out = append(out, Tensor{Name: name, Tensor: tensor.FromI64(data, t.Shape...).Clone()})
		}
	}
	return out, f.Metadata()
}

// Params returns the checkpoint's tensors, bound for a CPU of so many threads.
func (c *Case) Params(tb testing.TB, threads int) nn.Params {
	tb.Helper()
	cpu, err := nn.NewCPU(threads)
	if err != nil {
		tb.Fatal(err)
	}
	return nn.NewParams(c.weights, cpu, c.Config.Str("model_type", ""))
}

// With returns config.json with the keys of a JSON object set.
func (c *Case) With(tb testing.TB, set string) *hfconfig.Config {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join(c.Dir, "config.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(b, &keys), json.Unmarshal([]byte(set), &keys)); err != nil {
		tb.Fatal(err)
	}
	if b, err = json.Marshal(keys); err != nil {
		tb.Fatal(err)
	}
	config, err := hfconfig.Parse(b)
	if err != nil {
		tb.Fatal(err)
	}
	return config
}

// Forward loads the model and runs it on the case's inputs.
func (c *Case) Forward(tb testing.TB, load LoadFunc, threads int) nn.Outputs {
	tb.Helper()
	return c.forward(tb, load, c.Params(tb, threads))()
}

// forward loads the model, bound by params, and returns what runs it on the
// case's inputs.
func (c *Case) forward(tb testing.TB, load LoadFunc, params nn.Params) func() nn.Outputs {
	tb.Helper()
	m, err := load(c.Config, c.Class, params)
	if err != nil {
		tb.Fatal(err)
	}
	o := nn.RunOptions{Set: c.Set}
	for _, w := range c.Want {
		o.HiddenStates = o.HiddenStates || strings.Contains(w.Name, "hidden_states.")
	}
	return func() nn.Outputs {
		tb.Helper()
		out, err := m.Run(tb.Context(), c.Inputs, o)
		if err != nil {
			tb.Fatal(err)
		}
		return out
	}
}

// Check compares every reference output with the one of that name.
func (c *Case) Check(tb testing.TB, got nn.Outputs) {
	tb.Helper()
	for _, want := range c.Want {
		if err := Compare(got.Get(want.Name), want, Tolerance); err != nil {
			tb.Errorf("%s: %v", filepath.Base(c.Dir), err)
		}
	}
}

// Compare returns an error that names the worst element of got, if one differs
// from want by more than tol·(1 + max|want|), and any that is not finite.
func Compare(got tensor.Tensor, want Tensor, tol float64) error {
	if got.IsZero() {
		return fmt.Errorf("%s: missing", want.Name)
	}
	if err := tensor.CheckShape(want.Name, got.Shape(), want.Shape()); err != nil {
		return err
	}
	if got.DType() != want.DType() {
		return fmt.Errorf("%s: element type %v, want %v", want.Name, got.DType(), want.DType())
	}
	if want.DType() == tensor.I64 {
		for i, v := range want.I64() {
			if g := got.I64()[i]; g != v {
				return fmt.Errorf("%s%v: got %d, want %d", want.Name, at(want, i), g, v)
			}
		}
		return nil
	}
	counts := func(int) bool { return true }
	if want.Mask != nil {
		each := want.Len() / len(want.Mask)
		counts = func(i int) bool { return want.Mask[i/each] != 0 }
	}
	largest, worst, index := 0.0, -1.0, 0
	for i, w := range want.F32() {
		g := float64(got.F32()[i])
		if math.IsNaN(g) || math.IsInf(g, 0) {
			return fmt.Errorf("%s%v: got %v, want %v", want.Name, at(want, i), g, w)
		}
		if !counts(i) {
			continue
		}
		largest = max(largest, math.Abs(float64(w)))
		if d := math.Abs(g - float64(w)); d > worst {
			worst, index = d, i
		}
	}
	if worst > tol*(1+largest) {
		return fmt.Errorf("%s%v: got %v, want %v (off by %.3g, allowed %.3g)", want.Name, at(want, index),
			got.F32()[index], want.F32()[index], worst, tol*(1+largest))
	}
	return nil
}

// at returns the coordinates of element i.
func at(t Tensor, i int) []int {
	shape := t.Shape()
	for k := len(shape) - 1; k >= 0; k-- {
		shape[k], i = i%shape[k], i/shape[k]
	}
	return shape
}

// SameBits checks that two runs gave the same outputs to the bit.
func SameBits(tb testing.TB, got, want nn.Outputs) {
	tb.Helper()
	if len(got) != len(want) {
		tb.Errorf("%d outputs, want %d", len(got), len(want))
		return
	}
	for k, w := range want {
		g := got[k]
		if err := tensor.CheckShape(w.Name, g.Shape(), w.Shape()); err != nil || g.Name != w.Name {
			tb.Errorf("%s: %v", w.Name, err)
			continue
		}
		if w.DType() != tensor.F32 {
			continue
		}
		for i, v := range w.F32() {
			if math.Float32bits(v) != math.Float32bits(g.F32()[i]) {
				tb.Errorf("%s%v: %v and %v: the bits differ", w.Name, at(Tensor{Tensor: w.Tensor}, i), g.F32()[i], v)
				break
			}
		}
	}
}

// RunAlone runs each row of the named golden folders' batches by itself,
// without the padding on its right, and checks that its bits are those it has in
// the batch.
func RunAlone(t *testing.T, load LoadFunc, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			c := Open(t, filepath.Join(Root(t), "testdata", "golden", name))
			whole := c.Forward(t, load, 2)
			batch := 0
			for _, x := range c.Inputs {
				batch = max(batch, x.Dim(0))
			}
			inputs := c.Inputs
			for row := range batch {
				c.Inputs = rowOf(inputs, row)
				for _, got := range c.Forward(t, load, 1) {
					want := whole.Get(got.Name)
					n := got.Len()
					at := row * want.Len() / batch
					for i, v := range got.F32() {
						if w := want.F32()[at+i]; math.Float32bits(v) != math.Float32bits(w) {
							t.Errorf("row %d alone: %s: element %d of %d is %v, in the batch %v", row, got.Name, i, n, v, w)
							break
						}
					}
				}
			}
		})
	}
}

// rowOf returns one row of a batch, up to its last position that the attention
// mask shows.
func rowOf(in nn.Inputs, row int) nn.Inputs {
	length := -1 // all
	if mask, ok := in["attention_mask"]; ok {
		t := mask.Dim(1)
		for j, v := range mask.I64()[row*t : (row+1)*t] {
			if v != 0 {
				length = j + 1
			}
		}
	}
	out := nn.Inputs{}
	for name, x := range in {
		shape := x.Shape()
		each := x.Len() / shape[0]
		at := row * each
		if shape[0] == 1 { // given once for all rows
			at = 0
		}
		shape[0] = 1
		if length >= 0 && len(shape) >= 2 && !strings.HasPrefix(name, "encoder_") && !strings.HasPrefix(name, "decoder_") {
			each = each / shape[1] * length
			shape[1] = length
		}
		if x.DType() == tensor.I64 {
			out[name] = tensor.FromI64(x.I64()[at:at+each], shape...)
		} else {
			out[name] = tensor.FromF32(x.F32()[at:at+each], shape...)
		}
	}
	return out
}
