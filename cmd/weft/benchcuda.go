package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// onGPU reports whether --device names a GPU, or something else than the CPU.
func (c *call) onGPU() bool { return c.device != "" && c.device != "cpu" }

// benchGPU measures the operations of the GPU that --device names.
func (c *call) benchGPU(ctx context.Context, re *regexp.Regexp) error {
	index := 0
	if n, ok := strings.CutPrefix(c.device, "cuda:"); ok {
		var err error
		if index, err = strconv.Atoi(n); err != nil || index < 0 {
			return fmt.Errorf("%w: device %q", weft.ErrUnsupported, c.device)
		}
	} else if c.device != "cuda" {
		return fmt.Errorf("%w: device %q", weft.ErrUnsupported, c.device)
	}
	b, err := nn.OpenCUDA(index)
	if err != nil {
		return err
	}
	precision, _ := kernels.ParsePrecision(c.precision) // checked by parse
	b.SetPrecision(precision)
	return errors.Join(c.benchOn(ctx, b, precision, re, gpuCases(precision)), b.Close())
}

// benchOn measures the cases whose name matches re.
func (c *call) benchOn(ctx context.Context, b *nn.CUDA, precision kernels.Precision, re *regexp.Regexp, cases []gpuCase) error {
	gpu := b.Device()
	isa := fmt.Sprintf("sm_%d", gpu.Target())
	peak := nn.PeakF32(gpu)
	for _, r := range []kernelResult{{Name: "peak_f32", ISA: isa, GFLOPS: peak / 1e9}, {Name: "peak_memory", ISA: isa, GBS: gpu.Bandwidth() / 1e9}} {
		if err := c.printKernel(r); err != nil {
			return err
		}
	}
	for _, k := range cases {
		if !re.MatchString(k.name) {
			continue
		}
		took, err := b.Time(ctx, 5, func(p nn.Pass) func() { return k.open(b, p) })
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		ns := float64(max(1, took.Nanoseconds()))
		r := kernelResult{Name: k.name, ISA: isa, NS: ns, GFLOPS: k.flops / ns, GBS: k.bytes / ns}
		switch {
		case k.flops > 0 && precision == kernels.PrecisionF32:
			r.OfPeak = r.GFLOPS * 1e9 / peak
		case k.flops == 0:
			r.OfPeak = r.GBS * 1e9 / gpu.Bandwidth()
		}
		if err := c.printKernel(r); err != nil {
			return err
		}
	}
	return nil
}

// gpuCase is an operation of a backend on one shape: what it computes and moves
// at least, and a function that makes the operands and returns the operation.
type gpuCase struct {
	name  string
	flops float64 // of its matrix products, or 0
	bytes float64 // read and written, for operations bound by memory, or 0
	open  func(b *nn.CUDA, p nn.Pass) func()
}

// gpuCases are the operations of models in the shapes of BERT-base, GPT-2,
// wav2vec 2.0, ResNet-50 and of large square products.
func gpuCases(precision kernels.Precision) []gpuCase {
	typ, size := precision.String(), 4.0
	if precision == kernels.PrecisionBF16 {
		size = 2
	}
	var list []gpuCase
	for _, s := range [][3]int{
		{1, 768, 768}, {1, 3072, 768}, {1, 50257, 768}, {8, 3072, 768}, {128, 768, 768}, {128, 2304, 768}, {128, 3072, 768}, {128, 768, 3072},
		{512, 768, 768}, {4096, 3072, 768}, {1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 4096, 4096}, {8192, 8192, 8192},
	} {
		list = append(list, gpuProduct(typ, size, s[0], s[1], s[2]))
	}
	for _, s := range []struct{ sequences, tokens, heads, d int }{{1, 128, 12, 64}, {32, 128, 12, 64}, {1, 197, 12, 64}, {32, 197, 12, 64}, {1, 4096, 16, 128}, {4, 4096, 16, 128}} {
		list = append(list, gpuAttention(typ, s.sequences, s.tokens, s.heads, s.d))
	}
	for _, s := range []struct{ sequences, keys int }{{1, 1024}, {8, 1024}, {1, 8192}} {
		list = append(list, gpuDecode(typ, size, s.sequences, s.keys, 12, 64))
	}
	for _, s := range convShapes {
		list = append(list, gpuConv(typ, s))
	}
	for _, rows := range []int{128, 8192} {
		list = append(list, gpuRows(typ, size, rows, 768)...)
	}
	return list
}

// random is noise on the device, of the backend's type.
func random(p nn.Pass, rows, cols int) tensor.Tensor {
	x := p.New(rows, cols)
	p.Scale(x, p.Floats(noise(rows*cols), rows, cols), 1)
	return x
}

// weightOf is a weight of noise; an error ends the pass.
func weightOf(b *nn.CUDA, p nn.Pass, out, in int) nn.Matrix {
	w, err := b.Matrix("weight", nn.MatrixPart{Data: noise(out * in), Out: out, In: in})
	if err != nil {
		p.Fail(err)
	}
	return w
}

