package nn

import (
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

// TestQuantizedConv: convolutions of enough channels are quantized on load with
// the linear layers, unless they are kept, and stay close to float32.
func TestQuantizedConv(t *testing.T) {
	const steps, in, out, width = 40, 64, 48, 3
	x, w := make([]float32, steps*in), make([]float32, out*in*width)
	ktest.Fill(ktest.Rand(1), x)
	ktest.Fill(ktest.Rand(2), w)
	run := func(q Quantization, name string) (dst []float32, quantized bool) {
		cpu, err := NewCPU(1)
		if err != nil {
			t.Fatal(err)
		}
		cpu.SetQuantization(q)
		c, err := cpu.Conv1D(name, w, out, in, width, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, quantized = c.(*kernels.QConv)
		g := Window1D{Stride: 2, Dilation: 1, PadLeft: 1}
		p := cpu.Begin(t.Context())
		defer p.End()
		y := tensor.FromF32(make([]float32, g.Len(steps, width)*out), g.Len(steps, width), out)
		p.Conv1D(y, tensor.FromF32(x, steps, in), c, g, Epilogue{Act: kernels.ActGELU})
		if p.Err() != nil {
			t.Fatal(p.Err())
		}
		return y.F32(), quantized
	}
	want, quantized := run(Quantization{}, "conv")
	if quantized {
		t.Error("quantized without being asked to")
	}
	w8a8 := Quantization{Scheme: kernels.W8A8, Keep: func(name string) bool { return name == "kept" }}
	if got, quantized := run(w8a8, "kept"); quantized || got[0] != want[0] {
		t.Error("a convolution that is kept was quantized")
	}
	if _, quantized := run(Quantization{Scheme: kernels.W8}, "conv"); quantized {
		t.Error("weights alone were quantized")
	}
	got, quantized := run(w8a8, "conv")
	var gw, gg, ww float64
	for i, v := range want {
		gw, gg, ww = gw+float64(got[i])*float64(v), gg+float64(got[i])*float64(got[i]), ww+float64(v)*float64(v)
	}
	if cos := gw / math.Sqrt(gg*ww); !quantized || cos < 0.9998 {
		t.Errorf("quantized: %v, cosine %v", quantized, cos)
	}
}
