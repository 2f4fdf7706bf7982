package nn

import (
	"math"
	"sync/atomic"

	"github.com/seed-512d3d71/weft/tensor"
)

// Rotary is the rotary position embedding (Su et al. 2021, arXiv:2104.09864)
// in the layout of Hugging Face's Llama: element i of a head is turned
// together with element i + Dim/2, by position·Freq[i]. It is safe for
// concurrent use.
type Rotary struct {
	Freq  []float32 // Dim/2 angles a position
	Scale float32   // multiplies cosines and sines (attention_scaling)
	table atomic.Pointer[[]float32]
}

// NewRotary returns the default embedding: angles base^(-2i/dim).
func NewRotary(dim int, base float64) *Rotary {
	r := &Rotary{Freq: make([]float32, dim/2), Scale: 1}
	for i := range r.Freq {
		// The exponent and the power are rounded as PyTorch rounds them.
		power := float32(math.Pow(base, float64(float32(2*i)/float32(dim))))
		r.Freq[i] = 1 / power
	}
	return r
}

// Apply turns the heads of x [rows, heads·headDim], in place: row i by
// positions[i]. Of each head the first 2·len(Freq) elements are turned.
func (r *Rotary) Apply(p Pass, x tensor.Tensor, positions []int32, headDim int) {
	last := int32(0)
	for _, at := range positions {
		last = max(last, at)
	}
	table := r.upTo(int(last) + 1)
	cols := 2 * len(r.Freq)
	p.Rotary(x, p.Const(table, len(table)/max(1, cols), cols), p.Ints(positions), headDim)
}

// upTo returns a table of at least n rows: the cosines of a position, then its
// sines.
func (r *Rotary) upTo(n int) []float32 {
	half := len(r.Freq)
	var have []float32
	if t := r.table.Load(); t != nil {
		if have = *t; len(have) >= 2*half*n {
			return have
		}
	}
	n = max(n, 64)
	for size := 64; size < n; size *= 2 {
		n = max(n, size) // powers of two, so that the table grows rarely
	}
	table := make([]float32, 2*half*n)
	copy(table, have)
	for at := len(have) / max(1, 2*half); at < n; at++ {
		row := table[at*2*half:]
		for i, f := range r.Freq {
			sin, cos := math.Sincos(float64(float32(at) * f))
			row[i], row[half+i] = r.Scale*float32(cos), r.Scale*float32(sin)
		}
	}
	r.table.Store(&table)
	return table
}
