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

// newDecoding returns one query of a sequence whose keys and values lie in a
// cache [kvHeads, nk, d].
func newDecoding(heads, kvHeads, nk, d int) *Attention {
	a := newAttention(heads, kvHeads, 1, 1, d)
	a.K, a.V = make([]float32, kvHeads*nk*d), make([]float32, kvHeads*nk*d)
	r := ktest.Rand(2)
	ktest.Fill(r, a.K)
	ktest.Fill(r, a.V)
	a.LDK, a.LDV, a.HeadK, a.HeadV = d, d, nk*d, nk*d
	a.KOff = offsets(nk)
	return a
}

// GFLOP/s counts the two matrix products only, GB/s the keys and values.
func BenchmarkAttentionF32(b *testing.B) {
	for _, isa := range isasF32() {
		if isa == ISARef {
			continue
		}
		run := func(name string, a *Attention, work, bytes int) {
			b.Run("isa="+isa+"/"+name, func(b *testing.B) {
				Use(b, isa)
				for b.Loop() {
					AttentionF32(nil, a)
				}
				b.ReportMetric(float64(work)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
				if bytes > 0 {
					b.ReportMetric(float64(bytes)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
				}
			})
		}
		for _, s := range []struct{ heads, n, d int }{
			{12, 16, 64}, {12, 128, 64}, {12, 197, 64}, {12, 512, 64}, {12, 1500, 64}, {12, 128, 32}, {16, 257, 80},
		} {
			name := fmt.Sprintf("heads=%d/q=%d/k=%d/d=%d", s.heads, s.n, s.n, s.d)
			work := 4 * s.heads * s.n * s.n * s.d
			run(name, newAttention(s.heads, s.heads, s.n, s.n, s.d), work, 0)
			if s.n == 512 {
				a := newAttention(s.heads, s.heads, s.n, s.n, s.d)
				a.Causal = true
				run(name+"/causal", a, 2*s.heads*s.n*(s.n+1)*s.d, 0)
			}
		}
		for _, s := range []struct{ heads, kvHeads, n, d int }{
			{12, 12, 128, 64}, {12, 12, 2048, 64}, {32, 8, 2048, 128},
		} {
			run(fmt.Sprintf("heads=%d/q=1/k=%d/d=%d/kvheads=%d", s.heads, s.n, s.d, s.kvHeads),
				newDecoding(s.heads, s.kvHeads, s.n, s.d), 4*s.heads*s.n*s.d, 8*s.kvHeads*s.n*s.d)
		}
	}
}
