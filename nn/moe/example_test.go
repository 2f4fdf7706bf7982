package moe_test

import (
	"bytes"
	"context"
	"fmt"
	"log"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// Three experts that multiply by 10, 100 and 1000. The router sends a token to
// the expert of its largest element, and only experts that saw one are bound.
func ExampleLayer() {
	one := func(name string, x ...float32) safetensors.Entry {
		return safetensors.F32Entry(name, x, len(x)/3, 3)
	}
	entries := []safetensors.Entry{one("gate.weight", 9, 0, 0, 0, 9, 0, 0, 0, 9)}
	for e, scale := range []float32{10, 100, 1000} {
		name := fmt.Sprintf("experts.%d.", e)
		entries = append(entries, one(name+"up.weight", 1, 0, 0, 0, 1, 0, 0, 0, 1),
			one(name+"down.weight", scale, 0, 0, 0, scale, 0, 0, 0, scale))
	}
	var file bytes.Buffer
	if err := safetensors.Write(&file, entries, nil); err != nil {
		log.Fatal(err)
	}
	weights, err := safetensors.Parse(file.Bytes())
	if err != nil {
		log.Fatal(err)
	}
	cpu, err := nn.NewCPU(0)
	if err != nil {
		log.Fatal(err)
	}

	p := nn.NewParams(weights, cpu, "example")
	layer := moe.Layer{
		Router: moe.Router{Gate: p.Linear("gate", 3, 3, false), TopK: 1, Normalize: true},
		Experts: moe.Load(p, "experts.%d", moe.Names{Up: "up", Down: "down"},
			moe.Sizes{Experts: 3, Width: 3, Inner: 3, Act: kernels.ActReLU}),
	}
	if err := p.Err(); err != nil {
		log.Fatal(err)
	}

	pass := cpu.Begin(context.Background())
	defer pass.End()
	tokens := pass.Floats([]float32{1, 0, 0, 0, 2, 5, 3, 0, 1}, 3, 3)
	out := pass.New(3, 3)
	layer.Forward(pass, out, tokens, tensor.Tensor{}, nil)
	if err := pass.Err(); err != nil {
		log.Fatal(err)
	}
	fmt.Println(out.F32())
	fmt.Println(layer.Bound(), "of", len(layer.Experts), "experts in memory")
	// Output:
	// [10 0 0 0 2000 5000 30 0 10]
	// 2 of 3 experts in memory
}
