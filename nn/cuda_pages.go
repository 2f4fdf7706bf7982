package nn

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// cudaPages is the memory of a cache, laid out as that of the CPU.
type cudaPages struct {
	backend                    *CUDA
	memory                     *pageMemory
	pages                      int
	layers, keyCols, valueCols int
	err                        error // there was no memory to grow
}

// pageMemory is device memory that is freed with its cache or its backend,
// whichever comes first.
type pageMemory struct {
	backend *CUDA
	once    sync.Once
	at      cuda.Ptr
}

func (m *pageMemory) free() {
	m.once.Do(func() {
		m.backend.device.Free(m.at)
		m.backend.pages.Delete(m) // after it: Close waits for those that it finds
	})
}

// Pages returns memory on the device. It is freed when nothing refers to the
// cache any more.
func (c *CUDA) Pages(layers, keyCols, valueCols int) Pages {
	return &cudaPages{backend: c, layers: layers, keyCols: keyCols, valueCols: valueCols}
}

// page returns the elements of a page.
func (m *cudaPages) page() int { return m.layers * CachePage * (m.keyCols + m.valueCols) }

// at returns where the keys and values of a layer begin in page 0.
func (m *cudaPages) at(layer int) (k, v cuda.Mat) {
	size := m.backend.typ.Size()
	from := layer * CachePage * (m.keyCols + m.valueCols)
	var base cuda.Ptr
	if m.memory != nil {
		base = m.memory.at
	}
	k = cuda.Mat{P: base + cuda.Ptr(from*size), LD: m.keyCols}
	v = cuda.Mat{P: base + cuda.Ptr((from+CachePage*m.keyCols)*size), LD: m.valueCols}
	return k, v
}

func (m *cudaPages) bytes(pages int) int { return pages * m.page() * m.backend.typ.Size() }

func (m *cudaPages) Grow(pages int) {
	if m.err == nil && m.backend.isClosed() {
		m.err = errClosed
	}
	if m.err != nil {
		return
	}
	d := m.backend.device
	p, err := d.Alloc(m.bytes(pages))
	for wait := time.Millisecond; errors.Is(err, cuda.ErrMemory) && wait < 100*time.Millisecond; wait *= 2 {
		runtime.GC() // caches that nothing refers to may hold memory
		time.Sleep(wait)
		p, err = d.Alloc(m.bytes(pages))
	}
	if err != nil {
		m.err = err
		return
	}
	old := m.memory
	m.memory = &pageMemory{backend: m.backend, at: p}
	m.backend.pages.Store(m.memory, nil)
	runtime.AddCleanup(m, (*pageMemory).free, m.memory)
	if old != nil {
		m.err = m.backend.copyNow(p, old.at, m.bytes(m.pages))
		old.free()
	}
	m.pages = pages
}

func (m *cudaPages) Copy(dst, src int32) {
	if m.err == nil {
		n := m.bytes(1)
		m.err = m.backend.copyNow(m.memory.at+cuda.Ptr(int(dst)*n), m.memory.at+cuda.Ptr(int(src)*n), n)
	}
}

func (c *CUDA) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// copyNow copies device memory and waits for it.
func (c *CUDA) copyNow(dst, src cuda.Ptr, bytes int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	c.load.stream.Copy(dst, src, bytes)
	return c.load.stream.Sync()
}
