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
		{[]int{math.MaxInt, 2}, 0, false}, {[]int{math.MaxInt, math.MaxInt, math.MaxInt}, 0, false},
		{[]int{math.MaxInt/2 + 1, 2}, 0, false}, {[]int{math.MaxInt/2 + 1, 4}, 0, false}, // wraps to MinInt, to 0
		{[]int{math.MaxInt, 1}, math.MaxInt, true}, {[]int{math.MaxInt, 2, 0}, 0, false}, {[]int{0, math.MaxInt, 2}, 0, true},
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

func mustPanic(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		if recover() == nil {
			t.Errorf("%s: no panic", what)
		}
	}()
	f()
}

// TestMisuse: what would give a view of other elements panics.
func TestMisuse(t *testing.T) {
	x := FromF32(make([]float32, 12), 3, 4)
	strided := x.SliceCols(0, 2)
	mustPanic(t, "short data", func() { FromF32(make([]float32, 11), 3, 4) })
	mustPanic(t, "rank", func() { FromF32(nil, 0, 1, 1, 1, 1, 1, 1) })
	mustPanic(t, "negative", func() { FromI32(nil, -1) })
	mustPanic(t, "overflow", func() { FromF32(nil, math.MaxInt/2+1, 4) })
	mustPanic(t, "type", func() { x.I32() })
	mustPanic(t, "dimension", func() { x.Dim(2) })
	mustPanic(t, "dimension from the end", func() { x.Dim(-3) })
	mustPanic(t, "rows", func() { x.SliceRows(2, 4) })
	mustPanic(t, "rows backwards", func() { x.SliceRows(2, 1) })
	mustPanic(t, "columns", func() { x.SliceCols(-1, 2) })
	mustPanic(t, "reshape to more", func() { x.Reshape(13) })
	mustPanic(t, "reshape joins strided rows", func() { strided.Reshape(6) })
	mustPanic(t, "reshape splits strided rows", func() { strided.Reshape(6, 1) })
	mustPanic(t, "device slice", func() { OnDevice("handle", F32, 2, 2).SliceRows(0, 1) })
	var a Arena
	mustPanic(t, "arena overflow", func() { a.F32(math.MaxInt/2+1, 4) })
}

// TestClone copies every type and every view.
func TestClone(t *testing.T) {
	i32 := FromI32([]int32{0, 1, 2, 3, 4, 5}, 2, 3).SliceCols(1, 3).Clone()
	if got := i32.I32(); !i32.Contiguous() || got[0] != 1 || got[1] != 2 || got[2] != 4 || got[3] != 5 {
		t.Error(got)
	}
	i64 := FromI64([]int64{0, 1, 2, 3, 4, 5}, 3, 2).SliceRows(1, 3).Clone()
	if got := i64.I64(); got[0] != 2 || got[3] != 5 || i64.String() != "I64[2 2]" {
		t.Error(got, i64)
	}
	empty := FromF32(nil, 3, 0).Clone()
	if empty.Len() != 0 || empty.Rows() != 3 || empty.IsZero() {
		t.Error(empty)
	}
	src := []float32{1, 2}
	c := FromF32(src, 2).Clone()
	src[0] = 5
	if c.F32()[0] != 1 {
		t.Error("a clone shares its elements")
	}
	if d := OnDevice("handle", I32, 4).Reshape(2, 2); d.Device() != "handle" || d.Dim(0) != 2 {
		t.Error(d)
	}
}

// TestArenaReuse: released memory is used again, tensors that are alive at
// one time never overlap, and every one starts on a cache line of its block.
func TestArenaReuse(t *testing.T) {
	var a Arena
	for pass := range 3 {
		var alive []Tensor
		fill := func(shape ...int) {
			x := a.F32(shape...)
			if cap(x.F32()) != len(x.F32()) {
				t.Fatal("append would reach the next tensor")
			}
			for i := range x.F32() {
				x.F32()[i] = float32(len(alive))
			}
			alive = append(alive, x)
		}
		check := func() {
			t.Helper()
			for n, x := range alive {
				for _, v := range x.F32() {
					if v != float32(n) {
						t.Fatalf("pass %d: tensor %d holds %v", pass, n, v)
					}
				}
			}
		}
		for n := range 40 {
			fill(n, 1+n*n)
		}
		mark, kept := a.Mark(), len(alive)
		for range 3 {
			fill(200, 300) // needs new blocks in the first pass
			fill(1)
			check()
			a.Release(mark)
			alive = alive[:kept]
		}
		fill(90_000)
		check()
		a.Reset()
	}
	if a.Bytes() < 4*90_000 {
		t.Error(a.Bytes())
	}
}
