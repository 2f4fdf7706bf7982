package nn

import (
	"slices"
	"strings"
)

// UseKind is what a tensor of a checkpoint is for.
type UseKind uint8

const (
	UseOther  UseKind = iota // norms, biases, convolutions
	UseLinear                // the weight of a linear layer, and nothing else
	UseTable                 // embeddings that are looked up by id
	UseTied                  // no tensor: a linear layer whose weight is another's
)

// Use is a weight that a model has bound.
type Use struct {
	Name       string // of the tensor
	Kind       UseKind
	Layer      string // the name that [Backend.Matrix] has for it, as first of a stack
	Transposed bool   // the weight is [in, out]
}

// use notes what a tensor is for.
func (p Params) use(u Use) {
	if p.b.uses[u.Name].Kind != UseTable {
		p.b.uses[u.Name] = u
	}
}

// Uses returns the weights of linear layers and the tables of embeddings that
// have been bound, by name. A table that is a linear layer too is a table.
func (p Params) Uses() []Use {
	var list []Use
	for _, u := range p.b.uses {
		list = append(list, u)
	}
	slices.SortFunc(list, func(a, b Use) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// origin is where floats that F32 returned come from.
type origin struct {
	name   string // of the tensor
	stored *StoredWeight
	rank   int
}

// origins are those of the last few tensors: what a layer is made of is read
// just before it is packed. Older ones may be freed.
type origins struct {
	data [16][]float32
	of   [16]origin
	next int
}

func (o *origins) add(data []float32, of origin) {
	if len(data) > 0 {
		o.data[o.next], o.of[o.next] = data, of
		o.next = (o.next + 1) % len(o.of)
	}
}

func (o *origins) find(data []float32) (origin, bool) {
	for i, d := range o.data {
		if len(d) > 0 && len(data) > 0 && &d[0] == &data[0] {
			return o.of[i], true
		}
	}
	return origin{}, false
}

// Forget drops what binding keeps of the tensors' floats. The model is bound.
func (p Params) Forget() { p.b.from = origins{} }

// part returns the weight name [out, in] as a part of the matrix layer.
func (p Params) part(layer, name string, out, in int) (MatrixPart, bool) {
	p.use(Use{Name: p.full(name), Kind: UseLinear, Layer: layer})
	if w, ok := p.storedWeight(name, []int{out, in}); ok {
		return MatrixPart{Stored: w, Out: out, In: in}, w != nil
	}
	data, _ := p.F32(name, out, in)
	return MatrixPart{Data: data, Out: out, In: in}, data != nil
}

// trace completes the parts of the matrix name by what is known of their
// tensors.
func (p Params) trace(name string, parts []MatrixPart) {
	for i := range parts {
		part := &parts[i]
		o, ok := p.b.from.find(part.Data)
		if part.Stored != nil {
			o, ok = origin{part.Stored.name + ".weight", part.Stored, 2}, true
		}
		if !ok {
			continue
		}
		if o.rank > 2 {
			part.Exact = true // a convolution, as patch embeddings are
			continue
		}
		part.Stored = o.stored
		if own := p.full(name) + ".weight"; o.name != own && len(parts) == 1 {
			p.use(Use{Name: own, Kind: UseTied, Layer: p.full(name)})
			if o.stored != nil { // the table's scheme says nothing of the layer's activations
				w := *o.stored
				w.acts = p.b.stored.Activations(p.full(name))
				part.Stored = &w
			}
		}
		p.use(Use{Name: o.name, Kind: UseLinear, Layer: p.full(name), Transposed: part.Transposed})
	}
}
