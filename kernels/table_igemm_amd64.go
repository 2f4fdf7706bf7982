//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/amd64"

var igemm = family[igemmRow]{op: "gemm_s8", rows: []row[igemmRow]{
	igemmVNNI,
	{name: "GemmS16S8Tile12x32AVX512", isa: ISAAVX512, tile: "12x32", impl: igemmRow{
		rows: 12, panels: 2, bytes: 2, quantize: amd64.QuantizeRowsS16AVX2, widen: amd64.WidenU8S16AVX2, tile: igemmTileAVX512}},
	igemmAVXVNNI,
	{name: "GemmS16S8Tile6x16AVX2", isa: ISAAVX2, tile: "6x16", impl: igemmRow{
		rows: 6, panels: 1, bytes: 2, quantize: amd64.QuantizeRowsS16AVX2, widen: amd64.WidenU8S16AVX2, tile: igemmTileAVX2}},
	igemmRef,
}}

// igemmNarrow is igemm for weights that are narrow.
var igemmNarrow = family[igemmRow]{op: "gemm_s7", rows: []row[igemmRow]{
	igemmVNNI,
	{name: "GemmU8S7Tile12x32AVX512", isa: ISAAVX512, tile: "12x32", impl: igemmRow{
		rows: 12, panels: 2, bytes: 1, quantize: amd64.QuantizeRowsU8AVX512, tile: igemmPairsAVX512}},
	igemmAVXVNNI,
	{name: "GemmU8S7Tile6x16AVX2", isa: ISAAVX2, tile: "6x16", impl: igemmRow{
		rows: 6, panels: 1, bytes: 1, quantize: amd64.QuantizeRowsU8AVX2, tile: igemmPairsAVX2}},
	igemmRef,
}}

var (
	igemmVNNI = row[igemmRow]{name: "GemmU8S8Tile12x32AVX512VNNI", isa: ISAAVX512VNNI, tile: "12x32", impl: igemmRow{
		rows: 12, panels: 2, bytes: 1, quantize: amd64.QuantizeRowsU8AVX512, tile: igemmTileVNNI}}
	igemmAVXVNNI = row[igemmRow]{name: "GemmU8S8Tile6x16AVXVNNI", isa: ISAAVXVNNI, tile: "6x16", impl: igemmRow{
		rows: 6, panels: 1, bytes: 1, quantize: amd64.QuantizeRowsU8AVX2, tile: igemmTileAVXVNNI}}
)

func igemmTileVNNI(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 12:
		amd64.GemmU8S8Tile12x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 11:
		amd64.GemmU8S8Tile11x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 10:
		amd64.GemmU8S8Tile10x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 9:
		amd64.GemmU8S8Tile9x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 8:
		amd64.GemmU8S8Tile8x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 7:
		amd64.GemmU8S8Tile7x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 6:
		amd64.GemmU8S8Tile6x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		amd64.GemmU8S8Tile5x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		amd64.GemmU8S8Tile4x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		amd64.GemmU8S8Tile3x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		amd64.GemmU8S8Tile2x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		amd64.GemmU8S8Tile1x32AVX512VNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}

func igemmTileAVX512(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 12:
		amd64.GemmS16S8Tile12x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 11:
		amd64.GemmS16S8Tile11x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 10:
		amd64.GemmS16S8Tile10x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 9:
		amd64.GemmS16S8Tile9x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 8:
		amd64.GemmS16S8Tile8x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 7:
		amd64.GemmS16S8Tile7x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 6:
		amd64.GemmS16S8Tile6x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		amd64.GemmS16S8Tile5x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		amd64.GemmS16S8Tile4x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		amd64.GemmS16S8Tile3x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		amd64.GemmS16S8Tile2x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		amd64.GemmS16S8Tile1x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}

func igemmTileAVXVNNI(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 6:
		amd64.GemmU8S8Tile6x16AVXVNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		amd64.GemmU8S8Tile5x16AVXVNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		amd64.GemmU8S8Tile4x16AVXVNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		amd64.GemmU8S8Tile3x16AVXVNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		amd64.GemmU8S8Tile2x16AVXVNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		amd64.GemmU8S8Tile1x16AVXVNNI(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}

func igemmTileAVX2(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 6:
		amd64.GemmS16S8Tile6x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		amd64.GemmS16S8Tile5x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		amd64.GemmS16S8Tile4x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		amd64.GemmS16S8Tile3x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		amd64.GemmS16S8Tile2x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		amd64.GemmS16S8Tile1x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}

func igemmPairsAVX512(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 12:
		amd64.GemmU8S7Tile12x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 11:
		amd64.GemmU8S7Tile11x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 10:
		amd64.GemmU8S7Tile10x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 9:
		amd64.GemmU8S7Tile9x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 8:
		amd64.GemmU8S7Tile8x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 7:
		amd64.GemmU8S7Tile7x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 6:
		amd64.GemmU8S7Tile6x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		amd64.GemmU8S7Tile5x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		amd64.GemmU8S7Tile4x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		amd64.GemmU8S7Tile3x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		amd64.GemmU8S7Tile2x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		amd64.GemmU8S7Tile1x32AVX512(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}

func igemmPairsAVX2(h int, a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc, k, cols int, add bool, zero, sums *int32, rowScale, colScale *float32) {
	switch h {
	case 6:
		amd64.GemmU8S7Tile6x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 5:
		amd64.GemmU8S7Tile5x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 4:
		amd64.GemmU8S7Tile4x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 3:
		amd64.GemmU8S7Tile3x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 2:
		amd64.GemmU8S7Tile2x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	case 1:
		amd64.GemmU8S7Tile1x16AVX2(a, lda, b, ldb, next, c, ldc, k, cols, add, zero, sums, rowScale, colScale)
	default:
		panic("kernels: no such tile")
	}
}
