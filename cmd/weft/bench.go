package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"regexp"
	"time"

	"github.com/seed-512d3d71/weft/kernels"
)

// runBench with --serve answers a benchmark harness, a line a request:
//
//	run NAME THREADS ITERS   {"name":…,"threads":…,"iters":…,"ns":X}
//	drop NAME                {"name":…,"dropped":true}
//	quit
//
// where X is the mean of one iteration in nanoseconds. NAME is sgemm/, sgemmp/
// or igemm/[BATCH:]MxNxK[t] (a matrix product with fresh operands, with one
// packed ahead, or of bytes), or MODEL/CASE[/int8|/w8|/w4]: DIR/MODEL is a Hugging Face directory and
// DIR/MODEL/CASE.safetensors holds its inputs in0, in1, … and, optionally,
// the expected last output.
//
// Without --serve it measures the kernels whose name matches REGEX, on every
// instruction set of the machine or on the one that WEFT_ISA names; with
// --device cuda those of a GPU, by its clock.
func runBench(ctx context.Context, c *call) error {
	serve := c.Bool("serve", false, "answer a harness on stdin and stdout")
	models := c.String("models", "", "`directory` of the models of --serve")
	rest, err := c.parse()
	if err != nil {
		return err
	}
	if err := kernels.ISAError(); err != nil {
		return err
	}
	if *serve {
		if len(rest) > 0 {
			return usagef("unexpected argument %q", rest[0])
		}
		return c.benchServe(ctx, *models)
	}
	pattern := ""
	if len(rest) > 1 {
		return usagef("give one REGEX")
	} else if len(rest) == 1 {
		pattern = rest[0]
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return usagef("REGEX: %v", err)
	}
	if c.onGPU() {
		return c.benchGPU(ctx, re)
	}
	return c.benchKernels(ctx, re)
}

// kernelCase is an operation on one shape: what it computes and moves at
// least, and a function that makes the operands and returns the operation.
type kernelCase struct {
	name  string
	op    string  // of the dispatch table
	flops float64 // of its matrix products, or 0
	bytes float64 // read and written, for operations bound by memory, or 0
	other bool    // the peak of float32 is not its measure
	open  func() func(t *kernels.Team)
}

