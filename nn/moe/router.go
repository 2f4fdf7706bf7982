package moe

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Policy says who chooses, and when the softmax is taken.
type Policy int

const (
	// SoftmaxTopK: each token takes the TopK experts of the highest probability,
	// and weighs them by their probabilities, divided by their sum if
	// Normalize is set (Mixtral, Qwen2-MoE, Switch with TopK 1).
	SoftmaxTopK Policy = iota
	// TopKSoftmax: the softmax is taken over the TopK highest logits. In exact
	// arithmetic it is SoftmaxTopK with Normalize.
	TopKSoftmax
	// ExpertChoice: each expert takes the tokens of a group whose probability for
	// it is highest, Capacity of them, and weighs them by it. A token may be
	// taken by several experts, or by none.
	ExpertChoice
)

// Router chooses experts for tokens. Noise that training adds to the choice
// has no place here.
type Router struct {
	Gate      nn.Linear // [experts, C]
	Policy    Policy
	TopK      int
	Normalize bool
	// Capacity is the most tokens of a group that an expert sees: the first ones
	// that chose it, the others lose it (Switch). 0: no bound; ExpertChoice needs
	// one.
	Capacity int
}

// Check returns an error that says what is wrong with the options for so many
// experts.
func (r *Router) Check(experts int) error {
	switch {
	case r.Policy < SoftmaxTopK || r.Policy > ExpertChoice:
		return nn.Unsupported("router policy %d", int(r.Policy))
	case experts < 1:
		return fmt.Errorf("%d experts, want at least 1", experts)
	case r.Capacity < 0 || r.Policy == ExpertChoice && r.Capacity == 0:
		return fmt.Errorf("a capacity of %d tokens an expert", r.Capacity)
	case r.Policy != ExpertChoice && (r.TopK < 1 || r.TopK > experts):
		return fmt.Errorf("%d experts a token, of %d", r.TopK, experts)
	}
	return nil
}

// Routing says which tokens an expert sees and how its outputs are weighed.
// Each pair of a token and an expert that it is sent to is a slot.
type Routing struct {
	// Slots Expert[e] … Expert[e+1]-1 are those of expert e; Row is the token of
	// each slot, rising within an expert, and Weight the weight of its output.
	Expert []int32
	Row    []int32
	Weight []float32
	// The same by token: elements Off[i] … Off[i+1]-1 of Slot are the slots of
	// token i, in the order of the experts, and of SlotWeight their weights.
	Off        []int32
	Slot       []int32
	SlotWeight []float32

	chosen  []int32   // by token: TopK experts, -1 where capacity is used up
	weights []float32 // by token
	order   []int32
	counts  []int32
}

var routings = sync.Pool{New: func() any { return new(Routing) }}

// Logits returns the gate's scores [rows, experts].
func (r *Router) Logits(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	return r.Gate.Forward(p, x, kernels.ActNone)
}

// Route fills out with the choice that the logits [rows, experts] stand for.
// Group g of the tokens is the rows groups[g]:groups[g+1]; nil: all are one.
func (r *Router) Route(p nn.Pass, out *Routing, logits tensor.Tensor, groups []int32) {
	rows, experts := logits.Rows(), logits.Cols()
	if groups == nil {
		groups = []int32{0, int32(rows)}
	}
	mark := p.Mark()
	defer p.Release(mark)
	scores := logits
	if r.Policy != TopKSoftmax {
		scores = p.New(rows, experts)
		p.Softmax(scores, logits)
	}
	scores = p.Host(scores)
	if p.Err() != nil {
		return
	}
	out.reset()
	if r.Policy == ExpertChoice {
		out.byExpert(scores, groups, r.Capacity)
	} else {
		k := r.TopK
		out.chosen, out.weights = resize(out.chosen, rows*k), resize(out.weights, rows*k)
		for i := range rows {
			TopK(out.chosen[i*k:][:k], out.weights[i*k:][:k], scores.F32()[i*scores.LD():][:experts])
		}
		switch {
		case r.Policy == TopKSoftmax:
			w := p.Floats(out.weights, rows, k)
			p.Softmax(w, w)
			copy(out.weights, p.Host(w).F32())
		case r.Normalize:
			normalize(out.weights, k)
		}
		out.limit(groups, experts, k, r.Capacity)
		out.byToken(rows, experts, k)
	}
	out.index(rows)
}

func (t *Routing) reset() {
	t.Expert, t.Row, t.Weight = append(t.Expert[:0], 0), t.Row[:0], t.Weight[:0]
}

