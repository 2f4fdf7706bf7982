package nn

import (
	"fmt"
	"strings"

	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// Source is a checkpoint's tensors by name: a *safetensors.Set or File.
type Source interface {
	Lookup(name string) (safetensors.Tensor, bool)
	Names() []string
}

// Params binds a checkpoint's tensors by name to blocks of a model. It is a
// prefix into a checkpoint: Sub steps down a level, so that a model's code
// repeats the checkpoint's names. The first error (a tensor that is missing, of
// the wrong shape or type) is kept and returned by Err, so that binding reads
// as a list; after an error binding goes on with zero blocks.
type Params struct {
	b      *binding
	prefix string
}

type binding struct {
	src     Source
	backend Backend
	family  string
	used    map[string]bool
	err     error

	mixture bool // of experts
	stored  StoredQuantization
	kinds   map[string]string // how weights are stored that are quantized, by tensor
	from    origins
	uses    map[string]Use
}

// NewParams returns the root Params of a checkpoint. Errors start with family.
func NewParams(src Source, backend Backend, family string) Params {
	return Params{b: &binding{src: src, backend: backend, family: family, used: map[string]bool{}, uses: map[string]Use{}, kinds: map[string]string{}, mixture: IsMixture(src.Names())}}
}

// Backend returns the backend that weights are bound for.
func (p Params) Backend() Backend { return p.b.backend }

// Err returns the first error met by any Params of this checkpoint.
func (p Params) Err() error { return p.b.err }

// Fail records an error found while binding, named by its place.
func (p Params) Fail(name string, err error) {
	if p.b.err == nil {
		p.b.err = fmt.Errorf("%s: %s: %w", p.b.family, p.full(name), err)
	}
}

// failAs records an error that names its place itself.
func (p Params) failAs(err error) {
	if p.b.err == nil {
		p.b.err = fmt.Errorf("%s: %w", p.b.family, err)
	}
}

// Sub returns the Params one level down: Sub("encoder.layer.%d", i).
func (p Params) Sub(format string, args ...any) Params {
	return Params{b: p.b, prefix: p.full(fmt.Sprintf(format, args...))}
}

// Base steps into the base model's prefix ("bert", "vit", …) if the checkpoint
// has tensors under it, and stays here if it does not: Hugging Face saves a
// base model without its prefix and a model with a head with it.
func (p Params) Base(prefix string) Params {
	if p.HasPrefix(prefix) {
		return p.Sub("%s", prefix)
	}
	return p
}

// Has reports whether the checkpoint holds the tensor name.
func (p Params) Has(name string) bool {
	_, ok := p.b.src.Lookup(p.full(name))
	if !ok && strings.HasSuffix(name, ".weight") {
		_, ok = p.b.src.Lookup(p.full(name) + "_packed")
	}
	return ok
}

// HasPrefix reports whether a tensor's name starts with prefix and a dot.
func (p Params) HasPrefix(prefix string) bool {
	full := p.full(prefix) + "."
	for _, n := range p.b.src.Names() {
		if strings.HasPrefix(n, full) {
			return true
		}
	}
	return false
}

// Unused returns the names of the tensors that nothing has bound, which
// Hugging Face ignores too (position_ids, pre-training heads).
func (p Params) Unused() []string {
	var out []string
	for _, n := range p.b.src.Names() {
		if !p.b.used[n] {
			out = append(out, n)
		}
	}
	return out
}

func (p Params) full(name string) string {
	switch {
	case p.prefix == "":
		return name
	case name == "":
		return p.prefix
	}
	return p.prefix + "." + name
}

// F32 returns a tensor's elements as float32 after checking its shape (-1
// matches any length), and the shape it has. F32 data is the mapped file's own.
func (p Params) F32(name string, want ...int) ([]float32, []int) {
	if w, ok := p.storedWeight(name, want); ok {
		if w == nil {
			return nil, nil
		}
		data, err := w.Float32()
		if err != nil {
			p.failAs(fmt.Errorf("%s: %w", p.b.family, err))
			return nil, nil
		}
		p.b.from.add(data, origin{p.full(name), w, 2})
		return data, w.shape()
	}
	t, ok := p.find(name, want)
	if !ok {
		return nil, nil
	}
	data, err := t.Float32()
	if err != nil {
		p.Fail(name, err)
		return nil, nil
	}
	p.b.from.add(data, origin{name: p.full(name), rank: len(t.Shape)})
	return data, t.Shape
}

// Vector binds a vector of n elements.
func (p Params) Vector(name string, n int) tensor.Tensor { return p.table(name, 1, n, n) }

// Table binds a [rows, cols] tensor that is looked up or added, not multiplied.
func (p Params) Table(name string, rows, cols int) tensor.Tensor {
	p.use(Use{Name: p.full(name), Kind: UseTable})
	if t, ok := p.table8(name, rows, cols); ok {
		return t
	}
	return p.table(name, rows, cols, rows, cols)
}

func (p Params) table(name string, rows, cols int, want ...int) tensor.Tensor {
	data, _ := p.F32(name, want...)
	if data == nil {
		return tensor.Tensor{}
	}
	return p.Place(name, data, rows, cols)
}

// Place puts data that was computed while binding on the device.
func (p Params) Place(name string, data []float32, rows, cols int) tensor.Tensor {
	t, err := p.b.backend.Vector(p.full(name), data, rows, cols)
	if err != nil {
		p.Fail(name, err)
	}
	return t
}

// Linear binds name.weight [out, in] and, with bias, name.bias [out].
func (p Params) Linear(name string, in, out int, bias bool) Linear {
	return p.Stacked([]string{name}, in, out, bias)
}

// Stacked binds several linear layers of equal size that read the same input
// as one product: their outputs lie side by side, in the order of names.
func (p Params) Stacked(names []string, in, out int, bias bool) Linear {
	parts := make([]MatrixPart, 0, len(names))
	var biases []float32
	layer := p.full(names[0])
	for _, n := range names {
		part, ok := p.part(layer, n+".weight", out, in)
		if !ok {
			return Linear{}
		}
		parts = append(parts, part)
		if bias {
			b, _ := p.F32(n+".bias", out)
			if b == nil {
				return Linear{}
			}
			if len(names) == 1 {
				biases = b
			} else {
				biases = append(biases, b...)
			}
		}
	}
	l := p.pack(names[0], parts, biases)
	for _, n := range names {
		p.discard(n + ".weight")
	}
	return l
}

// discard lets the pages of a tensor that has been packed leave memory.
func (p Params) discard(name string) {
	if t, ok := p.b.src.Lookup(p.full(name)); ok {
		t.Discard()
	}
}

// Weight returns the tensor name [out, in], or [in, out] if transposed, for
// [Params.LinearFrom].
func (p Params) Weight(name string, out, in int, transposed bool) MatrixPart {
	part, shape := MatrixPart{Out: out, In: in, Transposed: transposed}, []int{out, in}
	if transposed {
		shape = []int{in, out}
	}
	if w, ok := p.storedWeight(name, shape); ok {
		part.Stored = w
	} else {
		part.Data, _ = p.F32(name, shape...)
	}
	return part
}

// LinearFrom packs weights of [Params.Weight], and those that the caller
// computed. bias may be nil.
func (p Params) LinearFrom(name string, parts []MatrixPart, bias []float32) Linear {
	for _, part := range parts {
		if part.Data == nil && part.Stored == nil {
			return Linear{}
		}
	}
	p.trace(name, parts)
	l := p.pack(name, parts, bias)
	for _, part := range parts {
		p.discardData(part.Data)
	}
	return l
}

// discardData is discard for the tensor whose elements F32 returned.
func (p Params) discardData(data []float32) {
	if o, ok := p.b.from.find(data); ok {
		if t, ok := p.b.src.Lookup(o.name); ok {
			t.Discard()
		}
	}
}

func (p Params) pack(name string, parts []MatrixPart, bias []float32) Linear {
	var l Linear
	var err error
	p.keepFloat(p.full(name), parts)
	if l.W, err = p.b.backend.Matrix(p.full(name), parts...); err != nil {
		p.Fail(name, err)
		return Linear{}
	}
	if bias != nil {
		l.B = p.Place(name+".bias", bias, 1, len(bias))
	}
	return l
}

// TiedLinear binds name.weight [out, in], without bias, where the checkpoint
// holds it and else, if tied, the table of that name under base.
func (p Params) TiedLinear(name string, base Params, table string, out, in int, tied bool) Linear {
	src, weight := p, name+".weight"
	if tied && !p.Has(weight) {
		src, weight = base, table
	}
	return p.LinearFrom(name, []MatrixPart{src.Weight(weight, out, in, false)}, nil)
}

// Conv1D packs w [out, in/groups, width], the weight of the convolution name.
func (p Params) Conv1D(name string, w []float32, out, in, width, groups int) Conv {
	if p.Err() != nil {
		return nil
	}
	c, err := p.b.backend.Conv1D(p.full(name), w, out, in, width, groups)
	if err != nil {
		p.failAs(err)
	}
	p.discardData(w)
	return c
}

// LayerNorm binds name.weight and name.bias; old checkpoints call them gamma
// and beta.
func (p Params) LayerNorm(name string, n int, eps float32) LayerNorm {
	w, b := name+".weight", name+".bias"
	if !p.Has(w) && p.Has(name+".gamma") {
		w, b = name+".gamma", name+".beta"
	}
	return LayerNorm{Gain: p.Vector(w, n), Bias: p.Vector(b, n), Eps: eps}
}

// RMSNorm binds name.weight.
func (p Params) RMSNorm(name string, n int, eps float32) RMSNorm {
	return RMSNorm{Gain: p.Vector(name+".weight", n), Eps: eps}
}

// Embedding binds name.weight [rows, cols].
func (p Params) Embedding(name string, rows, cols int) Embedding {
	return Embedding{Table: p.Table(name+".weight", rows, cols)}
}

// CheckFinite returns an error that names the first bound tensor holding NaN
// or an infinity, or nil. Outputs are checked after each call; the weights are
// only searched when an output is not finite.
func (p Params) CheckFinite() error {
	for _, n := range p.b.src.Names() {
		if !p.b.used[n] {
			continue
		}
		t, _ := p.b.src.Lookup(n)
		data, err := t.Float32()
		if err != nil {
			return fmt.Errorf("%s: %s: %w", p.b.family, n, err)
		}
		for i, v := range data {
			if v-v != 0 {
				return fmt.Errorf("%s: %s: element %d is %v: %w", p.b.family, n, i, v, ErrNotFinite)
			}
		}
	}
	return nil
}
