package t5

import (
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// watcher collects what the options of a call ask for of one stack.
type watcher struct {
	p               nn.Pass
	hidden, routers bool
	prefix          string // of the outputs' names
	r               *nn.Ragged
	out             nn.Outputs
	logits          []tensor.Tensor // of the routers, [B, T, experts]
}

func (w *watcher) watch() Watch {
	var f Watch
	if w.hidden {
		f.Layer = func(i int, x tensor.Tensor) {
			w.out.Add(fmt.Sprintf("%shidden_states.%d", w.prefix, i), w.r.Pad(w.p, x))
		}
	}
	if w.routers {
		f.Router = func(logits tensor.Tensor) {
			all := w.r.Pad(w.p, logits)
			w.out.Add(fmt.Sprintf("%srouter_logits.%d", w.prefix, len(w.logits)), all)
			w.logits = append(w.logits, all)
		}
	}
	return f
}

// losses adds the routers' z-loss (Zoph et al. 2022, ST-MoE, arXiv:2202.08906,
// equation 5) and Switch's load balancing loss, the tokens of all layers of a
// sequence taken together. As in Hugging Face there are none if every layer is
// sparse.
func (w *watcher) losses(step int) {
	if len(w.logits) == 0 || step <= 1 {
		return
	}
	z, balance := 0.0, 0.0
	b, t, experts := w.logits[0].Dim(0), w.logits[0].Dim(1), w.logits[0].Dim(2)
	tokens := float64(t * len(w.logits))
	for s := range b {
		first, probs := make([]float64, experts), make([]float64, experts)
		for _, logits := range w.logits {
			for i := range t {
				row := logits.F32()[(s*t+i)*experts:][:experts]
				best, sum := 0, 0.0
				for e, v := range row {
					if v > row[best] {
						best = e
					}
				}
				for _, v := range row {
					sum += math.Exp(float64(v - row[best]))
				}
				first[best]++
				for e, v := range row {
					probs[e] += math.Exp(float64(v-row[best])) / sum
				}
				log := float64(row[best]) + math.Log(sum)
				z += float64(log * log)
			}
		}
		for e := range experts {
			balance += float64(first[e] / tokens * probs[e] / tokens)
		}
	}
	// The mean over sequences and experts, times experts².
	balance *= float64(experts) / float64(b)
	w.out.Add(w.prefix+"z_loss", tensor.FromF32([]float32{float32(z / (float64(b) * tokens))}))
	w.out.Add(w.prefix+"aux_loss", tensor.FromF32([]float32{float32(balance)}))
}
