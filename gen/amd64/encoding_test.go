package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// TestVPDPBUSD compares the encoding of every choice of registers with what a
// real assembler makes.
func TestVPDPBUSD(t *testing.T) {
	// {vex} vpdpbusd ymm0, ymm1, ymm2 and ymm11, ymm14, ymm13, by GNU as 2.40.
	for _, c := range []struct {
		dst, x, y int
		want      [5]byte
	}{{0, 1, 2, [5]byte{0xc4, 0xe2, 0x75, 0x50, 0xc2}}, {11, 14, 13, [5]byte{0xc4, 0x42, 0x0d, 0x50, 0xdd}}} {
		if got := vexVPDPBUSD(c.dst, c.x, c.y); got != c.want {
			t.Errorf("registers %d, %d, %d: % x, want % x", c.dst, c.x, c.y, got, c.want)
		}
	}
	as, err := exec.LookPath("as")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("the encodings are not all checked: no assembler for amd64")
	}
	var source, want bytes.Buffer
	fmt.Fprintln(&source, ".intel_syntax noprefix")
	for i := range 16 * 16 * 16 {
		dst, x, y := i/256, i/16%16, i%16
		fmt.Fprintf(&source, "{vex} vpdpbusd ymm%d, ymm%d, ymm%d\n", dst, x, y)
		code := vexVPDPBUSD(dst, x, y)
		want.Write(code[:])
	}
	dir := t.TempDir()
	from, object, raw := filepath.Join(dir, "a.s"), filepath.Join(dir, "a.o"), filepath.Join(dir, "a.bin")
	if err := os.WriteFile(from, source.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range [][]string{{as, "--64", "-o", object, from}, {"objcopy", "-O", "binary", "-j", ".text", object, raw}} {
		if out, err := exec.Command(c[0], c[1:]...).CombinedOutput(); err != nil {
			t.Skipf("the encodings are not all checked: %v: %s", err, bytes.SplitN(out, []byte("\n"), 2)[0])
		}
	}
	got, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("the assembler has other bytes")
	}
}
