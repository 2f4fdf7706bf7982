package golden

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// CachedBits checks of the named golden folders' models that their decoders
// give, with a cache, in a batch of other lengths, after beams were split,
// joined and left out, the logits of one pass over a sequence's tokens, to the
// bit.
func CachedBits(t *testing.T, load LoadFunc, names ...string) {
	t.Helper()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			c := Open(t, filepath.Join(Root(t), "testdata", "golden", name))
			m, err := load(c.Config, c.Class, c.Params(t, 2))
			if err != nil {
				t.Fatal(err)
			}
			g := m.(nn.Generator)
			checkDecoder(t, c, g, g, 0)
		})
	}
}

// StepAllocations checks that a decoder of the named golden folder's model
// allocates nothing on the Go heap for a token.
func StepAllocations(t *testing.T, load LoadFunc, name string) {
	t.Helper()
	c := Open(t, filepath.Join(Root(t), "testdata", "golden", name))
	m, err := load(c.Config, c.Class, c.Params(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	g := m.(nn.Generator)
	prompt := nn.Prompt{IDs: [][]int32{{1, 2, 3}, {4, 5, 6}}, Room: 256, Inputs: encoderInputs(c, g)}
	d := g.NewDecoder()
	if _, err := d.Prefill(t.Context(), prompt); err != nil {
		t.Fatal(err)
	}
	ctx, next := t.Context(), []int32{7, 8}
	step := func() {
		if _, err := d.Step(ctx, next); err != nil {
			t.Fatal(err)
		}
	}
	for range 40 { // tables grow and experts are bound
		step()
	}
	if n := testing.AllocsPerRun(20, step); n > 0 && !ktest.Race {
		t.Errorf("%s: %v allocations a token", name, n)
	}
}

// encoderInputs returns the case's inputs that an encoder reads.
func encoderInputs(c *Case, m nn.Generator) nn.Inputs {
	if !m.DecoderInfo().Encoder {
		return nil
	}
	in := nn.Inputs{}
	for name, x := range c.Inputs {
		if !strings.HasPrefix(name, "decoder_") {
			in[name] = x
		}
	}
	return in
}

// grown is a sequence that has been generated; row is that of its prompt.
type grown struct {
	row int
	ids []int32
}

// checkDecoder compares the logits of m's decoder with those of passes of ref
// over all of a sequence. tol is as Compare has it; 0: to the bit.
func checkDecoder(t *testing.T, c *Case, m, ref nn.Generator, tol float64) {
	info := m.DecoderInfo()
	id := func(seed, i int) int32 { return int32((seed*31 + i*i*7 + i*3) % info.VocabSize) }
	lengths := []int{5, 31, 1, 33}
	prompt := nn.Prompt{Inputs: encoderInputs(c, m)}
	if info.Encoder {
		lengths = lengths[:prompt.Inputs[info.Input].Dim(0)]
	}
	var seqs []grown
	for row, n := range lengths {
		g := grown{row: row}
		for i := range n {
			g.ids = append(g.ids, id(row, i))
		}
		seqs = append(seqs, g)
		prompt.IDs = append(prompt.IDs, g.ids)
	}
	last := len(seqs) - 1
	d := m.NewDecoder()
	logits, err := d.Prefill(t.Context(), prompt)
	if err != nil {
		t.Fatal(err)
	}
	for step := range 12 {
		for s, g := range seqs {
			want := uncached(t, c, ref, g)
			got := logits.SliceRows(s, s+1)
			if tol > 0 {
				w := Tensor{Name: fmt.Sprintf("step %d: sequence %d: logits", step, s), Tensor: tensor.FromF32(want, 1, len(want))}
				if err := Compare(got, w, tol); err != nil {
					t.Fatal(err)
				}
				continue
			}
			for i, v := range got.F32() {
				if math.Float32bits(v) != math.Float32bits(want[i]) {
					t.Fatalf("step %d: sequence %d: logit %d is %v, without a cache %v", step, s, i, v, want[i])
				}
			}
		}
		var from []int32
		switch step {
		case 3:
			from = []int32{1, 1, 0, int32(last), int32(last)}
		case 6:
			from = []int32{4, 0, 2}
		case 9:
			from = []int32{1, 0, 1}
		}
		if from != nil {
			d.Reorder(from)
			old := seqs
			seqs = nil
			for _, s := range from {
				seqs = append(seqs, grown{old[s].row, append([]int32(nil), old[s].ids...)})
			}
		}
		next := make([]int32, len(seqs))
		for s := range seqs {
			next[s] = id(step+s, s)
			seqs[s].ids = append(seqs[s].ids, next[s])
		}
		if logits, err = d.Step(t.Context(), next); err != nil {
			t.Fatal(err)
		}
	}
}

// uncached returns the logits after the last token of a sequence, by one pass
// over all of it.
func uncached(t *testing.T, c *Case, m nn.Generator, g grown) []float32 {
	list := make([]int64, len(g.ids))
	for i, id := range g.ids {
		list[i] = int64(id)
	}
	in, name := nn.Inputs{}, "input_ids"
	if m.DecoderInfo().Encoder {
		name = "decoder_input_ids"
		for k, x := range rowOf(c.Inputs, g.row) {
			if !strings.HasPrefix(k, "decoder_") {
				in[k] = x
			}
		}
	}
	in[name] = tensor.FromI64(list, 1, len(list))
	out, err := m.Run(t.Context(), in, nn.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	logits := out.Get("logits")
	return logits.F32()[(len(list)-1)*logits.Cols():]
}
