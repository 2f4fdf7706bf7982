package demo_test

import (
	"fmt"
	"io/fs"
	"math"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/demo"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/task/match"
	"github.com/seed-512d3d71/weft/tensor"
)

// tolerance bounds the difference of an element from what PyTorch gives.
const tolerance = 2e-4

// reference is a file of what PyTorch and Transformers make of the samples with
// the model as it is carried (train/demo/samples.py): KIND.NAME.embedding before
// normalisation, .caption (ids), and the first values of the model's inputs.
type reference struct {
	t *testing.T
	f *safetensors.File
}

func (r reference) ids(name string) []int {
	r.t.Helper()
	x, ok := r.f.Lookup(name)
	if !ok {
		r.t.Fatalf("%s: missing", name)
	}
	v, err := x.Int64()
	if err != nil {
		r.t.Fatal(err)
	}
	out := make([]int, len(v))
	for i, id := range v {
		out[i] = int(id)
	}
	return out
}

// check compares the beginning of got with a reference.
func (r reference) check(name string, got []float32) {
	r.t.Helper()
	x, ok := r.f.Lookup(name)
	if !ok {
		r.t.Fatalf("%s: missing", name)
	}
	want, err := x.Float32()
	if err != nil {
		r.t.Fatal(err)
	}
	if len(want) > len(got) || len(want) == 0 {
		r.t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d <= tolerance) {
			r.t.Errorf("%s: element %d is %v, want %v", name, i, got[i], w)
			return
		}
	}
}

// TestGolden: what the model makes of every sample is what PyTorch makes of it,
// from the file on.
func TestGolden(t *testing.T) {
	f, err := safetensors.Open("testdata/golden.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := reference{t, f}
	m, err := demo.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	ctx, seen := t.Context(), map[match.Kind]int{}
	files, err := fs.Glob(demo.Samples(), "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		b, err := fs.ReadFile(demo.Samples(), file)
		if err != nil {
			t.Fatal(err)
		}
		items, err := match.Decode(file, b)
		if err != nil {
			t.Fatal(file, err)
		}
		name, _, _ := strings.Cut(file, ".")
		for i, item := range items {
			seen[item.Kind()]++
			var x tensor.Tensor
			key := "image." + name
			switch item.Kind() {
			case match.Text:
				key = fmt.Sprintf("text.%d", i)
				x, err = m.TextFeatures(ctx, item.Text)
			case match.Image:
				p, e := m.ImageProcessor()
				if e != nil {
					t.Fatal(e)
				}
				pixels, _, e := p.Process(item.Image)
				if e != nil {
					t.Fatal(file, e)
				}
				r.check(key+".pixel_values", pixels)
				x, err = m.ImageFeatures(ctx, item.Image)
			case match.Sound:
				key = "speech." + name
				p, e := m.FeatureExtractor()
				if e != nil {
					t.Fatal(e)
				}
				_, samples, _, e := p.Process(item.Sound)
				if e != nil {
					t.Fatal(file, e)
				}
				r.check(key+".input_values", samples)
				x, err = m.SpeechFeatures(ctx, item.Sound)
			}
			if err != nil {
				t.Fatal(item.Name, err)
			}
			r.check(key+".embedding", x.F32())
			if item.Kind() == match.Text {
				continue
			}
			said, err := m.Captions(ctx, item)
			if err != nil {
				t.Fatal(file, err)
			}
			want, err := tok.Decode(r.ids(key+".caption"), true)
			if err != nil {
				t.Fatal(err)
			}
			if said[0] != want {
				t.Errorf("%s: %q, want %q", file, said[0], want)
			}
		}
	}
	if len(seen) != 3 {
		t.Errorf("samples by kind: %v", seen)
	}
}