// kernelCases are the operations of the models in the shapes of BERT-base,
// MiniLM, wav2vec 2.0 and ResNet-50.
func kernelCases() []kernelCase {
	var list []kernelCase
	for _, s := range [][3]int{
		{1, 768, 768}, {8, 768, 768}, {16, 768, 768}, {16, 3072, 768}, {16, 768, 3072}, {128, 384, 384}, {128, 768, 768}, {128, 2304, 768},
		{128, 3072, 768}, {128, 768, 3072}, {197, 768, 768}, {512, 768, 768}, {1024, 768, 768}, {1024, 3072, 768}, {1024, 1024, 1024},
	} {
		p := product{batch: 1, m: s[0], n: s[1], k: s[2]}
		list = append(list, p.kernelCase("gemm_f32", true), p.kernelCase("matmul_f32", false))
		if kernels.PrecisionBF16.Check() == nil {
			list = append(list, p.caseBF16())
		}
	}
	for _, s := range [][3]int{{1, 768, 768}, {1, 3072, 768}, {16, 768, 768}, {128, 768, 768}, {128, 3072, 768}, {128, 768, 3072}} {
		for _, scheme := range []kernels.Scheme{kernels.W8A8, kernels.W8, kernels.W4} {
			list = append(list, quantizedCase(scheme, s[0], s[1], s[2]))
		}
	}
	for _, p := range []product{{12, 128, 128, 64, true}, {12, 128, 64, 128, false}, {12, 197, 197, 64, true}} {
		list = append(list, p.kernelCase("matmul_f32", false))
	}
	for _, s := range []int{16, 128, 512} {
		list = append(list, attentionCase(s, 12, 64))
	}
	for _, c := range convShapes {
		list = append(list, c.kernelCase())
		if c.groups < c.in && c.in/c.groups >= 32 { // as many channels as 8 bits pay for
			list = append(list, c.quantizedCase())
		}
	}
	const rows, cols = 128, 768
	elementwise := func(name, op string, streams int, open func(dst, x, y []float32) func(t *kernels.Team)) {
		list = append(list, kernelCase{
			name:  fmt.Sprintf("%s/rows=%d/cols=%d", name, rows, cols),
			op:    op,
			bytes: 4 * float64(streams) * rows * cols,
			open:  func() func(t *kernels.Team) { return open(noise(rows*cols), noise(rows*cols), noise(rows*cols)) },
		})
	}
	for _, a := range []struct {
		name string
		act  kernels.Act
	}{
		{"relu", kernels.ActReLU}, {"gelu", kernels.ActGELU}, {"gelu_tanh", kernels.ActGELUTanh}, {"silu", kernels.ActSiLU},
		{"quick_gelu", kernels.ActQuickGELU}, {"tanh", kernels.ActTanh}, {"sigmoid", kernels.ActSigmoid},
	} {
		elementwise("act_f32/"+a.name, "act_f32/"+a.name, 2, func(dst, x, _ []float32) func(t *kernels.Team) {
			return func(t *kernels.Team) { kernels.ActF32(t, dst, x, a.act) }
		})
	}
	elementwise("add_f32", "act_f32/none", 3, func(dst, x, y []float32) func(t *kernels.Team) {
		return func(t *kernels.Team) { kernels.AddF32(t, dst, x, y) }
	})
	elementwise("softmax_f32", "softmax_f32", 2, func(dst, x, _ []float32) func(t *kernels.Team) {
		return func(t *kernels.Team) { kernels.SoftmaxF32(t, dst, x, rows, cols, cols) }
	})
	elementwise("layer_norm_f32", "layer_norm_f32", 3, func(dst, x, residual []float32) func(t *kernels.Team) {
		gain, bias := noise(cols), noise(cols)
		return func(t *kernels.Team) {
			kernels.LayerNormF32(t, dst, cols, x, cols, residual, cols, nil, 0, gain, bias, 1e-12, rows, cols)
		}
	})
	return list
}

func (p product) kernelCase(op string, packed bool) kernelCase {
	name := fmt.Sprintf("%s/m=%d/n=%d/k=%d", op, p.m, p.n, p.k)
	if p.batch > 1 {
		name += fmt.Sprintf("/batch=%d", p.batch)
	}
	if p.transposed {
		name += "/b=nk"
	}
	return kernelCase{name: name, op: "gemm_f32", flops: 2 * float64(p.batch) * float64(p.m) * float64(p.n) * float64(p.k),
		open: func() func(t *kernels.Team) { return p.operation(packed) }}
}

// caseBF16 is a product of float32 activations by a weight in bfloat16.
func (p product) caseBF16() kernelCase {
	k := p.kernelCase("gemm_bf16", true)
	k.op, k.other = "gemm_bf16", true
	k.open = func() func(t *kernels.Team) {
		w := kernels.PackBF16([][]float32{noise(p.n * p.k)}, []int{p.n}, p.k, false)
		a, dst := noise(p.m*p.k), make([]float32, p.m*p.n)
		return func(t *kernels.Team) { kernels.LinearF32(t, dst, p.n, a, p.k, p.m, w, kernels.Epilogue{}) }
	}
	return k
}

// quantizedCase is a product by a quantized weight: the activations come as
// float32, and the weight is what is read.
func quantizedCase(s kernels.Scheme, m, n, k int) kernelCase {
	bits, group, op := 8.0, 0, "gemm_f32_weight"
	switch s {
	case kernels.W4:
		bits, group = 4, 64
	case kernels.W8A8:
		op = "gemm_s8"
	}
	return kernelCase{
		op:    op,
		name:  fmt.Sprintf("gemm_%v/m=%d/n=%d/k=%d", s, m, n, k),
		flops: 2 * float64(m) * float64(n) * float64(k),
		bytes: float64(n) * float64(k) * bits / 8,
		other: true,
		open: func() func(t *kernels.Team) {
			w := kernels.QuantizeF32(s, [][]float32{noise(n * k)}, []int{n}, k, group, false)
			a, dst := noise(m*k), make([]float32, m*n)
			return func(t *kernels.Team) { kernels.LinearQ(t, dst, n, a, k, m, w, kernels.Epilogue{}) }
		},
	}
}

