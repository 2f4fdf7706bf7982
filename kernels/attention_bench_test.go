package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
)

// newAttention returns one sequence of nq queries and nk keys with operands as
// one projection of queries, keys and values leaves them.
func newAttention(heads, kvHeads, nq, nk, d int) *Attention {
	ld := (heads + 2*kvHeads) * d
	x := make([]float32, max(nq, nk)*ld)
	ktest.Fill(ktest.Rand(1), x)
	return &Attention{
		Dst: make([]float32, nq*heads*d), LDD: heads * d,
		Q: x, K: x[heads*d:], V: x[(heads+kvHeads)*d:], LDQ: ld, LDK: ld, LDV: ld,
		Heads: heads, KVHeads: kvHeads, D: d, DV: d, Scale: float32(1 / math.Sqrt(float64(d))),
		QOff: offsets(nq), KOff: offsets(nk),
	}
}

// GFLOP/s counts the two matrix products only.
func BenchmarkAttentionF32(b *testing.B) {
	for _, isa := range ISAs() {
		if isa == ISARef {
			continue
		}
		for _, s := range []struct {
			heads, kv, q, k, d int
			causal             bool
		}{
			{12, 12, 16, 16, 64, false}, {12, 12, 128, 128, 64, false}, {12, 12, 197, 197, 64, false},
			{12, 12, 512, 512, 64, false}, {12, 12, 1500, 1500, 64, false}, {12, 12, 499, 499, 64, false},
			{12, 12, 128, 128, 32, false}, {16, 16, 257, 257, 80, false}, {12, 12, 512, 512, 64, true},
			{12, 12, 1, 128, 64, false}, {12, 12, 1, 2048, 64, false}, {32, 8, 1, 2048, 128, false},
		} {
			name := fmt.Sprintf("isa=%s/heads=%d/q=%d/k=%d/d=%d", isa, s.heads, s.q, s.k, s.d)
			if s.kv != s.heads {
				name += fmt.Sprintf("/kvheads=%d", s.kv)
			}
			work := float64(4*s.heads*s.d) * float64(s.q*s.k)
			if s.causal {
				name += "/causal"
				work *= float64(s.q+1) / float64(2*s.q)
			}
			b.Run(name, func(b *testing.B) {
				Use(b, isa)
				a := newAttention(s.heads, s.kv, s.q, s.k, s.d)
				a.Causal = s.causal
				for b.Loop() {
					AttentionF32(nil, a)
				}
				b.ReportMetric(work*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				if s.q == 1 {
					b.ReportMetric(float64(8*s.k*s.kv*s.d)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				}
			})
		}
	}
}
