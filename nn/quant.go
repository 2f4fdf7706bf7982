package nn

import (
	"fmt"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

// Quantization says how a backend stores the weights of linear layers that
// come as floats, and with W8A8 those of convolutions that have channels enough
// for it to pay. Norms, softmax and attention scores are float32 whatever it
// says.
type Quantization struct {
	Scheme kernels.Scheme
	// Group is the number of inputs that share a scale in W4: 0 is the largest
	// of 64 and 32 that divides them, else 32 with a shorter last group.
	Group int
	// Embeddings stores tables of token embeddings in 8 bits, a scale a row.
	Embeddings bool
	// Keep reports whether a layer stays float32, by its name in the checkpoint.
	Keep func(name string) bool
	// Trial, if not nil, keeps each weight in float32 too and is asked at every
	// product whether to use the quantized one: for a search of what to keep.
	Trial func(name string) bool
	// Observe, if not nil, is shown the input of every product, with Trial.
	Observe func(name string, x tensor.Tensor)
}

// group returns the group of a weight with in inputs.
func (q Quantization) group(in int) int {
	switch {
	case q.Group > 0:
		return q.Group
	case in%64 == 0:
		return 64
	}
	return 32
}

// SetQuantization changes how the weights bound from now on are stored.
func (c *CPU) SetQuantization(q Quantization) { c.quant = q }

type cpuQMatrix struct{ *kernels.QMatrix }

func (m cpuQMatrix) Out() int { return m.Rows() }
func (m cpuQMatrix) In() int  { return m.Cols() }

// quantized packs parts by the backend's scheme; false if they are to stay
// float32.
func (c *CPU) quantized(name string, parts []MatrixPart) (Matrix, bool) {
	q := c.quant
	if q.Scheme == kernels.Float32 || parts[0].Exact || parts[0].keep || parts[0].In > kernels.MaxQuantK || q.Keep != nil && q.Keep(name) {
		return nil, false
	}
	ws, ns := rowsOf(parts)
	in, group := parts[0].In, 0
	if q.Scheme == kernels.W4 {
		group = q.group(in)
	}
	return cpuQMatrix{kernels.QuantizeF32(SchemeOf(q.Scheme, name), ws, ns, in, group, parts[0].Transposed)}, true
}

// cpuTrial is a weight in both forms, for a search.
type cpuTrial struct {
	cpuMatrix
	name  string
	quant Matrix // nil: it is not quantized
}

// linear multiplies by a weight however it is stored.
func (p *cpuPass) linear(dst, x tensor.Tensor, w Matrix, e kernels.Epilogue) {
	if t, ok := w.(cpuTrial); ok {
		q := &p.backend.quant
		if q.Observe != nil {
			q.Observe(t.name, x)
		}
		w = t.cpuMatrix
		if t.quant != nil && q.Trial(t.name) {
			w = t.quant
		}
	}
	switch w := w.(type) {
	case cpuMatrix:
		kernels.LinearF32(p.team, dst.F32(), dst.LD(), x.F32(), x.LD(), x.Rows(), w.Matrix, e)
	case cpuQMatrix:
		kernels.LinearQ(p.team, dst.F32(), dst.LD(), x.F32(), x.LD(), x.Rows(), w.QMatrix, e)
	default:
		panic(fmt.Sprintf("nn: a weight of another backend: %T", w))
	}
}
