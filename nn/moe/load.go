package moe

import (
	"fmt"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Sizes are the dimensions of the experts.
type Sizes struct {
	Experts int
	Width   int // C
	Inner   int // F
	Act     nn.Act
}

// Names are the checkpoint's names for an expert's weights. Gate and Up are
// multiplied; with Gate "" the expert is Down(act(Up(x))).
type Names struct{ Gate, Up, Down string }

// Load finds the experts below p, one after the other (format names the n-th:
// "experts.%d"), and checks their shapes. Nothing of them is read before a token
// reaches them.
func Load(p nn.Params, format string, n Names, s Sizes) []Expert {
	var experts []Expert
	for e := 0; e < s.Experts && p.Err() == nil; e++ {
		experts = append(experts, NewExpert(p.Sub(format, e), n, s))
	}
	if extra := fmt.Sprintf(format, s.Experts); p.HasPrefix(extra) {
		p.Fail(extra, fmt.Errorf("in a model of %d experts: %w", s.Experts, tensor.ErrShape))
	}
	return experts
}

// NewExpert finds one expert below p.
func NewExpert(p nn.Params, n Names, s Sizes) Expert {
	up := nn.Stored{Name: n.Up + ".weight", Out: s.Inner, In: s.Width}
	down := nn.Stored{Name: n.Down + ".weight", Out: s.Width, In: s.Inner}
	if n.Gate == "" {
		return &plain{act: s.Act, up: p.Lazy(n.Up, up), down: p.Lazy(n.Down, down)}
	}
	gate := up
	gate.Name = n.Gate + ".weight"
	return &gated{act: s.Act, gateUp: p.Lazy(n.Gate, gate, up), down: p.Lazy(n.Down, down)}
}

// LoadStacked finds gated experts that are stored together below p: gateUp names
// one tensor [E, 2F, C], or two [E, F, C] of the gates and of the others, and
// down a tensor [E, C, F].
func LoadStacked(p nn.Params, gateUp []string, down string, s Sizes) []Expert {
	var experts []Expert
	for e := 0; e < s.Experts && p.Err() == nil; e++ {
		var parts []nn.Stored
		for _, name := range gateUp {
			parts = append(parts, nn.Stored{Name: name, Out: 2 * s.Inner / len(gateUp), In: s.Width, Stack: s.Experts, Index: e})
		}
		experts = append(experts, &gated{
			act:    s.Act,
			gateUp: p.Lazy(gateUp[0], parts...),
			down:   p.Lazy(down, nn.Stored{Name: down, Out: s.Width, In: s.Inner, Stack: s.Experts, Index: e}),
		})
	}
	return experts
}

// gated is an [nn.GatedMLP] that is bound at its first use.
type gated struct {
	act          nn.Act
	gateUp, down *nn.LazyLinear
}

func (e *gated) Bound() bool { return e.gateUp.Bound() || e.down.Bound() }

func (e *gated) Forward(p nn.Pass, dst, x tensor.Tensor) {
	m := nn.GatedMLP{Act: e.act}
	if bind(p, &m.GateUp, e.gateUp) && bind(p, &m.Down, e.down) {
		m.Into(p, dst, x, tensor.Tensor{})
	}
}

// plain is an [nn.MLP] that is bound at its first use.
type plain struct {
	act      nn.Act
	up, down *nn.LazyLinear
}

func (e *plain) Bound() bool { return e.up.Bound() || e.down.Bound() }

func (e *plain) Forward(p nn.Pass, dst, x tensor.Tensor) {
	m := nn.MLP{Act: e.act}
	if bind(p, &m.Up, e.up) && bind(p, &m.Down, e.down) {
		m.Into(p, dst, x, tensor.Tensor{})
	}
}

// bind sets l to the layer; if it cannot be read the pass ends.
func bind(p nn.Pass, l *nn.Linear, from *nn.LazyLinear) bool {
	var err error
	if *l, err = from.Linear(); err != nil {
		p.Fail(err)
	}
	return err == nil
}
