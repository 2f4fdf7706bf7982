package safetensors

import (
	"bytes"
	"slices"
	"testing"
)

func TestTensorIndex(t *testing.T) {
	var b bytes.Buffer
	err := Write(&b, []Entry{F32Entry("x", []float32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 3, 2, 2), F32Entry("y", nil, 0, 2)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err := Parse(b.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Lookup("x")
	one := x.Index(1)
	if got, err := one.Float32(); err != nil || !slices.Equal(got, []float32{5, 6, 7, 8}) || !slices.Equal(one.Shape, []int{2, 2}) || one.Len() != 4 {
		t.Errorf("%v %v %v", got, one.Shape, err)
	}
	if got, err := one.Index(1).Index(0).Float32(); err != nil || !slices.Equal(got, []float32{7}) {
		t.Errorf("%v %v", got, err)
	}
	y, _ := f.Lookup("y")
	for _, bad := range []func(){func() { x.Index(3) }, func() { x.Index(-1) }, func() { y.Index(0) }, func() { one.Index(0).Index(0).Index(0) }} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			bad()
		}()
	}
}
