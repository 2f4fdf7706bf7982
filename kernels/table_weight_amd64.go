//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/amd64"

var weight8 = family[weightRow]{op: "gemm_f32_s8", rows: []row[weightRow]{
	{name: "GemmX24S8Tile6x16AVX512VNNI", isa: ISAAVX512VNNI, tile: "6x16", impl: weightRow{
		panels: []int{1: 4, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1}, split: amd64.SplitBytesF32AVX2, tile: weight8TileVNNI}},
	{name: "GemmX24S8Tile3x16AVX2", isa: ISAAVX2, tile: "3x16", impl: weightRow{
		panels: []int{1: 4, 2: 1, 3: 1}, split: amd64.SplitWordsF32AVX2, tile: weight8TileAVX2}},
	{name: "ref.AddFixed", isa: ISARef},
}}

var weight4 = family[weightRow]{op: "gemm_f32_s4", rows: []row[weightRow]{
	{name: "GemmX24S4Tile6x16AVX512VNNI", isa: ISAAVX512VNNI, tile: "6x16", impl: weightRow{
		panels: []int{1: 4, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1}, split: amd64.SplitBytesF32AVX2, tile: weight4TileVNNI}},
	{name: "GemmX24S4Tile2x16AVX2", isa: ISAAVX2, tile: "2x16", impl: weightRow{
		panels: []int{1: 4, 2: 1}, split: amd64.SplitBytesF32AVX2, tile: weight4TileAVX2}},
	{name: "ref.AddFixed", isa: ISARef},
}}

func weight8TileVNNI(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		amd64.GemmX24S8Tile1x64AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 2<<4 | 1:
		amd64.GemmX24S8Tile1x32AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 2<<4 | 2:
		amd64.GemmX24S8Tile2x32AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 3:
		amd64.GemmX24S8Tile3x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 4:
		amd64.GemmX24S8Tile4x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 5:
		amd64.GemmX24S8Tile5x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 6:
		amd64.GemmX24S8Tile6x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func weight4TileVNNI(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		amd64.GemmX24S4Tile1x64AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 2<<4 | 1:
		amd64.GemmX24S4Tile1x32AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 2<<4 | 2:
		amd64.GemmX24S4Tile2x32AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 3:
		amd64.GemmX24S4Tile3x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 4:
		amd64.GemmX24S4Tile4x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 5:
		amd64.GemmX24S4Tile5x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 6:
		amd64.GemmX24S4Tile6x16AVX512VNNI(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func weight8TileAVX2(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		amd64.GemmX24S8Tile1x64AVX2(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		amd64.GemmX24S8Tile2x16AVX2(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 3:
		amd64.GemmX24S8Tile3x16AVX2(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func weight4TileAVX2(h, n int, a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		amd64.GemmX24S4Tile1x64AVX2(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 1:
		amd64.GemmX24S4Tile1x16AVX2(a, sum, lda, b, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		amd64.GemmX24S4Tile2x16AVX2(a, sum, lda, b, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}
