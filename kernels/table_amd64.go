//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/seed-512d3d71/weft/kernels/amd64"
)

// isaNeeds are the CPU features that each instruction set of this build takes
// for granted. The rows of an instruction set use no others: a test compares
// this with what the assembly says it requires.
var isaNeeds = map[string][]cpuid.FeatureID{
	ISAAVX512: {cpuid.AVX2, cpuid.FMA3, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL},
	ISAAVX2:   {cpuid.AVX2, cpuid.FMA3},
	ISARef:    nil,
}

var gemmF32 = family[gemmRow]{op: "gemm_f32", rows: []row[gemmRow]{
	{name: "GemmF32Tile12x32AVX512", isa: ISAAVX512, tile: "12x32", impl: gemmRow{rows: 12, side: sideAVX512, micro: gemmMicroAVX512}},
	{name: "GemmF32Tile6x16AVX2", isa: ISAAVX2, tile: "6x16", impl: gemmRow{rows: 6, side: sideAVX2, micro: gemmMicroAVX2}},
	{name: "ref.GemmRowF32", isa: ISARef},
}}

func sideAVX2(m int) int {
	switch m {
	case 1:
		return 4
	case 2, 3:
		return 2
	}
	return 1
}

func sideAVX512(m int) int {
	if m <= 2 {
		return 4
	}
	return 2
}

func gemmMicroAVX2(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool) {
	switch h<<4 | n {
	case 0x61:
		amd64.GemmF32Tile6x16AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x51:
		amd64.GemmF32Tile5x16AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x41:
		amd64.GemmF32Tile4x16AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x31:
		amd64.GemmF32Tile3x16AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x21:
		amd64.GemmF32Tile2x16AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x11:
		amd64.GemmF32Tile1x16AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x32:
		amd64.GemmF32Tile3x32AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x22:
		amd64.GemmF32Tile2x32AVX2(a, lda, b, ldb, c, ldc, k, add)
	case 0x14:
		amd64.GemmF32Tile1x64AVX2(a, lda, b, ldb, c, ldc, k, add)
	default:
		panic("kernels: no such tile")
	}
}

func gemmMicroAVX512(h, n int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k int, add bool) {
	switch h<<4 | n {
	case 0xc2:
		amd64.GemmF32Tile12x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0xb2:
		amd64.GemmF32Tile11x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0xa2:
		amd64.GemmF32Tile10x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x92:
		amd64.GemmF32Tile9x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x82:
		amd64.GemmF32Tile8x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x72:
		amd64.GemmF32Tile7x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x62:
		amd64.GemmF32Tile6x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x52:
		amd64.GemmF32Tile5x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x42:
		amd64.GemmF32Tile4x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x32:
		amd64.GemmF32Tile3x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x22:
		amd64.GemmF32Tile2x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x12:
		amd64.GemmF32Tile1x32AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0xc1:
		amd64.GemmF32Tile12x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0xb1:
		amd64.GemmF32Tile11x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0xa1:
		amd64.GemmF32Tile10x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x91:
		amd64.GemmF32Tile9x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x81:
		amd64.GemmF32Tile8x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x71:
		amd64.GemmF32Tile7x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x61:
		amd64.GemmF32Tile6x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x51:
		amd64.GemmF32Tile5x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x41:
		amd64.GemmF32Tile4x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x31:
		amd64.GemmF32Tile3x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x21:
		amd64.GemmF32Tile2x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x11:
		amd64.GemmF32Tile1x16AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x24:
		amd64.GemmF32Tile2x64AVX512(a, lda, b, ldb, c, ldc, k, add)
	case 0x14:
		amd64.GemmF32Tile1x64AVX512(a, lda, b, ldb, c, ldc, k, add)
	default:
		panic("kernels: no such tile")
	}
}
