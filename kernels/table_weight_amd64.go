//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/amd64"

var weight = family[weightRow]{op: "gemm_f32_weight", rows: []row[weightRow]{
	{name: "GemmF32S8Tile4x32AVX512", isa: ISAAVX512, tile: "4x32", impl: weightRow{
		rows: 4, panels: [5]int{1: 4, 2: 4, 3: 2, 4: 2}, plain: true, tile: weightTileAVX512, unpack: unpackAVX512}},
	{name: "GemmF32S8Tile4x16AVX2", isa: ISAAVX2, tile: "4x16", impl: weightRow{
		rows: 4, panels: [5]int{1: 4, 2: 2, 3: 1, 4: 1}, plain: true, tile: weightTileAVX2, unpack: unpackAVX2}},
	{name: "ref.GemmRowF32", isa: ISARef},
}}

func weightTileAVX512(s Scheme, h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, cols, group int) {
	switch n<<5 | h | int(s)<<10 {
	case int(W8)<<10 | 4<<5 | 1:
		amd64.GemmF32S8Tile1x64AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 1:
		amd64.GemmF32S8Tile1x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 4<<5 | 2:
		amd64.GemmF32S8Tile2x64AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 2:
		amd64.GemmF32S8Tile2x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 3:
		amd64.GemmF32S8Tile3x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 4:
		amd64.GemmF32S8Tile4x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 4<<5 | 1:
		amd64.GemmF32S4Tile1x64AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 1:
		amd64.GemmF32S4Tile1x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 4<<5 | 2:
		amd64.GemmF32S4Tile2x64AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 2:
		amd64.GemmF32S4Tile2x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 3:
		amd64.GemmF32S4Tile3x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 4:
		amd64.GemmF32S4Tile4x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	default:
		panic("kernels: no such tile")
	}
}

func unpackAVX512(s Scheme, dst *float32, b *int8, scale *float32, k int) {
	if s == W4 {
		amd64.UnpackS4F32AVX512(dst, b, scale, k)
		return
	}
	amd64.UnpackS8F32AVX512(dst, b, scale, k)
}

func weightTileAVX2(s Scheme, h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, cols, group int) {
	switch n<<5 | h | int(s)<<10 {
	case int(W8)<<10 | 4<<5 | 1:
		amd64.GemmF32S8Tile1x64AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 1:
		amd64.GemmF32S8Tile1x32AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 2:
		amd64.GemmF32S8Tile2x32AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 1<<5 | 3:
		amd64.GemmF32S8Tile3x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 1<<5 | 4:
		amd64.GemmF32S8Tile4x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 4<<5 | 1:
		amd64.GemmF32S4Tile1x64AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 1:
		amd64.GemmF32S4Tile1x32AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 2:
		amd64.GemmF32S4Tile2x32AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 1<<5 | 3:
		amd64.GemmF32S4Tile3x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 1<<5 | 4:
		amd64.GemmF32S4Tile4x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	default:
		panic("kernels: no such tile")
	}
}

func unpackAVX2(s Scheme, dst *float32, b *int8, scale *float32, k int) {
	if s == W4 {
		amd64.UnpackS4F32AVX2(dst, b, scale, k)
		return
	}
	amd64.UnpackS8F32AVX2(dst, b, scale, k)
}
