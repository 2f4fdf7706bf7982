package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// igemmTwin is a row that stands in for one that few machines can run.
type igemmTwin struct {
	isa string
	row igemmRow
}

var igemmTwins = map[string]igemmTwin{}

// eachIgemm is eachISA and the twins.
func eachIgemm(t *testing.T, f func(t *testing.T)) {
	eachISA(t, f)
	for name, twin := range igemmTwins {
		t.Run(name, func(t *testing.T) {
			Use(t, twin.isa)
			igemm.active = twin.row
			f(t)
		})
	}
}

// bytesIn fills q with bytes from lo to hi, the ends often.
func bytesIn(seed uint64, n, lo, hi int) []int8 {
	r := ktest.Rand(seed)
	q := make([]int8, n)
	for i := range q {
		switch r.IntN(4) {
		case 0:
			q[i] = int8(lo)
		case 1:
			q[i] = int8(hi)
		default:
			q[i] = int8(lo + r.IntN(hi-lo+1))
		}
	}
	return q
}

// randomQ is a packed weight of random bytes, -128 among them.
func randomQ(s Scheme, seed uint64, n, k, group int) *QMatrix {
	lo, hi := -128, 127
	if s == W4 {
		lo, hi = -8, 7
	}
	return randomBetween(s, seed, n, k, group, lo, hi)
}

func randomBetween(s Scheme, seed uint64, n, k, group, lo, hi int) *QMatrix {
	groups := 1
	if s != W8A8 {
		groups = (k + group - 1) / max(1, group)
		if group == 0 {
			groups = 1
		}
	}
	scale := make([]float32, n*max(1, groups))
	r := ktest.Rand(seed + 1)
	for i := range scale {
		scale[i] = 0.001 + r.Float32()*0.01
	}
	return PackQuantized(s, []Quantized{{Q: bytesIn(seed, n*k, lo, hi), Scale: scale, N: n}}, k, group)
}

// refLinearQ states LinearQ of W8A8 without an epilogue.
func refLinearQ(a []float32, m int, w *QMatrix) []float32 {
	dst, q := make([]float32, m*w.n), make([]uint8, w.k)
	for i := range m {
		scale, zero := ref.QuantizeU8(q, a[i*w.k:][:w.k])
		for j := range w.n {
			sum := int64(0)
			for p, x := range q {
				sum += (int64(x) - int64(zero)) * int64(w.at(j, p))
			}
			if sum != int64(int32(sum)) {
				panic("the sum leaves an int32")
			}
			dst[i*w.n+j] = ref.ScaleS8(int32(sum), scale, w.scale[j], 0)
		}
	}
	return dst
}

func igemmSizes() [][3]int {
	sizes := [][3]int{{1, 1, 0}, {1, 1, 1}, {3, 33, 0}, {13, 40, 390}, {100, 17, 33}, {2, 33, 5000}, {9, 65, 512}, {26, 31, 1024}}
	for m := 1; m <= 26; m++ {
		sizes = append(sizes, [3]int{m, 16 + m, 3 + m}, [3]int{m, 70, 4 * m})
	}
	for n := 1; n <= 66; n++ {
		sizes = append(sizes, [3]int{n%5 + 1, n, n%9 + 1})
	}
	for k := 1; k <= 67; k++ {
		sizes = append(sizes, [3]int{3, 20, k})
	}
	return sizes
}

