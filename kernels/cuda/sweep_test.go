package cuda_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// TestSweep runs random shapes, types and options on every target.
func TestSweep(t *testing.T) {
	n := 6
	if testing.Short() {
		n = 2
	}
	t.Cleanup(func() { cuda.FullGPU(108) })
	for _, target := range []int{75, 80, 90} {
		t.Run(fmt.Sprint("sm_", target), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(uint64(target), 7))
			below := func(n int) int { return rng.IntN(n) }
			flip := func() bool { return rng.IntN(2) == 0 }
			pick := func() cuda.Type { return types[below(3)] }
			for range n {
				cuda.FullGPU(1 + below(6))
				b := newBench(t, target)
				in := pick()
				g := cuda.Gemm{M: 1 + below(150), N: 1 + below(200), K: below(150), In: in, Out: []cuda.Type{in, cuda.F32}[below(2)]}
				if in == cuda.F32 {
					g.Plain = flip()
				}
				if flip() {
					g.Act = cuda.Act(kernels.ActReLU)
				}
				pad := below(9)
				if flip() {
					pad = (8 - g.K%8) % 8
				}
				b.product(g, pad, 1e-5)
				b.bytesProduct(pick(), 1+below(140), 1+below(140), 1+below(150))

				seqs := 1 + below(3)
				nq, nk := make([]int, seqs), make([]int, seqs)
				most := []int{1, 150}[below(2)]
				for i := range nq {
					nq[i], nk[i] = below(most+1), below(300)
				}
				nq[0] = most
				group := 1 + below(2)
				kv := 1 + below(2)
				window := 0
				if flip() {
					window = 1 + below(100)
				}
				d := []int{64, 128, 8 * (1 + below(16)), 1 + below(100)}[below(4)]
				nk[0]++
				b.attend(pick(), nq, nk, group*kv, kv, d, flip(), window, flip(), flip())
			}
		})
	}
}
