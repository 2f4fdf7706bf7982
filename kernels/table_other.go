//go:build (!amd64 && !arm64) || purego

package kernels

var isas = []instructionSet{{ISARef, nil}}

var gemmF32 = family[gemmRow]{op: "gemm_f32", rows: []row[gemmRow]{
	{name: "ref.GemmRowF32", isa: ISARef},
}}

var depthwiseF32 = family[depthwiseRow]{op: "depthwise_f32", rows: []row[depthwiseRow]{
	{name: "ref.DepthwiseF32", isa: ISARef},
}}

var peakF32 = family[peakRow]{op: "peak_f32", rows: []row[peakRow]{{name: "none", isa: ISARef}}}

// bf16Words is the number of pairs of bfloat16 of a column that lie side by
// side in a panel.
const bf16Words = 1

var gemmBF16 = family[gemmRow]{op: "gemm_bf16", rows: []row[gemmRow]{
	{name: "ref.GemmRowBF16", isa: ISARef},
}}
