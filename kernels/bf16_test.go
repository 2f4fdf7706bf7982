package kernels

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// eachBF16 runs f on every instruction set that has a kernel for bfloat16, and
// on ref.
func eachBF16(t *testing.T, f func(t *testing.T)) {
	eachF32(t, func(t *testing.T) {
		if err := PrecisionBF16.Check(); err != nil {
			t.Skip(err)
		}
		f(t)
	})
}

// rounded are the values that a product in bfloat16 sees.
func rounded(x []float32) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		if y[i] = ref.BF16(ref.ToBF16(v)); math.Abs(float64(y[i])) < 0x1p-126 {
			y[i] = 0
		}
	}
	return y
}

// wide are the bounds of products in bfloat16: two roundings of one unit for
// each of float32's of half a unit, and denormal sums as zeros.
func wide(bound []float64, k int) []float64 {
	for i := range bound {
		bound[i] = 2*bound[i] + float64(k)*0x1p-126
	}
	return bound
}

// sameOrder reports whether the kernel in use adds up as ref does.
func sameOrder() bool { return bf16Words == 1 || ISA() == ISARef }

// TestGemmBF16 holds every row against float64, and where the CPU's instruction
// is the one that ref states against ref, to the bit.
func TestGemmBF16(t *testing.T) {
	type product struct {
		m, n, k   int
		a, w      []float32
		f64, near []float64
		bits      []float32
	}
	var cases []product
	for i, s := range gemmSizes() {
		r := ktest.Rand(uint64(i))
		p := product{m: s[0], n: s[1], k: s[2]}
		p.a, p.w = make([]float32, p.m*p.k), make([]float32, p.n*p.k)
		ktest.Fill(r, p.a)
		ktest.Fill(r, p.w)
		if i%3 == 0 {
			ktest.Sprinkle(r, p.a, 50)
			ktest.Sprinkle(r, p.w, 50)
		}
		p.f64, p.near = ktest.Gemm(rounded(p.a), p.k, rounded(p.w), 1, p.k, p.m, p.n, p.k)
		wide(p.near, p.k)
		cases = append(cases, p)
	}
	eachBF16(t, func(t *testing.T) {
		for i := range cases {
			c := &cases[i]
			t.Run(fmt.Sprintf("%dx%dx%d", c.m, c.n, c.k), func(t *testing.T) {
				edge := ktest.Edges[i%2]
				a, w, wT := ktest.GuardCopy(t, c.a, edge), ktest.GuardCopy(t, c.w, edge), ktest.GuardCopy(t, transposed(c.w, c.n, c.k), edge)
				dst := ktest.Guard[float32](t, c.m*c.n, edge)
				half := c.n / 2
				for _, f := range []struct {
					name string
					w    *Matrix
				}{
					{"one part", PackBF16([][]float32{w}, []int{c.n}, c.k, false)},
					{"two parts", PackBF16([][]float32{w[:half*c.k], w[half*c.k:]}, []int{half, c.n - half}, c.k, false)},
					{"transposed", PackBF16([][]float32{wT}, []int{c.n}, c.k, true)},
				} {
					for i := range dst {
						dst[i] = -77
					}
					LinearF32(nil, dst, c.n, a, c.k, c.m, f.w, Epilogue{})
					if !ktest.Near(t, f.name, dst, c.f64, c.near) {
						return
					}
					if sameOrder() {
						if c.bits == nil {
							c.bits = append(c.bits, dst...)
						}
						ktest.SameBits(t, f.name, dst, c.bits)
					}
				}
			})
		}
	})
}

// TestGemmBF16Threads: the bits do not depend on the number of threads nor on
// the other rows.
func TestGemmBF16Threads(t *testing.T) {
	r := ktest.Rand(1)
	m, n, k := 131, 397, 411
	a, b, bias := make([]float32, m*k), make([]float32, n*k), make([]float32, n)
	ktest.Fill(r, a)
	ktest.Fill(r, b)
	ktest.Fill(r, bias)
	ep := Epilogue{Bias: bias, Act: ActReLU}
	eachBF16(t, func(t *testing.T) {
		w := PackBF16([][]float32{b}, []int{n}, k, false)
		want := make([]float32, m*n)
		for i := range m {
			LinearF32(nil, want[i*n:], n, a[i*k:], k, 1, w, ep)
		}
		for _, threads := range []int{1, 2, 3, 8} {
			got := make([]float32, m*n)
			team := par.Enter(threads)
			LinearF32(team, got, n, a, k, m, w, ep)
			team.Leave()
			ktest.SameBits(t, fmt.Sprintf("%d threads", threads), got, want)
		}
	})
}

