package ptx

import (
	"fmt"
	"sync"
	"time"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// GPU makes a Device a whole [cuda.Device], as a backend wants one: its streams
// run what they are given at once, and its clock counts instructions. It is safe
// for concurrent use.
type GPU struct {
	Dev *Device // for what only tests ask

	// What was asked for so far: waits, copies from the host, graphs and their
	// launches.
	Syncs, Uploads, Graphs, GraphLaunches int

	mu      sync.Mutex
	info    cuda.Info
	limit   int // bytes
	memory  map[cuda.Ptr]int
	pinned  int
	streams int
	closed  bool
}

// NewGPU returns a GPU of a compute capability times ten with so many bytes of
// memory.
func NewGPU(target, memory int) *GPU {
	return &GPU{
		Dev: NewDevice(target), limit: memory, memory: map[cuda.Ptr]int{},
		info: cuda.Info{Name: "PTX interpreter", Major: target / 10, Minor: target % 10, Memory: int64(memory), SMs: 1, ClockKHz: 1e6, MemoryKHz: 1e6, BusBits: 64},
	}
}

// Info describes the device.
func (g *GPU) Info() cuda.Info { return g.info }

// Alloc returns memory that nothing has written.
func (g *GPU) Alloc(bytes int) (cuda.Ptr, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.used()+bytes > g.limit {
		return 0, fmt.Errorf("ptx: %d bytes: %w", bytes, cuda.ErrMemory)
	}
	p := g.Dev.Alloc(bytes)
	g.memory[p] = bytes
	return p, nil
}

func (g *GPU) used() int {
	n := 0
	for _, b := range g.memory {
		n += b
	}
	return n
}

// Free gives back what Alloc returned.
func (g *GPU) Free(p cuda.Ptr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.memory[p]; !ok {
		g.Dev.fail(fmt.Errorf("free of %#x, which was not allocated", uint64(p)))
	}
	delete(g.memory, p)
	g.Dev.Free(p)
}

// FreeMemory returns what is left of the memory.
func (g *GPU) FreeMemory() (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int64(g.limit - g.used()), nil
}

// Pinned returns memory of the Go heap.
func (g *GPU) Pinned(bytes int) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pinned++
	return make([]byte, bytes), nil
}

// Unpin counts what is given back.
func (g *GPU) Unpin(b []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pinned--
}

// NewStream returns a stream that runs at once what it is given.
func (g *GPU) NewStream() (cuda.Stream, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.streams++
	return &stream{gpu: g}, nil
}

// Close ends the use of the GPU.
func (g *GPU) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return nil
}

// Leaks says what has not been given back, "" if everything was.
func (g *GPU) Leaks() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.memory) == 0 && g.pinned == 0 && g.streams == 0 && g.closed {
		return ""
	}
	return fmt.Sprintf("%d pieces of memory, %d pinned, %d streams, closed: %v", len(g.memory), g.pinned, g.streams, g.closed)
}

type stream struct {
	gpu  *GPU
	args cuda.Args
}

func (s *stream) Target() int { return s.gpu.Dev.Target() }

func (s *stream) Args() *cuda.Args {
	s.args.Reset()
	return &s.args
}

// use holds the device for f, unless it has failed.
func (s *stream) use(f func(d *Device)) {
	s.gpu.mu.Lock()
	defer s.gpu.mu.Unlock()
	if s.gpu.Dev.err == nil {
		f(s.gpu.Dev)
	}
}

func (s *stream) Launch(k cuda.Kernel, grid, block cuda.Dim, shared int, args *cuda.Args) {
	s.use(func(d *Device) { d.Launch(k, grid, block, shared, args) })
}

func (s *stream) Upload(dst cuda.Ptr, src []byte) {
	s.use(func(d *Device) {
		s.gpu.Uploads++
		d.Upload(dst, src)
	})
}

func (s *stream) Download(dst []byte, src cuda.Ptr) {
	s.use(func(d *Device) { d.Download(dst, src) })
}

// TensorMap returns a description that the interpreter reads.
func (s *stream) TensorMap(m *cuda.TensorMap) (b []byte, err error) {
	s.use(func(d *Device) { b, err = d.TensorMap(m) })
	return b, err
}

func (s *stream) Copy(dst, src cuda.Ptr, n int) { s.use(func(d *Device) { d.Copy(dst, src, n) }) }

func (s *stream) Run(c *cuda.Commands) { c.Replay(s) }

func (s *stream) Graph(c *cuda.Commands) (cuda.Graph, error) {
	s.use(func(*Device) { s.gpu.Graphs++ })
	return &graph{s, c}, nil
}

// Elapsed returns a microsecond an instruction of a thread.
func (s *stream) Elapsed(queue func()) (time.Duration, error) {
	from := s.gpu.Dev.Steps
	queue()
	return time.Duration(s.gpu.Dev.Steps-from) * time.Microsecond, s.Sync()
}

func (s *stream) Sync() error {
	s.gpu.mu.Lock()
	defer s.gpu.mu.Unlock()
	s.gpu.Syncs++
	return s.gpu.Dev.err
}

func (s *stream) Close() {
	s.gpu.mu.Lock()
	defer s.gpu.mu.Unlock()
	s.gpu.streams--
}

// graph is commands that are run again. They must stay as they are.
type graph struct {
	s *stream
	c *cuda.Commands
}

func (g *graph) Launch() {
	g.s.use(func(*Device) { g.s.gpu.GraphLaunches++ })
	g.s.Run(g.c)
}

func (g *graph) Close() {}
