//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/seed-512d3d71/weft/kernels/arm64"
)

// bf16Words is the number of pairs of bfloat16 of a column that lie side by
// side in a panel: an instruction takes two.
const bf16Words = 2

var gemmBF16 = family[gemmRow]{op: "gemm_bf16", rows: []row[gemmRow]{
	{name: "GemmBF16Tile6x16NEON", isa: ISANEON, needs: []cpuid.FeatureID{cpuid.BF16}, tile: "6x16", impl: gemmRow{
		rows: [5]int{1: 6, 2: 2}, thin: 4, fetch: 8, side: sideBF16, tile: gemmTileBF16}},
	{name: "ref.GemmRowBF16", isa: ISARef},
}}

func sideBF16(m int) int {
	if m <= 2 {
		return 2
	}
	return 1
}

func gemmTileBF16(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, cols int, add bool, next *float32, step int) {
	switch n<<5 | h {
	case 2<<5 | 2:
		arm64.GemmBF16Tile2x32NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 1:
		arm64.GemmBF16Tile1x32NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 6:
		arm64.GemmBF16Tile6x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 5:
		arm64.GemmBF16Tile5x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 4:
		arm64.GemmBF16Tile4x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 3:
		arm64.GemmBF16Tile3x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 2:
		arm64.GemmBF16Tile2x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 1:
		arm64.GemmBF16Tile1x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	default:
		panic("kernels: no such tile")
	}
}
