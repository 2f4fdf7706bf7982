//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/seed-512d3d71/weft/kernels/amd64"
)

var byteF32 = family[byteRow]{op: "gemm_f32_s8", rows: []row[byteRow]{
	{name: "GemmF32S8Tile6x32AVX512", isa: ISAAVX512, tile: "6x32", impl: byteRow{
		panels: []int{1: 4, 2: 4, 3: 2, 4: 2, 5: 2, 6: 2}, tile: byteTileAVX512}},
	{name: "GemmF32S8Tile6x16AVX2", isa: ISAAVX2, tile: "6x16", impl: byteRow{
		panels: []int{1: 4, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1}, tile: byteTileAVX2}},
	{name: "ref.AddGroupS8", isa: ISARef},
}}

var nibbleF32 = family[nibbleRow]{op: "gemm_f32_s4", rows: []row[nibbleRow]{
	{name: "GemmF32S4Tile6x16AVX512VNNI", isa: ISAAVX512, needs: []cpuid.FeatureID{cpuid.AVX512VNNI}, tile: "6x16", impl: nibbleRow{
		panels: []int{1: 4, 2: 2, 3: 1, 4: 1, 5: 1, 6: 1}, tile: nibbleTileVNNI, split: amd64.SplitF32AVX2}},
	{name: "GemmF32S4Tile2x16AVX2", isa: ISAAVX2, tile: "2x16", impl: nibbleRow{
		panels: []int{1: 1, 2: 1}, tile: nibbleTileAVX2, split: amd64.SplitF32AVX2}},
	{name: "ref.AddBlockS4", isa: ISARef},
}}

func byteTileAVX512(h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		amd64.GemmF32S8Tile1x64AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 1:
		amd64.GemmF32S8Tile1x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 4<<4 | 2:
		amd64.GemmF32S8Tile2x64AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 2:
		amd64.GemmF32S8Tile2x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 3:
		amd64.GemmF32S8Tile3x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 4:
		amd64.GemmF32S8Tile4x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 5:
		amd64.GemmF32S8Tile5x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 6:
		amd64.GemmF32S8Tile6x32AVX512(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func byteTileAVX2(h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		amd64.GemmF32S8Tile1x64AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 1:
		amd64.GemmF32S8Tile1x32AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 2:
		amd64.GemmF32S8Tile2x32AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 3:
		amd64.GemmF32S8Tile3x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 4:
		amd64.GemmF32S8Tile4x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 5:
		amd64.GemmF32S8Tile5x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 6:
		amd64.GemmF32S8Tile6x16AVX2(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func nibbleTileVNNI(h, n int, a *int8, sum *int32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		amd64.GemmF32S4Tile1x64AVX512VNNI(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 1:
		amd64.GemmF32S4Tile1x32AVX512VNNI(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 2:
		amd64.GemmF32S4Tile2x32AVX512VNNI(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 3:
		amd64.GemmF32S4Tile3x16AVX512VNNI(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 4:
		amd64.GemmF32S4Tile4x16AVX512VNNI(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 5:
		amd64.GemmF32S4Tile5x16AVX512VNNI(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 6:
		amd64.GemmF32S4Tile6x16AVX512VNNI(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func nibbleTileAVX2(h, n int, a *int8, sum *int32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 1<<4 | 1:
		amd64.GemmF32S4Tile1x16AVX2(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		amd64.GemmF32S4Tile2x16AVX2(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}
