package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// matrix is an operand [rows, cols] with row stride ld that ends with its last
// element.
type matrix struct {
	x              []float32
	rows, cols, ld int
}

// dense returns the elements without what lies between the rows.
func (m matrix) dense() []float32 {
	var d []float32
	for i := range m.rows {
		d = append(d, m.x[i*m.ld:][:m.cols]...)
	}
	return d
}

// guarded returns a random matrix, some of its elements special if every > 0,
// that ends or begins at a forbidden page.
func guarded(t testing.TB, r *rand.Rand, rows, cols, ld int, edge ktest.Edge, every int) matrix {
	n := 0
	if rows > 0 {
		n = (rows-1)*ld + cols
	}
	m := matrix{ktest.Guard[float32](t, n, edge), rows, cols, ld}
	ktest.Fill(r, m.x)
	if every > 0 {
		ktest.Sprinkle(r, m.x, every)
	}
	return m
}

// eachShape runs f on every instruction set and edge for lengths around the
// registers' and the unrolled loops' widths.
func eachShape(t *testing.T, f func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, cols, ld int)) {
	for _, isa := range isasF32() {
		t.Run(isa, func(t *testing.T) {
			Use(t, isa)
			r := ktest.Rand(7)
			lengths := []int{255, 256, 257, 300, 768}
			for n := range 101 {
				lengths = append(lengths, n)
			}
			for i, cols := range lengths {
				rows := 1 + i%3
				f(t, r, isa, ktest.Edges[i%2], rows, cols, cols+[]int{0, 1, 16}[i%3])
			}
		})
	}
}

// TestActRows compares the activation kernels, with all that they add, with
// ref: strides, aliasing, special values, guard pages.
func TestActRows(t *testing.T) {
	eachShape(t, func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, cols, ld int) {
		if cols == 0 {
			BiasActResidualF32(nil, 0, nil, ActGELU, nil, 0, rows, 0)
			return
		}
		a := Act(cols % int(numActs))
		x := guarded(t, r, rows, cols, ld, edge, 5)
		bias := guarded(t, r, 1, cols, cols, edge, 20)
		with := guarded(t, r, rows, cols, cols+3, edge, 20)
		for mode := range 6 {
			b, w, mul := bias.x, with.x, mode >= 4
			if mode%2 == 0 {
				b = nil
			}
			if mode < 2 {
				w = nil
			}
			dst := guarded(t, r, rows, cols, cols+2, edge, 0)
			biasAct(dst.x, dst.ld, x.x, ld, b, w, with.ld, mul, a, rows, cols)
			var want []float32
			for i := range rows {
				for j, v := range x.x[i*ld:][:cols] {
					if b != nil {
						v += b[j]
					}
					v = actFuncs[a].f(v)
					if w != nil && mul {
						v *= w[i*with.ld+j]
					} else if w != nil {
						v += w[i*with.ld+j]
					}
					want = append(want, v)
				}
			}
			ktest.SameBits(t, fmt.Sprintf("%v mode %d [%d %d]", a, mode, rows, cols), dst.dense(), want)
			if mode == 3 {
				BiasActResidualF32(x.x, ld, b, a, w, with.ld, rows, cols)
				ktest.SameBits(t, fmt.Sprintf("%v in place [%d %d]", a, rows, cols), x.dense(), want)
			}
		}
	})
}

