//go:build (!amd64 && !arm64) || purego

package kernels

var weight8 = family[weightRow]{op: "gemm_f32_s8", rows: []row[weightRow]{{name: "ref.AddFixed", isa: ISARef}}}

var weight4 = family[weightRow]{op: "gemm_f32_s4", rows: []row[weightRow]{{name: "ref.AddFixed", isa: ISARef}}}
