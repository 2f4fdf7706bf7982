package mmap

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func write(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, n), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func mapPath(t *testing.T, path string) *Mapping {
	t.Helper()
	f, err := OpenRegular(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := Map(f)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMap(t *testing.T) {
	for _, n := range []int{0, 1, 4095, 4096, 4097, 1 << 20} {
		m := mapPath(t, write(t, n))
		if len(m.Bytes()) != n || bytes.Count(m.Bytes(), []byte{7}) != n {
			t.Errorf("%d bytes: mapped %d", n, len(m.Bytes()))
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
		if err := m.Close(); err != nil || m.Bytes() != nil {
			t.Error("second Close:", err)
		}
	}
}

func TestOpenRegular(t *testing.T) {
	if _, err := OpenRegular(t.TempDir()); !errors.Is(err, ErrNotRegular) {
		t.Errorf("directory: %v", err)
	}
	if runtime.GOOS == "linux" {
		if _, err := OpenRegular("/dev/null"); !errors.Is(err, ErrNotRegular) {
			t.Errorf("device: %v", err)
		}
	}
}

func TestGuardTruncated(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be truncated on Windows")
	}
	path := write(t, 1<<16)
	m := mapPath(t, path)
	defer m.Close()
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	defer skipEmulator(t)
	sum := 0
	err := Guard(func() error {
		for _, b := range m.Bytes() {
			sum += int(b)
		}
		return nil
	})
	if m.mapped && !errors.Is(err, ErrFault) {
		t.Errorf("got %v", err)
	}
}

// skipEmulator, deferred, skips a test whose Guard panicked under qemu-user,
// which does not tell the address of a bus error. Machines of amd64 are
// not emulated.
func skipEmulator(t *testing.T) {
	if runtime.GOARCH == "amd64" {
		return
	}
	if r := recover(); r != nil {
		t.Skip("no address of the fault:", r)
	}
}

func TestGuardPassesOn(t *testing.T) {
	want := errors.New("x")
	if err := Guard(func() error { return want }); err != want {
		t.Error(err)
	}
	defer func() {
		if recover() == nil {
			t.Error("nil pointer: the panic was swallowed")
		}
	}()
	var p *int
	Guard(func() error { *p = 1; return nil })
}

func TestDiscard(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<14)
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := OpenRegular(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := Map(f)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, cut := range [][2]int{{0, len(want)}, {1, len(want) - 1}, {5000, 5001}, {4096, 4096}, {100, 20000}} {
		m.Discard(m.Bytes()[cut[0]:cut[1]])
		if !bytes.Equal(m.Bytes(), want) {
			t.Fatalf("bytes %v: other contents after Discard", cut)
		}
	}
	AdviseHuge(make([]byte, 4<<20))
	AdviseHuge(nil)
}
