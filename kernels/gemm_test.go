package kernels

import (
	"fmt"
	"slices"
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
	for _, s := range isas {
		onISA(t, s.name, f)
	}
}

func onISA(t *testing.T, isa string, f func(t *testing.T)) {
	t.Run("isa="+isa, func(t *testing.T) {
		Use(t, isa)
		f(t)
	})
}

// eachF32 is eachISA for operations on floats, which the sets with products of
// bytes compute by older rows.
func eachF32(t *testing.T, f func(t *testing.T)) {
	for _, r := range gemmF32.rows {
		onISA(t, r.isa, f)
	}
}

// isasF32 are those of the machine.
func isasF32() []string {
	return slices.DeleteFunc(ISAs(), func(isa string) bool { return gemmF32.rows[gemmF32.best(isa)].isa != isa })
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
	eachF32(t, func(t *testing.T) {
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
	eachF32(t, func(t *testing.T) {
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

// TestSplit: the chunks of a product are its elements, each once, and several
// for every thread if it is large.
func TestSplit(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8, 64} {
		for _, s := range [][3]int{{1, 1, 1}, {1, 768, 768}, {16, 768, 768}, {128, 384, 384}, {197, 2304, 768}, {1000, 17, 40}, {145, 50257, 64}, {3, 5, 0}} {
			g := split(threads, s[0], s[1], s[2], 144)
			seen := make([]int, g.m*g.n)
			for c := range g.chunks() {
				i0, i1, j0, j1 := g.chunk(c)
				if i0 >= i1 || j0 >= j1 {
					t.Errorf("%d threads, %v: chunk %d is empty", threads, s, c)
				}
				for i := i0; i < i1; i++ {
					for j := j0; j < j1; j++ {
						seen[i*g.n+j]++
					}
				}
			}
			if slices.Min(seen) != 1 || slices.Max(seen) != 1 {
				t.Errorf("%d threads, %v: the chunks are not a division", threads, s)
			}
			if s[0]*s[1]*s[2] > splitWork && g.chunks() < min(threads, g.n) {
				t.Errorf("%d threads, %v: %d chunks", threads, s, g.chunks())
			}
		}
	}
}

// TestGemmF32Strides: rows further apart than they are long, the batch of a
// product, an epilogue whose residual is the destination, and no write beyond
// the columns.
func TestGemmF32Strides(t *testing.T) {
	r := ktest.Rand(2)
	const m, n, k, batch = 29, 45, 37, 3
	const lda, ldb, ldd = k + 3, n + 5, n + 2
	a, b := make([]float32, batch*m*lda), make([]float32, batch*k*ldb)
	ktest.Fill(r, a)
	ktest.Fill(r, b)
	bias := make([]float32, n)
	ktest.Fill(r, bias)
	const untouched = 1234
	eachF32(t, func(t *testing.T) {
		dst := ktest.Guard[float32](t, batch*m*ldd, ktest.Tail)
		for i := range dst {
			dst[i] = untouched
		}
		MatMulF32(nil, dst, ldd, a, lda, b, ldb, false, m, n, k, batch, m*ldd, m*lda, k*ldb)
		for z := range batch {
			for i := range m {
				row := dst[(z*m+i)*ldd:]
				want := make([]float32, n)
				ref.GemmRowF32(want, a[(z*m+i)*lda:][:k], b[z*k*ldb:], ldb, false)
				ktest.SameBits(t, fmt.Sprintf("product %d, row %d", z, i), row[:n], want)
				ktest.SameBits(t, "beyond the row", row[n:ldd], []float32{untouched, untouched})
			}
		}
		w := PackF32T(b, k, n, ldb)
		before := slices.Clone(dst)
		LinearF32(nil, dst, ldd, a, lda, m, w, Epilogue{Bias: bias, Act: ActReLU, Residual: dst, LDR: ldd})
		for i := range m {
			want := make([]float32, n)
			ref.GemmRowF32(want, a[i*lda:][:k], b, ldb, false)
			for j := range want {
				want[j] = max(want[j]+bias[j], 0) + before[i*ldd+j]
			}
			ktest.SameBits(t, fmt.Sprintf("epilogue, row %d", i), dst[i*ldd:][:n], want)
		}
	})
}

// TestMatMulF32Rows: every number of rows has its tiles, also where A's stride
// puts its rows into one set of the cache.
func TestMatMulF32Rows(t *testing.T) {
	const most, n, k = 40, 83, 9
	r := ktest.Rand(4)
	a, b := make([]float32, most*1024), make([]float32, k*n)
	ktest.Fill(r, a)
	ktest.Fill(r, b)
	for _, lda := range []int{k, 1024} {
		want := refProduct(a, lda, b, most, n, k)
		eachF32(t, func(t *testing.T) {
			w := PackF32T(b, k, n, n)
			for m := 1; m <= most; m++ {
				got := ktest.Guard[float32](t, m*n, ktest.Tail)
				MatMulF32(nil, got, n, a, lda, b, n, false, m, n, k, 1, 0, 0, 0)
				ktest.SameBits(t, fmt.Sprintf("matmul, %d rows, stride %d", m, lda), got, want[:m*n])
				clear(got)
				LinearF32(nil, got, n, a, lda, m, w, Epilogue{})
				ktest.SameBits(t, fmt.Sprintf("linear, %d rows, stride %d", m, lda), got, want[:m*n])
			}
		})
	}
}

// TestPackRowsF32: stacked weights are one product, wherever they begin.
func TestPackRowsF32(t *testing.T) {
	r := ktest.Rand(3)
	for _, ns := range [][]int{{16, 16, 16}, {5, 40, 1, 30}, {70}, {0, 3, 0}, {768 / 12, 100, 60}} {
		const k = 50
		var ws [][]float32
		var all []float32
		for _, n := range ns {
			w := make([]float32, n*k)
			ktest.Fill(r, w)
			ws, all = append(ws, w), append(all, w...)
		}
		total := len(all) / k
		eachF32(t, func(t *testing.T) {
			want := make([]float32, (total+15)/16*16*k)
			for i := range total {
				for p := range k {
					want[i/16*16*k+p*16+i%16] = all[i*k+p]
				}
			}
			ktest.SameBits(t, fmt.Sprint("stacked ", ns), PackRowsF32(ws, ns, k).data, want)
			ktest.SameBits(t, fmt.Sprint("one ", ns), PackF32(all, total, k, k).data, want)
			ktest.SameBits(t, fmt.Sprint("transposed ", ns), PackF32T(transposed(all, total, k), k, total, total).data, want)
		})
	}
}

// TestGemmF32Allocs: a steady state allocates nothing.
func TestGemmF32Allocs(t *testing.T) {
	if ktest.Race {
		t.Skip("under the race detector, pools drop some of what is put into them")
	}
	m, n, k := 40, 70, 2048
	a, b, d := make([]float32, m*k*2), make([]float32, n*k), make([]float32, m*n*2)
	w := PackF32(b, n, k, k)
	conv := PackConvF32(b[:32*32*9], 32, 32, 3, 3, 1)
	eachF32(t, func(t *testing.T) {
		team := par.Enter(2)
		defer team.Leave()
		for name, f := range map[string]func(){
			"linear": func() { LinearF32(team, d, n, a, k, 2, w, Epilogue{Bias: b[:n], Act: ActReLU}) },
			"matmul": func() { MatMulF32(team, d, n, a, k, b, k, true, 9, n, k, 1, 0, 0, 0) },
			"conv":   func() { ConvF32(team, d, a, 9, 9, conv, Window{1, 1, 0, 1, 0, 1, 1, 1}, Epilogue{}) },
		} {
			if got := testing.AllocsPerRun(20, f); got >= 1 {
				t.Errorf("%s: %v allocations a call", name, got)
			}
		}
	})
}

// FuzzGemmF32 holds every row against ref and float64 on random shapes,
// strides and values.
func FuzzGemmF32(f *testing.F) {
	f.Add(uint64(1), uint16(7), uint16(33), uint16(20), uint8(0), uint8(0))
	f.Add(uint64(2), uint16(13), uint16(16), uint16(1024), uint8(1), uint8(3))
	f.Add(uint64(3), uint16(200), uint16(5), uint16(3), uint8(9), uint8(2))
	f.Fuzz(func(t *testing.T, seed uint64, mm, nn, kk uint16, pad, mode uint8) {
		r := ktest.Rand(seed)
		m, n, k := int(mm)%300+1, int(nn)%300+1, int(kk)%2100
		if m*n*k > 1<<21 {
			return
		}
		lda, ldd := k+int(pad)%20, n+int(pad)%5
		a, b := make([]float32, m*lda), make([]float32, k*n)
		ktest.Fill(r, a)
		ktest.Fill(r, b)
		var f64, near []float64
		if mode&1 == 0 {
			f64, near = ktest.Gemm(a, lda, b, n, 1, m, n, k)
		} else {
			ktest.Sprinkle(r, a, 30)
			ktest.Sprinkle(r, b, 30)
		}
		want := refProduct(a, lda, b, m, n, k)
		bT := transposed(b, k, n)
		for _, isa := range isasF32()[:len(isasF32())-1] {
			install(isa)
			dst := ktest.Guard[float32](t, (m-1)*ldd+n, ktest.Tail)
			ga := ktest.GuardCopy(t, a[:max(0, (m-1)*lda+k)], ktest.Edges[mode>>1&1])
			switch mode >> 2 % 3 {
			case 0:
				LinearF32(nil, dst, ldd, ga, lda, m, PackF32(bT, n, k, k), Epilogue{})
			case 1:
				MatMulF32(nil, dst, ldd, ga, lda, ktest.GuardCopy(t, b, ktest.Tail), n, false, m, n, k, 1, 0, 0, 0)
			case 2:
				MatMulF32(nil, dst, ldd, ga, lda, ktest.GuardCopy(t, bT, ktest.Tail), k, true, m, n, k, 1, 0, 0, 0)
			}
			for i := range m {
				if !ktest.SameBits(t, fmt.Sprintf("%s, row %d", isa, i), dst[i*ldd:][:n], want[i*n:][:n]) {
					break
				}
				if f64 != nil {
					ktest.Near(t, isa, dst[i*ldd:][:n], f64[i*n:][:n], near[i*n:][:n])
				}
			}
		}
		install(chosen.isa)
	})
}

// gemmShapes are BERT-base's, small and large, and MiniLM's.
var gemmShapes = [][3]int{
	{1, 768, 768}, {8, 768, 768}, {16, 768, 768}, {16, 3072, 768}, {16, 768, 3072}, {128, 384, 384},
	{128, 768, 768}, {128, 2304, 768}, {128, 3072, 768}, {128, 768, 3072}, {512, 768, 768}, {1024, 1024, 1024},
}

func benchGemm(b *testing.B, run func(dst, a []float32, lda, m int, weight []float32, w *Matrix)) {
	for _, isa := range isasF32()[:max(1, len(isasF32())-1)] {
		for _, s := range gemmShapes {
			m, n, k := s[0], s[1], s[2]
			b.Run(fmt.Sprintf("isa=%s/m=%d/n=%d/k=%d", isa, m, n, k), func(b *testing.B) {
				Use(b, isa)
				r := ktest.Rand(1)
				a, w, dst := make([]float32, m*k), make([]float32, n*k), make([]float32, m*n)
				ktest.Fill(r, a)
				ktest.Fill(r, w)
				packed := PackF32(w, n, k, k)
				for b.Loop() {
					run(dst, a, k, m, w, packed)
				}
				b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}

func BenchmarkGemmF32(b *testing.B) {
	benchGemm(b, func(dst, a []float32, lda, m int, _ []float32, w *Matrix) {
		LinearF32(nil, dst, w.n, a, lda, m, w, Epilogue{})
	})
}

func BenchmarkMatMulF32(b *testing.B) {
	benchGemm(b, func(dst, a []float32, lda, m int, weight []float32, w *Matrix) {
		MatMulF32(nil, dst, w.n, a, lda, weight, w.n, false, m, w.n, w.k, 1, 0, 0, 0)
	})
}

func BenchmarkPackF32(b *testing.B) {
	for _, isa := range isasF32() {
		b.Run("isa="+isa+"/n=3072/k=768", func(b *testing.B) {
			Use(b, isa)
			w := make([]float32, 3072*768)
			b.SetBytes(4 * 3072 * 768)
			for b.Loop() {
				PackF32(w, 3072, 768, 768)
			}
		})
	}
}
