//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/seed-512d3d71/weft/kernels/arm64"
)

var byteF32 = family[byteRow]{op: "gemm_f32_s8", rows: []row[byteRow]{
	{name: "GemmF32S8Tile1x64NEON", isa: ISANEON, tile: "1x64", impl: byteRow{
		panels: []int{1: 4, 2: 2, 3: 1, 4: 1}, tile: byteTileNEON}},
	{name: "ref.AddGroupS8", isa: ISARef},
}}

var nibbleF32 = family[nibbleRow]{op: "gemm_f32_s4", rows: []row[nibbleRow]{
	{name: "GemmF32S4Dot2x16NEON", isa: ISANEON, needs: []cpuid.FeatureID{cpuid.ASIMDDP}, tile: "2x16", impl: nibbleRow{
		panels: []int{1: 2, 2: 1}, tile: nibbleTileDot, split: arm64.SplitF32NEON}},
	{name: "GemmF32S4Long1x16NEON", isa: ISANEON, tile: "1x16", impl: nibbleRow{
		panels: []int{1: 1}, tile: nibbleTileLong, split: arm64.SplitF32NEON}},
	{name: "ref.AddBlockS4", isa: ISARef},
}}

func byteTileNEON(h, n int, a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 4<<4 | 1:
		arm64.GemmF32S8Tile1x64NEON(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 1:
		arm64.GemmF32S8Tile1x32NEON(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 2<<4 | 2:
		arm64.GemmF32S8Tile2x32NEON(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		arm64.GemmF32S8Tile2x16NEON(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 3:
		arm64.GemmF32S8Tile3x16NEON(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 4:
		arm64.GemmF32S8Tile4x16NEON(a, lda, b, ldb, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func nibbleTileDot(h, n int, a *int8, sum *int32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int) {
	switch n<<4 | h {
	case 2<<4 | 1:
		arm64.GemmF32S4Dot1x32NEON(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 1:
		arm64.GemmF32S4Dot1x16NEON(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	case 1<<4 | 2:
		arm64.GemmF32S4Dot2x16NEON(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
	default:
		panic("kernels: no such tile")
	}
}

func nibbleTileLong(_, _ int, a *int8, sum *int32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc, k, group int) {
	arm64.GemmF32S4Long1x16NEON(a, sum, lda, b, ldb, scale, lds, c, ldc, k, group)
}