func gpuProduct(typ string, size float64, m, n, k int) gpuCase {
	c := gpuCase{name: fmt.Sprintf("gemm_%s/m=%d/n=%d/k=%d", typ, m, n, k), flops: 2 * float64(m) * float64(n) * float64(k)}
	if m == 1 { // what counts is how fast the weight is read
		c.flops, c.bytes = 0, size*float64(n)*float64(k)
	}
	c.open = func(b *nn.CUDA, p nn.Pass) func() {
		dst, x, w := p.New(m, n), random(p, m, k), weightOf(b, p, n, k)
		return func() { p.Linear(dst, x, w, nn.Epilogue{}) }
	}
	return c
}

func offsets(sequences, each int) []int32 {
	off := make([]int32, sequences+1)
	for s := range off {
		off[s] = int32(s * each)
	}
	return off
}

func gpuAttention(typ string, sequences, tokens, heads, d int) gpuCase {
	width := heads * d
	return gpuCase{
		name:  fmt.Sprintf("attention_%s/sequences=%d/tokens=%d/heads=%d/d=%d", typ, sequences, tokens, heads, d),
		flops: 4 * float64(sequences) * float64(tokens) * float64(tokens) * float64(width),
		open: func(b *nn.CUDA, p nn.Pass) func() {
			rows := sequences * tokens
			dst, qkv, off := p.New(rows, width), random(p, rows, 3*width), offsets(sequences, tokens)
			return func() {
				p.Attention(dst, qkv.SliceCols(0, width), qkv.SliceCols(width, 2*width), qkv.SliceCols(2*width, 3*width), nn.AttentionArgs{
					Heads: heads, KVHeads: heads, HeadDim: d, Scale: float32(1 / math.Sqrt(float64(d))), QOff: off, KOff: off})
			}
		},
	}
}

// gpuDecode is the attention of a token a sequence to the keys of a cache.
func gpuDecode(typ string, size float64, sequences, keys, heads, d int) gpuCase {
	width := heads * d
	return gpuCase{
		name:  fmt.Sprintf("decode_%s/sequences=%d/keys=%d/heads=%d/d=%d", typ, sequences, keys, heads, d),
		bytes: size * 2 * float64(sequences) * float64(keys) * float64(width),
		open: func(b *nn.CUDA, p nn.Pass) func() {
			cache := nn.NewCache(b, 1, width, width)
			cache.Reset(sequences, sequences*keys)
			cache.Extend(func(int) int { return keys })
			kv := random(p, sequences*keys, width)
			p.Append(cache, 0, kv, kv)
			dst, q := p.New(sequences, width), random(p, sequences, width)
			args := cache.Args()
			args.Heads, args.KVHeads, args.HeadDim, args.Scale, args.QOff = heads, heads, d, float32(1/math.Sqrt(float64(d))), cache.OneEach()
			return func() { p.Attention(dst, q, tensor.Tensor{}, tensor.Tensor{}, args) }
		},
	}
}

func gpuConv(typ string, s convShape) gpuCase {
	oh, ow := s.win.Out(s.h, s.w, s.kh, s.kw)
	weights := s.out * s.in / s.groups * s.kh * s.kw
	return gpuCase{
		name:  fmt.Sprintf("conv_%s/%s", typ, s),
		flops: 2 * float64(oh*ow) * float64(weights),
		open: func(b *nn.CUDA, p nn.Pass) func() {
			w, err := b.Conv2D("weight", noise(weights), s.out, s.in, s.kh, s.kw, s.groups)
			if err != nil {
				p.Fail(err)
			}
			dst, x := p.New(oh*ow, s.out), random(p, s.h*s.w, s.in)
			g := nn.Window2D{StrideH: s.win.StrideH, StrideW: s.win.StrideW, PadT: s.win.PadT, PadL: s.win.PadL, PadB: s.win.PadB, PadR: s.win.PadR,
				DilationH: s.win.DilH, DilationW: s.win.DilW}
			return func() { p.Conv2D(dst, x, s.h, s.w, w, g, nn.Epilogue{}) }
		},
	}
}

// gpuRows are the operations that memory bounds.
func gpuRows(typ string, size float64, rows, cols int) []gpuCase {
	var list []gpuCase
	add := func(name string, streams int, op func(p nn.Pass, dst, x, y, gain tensor.Tensor)) {
		list = append(list, gpuCase{
			name:  fmt.Sprintf("%s_%s/rows=%d/cols=%d", name, typ, rows, cols),
			bytes: size * float64(streams) * float64(rows) * float64(cols),
			open: func(b *nn.CUDA, p nn.Pass) func() {
				gain, err := b.Vector("gain", noise(cols), 1, cols)
				if err != nil {
					p.Fail(err)
				}
				dst, x, y := p.New(rows, cols), random(p, rows, cols), random(p, rows, cols)
				return func() { op(p, dst, x, y, gain) }
			},
		})
	}
	add("gelu", 2, func(p nn.Pass, dst, x, _, _ tensor.Tensor) { p.Activate(dst, x, kernels.ActGELU) })
	add("add", 3, func(p nn.Pass, dst, x, y, _ tensor.Tensor) { p.Add(dst, x, y) })
	add("softmax", 2, func(p nn.Pass, dst, x, _, _ tensor.Tensor) { p.Softmax(dst, x) })
	add("layer_norm", 3, func(p nn.Pass, dst, x, y, gain tensor.Tensor) { p.LayerNorm(dst, x, y, gain, gain, 1e-12) })
	add("rms_norm", 2, func(p nn.Pass, dst, x, _, gain tensor.Tensor) { p.RMSNorm(dst, x, gain, 1e-6) })
	return list
}
