package nn_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

func cpu(t testing.TB) *nn.CPU {
	t.Helper()
	b, err := nn.NewCPU(0)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestParseAct(t *testing.T) {
	for _, name := range []string{"gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu", "swish", "quick_gelu", "tanh", "sigmoid", "linear"} {
		if _, err := nn.ParseAct(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := nn.ParseAct("prelu"); !errors.Is(err, nn.ErrUnsupported) {
		t.Errorf("prelu: %v", err)
	}
	if _, err := nn.ParseAct("snake"); !errors.Is(err, nn.ErrUnsupported) || !strings.Contains(err.Error(), `"snake"`) {
		t.Errorf("unknown activation: %v", err)
	}
}

func TestRaggedStripsAndPads(t *testing.T) {
	mask := []int64{1, 1, 0, 0, 1, 1, 0, 0, 0}
	r := nn.NewRagged(mask, 3, 3, false)
	if r.Rows() != 4 || r.Off[1] != 2 || r.Off[2] != 4 || r.Off[3] != 4 || r.Hidden != nil {
		t.Fatalf("%+v", r)
	}
	if f := r.First(); f[0] != 0 || f[1] != 2 || f[2] != -1 {
		t.Errorf("First %v", f)
	}
	p := cpu(t).Begin(context.Background())
	defer p.End()
	x := tensor.FromF32([]float32{0, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 1)
	packed := r.Pack(p, x)
	want := []float32{0, 1, 4, 5}
	for i, v := range packed.F32() {
		if v != want[i] {
			t.Fatalf("packed %v, want %v", packed.F32(), want)
		}
	}
	padded := r.Pad(p, packed).F32()
	for i, v := range padded {
		if w := float32(mask[i]) * float32(i); v != w {
			t.Fatalf("padded %v", padded)
		}
	}
}

func TestRaggedKeepsFirst(t *testing.T) {
	r := nn.NewRagged([]int64{0, 0, 1, 1}, 1, 4, true)
	if r.Rows() != 3 || !math.IsInf(float64(r.Hidden[0]), -1) || r.Hidden[2] != 0 {
		t.Errorf("%+v", r)
	}
}

func TestRaggedKeepsOnePosition(t *testing.T) {
	r := nn.NewRaggedKeeping([]int64{0, 1, 0, 1, 1, 1, 0, 0}, 2, 4, []int32{2, 0})
	if r.Rows() != 5 || r.Row[1] != 2 || !math.IsInf(float64(r.Hidden[1]), -1) || r.Hidden[2] != 0 || r.Hidden[4] != 0 {
		t.Errorf("%+v", r)
	}
	if at := r.At([]int32{2, 0}); at[0] != 1 || at[1] != 3 {
		t.Errorf("At %v", at)
	}
	if at := r.At([]int32{0, 3}); at[0] != -1 || at[1] != -1 {
		t.Errorf("At %v of stripped positions", at)
	}
}

func TestWindowLen(t *testing.T) {
	for _, c := range []struct {
		w           nn.Window1D
		n, k, frame int
	}{
		{nn.Window1D{Stride: 5, Dilation: 1}, 400, 10, 79},
		{nn.Window1D{Stride: 5, Dilation: 1}, 9, 10, 0},
		{nn.Window1D{Stride: 5, Dilation: 1}, 1, 10, -1},
		{nn.Window1D{Stride: 1, Dilation: 1, PadLeft: 64, PadRight: 63}, 49, 128, 49},
	} {
		if got := c.w.Len(c.n, c.k); got != c.frame {
			t.Errorf("%+v: %d, want %d", c, got, c.frame)
		}
	}
}

func TestLinearEpilogueOrder(t *testing.T) {
	b := cpu(t)
	w, err := b.Matrix("w", nn.MatrixPart{Data: []float32{1, 2, 3, 4}, Out: 2, In: 2})
	if err != nil {
		t.Fatal(err)
	}
	p := b.Begin(context.Background())
	defer p.End()
	dst := p.New(1, 2)
	p.Linear(dst, p.Floats([]float32{1, -1}, 1, 2), w, nn.Epilogue{
		Bias: p.Floats([]float32{0.5, 3}, 1, 2), Act: kernels.ActReLU, Residual: p.Floats([]float32{10, 20}, 1, 2),
	})
	if got := dst.F32(); got[0] != 10 || got[1] != 22 {
		t.Errorf("relu(x·wᵀ+b)+r = %v, want [10 22]", got)
	}
}

func TestMatrixChecksParts(t *testing.T) {
	b := cpu(t)
	for _, parts := range [][]nn.MatrixPart{
		nil,
		{{Data: make([]float32, 3), Out: 2, In: 2}},
		{{Data: make([]float32, 4), Out: 2, In: 2}, {Data: make([]float32, 3), Out: 1, In: 3}},
		{{Data: make([]float32, 4), Out: math.MaxInt / 2, In: math.MaxInt / 2}},
	} {
		if _, err := b.Matrix("w", parts...); err == nil {
			t.Errorf("%v was accepted", parts)
		}
	}
}

func TestCancelledPassStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := cpu(t).Begin(ctx)
	defer p.End()
	x := p.New(1, 2)
	copy(x.F32(), []float32{1, 2})
	cancel()
	p.Scale(x, x, 2)
	if !errors.Is(p.Err(), context.Canceled) || x.F32()[0] != 1 {
		t.Errorf("err %v, x %v", p.Err(), x.F32())
	}
}

func TestInputs(t *testing.T) {
	in := nn.Inputs{
		"ids":  tensor.FromI64([]int64{0, 5}, 1, 2),
		"mask": tensor.FromF32([]float32{1, 0.5}, 1, 2),
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{in.Known("ids"), "mask"},
		{second(in.IDs("ids", 5, 1, 2)), "element 1 is 5"},
		{second(in.IDs("ids", 9, 2, 1)), "shape [1 2], want [2 1]"},
		{second(in.F32("ids", 1, 2)), "element type I64"},
		{second(in.I64("nope")), "missing"},
		{second(in.Mask("mask", 1, 2)), "0.5"},
	} {
		if !errors.Is(c.err, nn.ErrInput) || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%v, want %q", c.err, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestFinite(t *testing.T) {
	var o nn.Outputs
	o.Add("a", tensor.FromF32([]float32{1, float32(math.Inf(-1))}, 2))
	if err := o.Finite(); !errors.Is(err, nn.ErrNotFinite) || !strings.Contains(err.Error(), "a: element 1") {
		t.Error(err)
	}
}

// TestRareActivations checks the activations that few checkpoints use against their
// formulas in float64, after a product and before its residual.
func TestRareActivations(t *testing.T) {
	softplus := func(x float64) float64 { return math.Log1p(math.Exp(x)) }
	formulas := map[string]func(x float64) float64{
		"gelu_10":      func(x float64) float64 { return math.Min(10, x/2*(1+math.Erf(x/math.Sqrt2))) },
		"relu2":        func(x float64) float64 { return math.Max(x, 0) * math.Max(x, 0) },
		"relu6":        func(x float64) float64 { return math.Min(math.Max(x, 0), 6) },
		"leaky_relu":   func(x float64) float64 { return math.Max(x, 0) + 0.01*math.Min(x, 0) },
		"hardswish":    func(x float64) float64 { return x * math.Min(math.Max(x+3, 0), 6) / 6 },
		"mish":         func(x float64) float64 { return x * math.Tanh(softplus(x)) },
		"laplace":      func(x float64) float64 { return (1 + math.Erf((x-0.707107)/0.282095/math.Sqrt2)) / 2 },
		"sqrtsoftplus": func(x float64) float64 { return math.Sqrt(softplus(x)) },
	}
	b := cpu(t)
	one, err := b.Matrix("w", nn.MatrixPart{Data: []float32{1}, Out: 1, In: 1})
	if err != nil {
		t.Fatal(err)
	}
	p := b.Begin(context.Background())
	defer p.End()
	xs := []float32{-20, -3.5, -1, -0.1, 0, 0.3, 0.707, 2, 6.5, 12}
	x := p.Floats(xs, len(xs), 1)
	for name, f := range formulas {
		act, err := nn.ParseAct(name)
		if err != nil {
			t.Error(err)
			continue
		}
		linear, alone, gated := p.New(len(xs), 1), p.New(len(xs), 1), p.New(len(xs), 1)
		p.Linear(linear, x, one, nn.Epilogue{Act: act, Residual: x})
		p.Activate(alone, x, act)
		p.Gated(gated, x, x, act)
		for i, v := range xs {
			y := f(float64(v))
			for what, c := range map[string][2]float64{
				"linear": {float64(linear.F32()[i]), y + float64(v)}, "alone": {float64(alone.F32()[i]), y}, "gated": {float64(gated.F32()[i]), y * float64(v)},
			} {
				if math.Abs(c[0]-c[1]) > 2e-6*(1+math.Abs(c[1])) {
					t.Errorf("%s, %s: x %v gives %v, want %v", name, what, v, c[0], c[1])
				}
			}
		}
	}
}
