package nn

import (
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

// table8 is a table of embeddings in 8 bits with a scale a row: the handle of
// the tensor that stands for it.
type table8 struct {
	q     []int8
	scale []float32
}

// lookup sets dst[i] to the row ids[i], or adds it.
func (t *table8) lookup(p *cpuPass, dst tensor.Tensor, ids []int32, accumulate bool) {
	kernels.EmbeddingS8(p.team, dst.F32(), dst.Cols(), ids, t.q, t.scale, accumulate)
}

// table8 binds a table in 8 bits, if the checkpoint stores it so or the
// backend is asked to.
func (p Params) table8(name string, rows, cols int) (tensor.Tensor, bool) {
	cpu, ok := p.b.backend.(*CPU)
	if !ok {
		return tensor.Tensor{}, false
	}
	var q kernels.Quantized
	if w, ok := p.storedWeight(name, []int{rows, cols}); ok {
		if w == nil {
			return tensor.Tensor{}, true
		}
		if s := w.scheme(); s != kernels.W8 && s != kernels.W8A8 || w.groups > 1 || w.columns {
			return tensor.Tensor{}, false
		}
		var err error
		if q, err = w.quantized(nil); err != nil {
			p.failAs(err)
			return tensor.Tensor{}, true
		}
	} else {
		if !cpu.quant.Embeddings {
			return tensor.Tensor{}, false
		}
		data, _ := p.F32(name, rows, cols)
		if data == nil {
			return tensor.Tensor{}, true
		}
		q = kernels.QuantizeRows(data, rows, cols)
		p.discard(name)
	}
	return tensor.OnDevice(&table8{q.Q, q.Scale}, tensor.F32, rows, cols), true
}
