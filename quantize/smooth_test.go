package quantize

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

const golden = "../testdata/golden/"

// sample reads a golden folder's inputs.
func sample(t *testing.T, name string) weft.Inputs {
	t.Helper()
	f, err := safetensors.Open(golden + name + "/in.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := weft.Inputs{}
	for _, x := range f.Tensors() {
		if ints, err := x.Int64(); err == nil {
			in[x.Name] = tensor.FromI64(ints, x.Shape...)
		} else if floats, err := x.Float32(); err == nil {
			in[x.Name] = tensor.FromF32(floats, x.Shape...).Clone()
		}
	}
	return in
}

// outputs runs a model, with all its hidden states.
func outputs(t *testing.T, dir string, in weft.Inputs) weft.Outputs {
	t.Helper()
	m, err := weft.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out, err := m.Run(context.Background(), in, weft.RunOptions{HiddenStates: true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// plant makes some channels of the inputs of linear layers large, as trained
// models have them, by the inverse of a fold: the model computes the same.
func plant(t *testing.T, dir string) string {
	t.Helper()
	d, err := hub.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	folds, err := findFolds(context.Background(), d, Options{Smooth: 1})
	if err != nil {
		t.Fatal(err)
	}
	weights, err := d.Weights()
	if err != nil {
		t.Fatal(err)
	}
	defer weights.Close()
	shifts := map[string]shift{}
	for _, f := range folds {
		for _, s := range f.tensors {
			k := -5
			if x, _ := weights.Lookup(s.name); len(x.Shape) == 1 { // of the norm
				k = 5
			}
			s.exp = make([]int, len(s.exp))
			for c := 3; c < len(s.exp); c += 13 {
				s.exp[c] = k
			}
			shifts[s.name] = s
		}
	}
	dst := t.TempDir()
	_, err = writeFiles(dst, d, weights, func(x safetensors.Tensor) ([]safetensors.Entry, error) {
		e := safetensors.Entry{Name: x.Name, DType: x.DType, Shape: x.Shape, Data: x.Data()}
		if s, ok := shifts[x.Name]; ok {
			if e.Data, _, err = s.apply(x); err != nil {
				return nil, err
			}
		}
		return []safetensors.Entry{e}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dst, "config.json"), config, 0o666); err != nil {
		t.Fatal(err)
	}
	return dst
}

// TestSmoothed: the model with its scales migrated computes the same bits.
func TestSmoothed(t *testing.T) {
	for name, least := range map[string]int{
		"gpt2.lm": 4, "deit.model": 2, "llama.llama3": 1, "qwen2.lm": 2, "clip.model": 2, "siglip.model": 1, "t5.gated": 3, "hubert.ctc": 1,
		"mixtral.lm": 1, "bert.model": 0, "wav2vec2.adapter": 0, // these normalize the residual itself
	} {
		t.Run(name, func(t *testing.T) {
			d, err := hub.OpenDir(golden + name)
			if err != nil {
				t.Fatal(err)
			}
			in := sample(t, name)
			tmp, norms, err := smoothed(context.Background(), d, filepath.Join(t.TempDir(), "x"), Options{Smooth: 0.5, Samples: []weft.Inputs{in}})
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(tmp)
			t.Log(norms, "norms")
			if norms < least {
				t.Errorf("%d norms, want %d or more", norms, least)
			}
			want, got := outputs(t, golden+name, in), outputs(t, tmp, in)
			for i, w := range want {
				if w.DType() == tensor.F32 && !slices.Equal(w.F32(), got[i].F32()) {
					t.Errorf("%s differs", w.Name)
				}
			}
		})
	}
}

// TestSmoothGains: with channels of large inputs a smoothed model is nearer to
// the float32 one.
func TestSmoothGains(t *testing.T) {
	for _, name := range []string{"gpt2.lm", "deit.model"} {
		t.Run(name, func(t *testing.T) {
			src, in := plant(t, golden+name), sample(t, name)
			want := outputs(t, src, in)
			var off [2]float64
			for i, alpha := range []float64{0, 0.5} {
				dst := filepath.Join(t.TempDir(), "new")
				r, err := Dir(context.Background(), src, dst, Options{Scheme: kernels.W8A8, Smooth: alpha, Samples: []weft.Inputs{in}})
				if err != nil {
					t.Fatal(err)
				}
				if (r.Smoothed > 0) != (alpha > 0) {
					t.Errorf("%d norms smoothed with %v", r.Smoothed, alpha)
				}
				off[i] = 1 - cosine([]weft.Outputs{outputs(t, dst, in)}, []weft.Outputs{want})
			}
			t.Logf("cosine %.6f, smoothed %.6f", 1-off[0], 1-off[1])
			if off[1] > off[0]/3 {
				t.Errorf("1-cosine is %.3g, smoothed %.3g", off[0], off[1])
			}
		})
	}
}

func TestScaleBits(t *testing.T) {
	for _, c := range []struct {
		v    float32
		k    int
		want float32
		ok   bool
	}{
		{1.5, 3, 12, true}, {-1.5, -3, -0.1875, true}, {0, 9, 0, true}, {float32(math.Inf(-1)), 2, float32(math.Inf(-1)), true},
		{1e38, 3, 1e38, false}, {1e-37, -10, 1e-37, false}, {1e-40, 1, 1e-40, false},
	} {
		got, ok := scaleBits(uint64(math.Float32bits(c.v)), c.k, 8, 23)
		if f := math.Float32frombits(uint32(got)); f != c.want || ok != c.ok {
			t.Errorf("%v·2^%d: %v, %v", c.v, c.k, f, ok)
		}
	}
	if v, ok := scaleBits(0x3c00, -14, 5, 10); v != 0x0400 || !ok {
		t.Errorf("2^-14 in 16 bits: %#x, %v", v, ok)
	}
	if _, ok := scaleBits(0x3c00, -15, 5, 10); ok {
		t.Error("2^-15 is not normal in 16 bits")
	}
}
