package main

import (
	"bufio"
	"context"
	"fmt"
	"math"
	"math/rand"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
)

// answer is one line of --serve.
type answer struct {
	Name    string  `json:"name"`
	Threads int     `json:"threads,omitempty"`
	Iters   int     `json:"iters,omitempty"`
	NS      float64 `json:"ns,omitempty"`
	Check   *check  `json:"check,omitempty"`
	Dropped bool    `json:"dropped,omitempty"`
	Error   string  `json:"error,omitempty"`
}

// check compares the last output with the expected one.
type check struct {
	MaxAbsDiff float64 `json:"max_abs_diff"`
	RMS        float64 `json:"rms"` // rms error over rms of expected
}

// benchCase is a loaded case; run does one iteration.
type benchCase struct {
	run   func(ctx context.Context, threads int) error
	check func() *check
	close func()
}

func (c *call) benchServe(ctx context.Context, models string) error {
	var live *benchCase
	liveName := ""
	drop := func() {
		if live != nil {
			live.close()
		}
		live, liveName = nil, ""
	}
	defer drop()
	in := bufio.NewScanner(c.stdin)
	for in.Scan() {
		f := strings.Fields(in.Text())
		var a answer
		switch {
		case len(f) == 1 && f[0] == "quit":
			return nil
		case len(f) == 2 && f[0] == "drop":
			if f[1] == liveName {
				drop()
			}
			a = answer{Name: f[1], Dropped: true}
		case len(f) == 4 && f[0] == "run":
			a = answer{Name: f[1]}
			if liveName != f[1] {
				drop()
				var err error
				if live, err = c.openCase(models, f[1]); err != nil {
					a.Error = err.Error()
					if weft.IsUnsupported(err) {
						a.Error = "unsupported"
					}
				} else {
					liveName = f[1]
				}
			}
			if live != nil && a.Error == "" {
				a = live.measure(ctx, f[1], f[2], f[3])
			}
		default:
			a.Error = "bad request"
		}
		if err := writeJSON(c.stdout, a); err != nil {
			return err
		}
	}
	return in.Err()
}

func (b *benchCase) measure(ctx context.Context, name, threads, iters string) answer {
	a := answer{Name: name}
	t, err1 := strconv.Atoi(threads)
	n, err2 := strconv.Atoi(iters)
	if err1 != nil || err2 != nil || t < 1 || n < 1 {
		a.Error = "THREADS and ITERS must be positive"
		return a
	}
	start := time.Now()
	for range n {
		if err := b.run(ctx, t); err != nil {
			a.Error = err.Error()
			return a
		}
	}
	a.NS = float64(time.Since(start).Nanoseconds()) / float64(n)
	a.Threads, a.Iters, a.Check = t, n, b.check()
	return a
}

func (c *call) openCase(models, name string) (*benchCase, error) {
	kind, rest, ok := strings.Cut(name, "/")
	if !ok {
		return nil, fmt.Errorf("%w: case %q", weft.ErrUnsupported, name)
	}
	if c.onGPU() && (kind == "sgemm" || kind == "sgemmp" || kind == "igemm" || kind == "moe") {
		return nil, fmt.Errorf("%w: case %q on %s", weft.ErrUnsupported, name, c.device)
	}
	switch kind {
	case "sgemm", "sgemmp":
		p, err := parseProduct(rest)
		if err != nil {
			return nil, err
		}
		return p.open(kind == "sgemmp"), nil
	case "igemm":
		p, err := parseProduct(rest)
		if err != nil {
			return nil, err
		}
		return p.openBytes()
	}
	scheme := kernels.Float32
	if rest, ok = strings.CutSuffix(rest, "/int8"); ok {
		scheme = kernels.W8A8
	} else if at := strings.LastIndexByte(rest, '/'); at >= 0 {
		var err error
		if scheme, err = kernels.ParseScheme(rest[at+1:]); err != nil {
			return nil, fmt.Errorf("%w: case %q", weft.ErrUnsupported, name)
		}
		rest = rest[:at]
	}
	if strings.Contains(rest, "/") || models == "" || filepath.Base(kind) != kind {
		return nil, fmt.Errorf("%w: case %q", weft.ErrUnsupported, name)
	}
	return openModelCase(filepath.Join(models, kind), rest, scheme, weft.WithPrecision(c.precision), weft.WithDevice(c.device))
}

