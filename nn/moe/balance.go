package moe

import (
	"math"

	"github.com/seed-512d3d71/weft/tensor"
)

// Balance is the load balancing loss of Switch Transformers (equations 4 to 6
// of arXiv:2101.03961), summed over the layers of a model as Mixtral has it. It
// is smallest when the experts see equally many tokens.
type Balance struct {
	topK   int
	tokens []float64 // by expert: how often it was chosen
	probs  []float64 // by expert: the sum of its probabilities
	rows   float64
	index  []int32
	value  []float32
}

// NewBalance returns the loss of no layer yet.
func NewBalance(experts, topK int) *Balance {
	return &Balance{
		topK: topK, tokens: make([]float64, experts), probs: make([]float64, experts),
		index: make([]int32, topK), value: make([]float32, topK),
	}
}

// Add counts a layer's logits [rows, experts], without the rows that mask hides;
// a nil mask hides none.
func (b *Balance) Add(logits tensor.Tensor, mask []int64) {
	for i := range logits.Rows() {
		if mask != nil && mask[i] == 0 {
			continue
		}
		row := logits.F32()[i*logits.LD():][:len(b.probs)]
		TopK(b.index, b.value, row)
		for _, e := range b.index {
			b.tokens[e]++
		}
		top, sum := float64(b.value[0]), 0.0
		for _, v := range row {
			sum += math.Exp(float64(v) - top)
		}
		for e, v := range row {
			b.probs[e] += math.Exp(float64(v)-top) / sum
		}
		b.rows++
	}
}

// Loss returns the scalar.
func (b *Balance) Loss() tensor.Tensor {
	sum := 0.0
	for e := range b.probs {
		sum += float64(b.tokens[e] / b.rows * (b.probs[e] / b.rows)) // rounded, not fused
	}
	return tensor.FromF32([]float32{float32(sum * float64(len(b.probs)))})
}
