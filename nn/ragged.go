package nn

import (
	"math"

	"github.com/seed-512d3d71/weft/tensor"
)

// Ragged is a batch whose sequences lie end to end without padding: what is
// left of a padded grid [B, T] once the tokens that its attention mask hides
// are stripped.
type Ragged struct {
	B, T int     // the padded grid
	Off  []int32 // sequence s is rows Off[s]:Off[s+1]
	Row  []int32 // the grid position b*T+t of each row
	// Hidden holds -Inf for a row that is kept although it is masked (see
	// NewRaggedKeeping and NewGrid), else 0: element s*T+j is key j of sequence s.
	// It is nil when there is none.
	Hidden []float32
}

// NewRagged strips the positions at which mask [B, T] is zero; a nil mask keeps
// everything. keepFirst keeps position 0 of each sequence even if it is masked,
// for poolers that read it: see NewRaggedKeeping.
func NewRagged(mask []int64, b, t int, keepFirst bool) *Ragged {
	if mask == nil || !keepFirst {
		return NewRaggedKeeping(mask, b, t, nil)
	}
	return NewRaggedKeeping(mask, b, t, make([]int32, b))
}

// NewRaggedKeeping is NewRagged that keeps position keep[s] of sequence s even
// if it is masked, for poolers that read it: it then attends without being
// attended to, as in Hugging Face. A nil keep keeps none.
func NewRaggedKeeping(mask []int64, b, t int, keep []int32) *Ragged {
	r := &Ragged{B: b, T: t, Off: make([]int32, b+1), Row: make([]int32, 0, b*t)}
	for s := range b {
		for j := range t {
			i := s*t + j
			if mask == nil || mask[i] != 0 {
				r.Row = append(r.Row, int32(i))
			} else if keep != nil && j == int(keep[s]) {
				if r.Hidden == nil {
					r.Hidden = make([]float32, b*t)
				}
				r.Hidden[s*t+len(r.Row)-int(r.Off[s])] = float32(math.Inf(-1))
				r.Row = append(r.Row, int32(i))
			}
		}
		r.Off[s+1] = int32(len(r.Row))
	}
	return r
}

// Rows returns the number of rows.
func (r *Ragged) Rows() int { return len(r.Row) }

// Whole reports whether nothing was stripped.
func (r *Ragged) Whole() bool { return len(r.Row) == r.B*r.T }

// Args returns attention arguments for self-attention over the batch.
func (r *Ragged) Args(p Pass) AttentionArgs {
	a := AttentionArgs{QOff: r.Off, KOff: r.Off}
	if r.Hidden != nil {
		a.Bias = p.Floats(r.Hidden, r.B, r.T)
		a.BiasSeq = r.T
	}
	return a
}

// Pack gathers the rows of x [B·T, C] into [rows, C].
func (r *Ragged) Pack(p Pass, x tensor.Tensor) tensor.Tensor {
	if r.Whole() {
		return x
	}
	dst := p.New(r.Rows(), x.Cols())
	p.Gather(dst, x, p.Ints(r.Row))
	return dst
}

// Pick returns the elements of a grid [B·T] that the rows have; nil for nil.
func (r *Ragged) Pick(grid []int32) []int32 {
	if grid == nil || r.Whole() {
		return grid
	}
	out := make([]int32, len(r.Row))
	for i, g := range r.Row {
		out[i] = grid[g]
	}
	return out
}

// Pad puts the rows of x [rows, C] back into the grid: a new host tensor
// [B, T, C] on the Go heap with zeros at the stripped positions.
func (r *Ragged) Pad(p Pass, x tensor.Tensor) tensor.Tensor {
	x = p.Host(x)
	c := x.Cols()
	out := make([]float32, r.B*r.T*c)
	src, ld := x.F32(), x.LD()
	for i, g := range r.Row {
		copy(out[int(g)*c:(int(g)+1)*c], src[i*ld:])
	}
	return tensor.FromF32(out, r.B, r.T, c)
}

// First returns the row of position 0 of each sequence, -1 where the sequence
// is empty.
func (r *Ragged) First() []int32 {
	out := make([]int32, r.B)
	for s := range out {
		if out[s] = r.Off[s]; r.Off[s] == r.Off[s+1] {
			out[s] = -1
		}
	}
	return out
}

// At returns the row of position at[s] of each sequence, -1 where it was
// stripped.
func (r *Ragged) At(at []int32) []int32 {
	out := make([]int32, r.B)
	for s := range out {
		out[s] = -1
		for i := r.Off[s]; i < r.Off[s+1]; i++ {
			if r.Row[i] == int32(s*r.T)+at[s] {
				out[s] = i
			}
		}
	}
	return out
}

// NewGrid keeps every position of the grid: those that mask hides attend
// without being attended to, as in Hugging Face. It is for models whose later
// layers read hidden positions.
func NewGrid(mask []int64, b, t int) *Ragged {
	r := NewRagged(nil, b, t, false)
	for i, v := range mask {
		if v == 0 {
			if r.Hidden == nil {
				r.Hidden = make([]float32, b*t)
			}
			r.Hidden[i] = float32(math.Inf(-1))
		}
	}
	return r
}

// Visible returns a grid (see NewGrid) without its masked positions: what its
// rows give when they are packed.
func (r *Ragged) Visible() *Ragged {
	mask := make([]int64, len(r.Hidden))
	for i, v := range r.Hidden {
		if v == 0 {
			mask[i] = 1
		}
	}
	return NewRagged(mask, r.B, r.T, false)
}

// ZeroHidden sets the rows of x, over a grid (see NewGrid), that are kept
// although they are masked to 0.
func (r *Ragged) ZeroHidden(p Pass, x tensor.Tensor) {
	if r.Hidden == nil {
		return
	}
	rows := make([]int32, len(r.Row))
	for i, g := range r.Row {
		if rows[i] = int32(i); r.Hidden[g] != 0 {
			rows[i] = -1
		}
	}
	mark := p.Mark()
	kept := p.New(x.Rows(), x.Cols())
	p.Gather(kept, x, p.Ints(rows))
	p.Scale(x, kept, 1)
	p.Release(mark)
}