// attentionCase is self-attention of one sequence, cut out of a product with
// the query, key and value weights stacked.
func attentionCase(tokens, heads, d int) kernelCase {
	return kernelCase{
		op:    "attention_f32",
		name:  fmt.Sprintf("attention_f32/tokens=%d/heads=%d/d=%d", tokens, heads, d),
		flops: 4 * float64(tokens) * float64(tokens) * float64(heads*d),
		open: func() func(t *kernels.Team) {
			width := heads * d
			qkv, dst := noise(tokens*3*width), make([]float32, tokens*width)
			a := &kernels.Attention{
				Dst: dst, Q: qkv, K: qkv[width:], V: qkv[2*width:], LDD: width, LDQ: 3 * width, LDK: 3 * width, LDV: 3 * width,
				Heads: heads, KVHeads: heads, D: d, DV: d, Scale: float32(1 / math.Sqrt(float64(d))),
				QOff: []int32{0, int32(tokens)}, KOff: []int32{0, int32(tokens)},
			}
			return func(t *kernels.Team) { kernels.AttentionF32(t, a) }
		},
	}
}

// convShape is one convolution of a model.
type convShape struct {
	h, w, in, out, kh, kw, groups int
	win                           kernels.Window
}

func square(stride, pad int) kernels.Window {
	return kernels.Window{StrideH: stride, StrideW: stride, PadT: pad, PadL: pad, PadB: pad, PadR: pad, DilH: 1, DilW: 1}
}

func along(stride, left, right int) kernels.Window {
	return kernels.Window{StrideH: 1, StrideW: stride, PadL: left, PadR: right, DilH: 1, DilW: 1}
}

var convShapes = []convShape{
	{1, 16000, 1, 512, 1, 10, 1, along(5, 0, 0)}, // wav2vec 2.0: layers 0, 1 and the positions
	{1, 3199, 512, 512, 1, 3, 1, along(2, 0, 0)},
	{1, 49, 768, 768, 1, 128, 16, along(1, 64, 64)},
	{224, 224, 3, 64, 7, 7, 1, square(2, 3)}, // ResNet-50
	{56, 56, 64, 64, 3, 3, 1, square(1, 1)},
	{56, 56, 64, 256, 1, 1, 1, square(1, 0)},
	{14, 14, 256, 256, 3, 3, 1, square(1, 1)},
	{7, 7, 512, 512, 3, 3, 1, square(1, 1)},
	{56, 56, 144, 144, 3, 3, 144, square(1, 1)}, // depthwise
}

func (c convShape) kernelCase() kernelCase {
	oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
	weights := c.out * c.in / c.groups * c.kh * c.kw
	op := "gemm_f32"
	if c.groups == c.in && c.groups > 1 {
		op = "depthwise_f32"
	}
	return kernelCase{
		op:    op,
		name:  "conv_f32/" + c.String(),
		flops: 2 * float64(oh*ow) * float64(weights),
		open: func() func(t *kernels.Team) {
			w := kernels.PackConvF32(noise(weights), c.out, c.in, c.kh, c.kw, c.groups)
			x, dst := noise(c.h*c.w*c.in), make([]float32, oh*ow*c.out)
			return func(t *kernels.Team) { kernels.ConvF32(t, dst, x, c.h, c.w, w, c.win, kernels.Epilogue{}) }
		},
	}
}

func (c convShape) String() string {
	return fmt.Sprintf("h=%d/w=%d/in=%d/out=%d/kernel=%dx%d/stride=%d/groups=%d", c.h, c.w, c.in, c.out, c.kh, c.kw, c.win.StrideW, c.groups)
}

