package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

func (b *bench) bytes(x []byte) cuda.Ptr {
	p := b.Alloc(len(x))
	b.Upload(p, x)
	return p
}

func (b *bench) readBytes(p cuda.Ptr, n int) []byte {
	b.t.Helper()
	x := make([]byte, n)
	b.Download(x, p)
	if err := b.Err(); err != nil {
		b.t.Fatal(err)
	}
	return x
}

func TestQuantizeRows(t *testing.T) {
	const rows, cols, ld = 7, 133, 144
	for _, typ := range types {
		b := newBench(t, 75)
		x := b.random(typ, rows*cols)
		for c := range cols {
			x[cols+c] = 0
			x[2*cols+c] = max(x[2*cols+c], 0)
			x[3*cols+c] *= 0x1p-110
		}
		x[4*cols+5], x[5*cols+7] = float32(math.NaN()), float32(math.Inf(-1))
		m := b.matrix(typ, x, rows, cols, cols+1)
		signed, unsigned := cuda.Mat{P: b.Alloc(rows * ld), LD: ld}, cuda.Mat{P: b.Alloc(rows * ld), LD: ld}
		scaleS, scaleU, zero := b.empty(cuda.F32, 1, rows, rows), b.empty(cuda.F32, 1, rows, rows), b.Alloc(4*rows)
		cuda.QuantizeS8(b, typ, signed, scaleS.P, m, rows, cols)
		cuda.QuantizeU8(b, typ, unsigned, scaleU.P, zero, m, rows, cols)
		gotS, gotU := b.readBytes(signed.P, rows*ld), b.readBytes(unsigned.P, rows*ld)
		s, u, z := b.read(cuda.F32, scaleS, 1, rows), b.read(cuda.F32, scaleU, 1, rows), b.readInts(zero, rows)
		for r := range rows {
			qs, qu := make([]int8, ld), make([]uint8, ld)
			row := b.read(typ, cuda.Mat{P: m.P + cuda.Ptr(r*m.LD*typ.Size())}, 1, cols) // as it was rounded
			ws := ref.QuantizeS8(qs[:cols], row)
			wu, wz := ref.QuantizeU8(qu[:cols], row)
			same := func(a, b float32) bool { return a == b || a != a && b != b }
			if !same(s[r], ws) || !same(u[r], wu) || z[r] != wz {
				t.Fatalf("%v: row %d has the scales %v and %v and the zero %d, want %v, %v, %d", typ, r, s[r], u[r], z[r], ws, wu, wz)
			}
			for c := range ld {
				if int8(gotS[r*ld+c]) != qs[c] || gotU[r*ld+c] != qu[c] {
					t.Fatalf("%v: element %d of row %d is %d and %d, want %d and %d", typ, c, r, int8(gotS[r*ld+c]), gotU[r*ld+c], qs[c], qu[c])
				}
			}
		}
	}
}

func TestEmbeddingS8(t *testing.T) {
	const n, cols = 6, 300
	for _, typ := range types {
		b := newBench(t, 75)
		table, scale := make([]byte, n*cols), b.random(cuda.F32, n)
		for i := range table {
			table[i] = byte(b.rng.IntN(256))
		}
		ids := []int32{5, 0, 5}
		with := b.random(typ, len(ids)*cols)
		for _, accumulate := range []bool{false, true} {
			dst := b.matrix(typ, with, len(ids), cols, cols)
			cuda.EmbeddingS8(b, typ, dst, b.ints(ids...), cuda.Mat{P: b.bytes(table), LD: cols}, b.vector(scale), accumulate, len(ids), cols)
			want := make([]float64, len(ids)*cols)
			for i := range want {
				id := int(ids[i/cols])
				want[i] = float64(int8(table[id*cols+i%cols])) * float64(scale[id])
				if accumulate {
					want[i] += float64(with[i])
				}
			}
			b.check("embedding", typ, b.read(typ, dst, len(ids), cols), want, 1e-6)
		}
	}
}

// bytesProduct runs a product of bytes, with the extremes among them.
func (b *bench) bytesProduct(out cuda.Type, m, n, k int) {
	b.t.Helper()
	ld := (k+15)&^15 + 16
	x, w := make([]byte, m*ld), make([]byte, n*ld)
	zero, sum := make([]int32, m), make([]int32, n)
	for i := range m {
		zero[i] = int32(b.rng.IntN(256))
		for p := range k {
			x[i*ld+p] = byte(b.rng.IntN(256))
			if i == 0 {
				x[p] = 255
			}
		}
	}
	for j := range n {
		for p := range k {
			v := int8(b.rng.IntN(256))
			if j == 0 {
				v = -128
			}
			w[j*ld+p] = byte(v)
			sum[j] += int32(v)
		}
	}
	scaleA, scaleB := b.random(cuda.F32, m), b.random(cuda.F32, n)
	for i := range scaleA {
		scaleA[i] /= 1 << 12
	}
	bias, residual := b.random(cuda.F32, n), b.random(out, m*n)
	dst := b.empty(out, m, n, n+2)
	cuda.MatMulU8S8(b, &cuda.GemmU8S8{Dst: dst, A: cuda.Mat{P: b.bytes(x), LD: ld}, B: cuda.Mat{P: b.bytes(w), LD: ld}, M: m, N: n, K: k,
		ScaleA: b.vector(scaleA), ZeroA: b.ints(zero...), ScaleB: b.vector(scaleB), SumB: b.ints(sum...), Out: out,
		Epilogue: cuda.Epilogue{Bias: b.vector(bias), Act: cuda.Act(kernels.ActReLU), Residual: b.matrix(out, residual, m, n, n)}})
	want := make([]float64, m*n)
	for i := range want {
		r, c, s := i/n, i%n, int32(0)
		for p := range k {
			s += (int32(x[r*ld+p]) - zero[r]) * int32(int8(w[c*ld+p]))
		}
		want[i] = max(float64(s)*float64(scaleA[r])*float64(scaleB[c])+float64(bias[c]), 0) + float64(residual[i])
	}
	b.check(fmt.Sprintf("%v, %dx%dx%d", out, m, n, k), out, b.read(out, dst, m, n), want, 1e-6)
}

func TestMatMulU8S8(t *testing.T) {
	for _, out := range types {
		b := newBench(t, 75)
		for _, s := range [][3]int{{1, 1, 1}, {3, 70, 16}, {65, 5, 33}, {64, 64, 64}, {70, 130, 200}} {
			b.bytesProduct(out, s[0], s[1], s[2])
		}
		b = newBench(t, 80)
		for _, s := range [][3]int{{1, 1, 1}, {3, 70, 16}, {65, 5, 33}, {70, 131, 200}} {
			b.bytesProduct(out, s[0], s[1], s[2])
		}
		b.used("gemm_u8s8_" + out.String() + "_64x64")
	}
}

func TestMatMulU8S8Tiles(t *testing.T) {
	largeTiles(t)
	for _, out := range types {
		b := newBench(t, 80)
		b.bytesProduct(out, 130, 133, 90)
		b.used("gemm_u8s8_" + out.String() + "_128x128")
	}
}
