package generate

import (
	"cmp"
	"math"
	"slices"
)

// warpers returns the processors that only sampling uses.
func (c *Config) warpers() []processor {
	var list []processor
	add := func(f processorFunc) { list = append(list, f) }
	if t := float32(c.Temperature); t != 1 {
		add(func(scores []float32, _ *sequence) {
			for i := range scores {
				scores[i] /= t
			}
		})
	}
	r := new(ranking)
	if c.TopH > 0 {
		add(func(scores []float32, _ *sequence) { r.topH(scores, c.TopH) })
	}
	if c.TopK > 0 {
		add(func(scores []float32, _ *sequence) { r.topK(scores, c.TopK) })
	}
	if c.TopP < 1 {
		add(func(scores []float32, _ *sequence) { r.topP(scores, c.TopP) })
	}
	if c.MinP > 0 {
		add(func(scores []float32, _ *sequence) {
			r.atLeast(scores, func(top, _ float64) float64 { return c.MinP * top })
		})
	}
	if c.TypicalP < 1 {
		add(func(scores []float32, _ *sequence) { r.typical(scores, c.TypicalP) })
	}
	if e := c.EpsilonCutoff; e > 0 && e < 1 {
		add(func(scores []float32, _ *sequence) { r.atLeast(scores, func(_, _ float64) float64 { return e }) })
	}
	if e := c.EtaCutoff; e > 0 && e < 1 {
		add(func(scores []float32, _ *sequence) {
			r.atLeast(scores, func(_, entropy float64) float64 { return min(e, math.Sqrt(e)*math.Exp(-entropy)) })
		})
	}
	return list
}

// ranking sorts tokens by score; its fields are scratch.
type ranking struct {
	order []int32
	p     []float64
}

// sort orders the tokens, best first, and computes their probabilities.
func (r *ranking) sort(scores []float32) {
	r.order = r.order[:0]
	for i := range scores {
		r.order = append(r.order, int32(i))
	}
	slices.SortFunc(r.order, func(a, b int32) int {
		if c := cmp.Compare(scores[b], scores[a]); c != 0 {
			return c
		}
		return cmp.Compare(a, b)
	})
	r.p = softmax(r.p, scores)
}

// softmax returns the probabilities that scores stand for, in memory of p.
func softmax(p []float64, scores []float32) []float64 {
	p = p[:0]
	most := negInf
	for _, v := range scores {
		most = max(most, v)
	}
	sum := 0.0
	for _, v := range scores {
		e := math.Exp(float64(v) - float64(most))
		sum += e
		p = append(p, e)
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// topK keeps the k best tokens and those that score the same as the last.
func (r *ranking) topK(scores []float32, k int) {
	r.sort(scores)
	least := scores[r.order[min(k, len(scores))-1]]
	for i, v := range scores {
		if v < least {
			scores[i] = negInf
		}
	}
}

// topP keeps the smallest set of best tokens whose probabilities sum to p
// (Holtzman et al. 2019, arXiv:1904.09751).
func (r *ranking) topP(scores []float32, p float64) {
	r.sort(scores)
	worse := 0.0
	for n := len(r.order) - 1; n > 0; n-- {
		id := r.order[n]
		if worse += r.p[id]; worse > 1-p {
			return
		}
		scores[id] = negInf
	}
}

// atLeast keeps the tokens of at least the probability that least returns for
// the best token's and the entropy, and the best one.
func (r *ranking) atLeast(scores []float32, least func(top, entropy float64) float64) {
	r.p = softmax(r.p, scores)
	best, entropy := 0, 0.0
	for i, p := range r.p {
		if p > r.p[best] {
			best = i
		}
		if p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	limit := least(r.p[best], entropy)
	for i, p := range r.p {
		if p < limit && i != best {
			scores[i] = negInf
		}
	}
}

// topH keeps the best tokens whose share of the entropy of the best 100 is at
// most h, and the best one.
func (r *ranking) topH(scores []float32, h float64) {
	r.sort(scores)
	top := r.order[:min(100, len(r.order))]
	sum := 0.0
	for _, id := range top {
		sum += r.p[id]
	}
	term := func(id int32) float64 {
		if p := r.p[id] / sum; p > 0 {
			return -p * math.Log(p)
		}
		return 0
	}
	entropy := 0.0
	for _, id := range top {
		entropy += term(id)
	}
	kept, part := 1, term(top[0])
	for ; kept < len(top); kept++ {
		if part += term(top[kept]); part > h*entropy {
			break
		}
	}
	for _, id := range r.order[kept:] {
		scores[id] = negInf
	}
}

// typical keeps the tokens whose information is nearest to the entropy and
// whose probabilities sum to mass (Meister et al. 2022, arXiv:2202.00666).
func (r *ranking) typical(scores []float32, mass float64) {
	r.sort(scores)
	entropy := 0.0
	for _, p := range r.p {
		if p > 0 {
			entropy -= p * math.Log(p)
		}
	}
	far := func(id int32) float64 { return math.Abs(-math.Log(r.p[id]) - entropy) }
	slices.SortStableFunc(r.order, func(a, b int32) int { return cmp.Compare(far(a), far(b)) })
	sum, last := 0.0, 0
	for last = range r.order {
		if sum += r.p[r.order[last]]; sum >= mass {
			break
		}
	}
	limit := far(r.order[last])
	for n, id := range r.order {
		if n > 0 && far(id) > limit {
			scores[id] = negInf
		}
	}
}
