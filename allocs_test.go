package weft_test

import (
	"context"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/bert"
	"github.com/seed-512d3d71/weft/nn/clip"
	"github.com/seed-512d3d71/weft/nn/vit"
	"github.com/seed-512d3d71/weft/nn/wav2vec"
	"github.com/seed-512d3d71/weft/tensor"
)

// TestForwardAllocs: from the second pass on, an encoder's forward pass takes
// nothing from the Go heap. (What Run returns lies there, so that it outlives
// the pass.)
func TestForwardAllocs(t *testing.T) {
	if ktest.Race {
		t.Skip("the race detector makes sync.Pool forget at random")
	}
	for name, prepare := range map[string]func(t *testing.T, c *golden.Case, p nn.Params) func(nn.Pass){
		"bert.model": func(t *testing.T, c *golden.Case, p nn.Params) func(nn.Pass) {
			m, err := bert.Load(c.Config, c.Class, p)
			if err != nil {
				t.Fatal(err)
			}
			const n = 13
			b := bert.Batch{R: nn.NewRagged(nil, 1, n, false), IDs: make([]int32, n), TokenType: make([]int32, n), Position: make([]int32, n)}
			return func(p nn.Pass) { m.Encoder.Forward(p, b, nil) }
		},
		"vit.model": func(t *testing.T, c *golden.Case, p nn.Params) func(nn.Pass) {
			m, err := vit.Load(c.Config, c.Class, p)
			if err != nil {
				t.Fatal(err)
			}
			cfg, pixels := m.Encoder.Config, c.Inputs["pixel_values"]
			patches := m.Encoder.Embeddings.Position
			b := vit.Batch{Pixels: pixels, Position: patches, R: nn.NewRagged(nil, pixels.Dim(0), cfg.Prefix()+patches.Rows(), false)}
			return func(p nn.Pass) { m.Encoder.Forward(p, b, nil) }
		},
		"clip.text": func(t *testing.T, c *golden.Case, p nn.Params) func(nn.Pass) {
			m, err := clip.Load(c.Config, c.Class, p)
			if err != nil {
				t.Fatal(err)
			}
			const n = 8
			b := clip.TextBatch{R: nn.NewRagged(nil, 1, n, false), IDs: make([]int32, n), Position: make([]int32, n)}
			return func(p nn.Pass) { m.Text.Forward(p, b, nil) }
		},
		"clip.vision": func(t *testing.T, c *golden.Case, p nn.Params) func(nn.Pass) {
			m, err := clip.Load(c.Config, c.Class, p)
			if err != nil {
				t.Fatal(err)
			}
			pixels, patches := c.Inputs["pixel_values"], m.Vision.Position
			b := clip.VisionBatch{Pixels: pixels, Position: patches, R: nn.NewRagged(nil, pixels.Dim(0), 1+patches.Rows(), false)}
			return func(p nn.Pass) { m.Vision.Forward(p, b, nil) }
		},
		"wav2vec2.group": func(t *testing.T, c *golden.Case, p nn.Params) func(nn.Pass) {
			m, err := wav2vec.Load(c.Config, c.Class, p)
			if err != nil {
				t.Fatal(err)
			}
			const samples = 2000
			b := wav2vec.Batch{Samples: tensor.FromF32(make([]float32, samples), 1, samples), R: nn.NewRagged(nil, 1, m.Encoder.Config.Frames(samples), false)}
			return func(p nn.Pass) { m.Encoder.Forward(p, b, nil) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := golden.Open(t, "testdata/golden/"+name)
			for _, threads := range []int{1, 2} {
				params := c.Params(t, threads)
				forward := prepare(t, c, params)
				ctx := context.Background()
				if n := testing.AllocsPerRun(20, func() {
					p := params.Backend().Begin(ctx)
					forward(p)
					p.End()
				}); n != 0 {
					t.Errorf("%d threads: %v allocations a pass", threads, n)
				}
			}
		})
	}
}
