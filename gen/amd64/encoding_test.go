package main

import (
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// coded is an instruction that the generator encoded: its bytes and what they
// are in Intel's syntax.
var coded = regexp.MustCompile(`(?m)^\tBYTE\s+(\$0x[0-9a-f]{2}(?:; BYTE \$0x[0-9a-f]{2})*) // (.*)$`)

// TestEncodings compares the bytes in the files of kernels/amd64 with what a
// real assembler makes of the comments beside them.
func TestEncodings(t *testing.T) {
	as := ""
	for _, name := range []string{"x86_64-linux-gnu-as", "as"} {
		if path, err := exec.LookPath(name); err == nil && assembler(path) {
			as = path
			break
		}
	}
	if as == "" {
		t.Skip("the encodings are not checked: no assembler for x86-64")
	}
	files, _ := filepath.Glob(filepath.Join("..", "..", "kernels", "amd64", "*.s"))
	want := map[string]string{} // bytes by mnemonic
	var list []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range coded.FindAllStringSubmatch(string(text), -1) {
			code := strings.NewReplacer("; BYTE ", "", "$0x", "").Replace(m[1])
			if old, ok := want[m[2]]; !ok {
				list = append(list, m[2])
			} else if old != code {
				t.Errorf("%s is both %s and %s", m[2], old, code)
			}
			want[m[2]] = code
		}
	}
	if len(list) == 0 {
		t.Fatal("no encodings")
	}
	// A label after each tells where it ends: the listing has their bytes.
	dir := t.TempDir()
	source, object, listing := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "a.lst")
	if err := os.WriteFile(source, []byte(".intel_syntax noprefix\n"+strings.Join(list, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(as, "--64", "--listing-lhs-width=8", "-al="+listing, "-o", object, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%.500s", err, out)
	}
	text, err := os.ReadFile(listing)
	if err != nil {
		t.Fatal(err)
	}
	// line, offset, bytes in groups of 4, source
	row := regexp.MustCompile(`(?m)^ +\d+ [0-9a-f]{4,} ((?:[0-9A-F]{2,8} ?)+) *\t(.*)$`)
	seen := 0
	for _, m := range row.FindAllStringSubmatch(string(text), -1) {
		got := strings.ToLower(strings.ReplaceAll(m[1], " ", ""))
		if _, err := hex.DecodeString(got); err != nil {
			t.Fatalf("%q in the listing", m[0])
		}
		if seen++; got != want[m[2]] {
			t.Errorf("%s: the assembler has %s, the generator %s", m[2], got, want[m[2]])
		}
	}
	if seen != len(list) {
		t.Errorf("%d of %d encodings checked", seen, len(list))
	}
}

// assembler reports whether a command assembles for x86-64.
func assembler(path string) bool {
	c := exec.Command(path, "--64", "-o", os.DevNull, "-")
	c.Stdin = strings.NewReader(".intel_syntax noprefix\nvdpbf16ps zmm0, zmm1, zmm2\n")
	return c.Run() == nil
}
