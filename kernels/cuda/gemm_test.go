package cuda_test

import (
	"fmt"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// product runs a product of g's types and shape and compares it with one in
// float64; pad is what is between rows.
func (b *bench) product(g cuda.Gemm, pad int, tol float64) {
	b.t.Helper()
	m, n, k := g.M, g.N, g.K
	mem := g.In
	if mem == cuda.TF32 {
		mem = cuda.F32
	}
	x, w := b.random(mem, m*k), b.random(mem, n*k)
	bias, residual := b.random(cuda.F32, n), b.random(g.Out, m*n)
	g.A = b.matrix(mem, x, m, k, k+pad)
	g.B = b.matrix(mem, w, n, k, k+pad)
	if g.Plain {
		t := make([]float32, n*k)
		kernels.TransposeF32(nil, t, w, 1, n, k)
		g.B = b.matrix(mem, t, k, n, n+pad)
	}
	g.Dst = b.empty(g.Out, m, n, n+pad)
	with := g.Act != 0
	if with {
		g.Bias = b.vector(bias)
		g.Residual = b.matrix(g.Out, residual, m, n, n+pad)
	}
	cuda.MatMul(b, &g)
	want := make([]float64, m*n)
	for i := range m {
		for j := range n {
			s := 0.0
			for p := range k {
				s += float64(x[i*k+p]) * float64(w[j*k+p])
			}
			if with { // a ReLU
				s = max(s+float64(bias[j]), 0) + float64(residual[i*n+j])
			}
			want[i*n+j] = s
		}
	}
	b.check(fmt.Sprintf("%v to %v, %dx%dx%d", g.In, g.Out, m, n, k), g.Out, b.read(g.Out, g.Dst, m, n), want, tol)
}

func TestMatMul(t *testing.T) {
	relu := cuda.Epilogue{Act: cuda.Act(kernels.ActReLU)}
	for _, in := range types {
		for _, out := range []cuda.Type{in, cuda.F32} {
			for _, s := range [][4]int{{1, 1, 1, 0}, {1, 9, 16, 0}, {3, 5, 64, 8}, {8, 33, 40, 0}, {9, 33, 17, 3}, {33, 31, 36, 4}, {70, 66, 8, 0}, {65, 1, 0, 0}, {1, 64, 31, 0}} {
				b := newBench(t, 75)
				b.product(cuda.Gemm{M: s[0], N: s[1], K: s[2], In: in, Out: out}, s[3], 1e-5)
				b.product(cuda.Gemm{M: s[0], N: s[1], K: s[2], In: in, Out: out, Epilogue: relu}, s[3], 1e-5)
				if in == cuda.F32 {
					b.product(cuda.Gemm{M: s[0], N: s[1], K: s[2], Plain: true, Epilogue: relu}, s[3], 1e-5)
				}
			}
		}
	}
}

// largeTiles makes the launchers choose the largest tiles from two blocks on.
func largeTiles(t *testing.T) {
	cuda.FullGPU(2)
	t.Cleanup(func() { cuda.FullGPU(108) })
}

func TestMatMulTiles(t *testing.T) {
	largeTiles(t)
	relu := cuda.Epilogue{Act: cuda.Act(kernels.ActReLU)}
	for _, s := range [][3]int{{128, 129, 12}, {130, 150, 37}, {129, 64, 40}, {70, 30, 20}} {
		b := newBench(t, 75)
		b.product(cuda.Gemm{M: s[0], N: s[1], K: s[2], Epilogue: relu}, 0, 1e-5)
	}
}

// Products by matrix instructions.
func TestMatMulSM80(t *testing.T) {
	relu := cuda.Epilogue{Act: cuda.Act(kernels.ActReLU)}
	for _, in := range []cuda.Type{cuda.BF16, cuda.F16, cuda.TF32} {
		for _, out := range []cuda.Type{in, cuda.F32} {
			tol := 1e-5
			if in == cuda.TF32 {
				tol, out = 2e-2, cuda.F32
			}
			for _, s := range [][3]int{{9, 1, 8}, {64, 64, 64}, {70, 67, 40}, {33, 130, 5}, {130, 66, 200}, {9, 8, 0}} {
				b := newBench(t, 80)
				pad := (8 - s[2]%8) % 8 // rows begin at multiples of 16 bytes
				b.product(cuda.Gemm{M: s[0], N: s[1], K: s[2], In: in, Out: out, Epilogue: relu}, pad, tol)
				b.used("gemm_" + in.String() + "_" + out.String() + "_64x64")
			}
		}
	}
}

func TestMatMulSM80Tiles(t *testing.T) {
	largeTiles(t)
	for _, in := range []cuda.Type{cuda.BF16, cuda.F16, cuda.TF32} {
		for _, out := range []cuda.Type{in, cuda.F32} {
			tol := 1e-5
			if in == cuda.TF32 {
				tol, out = 2e-2, cuda.F32
			}
			b := newBench(t, 80)
			b.product(cuda.Gemm{M: 130, N: 141, K: 200, In: in, Out: out}, 0, tol)
			b.used("gemm_" + in.String() + "_" + out.String() + "_128x128")
		}
	}
}

// Products by warp groups.
func TestMatMulSM90(t *testing.T) {
	relu := cuda.Epilogue{Act: cuda.Act(kernels.ActReLU)}
	for _, n := range []int{128, 256} {
		cuda.FullGPU(1)
		t.Cleanup(func() { cuda.FullGPU(108) })
		for _, in := range types[1:] {
			for _, out := range []cuda.Type{in, cuda.F32} {
				b := newBench(t, 90)
				if n == 128 {
					cuda.FullGPU(2) // so that two narrow tiles are preferred to a wide one
				}
				b.product(cuda.Gemm{M: 70, N: 250, K: 40, In: in, Out: out, Epilogue: relu}, 0, 1e-5)
				b.product(cuda.Gemm{M: 130, N: n + 3 - n/128*2, K: 72, In: in, Out: out}, 0, 1e-5)
				b.product(cuda.Gemm{M: 9, N: 250, K: 64*7 + 8, In: in, Out: out, Epilogue: relu}, 8, 1e-5)
				b.used(fmt.Sprintf("gemm_%v_%v_128x%d", in, out, n))
			}
		}
	}
}

// used fails unless a kernel was launched.
func (b *bench) used(entry string) {
	b.t.Helper()
	if b.Launches[entry] == 0 {
		b.t.Errorf("%s was not launched: %v", entry, b.Launches)
	}
}

func TestConvolve(t *testing.T) {
	testConvolve(t, 75)
	testConvolve(t, 80)
}

func testConvolve(t *testing.T, target int) {
	for _, c := range []struct {
		h, w, ins, outs, kh, kw, groups int
		g                               kernels.Window
	}{
		{1, 20, 3, 5, 1, 3, 1, kernels.Window{StrideH: 1, StrideW: 2, DilH: 1, DilW: 1}}, // overlapping rows
		{5, 6, 4, 7, 1, 1, 1, kernels.Window{StrideH: 1, StrideW: 1, DilH: 1, DilW: 1}},  // a product
		{5, 6, 4, 7, 1, 1, 1, kernels.Window{StrideH: 2, StrideW: 2, DilH: 1, DilW: 1}},
		{1, 30, 8, 12, 1, 4, 2, kernels.Window{StrideH: 1, StrideW: 1, PadL: 2, PadR: 2, DilH: 1, DilW: 1}},
		{9, 8, 3, 70, 3, 3, 1, kernels.Window{StrideH: 2, StrideW: 1, PadT: 1, PadL: 1, PadB: 1, PadR: 0, DilH: 1, DilW: 2}},
		{9, 8, 8, 6, 3, 2, 1, kernels.Window{StrideH: 1, StrideW: 1, PadT: 1, PadL: 1, PadB: 2, PadR: 1, DilH: 2, DilW: 1}},
		{6, 7, 6, 6, 3, 3, 6, kernels.Window{StrideH: 1, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1, DilH: 1, DilW: 1}}, // depthwise
		{5, 9, 48, 70, 3, 2, 2, kernels.Window{StrideH: 1, StrideW: 2, PadT: 1, PadL: 0, PadB: 1, PadR: 1, DilH: 1, DilW: 2}},
		{6, 7, 6, 12, 3, 3, 6, kernels.Window{StrideH: 1, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1, DilH: 1, DilW: 1}},
		{2, 2, 3, 3, 3, 3, 1, kernels.Window{StrideH: 1, StrideW: 1, DilH: 1, DilW: 1}}, // nothing to compute
	} {
		for _, in := range types {
			for _, out := range []cuda.Type{in, cuda.F32} {
				b := newBench(t, target)
				taps, ci := c.kh*c.kw, c.ins/c.groups
				x, w, bias := b.random(in, c.h*c.w*c.ins), b.random(in, c.outs*taps*ci), b.random(cuda.F32, c.outs)
				oh, ow := c.g.Out(c.h, c.w, c.kh, c.kw)
				residual := b.random(out, oh*ow*c.outs)
				want := make([]float32, oh*ow*c.outs)
				kernels.ConvF32(nil, want, x, c.h, c.w, kernels.PackConvF32(w, c.outs, c.ins, c.kh, c.kw, c.groups), c.g,
					kernels.Epilogue{Bias: bias, Act: kernels.ActGELU, Residual: residual, LDR: c.outs})
				turned := make([]float32, len(w)) // tap by tap
				kernels.TransposeF32(nil, turned, w, c.outs, ci, taps)
				dst := b.empty(out, oh*ow, c.outs, c.outs)
				cuda.Convolve(b, &cuda.Conv{Dst: dst, X: b.matrix(in, x, 1, len(x), 0).P, Weight: b.matrix(in, turned, 1, len(w), 0).P,
					H: c.h, W: c.w, Ins: c.ins, Outs: c.outs, KH: c.kh, KW: c.kw, Groups: c.groups, Window: cuda.Window(c.g), In: in, Out: out,
					Epilogue: cuda.Epilogue{Bias: b.vector(bias), Act: cuda.Act(kernels.ActGELU), Residual: b.matrix(out, residual, oh*ow, c.outs, c.outs)}})
				if oh*ow > 0 {
					b.check(fmt.Sprintf("%v to %v: %+v", in, out, c), out, b.read(out, dst, oh*ow, c.outs), wide(want), 1e-5)
				}
			}
		}
	}
}
