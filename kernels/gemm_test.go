package kernels

import (
	"fmt"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// refProduct states C = A·B with b [k, n] as ref does.
func refProduct(a []float32, lda int, b []float32, m, n, k int) []float32 {
	c := make([]float32, m*n)
	for i := range m {
		ref.GemmRowF32(c[i*n:][:n], a[i*lda:][:k], b, n, false)
	}
	return c
}

func transposed(b []float32, k, n int) []float32 {
	t := make([]float32, len(b))
	for p := range k {
		for j := range n {
			t[j*k+p] = b[p*n+j]
		}
	}
	return t
}

// eachISA runs f on every instruction set; those that the machine lacks are
// skipped by name.
func eachISA(t *testing.T, f func(t *testing.T)) {
	for _, isa := range isas {
		if _, built := isaNeeds[isa]; built {
			t.Run("isa="+isa, func(t *testing.T) {
				Use(t, isa)
				f(t)
			})
		}
	}
}

// gemmSizes are m, n, k around every tile and block.
func gemmSizes() [][3]int {
	sizes := [][3]int{{1, 1, 1}, {1, 1, 0}, {3, 5, 0}, {40, 50, 390}, {257, 17, 33}, {31, 530, 20}, {2, 33, 5000}, {9, 40, 1024}, {70, 20, 2048}}
	for m := 1; m <= 18; m++ {
		sizes = append(sizes, [3]int{m, 16 + m, 7}, [3]int{m, 70, 2 * m}, [3]int{24 + m, 33, m})
	}
	for n := 1; n <= 70; n++ {
		sizes = append(sizes, [3]int{n%7 + 1, n, 5})
	}
	return sizes
}

// TestGemmF32 holds every row against ref, to the bit, and against float64,
// between forbidden pages.
func TestGemmF32(t *testing.T) {
	type product struct {
		m, n, k   int
		a, b, bT  []float32
		f64, near []float64
		bits      []float32
	}
	var cases []product
	for i, s := range gemmSizes() {
		r := ktest.Rand(uint64(i))
		p := product{m: s[0], n: s[1], k: s[2]}
		p.a, p.b = make([]float32, p.m*p.k), make([]float32, p.k*p.n)
		ktest.Fill(r, p.a)
		ktest.Fill(r, p.b)
		if i%3 == 0 {
			ktest.Sprinkle(r, p.a, 50)
			ktest.Sprinkle(r, p.b, 50)
		} else {
			p.f64, p.near = ktest.Gemm(p.a, p.k, p.b, p.n, 1, p.m, p.n, p.k)
		}
		p.bT = transposed(p.b, p.k, p.n)
		p.bits = refProduct(p.a, p.k, p.b, p.m, p.n, p.k)
		cases = append(cases, p)
	}
	eachISA(t, func(t *testing.T) {
		for i, c := range cases {
			t.Run(fmt.Sprintf("%dx%dx%d", c.m, c.n, c.k), func(t *testing.T) {
				edge := ktest.Edges[i%2]
				a, b, bT := ktest.GuardCopy(t, c.a, edge), ktest.GuardCopy(t, c.b, edge), ktest.GuardCopy(t, c.bT, edge)
				dst := ktest.Guard[float32](t, c.m*c.n, edge)
				for _, f := range []struct {
					name string
					run  func()
				}{
					{"PackF32", func() { LinearF32(nil, dst, c.n, a, c.k, c.m, PackF32(bT, c.n, c.k, c.k), Epilogue{}) }},
					{"PackF32T", func() { LinearF32(nil, dst, c.n, a, c.k, c.m, PackF32T(b, c.k, c.n, c.n), Epilogue{}) }},
					{"MatMulF32", func() { MatMulF32(nil, dst, c.n, a, c.k, b, c.n, false, c.m, c.n, c.k, 1, 0, 0, 0) }},
					{"MatMulF32 bT", func() { MatMulF32(nil, dst, c.n, a, c.k, bT, c.k, true, c.m, c.n, c.k, 1, 0, 0, 0) }},
				} {
					for i := range dst {
						dst[i] = -77
					}
					f.run()
					if !ktest.SameBits(t, f.name, dst, c.bits) {
						return
					}
					if c.f64 != nil {
						ktest.Near(t, f.name, dst, c.f64, c.near)
					}
				}
			})
		}
	})
}

// TestGemmF32Threads: the bits do not depend on the number of threads.
func TestGemmF32Threads(t *testing.T) {
	r := ktest.Rand(1)
	m, n, k := 131, 397, 410
	a, b := make([]float32, m*k), make([]float32, n*k)
	ktest.Fill(r, a)
	ktest.Fill(r, b)
	want := refProduct(a, k, transposed(b, n, k), m, n, k)
	eachISA(t, func(t *testing.T) {
		w := PackF32(b, n, k, k)
		for _, threads := range []int{1, 2, 3, 8} {
			got := make([]float32, m*n)
			team := par.Enter(threads)
			LinearF32(team, got, n, a, k, m, w, Epilogue{})
			ktest.SameBits(t, fmt.Sprintf("linear, %d threads", threads), got, want)
			clear(got)
			MatMulF32(team, got, n, a, k, b, k, true, m, n, k, 1, 0, 0, 0)
			ktest.SameBits(t, fmt.Sprintf("matmul, %d threads", threads), got, want)
			team.Leave()
		}
	})
}
