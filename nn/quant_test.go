package nn

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// stored is a weight file with the tensors of a quantized layer x.
func storedFile(tb testing.TB, list ...safetensors.Entry) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, list, nil); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func entry(name string, d safetensors.DType, data []byte, shape ...int) safetensors.Entry {
	return safetensors.Entry{Name: name, DType: d, Shape: shape, Data: data}
}

// storedSeeds are weights in every layout.
func storedSeeds(tb testing.TB) [][]byte {
	ints := []byte{1, 0xff, 0x80, 0x7f, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13}
	scale := safetensors.F32Entry("x.weight_scale", []float32{0.5, 2}, 2, 1)
	return [][]byte{
		storedFile(tb, entry("x.weight", safetensors.I8, ints, 2, 8), scale),
		storedFile(tb, entry("x.weight", safetensors.I8, ints, 2, 8), safetensors.F32Entry("x.weight_scale", []float32{3}, 1)),
		storedFile(tb, entry("x.weight", safetensors.I8, ints, 8, 2), safetensors.F32Entry("x.weight_scale", []float32{1, 2}, 1, 2)),
		storedFile(tb, entry("x.weight", safetensors.I8, ints, 2, 8), scale, entry("x.weight_zero_point", safetensors.I8, []byte{1, 0xfe}, 2, 1)),
		storedFile(tb, entry("x.weight_packed", safetensors.I32, ints, 2, 2), scale, safetensors.I64Entry("x.weight_shape", []int64{2, 8}, 2)),
		storedFile(tb, entry("x.weight_packed", safetensors.I32, ints, 2, 2), safetensors.F32Entry("x.weight_scale", []float32{1, 2, 3, 4}, 2, 2),
			safetensors.I64Entry("x.weight_shape", []int64{2, 16}, 2), entry("x.weight_zero_point", safetensors.I32, ints[:8], 1, 2)),
	}
}

func openStored(b []byte) (*StoredWeight, error) {
	f, err := safetensors.Parse(b)
	if err != nil {
		return nil, err
	}
	return findStored(f, "x", true)
}

func TestStoredWeight(t *testing.T) {
	for i, want := range [][]float32{
		{0.5, -0.5, -64, 63.5, 1, 1.5, 2, 2.5, 12, 14, 16, 18, 20, 22, 24, 26},
		{3, -3, -384, 381, 6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39},
		{1, -2, -128, 254, 2, 6, 4, 10, 6, 14, 8, 18, 10, 22, 12, 26},
		{0, -1, -64.5, 63, 0.5, 1, 1.5, 2, 16, 18, 20, 22, 24, 26, 28, 30},
		{-63.5, 63.5, 0, -0.5, -63, -62.5, -62, -61.5, -244, -242, -240, -238, -236, -234, -232, -230},
	} {
		w, err := openStored(storedSeeds(t)[i])
		if err != nil {
			t.Fatal(err)
		}
		got, err := w.Float32()
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("layout %d: %v, %v; want %v", i, got, err, want)
		}
	}
	// Nibbles, in groups of 8, with zero points along the rows: q - 8 - (z - 8).
	w, err := openStored(storedSeeds(t)[5])
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Float32()
	if err != nil || w.bits != 4 || w.scheme() != kernels.Float32 || got[0] != (1-1)*1 || got[8] != (2-2)*2 || got[16] != (6-0)*3 {
		t.Errorf("%v, %v, %d bits", got, err, w.bits)
	}
}

// TestStoredPacked: a stored weight is packed as it is, and multiplies as its
// floats do.
func TestStoredPacked(t *testing.T) {
	cpu, err := NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range storedSeeds(t)[:5] {
		w, err := openStored(b)
		if err != nil {
			t.Fatal(err)
		}
		out, in := w.rows, w.cols
		if w.columns {
			out, in = in, out
		}
		m, err := cpu.Matrix("x", MatrixPart{Stored: w, Out: out, In: in, Transposed: w.columns})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m.(cpuQMatrix); ok != (i != 3) {
			t.Errorf("layout %d is bound as %T", i, m)
		}
		x := make([]float32, in)
		for p := range x {
			x[p] = float32(p%3 - 1)
		}
		p := cpu.Begin(t.Context())
		dst := p.New(1, out)
		p.Linear(dst, tensor.FromF32(x, 1, in), m, Epilogue{})
		f, err := w.Float32()
		if err != nil {
			t.Fatal(err)
		}
		for j := range out {
			want := 0.0
			for k, v := range x {
				at := j*in + k
				if w.columns {
					at = k*out + j
				}
				want += float64(v) * float64(f[at])
			}
			if got := float64(dst.F32()[j]); math.Abs(got-want) > 0.05*(1+math.Abs(want)) { // the activations have 8 bits
				t.Errorf("layout %d: output %d is %v, want %v", i, j, got, want)
			}
		}
		p.End()
	}
}

