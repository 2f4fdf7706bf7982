package golden

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ptx"
	"github.com/seed-512d3d71/weft/kernels/cuda"
	"github.com/seed-512d3d71/weft/nn"
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
					if testing.Short() {
						t.Skip("interpreting kernels takes time")
					}
					gpu := ptx.NewGPU(75, 1<<30)
					runCUDA(t, load, dir, gpu, calls)
					if leaks := gpu.Leaks(); leaks != "" {
						t.Error("not given back: " + leaks)
					}
				})
				t.Run("gpu", func(t *testing.T) { runCUDA(t, load, dir, openGPU(t), calls) })
			})
		}
	}
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
	b, err := nn.NewCUDA(d)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	c := Open(t, dir)
	m, err := load(c.Config, c.Class, nn.NewParams(c.weights, b, c.Config.Str("model_type", "")))
	if err != nil {
		t.Fatal(err)
	}
	o := nn.RunOptions{Set: c.Set}
	for _, w := range c.Want {
		o.HiddenStates = o.HiddenStates || strings.Contains(w.Name, "hidden_states.")
	}
	var first nn.Outputs
	for n := range calls {
		out, err := m.Run(t.Context(), c.Inputs, o)
		if err != nil {
			t.Fatal(err)
		}
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
}
