package kernels

import (
	"math"

	"github.com/seed-512d3d71/weft/internal/par"
)

type Attention struct {
	Dst, Q, K, V               []float32
	LDD, LDQ, LDK, LDV         int
	Heads, KVHeads, D, DV      int
	Scale                      float32
	QOff, KOff                 []int32
	Causal                     bool
	Window                     int
	Bias                       []float32
	BiasSeq, BiasHead, BiasRow int
}

func AttentionF32(t *par.Team, a *Attention) {
	for s := range len(a.QOff) - 1 {
		q0, q1, k0, k1 := int(a.QOff[s]), int(a.QOff[s+1]), int(a.KOff[s]), int(a.KOff[s+1])
		for h := range a.Heads {
			kh := h / (a.Heads / a.KVHeads)
			for i := q0; i < q1; i++ {
				p := make([]float64, k1-k0)
				m := math.Inf(-1)
				for j := k0; j < k1; j++ {
					x := 0.0
					for d := range a.D {
						x += float64(a.Q[i*a.LDQ+h*a.D+d]) * float64(a.K[j*a.LDK+kh*a.D+d])
					}
					x *= float64(a.Scale)
					if a.Bias != nil {
						x += float64(a.Bias[s*a.BiasSeq+h*a.BiasHead+(i-q0)*a.BiasRow+j-k0])
					}
					if a.Causal && j-k0 > i-q0+(k1-k0)-(q1-q0) {
						x = math.Inf(-1)
					}
					p[j-k0] = x
					m = math.Max(m, x)
				}
				sum := 0.0
				for j := range p {
					if p[j] = math.Exp(p[j] - m); math.IsInf(m, -1) {
						p[j] = 0
					}
					sum += p[j]
				}
				for d := range a.DV {
					x := 0.0
					for j := range p {
						x += p[j] * float64(a.V[(k0+j)*a.LDV+kh*a.DV+d])
					}
					if sum > 0 {
						x /= sum
					}
					a.Dst[i*a.LDD+h*a.DV+d] = float32(x)
				}
			}
		}
	}
}
