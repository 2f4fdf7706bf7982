package tensor

import (
	"errors"
	"math"
	"testing"
)

func TestViews(t *testing.T) {
	data := make([]float32, 12)
	for i := range data {
		data[i] = float32(i)
	}
	x := FromF32(data, 3, 4)
	cols := x.SliceCols(1, 3)
	if cols.Rows() != 3 || cols.Cols() != 2 || cols.LD() != 4 || cols.Contiguous() {
		t.Fatalf("%v ld %d", cols, cols.LD())
	}
	if got := cols.Clone().F32(); got[0] != 1 || got[2] != 5 || got[5] != 10 {
		t.Errorf("clone of columns %v", got)
	}
	if got := cols.SliceRows(1, 2); got.F32()[0] != 5 || got.Rows() != 1 {
		t.Errorf("rows of columns %v", got.F32())
	}
	if r := x.Reshape(2, 6); r.Dim(-1) != 6 || r.F32()[7] != 7 {
		t.Errorf("%v", r)
	}
	if r := cols.Reshape(3, 1, 2); r.LD() != 4 {
		t.Errorf("regrouped rows lost their stride: %d", r.LD())
	}
	if e := x.SliceCols(2, 2); e.Len() != 0 {
		t.Errorf("%v", e)
	}
	if s := FromF32(data); s.Rank() != 0 || s.Len() != 1 || s.Cols() != 1 {
		t.Errorf("scalar %v", s)
	}
}

func TestElems(t *testing.T) {
	for _, c := range []struct {
		shape []int
		n     int
		ok    bool
	}{
		{nil, 1, true}, {[]int{2, 3}, 6, true}, {[]int{0, math.MaxInt}, 0, true}, {[]int{-1}, 0, false},
		{[]int{math.MaxInt, 2}, 0, false}, {[]int{1 << 32, 1 << 32}, 0, false}, {[]int{1 << 31, 1 << 31, 4}, 0, false},
	} {
		if n, ok := Elems(c.shape...); n != c.n || ok != c.ok {
			t.Errorf("Elems(%v) = %d, %v", c.shape, n, ok)
		}
	}
}

func TestCheckShape(t *testing.T) {
	err := CheckShape("layer.weight", []int{768, 512}, []int{-1, 768})
	if !errors.Is(err, ErrShape) || err.Error() != "layer.weight: shape [768 512], want [? 768]" {
		t.Error(err)
	}
	if err := CheckShape("x", []int{2, 3}, []int{-1, 3}); err != nil {
		t.Error(err)
	}
}

func TestArena(t *testing.T) {
	var a Arena
	pass := func() {
		for range 3 {
			m := a.Mark()
			x := a.F32(100, 1000)
			y := a.F32(7)
			ids := a.I32(5)
			x.F32()[0], y.F32()[6], ids.I32()[4] = 1, 2, 3
			if x.F32()[0] != 1 {
				t.Fatal("tensors overlap")
			}
			a.Release(m)
		}
		a.F32(300000)
		a.Reset()
	}
	pass()
	pass()
	before := a.Bytes()
	if n := testing.AllocsPerRun(10, pass); n != 0 {
		t.Errorf("%v allocations in a steady state", n)
	}
	if a.Bytes() != before {
		t.Errorf("grew from %d to %d bytes", before, a.Bytes())
	}
}
