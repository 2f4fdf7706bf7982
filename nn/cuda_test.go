package nn_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ptx"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// newCUDA returns a backend on a device that interprets kernels, which must get
// everything back.
func newCUDA(t testing.TB, memory int) (*nn.CUDA, *ptx.GPU) {
	t.Helper()
	gpu := ptx.NewGPU(80, memory)
	b, err := nn.NewCUDA(gpu)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if leaks := gpu.Leaks(); leaks != "" {
			t.Error("not given back: " + leaks)
		}
	})
	return b, gpu
}

func random(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = rng.Float32()*2 - 1
	}
	return x
}

// network is a few operations of each kind, for any backend.
type network struct {
	up, down     nn.Linear
	conv         nn.Conv
	gain, bias   tensor.Tensor
	table, shift tensor.Tensor
}

const width, inner, vocabulary = 24, 40, 50

func newNetwork(t testing.TB, b nn.Backend) *network {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	var n network
	var errs [7]error
	n.up.W, errs[0] = b.Matrix("up", nn.MatrixPart{Data: random(rng, width*inner/2), Out: inner / 2, In: width}, nn.MatrixPart{Data: random(rng, width*inner/2), Out: inner / 2, In: width})
	n.down.W, errs[1] = b.Matrix("down", nn.MatrixPart{Data: random(rng, width*inner), Out: width, In: inner, Transposed: true})
	n.conv, errs[2] = b.Conv1D("conv", random(rng, width*width/2*3), width, width, 3, 2)
	n.gain, errs[3] = b.Vector("gain", random(rng, width), 1, width)
	n.bias, errs[4] = b.Vector("bias", random(rng, width), 1, width)
	n.table, errs[5] = b.Vector("table", random(rng, vocabulary*width), vocabulary, width)
	n.shift, errs[6] = b.Vector("shift", random(rng, width), 1, width)
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
	return &n
}

// forward goes over every operation of Pass at least once.
func (n *network) forward(p nn.Pass, ids []int32, angles []float32) tensor.Tensor {
	rows := len(ids)
	positions := make([]int32, rows)
	for i := range positions {
		positions[i] = int32(i % (len(angles) / 4))
	}
	x := p.New(rows, width)
	p.Embedding(x, p.Ints(ids), n.table, false)
	p.Embedding(x, p.Ints(positions), n.table, true)
	mark := p.Mark()
	h := p.New(rows, inner+8).SliceCols(0, inner)
	p.Linear(h, x, n.up.W, nn.Epilogue{Act: kernels.ActGELU})
	y := p.New(rows, width)
	p.Linear(y, h, n.down.W, nn.Epilogue{Bias: n.bias, Residual: x})
	p.LayerNorm(x, y, x, n.gain, n.bias, 1e-5)
	p.Release(mark)
	p.Rotary(x.SliceCols(0, 16), p.Const(angles, len(angles)/4, 4), p.Ints(positions), 8)
	off := []int32{0, int32(rows / 3), int32(rows)}
	a := p.New(rows, 16)
	p.Attention(a, x.SliceCols(0, 16), x.SliceCols(8, 16), x.SliceCols(16, 24), nn.AttentionArgs{
		Heads: 2, KVHeads: 1, HeadDim: 8, Scale: 0.4, QOff: off, KOff: off, Causal: true})
	z := p.New(rows, width)
	p.Conv1D(z, x, n.conv, nn.Window1D{Stride: 1, PadLeft: 1, PadRight: 1, Dilation: 1}, nn.Epilogue{Bias: n.shift, Act: kernels.ActReLU, Residual: x})
	p.GroupNorm(z, z, n.gain, n.bias, 4, 1e-5, kernels.ActSiLU)
	p.RMSNorm(z, z, n.gain, 1e-6)
	p.Affine(z, z, n.gain, n.shift)
	p.Gated(z.SliceCols(0, 8), z.SliceCols(8, 16), a.SliceCols(0, 8), kernels.ActSigmoid)
	p.Activate(z, z, kernels.ActTanh)
	p.Scale(z, z, 1.5)
	p.Add(z, z, x)
	s := p.New(rows, rows)
	p.MatMul(s, z, x, true)
	p.Softmax(s, s)
	w := p.New(rows, width)
	p.MatMul(w, s, z, false)
	g := p.New(rows+1, width)
	p.Gather(g, w, p.Ints(append([]int32{-1}, positions...)))
	c := p.New(rows, width)
	p.Combine(c, g, z, positionsOff(rows), p.Ints(positions), p.Floats(angles[:rows], 1, rows))
	out := p.New(2, width)
	p.MeanRows(out, c, off)
	return p.Host(out)
}

// positionsOff gives each row one term.
func positionsOff(rows int) []int32 {
	off := make([]int32, rows+1)
	for i := range off {
		off[i] = int32(i)
	}
	return off
}

func networkInput(rows int) (ids []int32, angles []float32) {
	for i := range rows {
		ids = append(ids, int32(i*i%vocabulary))
	}
	return ids, angleTable
}

var angleTable = random(rand.New(rand.NewPCG(3, 4)), 4*32)