// TestLinearW8A8 holds every row against exact sums, between forbidden pages.
func TestLinearW8A8(t *testing.T) {
	type product struct {
		m    int
		a    []float32
		w    *QMatrix
		want []float32
	}
	var cases []product
	for i, s := range igemmSizes() {
		a := make([]float32, s[0]*s[2])
		ktest.Fill(ktest.Rand(uint64(i)), a)
		if i%4 == 0 {
			ktest.Sprinkle(ktest.Rand(uint64(i)), a, 200)
		}
		for _, lo := range []int{-128, -64} { // the latter are narrow
			w := randomBetween(W8A8, uint64(i), s[1], s[2], 0, lo, -lo-1)
			cases = append(cases, product{s[0], a, w, refLinearQ(a, s[0], w)})
		}
	}
	eachIgemm(t, func(t *testing.T) {
		for i, c := range cases {
			t.Run(fmt.Sprintf("%dx%dx%d narrow=%v", c.m, c.w.n, c.w.k, c.w.narrow), func(t *testing.T) {
				edge := ktest.Edges[i%2]
				a, dst := ktest.GuardCopy(t, c.a, edge), ktest.Guard[float32](t, c.m*c.w.n, edge)
				w := *c.w
				w.data, w.scale, w.sums = ktest.GuardCopy(t, w.data, edge), ktest.GuardCopy(t, w.scale, edge), ktest.GuardCopy(t, w.sums, edge)
				LinearQ(nil, dst, w.n, a, w.k, c.m, &w, Epilogue{})
				ktest.SameBits(t, "LinearQ", dst, c.want)
			})
		}
	})
}

// TestExtremesS8: the largest sums of 65,536 products, which saturate nowhere.
func TestExtremesS8(t *testing.T) {
	const k, n, m = MaxQuantK, 17, 3
	eachIgemm(t, func(t *testing.T) {
		for at := range 4 {
			sign, weight := float32(at%2*2-1), []int8{-128, -64}[at/2] // the latter are narrow
			a, q := make([]float32, m*k), make([]int8, n*k)
			for i := range a {
				a[i] = sign
			}
			for i := range q {
				q[i] = weight
			}
			scale := make([]float32, n)
			for i := range scale {
				scale[i] = 1
			}
			w := PackQuantized(W8A8, []Quantized{{Q: q, Scale: scale, N: n}}, k, 0)
			dst := make([]float32, m*n)
			LinearQ(nil, dst, n, a, k, m, w, Epilogue{})
			unit := float32(1) / 255
			want := float32(int32(sign)*255*int32(weight)*k) * unit
			for i, v := range dst {
				if v != want {
					t.Fatalf("element %d is %v, want %v", i, v, want)
				}
			}
		}
	})
}

// TestMatMulU8S8: unsigned bytes with all their 8 bits.
func TestMatMulU8S8(t *testing.T) {
	eachIgemm(t, func(t *testing.T) {
		for i, s := range igemmSizes() {
			m, n, k := s[0], s[1], s[2]
			lo := []int{-128, -64}[i%2]
			w := randomBetween(W8A8, uint64(i), n, k, 0, lo, -lo-1)
			a := make([]uint8, m*k)
			for p, v := range bytesIn(uint64(i)+99, m*k, -128, 127) {
				a[p] = uint8(v)
			}
			a = ktest.GuardCopy(t, a, ktest.Edges[i%2])
			dst := ktest.Guard[int32](t, m*n, ktest.Edges[i%2])
			MatMulU8S8(nil, dst, n, a, k, m, w)
			for at, got := range dst {
				want := int32(0)
				for p := range k {
					want += int32(a[at/n*k+p]) * int32(w.at(at%n, p))
				}
				if got != want {
					t.Fatalf("%dx%dx%d: element %d is %d, want %d", m, n, k, at, got, want)
				}
			}
		}
	})
}

