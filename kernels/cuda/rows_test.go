package cuda_test

import (
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
)

func TestRows(t *testing.T) {
	const n, rows, cols, ld = 9, 5, 301, 303
	ids := []int32{3, 0, -1, 8, 3}
	for _, typ := range types {
		t.Run(typ.String(), func(t *testing.T) {
			b := newBench(t, 75)
			x, with := b.random(typ, n*cols), b.random(typ, rows*cols)
			weights := b.random(cuda.F32, n)
			table := b.matrix(typ, x, n, cols, ld)
			test := func(what string, launch func(dst cuda.Mat), f func(r, c int) float64) {
				t.Helper()
				dst, want := b.matrix(typ, with, rows, cols, ld), make([]float64, rows*cols)
				launch(dst)
				for i := range want {
					want[i] = f(i/cols, i%cols)
				}
				b.check(what, typ, b.read(typ, dst, rows, cols), want, 2e-6)
			}
			at := func(r int32, c int) float64 { return float64(x[int(r)*cols+c]) }
			positive := []int32{3, 0, 1, 8, 3}
			test("embedding", func(dst cuda.Mat) { cuda.Embedding(b, typ, dst, b.ints(positive...), table, false, rows, cols) },
				func(r, c int) float64 { return at(positive[r], c) })
			test("embedding, added", func(dst cuda.Mat) { cuda.Embedding(b, typ, dst, b.ints(positive...), table, true, rows, cols) },
				func(r, c int) float64 { return at(positive[r], c) + float64(with[r*cols+c]) })
			test("gather", func(dst cuda.Mat) { cuda.Gather(b, typ, dst, table, b.ints(ids...), rows, cols) },
				func(r, c int) float64 {
					if ids[r] < 0 {
						return 0
					}
					return at(ids[r], c)
				})
			off, from := []int32{0, 2, 2, 3, 3, 6}, []int32{1, 7, 0, 2, 2, 8}
			combine := func(r, c int) (s float64) {
				for j := off[r]; j < off[r+1]; j++ {
					s += float64(weights[j]) * at(from[j], c)
				}
				return s
			}
			test("combine", func(dst cuda.Mat) {
				cuda.Combine(b, typ, dst, table, cuda.Mat{}, b.ints(off...), b.ints(from...), b.vector(weights), rows, cols)
			}, combine)
			test("combine with a residual", func(dst cuda.Mat) {
				cuda.Combine(b, typ, dst, table, b.matrix(typ, with, rows, cols, ld), b.ints(off...), b.ints(from...), b.vector(weights), rows, cols)
			}, func(r, c int) float64 { return combine(r, c) + float64(with[r*cols+c]) })
			ends := []int32{0, 1, 4, 5, 8, 9}
			test("mean of rows", func(dst cuda.Mat) { cuda.MeanRows(b, typ, dst, table, b.ints(ends...), rows, cols) },
				func(r, c int) (s float64) {
					for i := ends[r]; i < ends[r+1]; i++ {
						s += at(i, c)
					}
					return s / float64(ends[r+1]-ends[r])
				})
		})
	}
}

func TestRotary(t *testing.T) {
	const rows, heads, headDim, half, ld = 3, 5, 12, 4, 64
	for _, typ := range types {
		b := newBench(t, 75)
		x, table := b.random(typ, rows*heads*headDim), b.random(cuda.F32, 7*2*half)
		positions := []int32{6, 0, 2}
		m := b.matrix(typ, x, rows, heads*headDim, ld)
		cuda.Rotary(b, typ, m, b.matrix(cuda.F32, table, 7, 2*half, 2*half), b.ints(positions...), headDim, half, rows, heads*headDim)
		want := append([]float32(nil), x...)
		kernels.RotaryF32(nil, want, heads*headDim, table, 2*half, positions, heads*headDim, headDim, half)
		b.check("rotary", typ, b.read(typ, m, rows, heads*headDim), wide(want), 1e-6)
	}
}

