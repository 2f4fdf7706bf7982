//go:build cuda && cgo && linux

package cuda

// #include "driver.h"
import "C"

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"unsafe"
)

// gpu is a device in its primary context, which it shares with whatever else in
// the process uses CUDA.
type gpu struct {
	lib    *library
	info   Info
	device C.CUdevice
	ctx    C.CUcontext
	users  int // guarded by lib.mu

	mu        sync.Mutex
	modules   map[string]C.CUmodule
	functions map[Kernel]*function
}

// function is an entry of a module.
type function struct {
	f      C.CUfunction
	shared int // dynamic shared memory that it may ask for
}

func (g *gpu) Info() Info { return g.info }

func (g *gpu) Alloc(bytes int) (Ptr, error) {
	var p C.CUdeviceptr
	err := g.lib.check(fmt.Sprintf("cuMemAlloc of %d bytes", bytes), C.memoryAlloc(g.lib.api, g.ctx, &p, C.size_t(max(1, bytes))))
	return Ptr(p), err
}

func (g *gpu) Free(p Ptr) {
	if p != 0 {
		C.memoryFree(g.lib.api, g.ctx, C.CUdeviceptr(p))
	}
}

func (g *gpu) FreeMemory() (int64, error) {
	var free, total C.size_t
	err := g.lib.check("cuMemGetInfo", C.memoryInfo(g.lib.api, g.ctx, &free, &total))
	return int64(free), err
}

func (g *gpu) Pinned(bytes int) ([]byte, error) {
	var p unsafe.Pointer
	if err := g.lib.check(fmt.Sprintf("cuMemAllocHost of %d bytes", bytes), C.hostAlloc(g.lib.api, g.ctx, &p, C.size_t(max(1, bytes)))); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), bytes), nil
}

func (g *gpu) Unpin(b []byte) {
	if p := unsafe.SliceData(b); p != nil {
		C.hostFree(g.lib.api, g.ctx, unsafe.Pointer(p))
	}
}

// release unloads the kernels and gives the context back.
func (g *gpu) release() error {
	var all []error
	for name, m := range g.modules {
		all = append(all, g.lib.check("cuModuleUnload "+name, C.moduleUnload(g.lib.api, g.ctx, m)))
	}
	all = append(all, g.lib.check("cuDevicePrimaryCtxRelease", C.contextRelease(g.lib.api, g.device)))
	return errors.Join(all...)
}

// function returns a kernel, compiling its module at the first use, that may ask
// for so much dynamic shared memory.
func (g *gpu) function(k Kernel, shared int) (C.CUfunction, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.functions[k]
	if f == nil {
		m, err := g.module(k.Module)
		if err != nil {
			return nil, err
		}
		name := C.CString(k.Entry)
		defer C.free(unsafe.Pointer(name))
		f = &function{shared: plainShared}
		if err := g.lib.check("cuModuleGetFunction "+k.Module+" "+k.Entry, C.moduleFunction(g.lib.api, g.ctx, &f.f, m, name)); err != nil {
			return nil, err
		}
		g.functions[k] = f
	}
	if shared > f.shared {
		what := fmt.Sprintf("cuFuncSetAttribute %s %s: %d bytes of shared memory", k.Module, k.Entry, shared)
		if err := g.lib.check(what, C.functionShared(g.lib.api, g.ctx, f.f, C.int(shared))); err != nil {
			return nil, err
		}
		f.shared = shared
	}
	return f.f, nil
}

// plainShared is the dynamic shared memory that every kernel may ask for.
const plainShared = 48 << 10

// module compiles the PTX of a module for this GPU.
func (g *gpu) module(name string) (C.CUmodule, error) {
	if m, ok := g.modules[name]; ok {
		return m, nil
	}
	text, err := PTX(name)
	if err != nil {
		return nil, fmt.Errorf("cuda: module %s: %w", name, err)
	}
	m, err := g.compile(name, text)
	if err == nil {
		g.modules[name] = m
	}
	return m, err
}

func (g *gpu) compile(name string, ptx []byte) (C.CUmodule, error) {
	text := append(bytes.Clone(ptx), 0)
	log := make([]byte, 8<<10)
	var m C.CUmodule
	code := C.moduleLoad(g.lib.api, g.ctx, &m, (*C.char)(unsafe.Pointer(&text[0])), (*C.char)(unsafe.Pointer(&log[0])), C.size_t(len(log)))
	err := g.lib.check("cuModuleLoadDataEx "+name, code)
	if e, ok := err.(*Error); ok {
		e.Log = string(log[:max(0, bytes.IndexByte(log, 0))])
	}
	return m, err
}
