//go:build !amd64 || purego

package kernels

var igemm = family[igemmRow]{op: "gemm_s8", rows: []row[igemmRow]{{name: "ref.DotS8", isa: ISARef}}}
