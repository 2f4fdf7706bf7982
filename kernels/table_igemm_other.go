//go:build (!amd64 && !arm64) || purego

package kernels

var igemm = family[igemmRow]{op: "gemm_s8", rows: []row[igemmRow]{{name: "ref.DotU8S8", isa: ISARef}}}
