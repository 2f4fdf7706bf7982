package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
)

func TestNorms(t *testing.T) {
	const eps = 1e-5
	for _, typ := range types {
		for _, s := range [][3]int{{1, 1, 1}, {3, 32, 40}, {2, 300, 300}, {2, 301, 304}, {3, 1500, 1501}} {
			rows, cols, ld := s[0], s[1], s[2]
			t.Run(fmt.Sprintf("%v/%dx%d", typ, rows, cols), func(t *testing.T) {
				b := newBench(t, 75)
				x, y := b.random(typ, rows*cols), b.random(typ, rows*cols)
				gain, bias := b.random(cuda.F32, cols), b.random(cuda.F32, cols)
				g, bi := b.vector(gain), b.vector(bias)
				mx, my := b.matrix(typ, x, rows, cols, ld), b.matrix(typ, y, rows, cols, ld)
				test := func(what string, launch func(dst cuda.Mat), f func(x, y, out []float64)) {
					t.Helper()
					dst, want := b.empty(typ, rows, cols, ld), make([]float64, rows*cols)
					launch(dst)
					for r := range rows {
						f(wide(x[r*cols:(r+1)*cols]), wide(y[r*cols:(r+1)*cols]), want[r*cols:])
					}
					b.check(what, typ, b.read(typ, dst, rows, cols), want, 1e-5)
				}
				normalise := func(v, out []float64, bias []float32) {
					mean, square := 0.0, 0.0
					for _, v := range v {
						mean += v / float64(cols)
					}
					for _, v := range v {
						square += (v - mean) * (v - mean) / float64(cols)
					}
					for c, v := range v {
						out[c] = (v - mean) / math.Sqrt(square+eps) * float64(gain[c])
						if bias != nil {
							out[c] += float64(bias[c])
						}
					}
				}
				test("layer norm", func(dst cuda.Mat) { cuda.LayerNorm(b, typ, dst, mx, cuda.Mat{}, g, bi, eps, rows, cols) },
					func(x, y, out []float64) { normalise(x, out, bias) })
				test("layer norm of a sum", func(dst cuda.Mat) { cuda.LayerNorm(b, typ, dst, mx, my, g, 0, eps, rows, cols) },
					func(x, y, out []float64) {
						for i := range x {
							x[i] += y[i]
						}
						normalise(x, out, nil)
					})
				test("RMS norm", func(dst cuda.Mat) { cuda.RMSNorm(b, typ, dst, mx, g, eps, rows, cols) },
					func(x, y, out []float64) {
						square := 0.0
						for _, v := range x {
							square += v * v / float64(cols)
						}
						for c, v := range x {
							out[c] = v / math.Sqrt(square+eps) * float64(gain[c])
						}
					})
				test("softmax", func(dst cuda.Mat) { cuda.Softmax(b, typ, dst, mx, rows, cols) },
					func(x, y, out []float64) {
						sum := 0.0
						for _, v := range x {
							sum += math.Exp(v)
						}
						for c, v := range x {
							out[c] = math.Exp(v) / sum
						}
					})
			})
		}
	}
}

// A row whose mean is far larger than its deviation.
func TestLayerNormOffset(t *testing.T) {
	const cols = 768
	b := newBench(t, 75)
	x, gain := make([]float32, cols), make([]float32, cols)
	for i := range x {
		x[i], gain[i] = 1e6+float32(i%7), 1
	}
	dst := b.empty(cuda.F32, 1, cols, cols)
	cuda.LayerNorm(b, cuda.F32, dst, b.matrix(cuda.F32, x, 1, cols, cols), cuda.Mat{}, b.vector(gain), 0, 1e-5, 1, cols)
	want := make([]float32, cols)
	kernels.LayerNormF32(nil, want, cols, x, cols, nil, 0, nil, 0, gain, nil, 1e-5, 1, cols)
	b.check("layer norm", cuda.F32, b.read(cuda.F32, dst, 1, cols), wide(want), 2e-5)
}

func TestGroupNorm(t *testing.T) {
	for _, typ := range types {
		for _, s := range [][3]int{{1, 4, 2}, {7, 32, 32}, {300, 40, 5}, {515, 3, 1}} {
			rows, cols, groups := s[0], s[1], s[2]
			t.Run(fmt.Sprintf("%v/%dx%dx%d", typ, rows, cols, groups), func(t *testing.T) {
				b := newBench(t, 75)
				x := b.random(typ, rows*cols)
				gain, bias := b.random(cuda.F32, cols), b.random(cuda.F32, cols)
				dst := b.empty(typ, rows, cols, cols)
				cuda.GroupNorm(b, typ, dst.P, b.matrix(typ, x, rows, cols, cols).P, b.vector(gain), b.vector(bias),
					groups, 1e-5, cuda.Act(kernels.ActGELU), rows, cols, b.Alloc(cuda.GroupNormWork(rows, cols, groups)))
				want := make([]float32, rows*cols)
				kernels.GroupNormF32(nil, want, x, rows, cols, groups, gain, bias, 1e-5, kernels.ActGELU)
				b.check("group norm", typ, b.read(typ, dst, rows, cols), wide(want), 1e-5)
			})
		}
	}
}