func TestElementwise(t *testing.T) {
	eachShape(t, func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, cols, ld int) {
		x := guarded(t, r, 1, cols, cols, edge, 5).x
		y := guarded(t, r, 1, cols, cols, edge, 5).x
		want := make([]float32, cols)
		compare := func(op string, f func(dst []float32)) {
			dst := ktest.GuardCopy(t, y, edge)
			f(dst)
			ktest.SameBits(t, fmt.Sprintf("%s n=%d", op, cols), dst, want)
		}
		copy(want, y)
		ref.ScaleF32(want, x, 0.3)
		compare("scale", func(dst []float32) { ScaleF32(nil, dst, x, 0.3) })
		copy(want, y)
		ref.AxpyF32(want, x, 0.3)
		compare("axpy", func(dst []float32) { AxpyF32(nil, dst, x, 0.3) })
		ref.ClampF32(want, x, -0.5, 1)
		compare("clamp", func(dst []float32) { ClampF32(nil, dst, x, -0.5, 1) })
		for i := range want {
			want[i] = x[i] + y[i]
		}
		compare("add", func(dst []float32) { AddF32(nil, dst, x, dst) })
		for i := range want {
			want[i] = x[i] * y[i]
		}
		compare("mul", func(dst []float32) { MulF32(nil, dst, x, dst) })
		for i := range want {
			want[i] = ref.SiLU(x[i]) * y[i]
		}
		compare("gated", func(dst []float32) { GatedActF32(nil, dst, x, dst, ActSiLU) })

		if cols == 0 {
			return
		}
		m := guarded(t, r, rows, cols, ld, edge, 7)
		out := guarded(t, r, rows, cols, cols+1, edge, 0)
		AffineF32(nil, out.x, out.ld, m.x, ld, x, y, rows, cols)
		want = nil
		for i := range rows {
			row := make([]float32, cols)
			ref.AffineF32(row, m.x[i*ld:][:cols], x, y)
			want = append(want, row...)
		}
		ktest.SameBits(t, fmt.Sprintf("affine [%d %d]", rows, cols), out.dense(), want)
	})
}

func TestSoftmaxF32(t *testing.T) {
	inf := float32(math.Inf(1))
	eachShape(t, func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, cols, ld int) {
		for _, kind := range []string{"normal", "large", "masked", "special"} {
			every := 0
			if kind == "special" {
				every = 40
			}
			x := guarded(t, r, rows, cols, ld, edge, every)
			for i := range x.x {
				switch kind {
				case "large":
					x.x[i] *= 1e4
				case "masked":
					if r.IntN(2) == 0 {
						x.x[i] = []float32{-1e30, -inf}[r.IntN(2)]
					}
				}
			}
			dst := guarded(t, r, rows, cols, cols, edge, 0)
			SoftmaxF32(nil, dst.x, x.x, rows, cols, ld)
			if cols == 0 {
				continue
			}
			for i := range rows {
				row, want := x.x[i*ld:][:cols], make([]float32, cols)
				ref.SoftmaxF32(want, row)
				label := fmt.Sprintf("%s [%d %d] row %d", kind, rows, cols, i)
				ktest.SameBits(t, label, dst.x[i*cols:][:cols], want)
				if kind != "special" {
					withinULP(t, label, want, softmax64(row), 4)
				}
			}
		}
	})
	for _, isa := range isasF32() {
		Use(t, isa)
		y := make([]float32, 3)
		SoftmaxF32(nil, y, []float32{-inf, -inf, -inf}, 1, 3, 3)
		if y[0] == y[0] {
			t.Errorf("%s: a row of -Inf gives %v, want NaN", isa, y)
		}
	}
}

// withinULP is ktest.WithinULP for values that may be denormal: there e^x and
// the reciprocal of the sum are rounded to few bits.
func withinULP(t *testing.T, label string, got []float32, want []float64, bound float64) {
	t.Helper()
	for i, w := range want {
		if math.Abs(w) < 0x1p-120 {
			continue
		}
		if d := ktest.ULP(got[i], w); d > bound {
			t.Errorf("%s: element %d is %v, want %v: %.2f ULP apart", label, i, got[i], w, d)
			return
		}
	}
}

func softmax64(x []float32) []float64 {
	m, s := math.Inf(-1), 0.0
	for _, v := range x {
		m = max(m, float64(v))
	}
	y := make([]float64, len(x))
	for i, v := range x {
		// The kernel subtracts in float32.
		y[i] = math.Exp(float64(v - float32(m)))
		s += y[i]
	}
	for i := range y {
		y[i] /= s
	}
	return y
}

