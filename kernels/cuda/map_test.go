package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ptx"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// shapes are rows, columns and row strides: with and without vector loads.
var shapes = [][3]int{{1, 1, 1}, {3, 7, 9}, {2, 260, 260}, {5, 1028, 1032}, {1, 1027, 1027}}

func TestMaps(t *testing.T) {
	for _, typ := range types {
		for _, s := range shapes {
			rows, cols, ld := s[0], s[1], s[2]
			t.Run(fmt.Sprintf("%v/%dx%d", typ, rows, cols), func(t *testing.T) {
				b := newBench(t, 75)
				x, y := b.random(typ, rows*cols), b.random(typ, rows*cols)
				scale, shift := b.random(cuda.F32, cols), b.random(cuda.F32, cols)
				mx, my := b.matrix(typ, x, rows, cols, ld), b.matrix(typ, y, rows, cols, ld)
				test := func(what string, launch func(dst cuda.Mat), f func(i int) float64) {
					t.Helper()
					dst, want := b.empty(typ, rows, cols, ld), make([]float64, rows*cols)
					launch(dst)
					for i := range want {
						want[i] = f(i)
					}
					b.check(what, typ, b.read(typ, dst, rows, cols), want, 1e-6)
				}
				test("add", func(dst cuda.Mat) { cuda.Add(b, typ, dst, mx, my, rows, cols) },
					func(i int) float64 { return float64(x[i]) + float64(y[i]) })
				test("scale", func(dst cuda.Mat) { cuda.Scale(b, typ, dst, mx, -1.5, rows, cols) },
					func(i int) float64 { return -1.5 * float64(x[i]) })
				test("affine", func(dst cuda.Mat) { cuda.Affine(b, typ, dst, mx, b.vector(scale), b.vector(shift), rows, cols) },
					func(i int) float64 { return float64(x[i])*float64(scale[i%cols]) + float64(shift[i%cols]) })
				test("gated", func(dst cuda.Mat) { cuda.Gated(b, typ, dst, mx, my, cuda.Act(kernels.ActSiLU), rows, cols) },
					func(i int) float64 { return float64(x[i]) / (1 + math.Exp(-float64(x[i]))) * float64(y[i]) })
				for _, from := range types {
					z := b.random(from, rows*cols)
					test("cast from "+from.String(), func(dst cuda.Mat) { cuda.Cast(b, typ, dst, from, b.matrix(from, z, rows, cols, ld), rows, cols) },
						func(i int) float64 { return float64(ptx.Round(typ, z[i])) })
				}
			})
		}
	}
}

func TestActivations(t *testing.T) {
	inf := float32(math.Inf(1))
	x := []float32{0, 1e-30, -1e-8, inf, -inf, float32(math.NaN()), 88, -88, 120, -120, 3e38, -3e38}
	for v := float32(-20); v < 20; v += 0.0371 {
		x = append(x, v)
	}
	for _, act := range kernels.Acts() {
		t.Run(act.String(), func(t *testing.T) {
			b := newBench(t, 75)
			dst := b.empty(cuda.F32, 1, len(x), len(x))
			cuda.Activate(b, cuda.F32, dst, b.matrix(cuda.F32, x, 1, len(x), len(x)), cuda.Act(act), 1, len(x))
			want := make([]float32, len(x))
			kernels.ActF32(nil, want, x, act)
			for i, g := range b.read(cuda.F32, dst, 1, len(x)) {
				w := want[i]
				if w != w && g != g || w == g {
					continue
				}
				if d := math.Abs(float64(g) - float64(w)); !(d <= 1e-6*(1+math.Abs(float64(w)))) {
					t.Errorf("%v(%v) is %v, want %v", act, x[i], g, w)
				}
			}
		})
	}
}
