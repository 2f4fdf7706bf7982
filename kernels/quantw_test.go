package kernels

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// fixedPoint states the numbers that ref.SplitF32 makes of a block.
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

// blockSum states what a block adds up to: the digits of n by the weights q.
func blockSum(n []int64, unit float64, q func(p int) int64) float32 {
	var s [3]int64
	for p, v := range n {
		low := int64(int8(v))
		mid := int64(int8((v - low) >> 8))
		for d, digit := range []int64{low, mid, (v - low - mid<<8) >> 16} {
			s[d] += digit * q(p)
		}
	}
	t := ref.FMA32(float32(s[2]), 65536, ref.FMA32(float32(s[1]), 256, float32(s[0])))
	return t * float32(unit)
}

// refWeightOnly states LinearQ of W8 and W4, with a bias.
func refWeightOnly(x []float32, m int, w *QMatrix, bias []float32) []float32 {
	dst := make([]float32, 0, m*w.n)
	for i := range m {
		row := x[i*w.k:][:w.k]
		// The blocks of W4 are the same for all columns.
		blocks, units := map[int][]int64{}, map[int]float64{}
		for j := range w.n {
			c := bias[j]
			for lo := 0; lo < w.k; lo += w.group {
				hi := min(lo+w.group, w.k)
				scale := w.scale[(j/panelWidth*w.groups()+lo/w.group)*panelWidth+j%panelWidth]
				if w.scheme == W8 {
					s := float32(0)
					for p := lo; p < hi; p++ {
						s = ref.FMA32(row[p], float32(w.at(j, p)), s)
					}
					c = ref.FMA32(s, scale, c)
					continue
				}
				for at := lo; at < hi; at += 32 {
					if blocks[at] == nil {
						blocks[at], units[at] = fixedPoint(row[at:min(at+32, hi)])
					}
					s := blockSum(blocks[at], units[at], func(p int) int64 { return int64(w.at(j, at+p)) })
					c = ref.FMA32(s, scale, c)
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
		for k := 1; k <= 40; k++ {
			sizes = append(sizes, [3]int{m, 4*m + k, k})
		}
		for n := 1; n <= 140; n += 1 + m/2 {
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

// TestLinearW4Accuracy: the product by a weight of 4 bits is closer to the exact
// one than that of LinearF32, and about as close if the elements of a block
// range over many powers of ten (the odd rows).
func TestLinearW4Accuracy(t *testing.T) {
	const m, n, k = 4, 64, 1536
	w := randomQ(W4, 1, n, k, 64)
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

// TestSplitF32 holds the split of rows into digits against its statement.
func TestSplitF32(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		for k := 1; k <= 150; k++ {
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
				w := newQMatrix(W4, 1, k, group)
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
						var sum [3]int32
						for p := range (len(n) + 7) / 8 * 8 {
							got, want := int64(0), int64(0)
							for d := range 3 {
								i := (at+p)/8*32 + p/4%2*16 + d*4 + p%4
								digit := int8(g.store[i/4] >> (i % 4 * 8))
								sum[d] -= 8 * int32(digit)
								got += int64(digit) << (8 * d)
							}
							if p < len(n) {
								want = n[p]
							}
							if got != want {
								t.Fatalf("%d elements in groups of %d: element %d is %d, want %d", k, group, at+p, got, want)
							}
						}
						if got := [3]int32(block[:3]); got != sum {
							t.Fatalf("%d elements in groups of %d: the sums at %d are %d, want %d", k, group, at, got, sum)
						}
					}
				}
			}
		}
	})
}
