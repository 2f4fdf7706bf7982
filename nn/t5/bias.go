package t5

import (
	"math"
	"sync/atomic"

	"github.com/seed-512d3d71/weft/nn"
)

// RelativeBias is T5's position embedding: a number for each head and distance
// between a query and a key, added to their score. Distances share buckets, the
// larger they are the more. It is safe for concurrent use.
type RelativeBias struct {
	Weight      []float32 // [buckets, heads]
	Heads       int
	Buckets     int
	MaxDistance int // from here on all share one bucket
	// Causal: keys do not lie after queries, and all buckets are for the past.
	Causal bool

	table atomic.Pointer[biasTable]
}

// biasTable holds the bias of every query and key of a sequence: [heads, n, n].
type biasTable struct {
	n    int
	data []float32
}

// bucket returns the bucket of a key that lies distance after the query.
func (r *RelativeBias) bucket(distance int) int {
	first, n := 0, r.Buckets
	if r.Causal {
		distance = max(-distance, 0)
	} else {
		n /= 2
		if distance > 0 {
			first = n
		}
		distance = max(distance, -distance)
	}
	exact := n / 2
	if distance < exact {
		return first + distance
	}
	// In float32, as PyTorch computes it: a bucket's edge depends on it.
	far := float32(math.Log(float64(float32(distance) / float32(exact))))
	far = far / float32(math.Log(float64(r.MaxDistance)/float64(exact))) * float32(n-exact)
	return first + min(exact+int(far), n-1)
}

// upTo returns a table for sequences of n tokens or more.
func (r *RelativeBias) upTo(n int) *biasTable {
	if t := r.table.Load(); t != nil && t.n >= n {
		return t
	}
	size := 32
	for size < n {
		size *= 2 // so that the table grows rarely
	}
	t := &biasTable{n: size, data: make([]float32, r.Heads*size*size)}
	line := make([]float32, 2*size-1) // by distance, from 1-size
	for h := range r.Heads {
		for i := range line {
			line[i] = r.Weight[r.bucket(i-size+1)*r.Heads+h]
		}
		for i := range size {
			copy(t.data[(h*size+i)*size:][:size], line[size-1-i:])
		}
	}
	r.table.Store(t)
	return t
}

// Args adds the bias to the arguments of an attention in which the queries are
// the last ones of their sequences. position, if not nil, holds the position of
// each key; without it keys lie next to each other.
func (r *RelativeBias) Args(p nn.Pass, a nn.AttentionArgs, position []int32) nn.AttentionArgs {
	sequences := len(a.QOff) - 1
	longest, queries, aligned := 0, 0, position == nil
	for s := range sequences {
		nq, nk := int(a.QOff[s+1]-a.QOff[s]), int(a.KOff[s+1]-a.KOff[s])
		longest, queries = max(longest, nk), max(queries, nq)
		aligned = aligned && nk-nq == int(a.KOff[1]-a.KOff[0]-a.QOff[1]+a.QOff[0])
	}
	if longest == 0 || r.Weight == nil { // no rows, or a stack without blocks
		return a
	}
	span := longest
	for _, at := range position {
		span = max(span, int(at)+1)
	}
	t := r.upTo(span)
	if aligned && a.Bias.IsZero() {
		from := int(a.KOff[1] - a.KOff[0] - a.QOff[1] + a.QOff[0])
		a.Bias = p.Const(t.data, 1, len(t.data)).SliceCols(from*t.n, len(t.data))
		a.BiasSeq, a.BiasHead, a.BiasRow = 0, t.n*t.n, t.n
		return a
	}
	// One table a sequence: [heads, queries, keys].
	var hidden []float32
	hiddenSeq := a.BiasSeq
	if !a.Bias.IsZero() {
		hidden = p.Host(a.Bias).F32()
	}
	a.BiasRow, a.BiasHead = longest, queries*longest
	a.BiasSeq = r.Heads * a.BiasHead
	data := make([]float32, sequences*a.BiasSeq)
	for s := range sequences {
		k0, nq, nk := int(a.KOff[s]), int(a.QOff[s+1]-a.QOff[s]), int(a.KOff[s+1]-a.KOff[s])
		at := func(j int) int {
			if position == nil {
				return j
			}
			return int(position[k0+j])
		}
		for h := range r.Heads {
			for i := range nq {
				row := data[s*a.BiasSeq+h*a.BiasHead+i*a.BiasRow:][:nk]
				from := t.data[(h*t.n+at(i+nk-nq))*t.n:]
				for j := range row {
					if row[j] = from[at(j)]; hidden != nil {
						row[j] += hidden[s*hiddenSeq+j]
					}
				}
			}
		}
	}
	a.Bias = p.Floats(data, 1, len(data))
	return a
}
