package kernels

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// fixedPoint states the numbers that a block of floats is multiplied as.
func fixedPoint(x []float32) (n []int64, unit float64) {
	n = make([]int64, len(x))
	most := 0.0
	for _, v := range x {
		if v != v || math.IsInf(float64(v), 0) {
			return n, math.NaN()
		}
		most = max(most, math.Abs(float64(v)))
	}
	if most < 0x1p-100 {
		return n, 0
	}
	for unit = 0x1p-140; most/unit > 0x7f7f7f; unit *= 2 {
	}
	for p, v := range x {
		n[p] = int64(math.RoundToEven(float64(v) / unit))
	}
	return n, unit
}

// refWeightOnly states LinearQ of W8 and W4, with a bias.
func refWeightOnly(x []float32, m int, w *QMatrix, bias []float32) []float32 {
	dst := make([]float32, 0, m*w.n)
	for i := range m {
		row := x[i*w.k:][:w.k]
		blocks, units := map[int][]int64{}, map[int]float64{} // for all columns
		for j := range w.n {
			c := bias[j]
			for lo := 0; lo < w.k; lo += w.group {
				scale := w.scale[(j/panelWidth*w.groups()+lo/w.group)*panelWidth+j%panelWidth]
				hi := min(lo+w.group, w.k)
				for at := lo; at < hi; at += 32 {
					if blocks[at] == nil {
						blocks[at], units[at] = fixedPoint(row[at:min(at+32, hi)])
					}
					s := int64(0)
					for p, v := range blocks[at] {
						s += v * int64(w.at(j, at+p))
					}
					c = ref.FMA32(float32(float32(s)*float32(units[at])), scale, c)
				}
			}
			dst = append(dst, c)
		}
	}
	return dst
}

// TestLinearWeightOnly holds every row of the products by weights of 8 and 4
// bits against their statement, to the bit, between forbidden pages.
func TestLinearWeightOnly(t *testing.T) {
	sizes := [][3]int{{1, 1, 0}, {6, 7, 0}, {1, 130, 1024}, {5, 40, 520}, {30, 33, 300}}
	for m := 1; m <= 8; m++ {
		for k := m; k <= 40; k += 3 {
			sizes = append(sizes, [3]int{m, 4*m + k, k})
		}
		for n := m; n <= 140; n += 1 + 2*m {
			sizes = append(sizes, [3]int{m, n, 41 + m})
		}
	}
	for _, s := range []Scheme{W8, W4} {
		t.Run(s.String(), func(t *testing.T) {
			want := map[int][]float32{}
			eachISA(t, func(t *testing.T) {
				for i, size := range sizes {
					m, n, k := size[0], size[1], size[2]
					group := []int{8, 16, 32, 40, 0, 64}[i%6]
					x, bias := make([]float32, m*k), make([]float32, n)
					ktest.Fill(ktest.Rand(uint64(i)), x)
					ktest.Fill(ktest.Rand(uint64(i)+1), bias)
					if i%4 == 0 {
						ktest.Sprinkle(ktest.Rand(uint64(i)), x, 60)
					}
					w := randomQ(s, uint64(i), n, k, group)
					if want[i] == nil {
						want[i] = refWeightOnly(x, m, w, bias)
					}
					edge := ktest.Edges[i%2]
					a, dst := ktest.GuardCopy(t, x, edge), ktest.Guard[float32](t, m*n, edge)
					w.data, w.scale = ktest.GuardCopy(t, w.data, edge), ktest.GuardCopy(t, w.scale, edge)
					LinearQ(nil, dst, n, a, k, m, w, Epilogue{Bias: ktest.GuardCopy(t, bias, edge)})
					if !ktest.SameBits(t, fmt.Sprintf("%dx%dx%d group %d", m, n, k, group), dst, want[i]) {
						return
					}
				}
			})
		})
	}
}

// TestWeightOnlyThreads: few rows by a weight that is worth several threads.
func TestWeightOnlyThreads(t *testing.T) {
	const k = 264
	for _, s := range []Scheme{W8, W4} {
		for _, n := range []int{1000, 1100, 2032} {
			w := randomQ(s, uint64(n), n, k, 64)
			x, bias := make([]float32, 3*k), make([]float32, n)
			ktest.Fill(ktest.Rand(1), x)
			ktest.Fill(ktest.Rand(2), bias)
			want := refWeightOnly(x, 3, w, bias)
			eachISA(t, func(t *testing.T) {
				for m := 1; m <= 3; m++ {
					for _, threads := range []int{1, 2, 3, 8} {
						team := par.Enter(threads)
						dst := make([]float32, m*n)
						LinearQ(team, dst, n, x, k, m, w, Epilogue{Bias: bias})
						team.Leave()
						ktest.SameBits(t, fmt.Sprintf("%v, %d rows of %d, %d threads", s, m, n, threads), dst, want[:m*n])
					}
				}
			})
		}
	}
}