func TestNorms(t *testing.T) {
	eachShape(t, func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, cols, ld int) {
		for _, kind := range []string{"normal", "offset", "constant", "special"} {
			every := 0
			if kind == "special" {
				every = 50
			}
			x := guarded(t, r, rows, cols, ld, edge, every)
			residual := guarded(t, r, rows, cols, cols+5, edge, every)
			gain, bias := guarded(t, r, 1, cols, cols, edge, 0).x, guarded(t, r, 1, cols, cols, edge, 0).x
			for i := range x.x {
				switch kind {
				case "offset":
					x.x[i] += 1e6
				case "constant":
					x.x[i] = 12345.678
				}
			}
			if cols == 0 {
				LayerNormF32(nil, nil, 0, nil, 0, nil, 0, nil, 0, nil, nil, 1e-5, rows, 0)
				continue
			}
			label := fmt.Sprintf("%s [%d %d]", kind, rows, cols)
			for mode := range 4 {
				var res, sum, b []float32
				if mode > 0 {
					res = residual.x
				}
				if mode > 1 {
					sum = guarded(t, r, rows, cols, ld, edge, 0).x
				}
				if mode != 2 {
					b = bias
				}
				dst := guarded(t, r, rows, cols, cols+1, edge, 0)
				LayerNormF32(nil, dst.x, dst.ld, x.x, ld, res, residual.ld, sum, ld, gain, b, 1e-5, rows, cols)
				for i := range rows {
					row, want, wantSum := x.x[i*ld:][:cols], make([]float32, cols), make([]float32, cols)
					var resRow []float32
					if res != nil {
						resRow = res[i*residual.ld:][:cols]
					}
					ref.LayerNormF32(want, row, resRow, wantSum, gain, b, 1e-5)
					ktest.SameBits(t, fmt.Sprintf("layer norm %s mode %d row %d", label, mode, i), dst.x[i*dst.ld:][:cols], want)
					if sum != nil {
						ktest.SameBits(t, "sum of layer norm "+label, sum[i*ld:][:cols], wantSum)
					}
					if mode == 0 && kind != "special" {
						ktest.Near(t, "layer norm "+label, want, layerNorm64(row, gain, bias, 1e-5), bounds(cols, 2e-5))
					}
				}
			}
			dst := guarded(t, r, rows, cols, cols+1, edge, 0)
			RMSNormF32(nil, dst.x, dst.ld, x.x, ld, gain, 1e-5, rows, cols)
			for i := range rows {
				want := make([]float32, cols)
				ref.RMSNormF32(want, x.x[i*ld:][:cols], gain, 1e-5)
				ktest.SameBits(t, "rms norm "+label, dst.x[i*dst.ld:][:cols], want)
				if kind != "special" {
					ktest.WithinULP(t, "rms norm "+label, want, rmsNorm64(x.x[i*ld:][:cols], gain, float64(float32(1e-5))), 16)
				}
			}
			L2NormF32(nil, dst.x, dst.ld, x.x, ld, 1e-12, rows, cols)
			for i := range rows {
				want := make([]float32, cols)
				ref.L2NormF32(want, x.x[i*ld:][:cols], 1e-12)
				ktest.SameBits(t, "l2 norm "+label, dst.x[i*dst.ld:][:cols], want)
				if kind == "normal" && cols > 0 {
					n := 0.0
					for _, v := range want {
						n += float64(v) * float64(v)
					}
					if math.Abs(n-1) > 1e-6 {
						t.Errorf("l2 norm %s: length² %v", label, n)
					}
				}
			}
		}
	})
}

func bounds(n int, b float64) []float64 {
	list := make([]float64, n)
	for i := range list {
		list[i] = b
	}
	return list
}

func layerNorm64(x, gain, bias []float32, eps float64) []float64 {
	m, v, n := 0.0, 0.0, float64(len(x))
	for _, q := range x {
		m += float64(q) / n
	}
	for _, q := range x {
		v += (float64(q) - m) * (float64(q) - m) / n
	}
	y := make([]float64, len(x))
	for j, q := range x {
		y[j] = (float64(q)-m)/math.Sqrt(v+eps)*float64(gain[j]) + float64(bias[j])
	}
	return y
}

func rmsNorm64(x, gain []float32, eps float64) []float64 {
	s := 0.0
	for _, v := range x {
		s += float64(v) * float64(v) / float64(len(x))
	}
	y := make([]float64, len(x))
	for j, v := range x {
		y[j] = float64(v) / math.Sqrt(s+eps) * float64(gain[j])
	}
	return y
}