// TopK finds the indices of the len(index) largest scores, in falling order; of
// equal ones the first comes first. NaN is the largest, as in PyTorch.
func TopK(index []int32, value, scores []float32) {
	above := func(a, b float32) bool { return a > b || a != a && b == b }
	n := 0
	for e, s := range scores {
		i := n
		for i > 0 && above(s, value[i-1]) {
			i--
		}
		if i == len(index) {
			continue
		}
		n = min(n+1, len(index))
		copy(index[i+1:n], index[i:n-1])
		copy(value[i+1:n], value[i:n-1])
		index[i], value[i] = int32(e), s
	}
}

// normalize divides each k weights by their sum.
func normalize(w []float32, k int) {
	for ; len(w) > 0; w = w[k:] {
		sum := float32(0)
		for _, v := range w[:k] {
			sum += v
		}
		for j := range k {
			w[j] /= sum
		}
	}
}

// limit takes its expert from each token that finds it full: capacity tokens of
// the group before it chose the same.
func (t *Routing) limit(groups []int32, experts, k, capacity int) {
	if capacity == 0 {
		return
	}
	for g := range len(groups) - 1 {
		t.counts = resize(t.counts, experts)
		clear(t.counts)
		chosen := t.chosen[int(groups[g])*k : int(groups[g+1])*k]
		for i, e := range chosen {
			if t.counts[e]++; int(t.counts[e]) > capacity {
				chosen[i] = -1
			}
		}
	}
}

// byToken makes slots of what the tokens chose: a counting sort by expert.
func (t *Routing) byToken(rows, experts, k int) {
	t.Expert = resize(t.Expert, experts+1)
	clear(t.Expert)
	sent := 0
	for _, e := range t.chosen {
		if e >= 0 {
			t.Expert[e+1]++
			sent++
		}
	}
	for e := range experts {
		t.Expert[e+1] += t.Expert[e]
	}
	t.Row, t.Weight = resize(t.Row, sent), resize(t.Weight, sent)
	t.counts = append(t.counts[:0], t.Expert[:experts]...)
	for i, e := range t.chosen[:rows*k] {
		if e >= 0 {
			slot := t.counts[e]
			t.counts[e]++
			t.Row[slot], t.Weight[slot] = int32(i/k), t.weights[i]
		}
	}
}

// byExpert makes slots of what the experts choose.
func (t *Routing) byExpert(scores tensor.Tensor, groups []int32, capacity int) {
	p, ld := scores.F32(), scores.LD()
	for e := range scores.Cols() {
		for g := range len(groups) - 1 {
			t.order = t.order[:0]
			for i := groups[g]; i < groups[g+1]; i++ {
				t.order = append(t.order, i)
			}
			slices.SortStableFunc(t.order, func(a, b int32) int {
				switch x, y := p[int(a)*ld+e], p[int(b)*ld+e]; {
				case x > y || math.IsNaN(float64(x)):
					return -1
				case x < y:
					return 1
				}
				return 0
			})
			taken := t.order[:min(capacity, len(t.order))]
			slices.Sort(taken)
			for _, i := range taken {
				t.Row = append(t.Row, i)
				t.Weight = append(t.Weight, p[int(i)*ld+e])
			}
		}
		t.Expert = append(t.Expert, int32(len(t.Row)))
	}
}

// index lists the slots by token.
func (t *Routing) index(rows int) {
	t.Off = resize(t.Off, rows+1)
	clear(t.Off)
	for _, i := range t.Row {
		t.Off[i+1]++
	}
	for i := range rows {
		t.Off[i+1] += t.Off[i]
	}
	t.Slot, t.SlotWeight = resize(t.Slot, len(t.Row)), resize(t.SlotWeight, len(t.Row))
	t.counts = append(t.counts[:0], t.Off[:rows]...)
	for slot, i := range t.Row { // by expert, so that a token's experts rise
		at := t.counts[i]
		t.counts[i]++
		t.Slot[at], t.SlotWeight[at] = int32(slot), t.Weight[slot]
	}
}

// share gives every token one more slot, its last: slot len(Row)+i is token i's.
func (t *Routing) share(weights tensor.Tensor) {
	rows := len(t.Off) - 1
	total := len(t.Row) + rows
	t.Slot, t.SlotWeight = slices.Grow(t.Slot, rows)[:total], slices.Grow(t.SlotWeight, rows)[:total]
	for i := rows - 1; i >= 0; i-- { // from the end: they move up by one a token
		lo, hi := t.Off[i], t.Off[i+1]
		copy(t.Slot[int(lo)+i:], t.Slot[lo:hi])
		copy(t.SlotWeight[int(lo)+i:], t.SlotWeight[lo:hi])
		at := int(hi) + i
		t.Slot[at], t.SlotWeight[at] = int32(len(t.Row)+i), weights.F32()[i*weights.LD()]
		t.Off[i+1] = hi + int32(i+1)
	}
}

func resize[T any](x []T, n int) []T { return slices.Grow(x[:0], n)[:n] }
