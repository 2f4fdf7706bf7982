package moe_test

import (
	"fmt"
	"math/rand"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
)

// BenchmarkLayer measures 8 experts of 768 by 3072, 2 a token, beside a dense
// layer that does as many multiplications a token.
func BenchmarkLayer(b *testing.B) {
	const experts, width, inner, topK = 8, 768, 3072, 2
	c := newCheckpoint(b, experts, width, inner)
	for _, rows := range []int{1, 128, 1024} {
		flop := float64(rows) * 2 * 3 * width * inner * topK
		x := random(rows * width)
		report := func(b *testing.B) { b.ReportMetric(flop*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s") }
		b.Run(fmt.Sprintf("sparse/%d", rows), func(b *testing.B) {
			l, cpu := c.layer(b, 0, moe.Router{TopK: topK, Normalize: true}, false)
			run(b, l, cpu, x, width, nil)
			for b.Loop() {
				p := cpu.Begin(b.Context())
				in := p.Floats(x, rows, width)
				l.Forward(p, p.New(rows, width), in, in, nil)
				p.End()
			}
			report(b)
		})
		b.Run(fmt.Sprintf("dense/%d", rows), func(b *testing.B) {
			cpu, err := nn.NewCPU(0)
			if err != nil {
				b.Fatal(err)
			}
			pack := func(out, in int) nn.Linear {
				w := make([]float32, out*in)
				for i := range w {
					w[i] = rand.Float32() - 0.5
				}
				m, err := cpu.Matrix("dense", nn.MatrixPart{Data: w, Out: out, In: in})
				if err != nil {
					b.Fatal(err)
				}
				return nn.Linear{W: m}
			}
			m := nn.GatedMLP{GateUp: pack(2*topK*inner, width), Down: pack(width, topK*inner), Act: kernels.ActSiLU}
			for b.Loop() {
				p := cpu.Begin(b.Context())
				in := p.Floats(x, rows, width)
				m.Into(p, p.New(rows, width), in, in)
				p.End()
			}
			report(b)
		})
	}
}