// TestGroupNormF32 compares all instruction sets and thread counts with each
// other, and with float64.
func TestGroupNormF32(t *testing.T) {
	for _, c := range []struct{ T, C, groups int }{{1, 1, 1}, {5, 8, 2}, {255, 37, 37}, {257, 40, 4}, {1100, 33, 33}, {300, 64, 1}} {
		r := ktest.Rand(uint64(c.T))
		x, gain, bias := make([]float32, c.T*c.C), make([]float32, c.C), make([]float32, c.C)
		ktest.Fill(r, x)
		ktest.Fill(r, gain)
		ktest.Fill(r, bias)
		for i := range x {
			x[i] = 3*x[i] + 100
		}
		want := groupNorm64(x, c.T, c.C, c.groups, gain, bias, 1e-5)
		var first []float32
		for _, isa := range isasF32() {
			Use(t, isa)
			for _, threads := range []int{1, 2, 3, 8} {
				team := Enter(threads)
				dst := make([]float32, len(x))
				GroupNormF32(team, dst, x, c.T, c.C, c.groups, gain, bias, 1e-5, ActNone)
				team.Leave()
				if first == nil {
					first = dst
					ktest.Near(t, fmt.Sprint(c), dst, want, bounds(len(x), 1e-4))
				}
				ktest.SameBits(t, fmt.Sprintf("%v %s %d threads", c, isa, threads), dst, first)
			}
		}
		GroupNormF32(nil, x, x, c.T, c.C, c.groups, gain, bias, 1e-5, ActGELU)
		for i, v := range first {
			first[i] = ref.GELU(v)
		}
		ktest.SameBits(t, fmt.Sprintf("%v in place with an activation", c), x, first)
	}
}

func groupNorm64(x []float32, T, C, groups int, gain, bias []float32, eps float64) []float64 {
	y, per := make([]float64, len(x)), C/groups
	for g := range groups {
		m, v, n := 0.0, 0.0, float64(T*per)
		each := func(f func(i, c int)) {
			for i := range T {
				for c := g * per; c < (g+1)*per; c++ {
					f(i*C+c, c)
				}
			}
		}
		each(func(i, c int) { m += float64(x[i]) / n })
		each(func(i, c int) { v += (float64(x[i]) - m) * (float64(x[i]) - m) / n })
		each(func(i, c int) { y[i] = (float64(x[i])-m)/math.Sqrt(v+eps)*float64(gain[c]) + float64(bias[c]) })
	}
	return y
}

func TestMeanRowsF32(t *testing.T) {
	eachShape(t, func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, cols, ld int) {
		rows *= 15
		x := guarded(t, r, rows, cols, ld, edge, 0)
		dst := ktest.Guard[float32](t, cols, edge)
		MeanRowsF32(dst, x.x, ld, rows, cols)
		want := make([]float32, cols)
		ref.ColumnSumsF32(want, x.x, ld, rows)
		ref.ScaleF32(want, want, 1/float32(rows))
		ktest.SameBits(t, fmt.Sprintf("mean [%d %d]", rows, cols), dst, want)
		for j := range want {
			mean := 0.0
			for i := range rows {
				mean += float64(x.x[i*ld+j]) / float64(rows)
			}
			if math.Abs(float64(want[j])-mean) > 1e-6 {
				t.Errorf("mean [%d %d]: column %d is %v, want %v", rows, cols, j, want[j], mean)
			}
		}
	})
}

