package gpt_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/gpt"
	"github.com/seed-512d3d71/weft/tensor"
)

func open(tb testing.TB, threads int) *gpt.Model {
	tb.Helper()
	c := golden.Open(tb, filepath.Join(golden.Root(tb), "testdata", "golden", "gpt2.lm"))
	m, err := gpt.Load(c.Config, c.Class, c.Params(tb, threads))
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// ids returns n ids of a sequence.
func ids(seed, n int) []int32 {
	out := make([]int32, n)
	for i := range out {
		out[i] = int32((seed*31 + i*i*7 + i*3) % 60)
	}
	return out
}

// uncached returns the logits after the last of a sequence's ids, by one pass
// over all.
func uncached(tb testing.TB, m *gpt.Model, seq []int32) []float32 {
	tb.Helper()
	list := make([]int64, len(seq))
	for i, id := range seq {
		list[i] = int64(id)
	}
	out, err := m.Run(tb.Context(), nn.Inputs{"input_ids": tensor.FromI64(list, 1, len(list))}, nn.RunOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	logits := out.Get("logits")
	return logits.F32()[(len(seq)-1)*logits.Cols():]
}

func sameBits(t *testing.T, what string, got, want []float32) {
	t.Helper()
	for i, v := range want {
		if math.Float32bits(v) != math.Float32bits(got[i]) {
			t.Fatalf("%s: element %d is %v, want %v", what, i, got[i], v)
		}
	}
}

// TestCachedBits: with a cache, in a batch of other lengths, after beams were
// split, joined and left out, the logits are those of one pass over a
// sequence's tokens, to the bit.
func TestCachedBits(t *testing.T) {
	for _, isa := range kernels.ISAs() {
		t.Run(isa, func(t *testing.T) {
			kernels.Use(t, isa)
			if isa == "ref" { // slow
				cachedBits(t, 10, 1)
			} else {
				cachedBits(t, 30, 1, 3)
			}
		})
	}
}

func cachedBits(t *testing.T, steps int, threads ...int) {
	for _, threads := range threads {
		m := open(t, threads)
		d := m.NewDecoder()
		seqs := [][]int32{ids(1, 5), ids(2, 31), ids(3, 1), ids(4, 33)}
		logits, err := d.Prefill(t.Context(), nn.Prompt{IDs: seqs})
		if err != nil {
			t.Fatal(err)
		}
		for step := range steps {
			for s, seq := range seqs {
				sameBits(t, "cached", logits.SliceRows(s, s+1).F32(), uncached(t, m, seq))
			}
			var from []int32
			switch step {
			case 3:
				from = []int32{1, 1, 0, 3, 3}
			case 9:
				from = []int32{4, 0, 2}
			case 15:
				from = []int32{1, 0, 1}
			}
			if from != nil {
				d.Reorder(from)
				old := seqs
				seqs = nil
				for _, s := range from {
					seqs = append(seqs, append([]int32(nil), old[s]...))
				}
			}
			next := make([]int32, len(seqs))
			for s := range seqs {
				next[s] = int32((step*13 + s*7) % 60)
				seqs[s] = append(seqs[s], next[s])
			}
			if logits, err = d.Step(t.Context(), next); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestResume: keys and values that are handed in, and a sequence that is cut.
func TestResume(t *testing.T) {
	m := open(t, 1)
	d := m.NewDecoder().(nn.Resumer)
	seq := ids(5, 20)
	if _, err := d.Prefill(t.Context(), nn.Prompt{IDs: [][]int32{seq}}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		d.Cut(10)
		logits, err := d.Step(t.Context(), seq[10:11])
		if err != nil {
			t.Fatal(err)
		}
		sameBits(t, "after a cut", logits.F32(), uncached(t, m, seq[:11]))
	}
	if err := d.Resume(t.Context(), nil); !errors.Is(err, nn.ErrInput) {
		t.Error(err)
	}
	past := make([]tensor.Tensor, 2*m.Transformer.Config.NLayer)
	for i := range past {
		past[i] = tensor.FromF32(make([]float32, 2*4*3*8), 2, 4, 3, 8)
	}
	if err := d.Resume(t.Context(), past); err != nil {
		t.Fatal(err)
	}
	if logits, err := d.Step(t.Context(), []int32{1, 2}); err != nil || logits.Rows() != 2 {
		t.Error(logits, err)
	}
	past[3] = tensor.FromF32(make([]float32, 2*4*3*8), 2, 4, 8, 3)
	if err := d.Resume(t.Context(), past); !errors.Is(err, nn.ErrInput) {
		t.Error(err)
	}
}

// TestStepAllocations: a token allocates nothing on the Go heap.
func TestStepAllocations(t *testing.T) {
	d := open(t, 1).NewDecoder()
	if _, err := d.Prefill(t.Context(), nn.Prompt{IDs: [][]int32{ids(1, 3), ids(2, 5)}, Room: 128}); err != nil {
		t.Fatal(err)
	}
	next := []int32{1, 2}
	step := func() {
		if _, err := d.Step(context.Background(), next); err != nil {
			t.Fatal(err)
		}
	}
	for range 4 {
		step()
	}
	if n := testing.AllocsPerRun(40, step); n != 0 && !ktest.Race {
		t.Errorf("%v allocations a token", n)
	}
}

func TestCancelled(t *testing.T) {
	d := open(t, 1).NewDecoder()
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := d.Prefill(ctx, nn.Prompt{IDs: [][]int32{ids(1, 3)}}); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := d.Step(ctx, []int32{1}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestNotFinite: logits that are no numbers are an error that names the weight.
func TestNotFinite(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(golden.Root(t), "testdata", "golden", "gpt2.lm"))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "model.safetensors")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[len(b)-2:], "\xc0\x7f") // a NaN at the end of the last tensor
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	c := golden.Open(t, dir)
	m, err := gpt.Load(c.Config, c.Class, c.Params(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.NewDecoder().Prefill(t.Context(), nn.Prompt{IDs: [][]int32{{59, 60}}})
	if !errors.Is(err, nn.ErrNotFinite) || !strings.Contains(err.Error(), "transformer.") {
		t.Error(err)
	}
}

// TestBadTokens: what a caller may get wrong is an error.
func TestBadTokens(t *testing.T) {
	d := open(t, 1).NewDecoder()
	for _, ids := range [][][]int32{{{61}}, {{-1}}, {{1}, {}}, {make([]int32, 65)}} {
		if _, err := d.Prefill(t.Context(), nn.Prompt{IDs: ids}); !errors.Is(err, nn.ErrInput) {
			t.Errorf("%v: %v", ids, err)
		}
	}
	if _, err := d.Prefill(t.Context(), nn.Prompt{IDs: [][]int32{make([]int32, 64)}}); err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][]int32{{1}, {}, {1, 2}} { // the positions are used up
		if _, err := d.Step(t.Context(), ids); !errors.Is(err, nn.ErrInput) {
			t.Errorf("%v: %v", ids, err)
		}
	}
}