func runNetwork(t testing.TB, b nn.Backend, n *network, rows int) []float32 {
	t.Helper()
	p := b.Begin(context.Background())
	defer p.End()
	ids, angles := networkInput(rows)
	x := n.forward(p, ids, angles).Clone()
	if err := p.Err(); err != nil {
		t.Error(err)
	}
	return x.F32()
}

func near(t *testing.T, got, want []float32, tol float64) {
	t.Helper()
	for i, w := range want {
		if d := math.Abs(float64(got[i] - w)); !(d <= tol*(1+math.Abs(float64(w)))) {
			t.Fatalf("element %d is %v, on the CPU %v", i, got[i], w)
		}
	}
}

// TestCUDAOperations: every operation gives what the CPU gives, in both types,
// and a call like an earlier one is one copy, one graph and one wait.
func TestCUDAOperations(t *testing.T) {
	cpu, err := nn.NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	reference := newNetwork(t, cpu)
	for _, c := range []struct {
		precision kernels.Precision
		tol       float64
	}{{kernels.PrecisionF32, 1e-4}, {kernels.PrecisionBF16, 0.06}} {
		t.Run(c.precision.String(), func(t *testing.T) {
			b, gpu := newCUDA(t, 64<<20)
			b.SetPrecision(c.precision)
			n := newNetwork(t, b)
			for call := range 4 {
				for _, rows := range []int{9, 14} {
					syncs, uploads := gpu.Syncs, gpu.Uploads
					near(t, runNetwork(t, b, n, rows), runNetwork(t, cpu, reference, rows), c.tol)
					if call > 2 && (gpu.Syncs != syncs+1 || gpu.Uploads != uploads+1) {
						t.Errorf("%d waits and %d copies for one result", gpu.Syncs-syncs, gpu.Uploads-uploads)
					}
				}
			}
			if err := gpu.Dev.Err(); err != nil {
				t.Error(err)
			}
			if gpu.GraphLaunches < 4 || gpu.Graphs > 4 {
				t.Errorf("%d graphs, %d launches of them", gpu.Graphs, gpu.GraphLaunches)
			}
		})
	}
}

// TestCUDAConcurrent runs passes side by side.
func TestCUDAConcurrent(t *testing.T) {
	b, _ := newCUDA(t, 64<<20)
	n := newNetwork(t, b)
	want := map[int][]float32{}
	for rows := 9; rows < 13; rows++ {
		want[rows] = runNetwork(t, b, n, rows)
	}
	var wg sync.WaitGroup
	for rows := range want {
		wg.Go(func() {
			for range 3 {
				for i, v := range runNetwork(t, b, n, rows) {
					if v != want[rows][i] {
						t.Errorf("%d rows: element %d is %v, alone %v", rows, i, v, want[rows][i])
						return
					}
				}
			}
		})
	}
	wg.Wait()
}