// quantizedCase is the convolution in 8 bits; the activations come as float32.
func (c convShape) quantizedCase() kernelCase {
	oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
	weights := c.out * c.in / c.groups * c.kh * c.kw
	return kernelCase{
		op:    "gemm_s8",
		name:  "conv_w8a8/" + c.String(),
		flops: 2 * float64(oh*ow) * float64(weights),
		other: true,
		open: func() func(t *kernels.Team) {
			w := kernels.QuantizeConvF32(noise(weights), c.out, c.in, c.kh, c.kw, c.groups)
			x, dst := noise(c.h*c.w*c.in), make([]float32, oh*ow*c.out)
			return func(t *kernels.Team) { kernels.ConvQ(t, dst, x, c.h, c.w, w, c.win, kernels.Epilogue{}) }
		},
	}
}

// kernelResult is one line of bench --json. OfPeak is the share of the peak of
// as many cores as there are threads, measured in the same run.
type kernelResult struct {
	Name    string  `json:"name"`
	ISA     string  `json:"isa"`
	Threads int     `json:"threads"`
	NS      float64 `json:"ns,omitempty"` // of the fastest run
	GFLOPS  float64 `json:"gflops,omitempty"`
	OfPeak  float64 `json:"of_peak,omitempty"`
	GBS     float64 `json:"gbs,omitempty"`
}

func (c *call) benchKernels(ctx context.Context, re *regexp.Regexp) error {
	rows := kernels.ISAs()
	forced := os.Getenv("WEFT_ISA") != ""
	if forced {
		rows = []string{kernels.ISA()}
	} else if len(rows) > 1 {
		rows = rows[:len(rows)-1] // ref is a statement, not meant to be fast
	}
	defer kernels.Select(kernels.ISA())
	for _, isa := range rows {
		if err := kernels.Select(isa); err != nil {
			return err
		}
		own := map[string]bool{} // the other operations run an older set's rows
		for _, r := range kernels.Rows() {
			own[r.Op] = forced || r.Chosen && r.ISA == isa || own[r.Op]
		}
		peak := kernels.PeakF32()
		if own["peak_f32"] {
			if err := c.printKernel(kernelResult{Name: "peak_f32", ISA: isa, Threads: 1, GFLOPS: peak / 1e9}); err != nil {
				return err
			}
		}
		for _, k := range kernelCases() {
			if !own[k.op] || !re.MatchString(k.name) {
				continue
			}
			r, err := k.measure(ctx, max(1, c.threads))
			if err != nil {
				return err
			}
			r.ISA = isa
			if peak > 0 && !k.other {
				r.OfPeak = r.GFLOPS * 1e9 / peak / float64(r.Threads)
			}
			if err := c.printKernel(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (k kernelCase) measure(ctx context.Context, threads int) (kernelResult, error) {
	run := k.open()
	t := kernels.Enter(threads)
	defer t.Leave()
	best := time.Duration(math.MaxInt64)
	for begin, n := time.Now(), 0; time.Since(begin) < 200*time.Millisecond || n < 3; n++ {
		start := time.Now()
		run(t)
		best = min(best, time.Since(start))
		if err := ctx.Err(); err != nil {
			return kernelResult{}, err
		}
	}
	ns := float64(max(1, best.Nanoseconds()))
	return kernelResult{Name: k.name, Threads: t.Threads(), NS: ns, GFLOPS: k.flops / ns, GBS: k.bytes / ns}, nil
}

func (c *call) printKernel(r kernelResult) error {
	if c.json {
		return writeJSON(c.stdout, r)
	}
	rate := ""
	switch {
	case r.OfPeak > 0:
		rate = fmt.Sprintf("%8.1f GFLOP/s  %5.1f %% of peak", r.GFLOPS, 100*r.OfPeak)
	case r.GFLOPS > 0:
		rate = fmt.Sprintf("%8.1f GFLOP/s", r.GFLOPS)
	default:
		rate = fmt.Sprintf("%8.1f GB/s", r.GBS)
	}
	took := ""
	if r.NS > 0 {
		took = fmt.Sprintf("%.1f µs", r.NS/1e3)
	}
	_, err := fmt.Fprintf(c.stdout, "%-64s %-10s %12s %s\n", r.Name, r.ISA, took, rate)
	return err
}
