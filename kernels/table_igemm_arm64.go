//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/arm64"

var igemm = family[igemmRow]{op: "gemm_s8", rows: []row[igemmRow]{
	{name: "GemmU8S8Matrix6x16NEON", isa: ISANEONI8MM, tile: "6x16", impl: igemmRow{
		rows: 6, panels: 1, bytes: 1, quantize: arm64.QuantizeRowsU8NEON, tile: igemmTileMatrix}},
	{name: "GemmU8S8Dot6x16NEON", isa: ISANEONDot, tile: "6x16", impl: igemmRow{
		rows: 6, panels: 1, bytes: 1, quantize: arm64.QuantizeRowsU8NEON, tile: igemmTileDot}},
	{name: "GemmS16S8Tile4x16NEON", isa: ISANEON, tile: "4x16", impl: igemmRow{
		rows: 4, panels: 1, bytes: 2, quantize: arm64.QuantizeRowsS16NEON, widen: arm64.WidenU8S16NEON, tile: igemmTileNEON}},
	igemmRef,
}}

// igemmNarrow has nothing to gain here.
var igemmNarrow = family[igemmRow]{op: "gemm_s7", rows: igemm.rows}

func igemmTileMatrix(h int, a *byte, lda int, b *int8, ldb int, _ *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 6:
		arm64.GemmU8S8Matrix6x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		arm64.GemmU8S8Matrix5x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		arm64.GemmU8S8Matrix4x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		arm64.GemmU8S8Matrix3x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		arm64.GemmU8S8Matrix2x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		arm64.GemmU8S8Matrix1x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}

func igemmTileDot(h int, a *byte, lda int, b *int8, ldb int, _ *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 6:
		arm64.GemmU8S8Dot6x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		arm64.GemmU8S8Dot5x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		arm64.GemmU8S8Dot4x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		arm64.GemmU8S8Dot3x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		arm64.GemmU8S8Dot2x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		arm64.GemmU8S8Dot1x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}

func igemmTileNEON(h int, a *byte, lda int, b *int8, ldb int, _ *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 4:
		arm64.GemmS16S8Tile4x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		arm64.GemmS16S8Tile3x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		arm64.GemmS16S8Tile2x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		arm64.GemmS16S8Tile1x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}
