package ref

import "math"

// AttentionBlock is the number of keys that attention looks at between two
// corrections of its running maximum. It shows in the result.
const AttentionBlock = 512

// AttentionRowF32 computes attention for one query and one head:
//
//	dst = Σ_j p_j·value(j), p = softmax over j of scale·(q·key(j)) + bias[j]
//
// over the keys lo ≤ j < hi. bias may be nil. The definition, to the bit:
//
//   - q·key(j) is one chain of fused multiply-adds in rising dimension from +0.
//     The product with scale and the sum with the bias are rounded by
//     themselves. A bias of -Inf makes the score -Inf whatever it was.
//   - A score of -Inf takes no part: a masked key adds nothing, even where its
//     value is no number.
//   - Keys come in blocks of AttentionBlock counted from key 0. With m the
//     largest score up to and with the block (from -MaxFloat32), a key's weight
//     is e = exp(score - m). Where the block raises m, what was summed before is
//     multiplied by exp(m before - m).
//   - The weights are summed in 32 lanes, key j in lane j mod 32, then lane i
//     takes lane i+16, i+8, i+4, i+2, i+1. An element of the output is one chain
//     of fused multiply-adds of weights and values in rising j.
//   - At the end (x + 0)·(1/sum), the reciprocal rounded to nearest. Adding 0
//     turns -0 into +0. No key: 0.
//
// So a query gives the same bits alone, with its keys from a cache, as within a
// longer causal pass.
func AttentionRowF32(dst, q []float32, key, value func(j int) []float32, bias []float32, lo, hi int, scale float32) {
	negInf := float32(math.Inf(-1))
	m := float32(-math.MaxFloat32)
	var scores [AttentionBlock]float32
	var lanes [32]float32
	clear(dst)
	for b := lo / AttentionBlock * AttentionBlock; b < hi; b += AttentionBlock {
		from, to := max(b, lo), min(b+AttentionBlock, hi)
		top := m
		for j := from; j < to; j++ {
			x := float32(0)
			for d, k := range key(j) {
				x = FMA32(q[d], k, x)
			}
			x = float32(x * scale)
			if bias != nil {
				if x += bias[j]; bias[j] == negInf {
					x = negInf
				}
			}
			if x > top {
				top = x
			}
			scores[j-b] = x
		}
		if top > m {
			c := Exp(m - top)
			for i := range lanes {
				lanes[i] *= c
			}
			for d := range dst {
				dst[d] *= c
			}
			m = top
		}
		for j := from; j < to; j++ {
			if scores[j-b] == negInf {
				continue
			}
			e := Exp(scores[j-b] - m)
			lanes[j%32] += e
			for d, v := range value(j) {
				dst[d] = FMA32(e, v, dst[d])
			}
		}
	}
	for n := 16; n > 0; n /= 2 {
		for i := range n {
			lanes[i] += lanes[i+n]
		}
	}
	f := float32(0)
	if lanes[0] != 0 {
		f = 1 / lanes[0]
	}
	for d := range dst {
		dst[d] = (dst[d] + 0) * f
	}
}
