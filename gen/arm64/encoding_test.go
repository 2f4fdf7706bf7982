package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// word is an encoding that the generator made: WORD $0x… // mnemonic.
var word = regexp.MustCompile(`WORD\t\$0x([0-9a-f]{8}) // (.*)`)

// TestEncodings compares every WORD of the generated files with what a real
// assembler makes of the comment beside it.
func TestEncodings(t *testing.T) {
	as, err := exec.LookPath("aarch64-linux-gnu-as")
	if err != nil {
		t.Skip("the encodings are not checked: ", err)
	}
	for stem := range files {
		t.Run(stem, func(t *testing.T) {
			want := map[string]string{} // encoding by mnemonic
			for _, m := range word.FindAllStringSubmatch(generate(stem).assembly(), -1) {
				if code, ok := want[m[2]]; ok && code != m[1] {
					t.Errorf("%s is both %s and %s", m[2], code, m[1])
				}
				want[m[2]] = m[1]
			}
			list := slices.Sorted(maps.Keys(want))
			arch := "armv8-a" // what needs more is an error
			switch stem {
			case "gemm_bf16":
				arch = "armv8.2-a+bf16"
			case "igemm_dot", "weight_dot":
				arch = "armv8.2-a+dotprod"
			case "igemm_matrix":
				arch = "armv8.2-a+i8mm"
			}
			for i, got := range assemble(t, as, arch, list) {
				if got != want[list[i]] {
					t.Errorf("%s: the assembler has %s, the generator %s", list[i], got, want[list[i]])
				}
			}
		})
	}
}

// assemble returns the encodings of instructions.
func assemble(t *testing.T, as, arch string, list []string) (codes []string) {
	dir := t.TempDir()
	source, object, raw := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "a.bin")
	text := ".arch " + arch + "\n" + strings.Join(list, "\n") + "\n"
	if err := os.WriteFile(source, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{{as, "-o", object, source}, {strings.TrimSuffix(as, "as") + "objcopy", "-O", "binary", object, raw}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%.500s", c, err, out)
		}
	}
	code, err := os.ReadFile(raw)
	if err != nil || len(code) != 4*len(list) {
		t.Fatalf("%d bytes for %d instructions, %v", len(code), len(list), err)
	}
	for i := range list {
		codes = append(codes, fmt.Sprintf("%08x", binary.LittleEndian.Uint32(code[4*i:])))
	}
	return codes
}

// TestCommitted holds the files in kernels/arm64 to the generator.
func TestCommitted(t *testing.T) {
	for stem := range files {
		f := generate(stem)
		for name, text := range map[string]string{stem + "_arm64.s": f.assembly(), stem + "_arm64.go": f.stubs()} {
			got, err := os.ReadFile(filepath.Join("..", "..", "kernels", "arm64", name))
			if err != nil || string(got) != text {
				t.Errorf("%s is not what the generator writes (%v)", name, err)
			}
		}
	}
}
