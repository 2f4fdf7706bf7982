// Command cuda writes the PTX of package kernels/cuda. PTX has as many registers
// as one asks for, so a kernel is built from functions that return values:
// asm.go is that layer, types.go and math.go are elements and functions, the
// rest are the kernels.
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
var files = map[string]func(m *module){
	"attention_mma_sm80":    mmaAttentionKernels,
	"attention_wgmma_sm90a": wgmmaAttentionKernels,
	"attention_sm75":        attentionKernels,
	"conv_sm75":             convKernels,
	"gemm_mma_sm80":         mmaKernels,
	"gemm_simt_sm75":        simtKernels,
	"gemm_wgmma_sm90a":      wgmmaKernels,
	"map_sm75":              mapKernels,
	"norm_sm75":             normKernels,
	"quant_sm75":            quantKernels,
	"rows_sm75":             rowKernels,
}

// targets are the version of PTX and the target by the end of a stem. The
// versions are the lowest that have what is used, so that old drivers do.
var targets = []struct{ suffix, version, target string }{
	{"_sm75", "6.3", "sm_75"},
	{"_sm80", "7.0", "sm_80"},
	{"_sm90a", "8.0", "sm_90a"},
}

// generate returns a file's text.
func generate(stem string) string {
	for _, t := range targets {
		if n := len(stem) - len(t.suffix); n > 0 && stem[n:] == t.suffix {
			ampere = t.suffix != "_sm75"
			m := newModule(t.version, t.target)
			files[stem](m)
			return m.String()
		}
	}
	panic(stem + " names no target")
}

func main() {
	dir := flag.String("dir", "", "where the files go")
	flag.Parse()
	for _, stem := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(*dir, stem+".ptx"), []byte(generate(stem)), 0o644); err != nil {
			log.Fatal(err)
		}
	}
}