// TestLinearQSplits: any number of threads, any batch and an epilogue give the
// same bits.
func TestLinearQSplits(t *testing.T) {
	const m, n, k = 70, 200, 96
	for _, s := range []Scheme{W8A8, W8, W4} {
		t.Run(s.String(), func(t *testing.T) {
			a, bias, residual := make([]float32, m*k), make([]float32, n), make([]float32, m*n)
			r := ktest.Rand(3)
			ktest.Fill(r, a)
			ktest.Fill(r, bias)
			ktest.Fill(r, residual)
			group := 32
			if s == W8 {
				group = 0
			}
			w := randomQ(s, 5, n, k, group)
			var want []float32
			eachIgemm(t, func(t *testing.T) {
				for _, threads := range []int{1, 2, 3, 8} {
					team := par.Enter(threads)
					dst := make([]float32, m*n)
					LinearQ(team, dst, n, a, k, m, w, Epilogue{Bias: bias, Act: ActGELU, Residual: residual, LDR: n})
					team.Leave()
					if want == nil {
						want = dst
					}
					ktest.SameBits(t, fmt.Sprint(threads, " threads"), dst, want)
				}
				for i := range m { // each row alone, and pairs
					h := min(1+i%2, m-i)
					dst := make([]float32, h*n)
					LinearQ(nil, dst, n, a[i*k:], k, h, w, Epilogue{Bias: bias, Act: ActGELU, Residual: residual[i*n:], LDR: n})
					ktest.SameBits(t, fmt.Sprint("row ", i), dst, want[i*n:][:h*n])
				}
			})
		})
	}
}

// TestQuantizeRows holds the quantization of activations against ref.
func TestQuantizeRows(t *testing.T) {
	eachIgemm(t, func(t *testing.T) {
		for cols := 1; cols <= 100; cols++ {
			const rows = 3
			x := make([]float32, rows*cols)
			ktest.Fill(ktest.Rand(uint64(cols)), x)
			x[0] = []float32{0, 0x1p-100, 0x1p-101, 3e38, -1e-30}[cols%5]
			if cols%5 < 3 {
				clear(x[1:cols])
			}
			if cols%7 == 0 {
				x[cols] = float32(math.NaN())
				x[2*cols+cols/2] = float32(math.Inf(-1))
			}
			if cols > 4 { // ties
				copy(x[1:], []float32{127, 0.5, 1.5, -2.5})
			}
			x = ktest.GuardCopy(t, x, ktest.Edges[cols%2])
			g := &igemmTask{}
			g.linear(x, cols, rows, &QMatrix{n: 1, k: cols, narrow: cols%3 == 0})
			g.quantize(nil)
			q := make([]uint8, cols)
			for i := range rows {
				scale, zero := ref.QuantizeU8(q, x[i*cols:][:cols])
				if !ktest.Same(scale, g.scale[i]) || zero != g.zero[i] {
					t.Fatalf("%d columns, row %d: scale %v zero %d, want %v %d", cols, i, g.scale[i], g.zero[i], scale, zero)
				}
				if scale != scale {
					continue
				}
				for p, want := range q {
					at := i * g.lda
					var got int
					switch {
					case g.row.bytes == 2:
						at += p/4*8 + []int{0, 4, 2, 6}[p%4]
						if ISA() == ISANEON { // in order
							at = i*g.lda + 2*p
						}
						got = int(int16(uint16(g.a[at])|uint16(g.a[at+1])<<8)) + int(zero)
					default:
						got = int(g.a[at+p])
					}
					if got != int(want) {
						t.Fatalf("%d columns, row %d, column %d: %d, want %d", cols, i, p, got, want)
					}
				}
			}
		}
	})
}

// TestNarrow: the weights of which two products fit in 16 bits.
func TestNarrow(t *testing.T) {
	for _, c := range []struct {
		q    []int8
		want bool
	}{
		{[]int8{64, 64}, true}, {[]int8{-64, -64, 1}, true}, {[]int8{65, 64}, false}, {[]int8{-65, -64}, false}, {[]int8{127, 1}, true},
		{[]int8{127, 2}, false}, {[]int8{-128, 0}, true}, {[]int8{-128, -1}, false}, {[]int8{-128, 127}, true}, {[]int8{1, 64, 65}, true},
	} {
		w := PackQuantized(W8A8, []Quantized{{Q: c.q, Scale: []float32{1}, N: 1}}, len(c.q), 0)
		if w.narrow != c.want {
			t.Errorf("%v: narrow is %v", c.q, w.narrow)
		}
		a, dst := make([]uint8, len(c.q)), []int32{0}
		sum := int32(0)
		for i, v := range c.q {
			a[i] = 255
			sum += 255 * int32(v)
		}
		eachISA(t, func(t *testing.T) {
			if MatMulU8S8(nil, dst, 1, a, len(a), 1, w); dst[0] != sum {
				t.Errorf("%v: %d, want %d", c.q, dst[0], sum)
			}
		})
	}
}

