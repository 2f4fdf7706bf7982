package kernels

import (
	"fmt"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
)

// benchRows runs f on each instruction set, over n elements of normally
// distributed data, and reports the time an element takes.
func benchRows(b *testing.B, shape string, n int, f func()) {
	for _, isa := range isasF32() {
		if isa == ISARef {
			continue
		}
		b.Run(fmt.Sprintf("isa=%s/%s", isa, shape), func(b *testing.B) {
			Use(b, isa)
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				f()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/elem")
		})
	}
}

func benchData(n int) []float32 {
	x := make([]float32, n)
	ktest.Fill(ktest.Rand(1), x)
	return x
}

func BenchmarkActF32(b *testing.B) {
	const n = 3072
	x, dst := benchData(n), make([]float32, n)
	for _, a := range Acts() {
		b.Run("act="+a.String(), func(b *testing.B) {
			benchRows(b, fmt.Sprintf("n=%d", n), n, func() { ActF32(nil, dst, x, a) })
		})
	}
}

func BenchmarkSoftmaxF32(b *testing.B) {
	const rows, cols = 64, 512
	x, dst := benchData(rows*cols), make([]float32, rows*cols)
	benchRows(b, fmt.Sprintf("rows=%d/cols=%d", rows, cols), rows*cols, func() { SoftmaxF32(nil, dst, x, rows, cols, cols) })
}

func BenchmarkLayerNormF32(b *testing.B) {
	const rows, cols = 32, 768
	x, dst, gain := benchData(rows*cols), make([]float32, rows*cols), benchData(cols)
	for _, residual := range [][]float32{nil, benchData(rows * cols)} {
		b.Run(fmt.Sprintf("residual=%t", residual != nil), func(b *testing.B) {
			benchRows(b, fmt.Sprintf("rows=%d/cols=%d", rows, cols), rows*cols, func() {
				LayerNormF32(nil, dst, cols, x, cols, residual, cols, nil, 0, gain, gain, 1e-5, rows, cols)
			})
		})
	}
}

func BenchmarkRMSNormF32(b *testing.B) {
	const rows, cols = 32, 768
	x, dst, gain := benchData(rows*cols), make([]float32, rows*cols), benchData(cols)
	benchRows(b, fmt.Sprintf("rows=%d/cols=%d", rows, cols), rows*cols, func() {
		RMSNormF32(nil, dst, cols, x, cols, gain, 1e-5, rows, cols)
	})
}

// BenchmarkGroupNormF32 has the shape of wav2vec 2.0's for one second of sound.
func BenchmarkGroupNormF32(b *testing.B) {
	const T, C = 3199, 512
	x, dst, gain := benchData(T*C), make([]float32, T*C), benchData(C)
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			team := Enter(threads)
			defer team.Leave()
			benchRows(b, fmt.Sprintf("t=%d/c=%d", T, C), T*C, func() {
				GroupNormF32(team, dst, x, T, C, C, gain, gain, 1e-5, ActGELU)
			})
		})
	}
}

func BenchmarkAddF32(b *testing.B) {
	const n = 1 << 14
	x, y, dst := benchData(n), benchData(n), make([]float32, n)
	benchRows(b, fmt.Sprintf("n=%d", n), n, func() { AddF32(nil, dst, x, y) })
}

func BenchmarkTransposeF32(b *testing.B) {
	const c, hw = 64, 56 * 56
	x, dst := benchData(c*hw), make([]float32, c*hw)
	benchRows(b, fmt.Sprintf("c=%d/hw=%d", c, hw), c*hw, func() { TransposeF32(nil, dst, x, 1, c, hw) })
}

func BenchmarkMaxPool2DF32(b *testing.B) {
	win := Window{StrideH: 2, StrideW: 2, PadT: 1, PadL: 1, PadB: 1, PadR: 1, DilH: 1, DilW: 1}
	x, dst := benchData(112*112*64), make([]float32, 56*56*64)
	benchRows(b, "h=112/c=64/k=3", len(x), func() { MaxPool2DF32(nil, dst, x, 112, 112, 64, 3, 3, win) })
}

func BenchmarkConvert(b *testing.B) {
	const n = 1 << 14
	x, h := benchData(n), make([]uint16, n)
	b.Run("f32f16", func(b *testing.B) { benchRows(b, "n=16384", n, func() { ConvertF32F16(h, x) }) })
	b.Run("f16f32", func(b *testing.B) { benchRows(b, "n=16384", n, func() { ConvertF16F32(x, h) }) })
	b.Run("f32bf16", func(b *testing.B) { benchRows(b, "n=16384", n, func() { ConvertF32BF16(h, x) }) })
	b.Run("bf16f32", func(b *testing.B) { benchRows(b, "n=16384", n, func() { ConvertBF16F32(x, h) }) })
}

func BenchmarkArgMaxF32(b *testing.B) {
	const n = 50257
	x, at := benchData(n), make([]int32, 1)
	benchRows(b, fmt.Sprintf("n=%d", n), n, func() { ArgMaxF32(nil, at, x, 1, n, n) })
}
