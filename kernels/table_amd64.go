//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"

	"github.com/seed-512d3d71/weft/kernels/amd64"
)

// isas are the instruction sets with the CPU features that their rows take for
// granted. They use no others: a test compares this with what the assembly says
// it requires.
var isas = []instructionSet{
	{ISAAVX512VNNI, append([]cpuid.FeatureID{cpuid.AVX512VNNI}, needsAVX512...)},
	{ISAAVX512, needsAVX512},
	{ISAAVXVNNI, append([]cpuid.FeatureID{cpuid.AVXVNNI}, needsAVX2...)},
	{ISAAVX2, needsAVX2},
	{ISARef, nil},
}

var (
	needsAVX512 = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C, cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL}
	needsAVX2   = []cpuid.FeatureID{cpuid.AVX2, cpuid.FMA3, cpuid.F16C}
)

var gemmF32 = family[gemmRow]{op: "gemm_f32", rows: []row[gemmRow]{
	{name: "GemmF32Tile12x32AVX512", isa: ISAAVX512, tile: "12x32", impl: gemmRow{
		rows: [5]int{1: 16, 2: 12, 4: 4}, once: 16, thin: 4, deep: cpu.l2 / 2 / 640, fetch: 16, side: sideAVX512, tile: gemmTileAVX512,
		directRows: 16, direct: gemmDirectAVX512, packing: gemmPackingAVX512,
		packRows: amd64.GemmPackRowsF32AVX512, packColumns: amd64.GemmPackColumnsF32AVX512, copyRows: amd64.GemmCopyRowsF32AVX2}},
	{name: "GemmF32Tile6x16AVX2", isa: ISAAVX2, tile: "6x16", impl: gemmRow{
		rows: [5]int{1: 6, 2: 3, 4: 1}, once: 6, thin: 5, deep: cpu.l1 * 3 / 4 / (4 * panelWidth), fetch: 8, side: sideAVX2, tile: gemmTileAVX2,
		directRows: 8, direct: gemmDirectAVX2, packing: gemmPackingAVX2,
		packRows: amd64.GemmPackRowsF32AVX2, packColumns: amd64.GemmPackColumnsF32AVX2, copyRows: amd64.GemmCopyRowsF32AVX2}},
	{name: "ref.GemmRowF32", isa: ISARef},
}}

var depthwiseF32 = family[depthwiseRow]{op: "depthwise_f32", rows: []row[depthwiseRow]{
	{name: "DepthwiseF32AVX512", isa: ISAAVX512, tile: "64", impl: amd64.DepthwiseF32AVX512},
	{name: "DepthwiseF32AVX2", isa: ISAAVX2, tile: "32", impl: amd64.DepthwiseF32AVX2},
	{name: "ref.DepthwiseF32", isa: ISARef},
}}

var peakF32 = family[peakRow]{op: "peak_f32", rows: []row[peakRow]{
	{name: "PeakF32AVX512", isa: ISAAVX512, impl: peakRow{amd64.PeakF32AVX512, 12 * 16}},
	{name: "PeakF32AVX2", isa: ISAAVX2, impl: peakRow{amd64.PeakF32AVX2, 12 * 8}},
	{name: "none", isa: ISARef},
}}

func sideAVX2(m int) int {
	switch m {
	case 1:
		return 4
	case 2, 3, 7, 8: // 7 and 8 rows in three tiles
		return 2
	}
	return 1
}

func sideAVX512(m int) int {
	switch {
	case m <= 4:
		return 4
	case m > 12 && m <= 16:
		return 1 // one pass over the panels
	}
	return 2
}