func TestConvert(t *testing.T) {
	for _, isa := range isasF32() {
		Use(t, isa)
		all := make([]uint16, 1<<16)
		for i := range all {
			all[i] = uint16(i)
		}
		f, back := make([]float32, len(all)), make([]uint16, len(all))
		ConvertF16F32(f, all)
		ConvertF32F16(back, f)
		for i, v := range f {
			if !ktest.Same(v, ref.F16(uint16(i))) || v == v && back[i] != uint16(i) || v != v && back[i]&0x7c00 != 0x7c00 {
				t.Fatalf("%s: f16 %#04x is %v and back %#04x, want %v", isa, i, v, back[i], ref.F16(uint16(i)))
			}
		}
		ConvertBF16F32(f, all)
		ConvertF32BF16(back, f)
		for i, v := range f {
			if !ktest.Same(v, ref.BF16(uint16(i))) || v == v && back[i] != uint16(i) || v != v && ref.BF16(back[i]) == ref.BF16(back[i]) {
				t.Fatalf("%s: bf16 %#04x is %v and back %#04x", isa, i, v, back[i])
			}
		}
		const block = 1 << 12
		x, h, b, d := make([]float32, block), make([]uint16, block), make([]uint16, block), make([]float64, block)
		again := make([]float32, block)
		for bits := uint64(0); bits < 1<<32; {
			for i := range x {
				x[i] = math.Float32frombits(uint32(bits))
				bits += 8191
			}
			ConvertF32F16(h, x)
			ConvertF32BF16(b, x)
			ConvertF32F64(d, x)
			ConvertF64F32(again, d)
			for i, v := range x {
				if v == v && (h[i] != ref.ToF16(v) || b[i] != ref.ToBF16(v) || d[i] != float64(v)) || !ktest.Same(again[i], v) {
					t.Fatalf("%s: %v (%x) gives f16 %#04x, bf16 %#04x, f64 %v, want %#04x, %#04x", isa, v, math.Float32bits(v), h[i], b[i], d[i], ref.ToF16(v), ref.ToBF16(v))
				}
				d[i] *= 1 + 0x1.8p-25*float64(i%7)
			}
			ConvertF64F32(again, d)
			for i, v := range d {
				if !ktest.Same(again[i], float32(v)) {
					t.Fatalf("%s: %v to float32 is %v", isa, v, again[i])
				}
			}
		}
		for n := range 70 {
			for _, edge := range ktest.Edges {
				h, x, d := ktest.Guard[uint16](t, n, edge), ktest.Guard[float32](t, n, edge), ktest.Guard[float64](t, n, edge)
				ConvertF16F32(x, h)
				ConvertBF16F32(x, h)
				ConvertF32F16(h, x)
				ConvertF32BF16(h, x)
				ConvertF32F64(d, x)
				ConvertF64F32(x, d)
			}
		}
	}
}

// TestToF16 checks rounding by the definition: the nearest half precision
// number, of two equally near the one with an even last bit.
func TestToF16(t *testing.T) {
	value := func(h uint16) float64 {
		if h == 0x7c00 {
			return 65536
		}
		return float64(ref.F16(h))
	}
	for h := uint16(0); h < 0x7c00; h++ {
		lo, hi := value(h), value(h+1)
		mid := (lo + hi) / 2
		even := h + h&1
		for _, c := range []struct {
			x    float32
			want uint16
		}{
			{float32(mid), even},
			{math.Nextafter32(float32(mid), 0), h},
			{math.Nextafter32(float32(mid), 1e9), h + 1},
		} {
			if got := ref.ToF16(c.x); got != c.want {
				t.Fatalf("ToF16(%v) = %#04x, want %#04x", c.x, got, c.want)
			}
		}
	}
}

func TestPool2D(t *testing.T) {
	r := ktest.Rand(3)
	for _, isa := range isasF32() {
		Use(t, isa)
		for i := range 40 {
			h, w, c, kh, kw := 1+r.IntN(12), 1+r.IntN(12), []int{1, 3, 16, 33}[i%4], 1+r.IntN(3), 1+r.IntN(3)
			win := Window{StrideH: 1 + r.IntN(3), StrideW: 1 + r.IntN(3), DilH: 1 + r.IntN(2), DilW: 1 + r.IntN(2),
				PadT: r.IntN(2), PadL: r.IntN(2), PadB: r.IntN(2), PadR: r.IntN(2)}
			oh, ow := win.Out(h, w, kh, kw)
			if oh <= 0 || ow <= 0 {
				continue
			}
			x := guarded(t, r, h*w, c, c, ktest.Edges[i%2], 50)
			most, mean := ktest.Guard[float32](t, oh*ow*c, ktest.Tail), ktest.Guard[float32](t, oh*ow*c, ktest.Tail)
			countPad := i%3 == 0
			MaxPool2DF32(nil, most, x.x, h, w, c, kh, kw, win)
			AvgPool2DF32(nil, mean, x.x, h, w, c, kh, kw, win, countPad)
			wantMost, wantMean := poolRef(x.x, h, w, c, kh, kw, win, countPad)
			label := fmt.Sprintf("%s %dx%dx%d kernel %dx%d %+v", isa, h, w, c, kh, kw, win)
			ktest.SameBits(t, "max "+label, most, wantMost)
			ktest.SameBits(t, "mean "+label, mean, wantMean)
		}
	}
}