// TestWeightOnlyAccuracy: the product is closer to the exact one than that of
// LinearF32, and about as close if the elements of a block range over many
// powers of ten (the odd rows).
func TestWeightOnlyAccuracy(t *testing.T) {
	for _, s := range []Scheme{W8, W4} {
		t.Run(s.String(), func(t *testing.T) { weightOnlyAccuracy(t, s) })
	}
}

func weightOnlyAccuracy(t *testing.T, s Scheme) {
	const m, n, k = 4, 64, 1536
	w := randomQ(s, 1, n, k, 64)
	b := w.Dequantize()
	x := make([]float32, m*k)
	r := ktest.Rand(2)
	for i := range x {
		x[i] = float32(r.NormFloat64() * math.Exp(3*r.NormFloat64()*float64(i/k%2)))
	}
	got, float := make([]float32, m*n), make([]float32, m*n)
	LinearQ(nil, got, n, x, k, m, w, Epilogue{})
	LinearF32(nil, float, n, x, k, m, PackF32(b, n, k, k), Epilogue{})
	for i := range m {
		var err, errF float64
		for j := range n {
			sum := 0.0
			for p := range k {
				sum += float64(x[i*k+p]) * float64(b[j*k+p])
			}
			err += math.Pow(float64(got[i*n+j])-sum, 2)
			errF += math.Pow(float64(float[i*n+j])-sum, 2)
		}
		t.Logf("row %d: error %.3g, of LinearF32 %.3g", i, math.Sqrt(err/n), math.Sqrt(errF/n))
		if err > errF*float64(1+i%2*3) {
			t.Errorf("row %d: error %g, of LinearF32 %g", i, math.Sqrt(err/n), math.Sqrt(errF/n))
		}
	}
}

// TestSplitRow holds the split of rows against its statement: as it is by ref,
// in digits of 8 or 12 bits by the others.
func TestSplitRow(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for _, s := range []Scheme{W8, W4} {
			splitRows(t, s)
		}
	})
}

func splitRows(t *testing.T, s Scheme) {
	for k := 1; k <= 150; k += 1 + k/50 {
		for _, group := range []int{8, 24, 32, 40, 64, 0} {
			x := make([]float32, k)
			r := ktest.Rand(uint64(k + group))
			for p := range x {
				x[p] = float32(r.NormFloat64()) * float32(math.Pow(10, float64(k%41-20)))
			}
			switch k % 7 {
			case 0:
				x[k/2] = []float32{0x1.fdfdfcp10, 0x1.fdfdfep10, -0x1.fdfdfcp-80, 0x1.fffffep127, 0x1p-100, -0x1.fffffep-101}[k/7%6]
				if k/7%6 >= 4 {
					for p := range x {
						x[p] = min(max(x[p], -0x1p-101), 0x1p-101)
					}
					x[k/2] = []float32{0x1p-100, -0x1.fffffep-101}[k/7%2]
				}
			case 1:
				ktest.Sprinkle(r, x, 40)
			case 2:
				x[k-1] = float32(math.Inf(-1))
			}
			w := newQMatrix(s, 1, k, group)
			g := &weightTask{a: ktest.GuardCopy(t, x, ktest.Edges[k%2]), lda: k, m: 1, w: w}
			g.layout()
			g.store = ktest.Guard[int32](t, g.ld, ktest.Edges[k%2])
			g.splitRow(0)
			for lo := 0; lo < k; lo += w.group {
				for at := lo; at < min(lo+w.group, k); at += 32 {
					n, unit := fixedPoint(x[at:min(at+32, lo+w.group, k)])
					block := g.store[g.sums+4*w.block(at):][:4]
					if got := math.Float32frombits(uint32(block[3])); !ktest.Same(got, float32(unit)) {
						t.Fatalf("%d elements in groups of %d: the unit at %d is %v, want %v", k, group, at, got, unit)
					}
					for p, want := range n {
						if got := stored(g, at+p); got != want {
							t.Fatalf("%v, %d elements in groups of %d: element %d is %d, want %d", s, k, group, at+p, got, want)
						}
					}
				}
			}
		}
	}
}

// stored returns number p of a split row.
func stored(g *weightTask, p int) (n int64) {
	b := unsafe.Slice((*int8)(unsafe.Pointer(&g.store[0])), 4*len(g.store))
	words := unsafe.Slice((*int16)(unsafe.Pointer(&g.store[0])), 2*len(g.store))
	at := p/8*32 + p/4%2*16
	switch {
	case weightRowOf(g.w.scheme).split == nil:
		return int64(g.store[p])
	case g.w.scheme == W8 && strings.HasSuffix(weight8.rows[weight8.at].name, "AVX2"):
		at = at/2 + p%2*2 + p%4/2
		return int64(words[at]) + int64(words[at+4])<<12
	case g.w.scheme == W8 && strings.Contains(weight8.rows[weight8.at].name, "Long"):
		at = at/2 + p%4
		return int64(words[at]) + int64(words[at+4])<<12
	}
	for d := range 3 {
		n += int64(b[at+d*4+p%4]) << (8 * d)
	}
	return n
}
