package ktest

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"
)

func TestGuard(t *testing.T) {
	for _, edge := range Edges {
		for _, n := range []int{0, 1, 1023, 1024, 1025} {
			x := Guard[float32](t, n, edge)
			if len(x) != n || cap(x) != n {
				t.Fatalf("len %d, cap %d, want %d", len(x), cap(x), n)
			}
			for i := range x {
				x[i] = 1
			}
		}
	}
}

func TestGuardCatches(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the fault is caught on linux only")
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	touches := func(p unsafe.Pointer) (fault bool) {
		defer func() { fault = recover() != nil }()
		return *(*byte)(p) == 42
	}
	x := Guard[float32](t, 5, Tail)
	if !touches(unsafe.Add(unsafe.Pointer(&x[0]), 20)) {
		t.Error("the byte after the operand can be read")
	}
	x = Guard[float32](t, 5, Head)
	if !touches(unsafe.Add(unsafe.Pointer(&x[0]), -1)) {
		t.Error("the byte before the operand can be read")
	}
}

func TestULP(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		got  float32
		want float64
		ulp  float64
	}{
		{1, 1, 0},
		{1, 1 + 0x1p-24, 0.5},
		{1 + 0x1p-23, 1, 1},
		{2, 2 + 0x1p-22, 1},
		{0, 0x1p-149, 1},
		{0, 0x1p-150, 0.5},
		{float32(inf), inf, 0},
		{float32(inf), 1e39, 0},
		{float32(inf), 1, inf},
		{float32(math.NaN()), math.NaN(), 0},
		{float32(math.NaN()), 1, inf},
	} {
		if got := ULP(c.got, c.want); got != c.ulp {
			t.Errorf("ULP(%v, %v) = %v, want %v", c.got, c.want, got, c.ulp)
		}
	}
}

func TestGemmOracle(t *testing.T) {
	a := []float32{1, 2, 3, 4, 5, 6}     // [2, 3]
	b := []float32{1, 0, 2, 0, 1, 3}     // [3, 2]
	c, _ := Gemm(a, 3, b, 2, 1, 2, 2, 3) // rows of b
	d, _ := Gemm(a, 3, b, 1, 3, 2, 2, 3) // b as [2, 3], transposed
	if c[0] != 8 || c[1] != 9 || c[3] != 18 || d[0] != 7 || d[3] != 23 {
		t.Errorf("got %v and %v", c, d)
	}
}
