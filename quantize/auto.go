package quantize

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// choose runs the model on the samples, if there is a reason to: to measure the
// inputs of its layers, and to find what has to stay float32 for Cosine.
func (j *job) choose() error {
	measure := len(j.Samples) > 0 && (j.Method == Auto || j.Method == MSE)
	if j.Cosine == 0 && !measure {
		return nil
	}
	on := map[string]bool{} // the layers, by the backend's names, that compute quantized
	moments := &moments{sum: map[string][]float64{}, rows: map[string]int{}}
	q := nn.Quantization{
		Scheme: j.Scheme, Group: j.report.Group, Embeddings: false,
		Trial:   func(name string) bool { return on[name] },
		Observe: moments.add,
	}
	m, err := weft.OpenDir(j.dir, weft.WithQuantization(q))
	if err != nil {
		return err
	}
	defer m.Close()
	samples := j.Samples
	if len(samples) == 0 {
		if samples, err = madeUp(m); err != nil {
			return err
		}
	}
	want, err := run(j.ctx, m, samples, weft.RunOptions{})
	if err != nil {
		return err
	}
	if measure {
		for _, l := range j.layers {
			l.second = moments.of(l.use.Layer, l.inputs())
		}
	}
	if j.Cosine == 0 {
		return nil
	}
	moments.stop()

	var names []string
	for _, l := range j.layers {
		if l.bits > 0 && l.use.Kind == nn.UseLinear {
			names = append(names, l.use.Layer)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	// reach is the cosine with these layers quantized.
	reach := func(list ...string) (float64, error) {
		clear(on)
		for _, n := range list {
			on[n] = true
		}
		got, err := run(j.ctx, m, samples, weft.RunOptions{})
		if err != nil {
			return 0, err
		}
		return cosine(got, want), nil
	}
	best, err := reach(names...)
	if err != nil {
		return err
	}
	kept := 0
	if best < j.Cosine {
		// How much each layer does alone says in which order to give them up; how
		// many must go, a search by halves.
		harm := make(map[string]float64, len(names))
		for _, n := range names {
			c, err := reach(n)
			if err != nil {
				return err
			}
			harm[n] = 1 - c
		}
		slices.SortStableFunc(names, func(a, b string) int {
			if harm[a] > harm[b] {
				return -1
			}
			return 1
		})
		low, high := 0, len(names) // low is too few, high enough
		best = 1
		for high-low > 1 {
			mid := (low + high) / 2
			c, err := reach(names[mid:]...)
			if err != nil {
				return err
			}
			if c >= j.Cosine {
				high, best = mid, c
			} else {
				low = mid
			}
		}
		kept = high
	}
	if kept == len(names) {
		return fmt.Errorf("%w: with any layer quantized the cosine stays below %v", ErrWeight, j.Cosine)
	}
	for _, l := range j.layers {
		if slices.Contains(names[:kept], l.use.Layer) && l.bits > 0 && l.use.Kind == nn.UseLinear {
			l.bits, l.why = 0, "for the sake of the cosine"
		}
	}
	j.report.Cosine = best
	return nil
}

// inputs returns the number of inputs of the layer.
func (l *layer) inputs() int {
	if l.use.Transposed {
		return l.t.Shape[0]
	}
	return l.t.Shape[1]
}

// run returns the outputs of the model on the samples.
func run(ctx context.Context, m *weft.Model, samples []weft.Inputs, o weft.RunOptions) ([]weft.Outputs, error) {
	var list []weft.Outputs
	for i, in := range samples {
		out, err := m.Run(ctx, in, o)
		if err != nil {
			return nil, fmt.Errorf("sample %d: %w", i, err)
		}
		list = append(list, out)
	}
	return list, nil
}

// cosine returns the least cosine of two runs' float outputs.
func cosine(a, b []weft.Outputs) float64 {
	least := 1.0
	for i := range a {
		for o := range a[i] {
			x, y := a[i][o].Tensor, b[i][o].Tensor
			if x.DType() != tensor.F32 || x.Len() != y.Len() || x.Len() < 2 {
				continue
			}
			var xx, yy, xy float64
			for p, v := range x.F32() {
				u, w := float64(v), float64(y.F32()[p])
				xx, yy, xy = xx+u*u, yy+w*w, xy+u*w
			}
			if xx > 0 && yy > 0 {
				least = min(least, xy/math.Sqrt(xx*yy))
			}
		}
	}
	return least
}

// moments are the mean squares of the inputs of layers.
type moments struct {
	mu   sync.Mutex
	sum  map[string][]float64 // nil: stopped
	rows map[string]int
}

func (m *moments) add(name string, x tensor.Tensor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sum == nil {
		return
	}
	s := m.sum[name]
	if s == nil {
		s = make([]float64, x.Cols())
		m.sum[name] = s
	}
	for i := range x.Rows() {
		for p, v := range x.F32()[i*x.LD():][:x.Cols()] {
			s[p] += float64(v) * float64(v)
		}
	}
	m.rows[name] += x.Rows()
}

// of returns the mean squares of a layer of n inputs, nil if it never ran.
func (m *moments) of(name string, n int) []float32 {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.sum[name]
	if len(s) != n || m.rows[name] == 0 {
		return nil
	}
	mean := make([]float32, n)
	total := 0.0
	for _, v := range s {
		total += v
	}
	for p, v := range s {
		// A little of the mean keeps inputs that the samples leave dark.
		mean[p] = float32((v + total/float64(n)/100) / float64(m.rows[name]))
	}
	return mean
}

// stop makes the rest of the runs go unmeasured.
func (m *moments) stop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sum = nil
}

// madeUp are inputs for a model of which no samples are at hand: token ids,
// and noise for pictures and sounds.
func madeUp(m *weft.Model) ([]weft.Inputs, error) {
	r := rand.New(rand.NewPCG(1, 2))
	noise := func(shape ...int) weft.Tensor {
		n, _ := tensor.Elems(shape...)
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return tensor.FromF32(x, shape...)
	}
	ids := func(c *hfconfig.Config) weft.Tensor {
		length := max(2, min(24, c.IntRange("max_position_embeddings", 24, 4, 1<<30)-2))
		x := make([]int64, length)
		for i := range x {
			x[i] = int64(r.IntN(c.Dim("vocab_size", 0)))
		}
		return tensor.FromI64(x, 1, length)
	}
	pixels := func(c *hfconfig.Config) weft.Tensor {
		size, ok := c.List("image_size")
		if !ok || len(size) != 2 {
			n := c.IntRange("image_size", 224, 1, 4096)
			size = []int{n, n}
		}
		return noise(1, c.IntRange("num_channels", 3, 1, 64), min(max(1, size[0]), 4096), min(max(1, size[1]), 4096))
	}
	c := m.Config()
	var list []weft.Inputs
	for range 4 {
		in := weft.Inputs{}
		switch {
		case c.Has("conv_dim"):
			in["input_values"] = noise(1, 16000)
		case c.Has("vocab_size"):
			in["input_ids"] = ids(c)
			if c.Bool("is_encoder_decoder", false) {
				in["decoder_input_ids"] = ids(c)
			}
		case c.Has("text_config") && c.Has("vision_config"):
			in["input_ids"], in["pixel_values"] = ids(c.Sub("text_config")), pixels(c.Sub("vision_config"))
		case c.Has("image_size"):
			in["pixel_values"] = pixels(c)
		default:
			return nil, nn.Unsupported("samples made up for this model: give some")
		}
		if err := c.Err(); err != nil {
			return nil, fmt.Errorf("config.json: %w", err)
		}
		list = append(list, in)
	}
	return list, nil
}