func TestAppend(t *testing.T) {
	const pages, pageRows, page, cols = 3, 4, 100, 6
	for _, typ := range types {
		b := newBench(t, 75)
		x := b.random(typ, 4*cols)
		cache := cuda.Mat{P: b.Alloc(pages * page * typ.Size()), LD: cols}
		slots := []int32{9, 2, -1, 3}
		cuda.Append(b, typ, cache, page, pageRows, b.matrix(typ, x, 4, cols, cols+3), b.ints(slots...), 4, cols)
		for i, s := range slots {
			if s < 0 {
				continue
			}
			at := int(s)/pageRows*page + int(s)%pageRows*cols
			b.check("append", typ, b.read(typ, cuda.Mat{P: cache.P + cuda.Ptr(at*typ.Size())}, 1, cols), wide(x[i*cols:][:cols]), 0)
		}
	}
}

func TestPatchesTransposePool(t *testing.T) {
	for _, typ := range types {
		b := newBench(t, 75)
		const n, c, h, w, ph, pw = 2, 3, 7, 9, 3, 2
		x := b.random(typ, n*c*h*w)
		rows, cols := n*(h/ph)*(w/pw), c*ph*pw
		want := make([]float32, rows*cols)
		kernels.PatchesF32(nil, want, cols, x, n, c, h, w, ph, pw)
		dst := b.empty(typ, rows, cols, cols+1)
		src := b.matrix(typ, x, 1, len(x), len(x))
		cuda.Patches(b, typ, dst, src.P, n, c, h, w, ph, pw)
		b.check("patches", typ, b.read(typ, dst, rows, cols), wide(want), 0)

		for _, s := range [][2]int{{1, 1}, {33, 5}, {40, 70}} {
			x := b.random(typ, s[0]*s[1])
			want := make([]float32, len(x))
			kernels.TransposeF32(nil, want, x, 1, s[0], s[1])
			dst := b.empty(typ, s[1], s[0], s[0]+2)
			cuda.Transpose(b, typ, dst, b.matrix(typ, x, s[0], s[1], s[1]+1), s[0], s[1])
			b.check("transpose", typ, b.read(typ, dst, s[1], s[0]), wide(want), 0)
		}

		k := kernels.Window{StrideH: 2, StrideW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 2, DilH: 1, DilW: 2}
		g := cuda.Window(k)
		oh, ow := k.Out(h, w, 3, 2)
		if a, b := g.Out(h, w, 3, 2); a != oh || b != ow {
			t.Fatalf("a result of %dx%d, want %dx%d", a, b, oh, ow)
		}
		for i := range 3 {
			want := make([]float32, oh*ow*c)
			if i == 0 {
				kernels.MaxPool2DF32(nil, want, x, h, w, c, 3, 2, k)
			} else {
				kernels.AvgPool2DF32(nil, want, x, h, w, c, 3, 2, k, i == 2)
			}
			dst := b.empty(typ, oh*ow, c, c)
			cuda.Pool(b, typ, dst.P, src.P, h, w, c, 3, 2, g, i > 0, i == 2)
			b.check("pool", typ, b.read(typ, dst, oh*ow, c), wide(want), 1e-6)
		}
	}
}

func TestTopK(t *testing.T) {
	nan := float32(math.NaN())
	for _, s := range [][3]int{{3, 1, 1}, {2, 8, 8}, {3, 500, 6}, {1, 1300, 3}} {
		rows, cols, k := s[0], s[1], s[2]
		b := newBench(t, 75)
		x := b.random(cuda.F32, rows*cols)
		for i := range x {
			x[i] = float32(math.Round(float64(x[i] * 3))) // many are equal
		}
		if cols > 7 {
			x[3], x[5], x[6] = nan, nan, float32(math.Inf(-1))
			x[cols-1], x[cols-2] = float32(math.Copysign(0, -1)), 0
		}
		values, indices := make([]float32, rows*k), make([]int32, rows*k)
		kernels.TopKF32(nil, values, indices, x, rows, cols, cols, k)
		v, at := b.empty(cuda.F32, rows, k, k), b.Alloc(4*rows*k)
		cuda.TopK(b, cuda.F32, v.P, at, b.matrix(cuda.F32, x, rows, cols, cols+1), k, rows, cols)
		b.check("values", cuda.F32, b.read(cuda.F32, v, rows, k), wide(values), 0)
		for i, got := range b.readInts(at, rows*k) {
			if got != indices[i] {
				t.Errorf("%dx%d: index %d is %d, want %d", rows, cols, i, got, indices[i])
			}
		}
	}
}
