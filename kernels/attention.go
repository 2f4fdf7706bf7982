package kernels

import (
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// Attention is scaled dot-product attention over ragged sequences: of sequence
// s, query i and head h,
//
//	dst = Σ_j p_j·v_j,  p = softmax over j of Scale·(q·k_j) + bias_j
//
// [ref.AttentionRowF32] defines it to the bit. The result of a query does not
// depend on which other queries and sequences are computed with it, and a
// query that sees no key gives 0.
//
// Sequence s has the queries QOff[s] ≤ i < QOff[s+1] and the keys
// KOff[s] ≤ j < KOff[s+1]. Every operand has three strides, in floats:
//
//   - LDQ from one query (key, value, output) to the next;
//   - HeadQ from one head to the next; 0 means D (DV for V and Dst), heads side
//     by side as projections leave them;
//   - SeqQ from one sequence to the next; 0 means that the sequences lie end to
//     end: query i is row i of Q.
//
// PyTorch's [batch, heads, time, D] has LDQ = D, HeadQ = time·D and
// SeqQ = heads·time·D; a cache of keys [batch, heads, capacity, D] likewise,
// with KOff giving how full it is.
type Attention struct {
	Dst, Q, K, V               []float32
	LDD, LDQ, LDK, LDV         int
	HeadD, HeadQ, HeadK, HeadV int
	SeqD, SeqQ, SeqK, SeqV     int

	Heads   int // query heads
	KVHeads int // key and value heads; Heads is a multiple. Heads/KVHeads neighbours share one
	D       int // length of a query and a key
	DV      int // length of a value
	Scale   float32

	QOff, KOff []int32

	// PageRows, if not 0, says that keys and values come in pages of that many
	// keys. Page number n starts at n·PageK in K and at n·PageV in V; key j of
	// sequence s lies in page Pages[s·SeqPages + j/PageRows], j%PageRows·LDK
	// behind its start. SeqK and SeqV are not used.
	PageRows     int
	PageK, PageV int
	Pages        []int32
	SeqPages     int

	// Causal masks the keys behind a query: of nq queries and nk keys, query i
	// stands at key i+nk-nq and sees no later one.
	Causal bool
	// Window, if not 0, masks the keys that lie Window or more keys before the
	// one at which the query stands and, without Causal, after it.
	Window int

	// Bias, if not nil, is added to the scaled scores: element
	// s·BiasSeq + h·BiasHead + i·BiasRow + j, with i and j counted within the
	// sequence. -Inf masks a key. A stride of 0 repeats: BiasRow = 0 is a mask of
	// keys.
	Bias                       []float32
	BiasSeq, BiasHead, BiasRow int
}

// AttentionF32 computes a. Dst may not overlap another operand.
func AttentionF32(t *par.Team, a *Attention) {
	if len(a.QOff) == 0 {
		return
	}
	task := attnTasks.Get().(*attnTask)
	task.Attention = *a
	task.defaults()
	task.check()
	task.plan(t.Threads())
	t.Run(task, len(task.ends))
	task.Attention = Attention{}
	attnTasks.Put(task)
}

// queries and keys return how many sequence s has.
func (a *Attention) queries(s int) int { return int(a.QOff[s+1] - a.QOff[s]) }
func (a *Attention) keys(s int) int    { return int(a.KOff[s+1] - a.KOff[s]) }

// at returns where row i of a head of sequence s begins in an operand with the
// given strides.
func at(off []int32, s, i, h, ld, head, seq int) int {
	if seq > 0 {
		return s*seq + i*ld + h*head
	}
	return (int(off[s])+i)*ld + h*head
}

func (a *Attention) query(s, i, h int) int  { return at(a.QOff, s, i, h, a.LDQ, a.HeadQ, a.SeqQ) }
func (a *Attention) output(s, i, h int) int { return at(a.QOff, s, i, h, a.LDD, a.HeadD, a.SeqD) }

// key returns where key and value j begin, and how many rows from there on lie
// one stride apart.
func (a *Attention) key(s, j, h int) (k, v, rows int) {
	if a.PageRows > 0 {
		page, row := int(a.Pages[s*a.SeqPages+j/a.PageRows]), j%a.PageRows
		return page*a.PageK + row*a.LDK + h*a.HeadK, page*a.PageV + row*a.LDV + h*a.HeadV, a.PageRows - row
	}
	return at(a.KOff, s, j, h, a.LDK, a.HeadK, a.SeqK), at(a.KOff, s, j, h, a.LDV, a.HeadV, a.SeqV), a.keys(s) - j
}

// biasAt returns where the bias of query i and key 0 lies.
func (a *Attention) biasAt(s, i, h int) int { return s*a.BiasSeq + h*a.BiasHead + i*a.BiasRow }

// visible returns the keys lo ≤ j < hi that query i of sequence s may see.
// Both grow with i.
func (a *Attention) visible(s, i int) (lo, hi int) {
	nk := a.keys(s)
	stands := i + nk - a.queries(s)
	hi = nk
	if a.Window > 0 {
		lo = stands - a.Window + 1
		hi = stands + a.Window
	}
	if a.Causal {
		hi = stands + 1
	}
	hi = max(0, min(hi, nk))
	return max(0, min(lo, hi)), hi
}

// defaults fills in the strides that may be left out.
func (a *Attention) defaults() {
	for _, s := range []struct {
		stride *int
		value  int
	}{{&a.HeadQ, a.D}, {&a.HeadK, a.D}, {&a.HeadV, a.DV}, {&a.HeadD, a.DV}} {
		if *s.stride == 0 {
			*s.stride = s.value
		}
	}
}

// check panics if an operand is too short for what the offsets and strides
// make of it.
func (a *Attention) check() {
	bad := func(format string, args ...any) { panic("kernels: attention: " + fmt.Sprintf(format, args...)) }
	if a.D <= 0 || a.DV <= 0 || a.KVHeads <= 0 || a.Heads <= 0 || a.Heads%a.KVHeads != 0 {
		bad("%d heads of %d and %d, %d of keys", a.Heads, a.D, a.DV, a.KVHeads)
	}
	if len(a.KOff) != len(a.QOff) {
		bad("%d offsets of queries, %d of keys", len(a.QOff), len(a.KOff))
	}
	if min(a.LDQ, a.LDK, a.LDV, a.LDD, a.HeadQ, a.HeadK, a.HeadV, a.HeadD, a.SeqQ, a.SeqK, a.SeqV, a.SeqD) < 0 ||
		min(a.Window, a.PageRows, a.PageK, a.PageV, a.SeqPages, a.BiasSeq, a.BiasHead, a.BiasRow) < 0 {
		bad("a stride below 0")
	}
	for s := range len(a.QOff) - 1 {
		nq, nk := a.queries(s), a.keys(s)
		if nq < 0 || nk < 0 || a.QOff[s] < 0 || a.KOff[s] < 0 {
			bad("offsets of sequence %d", s)
		}
		if nq == 0 {
			continue
		}
		short := a.query(s, nq-1, a.Heads-1)+a.D > len(a.Q) || a.output(s, nq-1, a.Heads-1)+a.DV > len(a.Dst)
		if nk > 0 {
			if a.PageRows > 0 {
				if s*a.SeqPages+(nk-1)/a.PageRows >= len(a.Pages) {
					bad("too few pages for sequence %d", s)
				}
				for _, page := range a.Pages[s*a.SeqPages:][:(nk-1)/a.PageRows+1] {
					if page < 0 {
						bad("page %d", page)
					}
				}
			}
			for j := 0; j < nk; {
				k, v, rows := a.key(s, j, a.KVHeads-1)
				last := min(rows, nk-j) - 1
				short = short || k+last*a.LDK+a.D > len(a.K) || v+last*a.LDV+a.DV > len(a.V)
				j += last + 1
			}
			if a.Bias != nil {
				short = short || a.biasAt(s, nq-1, a.Heads-1)+nk > len(a.Bias)
			}
		}
		if short {
			bad("an operand is too short for sequence %d", s)
		}
	}
}

// rowRef computes query i of one head as the definition states it.
func (a *Attention) rowRef(s, i, head int) {
	kv := head / (a.Heads / a.KVHeads)
	q, d := a.query(s, i, head), a.output(s, i, head)
	var bias []float32
	if a.Bias != nil && a.keys(s) > 0 {
		bias = a.Bias[a.biasAt(s, i, head):][:a.keys(s)]
	}
	lo, hi := a.visible(s, i)
	ref.AttentionRowF32(a.Dst[d:d+a.DV], a.Q[q:q+a.D],
		func(j int) []float32 { k, _, _ := a.key(s, j, kv); return a.K[k : k+a.D] },
		func(j int) []float32 { _, v, _ := a.key(s, j, kv); return a.V[v : v+a.DV] },
		bias, lo, hi, a.Scale)
}

// hasNaN reports whether a row holds a NaN.
func hasNaN(x []float32) bool {
	for _, v := range x {
		if v != v {
			return true
		}
	}
	return false
}

var negInf = float32(math.Inf(-1))