func TestQuantizeS8(t *testing.T) {
	x := []float32{127, 126.5, 125.5, -0.5, 0.5, 1.5, -127}
	q := make([]int8, len(x))
	if s := ref.QuantizeS8(q, x); s != 1 {
		t.Errorf("scale %v, want 1", s)
	}
	for i, want := range []int8{127, 126, 126, 0, 0, 2, -127} {
		if q[i] != want {
			t.Errorf("%v gives %d, want %d", x[i], q[i], want)
		}
	}
}

// TestQMatrixPacking: what is stored comes back, from rows, columns and bytes.
func TestQMatrixPacking(t *testing.T) {
	const n, k = 37, 64
	w := make([]float32, n*k)
	ktest.Fill(ktest.Rand(1), w)
	for _, s := range []Scheme{W8A8, W8, W4} {
		one := QuantizeF32(s, [][]float32{w}, []int{n}, k, 32, false)
		two := QuantizeF32(s, [][]float32{w[:20*k], w[20*k:]}, []int{20, n - 20}, k, 32, false)
		wT := transposed(w, n, k)
		three := QuantizeF32(s, [][]float32{wT}, []int{n}, k, 32, true)
		for i := range one.data {
			if one.data[i] != two.data[i] || one.data[i] != three.data[i] {
				t.Fatalf("%v: byte %d: %d, %d, %d", s, i, one.data[i], two.data[i], three.data[i])
			}
		}
		bound := map[Scheme]float64{W8A8: 0.02, W8: 0.02, W4: 0.3}[s]
		for i, v := range one.Dequantize() {
			if d := math.Abs(float64(v - w[i])); d > bound {
				t.Fatalf("%v: element %d is %v, want %v", s, i, v, w[i])
			}
		}
	}
}

// TestQuantizeGroups: a group of zeros has the scale 1, and the mean squares of
// the inputs make the error of the product smaller.
func TestQuantizeGroups(t *testing.T) {
	const n, k, group = 5, 96, 32
	w, second := make([]float32, n*k), make([]float32, k)
	ktest.Fill(ktest.Rand(1), w)
	clear(w[:group])
	for p := range second {
		second[p] = 0.01
		if p%5 == 0 {
			second[p] = 10
		}
	}
	loss := func(q Quantized) (sum float64) {
		for i, v := range w {
			d := float64(v) - float64(q.Q[i])*float64(q.Scale[i/group])
			sum += d * d * float64(second[i%k])
		}
		return sum
	}
	for _, bits := range []int{8, 4} {
		plain, tuned := QuantizeGroups(w, n, k, group, bits, nil), QuantizeGroups(w, n, k, group, bits, second)
		if plain.Scale[0] != 1 || tuned.Scale[0] != 1 {
			t.Errorf("scales of zeros: %v, %v", plain.Scale[0], tuned.Scale[0])
		}
		if a, b := loss(tuned), loss(plain); a >= b {
			t.Errorf("%d bits: loss %g tuned, %g plain", bits, a, b)
		}
		for i, q := range tuned.Q {
			if bits == 4 && (q < -8 || q > 7) {
				t.Fatalf("element %d is %d", i, q)
			}
		}
	}
}