// product is a batch of matrix products C [m, n] = A [m, k] · B.
type product struct {
	batch, m, n, k int
	transposed     bool // B is n rows of k, not k rows of n
}

var productName = regexp.MustCompile(`^(?:(\d{1,6}):)?(\d{1,6})x(\d{1,6})x(\d{1,6})(t?)$`)

func parseProduct(s string) (product, error) {
	g := productName.FindStringSubmatch(s)
	if g == nil {
		return product{}, fmt.Errorf("%w: product %q", weft.ErrUnsupported, s)
	}
	var v [5]int
	v[1] = 1
	for i := 1; i < 5; i++ {
		if g[i] != "" {
			v[i], _ = strconv.Atoi(g[i])
		}
	}
	p := product{v[1], v[2], v[3], v[4], g[5] == "t"}
	if p.batch*p.m*p.n*p.k == 0 || p.batch*(p.m*p.k+p.n*p.k+p.m*p.n) > 1<<30 {
		return p, fmt.Errorf("%w: product %q", weft.ErrUnsupported, s)
	}
	return p, nil
}

func (p product) open(packed bool) *benchCase {
	return productCase(p.operation(packed))
}

// productCase times run, which nothing checks.
func productCase(run func(*kernels.Team)) *benchCase {
	return &benchCase{
		run: func(ctx context.Context, threads int) error {
			t := kernels.Enter(threads)
			run(t)
			t.Leave()
			return ctx.Err()
		},
		check: func() *check { return nil },
		close: func() {},
	}
}

// operation makes the operands and returns the product; packed: B does not
// change and is packed ahead.
func (p product) operation(packed bool) func(t *kernels.Team) {
	a, b, d := noise(p.batch*p.m*p.k), noise(p.batch*p.k*p.n), make([]float32, p.batch*p.m*p.n)
	if packed {
		ws := make([]*kernels.Matrix, p.batch)
		for z := range ws {
			if w := b[z*p.k*p.n:]; p.transposed {
				ws[z] = kernels.PackF32(w, p.n, p.k, p.k)
			} else {
				ws[z] = kernels.PackF32T(w, p.k, p.n, p.n)
			}
		}
		return func(t *kernels.Team) {
			for z, w := range ws {
				kernels.LinearF32(t, d[z*p.m*p.n:], p.n, a[z*p.m*p.k:], p.k, p.m, w, kernels.Epilogue{})
			}
		}
	}
	ldb := p.n
	if p.transposed {
		ldb = p.k
	}
	return func(t *kernels.Team) {
		kernels.MatMulF32(t, d, p.n, a, p.k, b, ldb, p.transposed, p.m, p.n, p.k, p.batch, p.m*p.n, p.m*p.k, p.n*p.k)
	}
}

// openBytes is the case of a product of unsigned by signed bytes, the latter
// in [-64, 63] and packed ahead.
func (p product) openBytes() (*benchCase, error) {
	if p.k > kernels.MaxQuantK {
		return nil, fmt.Errorf("%w: a product of bytes over %d", weft.ErrUnsupported, p.k)
	}
	return productCase(p.bytes()), nil
}

// bytes makes the operands of a product of bytes and returns the product.
func (p product) bytes() func(t *kernels.Team) {
	r := rand.New(rand.NewSource(1))
	a, dst := make([]uint8, p.batch*p.m*p.k), make([]int32, p.batch*p.m*p.n)
	for i := range a {
		a[i] = uint8(r.Intn(256))
	}
	ws := make([]*kernels.QMatrix, p.batch)
	for z := range ws {
		q := kernels.Quantized{Q: make([]int8, p.n*p.k), Scale: make([]float32, p.n), N: p.n}
		for i := range q.Q {
			q.Q[i] = int8(r.Intn(128) - 64)
		}
		ws[z] = kernels.PackQuantized(kernels.W8A8, []kernels.Quantized{q}, p.k, 0)
	}
	return func(t *kernels.Team) {
		for z, w := range ws {
			kernels.MatMulU8S8(t, dst[z*p.m*p.n:], p.n, a[z*p.m*p.k:], p.k, p.m, w)
		}
	}
}

