package nn

import (
	"context"

	"github.com/seed-512d3d71/weft/tensor"
)

// NewPlanner returns a backend that binds a model without packing its weights:
// for [Params.Uses]. It runs no pass.
func NewPlanner() Backend { return planner{} }

type planner struct{}

// planned is a weight of which only the size is known.
type planned struct{ out, in int }

func (p planned) Out() int   { return p.out }
func (p planned) In() int    { return p.in }
func (p planned) Bytes() int { return 0 }

func (planner) Name() string { return "plan" }

func (planner) Matrix(name string, parts ...MatrixPart) (Matrix, error) {
	p := planned{}
	for _, q := range parts {
		p.out, p.in = p.out+q.Out, q.In
	}
	return p, nil
}

func (planner) Conv1D(name string, w []float32, out, in, width, groups int) (Conv, error) {
	return planned{out, in}, nil
}

func (planner) Conv2D(name string, w []float32, out, in, kh, kw, groups int) (Conv, error) {
	return planned{out, in}, nil
}

func (planner) Vector(name string, data []float32, rows, cols int) (tensor.Tensor, error) {
	return (&CPU{}).Vector(name, data, rows, cols)
}

func (planner) Pages(layers, keyCols, valueCols int) Pages { return nil }

func (planner) Begin(ctx context.Context) Pass { panic("nn: a planner runs no pass") }
