//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/arm64"

var weight8 = family[weightRow]{op: "gemm_f32_s8", rows: []row[weightRow]{
	{name: "GemmX24S8Dot2x16NEON", isa: ISANEONDot, tile: "2x16", impl: weightRow{
		panels: []int{1: 2, 2: 1}, split: arm64.SplitBytesF32NEON, tile: weight8TileDot}},
	{name: "GemmX24S8Long2x16NEON", isa: ISANEON, tile: "2x16", impl: weightRow{
		panels: []int{1: 1, 2: 1}, split: arm64.SplitWordsF32NEON, tile: weight8TileLong}},
	{name: "ref.AddFixed", isa: ISARef},
}}

var weight4 = family[weightRow]{op: "gemm_f32_s4", rows: []row[weightRow]{
	{name: "GemmX24S4Dot2x16NEON", isa: ISANEONDot, tile: "2x16", impl: weightRow{
		panels: []int{1: 2, 2: 1}, split: arm64.SplitBytesF32NEON, tile: weight4TileDot}},
	{name: "GemmX24S4Long1x16NEON", isa: ISANEON, tile: "1x16", impl: weightRow{
		panels: []int{1: 1}, split: arm64.SplitBytesF32NEON, tile: weight4TileLong}},
	{name: "ref.AddFixed", isa: ISARef},
}}

func weight8TileDot(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 2<<4 | 1:
		arm64.GemmX24S8Dot1x32NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 1:
		arm64.GemmX24S8Dot1x16NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		arm64.GemmX24S8Dot2x16NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func weight4TileDot(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 2<<4 | 1:
		arm64.GemmX24S4Dot1x32NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 1:
		arm64.GemmX24S4Dot1x16NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		arm64.GemmX24S4Dot2x16NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func weight8TileLong(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 1<<4 | 1:
		arm64.GemmX24S8Long1x16NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		arm64.GemmX24S8Long2x16NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func weight4TileLong(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 1<<4 | 1:
		arm64.GemmX24S4Long1x16NEON(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}
