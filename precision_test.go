package weft_test

import (
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

// TestPrecisionBF16 compares whole models in bfloat16 with float32, on the
// CPU's instructions and on ref: every output is to point the same way.
func TestPrecisionBF16(t *testing.T) {
	dirs, err := filepath.Glob("testdata/golden/*/config.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden folders (%v)", err)
	}
	for _, isa := range []string{kernels.ISAs()[0], kernels.ISARef} {
		t.Run(isa, func(t *testing.T) {
			kernels.Use(t, isa)
			if err := kernels.PrecisionBF16.Check(); err != nil {
				t.Skip(err)
			}
			for _, dir := range dirs {
				c := golden.Open(t, filepath.Dir(dir))
				t.Run(filepath.Base(c.Dir), func(t *testing.T) {
					want, got := outputsIn(t, c, "f32"), outputsIn(t, c, "bf16")
					changed := false
					for i, o := range want {
						if o.DType() != tensor.F32 || len(o.F32()) == 0 || o.Name == "projected_quantized_states" {
							continue // the last is chosen, and another choice is far away
						}
						a, b := o.F32(), got[i].F32()
						if len(a) != len(b) {
							continue // tokens were chosen otherwise
						}
						var dot, aa, bb float64
						for j := range a {
							if math.IsInf(float64(a[j]), 0) || math.IsNaN(float64(a[j])) {
								continue
							}
							changed = changed || a[j] != b[j]
							dot += float64(a[j]) * float64(b[j])
							aa += float64(a[j]) * float64(a[j])
							bb += float64(b[j]) * float64(b[j])
						}
						if cos := dot / math.Sqrt(aa*bb); !(cos >= 0.999) && aa > 0 {
							t.Errorf("%s: cosine %.6f", o.Name, cos)
						}
					}
					if !changed {
						t.Error("nothing is computed in bfloat16")
					}
				})
			}
		})
	}
}

func outputsIn(t *testing.T, c *golden.Case, precision string) weft.Outputs {
	t.Helper()
	m, err := weft.Open(c.Dir, weft.WithClass(c.Class), weft.WithPrecision(precision))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out, err := m.Run(t.Context(), c.Inputs, weft.RunOptions{Set: c.Set, HiddenStates: true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPrecisionUnsupported: a name that is none, and a CPU that lacks the
// instructions, are errors of Open.
func TestPrecisionUnsupported(t *testing.T) {
	dir := filepath.Join("testdata", "golden", "bert.model")
	if _, err := weft.Open(dir, weft.WithPrecision("fp8")); !errors.Is(err, weft.ErrUnsupported) || !strings.Contains(err.Error(), "fp8") {
		t.Errorf("fp8: %v", err)
	}
	for _, isa := range kernels.ISAs() {
		t.Run(isa, func(t *testing.T) {
			kernels.Use(t, isa)
			want := kernels.PrecisionBF16.Check()
			m, err := weft.Open(dir, weft.WithPrecision("bf16"))
			if err == nil {
				m.Close()
			}
			if (want == nil) != (err == nil) || err != nil && (!errors.Is(err, weft.ErrUnsupported) || !strings.Contains(err.Error(), want.Error())) {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
}
