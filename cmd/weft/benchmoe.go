package main

import (
	"context"
	"path/filepath"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/safetensors"
)

// openMoECase is Mixtral's sparse block alone: the tensors gate.weight [E, C],
// w1 and w3 [E, F, C] and w2 [E, C, F], and rows in0 [N, C] of which each takes
// two experts.
func openMoECase(dir string, raw weft.Inputs, scheme kernels.Scheme) (*benchCase, error) {
	x, err := raw.F32("in0", -1, -1)
	if err != nil {
		return nil, err
	}
	file, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		return nil, err
	}
	cpu, err := nn.NewCPU(0)
	if err != nil {
		file.Close()
		return nil, err
	}
	cpu.SetQuantization(nn.Quantization{Scheme: scheme})
	p := nn.NewParams(file, cpu, "moe")
	_, shape := p.F32("w1", -1, -1, x.Cols())
	if err := p.Err(); err != nil {
		file.Close()
		return nil, err
	}
	s := moe.Sizes{Experts: shape[0], Inner: shape[1], Width: shape[2], Act: kernels.ActSiLU}
	l := &moe.Layer{
		Router:  moe.Router{Gate: p.Linear("gate", s.Width, s.Experts, false), TopK: 2, Normalize: true},
		Experts: moe.LoadStacked(p, []string{"w1", "w3"}, "w2", s),
	}
	if err = p.Err(); err == nil {
		err = l.Router.Check(s.Experts)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	var last nn.HostRows
	var out weft.Tensor
	bc := &benchCase{
		run: func(ctx context.Context, threads int) (err error) {
			cpu.SetThreads(threads)
			pass := cpu.Begin(ctx)
			defer pass.End()
			y := pass.New(x.Rows(), s.Width)
			l.Forward(pass, y, pass.Floats(x.F32(), x.Rows(), s.Width), weft.Tensor{}, nil)
			out, err = last.Keep(pass, p, y)
			return err
		},
		check: func() *check { return compare(out, raw["expected"]) },
		close: func() { file.Close() },
	}
	return bc, bc.run(context.Background(), 1) // binds the experts
}
