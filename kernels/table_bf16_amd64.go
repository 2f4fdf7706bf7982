//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/seed-512d3d71/weft/kernels/amd64"
)

// bf16Words is the number of pairs of bfloat16 of a column that lie side by
// side in a panel: an instruction takes one.
const bf16Words = 1

var gemmBF16 = family[gemmRow]{op: "gemm_bf16", rows: []row[gemmRow]{
	{name: "GemmBF16Tile12x32AVX512BF16", isa: ISAAVX512, needs: []cpuid.FeatureID{cpuid.AVX512BF16}, tile: "12x32", impl: gemmRow{
		rows: [5]int{1: 16, 2: 12, 4: 4}, thin: 4, fetch: 16, side: sideAVX512, tile: gemmTileBF16}},
	{name: "ref.GemmRowBF16", isa: ISARef},
}}

func gemmTileBF16(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, cols int, add bool, next *float32, step int) {
	switch n<<5 | h {
	case 4<<5 | 4:
		amd64.GemmBF16Tile4x64AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 4<<5 | 3:
		amd64.GemmBF16Tile3x64AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 4<<5 | 2:
		amd64.GemmBF16Tile2x64AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 4<<5 | 1:
		amd64.GemmBF16Tile1x64AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 12:
		amd64.GemmBF16Tile12x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 11:
		amd64.GemmBF16Tile11x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 10:
		amd64.GemmBF16Tile10x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 9:
		amd64.GemmBF16Tile9x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 8:
		amd64.GemmBF16Tile8x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 7:
		amd64.GemmBF16Tile7x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 6:
		amd64.GemmBF16Tile6x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 5:
		amd64.GemmBF16Tile5x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 4:
		amd64.GemmBF16Tile4x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 3:
		amd64.GemmBF16Tile3x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 2:
		amd64.GemmBF16Tile2x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 1:
		amd64.GemmBF16Tile1x32AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 16:
		amd64.GemmBF16Tile16x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 15:
		amd64.GemmBF16Tile15x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 14:
		amd64.GemmBF16Tile14x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 13:
		amd64.GemmBF16Tile13x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 12:
		amd64.GemmBF16Tile12x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 11:
		amd64.GemmBF16Tile11x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 10:
		amd64.GemmBF16Tile10x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 9:
		amd64.GemmBF16Tile9x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 8:
		amd64.GemmBF16Tile8x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 7:
		amd64.GemmBF16Tile7x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 6:
		amd64.GemmBF16Tile6x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 5:
		amd64.GemmBF16Tile5x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 4:
		amd64.GemmBF16Tile4x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 3:
		amd64.GemmBF16Tile3x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 2:
		amd64.GemmBF16Tile2x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 1:
		amd64.GemmBF16Tile1x16AVX512BF16(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	default:
		panic("kernels: no such tile")
	}
}
