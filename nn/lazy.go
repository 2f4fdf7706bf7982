package nn

import (
	"sync"
	"sync/atomic"

	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// Stored names a weight [Out, In] of the checkpoint: a tensor of that shape,
// or, with Stack > 0, element Index of a tensor [Stack, Out, In].
type Stored struct {
	Name         string
	Out, In      int
	Stack, Index int
}

// LazyLinear is a linear layer without bias that is read and packed when it is
// first used: until then its part of the weight file stays out of memory. It
// is safe for concurrent use.
type LazyLinear struct {
	name   string
	params Params
	parts  []lazyPart
	mu     sync.Mutex
	bound  atomic.Pointer[Linear]
}

type lazyPart struct {
	t       safetensors.Tensor
	stored  *StoredWeight // if the checkpoint is quantized
	out, in int
}

// Lazy finds the parts of a layer, whose outputs lie side by side in the order
// given, and checks their shapes and types. It reads no element.
func (p Params) Lazy(name string, parts ...Stored) *LazyLinear {
	l := &LazyLinear{name: p.full(name), params: p}
	for _, s := range parts {
		want := []int{s.Out, s.In}
		if s.Stack > 0 {
			want = []int{s.Stack, s.Out, s.In}
		} else {
			p.use(Use{Name: p.full(s.Name), Kind: UseLinear, Layer: l.name})
			if w, ok := p.storedWeight(s.Name, want); ok {
				if w == nil {
					return l
				}
				l.parts = append(l.parts, lazyPart{stored: w, out: s.Out, in: s.In})
				continue
			}
		}
		t, ok := p.find(s.Name, want)
		if !ok {
			return l
		}
		if s.Stack > 0 {
			t = t.Index(s.Index)
		}
		l.parts = append(l.parts, lazyPart{t: t, out: s.Out, in: s.In})
	}
	return l
}

// Linear returns the layer, packing it at the first call.
func (l *LazyLinear) Linear() (Linear, error) {
	if b := l.bound.Load(); b != nil {
		return *b, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.bound.Load(); b != nil {
		return *b, nil
	}
	parts := make([]MatrixPart, len(l.parts))
	for i, s := range l.parts {
		if s.stored != nil {
			parts[i] = MatrixPart{Stored: s.stored, Out: s.out, In: s.in}
			continue
		}
		data, err := s.t.Float32()
		if err != nil {
			return Linear{}, err
		}
		parts[i] = MatrixPart{Data: data, Out: s.out, In: s.in}
	}
	l.params.keepFloat(l.name, parts)
	w, err := l.params.Backend().Matrix(l.name, parts...)
	if err != nil {
		return Linear{}, err
	}
	for _, s := range l.parts {
		s.t.Discard()
	}
	l.bound.Store(&Linear{W: w})
	return Linear{W: w}, nil
}

// Bound reports whether the layer has been used.
func (l *LazyLinear) Bound() bool { return l.bound.Load() != nil }

// find looks a float tensor up and checks its shape; what is wrong is kept as
// Err has it.
func (p Params) find(name string, want []int) (safetensors.Tensor, bool) {
	full := p.full(name)
	t, ok := p.b.src.Lookup(full)
	if !ok {
		p.Fail(name, ErrMissingWeight)
		return t, false
	}
	p.b.used[full] = true
	if err := tensor.CheckShape(full, t.Shape, want); err != nil {
		p.failAs(err)
		return t, false
	}
	switch t.DType {
	case safetensors.F64, safetensors.F32, safetensors.F16, safetensors.BF16:
	default: // quantized: its elements mean nothing without their scales
		p.Fail(name, Unsupported("stored as %v, not F64, F32, F16 or BF16", t.DType))
		return t, false
	}
	return t, true
}