// TestCUDAMisuse: what is wrong is an error of the pass, never a panic, and the
// next pass is a fresh one.
func TestCUDAMisuse(t *testing.T) {
	b, _ := newCUDA(t, 64<<20)
	other, _ := newCUDA(t, 64<<20)
	cpu, err := nn.NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	n, onCPU, elsewhere := newNetwork(t, b), newNetwork(t, cpu), newNetwork(t, other)
	host := tensor.FromF32(make([]float32, width), 1, width)
	for _, c := range []struct {
		name, want string
		f          func(p nn.Pass, x tensor.Tensor)
	}{
		{"host operand", "not on this device", func(p nn.Pass, x tensor.Tensor) { p.Add(x, x, host) }},
		{"another device", "not on this device", func(p nn.Pass, x tensor.Tensor) { p.RMSNorm(x, x, elsewhere.gain, 1) }},
		{"weight of the CPU", "another backend", func(p nn.Pass, x tensor.Tensor) { p.Linear(x, x, onCPU.up.W, nn.Epilogue{}) }},
		{"kernel of the CPU", "another backend", func(p nn.Pass, x tensor.Tensor) { p.Conv1D(x, x, onCPU.conv, nn.Window1D{Stride: 1}, nn.Epilogue{}) }},
		{"heads", "heads of 512", func(p nn.Pass, x tensor.Tensor) {
			big := p.New(1, 512)
			p.Attention(big, big, big, big, nn.AttentionArgs{Heads: 1, KVHeads: 1, HeadDim: 512, QOff: []int32{0, 1}, KOff: []int32{0, 1}})
		}},
		{"cache", "not on this device", func(p nn.Pass, x tensor.Tensor) {
			cache := nn.NewCache(other, 1, width, width)
			cache.Reset(1, 1)
			cache.Extend(func(int) int { return 1 })
			p.Append(cache, 0, x, x)
		}},
		{"integers", "read by the host", func(p nn.Pass, x tensor.Tensor) { p.Host(p.Ints([]int32{1, 2})) }},
	} {
		p := b.Begin(t.Context())
		x := p.New(1, width)
		p.Scale(x, p.Floats(host.F32(), 1, width), 1)
		c.f(p, x)
		got := p.Host(x)
		if err := p.Err(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
		if got.Len() != width || got.F32() == nil {
			t.Errorf("%s: %v", c.name, got)
		}
		p.End()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p := b.Begin(ctx)
	ids, angles := networkInput(9)
	if x := n.forward(p, ids, angles); x.Len() != 2*width || !errors.Is(p.Err(), context.Canceled) {
		t.Errorf("cancelled: %v %v", x, p.Err())
	}
	p.End()
	runNetwork(t, b, n, 9)
	for _, part := range [][]nn.MatrixPart{
		nil,
		{{Data: make([]float32, 5), Out: 2, In: 3}},
		{{Data: make([]float32, 6), Out: 2, In: 3}, {Data: make([]float32, 4), Out: 2, In: 2}},
		{{Data: make([]float32, 6), Out: -2, In: -3}},
		{{Data: make([]float32, 6), Out: math.MaxInt / 2, In: 3}},
	} {
		if _, err := b.Matrix("w", part...); err == nil || !strings.HasPrefix(err.Error(), "w: ") {
			t.Errorf("%v: %v", part, err)
		}
	}
	if _, err := b.Vector("v", make([]float32, 5), 2, 3); err == nil {
		t.Error("a vector of too few elements")
	}
	if _, err := b.Conv2D("c", make([]float32, 5), 2, 3, 1, 1, 2); err == nil {
		t.Error("groups that do not divide")
	}
}

// TestCUDAMemory: memory that runs out is an error that says so, and what there
// was works on.
func TestCUDAMemory(t *testing.T) {
	b, _ := newCUDA(t, 24<<20)
	n := newNetwork(t, b)
	want := runNetwork(t, b, n, 9)
	if _, err := b.Vector("table", make([]float32, 8<<20), 8, 1<<20); !errors.Is(err, nn.ErrMemory) || !strings.HasPrefix(err.Error(), "table: ") {
		t.Error(err)
	}
	p := b.Begin(t.Context())
	x := p.New(8, 1<<20)
	p.Scale(x, x, 2)
	p.Add(x.SliceRows(1, 2), x.SliceRows(0, 1), x.SliceRows(2, 3))
	if got := p.Host(x.SliceRows(0, 1)); got.Len() != 1<<20 || !errors.Is(p.Err(), nn.ErrMemory) {
		t.Error(got, p.Err())
	}
	p.End()
	cache := nn.NewCache(b, 64, 1024, 1024)
	cache.Reset(1, 1<<16)
	cache.Extend(func(int) int { return 1 })
	p = b.Begin(t.Context())
	y := p.New(1, 1024)
	p.Append(cache, 0, y, y)
	if err := p.Err(); !errors.Is(err, nn.ErrMemory) {
		t.Error(err)
	}
	p.End()
	near(t, runNetwork(t, b, n, 9), want, 0)
}

// TestCUDAClose: a backend that is closed says so, and is not closed under a
// pass.
func TestCUDAClose(t *testing.T) {
	b, gpu := newCUDA(t, 64<<20)
	n := newNetwork(t, b)
	runNetwork(t, b, n, 9)
	cache := nn.NewCache(b, 1, 8, 8)
	cache.Reset(1, 100)
	p := b.Begin(t.Context())
	if err := b.Close(); err == nil {
		t.Error("closed with a pass running")
	}
	p.End()
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	p = b.Begin(t.Context())
	ids, angles := networkInput(9)
	if x := n.forward(p, ids, angles); p.Err() == nil || x.Len() != 2*width {
		t.Error(x, p.Err())
	}
	p.End()
	if _, err := b.Vector("v", make([]float32, 4), 1, 4); err == nil {
		t.Error("a vector on a closed device")
	}
	cache.Reset(1, 1000)
	if leaks := gpu.Leaks(); leaks != "" {
		t.Error(leaks)
	}
}

// TestCUDALoads loads weights and gives them back a hundred times.
func TestCUDALoads(t *testing.T) {
	for range 100 {
		gpu := ptx.NewGPU(75, 16<<20)
		b, err := nn.NewCUDA(gpu)
		if err != nil {
			t.Fatal(err)
		}
		newNetwork(t, b)
		p := b.Begin(t.Context())
		p.Scale(p.New(2, 2), p.Floats([]float32{1, 2, 3, 4}, 2, 2), 2)
		p.End()
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if leaks := gpu.Leaks(); leaks != "" {
			t.Fatal(leaks)
		}
	}
}

// TestCUDAKernelFails: an error of a kernel is that of the call that waits for
// it, and of those after it.
func TestCUDAKernelFails(t *testing.T) {
	b, _ := newCUDA(t, 64<<20)
	p := b.Begin(t.Context())
	x := p.New(1, 8)
	p.Embedding(x, p.Ints([]int32{1 << 20}), p.Floats(make([]float32, 8), 1, 8), false)
	p.Host(x)
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "embedding") {
		t.Error(err)
	}
	p.End()
	p = b.Begin(t.Context())
	p.Scale(p.New(1, 8), p.Floats(make([]float32, 8), 1, 8), 1)
	p.Host(p.Floats(make([]float32, 8), 1, 8))
	if p.Err() == nil {
		t.Error("a broken device gives results")
	}
	p.End()
}
