package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"
)

// TestBenchServe speaks the line protocol of bench --serve.
func TestBenchServe(t *testing.T) {
	in := strings.Join([]string{
		"run sgemm/5x7x3 1 2", "run sgemm/2:5x7x3t 2 1", "run sgemmp/5x7x3 1 1", "run sgemmp/0x7x3 1 1", "run igemm/5x7x3 1 1",
		"run no-such-model/case 1 1", "run sgemm/5x7x3 0 1", "nonsense", "drop sgemm/5x7x3", "quit", "run sgemm/5x7x3 1 1",
	}, "\n")
	var out, errs bytes.Buffer
	if status := runMain(context.Background(), []string{"bench", "--serve", "--models", t.TempDir()}, strings.NewReader(in), &out, &errs); status != exitOK {
		t.Fatalf("status %d: %s", status, &errs)
	}
	var got []answer
	for line := range strings.Lines(out.String()) {
		var a answer
		if err := json.Unmarshal([]byte(line), &a); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		got = append(got, a)
	}
	want := []answer{
		{Name: "sgemm/5x7x3", Threads: 1, Iters: 2}, {Name: "sgemm/2:5x7x3t", Threads: 2, Iters: 1}, {Name: "sgemmp/5x7x3", Threads: 1, Iters: 1},
		{Name: "sgemmp/0x7x3", Error: "unsupported"}, {Name: "igemm/5x7x3", Threads: 1, Iters: 1}, {Name: "no-such-model/case", Error: "unsupported"},
		{Name: "sgemm/5x7x3", Error: "THREADS and ITERS must be positive"}, {Error: "bad request"}, {Name: "sgemm/5x7x3", Dropped: true},
	}
	if len(got) != len(want) {
		t.Fatalf("%d answers, want %d:\n%s", len(got), len(want), &out)
	}
	for i, w := range want {
		if ran := w.Error == "" && !w.Dropped; ran != (got[i].NS > 0) {
			t.Errorf("answer %d: %v ns", i, got[i].NS)
		}
		got[i].NS = 0
		if got[i] != w {
			t.Errorf("answer %d: %+v, want %+v", i, got[i], w)
		}
	}
}

func TestBenchKernels(t *testing.T) {
	var out, errs bytes.Buffer
	args := []string{"bench", "--json", "^gemm_f32/m=1/n=768/k=768$"}
	if status := runMain(context.Background(), args, strings.NewReader(""), &out, &errs); status != exitOK {
		t.Fatalf("status %d: %s", status, &errs)
	}
	n := 0
	for line := range strings.Lines(out.String()) {
		var r kernelResult
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Name == "gemm_f32/m=1/n=768/k=768" {
			n++
			if r.NS <= 0 || r.GFLOPS <= 0 || r.Threads < 1 || r.ISA == "" {
				t.Errorf("%+v", r)
			}
		}
	}
	if n == 0 {
		t.Errorf("no result in\n%s", &out)
	}
	if status := runMain(context.Background(), []string{"bench", "("}, nil, &out, &errs); status != exitUsage {
		t.Errorf("a bad REGEX: status %d", status)
	}
}
