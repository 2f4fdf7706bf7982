//go:build (!amd64 && !arm64) || purego

package kernels

var weight = family[weightRow]{op: "gemm_f32_weight", rows: []row[weightRow]{{name: "ref.GemmRowF32", isa: ISARef}}}
