package nn

import (
	"context"
	"time"
)

// Time returns how long the GPU takes for what op puts on a pass, by its own
// clock: the least of so many runs. prepare makes the operands and returns op.
// Each run is repeated until it lasts a while, so that launches do not count.
func (c *CUDA) Time(ctx context.Context, runs int, prepare func(p Pass) (op func())) (time.Duration, error) {
	p := c.Begin(ctx).(*cudaPass)
	defer p.End()
	op := prepare(p)
	p.send()
	op()
	if err := p.Err(); err != nil {
		return 0, err
	}
	p.staged.send(p.stream)
	p.queued = true
	if err := p.sync(); err != nil {
		return 0, err
	}
	took, err := p.elapsed(1) // compiles the kernels, too
	if err != nil {
		return 0, err
	}
	const enough = 2 * time.Millisecond
	if took, err = p.elapsed(1); err != nil {
		return 0, err
	}
	repeat := int(min(1000, 1+enough/max(1, took)))
	for range runs {
		again, err := p.elapsed(repeat)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return 0, err
		}
		took = min(took, again/time.Duration(repeat))
	}
	p.list.Reset()
	return took, nil
}

// elapsed returns how long the list takes n times.
func (p *cudaPass) elapsed(n int) (time.Duration, error) {
	return p.stream.Elapsed(func() {
		for range n {
			p.stream.Run(p.list)
		}
	})
}

// PeakF32 returns the most float32 operations a second that the GPU's
// multiprocessors do at their highest clock, a multiply-add being two.
func PeakF32(g GPU) float64 {
	lanes := 128 // of a multiprocessor
	switch t := g.Target(); {
	case t == 75 || t == 80:
		lanes = 64
	}
	return 2 * float64(lanes) * float64(g.SMs) * float64(g.ClockKHz) * 1e3
}
