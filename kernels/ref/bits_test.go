package ref

import (
	"hash/fnv"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
)

// bits are hashes of what each operation gives for the same numbers: they hold
// on every machine, also where the compiler may fuse x*y+z.
var bits = map[string]uint32{
	"exp": 0x9d1cb4a0, "gelu": 0xfc36dd59, "gelu_tanh": 0x20d2b286, "silu": 0x82618652, "quick_gelu": 0x066425ee, "tanh": 0x74a8a68a, "sigmoid": 0x0a644fcc, "erf": 0x7761bd12, "elu": 0xb7f13bdf,
	"softplus": 0x9b331cfb, "mish": 0xd745c5f3, "laplace": 0x146aeae7, "softmax": 0x0ce11896, "layer_norm": 0x18061c10, "rms_norm": 0xf65be00e, "l2_norm": 0x1f4916a7,
	"affine": 0xd0d38566, "axpy": 0x6f4f35bb, "rotary": 0xcdcd064c, "moments": 0x25442a31,
}

func TestBits(t *testing.T) {
	const n = 4096
	r := ktest.Rand(11)
	x, y, z := make([]float32, n), make([]float32, n), make([]float32, n)
	ktest.Fill(r, x)
	ktest.Fill(r, y)
	ktest.Fill(r, z)
	ktest.Sprinkle(r, x[n/2:], 8)
	for i := range x[:n/4] {
		x[i] *= 8
	}
	plain := x[:n/2] // without NaN
	got := map[string]uint32{}
	hash := func(op string, list ...[]float32) {
		h := fnv.New32a()
		for _, l := range list {
			for _, v := range l {
				b := math.Float32bits(v)
				if v != v {
					b = 0x7fc00000
				}
				h.Write([]byte{byte(b), byte(b >> 8), byte(b >> 16), byte(b >> 24)})
			}
		}
		got[op] = h.Sum32()
	}
	for op, f := range map[string]func(x float32) float32{"exp": Exp, "gelu": GELU, "gelu_tanh": GELUTanh, "silu": SiLU,
		"quick_gelu": QuickGELU, "tanh": Tanh, "sigmoid": Sigmoid, "erf": Erf, "elu": ELU, "softplus": Softplus,
		"mish": Mish, "laplace": Laplace} {
		d := make([]float32, n)
		for i, v := range x {
			d[i] = f(v)
		}
		hash(op, d)
	}
	run := func(op string, f func(d []float32)) {
		d := append([]float32(nil), z[:n/2]...)
		f(d)
		hash(op, d)
	}
	run("softmax", func(d []float32) { SoftmaxF32(d, plain) })
	run("layer_norm", func(d []float32) { LayerNormF32(d, plain, y, d, y, z, 1e-5) })
	run("rms_norm", func(d []float32) { RMSNormF32(d, plain, y, 1e-5) })
	run("l2_norm", func(d []float32) { L2NormF32(d, plain, 1e-12) })
	run("affine", func(d []float32) { AffineF32(d, plain, y, z) })
	run("axpy", func(d []float32) { AxpyF32(d, plain, 0.3) })
	run("rotary", func(d []float32) { RotaryF32(d, y[:n/2]) })
	run("moments", func(d []float32) { ColumnMomentsF32(d[:64], d[64:128], plain, 64, y, len(plain)/64) })
	for op, h := range got {
		if bits[op] != h {
			t.Errorf("%s: %#08x, want %#08x", op, h, bits[op])
		}
	}
	if len(got) != len(bits) {
		t.Errorf("%d operations, want %d", len(got), len(bits))
	}
}
