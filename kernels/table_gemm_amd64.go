//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/amd64"

// The micro-kernels by panels and rows of the tile. A switch over direct calls
// costs a nanosecond.

func gemmTileAVX2(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, cols int, add bool, next *float32, step int) {
	switch n<<5 | h {
	case 4<<5 | 1:
		amd64.GemmF32Tile1x64AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 3:
		amd64.GemmF32Tile3x32AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 2:
		amd64.GemmF32Tile2x32AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 1:
		amd64.GemmF32Tile1x32AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 6:
		amd64.GemmF32Tile6x16AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 5:
		amd64.GemmF32Tile5x16AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 4:
		amd64.GemmF32Tile4x16AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 3:
		amd64.GemmF32Tile3x16AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 2:
		amd64.GemmF32Tile2x16AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 1:
		amd64.GemmF32Tile1x16AVX2(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	default:
		panic("kernels: no such tile")
	}
}

func gemmDirectAVX2(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next *float32) {
	switch n<<5 | h {
	case 4<<5 | 1:
		amd64.GemmF32Direct1x64AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 3:
		amd64.GemmF32Direct3x32AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 2:
		amd64.GemmF32Direct2x32AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 1:
		amd64.GemmF32Direct1x32AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 6:
		amd64.GemmF32Direct6x16AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 5:
		amd64.GemmF32Direct5x16AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 4:
		amd64.GemmF32Direct4x16AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 3:
		amd64.GemmF32Direct3x16AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 2:
		amd64.GemmF32Direct2x16AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 1:
		amd64.GemmF32Direct1x16AVX2(a, lda, b, ldb, c, ldc, k, add, next)
	default:
		panic("kernels: no such tile")
	}
}

func gemmPackingAVX2(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next *float32, pack *float32, ldp int) {
	switch n<<5 | h {
	case 1<<5 | 6:
		amd64.GemmF32Packing6x16AVX2(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 5:
		amd64.GemmF32Packing5x16AVX2(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 4:
		amd64.GemmF32Packing4x16AVX2(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	default:
		panic("kernels: no such tile")
	}
}

func gemmTileAVX512(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, cols int, add bool, next *float32, step int) {
	switch n<<5 | h {
	case 4<<5 | 4:
		amd64.GemmF32Tile4x64AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 4<<5 | 3:
		amd64.GemmF32Tile3x64AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 4<<5 | 2:
		amd64.GemmF32Tile2x64AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 4<<5 | 1:
		amd64.GemmF32Tile1x64AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 12:
		amd64.GemmF32Tile12x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 11:
		amd64.GemmF32Tile11x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 10:
		amd64.GemmF32Tile10x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 9:
		amd64.GemmF32Tile9x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 8:
		amd64.GemmF32Tile8x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 7:
		amd64.GemmF32Tile7x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 6:
		amd64.GemmF32Tile6x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 5:
		amd64.GemmF32Tile5x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 4:
		amd64.GemmF32Tile4x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 3:
		amd64.GemmF32Tile3x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 2:
		amd64.GemmF32Tile2x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 2<<5 | 1:
		amd64.GemmF32Tile1x32AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 16:
		amd64.GemmF32Tile16x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 15:
		amd64.GemmF32Tile15x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 14:
		amd64.GemmF32Tile14x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 13:
		amd64.GemmF32Tile13x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 12:
		amd64.GemmF32Tile12x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 11:
		amd64.GemmF32Tile11x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 10:
		amd64.GemmF32Tile10x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 9:
		amd64.GemmF32Tile9x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 8:
		amd64.GemmF32Tile8x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 7:
		amd64.GemmF32Tile7x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 6:
		amd64.GemmF32Tile6x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 5:
		amd64.GemmF32Tile5x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 4:
		amd64.GemmF32Tile4x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 3:
		amd64.GemmF32Tile3x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 2:
		amd64.GemmF32Tile2x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	case 1<<5 | 1:
		amd64.GemmF32Tile1x16AVX512(a, lda, b, ldb, c, ldc, k, cols, add, next, step)
	default:
		panic("kernels: no such tile")
	}
}

func gemmDirectAVX512(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next *float32) {
	switch n<<5 | h {
	case 4<<5 | 4:
		amd64.GemmF32Direct4x64AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 4<<5 | 3:
		amd64.GemmF32Direct3x64AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 4<<5 | 2:
		amd64.GemmF32Direct2x64AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 4<<5 | 1:
		amd64.GemmF32Direct1x64AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 12:
		amd64.GemmF32Direct12x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 11:
		amd64.GemmF32Direct11x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 10:
		amd64.GemmF32Direct10x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 9:
		amd64.GemmF32Direct9x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 8:
		amd64.GemmF32Direct8x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 7:
		amd64.GemmF32Direct7x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 6:
		amd64.GemmF32Direct6x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 5:
		amd64.GemmF32Direct5x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 4:
		amd64.GemmF32Direct4x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 3:
		amd64.GemmF32Direct3x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 2:
		amd64.GemmF32Direct2x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 2<<5 | 1:
		amd64.GemmF32Direct1x32AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 16:
		amd64.GemmF32Direct16x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 15:
		amd64.GemmF32Direct15x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 14:
		amd64.GemmF32Direct14x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 13:
		amd64.GemmF32Direct13x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 12:
		amd64.GemmF32Direct12x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 11:
		amd64.GemmF32Direct11x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 10:
		amd64.GemmF32Direct10x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 9:
		amd64.GemmF32Direct9x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 8:
		amd64.GemmF32Direct8x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 7:
		amd64.GemmF32Direct7x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 6:
		amd64.GemmF32Direct6x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 5:
		amd64.GemmF32Direct5x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 4:
		amd64.GemmF32Direct4x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 3:
		amd64.GemmF32Direct3x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 2:
		amd64.GemmF32Direct2x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	case 1<<5 | 1:
		amd64.GemmF32Direct1x16AVX512(a, lda, b, ldb, c, ldc, k, add, next)
	default:
		panic("kernels: no such tile")
	}
}

func gemmPackingAVX512(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool, next *float32, pack *float32, ldp int) {
	switch n<<5 | h {
	case 2<<5 | 12:
		amd64.GemmF32Packing12x32AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 2<<5 | 11:
		amd64.GemmF32Packing11x32AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 2<<5 | 10:
		amd64.GemmF32Packing10x32AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 2<<5 | 9:
		amd64.GemmF32Packing9x32AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 2<<5 | 8:
		amd64.GemmF32Packing8x32AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 2<<5 | 7:
		amd64.GemmF32Packing7x32AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 2<<5 | 6:
		amd64.GemmF32Packing6x32AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 16:
		amd64.GemmF32Packing16x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 15:
		amd64.GemmF32Packing15x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 14:
		amd64.GemmF32Packing14x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 13:
		amd64.GemmF32Packing13x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 12:
		amd64.GemmF32Packing12x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 11:
		amd64.GemmF32Packing11x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 10:
		amd64.GemmF32Packing10x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 9:
		amd64.GemmF32Packing9x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 8:
		amd64.GemmF32Packing8x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 7:
		amd64.GemmF32Packing7x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	case 1<<5 | 6:
		amd64.GemmF32Packing6x16AVX512(a, lda, b, ldb, c, ldc, k, add, next, pack, ldp)
	default:
		panic("kernels: no such tile")
	}
}
