package weft

import (
	"bytes"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/seed-512d3d71/weft"

// layers says which packages of this module a package may import, by its path
// below the module; the longest matching prefix counts. "" is the root package
// and a trailing /… stands for a package and all below it.
//
// This is policy. It is not a list to extend until the build passes.
var layers = map[string][]string{
	"tensor":            {},
	"safetensors":       {"internal/mmap"},
	"internal/mmap":     {},
	"internal/par":      {},
	"internal/hfconfig": {},
	"kernels/ref":       {},
	"kernels/amd64":     {},
	"kernels/arm64":     {},
	"kernels/cuda":      {},
	"text":              {"text/…"},
	"vision":            {"vision/…"},
	"audio":             {"audio/…"},
	"metrics":           {},
	"kernels":           {"kernels/ref", "kernels/amd64", "kernels/arm64", "internal/par", "internal/mmap"},
	"hub":               {"safetensors", "internal/hfconfig"},
	"video":             {"vision"},
	"nn":                {"tensor", "safetensors", "kernels", "kernels/cuda", "internal/par", "internal/hfconfig"},
	"nn/align":          {"tensor"},
	"nn/bert":           {"nn", "tensor", "kernels", "internal/hfconfig"},
	"nn/clip":           {"nn", "nn/align", "tensor", "kernels", "internal/hfconfig"},
	"nn/gpt":            {"nn", "tensor", "kernels", "internal/hfconfig"},
	"nn/moe":            {"nn", "tensor", "kernels"},
	"nn/llama":          {"nn", "nn/moe", "tensor", "kernels", "internal/hfconfig"},
	"nn/t5":             {"nn", "nn/moe", "tensor", "kernels", "internal/hfconfig"},
	"nn/tri":            {"nn", "nn/align", "tensor", "kernels", "internal/hfconfig"},
	"nn/vit":            {"nn", "tensor", "kernels", "internal/hfconfig"},
	"nn/wav2vec":        {"nn", "tensor", "kernels", "internal/hfconfig"},
	"task":              {"nn/…", "hub", "text", "vision", "audio", "video", "tensor", "safetensors", "kernels", "internal/hfconfig"},
	"":                  {"task/…", "nn/…", "hub", "text", "vision", "audio", "video", "tensor", "safetensors", "kernels", "internal/hfconfig"},
	"demo":              {""},
	"quantize":          {"", "nn", "hub", "tensor", "safetensors", "kernels", "internal/hfconfig"},
	"serve":             {"", "task/…", "tensor"},
	"cmd":               {"", "demo", "metrics", "quantize", "task/…", "nn", "nn/align", "nn/moe", "hub", "text", "vision", "audio", "tensor", "safetensors", "kernels", "internal/hfconfig"},
}

// testLayers may be imported by any test file, and by each other.
var testLayers = []string{"internal/ktest", "internal/golden", "internal/ptx"}

// thirdParty says which packages may import which modules from outside.
var thirdParty = map[string][]string{
	"github.com/klauspost/cpuid/v2": {"kernels", "internal/ktest"},
	"golang.org/x/sys":              {"internal/mmap", "internal/par", "internal/ktest", "kernels"},
	"golang.org/x/text":             {"text/…"},
	"golang.org/x/image":            {"vision/…"},
	"gonum.org/v1/gonum":            {"metrics"},
}

func under(pattern, pkg string) bool {
	if p, ok := strings.CutSuffix(pattern, "/…"); ok {
		return pkg == p || strings.HasPrefix(pkg, p+"/")
	}
	return pkg == pattern
}

func rule(pkg string) (string, []string, bool) {
	for p := pkg; ; p = filepath.ToSlash(filepath.Dir(p)) {
		if p == "." {
			p = ""
		}
		if allowed, ok := layers[p]; ok && (p != "" || pkg == "") {
			return p, allowed, true
		}
		if p == "" {
			return "", nil, false
		}
	}
}

func anyUnder(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if under(p, pkg) {
			return true
		}
	}
	return false
}

// goFiles calls f with every Go file of the module, all tags and
// architectures, but not those of the generator module or of test data.
func goFiles(t *testing.T, f func(path, pkg string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != "." && (n == "gen" || n == "testdata" || strings.HasPrefix(n, ".")) {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(path, ".go") {
			pkg := filepath.ToSlash(filepath.Dir(path))
			if pkg == "." {
				pkg = ""
			}
			f(path, pkg)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestImportOrder(t *testing.T) {
	goFiles(t, func(path, pkg string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Error(err)
			return
		}
		isTest := strings.HasSuffix(path, "_test.go")
		level, allowed, ok := rule(pkg)
		isTestLayer := anyUnder([]string{"internal/ktest/…", "internal/golden/…", "internal/ptx"}, pkg)
		if !ok && !isTestLayer {
			t.Errorf("%s: package %q is not in the table of layers", path, pkg)
			return
		}
		for _, spec := range file.Imports {
			imp, _ := strconv.Unquote(spec.Path.Value)
			own, inModule := strings.CutPrefix(imp, module)
			own = strings.TrimPrefix(own, "/")
			switch {
			case inModule && (imp == module || strings.HasPrefix(imp, module+"/")):
				fine := own == level || under(level+"/…", own) && level != "" || anyUnder(allowed, own)
				if isTest || isTestLayer {
					fine = fine || anyUnder(testLayers, own) || isTestLayer
				}
				// A test in package x_test may use what a caller of x uses.
				fine = fine || isTest && strings.HasSuffix(file.Name.Name, "_test")
				if !fine {
					t.Errorf("%s: %q may not import %q", path, pkg, own)
				}
			case strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				if !isTest && !mayImportModule(pkg, imp) {
					t.Errorf("%s: %q may not import %s", path, pkg, imp)
				}
			}
		}
	})
}

func mayImportModule(pkg, imp string) bool {
	for mod, pkgs := range thirdParty {
		if imp == mod || strings.HasPrefix(imp, mod+"/") {
			return anyUnder(pkgs, pkg)
		}
	}
	return false
}

// TestFileNames catches names such as hann_windows.go, which are build
// constraints by accident: outside kernels and internal, every file is compiled
// everywhere unless a //go:build line says otherwise.
func TestFileNames(t *testing.T) {
	platforms := [][2]string{{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "arm64"}, {"windows", "amd64"}}
	goFiles(t, func(path, pkg string) {
		if strings.HasPrefix(pkg, "kernels") || strings.HasPrefix(pkg, "internal/") {
			return
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(b, []byte("//go:build ")) || bytes.Contains(b, []byte("\n//go:build ")) {
			return
		}
		for _, p := range platforms {
			c := build.Default
			c.GOOS, c.GOARCH, c.CgoEnabled = p[0], p[1], false
			if ok, err := c.MatchFile(filepath.Dir(path), filepath.Base(path)); err != nil || !ok {
				t.Errorf("%s is not compiled for %s/%s (%v)", path, p[0], p[1], err)
			}
		}
	})
}