func TestConvBF16(t *testing.T) {
	for i, c := range convCases() {
		r := ktest.Rand(uint64(i))
		x, w := make([]float32, c.h*c.w*c.in), make([]float32, c.out*c.in/c.groups*c.kh*c.kw)
		ktest.Fill(r, x)
		ktest.Fill(r, w)
		in, weight := rounded(x), rounded(w)
		if c.groups == c.in && c.out == c.in && c.groups > 1 {
			in, weight = x, w // depthwise
		}
		want, near := ktest.Conv2D(in, c.h, c.w, c.in, weight, c.out, ktest.Window{KH: c.kh, KW: c.kw, Groups: c.groups,
			StrideH: c.win.StrideH, StrideW: c.win.StrideW, PadT: c.win.PadT, PadL: c.win.PadL, PadB: c.win.PadB, PadR: c.win.PadR, DilH: c.win.DilH, DilW: c.win.DilW})
		wide(near, c.in/c.groups*c.kh*c.kw)
		var bits []float32
		eachBF16(t, func(t *testing.T) {
			packed := PackConvBF16(w, c.out, c.in, c.kh, c.kw, c.groups)
			for _, threads := range []int{1, 3} {
				edge := ktest.Edges[i%2]
				dst := ktest.Guard[float32](t, len(want), edge)
				team := par.Enter(threads)
				ConvF32(team, dst, ktest.GuardCopy(t, x, edge), c.h, c.w, packed, c.win, Epilogue{})
				team.Leave()
				if !ktest.Near(t, c.String(), dst, want, near) {
					return
				}
				if sameOrder() {
					if bits == nil {
						bits = append(bits, dst...)
					}
					ktest.SameBits(t, c.String(), dst, bits)
				}
			}
		})
	}
}

// TestLinearBF16Allocs: a product takes no memory from the heap.
func TestLinearBF16Allocs(t *testing.T) {
	if PrecisionBF16.Check() != nil {
		t.Skip(PrecisionBF16.Check())
	}
	m, n, k := 16, 64, 40
	a, dst := make([]float32, m*k), make([]float32, m*n)
	w := PackBF16([][]float32{make([]float32, n*k)}, []int{n}, k, false)
	run := func() { LinearF32(nil, dst, n, a, k, m, w, Epilogue{}) }
	if allocs := testing.AllocsPerRun(100, run); allocs > 0.1 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestPrecision(t *testing.T) {
	for _, p := range []Precision{PrecisionF32, PrecisionBF16} {
		if got, err := ParsePrecision(p.String()); err != nil || got != p {
			t.Errorf("ParsePrecision(%q) = %v, %v", p.String(), got, err)
		}
	}
	if _, err := ParsePrecision("fp8"); err == nil || !strings.Contains(err.Error(), "fp8") {
		t.Errorf("ParsePrecision(fp8): %v", err)
	}
	eachISA(t, func(t *testing.T) {
		err := PrecisionBF16.Check()
		lacks := gemmBF16.rows[0].missing()
		switch {
		case ISA() == ISARef:
			if err != nil {
				t.Errorf("ref computes in any precision: %v", err)
			}
		case lacks != "":
			if err == nil || !strings.Contains(err.Error(), lacks) {
				t.Errorf("%v, want an error that names %s", err, lacks)
			}
		case rank(ISA()) > rank(gemmBF16.rows[0].isa):
			if err == nil || !strings.Contains(err.Error(), "WEFT_ISA") {
				t.Errorf("%v, want an error that names WEFT_ISA", err)
			}
		case err != nil:
			t.Error(err)
		}
		if err := PrecisionF32.Check(); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkGemmBF16(b *testing.B) {
	for _, s := range gemmShapes {
		m, n, k := s[0], s[1], s[2]
		r := ktest.Rand(1)
		a, w, dst := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
		ktest.Fill(r, a)
		ktest.Fill(r, w)
		f32 := PackF32(w, n, k, k)
		bf16 := PackBF16([][]float32{w}, []int{n}, k, false)
		for _, c := range []struct {
			name string
			w    *Matrix
		}{{"f32", f32}, {"bf16", bf16}} {
			b.Run(fmt.Sprintf("m=%d/n=%d/k=%d/%s", m, n, k, c.name), func(b *testing.B) {
				for b.Loop() {
					LinearF32(nil, dst, n, a, k, m, c.w, Epilogue{})
				}
				b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
