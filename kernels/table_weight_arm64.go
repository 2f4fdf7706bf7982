//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/arm64"

var weight = family[weightRow]{op: "gemm_f32_weight", rows: []row[weightRow]{
	{name: "GemmF32S8Tile1x64NEON", isa: ISANEON, tile: "1x64", impl: weightRow{
		rows: 4, panels: [5]int{1: 4, 2: 2, 3: 1, 4: 1}, tile: weightTileNEON, unpack: unpackNEON}},
	{name: "ref.GemmRowF32", isa: ISARef},
}}

func weightTileNEON(s Scheme, h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, cols, group int) {
	switch n<<5 | h | int(s)<<10 {
	case int(W8)<<10 | 4<<5 | 1:
		arm64.GemmF32S8Tile1x64NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 1:
		arm64.GemmF32S8Tile1x32NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 2<<5 | 2:
		arm64.GemmF32S8Tile2x32NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 1<<5 | 3:
		arm64.GemmF32S8Tile3x16NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W8)<<10 | 1<<5 | 4:
		arm64.GemmF32S8Tile4x16NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 4<<5 | 1:
		arm64.GemmF32S4Tile1x64NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 1:
		arm64.GemmF32S4Tile1x32NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 2<<5 | 2:
		arm64.GemmF32S4Tile2x32NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 1<<5 | 3:
		arm64.GemmF32S4Tile3x16NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	case int(W4)<<10 | 1<<5 | 4:
		arm64.GemmF32S4Tile4x16NEON(a, lda, b, ldb, scale, lds, c, ldc, k, cols, group)
	default:
		panic("kernels: no such tile")
	}
}

func unpackNEON(s Scheme, dst *float32, b *int8, scale *float32, k int) {
	if s == W4 {
		arm64.UnpackS4F32NEON(dst, b, scale, k)
		return
	}
	arm64.UnpackS8F32NEON(dst, b, scale, k)
}
