// Command arm64 writes the assembly of package kernels/arm64 and its stubs.
// It is an assembler for straight code with virtual registers (avo knows x86
// only): asm.go and alloc.go are the layer, insn.go the instructions, the rest
// the kernels.
package main

import (
	"flag"
	"log"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// files are the generators by the stem of what they write.
var files = map[string]func(){
	"attn_f32":     attention,
	"gemm_f32":     gemmF32,
	"gemm_bf16":    gemmBF16,
	"gemm_pack":    gemmPack,
	"gemm_other":   func() { depthwise(); peak() },
	"igemm_dot":    igemmDot,
	"igemm_matrix": igemmMatrix,
	"igemm_long":   igemmLong,
	"weight_dot":   weightDot,
	"weight_long":  weightLong,
	"vec_act":      actRows,
	"vec_norm":     vecNorm,
	"vec_map":      vecMap,
	"vec_convert":  vecConvert,
}

// generate builds a file.
func generate(stem string) *file {
	f := &file{stem: stem}
	building = f
	files[stem]()
	return f
}

// building is the file under construction.
var building *file

func text(name, params, result string, doc ...string) {
	building.text(name, params, result, doc...)
}

func main() {
	dir := flag.String("dir", "", "where the files go")
	flag.Parse()
	for _, stem := range slices.Sorted(maps.Keys(files)) {
		f := generate(stem)
		s := f.assembly() // gives the registers their numbers
		for name, text := range map[string]string{stem + "_arm64.s": s, stem + "_arm64.go": f.stubs()} {
			if err := os.WriteFile(filepath.Join(*dir, name), []byte(text), 0o644); err != nil {
				log.Fatal(err)
			}
		}
	}
}
