//go:build cuda && cgo && linux

package cuda

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake is a driver of testdata/fakecuda.c, and the calls that it has seen.
type fake struct {
	*library
	log string
}

// fakeLibrary compiles the stand-in for the driver.
func fakeLibrary(t *testing.T, flags ...string) string {
	t.Helper()
	cc, err := exec.LookPath("gcc")
	if err != nil {
		t.Skip("no gcc to compile testdata/fakecuda.c with")
	}
	path := filepath.Join(t.TempDir(), "libcuda.so.1")
	args := append([]string{"-shared", "-fPIC", "-o", path, "testdata/fakecuda.c", "-lpthread"}, flags...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func loadFake(t *testing.T, devices int, flags ...string) *fake {
	t.Helper()
	f := &fake{log: filepath.Join(t.TempDir(), "log")}
	t.Setenv("FAKE_CUDA_LOG", f.log)
	t.Setenv("FAKE_CUDA_DEVICES", fmt.Sprint(devices))
	var err error
	if f.library, err = loadLibrary(fakeLibrary(t, flags...)); err != nil {
		t.Fatal(err)
	}
	return f
}

// calls returns the log since the last call of it.
func (f *fake) calls(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(f.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	os.Remove(f.log)
	return string(b)
}

func (f *fake) mustOpen(t *testing.T, index int) Device {
	t.Helper()
	d, err := f.open(index)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustStream(t *testing.T, d Device) Stream {
	t.Helper()
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// gpuOf adds a module to a GPU that has the kernels one and two.
func addModule(t *testing.T, d Device) {
	t.Helper()
	g := d.(*openGPU).gpu
	m, err := g.compile("test", []byte(".version 7.0\n.target sm_75\n.visible .entry one(.param .u64 p)\n{ret;}\n.visible .entry two(\n)\n{ret;}\n"))
	if err != nil {
		t.Fatal(err)
	}
	g.modules["test"] = m
}

var one, two = Kernel{"test", "one"}, Kernel{"test", "two"}

func TestNoDriver(t *testing.T) {
	_, err := loadLibrary(filepath.Join(t.TempDir(), "libcuda.so.1"))
	if !errors.Is(err, ErrNoDriver) || !strings.Contains(err.Error(), "cannot open shared object file") {
		t.Error(err)
	}
	text := filepath.Join(t.TempDir(), "libcuda.so.1")
	if err := os.WriteFile(text, []byte("no library"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := loadLibrary(text); !errors.Is(err, ErrNoDriver) {
		t.Error(err)
	}
}

func TestMissingSymbol(t *testing.T) {
	_, err := loadLibrary(fakeLibrary(t, "-DBROKEN"))
	if !errors.Is(err, ErrNoDriver) || !strings.Contains(err.Error(), "no function cuMemAlloc_v2") {
		t.Error(err)
	}
}

func TestInitFails(t *testing.T) {
	t.Setenv("FAKE_CUDA_FAIL", "cuInit=100")
	_, err := loadLibrary(fakeLibrary(t))
	var e *Error
	if !errors.Is(err, ErrNoDriver) || !errors.As(err, &e) || e.Code != 100 || !strings.Contains(err.Error(), "cuInit: CUDA_ERROR_NO_DEVICE") {
		t.Error(err)
	}
}

func TestDevices(t *testing.T) {
	f := loadFake(t, 4)
	list, err := f.devices()
	if err != nil || len(list) != 4 {
		t.Fatal(list, err)
	}
	i := list[1]
	if i.Name != "Fake GPU 1" || i.Target() != 80 || i.Memory != 2<<30 || i.PCI != "0000:02:00.0" || i.SMs != 132 || i.CUDAVersion() != "12.4" {
		t.Errorf("%+v", i)
	}
	if gbs := i.Bandwidth() / 1e9; gbs < 3352 || gbs > 3353 {
		t.Errorf("%v GB/s", gbs)
	}
	for _, index := range []int{-1, 4} {
		if _, err := f.open(index); !errors.Is(err, ErrNoDevice) {
			t.Error(err)
		}
	}
	if _, err := f.open(3); !errors.Is(err, ErrNoDevice) || !strings.Contains(err.Error(), "compute capability 7.0, want 7.5") {
		t.Error(err)
	}
}

// TestSeveralGPUs: each has its context, and all threads enter the right one.
func TestSeveralGPUs(t *testing.T) {
	f := loadFake(t, 3)
	var wg sync.WaitGroup
	for n := range 12 {
		wg.Go(func() {
			d, err := f.open(n % 3)
			if err != nil {
				t.Error(err)
				return
			}
			defer d.Close()
			s, err := d.NewStream()
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			src, err1 := d.Pinned(1000)
			dst, err2 := d.Pinned(1000)
			p, err3 := d.Alloc(1000)
			q, err4 := d.Alloc(1000)
			if err := errors.Join(err1, err2, err3, err4); err != nil {
				t.Error(err)
				return
			}
			for round := range 20 {
				for i := range src {
					src[i] = byte(i * (n + round))
				}
				s.Upload(p, src)
				s.Copy(q, p, len(src))
				s.Download(dst, q)
				if err := s.Sync(); err != nil {
					t.Error(err)
				} else if !bytes.Equal(src, dst) {
					t.Errorf("GPU %d gave back other bytes", n%3)
				}
			}
			d.Unpin(src)
			d.Unpin(dst)
			d.Free(p)
			d.Free(q)
		})
	}
	wg.Wait()
	calls := f.calls(t)
	if strings.Contains(calls, "leaks=") && strings.Count(calls, "leaks=0") != strings.Count(calls, "leaks=") {
		t.Error("a context left something behind")
	}
}

func TestLaunch(t *testing.T) {
	f := loadFake(t, 1)
	d := f.mustOpen(t, 0)
	defer d.Close()
	addModule(t, d)
	s := mustStream(t, d)
	defer s.Close()
	f.calls(t)
	took, err := s.Elapsed(func() {
		s.Launch(one, Dim{3, 2, 1}, Dim{128, 1, 1}, 0, s.Args().I32(0x1234).Ptr(77))
		s.Launch(two, Dim{1, 1, 1}, Dim{32, 1, 1}, 100<<10, s.Args())
		s.Launch(two, Dim{1, 1, 1}, Dim{32, 1, 1}, 60<<10, s.Args())
	})
	if err != nil || took != 3*time.Millisecond {
		t.Error(took, err)
	}
	want := "launch one grid=3,2,1 block=128,1,1 shared=0 params=16:00001234\n" +
		"cuFuncSetAttribute two 102400\n" +
		"launch two grid=1,1,1 block=32,1,1 shared=102400 params=0:00000000\n" +
		"launch two grid=1,1,1 block=32,1,1 shared=61440 params=0:00000000\n" +
		"cuStreamSynchronize\n"
	if got := f.calls(t); got != want {
		t.Errorf("calls\n%s\nwant\n%s", got, want)
	}
}

// TestErrors: what fails is named as CUDA names it, with its place, and queued
// work after it is dropped.
func TestErrors(t *testing.T) {
	f := loadFake(t, 1)
	d := f.mustOpen(t, 0)
	defer d.Close()
	addModule(t, d)
	s := mustStream(t, d)
	defer s.Close()
	if _, err := d.Alloc(2 << 30); !errors.Is(err, ErrMemory) || err.Error() != "cuda: cuMemAlloc of 2147483648 bytes: CUDA_ERROR_OUT_OF_MEMORY (out of memory)" {
		t.Error(err)
	}
	_, err := d.(*openGPU).compile("bad", []byte("no PTX"))
	if err == nil || err.Error() != "cuda: cuModuleLoadDataEx bad: CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed): ptxas application ptx input, line 1; fatal   : Missing .version directive" {
		t.Error(err)
	}
	f.calls(t)
	for _, c := range []struct {
		queue func()
		want  string
	}{
		{func() { s.Launch(Kernel{"test", "three"}, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, s.Args()) }, "cuda: cuModuleGetFunction test three: CUDA_ERROR_NOT_FOUND"},
		{func() { s.Launch(Kernel{"none", "one"}, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, s.Args()) }, "cuda: module none: open ptx/none.ptx: file does not exist"},
		{func() { s.Launch(one, Dim{1, 1, 1}, Dim{2048, 1, 1}, 0, s.Args()) }, "cuda: cuLaunchKernel test one, grid {1 1 1}, block {2048 1 1}, 0 bytes of shared memory: CUDA_ERROR_INVALID_VALUE"},
		{func() { s.Launch(one, Dim{1, 1, 1}, Dim{1, 1, 1}, 1<<20, s.Args()) }, "cuda: cuFuncSetAttribute test one: 1048576 bytes of shared memory: CUDA_ERROR_INVALID_VALUE"},
		{func() { s.Upload(12345, []byte{1}) }, "cuda: cuMemcpyHtoDAsync: CUDA_ERROR_INVALID_VALUE"},
		{func() { s.Download([]byte{1}, 12345) }, "cuda: cuMemcpyDtoHAsync: CUDA_ERROR_INVALID_VALUE"},
		{func() { s.Copy(1, 2, 3) }, "cuda: cuMemcpyDtoDAsync: CUDA_ERROR_INVALID_VALUE"},
	} {
		c.queue()
		f.calls(t)
		s.Launch(one, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, s.Args())
		s.Upload(1, []byte{2})
		if got := f.calls(t); got != "" {
			t.Errorf("after %s: %s", c.want, got)
		}
		if err := s.Sync(); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
		if err := s.Sync(); err != nil {
			t.Errorf("%v, a second time", err)
		}
		f.calls(t)
	}
}

// TestLeaks loads and frees whatever there is a hundred times.
func TestLeaks(t *testing.T) {
	f := loadFake(t, 2)
	for n := range 100 {
		d := f.mustOpen(t, n%2)
		addModule(t, d)
		s := mustStream(t, d)
		p, err1 := d.Alloc(5000)
		host, err2 := d.Pinned(300)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		s.Upload(p, host)
		var c Commands
		for range 5 {
			c.Launch(one, Dim{1, 1, 1}, Dim{1, 1, 1}, 0, c.Args().Ptr(p))
		}
		g, err := s.Graph(&c)
		if err != nil {
			t.Fatal(err)
		}
		g.Launch()
		if err := s.Sync(); err != nil {
			t.Fatal(err)
		}
		w := NewSlabs(d)
		for _, n := range []int{10, 5 << 20, 100, 3 << 20} {
			if _, err := w.Alloc(n); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		g.Close()
		s.Close()
		d.Unpin(host)
		d.Free(p)
		if err := errors.Join(d.Close(), d.Close()); err != nil {
			t.Fatal(err)
		}
		calls := f.calls(t)
		if !strings.Contains(calls, "cuDevicePrimaryCtxRelease leaks=0\n") || strings.Count(calls, "Release") != 1 {
			t.Fatalf("round %d: %s", n, calls)
		}
	}
}

// TestFailedStream: what a failing call leaves half made is given back.
func TestFailedStream(t *testing.T) {
	f := loadFake(t, 1)
	for _, call := range []string{"cuStreamCreate=2", "cuEventCreate=2@2"} {
		t.Setenv("FAKE_CUDA_FAIL", call)
		d := f.mustOpen(t, 0)
		if _, err := d.NewStream(); !errors.Is(err, ErrMemory) {
			t.Errorf("%s: %v", call, err)
		}
		d.Close()
		if calls := f.calls(t); !strings.Contains(calls, "leaks=0") {
			t.Errorf("%s: %s", call, calls)
		}
	}
}

func TestGraph(t *testing.T) {
	f := loadFake(t, 1)
	d := f.mustOpen(t, 0)
	defer d.Close()
	addModule(t, d)
	s := mustStream(t, d)
	defer s.Close()
	graphs := NewGraphs(s)
	defer graphs.Close()
	c := NewCommands(s)
	list := func(x int) {
		c.Reset()
		for i := range 5 {
			c.Launch(one, Dim{1 + i, 1, 1}, Dim{64, 1, 1}, 0, c.Args().I32(x).Ptr(Ptr(i)))
		}
	}
	f.calls(t)
	for round, want := range []string{
		"launch launch launch launch launch",
		"cuStreamBeginCapture captured captured captured captured captured cuStreamEndCapture cuGraphLaunch",
		"cuGraphLaunch",
	} {
		list(7)
		graphs.Run(c)
		var names []string
		for _, line := range strings.Split(strings.TrimSpace(f.calls(t)), "\n") {
			names = append(names, strings.Fields(line)[0])
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("round %d: %s, want %s", round, got, want)
		}
	}
	list(8)
	graphs.Run(c)
	if calls := f.calls(t); strings.Count(calls, "launch one") != 5 || graphs.Made() != 1 {
		t.Errorf("another list: %s", calls)
	}
	for x := range 3 * maxGraphs {
		list(100 + x)
		graphs.Run(c)
		graphs.Run(c)
	}
	if len(graphs.seen) != maxGraphs || graphs.Made() != 1+3*maxGraphs {
		t.Errorf("%d lists, %d graphs", len(graphs.seen), graphs.Made())
	}
	if err := s.Sync(); err != nil {
		t.Error(err)
	}
}

// TestGraphFails: a launch that fails while it is captured leaves the stream
// usable.
func TestGraphFails(t *testing.T) {
	f := loadFake(t, 1)
	d := f.mustOpen(t, 0)
	defer d.Close()
	addModule(t, d)
	s := mustStream(t, d)
	defer s.Close()
	c := NewCommands(s)
	c.Launch(one, Dim{1, 1, 1}, Dim{64, 1, 1}, 0, c.Args())
	c.Launch(two, Dim{1, 1, 1}, Dim{5000, 1, 1}, 0, c.Args())
	if _, err := s.Graph(c); err == nil || !strings.Contains(err.Error(), "test two, grid {1 1 1}, block {5000 1 1}") {
		t.Error(err)
	}
	f.calls(t)
	s.Launch(one, Dim{1, 1, 1}, Dim{64, 1, 1}, 0, s.Args())
	if err := s.Sync(); err != nil || !strings.Contains(f.calls(t), "launch one") {
		t.Error(err)
	}
}

// TestOldDriver: without graphs lists are launched, and there are no tensor maps.
func TestOldDriver(t *testing.T) {
	f := loadFake(t, 1, "-DOLD")
	d := f.mustOpen(t, 0)
	defer d.Close()
	addModule(t, d)
	s := mustStream(t, d)
	defer s.Close()
	graphs := NewGraphs(s)
	defer graphs.Close()
	c := NewCommands(s)
	for range 6 {
		c.Launch(one, Dim{1, 1, 1}, Dim{64, 1, 1}, 0, c.Args())
	}
	f.calls(t)
	for range 3 {
		graphs.Run(c)
		if calls := f.calls(t); strings.Count(calls, "launch one") != 6 {
			t.Error(calls)
		}
	}
	if err := s.Sync(); err != nil {
		t.Error(err)
	}
	var e *Error
	if _, err := c.TensorMap(&TensorMap{Dims: []uint64{8}, Box: []uint32{8}}); !errors.As(err, &e) || e.Code != 801 {
		t.Error(err)
	}
}

func TestTensorMap(t *testing.T) {
	f := loadFake(t, 1)
	d := f.mustOpen(t, 0)
	defer d.Close()
	s := mustStream(t, d)
	defer s.Close()
	m := &TensorMap{Type: MapBF16, Base: 4096, Dims: []uint64{768, 128}, Strides: []uint64{1536}, Box: []uint32{64, 32}, Swizzle: 3}
	b, err := NewCommands(s).TensorMap(m)
	if err != nil || len(b) != 128 || !strings.HasPrefix(string(b), "type 9 rank 2 dims 768 strides 1536 box 32 steps 1") {
		t.Errorf("%q %v", b, err)
	}
	m.Base = 7
	if _, err := NewCommands(s).TensorMap(m); err == nil {
		t.Error("no error for an address that is not a multiple of 16")
	}
	m.Dims = nil
	if _, err := NewCommands(s).TensorMap(m); err == nil {
		t.Error("no error without dimensions")
	}
}

// TestSystemDriver looks for a real one.
func TestSystemDriver(t *testing.T) {
	list, err := Devices()
	if errors.Is(err, ErrNoDriver) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range list {
		t.Logf("%+v", i)
	}
}
