package nn

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"strings"

	"github.com/seed-512d3d71/weft/tensor"
)

// Model is one class of a model family with its weights bound, run by named
// tensors. It is safe for concurrent use.
type Model interface {
	// Run does one forward pass. Inputs and outputs carry the names that
	// Hugging Face's forward() gives them; outputs lie on the Go heap.
	Run(ctx context.Context, in Inputs, o RunOptions) (Outputs, error)
}

// RunOptions are the options of [Model.Run].
type RunOptions struct {
	// HiddenStates adds what output_hidden_states=True adds: hidden_states.0
	// (the embedding output), hidden_states.1, …
	HiddenStates bool
	// Set gives scalar arguments of forward() by name, as JSON.
	Set map[string]json.RawMessage
}

// Bool returns the boolean argument key, def if it is not given.
func (o RunOptions) Bool(key string, def bool) (bool, error) {
	raw, ok := o.Set[key]
	if !ok {
		return def, nil
	}
	var v bool
	if err := json.Unmarshal(raw, &v); err != nil {
		return def, InputError(key, "%s is not a boolean", raw)
	}
	return v, nil
}

// Known returns an error that names the first argument not among keys.
func (o RunOptions) Known(keys ...string) error {
	for _, k := range sortedKeys(o.Set) {
		if !contains(keys, k) {
			return Unsupported("argument %q", k)
		}
	}
	return nil
}

// Inputs are named tensors: float tensors as F32, integers as I64.
type Inputs map[string]tensor.Tensor

// Known returns an error that names the first input not among names.
func (in Inputs) Known(names ...string) error {
	for _, k := range sortedKeys(in) {
		if !contains(names, k) {
			return InputError(k, "not an input of this class (it takes %s)", strings.Join(names, ", "))
		}
	}
	return nil
}

// Has reports whether the input is present.
func (in Inputs) Has(name string) bool { _, ok := in[name]; return ok }

// I64 returns an integer input after checking its shape (-1: any length).
func (in Inputs) I64(name string, want ...int) (tensor.Tensor, error) {
	return in.typed(name, tensor.I64, want)
}

// F32 returns a float input after checking its shape (-1: any length).
func (in Inputs) F32(name string, want ...int) (tensor.Tensor, error) {
	return in.typed(name, tensor.F32, want)
}

func (in Inputs) typed(name string, d tensor.DType, want []int) (tensor.Tensor, error) {
	t, ok := in[name]
	if !ok {
		return t, InputError(name, "missing")
	}
	if t.DType() != d {
		return t, InputError(name, "element type %v, want %v", t.DType(), d)
	}
	if err := tensor.CheckShape(name, t.Shape(), want); err != nil {
		return t, fmt.Errorf("%w: %w", ErrInput, err)
	}
	return t, nil
}

// IDs returns an input of ids [B, T] as int32, each within [0, limit).
func (in Inputs) IDs(name string, limit, b, t int) ([]int32, error) {
	x, err := in.I64(name, b, t)
	if err != nil {
		return nil, err
	}
	return CheckIDs(name, x.I64(), limit)
}

// Tokens returns what a text encoder or decoder reads: input_ids [B, T] below
// vocab, or inputs_embeds [B, T, width] in their place, and B and T, which are
// not 0. The other of the two is nil or the zero Tensor.
func (in Inputs) Tokens(vocab, width int) (ids []int32, embeds tensor.Tensor, b, t int, err error) {
	name := "input_ids"
	if in.Has(name) == in.Has("inputs_embeds") {
		return nil, embeds, 0, 0, InputError(name, "exactly one of input_ids and inputs_embeds is needed")
	}
	if in.Has(name) {
		ids, err = in.IDs(name, vocab, -1, -1)
	} else {
		name = "inputs_embeds"
		embeds, err = in.F32(name, -1, -1, width)
	}
	if err != nil {
		return nil, embeds, 0, 0, err
	}
	if b, t = in[name].Dim(0), in[name].Dim(1); b == 0 || t == 0 {
		return nil, embeds, 0, 0, InputError(name, "shape %v is empty", in[name].Shape())
	}
	return ids, embeds, b, t, nil
}

// BroadcastIDs is IDs for an input that may be given once for all rows [1, T].
func (in Inputs) BroadcastIDs(name string, limit, b, t int) ([]int32, error) {
	rows := b
	if x := in[name]; x.Rank() == 2 && x.Dim(0) == 1 {
		rows = 1
	}
	given, err := in.IDs(name, limit, rows, t)
	if err != nil || rows == b {
		return given, err
	}
	out := make([]int32, b*t)
	for i := range out {
		out[i] = given[i%t]
	}
	return out, nil
}

// CheckIDs converts ids to int32 and returns an error that names the first one
// outside [0, limit).
func CheckIDs(name string, ids []int64, limit int) ([]int32, error) {
	out := make([]int32, len(ids))
	for i, v := range ids {
		if v < 0 || v >= int64(limit) {
			return nil, InputError(name, "element %d is %d, want 0 … %d", i, v, limit-1)
		}
		out[i] = int32(v)
	}
	return out, nil
}

// Mask returns the 0/1 mask [B, T] of that name, nil if it is absent. Float
// masks are accepted as Hugging Face accepts them.
func (in Inputs) Mask(name string, b, t int) ([]int64, error) {
	x, ok := in[name]
	if !ok {
		return nil, nil
	}
	if err := tensor.CheckShape(name, x.Shape(), []int{b, t}); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	var out []int64
	switch x.DType() {
	case tensor.I64:
		out = x.I64()
	case tensor.F32:
		out = make([]int64, len(x.F32()))
		for i, v := range x.F32() {
			out[i] = int64(v)
			if float32(out[i]) != v {
				return nil, InputError(name, "element %d is %v, want 0 or 1", i, v)
			}
		}
	default:
		return nil, InputError(name, "element type %v", x.DType())
	}
	for i, v := range out {
		if v != 0 && v != 1 {
			return nil, InputError(name, "element %d is %d, want 0 or 1", i, v)
		}
	}
	return out, nil
}

// Upload returns the elements of a host tensor on the pass's device, under the
// same shape.
func Upload(p Pass, t tensor.Tensor) tensor.Tensor {
	return p.Floats(t.F32(), t.Rows(), t.Cols()).ReshapeAs(t)
}

// Output is one named result.
type Output struct {
	Name string
	tensor.Tensor
}

// Outputs are the results of a pass, in Hugging Face's order.
type Outputs []Output

// Add appends a result.
func (o *Outputs) Add(name string, t tensor.Tensor) { *o = append(*o, Output{name, t}) }

// Get returns the result of that name, the zero Tensor if there is none.
func (o Outputs) Get(name string) tensor.Tensor {
	for _, x := range o {
		if x.Name == name {
			return x.Tensor
		}
	}
	return tensor.Tensor{}
}

// Finite returns an error that names the first float output holding NaN or an
// infinity.
func (o Outputs) Finite() error {
	for _, x := range o {
		if x.DType() != tensor.F32 {
			continue
		}
		for i, v := range x.F32() {
			if v-v != 0 {
				return fmt.Errorf("%s: element %d is %v: %w", x.Name, i, v, ErrNotFinite)
			}
		}
	}
	return nil
}

// Finish ends a Run: the context's error, then NaN in an output, traced to the
// weight that holds it if one does.
func Finish(p Pass, params Params, out Outputs) (Outputs, error) {
	if err := p.Err(); err != nil {
		return nil, err
	}
	if err := out.Finite(); err != nil {
		if cause := params.CheckFinite(); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	return out, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
