package wav2vec_test

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/wav2vec"
	"github.com/seed-512d3d71/weft/tensor"
)

func load(c *hfconfig.Config, class string, p nn.Params) (nn.Model, error) {
	m, err := wav2vec.Load(c, class, p)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func TestGolden(t *testing.T) {
	golden.Run(t, load, "wav2vec2", "hubert")
}

func TestRowsAlone(t *testing.T) {
	golden.RunAlone(t, load, "wav2vec2.stable", "wav2vec2.ctc", "hubert.ctc")
}

// TestRagged: with the argument ragged a padded batch gives each sound the bits
// that it has alone, also where a norm runs over time.
func TestRagged(t *testing.T) {
	for _, name := range []string{"wav2vec2.group", "wav2vec2.stable", "hubert.model"} {
		dir := filepath.Join(golden.Root(t), "testdata", "golden", name)
		c := golden.Open(t, dir)
		m, err := load(c.Config, c.Class, c.Params(t, 2))
		if err != nil {
			t.Fatal(name, err)
		}
		long := c.Inputs["input_values"]
		s := long.Dim(1)
		lengths := []int{s, 2 * s / 3, s / 2}
		var data []float32
		var mask []int64
		for _, n := range lengths {
			data = append(append(data, long.F32()[:n]...), slices.Repeat([]float32{9}, s-n)...)
			mask = append(append(mask, slices.Repeat([]int64{1}, n)...), make([]int64, s-n)...)
		}
		o := nn.RunOptions{Set: map[string]json.RawMessage{"ragged": json.RawMessage("true")}}
		in := nn.Inputs{"input_values": tensor.FromF32(data, 3, s), "attention_mask": tensor.FromI64(mask, 3, s)}
		got, err := m.Run(t.Context(), in, o)
		if err != nil {
			t.Fatal(name, err)
		}
		x, frames := got.Get("last_hidden_state"), got.Get("frames").I64()
		for i, n := range lengths {
			alone, err := m.Run(t.Context(), nn.Inputs{"input_values": tensor.FromF32(long.F32()[:n], 1, n)}, nn.RunOptions{})
			if err != nil {
				t.Fatal(name, err)
			}
			want := alone.Get("last_hidden_state")
			rows := x.F32()[i*x.Dim(1)*x.Cols():][:x.Dim(1)*x.Cols()]
			if int(frames[i]) != want.Dim(1) || !slices.Equal(rows[:want.Len()], want.F32()) {
				t.Errorf("%s: sound %d of %d samples differs from itself alone (%d frames, want %d)", name, i, n, frames[i], want.Dim(1))
			}
		}
		for _, bad := range [][]int64{{1, 0, 1}, {0, 0, 0}} {
			clear(mask)
			copy(mask, bad)
			if _, err := m.Run(t.Context(), in, o); !errors.Is(err, nn.ErrInput) {
				t.Errorf("%s: mask %v…: %v", name, bad, err)
			}
		}
	}
}

func TestGoldenCUDA(t *testing.T) { golden.RunCUDA(t, load, "wav2vec2", "hubert") }

func TestBF16CUDA(t *testing.T) { golden.CUDAInBF16(t, load, []int{80}, "wav2vec2.ctc") }
