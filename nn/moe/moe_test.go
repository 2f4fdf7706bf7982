package moe_test

import (
	"fmt"
	"math"
	"math/rand"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// checkpoint holds the random weights of gated experts, as Mixtral names them.
type checkpoint struct {
	experts, width, inner int
	data                  map[string][]float32
	file                  *safetensors.File
}

func newCheckpoint(tb testing.TB, experts, width, inner int) *checkpoint {
	tb.Helper()
	c := &checkpoint{experts: experts, width: width, inner: inner, data: map[string][]float32{}}
	var entries []safetensors.Entry
	add := func(name string, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		r := rand.New(rand.NewSource(int64(len(entries))))
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64() / math.Sqrt(float64(shape[len(shape)-1])))
		}
		c.data[name] = x
		entries = append(entries, safetensors.F32Entry(name, x, shape...))
	}
	add("gate.weight", experts, width)
	add("shared_gate.weight", 1, width)
	for _, e := range append(numbered(experts), "shared") {
		add(e+".w1.weight", inner, width)
		add(e+".w3.weight", inner, width)
		add(e+".w2.weight", width, inner)
	}
	path := filepath.Join(tb.TempDir(), "model.safetensors")
	if err := safetensors.WriteFile(path, entries, nil); err != nil {
		tb.Fatal(err)
	}
	var err error
	if c.file, err = safetensors.Open(path); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.file.Close() })
	return c
}

func numbered(experts int) []string {
	var out []string
	for e := range experts {
		out = append(out, fmt.Sprintf("experts.%d", e))
	}
	return out
}

var names = moe.Names{Gate: "w1", Up: "w3", Down: "w2"}

func (c *checkpoint) layer(tb testing.TB, threads int, r moe.Router, shared bool) (*moe.Layer, nn.Backend) {
	tb.Helper()
	cpu, err := nn.NewCPU(threads)
	if err != nil {
		tb.Fatal(err)
	}
	p := nn.NewParams(c.file, cpu, "test")
	s := moe.Sizes{Experts: c.experts, Width: c.width, Inner: c.inner, Act: kernels.ActSiLU}
	l := &moe.Layer{Router: r, Experts: moe.Load(p, "experts.%d", names, s)}
	l.Router.Gate = p.Linear("gate", c.width, c.experts, false)
	if shared {
		l.Shared = moe.NewExpert(p.Sub("shared"), names, s)
		l.SharedGate = p.Linear("shared_gate", c.width, 1, false)
	}
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	if err := l.Router.Check(c.experts); err != nil {
		tb.Fatal(err)
	}
	return l, cpu
}

func run(tb testing.TB, l *moe.Layer, b nn.Backend, x []float32, width int, groups []int32) []float32 {
	tb.Helper()
	p := b.Begin(tb.Context())
	defer p.End()
	in := p.Floats(x, len(x)/width, width)
	dst := p.New(in.Rows(), width)
	l.Forward(p, dst, in, in, groups)
	if err := p.Err(); err != nil {
		tb.Fatal(err)
	}
	return slices.Clone(dst.F32())
}

