package kernels

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// isaOfSuffix is the instruction set by the end of a function's name.
var isaOfSuffix = map[string]string{"AVX2": ISAAVX2, "AVX512": ISAAVX512, "AVX512BF16": ISAAVX512, "AVX512VNNI": ISAAVX512VNNI, "AVXVNNI": ISAAVXVNNI}

// TestRequires compares the CPU features that every assembly function says it
// requires with those that its instruction set is chosen by, on any machine.
func TestRequires(t *testing.T) {
	if runtime.GOARCH != "amd64" || len(isas) == 1 {
		t.Skip("this build has no assembly for amd64")
	}
	// An instruction of an older set needs what the newer one includes.
	implied := map[string][]string{
		"AVX2":    {"AVX", "MMX+", "SSE", "SSE2", "SSE3", "SSSE3", "SSE4.1", "SSE4.2", "CMOV"},
		"AVX512F": {"AVX", "AVX2"},
		"FMA3":    {"AVX"},
	}
	files, _ := filepath.Glob(filepath.Join("amd64", "*.s"))
	if len(files) == 0 {
		t.Fatal("no assembly files")
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		fn := ""
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			line := lines.Text()
			if rest, ok := strings.CutPrefix(line, "// func "); ok {
				fn, _, _ = strings.Cut(rest, "(")
			}
			rest, ok := strings.CutPrefix(line, "// Requires: ")
			if !ok {
				continue
			}
			isa := ""
			for suffix, s := range isaOfSuffix {
				if strings.HasSuffix(fn, suffix) {
					isa = s
				}
			}
			if isa == "" {
				t.Errorf("%s: %s does not end in an instruction set's name", name, fn)
				continue
			}
			var have []string
			for _, need := range isas[rank(isa)].needs {
				have = append(have, need.String())
				have = append(have, implied[need.String()]...)
			}
			if strings.HasSuffix(fn, "BF16") {
				have = append(have, "AVX512BF16") // the row's own need
			}
			for _, need := range strings.Split(rest, ", ") {
				if !slices.Contains(have, need) {
					t.Errorf("%s: %s requires %s, which %s is not chosen by", name, fn, need, isa)
				}
			}
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

func TestChoose(t *testing.T) {
	for _, isa := range ISAs() {
		if got, err := choose(isa); err != nil || got != isa {
			t.Errorf("choose(%q) = %q, %v", isa, got, err)
		}
	}
	got, err := choose("sse9")
	if err == nil || got != ISARef || !strings.Contains(err.Error(), "sse9") || !strings.Contains(err.Error(), strings.Join(ISAs(), ", ")) {
		t.Errorf("choose(sse9) = %q, %v: want an error that lists what there is", got, err)
	}
	if got, err := choose(""); err != nil || got != ISAs()[0] {
		t.Errorf("choose() = %q, %v", got, err)
	}
}

// TestRows: every family ends in ref, is listed best first and has one row
// chosen, on every instruction set.
func TestRows(t *testing.T) {
	eachISA(t, func(t *testing.T) {
		last, chosen := map[string]Info{}, map[string]int{}
		for _, r := range Rows() {
			if before, ok := last[r.Op]; ok && rank(before.ISA) > rank(r.ISA) {
				t.Errorf("%s: %s comes after %s", r.Op, r.Name, before.Name)
			}
			last[r.Op] = r
			if r.Chosen {
				chosen[r.Op]++
				if rank(r.ISA) < rank(ISA()) || !r.Usable {
					t.Errorf("%s is chosen on %s", r.Name, ISA())
				}
			}
			if r.Why == "" || r.Usable && missing(r.ISA) != "" {
				t.Errorf("%+v", r)
			}
		}
		for op, r := range last {
			if r.ISA != ISARef || chosen[op] != 1 {
				t.Errorf("%s: last row %s, %d chosen", op, r.ISA, chosen[op])
			}
		}
	})
}
