//go:build (!amd64 && !arm64) || purego

package kernels

var byteF32 = family[byteRow]{op: "gemm_f32_s8", rows: []row[byteRow]{{name: "ref.AddGroupS8", isa: ISARef}}}

var nibbleF32 = family[nibbleRow]{op: "gemm_f32_s4", rows: []row[nibbleRow]{{name: "ref.AddBlockS4", isa: ISARef}}}