// poolRef goes window by window, as the definition does.
func poolRef(x []float32, h, w, channels, kh, kw int, win Window, countPad bool) (most, mean []float32) {
	oh, ow := win.Out(h, w, kh, kw)
	for oy := range oh {
		for ox := range ow {
			for c := range channels {
				m, s, n := float32(math.Inf(-1)), float32(0), 0
				for ky := range kh {
					for kx := range kw {
						y := oy*win.StrideH - win.PadT + ky*win.DilH
						z := ox*win.StrideW - win.PadL + kx*win.DilW
						if y < 0 || y >= h || z < 0 || z >= w {
							if countPad && y < h+win.PadB && z < w+win.PadR {
								n++
							}
							continue
						}
						v := x[(y*w+z)*channels+c]
						if n++; v > m || v != v {
							m = v
						}
						s += v
					}
				}
				most, mean = append(most, m), append(mean, s*(1/float32(n)))
			}
		}
	}
	return most, mean
}

func TestTransposeF32(t *testing.T) {
	r := ktest.Rand(4)
	for _, isa := range isasF32() {
		Use(t, isa)
		for rows := range 35 {
			for _, cols := range []int{0, 1, 7, 8, 9, 16, 31, 40, 2057} {
				x := ktest.Guard[float32](t, 2*rows*cols, ktest.Edges[rows%2])
				ktest.Fill(r, x)
				dst := ktest.Guard[float32](t, len(x), ktest.Edges[cols%2])
				TransposeF32(nil, dst, x, 2, rows, cols)
				for i := range x {
					m, at := i/(rows*cols), i%(rows*cols)
					if got := dst[m*rows*cols+at%cols*rows+at/cols]; got != x[i] {
						t.Fatalf("%s [%d %d]: element %d", isa, rows, cols, i)
					}
				}
			}
		}
	}
}

func TestTopKF32(t *testing.T) {
	eachShape(t, func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, cols, ld int) {
		if cols == 0 {
			return
		}
		x := guarded(t, r, rows, cols, ld, edge, 9)
		for i := range x.x {
			if i%3 == 0 {
				x.x[i] = float32(r.IntN(5)) // ties
			}
		}
		k := 1 + r.IntN(min(cols, 12))
		values, indices := make([]float32, rows*k), make([]int32, rows*k)
		TopKF32(nil, values, indices, x.x, rows, cols, ld, k)
		first := make([]int32, rows)
		ArgMaxF32(nil, first, x.x, rows, cols, ld)
		for i := range rows {
			row, taken := x.x[i*ld:][:cols], map[int]bool{}
			for j := range k {
				best := -1
				for c, v := range row {
					if !taken[c] && (best < 0 || above(v, row[best])) {
						best = c
					}
				}
				taken[best] = true
				if got := int(indices[i*k+j]); got != best || !ktest.Same(values[i*k+j], row[best]) {
					t.Fatalf("[%d %d] k=%d row %d: %d is %d (%v), want %d (%v)", rows, cols, k, i, j, got, values[i*k+j], best, row[best])
				}
			}
			if first[i] != indices[i*k] {
				t.Fatalf("arg max %d, top %d", first[i], indices[i*k])
			}
		}
	})
}