func TestLinearQAllocs(t *testing.T) {
	const m, n, k = 9, 100, 64
	a, dst := make([]float32, m*k), make([]float32, m*n)
	for _, s := range []Scheme{W8A8, W8, W4} {
		w := randomQ(s, 1, n, k, 32)
		if got := testing.AllocsPerRun(10, func() { LinearQ(nil, dst, n, a, k, m, w, Epilogue{}) }); got > 0 {
			t.Errorf("%v: %v allocations", s, got)
		}
	}
}

// FuzzLinearW8A8 holds every row against exact sums, and the bytes of MatMulU8S8
// too, on random shapes and strides.
func FuzzLinearW8A8(f *testing.F) {
	f.Add(uint64(1), uint8(13), uint8(40), uint16(390), uint8(0), uint8(0))
	f.Add(uint64(2), uint8(1), uint8(17), uint16(1), uint8(3), uint8(9))
	f.Add(uint64(3), uint8(30), uint8(70), uint16(129), uint8(1), uint8(5))
	f.Fuzz(func(t *testing.T, seed uint64, rows, cols uint8, depth uint16, padA, padD uint8) {
		r := ktest.Rand(seed)
		m, n, k := int(rows)%50+1, int(cols)%100+1, int(depth)%700
		lda, ldd := k+int(padA)%20, n+int(padD)%20
		lo := []int{-128, -64}[seed%2]
		w := randomBetween(W8A8, seed, n, k, 0, lo, -lo-1)
		a, rowsOfA, bytes := make([]float32, (m-1)*lda+k), make([]float32, m*k), make([]uint8, (m-1)*lda+k)
		ktest.Fill(r, a)
		ktest.Sprinkle(r, a, 500)
		for i := range m {
			copy(rowsOfA[i*k:][:k], a[i*lda:])
		}
		for i := range bytes {
			bytes[i] = uint8(r.IntN(256))
		}
		want := refLinearQ(rowsOfA, m, w)
		defer install(chosen.isa)
		for _, isa := range ISAs() {
			install(isa)
			edge := ktest.Edges[r.IntN(2)]
			dst, sums := ktest.Guard[float32](t, (m-1)*ldd+n, edge), ktest.Guard[int32](t, (m-1)*ldd+n, edge)
			LinearQ(nil, dst, ldd, ktest.GuardCopy(t, a, edge), lda, m, w, Epilogue{})
			MatMulU8S8(nil, sums, ldd, ktest.GuardCopy(t, bytes, edge), lda, m, w)
			for i := range m {
				ktest.SameBits(t, fmt.Sprint(isa, " row ", i), dst[i*ldd:][:n], want[i*n:][:n])
				for j := range n {
					sum := int32(0)
					for p := range k {
						sum += int32(bytes[i*lda+p]) * int32(w.at(j, p))
					}
					if sums[i*ldd+j] != sum {
						t.Fatalf("%s: element %d %d of the bytes' product is %d, want %d", isa, i, j, sums[i*ldd+j], sum)
					}
				}
			}
		}
	})
}

func BenchmarkLinearQ(b *testing.B) {
	for _, s := range []Scheme{W8A8, W8, W4} {
		for _, size := range [][3]int{{1, 3072, 768}, {1, 768, 3072}, {16, 768, 768}, {128, 768, 768}, {128, 3072, 768}, {128, 768, 3072}} {
			m, n, k := size[0], size[1], size[2]
			for _, isa := range ISAs() {
				if isa == ISARef {
					continue
				}
				b.Run(fmt.Sprintf("scheme=%v/isa=%s/m=%d/n=%d/k=%d", s, isa, m, n, k), func(b *testing.B) {
					Use(b, isa)
					w := randomQ(s, 1, n, k, 32)
					a, dst := benchData(m*k), make([]float32, m*n)
					for b.Loop() {
						LinearQ(nil, dst, n, a, k, m, w, Epilogue{})
					}
					b.ReportMetric(2*float64(m*n*k)*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GOP/s")
				})
			}
		}
	}
}
