package wav2vec

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// PreTraining is the head of Wav2Vec2ForPreTraining: the Transformer's output
// and the quantized features, projected to one space. As at inference, each
// group of the quantizer takes the codevector of the largest logit.
type PreTraining struct {
	Hidden      nn.Linear    // project_hid
	Quantized   nn.Linear    // project_q
	Logits      nn.Linear    // quantizer.weight_proj: C → groups·entries
	Codevectors nn.Embedding // [groups·entries, D/groups]
	Groups      int
}

func bindPreTraining(p nn.Params, c Config) *PreTraining {
	q, entries := p.Sub("quantizer"), c.NumCodevectorGroups*c.NumCodevectorsPerGroup
	m := &PreTraining{
		Hidden:    p.Linear("project_hid", c.HiddenSize, c.ProjCodevectorDim, true),
		Quantized: p.Linear("project_q", c.CodevectorDim, c.ProjCodevectorDim, true),
		Logits:    q.Linear("weight_proj", c.ConvDim[len(c.ConvDim)-1], entries, true),
		Groups:    c.NumCodevectorGroups,
	}
	width := c.CodevectorDim / c.NumCodevectorGroups
	if table, _ := q.F32("codevectors", 1, entries, width); table != nil {
		m.Codevectors.Table = q.Place("codevectors", table, entries, width)
	}
	return m
}

// quantize returns the projected codevectors of features [N, C], and the
// perplexity of their choice over the rows that masked names (nil: over all).
func (m *PreTraining) quantize(p nn.Pass, features tensor.Tensor, masked []int64) (tensor.Tensor, float32) {
	n, entries := features.Rows(), m.Logits.W.Out()/m.Groups
	logits := p.Host(m.Logits.Forward(p, features, kernels.ActNone)).F32()
	ids, count, rows := make([]int32, n*m.Groups), make([]float64, m.Groups*entries), 0.0
	for i := range n {
		counts := masked == nil || masked[i] != 0
		if counts {
			rows++
		}
		for g := range m.Groups {
			best := g * entries
			for j := best; j < (g+1)*entries; j++ {
				if logits[i*len(count)+j] > logits[i*len(count)+best] {
					best = j
				}
			}
			ids[i*m.Groups+g] = int32(best)
			if counts {
				count[best]++
			}
		}
	}
	perplexity := 0.0
	for g := range m.Groups {
		entropy := 0.0
		for _, c := range count[g*entries : (g+1)*entries] {
			if share := c / rows; share != 0 { // NaN of no rows stays
				entropy -= share * math.Log(share)
			}
		}
		perplexity += math.Exp(entropy)
	}
	chosen := p.New(n*m.Groups, m.Codevectors.Table.Cols())
	p.Embedding(chosen, p.Ints(ids), m.Codevectors.Table, false)
	return m.Quantized.Forward(p, chosen.Reshape(n, m.Groups*chosen.Cols()), kernels.ActNone), float32(perplexity)
}
