//go:build cuda && cgo && linux

package cuda

// #include "driver.h"
import "C"

import (
	"fmt"
	"time"
	"unsafe"
)

// stream is a CUDA stream that does not wait for the default one.
type stream struct {
	gpu *gpu
	s   C.CUstream
	err error // the first, until Sync returns it

	one      Commands // of Launch
	commands []C.command
	begin    C.CUevent // of Elapsed
	end      C.CUevent
}

func (g *gpu) NewStream() (Stream, error) {
	s := &stream{gpu: g, one: Commands{target: g.info.Target()}}
	err := g.lib.check("cuStreamCreate", C.streamCreate(g.lib.api, g.ctx, &s.s))
	if err == nil {
		err = g.lib.check("cuEventCreate", C.eventCreate(g.lib.api, g.ctx, &s.begin))
	}
	if err == nil {
		err = g.lib.check("cuEventCreate", C.eventCreate(g.lib.api, g.ctx, &s.end))
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close waits for what is queued: memory that it uses is freed after it.
func (s *stream) Close() {
	for _, e := range []C.CUevent{s.begin, s.end} {
		if e != nil {
			C.eventDestroy(s.gpu.lib.api, s.gpu.ctx, e)
		}
	}
	if s.s != nil {
		C.streamSync(s.gpu.lib.api, s.gpu.ctx, s.s)
		C.streamDestroy(s.gpu.lib.api, s.gpu.ctx, s.s)
	}
}

// keep keeps the first error.
func (s *stream) keep(call string, code C.CUresult) {
	if code != 0 && s.err == nil {
		s.err = s.gpu.lib.check(call, code)
	}
}

func (s *stream) Args() *Args { return s.one.Args() }

func (s *stream) Target() int { return s.gpu.info.Target() }

func (s *stream) Launch(k Kernel, grid, block Dim, shared int, args *Args) {
	s.one.Reset()
	s.one.Launch(k, grid, block, shared, args)
	s.Run(&s.one)
}

// resolve finds the functions of the commands.
func (s *stream) resolve(c *Commands) error {
	s.commands = s.commands[:0]
	for i := range c.list {
		l := &c.list[i]
		f, err := s.gpu.function(l.kernel, l.shared)
		if err != nil {
			return err
		}
		s.commands = append(s.commands, C.command{
			function: f,
			grid:     [3]C.uint{C.uint(l.grid.X), C.uint(l.grid.Y), C.uint(l.grid.Z)},
			block:    [3]C.uint{C.uint(l.block.X), C.uint(l.block.Y), C.uint(l.block.Z)},
			shared:   C.uint(l.shared), offset: C.uint(l.offset), size: C.uint(l.size),
		})
	}
	return nil
}

// params is the address of the commands' parameters.
func params(c *Commands) *C.char { return (*C.char)(unsafe.Pointer(unsafe.SliceData(c.params))) }

// failed says which launch failed.
func (c *Commands) failed(call string, at C.int) string {
	if at < 0 || int(at) >= len(c.list) {
		return call
	}
	l := &c.list[at]
	return fmt.Sprintf("%s %s %s, grid %v, block %v, %d bytes of shared memory", call, l.kernel.Module, l.kernel.Entry, l.grid, l.block, l.shared)
}

func (s *stream) Run(c *Commands) {
	if s.err != nil || len(c.list) == 0 {
		return
	}
	if s.err = s.resolve(c); s.err != nil {
		return
	}
	var at C.int
	code := C.launch(s.gpu.lib.api, s.gpu.ctx, s.s, &s.commands[0], C.int(len(s.commands)), params(c), &at)
	if code != 0 {
		s.keep(c.failed("cuLaunchKernel", at), code)
	}
}

func (s *stream) Upload(dst Ptr, src []byte) {
	if s.err == nil && len(src) > 0 {
		s.keep("cuMemcpyHtoDAsync", C.upload(s.gpu.lib.api, s.gpu.ctx, C.CUdeviceptr(dst), unsafe.Pointer(&src[0]), C.size_t(len(src)), s.s))
	}
}

func (s *stream) Download(dst []byte, src Ptr) {
	if s.err == nil && len(dst) > 0 {
		s.keep("cuMemcpyDtoHAsync", C.download(s.gpu.lib.api, s.gpu.ctx, unsafe.Pointer(&dst[0]), C.CUdeviceptr(src), C.size_t(len(dst)), s.s))
	}
}

func (s *stream) Copy(dst, src Ptr, bytes int) {
	if s.err == nil && bytes > 0 {
		s.keep("cuMemcpyDtoDAsync", C.copy(s.gpu.lib.api, s.gpu.ctx, C.CUdeviceptr(dst), C.CUdeviceptr(src), C.size_t(bytes), s.s))
	}
}

func (s *stream) Sync() error {
	s.keep("cuStreamSynchronize", C.streamSync(s.gpu.lib.api, s.gpu.ctx, s.s))
	err := s.err
	s.err = nil
	return err
}

func (s *stream) Elapsed(queue func()) (time.Duration, error) {
	lib, ctx := s.gpu.lib, s.gpu.ctx
	s.keep("cuEventRecord", C.eventRecord(lib.api, ctx, s.begin, s.s))
	queue()
	s.keep("cuEventRecord", C.eventRecord(lib.api, ctx, s.end, s.s))
	if err := s.Sync(); err != nil {
		return 0, err
	}
	var ms C.float
	err := lib.check("cuEventElapsedTime", C.eventElapsed(lib.api, ctx, &ms, s.begin, s.end))
	return time.Duration(float64(ms) * float64(time.Millisecond)), err
}

// graph is an instantiated CUDA graph.
type graph struct {
	s    *stream
	exec C.CUgraphExec
}

func (s *stream) Graph(c *Commands) (Graph, error) {
	if err := s.resolve(c); err != nil {
		return nil, err
	}
	g := &graph{s: s}
	if len(c.list) == 0 {
		return g, nil
	}
	var at C.int
	code := C.capture(s.gpu.lib.api, s.gpu.ctx, s.s, &s.commands[0], C.int(len(s.commands)), params(c), &at, &g.exec)
	if code != 0 {
		return nil, s.gpu.lib.check(c.failed("cuStreamBeginCapture", at), code)
	}
	return g, nil
}

func (g *graph) Launch() {
	if s := g.s; s.err == nil && g.exec != nil {
		s.keep("cuGraphLaunch", C.graphLaunch(s.gpu.lib.api, s.gpu.ctx, g.exec, s.s))
	}
}

func (g *graph) Close() {
	if g.exec != nil {
		C.graphDestroy(g.s.gpu.lib.api, g.s.gpu.ctx, g.exec)
	}
}

// TensorMap encodes m as cuTensorMapEncodeTiled does.
func (s *stream) TensorMap(m *TensorMap) ([]byte, error) {
	rank := len(m.Dims)
	steps := m.Steps
	if steps == nil {
		steps = []uint32{1, 1, 1, 1, 1}
	}
	if rank < 1 || rank > 5 || len(m.Strides) < rank-1 || len(m.Box) != rank || len(steps) < rank {
		return nil, fmt.Errorf("cuda: tensor map of %d dimensions, %d strides, tiles of %d", rank, len(m.Strides), len(m.Box))
	}
	strides := append(m.Strides[:rank-1:rank-1], 0)
	fill := C.int(0)
	if m.NaN {
		fill = 1
	}
	out := make([]byte, 128)
	code := C.tensorMap(s.gpu.lib.api, s.gpu.ctx, (*C.char)(unsafe.Pointer(&out[0])), C.int(m.Type), C.uint(rank), C.CUdeviceptr(m.Base),
		(*C.uint64_t)(&m.Dims[0]), (*C.uint64_t)(&strides[0]), (*C.uint32_t)(&m.Box[0]), (*C.uint32_t)(&steps[0]),
		C.int(m.Interleave), C.int(m.Swizzle), C.int(m.L2), fill)
	return out, s.gpu.lib.check("cuTensorMapEncodeTiled", code)
}
