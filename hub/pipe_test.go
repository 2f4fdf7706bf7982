//go:build unix

package hub

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// TestPipe: a pipe in a model's directory, or in the cache's blobs, is refused
// at once.
func TestPipe(t *testing.T) {
	top := t.TempDir()
	rev := filepath.Join(top, "models--o--n", "snapshots", "r1")
	blobs := filepath.Join(top, "models--o--n", "blobs")
	for _, dir := range []string{rev, blobs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{filepath.Join(rev, "pipe"), filepath.Join(blobs, "abc")} {
		if err := syscall.Mkfifo(path, 0o600); err != nil {
			t.Skip("no pipes here:", err)
		}
	}
	link(t, "../../blobs/abc", filepath.Join(rev, "blob"))
	link(t, "pipe", filepath.Join(rev, "link"))
	memory, err := OpenDirFS(os.DirFS(rev))
	if err != nil {
		t.Fatal(err)
	}
	for i, d := range []*Dir{open(t, rev), memory} {
		for _, name := range []string{"pipe", "blob", "link"} {
			done := make(chan error, 1)
			go func() {
				_, err := d.ReadFile(name, 10)
				done <- err
			}()
			select {
			case err := <-done:
				if !errors.Is(err, ErrNotRegular) {
					t.Errorf("%d: %s: %v, want %v", i, name, err, ErrNotRegular)
				}
			case <-time.After(10 * time.Second):
				t.Fatalf("%d: %s: the read waits for the pipe", i, name)
			}
			if d.Exists(name) {
				t.Errorf("%d: %s exists", i, name)
			}
		}
	}
}
