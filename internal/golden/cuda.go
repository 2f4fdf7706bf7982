package golden

import (
	"fmt"
	"math"
	"path/filepath"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ptx"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// ToleranceCUDA is Tolerance for the floats of a GPU, whose sums have another
// order and whose functions are its own.
const ToleranceCUDA = 5e-4

// RunCUDA runs every golden folder of the families through the CUDA backend: its
// kernels by the interpreter of package ptx and, if there is one, on a GPU. It
// compares each output with the reference, and checks of the first folder of each
// family that a second and a third call, which go by a graph, give the same bits,
// and of all that memory is given back.
func RunCUDA(t *testing.T, load LoadFunc, families ...string) {
	t.Helper()
	for _, family := range families {
		dirs, err := filepath.Glob(filepath.Join(Root(t), "testdata", "golden", family+".*"))
		if err != nil || len(dirs) == 0 {
			t.Fatalf("no golden folders of %s (%v)", family, err)
		}
		for i, dir := range dirs {
			calls := 1
			if i == 0 {
				calls = 3
			}
			t.Run(filepath.Base(dir), func(t *testing.T) {
				t.Run("ptx", func(t *testing.T) {
					onPTX(t, 75, func(t *testing.T, d cuda.Device) { runCUDA(t, load, dir, d, calls) })
				})
				t.Run("gpu", func(t *testing.T) { runCUDA(t, load, dir, openGPU(t), calls) })
			})
		}
	}
}

// CachedCUDA checks of the named golden folders' models that their decoders on
// the CUDA backend, in a batch of other lengths, after beams were split, joined
// and left out, give the logits of a pass of the CPU over a sequence's tokens.
func CachedCUDA(t *testing.T, load LoadFunc, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			check := func(t *testing.T, d cuda.Device) {
				c := Open(t, filepath.Join(Root(t), "testdata", "golden", name))
				ref, err := load(c.Config, c.Class, c.Params(t, 1))
				if err != nil {
					t.Fatal(err)
				}
				onCUDA(t, d, func(b *nn.CUDA) {
					m, err := load(c.Config, c.Class, c.on(b))
					if err != nil {
						t.Fatal(err)
					}
					checkDecoder(t, c, m.(nn.Generator), ref.(nn.Generator), ToleranceCUDA)
				})
			}
			t.Run("ptx", func(t *testing.T) { onPTX(t, 75, check) })
			t.Run("gpu", func(t *testing.T) { check(t, openGPU(t)) })
		})
	}
}

// CUDAInBF16 runs golden folders through the CUDA backend in bfloat16, by the
// kernels for cards of the targets (compute capabilities times ten): every output
// is to point where the reference does. It is not for models whose routers may choose otherwise for a
// rounded input.
func CUDAInBF16(t *testing.T, load LoadFunc, targets []int, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			check := func(t *testing.T, d cuda.Device) {
				c := Open(t, filepath.Join(Root(t), "testdata", "golden", name))
				onCUDA(t, d, func(b *nn.CUDA) {
					b.SetPrecision(kernels.PrecisionBF16)
					out := c.forward(t, load, c.on(b))()
					for _, want := range c.Want {
						if want.DType() != tensor.F32 {
							continue
						}
						if cos := cosine(out.Get(want.Name), want); cos < 0.999 {
							t.Errorf("%s: cosine %.5f", want.Name, cos)
						}
					}
				})
			}
			for _, target := range targets {
				t.Run(fmt.Sprintf("ptx_sm%d", target), func(t *testing.T) { onPTX(t, target, check) })
			}
			t.Run("gpu", func(t *testing.T) { check(t, openGPU(t)) })
		})
	}
}

// cosine is that of the elements of want that count with got's.
func cosine(got tensor.Tensor, want Tensor) float64 {
	if got.Len() != want.Len() {
		return 0
	}
	var dot, aa, bb float64
	for i, w := range want.F32() {
		if want.Mask != nil && want.Mask[i/(want.Len()/len(want.Mask))] == 0 {
			continue
		}
		a, b := float64(got.F32()[i]), float64(w)
		dot, aa, bb = dot+float64(a*b), aa+float64(a*a), bb+float64(b*b)
	}
	if bb == 0 {
		return 1
	}
	return dot / math.Sqrt(aa*bb)
}

// on returns the checkpoint's tensors, bound for a backend.
func (c *Case) on(b nn.Backend) nn.Params {
	return nn.NewParams(c.weights, b, c.Config.Str("model_type", ""))
}

// onPTX runs f on a device that interprets kernels, and checks that it gives
// everything back.
func onPTX(t *testing.T, target int, f func(t *testing.T, d cuda.Device)) {
	t.Helper()
	if testing.Short() {
		t.Skip("interpreting kernels takes time")
	}
	gpu := ptx.NewGPU(target, 1<<30)
	f(t, gpu)
	if leaks := gpu.Leaks(); leaks != "" {
		t.Error("not given back: " + leaks)
	}
}

// onCUDA runs f with a backend on d.
func onCUDA(t *testing.T, d cuda.Device, f func(b *nn.CUDA)) {
	t.Helper()
	b, err := nn.NewCUDA(d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	f(b)
}

// openGPU opens a real GPU, or skips the test.
func openGPU(t *testing.T) cuda.Device {
	t.Helper()
	d, err := cuda.Open(0)
	if err != nil {
		t.Skip(err)
	}
	return d
}

func runCUDA(t *testing.T, load LoadFunc, dir string, d cuda.Device, calls int) {
	t.Helper()
	c := Open(t, dir)
	onCUDA(t, d, func(b *nn.CUDA) {
		forward := c.forward(t, load, c.on(b))
		var first nn.Outputs
		for n := range calls {
			out := forward()
			if n > 0 {
				SameBits(t, out, first)
				continue
			}
			first = out
			for _, want := range c.Want {
				if err := Compare(out.Get(want.Name), want, ToleranceCUDA); err != nil {
					t.Error(err)
				}
			}
		}
	})
}
