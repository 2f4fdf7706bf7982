package golden

import (
	"math"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

func TestCompare(t *testing.T) {
	ref := func(mask []int64, v ...float32) Tensor {
		return Tensor{Name: "x", Tensor: tensor.FromF32(v, 1, 2, 2), Mask: mask}
	}
	nan := float32(math.NaN())
	for _, c := range []struct {
		name string
		got  tensor.Tensor
		want Tensor
		err  string
	}{
		{"equal", tensor.FromF32([]float32{1, 2, 3, 4}, 1, 2, 2), ref(nil, 1, 2, 3, 4), ""},
		{"within", tensor.FromF32([]float32{1, 2, 3, 4.00009}, 1, 2, 2), ref(nil, 1, 2, 3, 4), ""},
		{"beyond", tensor.FromF32([]float32{1, 2, 3.0002, 4}, 1, 2, 2), ref(nil, 1, 2, 3, 4), "x[0 1 0]: got 3.0002, want 3"},
		{"hidden", tensor.FromF32([]float32{1, 2, 9, 9}, 1, 2, 2), ref([]int64{1, 0}, 1, 2, 3, 4), ""},
		{"NaN", tensor.FromF32([]float32{1, nan, 3, 4}, 1, 2, 2), ref(nil, 1, 2, 3, 4), "x[0 0 1]: got NaN"},
		{"hidden NaN", tensor.FromF32([]float32{1, 2, nan, 4}, 1, 2, 2), ref([]int64{1, 0}, 1, 2, 3, 4), "got NaN"},
		{"permuted shape", tensor.FromF32([]float32{1, 2, 3, 4}, 2, 1, 2), ref(nil, 1, 2, 3, 4), "shape [2 1 2]"},
		{"missing", tensor.Tensor{}, ref(nil, 1, 2, 3, 4), "missing"},
	} {
		err := Compare(c.got, c.want, Tolerance)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.name, err, c.err)
		}
	}
}

// failing records whether a check failed.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Errorf(string, ...any) { f.failed = true }

func TestSameBits(t *testing.T) {
	run := func(v ...float32) nn.Outputs { return nn.Outputs{{Name: "x", Tensor: tensor.FromF32(v, len(v))}} }
	for _, c := range []struct {
		a, b nn.Outputs
		same bool
	}{
		{run(1, 2), run(1, 2), true},
		{run(1, 2), run(1, math.Nextafter32(2, 3)), false},
		{run(0), run(float32(math.Copysign(0, -1))), false},
		{run(1), run(1, 2), false},
		{run(1), nil, false},
	} {
		f := &failing{TB: t}
		if SameBits(f, c.a, c.b); f.failed == c.same {
			t.Errorf("%v and %v: same = %v, want %v", c.a, c.b, !f.failed, c.same)
		}
	}
}