func TestGathers(t *testing.T) {
	r := ktest.Rand(5)
	table := make([]float32, 10*37)
	ktest.Fill(r, table)
	ids := []int32{3, 0, 9, 3}
	dst := make([]float32, 4*37)
	EmbeddingF32(nil, dst, 37, ids, table, false)
	EmbeddingF32(nil, dst, 37, ids, table, true)
	for i, id := range ids {
		for j := range 37 {
			if dst[i*37+j] != 2*table[int(id)*37+j] {
				t.Fatalf("embedding %d, %d", i, j)
			}
		}
	}
	GatherF32(nil, dst, 37, table, 37, []int32{2, -1}, 37)
	for j := range 37 {
		if dst[j] != table[2*37+j] || dst[37+j] != 0 {
			t.Fatalf("gather %d", j)
		}
	}
	// Two pictures of 2 channels, 5 by 7, in patches of 2 by 3.
	pictures := make([]float32, 2*2*5*7)
	ktest.Fill(r, pictures)
	patches := make([]float32, 2*2*2*12)
	PatchesF32(nil, patches, 12, pictures, 2, 2, 5, 7, 2, 3)
	for i := range 2 {
		for y := range 2 {
			for x := range 2 {
				for c := range 2 {
					for q := range 6 {
						got := patches[((i*2+y)*2+x)*12+c*6+q]
						if want := pictures[((i*2+c)*5+y*2+q/3)*7+x*3+q%3]; got != want {
							t.Fatalf("patch %d %d %d: %v, want %v", i, y, x, got, want)
						}
					}
				}
			}
		}
	}
}

// TestThreads: what a team computes is what one thread computes, and a pass
// allocates nothing once it is warm.
func TestThreads(t *testing.T) {
	const rows, cols = 200, 333
	r := ktest.Rand(6)
	x, y, gain := make([]float32, rows*cols), make([]float32, rows*cols), make([]float32, cols)
	ktest.Fill(r, x)
	ktest.Fill(r, y)
	ktest.Fill(r, gain)
	dst, ids, best := make([]float32, rows*cols), make([]int32, rows), make([]int32, rows)
	ops := map[string]func(t *Team){
		"gelu":    func(t *Team) { ActF32(t, dst, x, ActGELU) },
		"add":     func(t *Team) { AddF32(t, dst, x, y) },
		"softmax": func(t *Team) { SoftmaxF32(t, dst, x, rows, cols, cols) },
		"layer norm": func(t *Team) {
			LayerNormF32(t, dst, cols, x, cols, y, cols, nil, 0, gain, gain, 1e-5, rows, cols)
		},
		"rms norm":   func(t *Team) { RMSNormF32(t, dst, cols, x, cols, gain, 1e-5, rows, cols) },
		"group norm": func(t *Team) { GroupNormF32(t, dst, x, rows, cols, cols, gain, gain, 1e-5, ActGELU) },
		"affine":     func(t *Team) { AffineF32(t, dst, cols, x, cols, gain, gain, rows, cols) },
		"transpose":  func(t *Team) { TransposeF32(t, dst, x, 1, rows, cols) },
		"arg max": func(t *Team) {
			ArgMaxF32(t, best, x, rows, cols, cols)
			for i, v := range best {
				dst[i] = float32(v)
			}
		},
		"embedding": func(t *Team) { EmbeddingF32(t, dst, cols, ids, x, false) },
	}
	for name, op := range ops {
		op(nil)
		want := append([]float32(nil), dst...)
		for _, threads := range []int{2, 3, 8} {
			team := Enter(threads)
			clear(dst[:rows])
			op(team)
			ktest.SameBits(t, fmt.Sprintf("%s on %d threads", name, threads), dst, want)
			team.Leave()
		}
		// Under the race detector, pools drop some of what is put into them.
		if n := testing.AllocsPerRun(20, func() { op(nil) }); n > 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func TestRotaryF32(t *testing.T) {
	eachShape(t, func(t *testing.T, r *rand.Rand, isa string, edge ktest.Edge, rows, n, ld int) {
		if n == 0 {
			return
		}
		headDim, heads := 2*n+ld%3, 1+ld%4
		cols := heads * headDim
		x := guarded(t, r, rows, cols, cols+1, edge, 9)
		table := guarded(t, r, 4, 2*n, 2*n, edge, 0)
		positions := []int32{3, 0, 2}[:rows]
		want := append([]float32(nil), x.x...)
		for i, at := range positions {
			for h := range heads {
				ref.RotaryF32(want[i*x.ld+h*headDim:], table.x[int(at)*2*n:][:2*n])
			}
		}
		RotaryF32(nil, x.x, x.ld, table.x, 2*n, positions, cols, headDim, n)
		ktest.SameBits(t, fmt.Sprintf("rotary rows=%d n=%d heads=%d of %d", rows, n, heads, headDim), x.x, want)
	})
}