func random(n int) []float32 {
	r := rand.New(rand.NewSource(int64(n)))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// matVec is w·x in float64.
func matVec(w []float32, x []float64) []float64 {
	out := make([]float64, len(w)/len(x))
	for i := range out {
		for j, v := range x {
			out[i] += float64(w[i*len(x)+j]) * v
		}
	}
	return out
}

func (c *checkpoint) expert(name string, x []float64) []float64 {
	gate, up := matVec(c.data[name+".w1.weight"], x), matVec(c.data[name+".w3.weight"], x)
	for i, g := range gate {
		up[i] *= g / (1 + math.Exp(-g))
	}
	return matVec(c.data[name+".w2.weight"], up)
}

func softmax(x []float64) []float64 {
	out, sum := make([]float64, len(x)), 0.0
	for i, v := range x {
		out[i] = math.Exp(v - slices.Max(x))
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

// want is the layer as its documentation states it, token by token.
func (c *checkpoint) want(x []float32, r moe.Router, groups []int32, shared bool) [][]float64 {
	rows := len(x) / c.width
	weights := make([][]float64, rows) // [rows][experts], 0: not sent
	probs, inputs := make([][]float64, rows), make([][]float64, rows)
	for i := range rows {
		inputs[i] = make([]float64, c.width)
		for j := range inputs[i] {
			inputs[i][j] = float64(x[i*c.width+j])
		}
		logits := matVec(c.data["gate.weight"], inputs[i])
		probs[i], weights[i] = softmax(logits), make([]float64, c.experts)
		order := make([]int, c.experts)
		for e := range order {
			order[e] = e
		}
		slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, logits[b]-logits[a])) })
		if r.Policy == moe.ExpertChoice {
			continue
		}
		sum := 0.0
		for _, e := range order[:r.TopK] {
			sum += probs[i][e]
		}
		if r.Policy == moe.SoftmaxTopK && !r.Normalize {
			sum = 1
		}
		for _, e := range order[:r.TopK] {
			weights[i][e] = probs[i][e] / sum
		}
	}
	for g := range len(groups) - 1 {
		for e := range c.experts {
			var order []int
			for i := int(groups[g]); i < int(groups[g+1]); i++ {
				if r.Policy == moe.ExpertChoice || weights[i][e] > 0 {
					order = append(order, i)
				}
			}
			if r.Policy == moe.ExpertChoice {
				slices.SortStableFunc(order, func(a, b int) int { return int(math.Copysign(1, probs[b][e]-probs[a][e])) })
				for _, i := range order[:min(r.Capacity, len(order))] {
					weights[i][e] = probs[i][e]
				}
			} else if r.Capacity > 0 {
				for _, i := range order[min(r.Capacity, len(order)):] {
					weights[i][e] = 0
				}
			}
		}
	}
	out := make([][]float64, rows)
	for i := range out {
		out[i] = slices.Clone(inputs[i]) // the residual
		add := func(name string, weight float64) {
			for j, v := range c.expert(name, inputs[i]) {
				out[i][j] += weight * v
			}
		}
		for e, w := range weights[i] {
			if w > 0 {
				add(fmt.Sprintf("experts.%d", e), w)
			}
		}
		if shared {
			add("shared", 1/(1+math.Exp(-matVec(c.data["shared_gate.weight"], inputs[i])[0])))
		}
	}
	return out
}

func TestRouters(t *testing.T) {
	c := newCheckpoint(t, 5, 12, 9)
	const rows = 23
	x := random(rows * c.width)
	groups := []int32{0, 9, 10, 10, rows}
	for _, test := range []struct {
		name   string
		r      moe.Router
		shared bool
	}{
		{"top 2", moe.Router{TopK: 2}, false},
		{"top 2 normalized", moe.Router{TopK: 2, Normalize: true}, false},
		{"all", moe.Router{TopK: 5}, false},
		{"softmax of the top 3", moe.Router{TopK: 3, Policy: moe.TopKSoftmax}, false},
		{"switch", moe.Router{TopK: 1}, false},
		{"switch with capacity", moe.Router{TopK: 1, Capacity: 2}, false},
		{"top 3 with capacity", moe.Router{TopK: 3, Capacity: 4}, true},
		{"expert choice", moe.Router{Policy: moe.ExpertChoice, Capacity: 3}, false},
		{"shared expert", moe.Router{TopK: 2}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			l, b := c.layer(t, 2, test.r, test.shared)
			got := run(t, l, b, x, c.width, groups)
			for i, row := range c.want(x, test.r, groups, test.shared) {
				for j, w := range row {
					if g := float64(got[i*c.width+j]); math.Abs(g-w) > 1e-5*(1+math.Abs(w)) {
						t.Fatalf("token %d: element %d is %v, want %v", i, j, g, w)
					}
				}
			}
			if test.r.Capacity > 0 {
				return // tokens of a group depend on each other
			}
			one, b1 := c.layer(t, 1, test.r, test.shared)
			for i := range rows {
				alone := run(t, one, b1, x[i*c.width:(i+1)*c.width], c.width, nil)
				if !slices.Equal(alone, got[i*c.width:(i+1)*c.width]) {
					t.Fatalf("token %d has other bits alone", i)
				}
			}
		})
	}
}

