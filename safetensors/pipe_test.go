//go:build unix

package safetensors

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestPipe: a pipe in place of a file is refused at once.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	pipe := func(name string) string {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip("no pipes here:", err)
		}
		return path
	}
	path := pipe("x.safetensors")
	index := filepath.Join(dir, "model.safetensors.index.json")
	if err := os.WriteFile(index, []byte(`{"weight_map":{"a":"x.safetensors"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var calls []func() error
	calls = append(calls,
		func() error { _, err := Open(path); return err },
		func() error { _, err := OpenDir(dir); return err },
		func() error { _, err := OpenFS(os.DirFS(dir), "x.safetensors"); return err },
		func() error { _, err := OpenDirFS(os.DirFS(dir)); return err },
		func() error { return WriteFile(path, nil, nil) },
		func() error {
			os.Remove(index)
			pipe(filepath.Base(index))
			_, err := OpenDir(dir)
			return err
		},
		func() error { _, err := OpenDirFS(os.DirFS(dir)); return err },
	)
	for i, call := range calls {
		done := make(chan error, 1)
		go func() { done <- call() }()
		select {
		case err := <-done:
			if !errors.Is(err, ErrNotRegular) {
				t.Errorf("call %d: %v, want %v", i, err, ErrNotRegular)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("call %d waits for the pipe", i)
		}
	}
}
