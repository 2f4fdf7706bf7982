package cuda_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPTXAS assembles every file for its target with the ptxas that the
// environment variable PTXAS names, or that is in the path. No kernel may need
// more registers than a thread has.
func TestPTXAS(t *testing.T) {
	ptxas := os.Getenv("PTXAS")
	if ptxas == "" {
		var err error
		if ptxas, err = exec.LookPath("ptxas"); err != nil {
			t.Skip("there is no ptxas; PyPI's nvidia-cuda-nvcc has one")
		}
	}
	files, err := filepath.Glob("ptx/*.ptx")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	target := regexp.MustCompile(`(?m)^\.target (\w+)`)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			src, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			m := target.FindSubmatch(src)
			if m == nil {
				t.Fatal("names no target")
			}
			out, err := exec.Command(ptxas, "-v", "-arch", string(m[1]), "-o", filepath.Join(t.TempDir(), "out.cubin"), file).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			entry := ""
			for line := range bytes.Lines(out) {
				line := string(line)
				if _, name, ok := strings.Cut(line, "Function properties for "); ok {
					entry = strings.TrimSpace(name)
				}
				if strings.Contains(line, "spill stores") && !strings.Contains(line, " 0 bytes spill stores") {
					t.Errorf("%s: %s", entry, strings.TrimSpace(line))
				}
				if strings.Contains(line, "wgmma") { // serialised for want of registers
					t.Errorf("%s: %s", entry, strings.TrimSpace(line))
				}
			}
		})
	}
}
