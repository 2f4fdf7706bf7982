package align_test

import (
	"fmt"

	"github.com/seed-512d3d71/weft/nn/align"
	"github.com/seed-512d3d71/weft/tensor"
)

// One step of gradient descent brings two pairs of vectors nearer.
func ExampleInfoNCE() {
	texts := tensor.FromF32([]float32{1, 0, 0, 1}, 2, 2)
	images := tensor.FromF32([]float32{0.5, 0.5, 0.25, 0.75}, 2, 2)
	loss, g, err := align.InfoNCE(texts, images, 0.5)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, v := range g.B.F32() {
		images.F32()[i] -= v
	}
	after, _, _ := align.InfoNCE(texts, images, 0.5)
	fmt.Printf("%.3f, then %.3f\n", loss, after)
	// Output: 0.489, then 0.126
}
