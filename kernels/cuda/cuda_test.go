package cuda_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ptx"
	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// The launchers and their kernels are run by an interpreter of PTX, which finds
// more than a GPU would: see package ptx.

var types = []cuda.Type{cuda.F32, cuda.BF16, cuda.F16}

// bench is a device with a source of numbers.
type bench struct {
	*ptx.Device
	t   testing.TB
	rng *rand.Rand
}

func newBench(t testing.TB, target int) *bench {
	return &bench{ptx.NewDevice(target), t, rand.New(rand.NewPCG(1, 2))}
}

// random returns numbers in -2 … 2 that typ holds exactly.
func (b *bench) random(typ cuda.Type, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = ptx.Round(typ, b.rng.Float32()*4-2)
	}
	return x
}

// matrix puts rows of cols numbers, ld apart, on the device; what lies between
// rows was never written.
func (b *bench) matrix(typ cuda.Type, x []float32, rows, cols, ld int) cuda.Mat {
	m := b.empty(typ, rows, cols, ld)
	for r := range rows {
		b.Upload(m.P+cuda.Ptr(r*ld*typ.Size()), ptx.Encode(typ, x[r*cols:(r+1)*cols]))
	}
	return m
}

// vector is a matrix of floats of one row.
func (b *bench) vector(x []float32) cuda.Ptr { return b.matrix(cuda.F32, x, 1, len(x), len(x)).P }

func (b *bench) ints(x ...int32) cuda.Ptr {
	p := b.Alloc(4 * len(x))
	buf := make([]byte, 4*len(x))
	for i, v := range x {
		binary.LittleEndian.PutUint32(buf[4*i:], uint32(v))
	}
	b.Upload(p, buf)
	return p
}

// empty is a matrix that nothing wrote. It ends with its last element.
func (b *bench) empty(typ cuda.Type, rows, cols, ld int) cuda.Mat {
	return cuda.Mat{P: b.Alloc(max(0, (rows-1)*ld+cols) * typ.Size()), LD: ld}
}

// read returns the rows of a matrix.
func (b *bench) read(typ cuda.Type, m cuda.Mat, rows, cols int) []float32 {
	b.t.Helper()
	var out []float32
	for r := range rows {
		buf := make([]byte, cols*typ.Size())
		b.Download(buf, m.P+cuda.Ptr(r*m.LD*typ.Size()))
		out = append(out, ptx.Decode(typ, buf)...)
	}
	if err := b.Err(); err != nil {
		b.t.Fatal(err)
	}
	return out
}

func (b *bench) readInts(p cuda.Ptr, n int) []int32 {
	b.t.Helper()
	buf := make([]byte, 4*n)
	b.Download(buf, p)
	if err := b.Err(); err != nil {
		b.t.Fatal(err)
	}
	out := make([]int32, n)
	for i := range out {
		out[i] = int32(binary.LittleEndian.Uint32(buf[4*i:]))
	}
	return out
}

// check compares with want: each element within tol·(1 + |want|), and half a
// step of typ.
func (b *bench) check(what string, typ cuda.Type, got []float32, want []float64, tol float64) {
	b.t.Helper()
	step := map[cuda.Type]float64{cuda.BF16: 0x1p-8, cuda.F16: 0x1p-11}[typ]
	if len(got) != len(want) {
		b.t.Fatalf("%s: %d elements, want %d", what, len(got), len(want))
	}
	for i, w := range want {
		g := float64(got[i])
		if math.IsNaN(w) != math.IsNaN(g) || math.Abs(g-w) > tol*(1+math.Abs(w))+step*math.Abs(w) {
			b.t.Fatalf("%s: element %d is %v, want %v", what, i, g, w)
		}
	}
}

// wide returns x in float64.
func wide(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}
