package main

import (
	"bytes"
	"context"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/quantize"
)

// TestQuantize quantizes a model, with samples, and runs the copy.
func TestQuantize(t *testing.T) {
	const model = "../../testdata/golden/bert.model"
	dir := t.TempDir()
	dst := filepath.Join(dir, "new")
	var out, errs bytes.Buffer
	run := func(args ...string) int {
		out.Reset()
		errs.Reset()
		return runMain(context.Background(), args, strings.NewReader(""), &out, &errs)
	}
	in := model + "/in.safetensors"
	if status := run("quantize", "--model", model, "--out", dst, "--scheme", "w8", "--keep", `layer\.0\.output`, "--calibrate", in, "--json"); status != exitOK {
		t.Fatalf("status %d: %s", status, &errs)
	}
	var r quantize.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Scheme != "w8" || len(r.Layers) == 0 || r.After >= r.Before {
		t.Errorf("%v: %s", err, &out)
	}
	if status := run("run", "--model", dst, "--in", in, "--out", filepath.Join(dir, "out.safetensors")); status != exitOK {
		t.Errorf("status %d: %s", status, &errs)
	}
	if status := run("info", dst, "--json"); status != exitOK || !strings.Contains(out.String(), `"runs":true`) {
		t.Errorf("status %d: %s%s", status, &out, &errs)
	}
	if status := run("quantize", "--model", model, "--out", dst); status != exitError || !strings.Contains(errs.String(), "not an empty directory") {
		t.Errorf("status %d: %s", status, &errs)
	}
	for _, args := range [][]string{{"--auto", "2"}, {"--group-size", "7"}, {"--keep", "("}, {"--smooth", "1.5"}, {"--calibrate-method", "best"}, {"--percentile", "0"}, {"--quant", "w8"}} {
		if status := run(append([]string{"quantize", "--model", model, "--out", dst}, args...)...); status != exitUsage {
			t.Errorf("%v: status %d: %s", args, status, &errs)
		}
	}
}