func noise(n int) []float32 {
	r := rand.New(rand.NewSource(1))
	x := make([]float32, n)
	for i := range x {
		x[i] = r.Float32() - 0.5
	}
	return x
}

// inputName is what in0 of a case is, by the model's main input.
var inputName = map[string]string{
	"bert": "input_ids", "roberta": "input_ids", "xlm-roberta": "input_ids", "distilbert": "input_ids",
	"vit": "pixel_values", "deit": "pixel_values", "wav2vec2": "input_values", "hubert": "input_values",
	"clip_text_model": "input_ids", "clip_vision_model": "pixel_values",
}

func openModelCase(dir, name string, scheme kernels.Scheme, opts ...weft.Option) (*benchCase, error) {
	file := filepath.Join(dir, name+".safetensors")
	if _, err := os.Stat(file); err != nil {
		return nil, fmt.Errorf("%w: %w", weft.ErrUnsupported, err)
	}
	raw, err := readInputs(file)
	if err != nil {
		return nil, err
	}
	if filepath.Base(dir) == "moe" {
		return openMoECase(dir, raw, scheme)
	}
	m, err := weft.Open(dir, append(opts, weft.WithQuantization(weft.Quantization{Scheme: scheme}))...)
	if err != nil {
		return nil, err
	}
	if m.Config().Str("model_type", "") == "gpt2" {
		bc, err := openDecoderCase(m, raw)
		if err != nil {
			m.Close()
		}
		return bc, err
	}
	in := weft.Inputs{}
	if main, ok := inputName[m.Config().Str("model_type", "")]; ok && raw.Has("in0") && !raw.Has("in1") {
		in[main] = raw["in0"]
	} else {
		m.Close()
		return nil, fmt.Errorf("%w: the inputs of %s", weft.ErrUnsupported, name)
	}
	var last weft.Tensor
	bc := &benchCase{
		run: func(ctx context.Context, threads int) error {
			m.SetThreads(threads)
			out, err := m.Run(ctx, in, weft.RunOptions{})
			if err == nil {
				last = out[0].Tensor
			}
			return err
		},
		check: func() *check { return compare(last, raw["expected"]) },
		close: func() { m.Close() },
	}
	return bc, nil
}

// openDecoderCase is a prompt in0 or, with keys and values in1, in2, …, one
// token after them. The output is the last position's logits.
func openDecoderCase(m *weft.Model, raw weft.Inputs) (*benchCase, error) {
	g, err := m.Generator(nil)
	if err != nil {
		return nil, err
	}
	ids, err := raw.IDs("in0", g.Model.DecoderInfo().VocabSize, 1, -1)
	if err != nil {
		return nil, err
	}
	d := g.Model.NewDecoder().(nn.Resumer)
	var past []weft.Tensor
	for i := 1; raw.Has(fmt.Sprintf("in%d", i)); i++ {
		past = append(past, raw[fmt.Sprintf("in%d", i)])
	}
	if len(past) > 0 {
		if err := d.Resume(context.Background(), past); err != nil {
			return nil, err
		}
	}
	var last weft.Tensor
	return &benchCase{
		run: func(ctx context.Context, threads int) (err error) {
			m.SetThreads(threads)
			if len(past) > 0 {
				d.Cut(past[0].Dim(2))
				last, err = d.Step(ctx, ids)
			} else {
				last, err = d.Prefill(ctx, nn.Prompt{IDs: [][]int32{ids}})
			}
			return err
		},
		check: func() *check { return compare(last, raw["expected"]) },
		close: func() { m.Close() },
	}, nil
}

func compare(got, want weft.Tensor) *check {
	if want.IsZero() || got.Len() != want.Len() {
		return nil
	}
	var c check
	var d2, w2 float64
	for i, w := range want.F32() {
		d := float64(got.F32()[i]) - float64(w)
		c.MaxAbsDiff = math.Max(c.MaxAbsDiff, math.Abs(d))
		d2, w2 = d2+d*d, w2+float64(w)*float64(w)
	}
	c.RMS = math.Sqrt(d2 / w2)
	return &c
}
