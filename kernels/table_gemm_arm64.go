//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/arm64"

// The micro-kernels by panels and rows of the tile. A switch over direct calls
// costs a nanosecond.

func gemmTileNEON(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, cols int, add bool, next *float32, step int) {
	switch n<<5 | h {
	case 4<<5 | 1:
		arm64.GemmF32Tile1x64NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 3:
		arm64.GemmF32Tile3x32NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 2:
		arm64.GemmF32Tile2x32NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 1:
		arm64.GemmF32Tile1x32NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 6:
		arm64.GemmF32Tile6x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 5:
		arm64.GemmF32Tile5x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 4:
		arm64.GemmF32Tile4x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 3:
		arm64.GemmF32Tile3x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 2:
		arm64.GemmF32Tile2x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 1:
		arm64.GemmF32Tile1x16NEON(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	default:
		panic("kernels: no such tile")
	}
}

func gemmDirectNEON(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next *float32) {
	switch n<<5 | h {
	case 4<<5 | 1:
		arm64.GemmF32Direct1x64NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 3:
		arm64.GemmF32Direct3x32NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 2:
		arm64.GemmF32Direct2x32NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 1:
		arm64.GemmF32Direct1x32NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 6:
		arm64.GemmF32Direct6x16NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 5:
		arm64.GemmF32Direct5x16NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 4:
		arm64.GemmF32Direct4x16NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 3:
		arm64.GemmF32Direct3x16NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 2:
		arm64.GemmF32Direct2x16NEON(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 1:
		arm64.GemmF32Direct1x16NEON(a, lda, b, ldb, c, ldc, k, add, next)
	default:
		panic("kernels: no such tile")
	}
}

func gemmPackingNEON(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next *float32, pack *float32, ldp int) {
	switch n<<5 | h {
	case 1<<5 | 6:
		arm64.GemmF32Packing6x16NEON(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 5:
		arm64.GemmF32Packing5x16NEON(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 4:
		arm64.GemmF32Packing4x16NEON(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	default:
		panic("kernels: no such tile")
	}
}
