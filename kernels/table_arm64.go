//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/seed-512d3d71/weft/kernels/arm64"
)

// isas are the instruction sets with the CPU features that their rows take for
// granted. NEON with its float32 and float64 arithmetic is a part of every CPU
// that Go's arm64 port runs on, on every system: nothing is to be detected.
var isas = []instructionSet{
	{ISANEONI8MM, []cpuid.FeatureID{cpuid.I8MM, cpuid.ASIMDDP}},
	{ISANEONDot, []cpuid.FeatureID{cpuid.ASIMDDP}},
	{ISANEON, nil},
	{ISARef, nil},
}

var gemmF32 = family[gemmRow]{op: "gemm_f32", rows: []row[gemmRow]{
	{name: "GemmF32Tile6x16NEON", isa: ISANEON, tile: "6x16", impl: gemmRow{
		rows: [5]int{1: 6, 2: 3, 4: 1}, once: 6, thin: 4, deep: cpu.l1 * 3 / 4 / (4 * panelWidth), fetch: 8, side: sideNEON, tile: gemmTileNEON,
		directRows: 8, direct: gemmDirectNEON, packing: gemmPackingNEON,
		packRows: arm64.GemmPackRowsF32NEON, packColumns: arm64.GemmPackColumnsF32NEON, copyRows: arm64.GemmCopyRowsF32NEON}},
	{name: "ref.GemmRowF32", isa: ISARef},
}}

var depthwiseF32 = family[depthwiseRow]{op: "depthwise_f32", rows: []row[depthwiseRow]{
	{name: "DepthwiseF32NEON", isa: ISANEON, tile: "16", impl: arm64.DepthwiseF32NEON},
	{name: "ref.DepthwiseF32", isa: ISARef},
}}

var peakF32 = family[peakRow]{op: "peak_f32", rows: []row[peakRow]{
	{name: "PeakF32NEON", isa: ISANEON, impl: peakRow{arm64.PeakF32NEON, 24 * 4}},
	{name: "none", isa: ISARef},
}}

func sideNEON(m int) int {
	switch m {
	case 1:
		return 4
	case 2, 3, 7, 8: // 7 and 8 rows in three tiles
		return 2
	}
	return 1
}
