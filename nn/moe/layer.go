package moe

import (
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Layer is a router and its experts.
type Layer struct {
	Router  Router
	Experts []Expert
	// Shared is an expert that sees every token; nil: none. Its output is scaled
	// by the sigmoid of SharedGate [1, C], if there is one.
	Shared     Expert
	SharedGate nn.Linear
}

// Expert is one feed-forward network. It is safe for concurrent use.
type Expert interface {
	// Forward computes dst [rows, C] from x [rows, C]. An error ends the pass.
	Forward(p nn.Pass, dst, x tensor.Tensor)
	// Bound reports whether the weights are in memory.
	Bound() bool
}

// Forward adds to each row of residual what the experts chosen for that row of
// x make of it, and stores the sum in dst. residual may be zero; dst may not be
// x or residual. Group g of the tokens is the rows groups[g]:groups[g+1]; nil:
// all are one group. It returns the router's logits [rows, experts], which live
// as long as what the pass held before the call.
func (l *Layer) Forward(p nn.Pass, dst, x, residual tensor.Tensor, groups []int32) (logits tensor.Tensor) {
	rows := x.Rows()
	logits = l.Router.Logits(p, x)
	mark := p.Mark()
	defer p.Release(mark)
	// The host reads the gates and the router's scores before any expert is asked
	// for: which ones, and with how many rows, is the host's to say, and it is the
	// only time that it waits for a device.
	var shared tensor.Tensor
	if l.Shared != nil {
		shared = l.sharedWeights(p, x)
	}
	r := routings.Get().(*Routing)
	defer routings.Put(r)
	if l.Router.Route(p, r, logits, groups); p.Err() != nil {
		return logits
	}
	sent := len(r.Row)
	outputs := sent
	if l.Shared != nil {
		outputs += rows
	}
	y := p.New(outputs, dst.Cols())
	gathered := p.New(sent, x.Cols())
	p.Gather(gathered, x, p.Ints(r.Row))
	for e, expert := range l.Experts {
		if lo, hi := int(r.Expert[e]), int(r.Expert[e+1]); lo < hi && p.Err() == nil {
			expert.Forward(p, y.SliceRows(lo, hi), gathered.SliceRows(lo, hi))
		}
	}
	if l.Shared != nil {
		l.Shared.Forward(p, y.SliceRows(sent, outputs), x)
		r.share(shared)
	}
	p.Combine(dst, y, residual, r.Off, p.Ints(r.Slot), p.Floats(r.SlotWeight, 1, len(r.SlotWeight)))
	return logits
}

// sharedWeights returns the scale of the shared expert's output for each row.
func (l *Layer) sharedWeights(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	if l.SharedGate.W != nil {
		return p.Host(l.SharedGate.Forward(p, x, kernels.ActSigmoid))
	}
	ones := make([]float32, x.Rows())
	for i := range ones {
		ones[i] = 1
	}
	return tensor.FromF32(ones, len(ones), 1)
}

// Bound returns how many experts are in memory.
func (l *Layer) Bound() int {
	n := 0
	for _, e := range l.Experts {
		if e.Bound() {
			n++
		}
	}
	return n
}