// TestQuantizedEmbedding: a table of 8 bits gives its rows, added too.
func TestQuantizedEmbedding(t *testing.T) {
	b := storedFile(t, safetensors.F32Entry("e.weight", []float32{127, -127, 64, 1, 2, 127}, 3, 2))
	f, err := safetensors.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	cpu, err := NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	cpu.SetQuantization(Quantization{Embeddings: true})
	params := NewParams(f, cpu, "test")
	e := params.Embedding("e", 3, 2)
	if err := params.Err(); err != nil || e.Rows() != 3 {
		t.Fatal(err, e.Rows())
	}
	p := cpu.Begin(t.Context())
	defer p.End()
	dst := p.New(2, 2)
	p.Embedding(dst, p.Ints([]int32{2, 0}), e.Table, false)
	p.Embedding(dst, p.Ints([]int32{0, 0}), e.Table, true)
	if got := dst.F32(); !slices.Equal(got, []float32{129, 0, 254, -254}) {
		t.Errorf("%v", got)
	}
}

func TestParseStoredQuantization(t *testing.T) {
	for text, want := range map[string]struct {
		quantized bool
		layers    string // whose activations are quantized, of a, b, lm_head
	}{
		`{}`:                            {},
		`{"quantization_config": null}`: {},
		`{"quantization_config": {"quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ["lm_head"], "config_groups":
			{"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int"}, "input_activations": {"num_bits": 8, "type": "int"}}}}}`: {true, "a b"},
		`{"quantization_config": {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups":
			{"group_0": {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int"}, "input_activations": null}}}}`: {true, ""},
		`{"quantization_config": {"quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ["re:.*x$"], "config_groups":
			{"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8}, "input_activations": {"num_bits": 8}},
			"group_1": {"targets": ["re:.*head$", "Embedding"], "weights": {"num_bits": 8}}}}}`: {true, "a b"},
		`{"quantization_config": {"quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ["re:a"], "config_groups":
			{"group_0": {"targets": ["b", "a"], "weights": {"num_bits": 8}, "input_activations": {"num_bits": 8, "dynamic": false, "strategy": "tensor"}}}}}`: {true, "b"},
	} {
		c, err := hfconfig.Parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseStoredQuantization(c)
		var layers []string
		for _, l := range []string{"a", "b", "lm_head"} {
			if got.Activations(l) {
				layers = append(layers, l)
			}
		}
		if err != nil || got.Quantized != want.quantized || strings.Join(layers, " ") != want.layers {
			t.Errorf("%s: %v %v, %v", text, got.Quantized, layers, err)
		}
	}
}

// FuzzStoredWeight reads quantized weights of any bytes.
func FuzzStoredWeight(f *testing.F) {
	for _, b := range storedSeeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := openStored(b)
		if err != nil || w == nil {
			return
		}
		x, err := w.Float32()
		if err == nil && len(x) != w.rows*w.cols {
			t.Errorf("%d elements of %v", len(x), w.shape())
		}
		if w.scheme() == kernels.Float32 {
			return
		}
		q, err := w.quantized(nil)
		if err != nil {
			return
		}
		k := w.cols
		if w.columns {
			k = w.rows
		}
		if m := kernels.PackQuantized(w.scheme(), []kernels.Quantized{q}, k, k/w.groups); m.Rows()*m.Cols() != len(x) {
			t.Errorf("packed as [%d %d]", m.Rows(), m.Cols())
		}
	})
}

// FuzzStoredQuantization reads quantization_configs of any bytes.
func FuzzStoredQuantization(f *testing.F) {
	f.Add([]byte(`{"quantization_config": {"quant_method": "compressed-tensors", "format": "mixed-precision", "config_groups":
		{"group_0": {"format": "int-quantized", "weights": {"num_bits": 8, "type": "int", "strategy": "group", "actorder": null},
		"input_activations": {"num_bits": 8}, "output_activations": null}}, "sparsity_config": {"format": "dense"}, "kv_cache_scheme": null}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := hfconfig.Parse(b); err == nil {
			ParseStoredQuantization(c)
		}
	})
}