func TestTopK(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		scores []float32
		want   []int32
	}{
		{[]float32{1, 3, 2}, []int32{1, 2}},
		{[]float32{2, 2, 2}, []int32{0, 1}},
		{[]float32{1, nan, 2, nan}, []int32{1, 3}},
		{[]float32{float32(math.Inf(-1)), -1}, []int32{1, 0}},
		{[]float32{5}, []int32{0}},
	} {
		index := make([]int32, len(c.want))
		moe.TopK(index, make([]float32, len(c.want)), c.scores)
		if !slices.Equal(index, c.want) {
			t.Errorf("%v: %v, want %v", c.scores, index, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, r := range []moe.Router{
		{}, {TopK: 9}, {TopK: -1}, {TopK: 1, Policy: 7}, {TopK: 1, Capacity: -1}, {Policy: moe.ExpertChoice},
	} {
		if r.Check(8) == nil {
			t.Errorf("%+v: no error", r)
		}
	}
}

// TestLazy: only experts that a token reaches are bound, whatever calls run at
// the same time, and the cost of a call is theirs.
func TestLazy(t *testing.T) {
	c := newCheckpoint(t, 16, 12, 9)
	l, b := c.layer(t, 1, moe.Router{TopK: 2}, false)
	if n := l.Bound(); n != 0 {
		t.Fatalf("%d experts bound before the first token", n)
	}
	x := random(3 * c.width)
	want := c.want(x, l.Router, []int32{0, 3}, false)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got := run(t, l, b, x, c.width, nil)
			for i := range got {
				if w := want[i/c.width][i%c.width]; math.Abs(float64(got[i])-w) > 1e-5*(1+math.Abs(w)) {
					t.Errorf("element %d is %v, want %v", i, got[i], w)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := l.Bound(); n < 2 || n > 6 {
		t.Errorf("%d experts bound by 3 tokens of 2 experts each", n)
	}
}

// TestClosed: weights that are gone when a token first reaches them are an
// error of the call.
func TestClosed(t *testing.T) {
	c := newCheckpoint(t, 4, 8, 8)
	l, b := c.layer(t, 1, moe.Router{TopK: 1}, false)
	c.file.Close()
	p := b.Begin(t.Context())
	defer p.End()
	x := p.Floats(random(8), 1, 8)
	l.Forward(p, p.New(1, 8), x, tensor.Tensor{}, nil)
	if p.Err() == nil {
		t.Error("no error")
	}
}

func TestLoadErrors(t *testing.T) {
	c := newCheckpoint(t, 4, 8, 6)
	for name, s := range map[string]moe.Sizes{
		"test: experts.4.w1.weight: missing from the checkpoint":    {Experts: 5, Width: 8, Inner: 6},
		"test: experts.3: in a model of 3 experts":                  {Experts: 3, Width: 8, Inner: 6},
		"test: experts.0.w1.weight: shape [6 8], want [7 8]":        {Experts: 4, Width: 8, Inner: 7},
		"test: experts.0.w1.weight: shape [6 8], want [6 16777216]": {Experts: 4, Width: 1 << 24, Inner: 6},
	} {
		cpu, _ := nn.NewCPU(1)
		p := nn.NewParams(c.file, cpu, "test")
		moe.Load(p, "experts.%d", names, s)
		if err := p.Err(); err == nil || len(err.Error()) < len(name) || err.Error()[:len(name)] != name {
			t.Errorf("%+v: %v, want %s", s, err, name)
		}
	}
}

// TestAllocations: a layer whose experts are bound allocates nothing.
func TestAllocations(t *testing.T) {
	c := newCheckpoint(t, 4, 16, 16)
	l, b := c.layer(t, 1, moe.Router{TopK: 2, Normalize: true}, true)
	x := random(6 * c.width)
	ctx := t.Context()
	call := func() {
		p := b.Begin(ctx)
		in := p.Floats(x, 6, c.width)
		l.Forward(p, p.New(6, c.width), in, in, nil)
		p.End()
	}
	call()
	if n := testing.AllocsPerRun(20, call); n > 0 && !ktest.Race {
		t.Errorf("%v allocations a call", n)
	}
}
