//go:build (!amd64 && !arm64) || purego

package kernels

var (
	igemm       = family[igemmRow]{op: "gemm_s8", rows: []row[igemmRow]{igemmRef}}
	igemmNarrow = family[igemmRow]{op: "gemm_s7", rows: igemm.rows}
)
