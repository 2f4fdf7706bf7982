//go:build cuda && cgo && linux

package cuda

// #cgo LDFLAGS: -ldl
// #include "driver.h"
import "C"

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"unsafe"
)

// libraryName is where the driver's functions are.
const libraryName = "libcuda.so.1"

// library is a loaded driver.
type library struct {
	api     *C.api
	version int // of CUDA
	count   int // of GPUs

	mu   sync.Mutex
	gpus map[int]*gpu // in use
}

// driver is the system's library.
var driver = sync.OnceValues(func() (*library, error) { return loadLibrary(libraryName) })

// loadLibrary loads the driver's functions and initialises it.
func loadLibrary(path string) (*library, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	var why [512]C.char
	l := &library{api: C.load(name, &why[0], C.size_t(len(why))), gpus: map[int]*gpu{}}
	if l.api == nil {
		return nil, fmt.Errorf("cuda: %w: %s", ErrNoDriver, C.GoString(&why[0]))
	}
	var version, count C.int
	if err := l.check("cuInit", C.init(l.api, &version, &count)); err != nil {
		C.unload(l.api)
		return nil, fmt.Errorf("%w: %w", ErrNoDriver, err)
	}
	l.version, l.count = int(version), int(count)
	return l, nil
}

// check returns an error with CUDA's names unless a call succeeded.
func (l *library) check(call string, code C.CUresult) error {
	if code == 0 {
		return nil
	}
	var name, text *C.char
	C.errorText(l.api, code, &name, &text)
	e := &Error{Call: call, Code: int(code)}
	if name != nil {
		e.Name = C.GoString(name)
	}
	if text != nil {
		e.Text = C.GoString(text)
	}
	return e
}

// info describes the GPU of an index.
func (l *library) info(index int) (Info, C.CUdevice, error) {
	i := Info{Index: index, CUDA: l.version, Driver: driverVersion()}
	if index < 0 || index >= l.count {
		return i, 0, fmt.Errorf("cuda: %w: index %d, there are %d", ErrNoDevice, index, l.count)
	}
	var d C.CUdevice
	var name, pci [256]C.char
	var memory C.size_t
	if err := l.check("cuDeviceGet", C.deviceInfo(l.api, C.int(index), &d, &name[0], &pci[0], C.int(len(name)), &memory)); err != nil {
		return i, 0, err
	}
	i.Name, i.PCI, i.Memory = C.GoString(&name[0]), C.GoString(&pci[0]), int64(memory)
	for _, a := range []struct {
		to   *int
		code C.int // CUdevice_attribute
	}{{&i.Major, 75}, {&i.Minor, 76}, {&i.SMs, 16}, {&i.ClockKHz, 13}, {&i.MemoryKHz, 36}, {&i.BusBits, 37}, {&i.L2Bytes, 38}} {
		var v C.int
		if err := l.check("cuDeviceGetAttribute", C.deviceAttribute(l.api, &v, a.code, d)); err != nil {
			return i, 0, err
		}
		*a.to = int(v)
	}
	return i, d, nil
}

// driverVersion returns the version of NVIDIA's kernel module.
var driverVersion = sync.OnceValue(func() string {
	text, _ := os.ReadFile("/sys/module/nvidia/version")
	return strings.TrimSpace(string(text))
})

func (l *library) devices() ([]Info, error) {
	list := make([]Info, l.count)
	for i := range list {
		var err error
		if list[i], _, err = l.info(i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Devices lists the GPUs, or says why there are none.
func Devices() ([]Info, error) {
	l, err := driver()
	if err != nil {
		return nil, err
	}
	return l.devices()
}

// Open returns the GPU of an index. Those who open the same one share its
// context and its compiled kernels.
func Open(index int) (Device, error) {
	l, err := driver()
	if err != nil {
		return nil, err
	}
	return l.open(index)
}

func (l *library) open(index int) (Device, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.gpus[index]
	if g == nil {
		info, d, err := l.info(index)
		if err != nil {
			return nil, err
		}
		if err := info.Check(); err != nil {
			return nil, err
		}
		g = &gpu{lib: l, info: info, device: d, modules: map[string]C.CUmodule{}, functions: map[Kernel]*function{}}
		if err := l.check("cuDevicePrimaryCtxRetain", C.contextRetain(l.api, &g.ctx, d)); err != nil {
			return nil, err
		}
		l.gpus[index] = g
	}
	g.users++
	return &openGPU{gpu: g}, nil
}

// openGPU is one use of a GPU.
type openGPU struct {
	*gpu
	once sync.Once
}

// Close ends this use. With the last one the kernels are unloaded and the
// context is released.
func (o *openGPU) Close() error {
	var err error
	o.once.Do(func() {
		l := o.lib
		l.mu.Lock()
		defer l.mu.Unlock()
		if o.users--; o.users == 0 {
			delete(l.gpus, o.info.Index)
			err = o.release()
		}
	})
	return err
}
