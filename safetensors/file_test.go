package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestTruncated: a mapped file cut short is an error of the call that reads it.
func TestTruncated(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" || runtime.GOOS == "js" {
		t.Skip("no mapping that can be cut short")
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	const n = 1 << 16
	entries := []Entry{F32Entry("f32", make([]float32, n), n), {Name: "bf16", DType: BF16, Shape: []int{n}, Data: make([]byte, 2*n)}, I64Entry("ids", make([]int64, n), n)}
	if err := WriteFile(path, entries, nil); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f32, _ := f.Lookup("f32")
	view, err := f32.Float32()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, name := range []string{"bf16", "ids"} {
		wg.Go(func() { // any goroutine
			defer noteEmulator(t)
			x, _ := f.Lookup(name)
			var err error
			if name == "ids" {
				_, err = x.Int64()
			} else {
				_, err = x.Float32()
			}
			if !errors.Is(err, ErrFault) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v, want %v", name, err, ErrFault)
			}
		})
	}
	wg.Wait()
	defer noteEmulator(t)
	sum := float32(0)
	if err := Guard(func() error {
		for _, v := range view {
			sum += v
		}
		return nil
	}); littleEndian && !errors.Is(err, ErrFault) { // elsewhere it is a copy
		t.Errorf("a view: %v, want %v", err, ErrFault)
	}
	if _, err := Open(path); !errors.Is(err, HeaderTooSmall) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
}

// noteEmulator, deferred, lets a Guard panic under qemu-user, which does not
// tell the address of a bus error. Machines of amd64 are not emulated.
func noteEmulator(t *testing.T) {
	if runtime.GOARCH == "amd64" {
		return
	}
	if r := recover(); r != nil {
		t.Log("no address of the fault:", r)
	}
}

// TestUseAndClose: calls beside Close get the data or ErrClosed.
func TestUseAndClose(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(path, []Entry{I64Entry("x", make([]int64, 1<<12), 1<<12)}, nil); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := f.Lookup("x")
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for range 20 {
					if v, err := x.Int64(); err != nil && !errors.Is(err, ErrClosed) || err == nil && len(v) != 1<<12 {
						t.Error(len(v), err)
					}
				}
			})
		}
		wg.Go(func() { f.Close() })
		wg.Wait()
		if _, err := x.Int64(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error("second Close:", err)
		}
	}
	if (Tensor{}).Data() != nil {
		t.Error("the zero Tensor has data")
	}
	if _, err := (Tensor{Name: "zero"}).Float32(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// TestDescriptors: a thousand files opened, refused and closed leave no
// descriptor behind.
func TestDescriptors(t *testing.T) {
	count := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Skip("no /proc")
		}
		return len(list)
	}
	dir := shards(t)
	before := count()
	for range 300 {
		f, err := Open(filepath.Join(dir, "1.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		Open(filepath.Join(dir, "broken.safetensors"))
		Open(dir)
		OpenDir(dir)
	}
	if after := count(); after > before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
}

// large is a file of n tensors. Its data is one byte short if it is broken.
func large(n int, broken bool) []byte {
	var h bytes.Buffer
	h.WriteByte('{')
	for i := range n {
		if i > 0 {
			h.WriteByte(',')
		}
		fmt.Fprintf(&h, `"model.layers.%d.weight":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}`, i, i, i+1)
	}
	h.WriteByte('}')
	if broken {
		n--
	}
	return file(h.String(), strings.Repeat("x", n))
}

// TestLargeHeader: headers of very many tensors are read, and refused, in
// little time and memory. The bounds are loose for slow machines.
func TestLargeHeader(t *testing.T) {
	good, bad := large(100_000, false), large(100_000, true)
	deep := file(`{"a":`+strings.Repeat("[", 1<<22), "")
	bloat := file(`{"__metadata__":{`+strings.Repeat(`"k":"v",`, 1<<19)+`"k":"v"},"a":["U8",[1],[0,1]]}`, "")
	for _, c := range []struct {
		name string
		b    []byte
		kind Kind
	}{{"100,000 tensors", good, ""}, {"one byte short", bad, MetadataIncompleteBuffer}, {"deep", deep, InvalidHeaderDeserialization}, {"metadata", bloat, InvalidOffset}} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		f, err := Parse(c.b)
		took := time.Since(start)
		runtime.ReadMemStats(&after)
		if c.kind == "" && (err != nil || f.Len() != 100_000) || c.kind != "" && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", c.name, err)
		}
		total := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %v, %.1f MiB allocated, %d bytes", c.name, took, float64(total)/(1<<20), len(c.b))
		if total > 64<<20 || took > 5*time.Second {
			t.Errorf("%s: %v, %d bytes allocated", c.name, took, total)
		}
	}
}

// TestStream: a streamed file is the same as one written from memory.
func TestStream(t *testing.T) {
	data := bytes.Repeat([]byte{1, 2, 3, 4}, 100_000)
	entry := Entry{Name: "x", DType: U8, Shape: []int{len(data)}}
	stream := entry
	entry.Data = data
	stream.Stream = func(w io.Writer) error {
		for b := data; len(b) > 0; b = b[min(len(b), 777):] {
			if _, err := w.Write(b[:min(len(b), 777)]); err != nil {
				return err
			}
		}
		return nil
	}
	rest := F32Entry("a", []float32{1}, 1)
	var want, got bytes.Buffer
	if err := errors.Join(Write(&want, []Entry{entry, rest}, nil), Write(&got, []Entry{stream, rest}, nil)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want.Bytes(), got.Bytes()) {
		t.Error("the files differ")
	}
	short := entry
	short.Stream = func(w io.Writer) error { _, err := w.Write(data[1:]); return err }
	if err := Write(io.Discard, []Entry{short}, nil); !errors.Is(err, ErrEntry) {
		t.Error("a byte short:", err)
	}
}

// failWriter fails after n bytes.
type failWriter struct{ n int }

func (f *failWriter) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFail
	}
	return len(b), nil
}

func TestWriteFails(t *testing.T) {
	entries := []Entry{F32Entry("a", make([]float32, 50_000), 50_000), F32Entry("b", make([]float32, 10), 10)}
	var whole bytes.Buffer
	if err := Write(&whole, entries, nil); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 7, 8, 100, 65536, whole.Len() - 1} {
		if err := Write(&failWriter{n}, entries, nil); !errors.Is(err, errFail) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if err := Write(&failWriter{whole.Len()}, entries, nil); err != nil {
		t.Error(err)
	}

	// A file that fails half way leaves the old one as it was, and no other.
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(path, entries, nil); err != nil {
		t.Fatal(err)
	}
	bad := Entry{Name: "c", DType: U8, Shape: []int{4}, Stream: func(io.Writer) error { return errFail }}
	if err := WriteFile(path, append(entries, bad), nil); !errors.Is(err, errFail) || !strings.Contains(err.Error(), path) {
		t.Error(err)
	}
	if b, err := os.ReadFile(path); err != nil || !bytes.Equal(b, whole.Bytes()) {
		t.Error("the old file changed", err)
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Error("a temporary file is left")
	}
}

// TestWriteOverMapped: who has a file mapped keeps it when it is written anew.
func TestWriteOverMapped(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a mapped file cannot be replaced on Windows")
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	for i := range 2 {
		if err := WriteFile(path, []Entry{I64Entry("x", []int64{int64(i)}, 1)}, nil); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		x, _ := f.Lookup("x")
		defer func() {
			if v, err := x.Int64(); err != nil || !reflect.DeepEqual(v, []int64{int64(i)}) {
				t.Error(i, v, err)
			}
		}()
	}
}
