package main

import (
	"bytes"
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ptx"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
)

// TestBenchGPU measures every kind of operation, in small shapes, by the clock
// of a device that interprets kernels.
func TestBenchGPU(t *testing.T) {
	for _, precision := range []kernels.Precision{kernels.PrecisionF32, kernels.PrecisionBF16} {
		gpu := ptx.NewGPU(80, 256<<20)
		b, err := nn.NewCUDA(gpu)
		if err != nil {
			t.Fatal(err)
		}
		b.SetPrecision(precision)
		typ := precision.String()
		cases := append([]gpuCase{
			gpuProduct(typ, 4, 1, 16, 32), gpuProduct(typ, 4, 9, 16, 32), gpuAttention(typ, 2, 5, 2, 8), gpuDecode(typ, 4, 2, 40, 2, 8),
			gpuConv(typ, convShape{6, 6, 4, 4, 3, 3, 1, square(1, 1)}),
		}, gpuRows(typ, 4, 3, 32)...)
		var out bytes.Buffer
		c := &call{json: true, stdout: &out}
		if err := c.benchOn(t.Context(), b, precision, regexp.MustCompile(""), cases); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2+len(cases) {
			t.Fatalf("%d lines for %d cases", len(lines), len(cases))
		}
		for _, line := range lines[2:] {
			var r kernelResult
			if err := json.Unmarshal([]byte(line), &r); err != nil || r.NS <= 0 || r.GFLOPS+r.GBS <= 0 || r.ISA != "sm_80" || !strings.Contains(r.Name, typ) {
				t.Errorf("%s: %v", line, err)
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if leaks := gpu.Leaks(); leaks != "" {
			t.Error(leaks)
		}
	}
}

// TestBenchNoGPU: without a GPU bench says why, and knows no other device.
func TestBenchNoGPU(t *testing.T) {
	for device, status := range map[string]int{"cuda:x": exitUnsupported, "tpu": exitUnsupported, "cuda:999": 0} {
		got, _, stderr := invoke("bench", "--device", device, "nothing")
		if got == exitOK || status != 0 && got != status || !strings.HasPrefix(stderr, "weft: ") {
			t.Errorf("%s: %d %s", device, got, stderr)
		}
	}
}
