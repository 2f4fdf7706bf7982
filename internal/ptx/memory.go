package ptx

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// span is one allocation: its bytes, and which of them have been written.
type span struct {
	base    uint64
	data    []byte
	written []byte // 1 a byte
}

const (
	firstAddress = 0x7f00_0000_0000
	// redZone bytes at least lie between two allocations.
	redZone = 4096
)

// Device is memory and a queue that runs kernels as they are launched.
type Device struct {
	target int
	spans  []*span // by address
	next   uint64
	args   cuda.Args
	err    error

	// Steps counts the instructions that were run, times the threads.
	Steps int64
	// Launches counts the launches by entry.
	Launches map[string]int
}

// NewDevice returns a device of a compute capability times ten.
func NewDevice(target int) *Device {
	return &Device{target: target, next: firstAddress, Launches: map[string]int{}}
}

// Err returns the first error of a launch.
func (d *Device) Err() error { return d.err }

// Target is the compute capability times ten.
func (d *Device) Target() int { return d.target }

// Args returns the parameter buffer, emptied.
func (d *Device) Args() *cuda.Args {
	d.args.Reset()
	return &d.args
}

// Alloc returns n bytes that nothing has written.
func (d *Device) Alloc(n int) cuda.Ptr {
	s := &span{base: d.next, data: make([]byte, n), written: make([]byte, n)}
	d.next += (uint64(n)+255)&^255 + redZone
	d.spans = append(d.spans, s)
	return cuda.Ptr(s.base)
}

// Free gives back what Alloc returned.
func (d *Device) Free(p cuda.Ptr) {
	d.spans = slices.DeleteFunc(d.spans, func(s *span) bool { return s.base == uint64(p) })
}

// Upload copies src to device memory.
func (d *Device) Upload(dst cuda.Ptr, src []byte) {
	s, o, err := d.find(uint64(dst), len(src))
	if err != nil {
		d.fail(fmt.Errorf("upload: %w", err))
		return
	}
	copy(s.data[o:], src)
	for i := range src {
		s.written[o+i] = 1
	}
}

// Download copies from device memory. What nothing has written is an error.
func (d *Device) Download(dst []byte, src cuda.Ptr) {
	s, o, err := d.find(uint64(src), len(dst))
	if err != nil {
		d.fail(fmt.Errorf("download: %w", err))
		return
	}
	if i := slices.Index(s.written[o:o+len(dst)], 0); i >= 0 && d.err == nil {
		d.fail(fmt.Errorf("download: byte %d of %d was not written", i, len(dst)))
	}
	copy(dst, s.data[o:])
}

// Copy copies n bytes, written or not.
func (d *Device) Copy(dst, src cuda.Ptr, n int) {
	from, i, err := d.find(uint64(src), n)
	if err != nil {
		d.fail(fmt.Errorf("copy: %w", err))
		return
	}
	to, j, err := d.find(uint64(dst), n)
	if err != nil {
		d.fail(fmt.Errorf("copy: %w", err))
		return
	}
	copy(to.data[j:j+n], from.data[i:])
	copy(to.written[j:j+n], from.written[i:])
}

func (d *Device) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// find returns the allocation that holds n bytes at p, and where in it.
func (d *Device) find(p uint64, n int) (*span, int, error) {
	i := sort.Search(len(d.spans), func(i int) bool { return d.spans[i].base > p }) - 1
	if i < 0 || p-d.spans[i].base > uint64(len(d.spans[i].data)) {
		return nil, 0, fmt.Errorf("address %#x lies in no allocation", p)
	}
	s := d.spans[i]
	if o := p - s.base; o+uint64(n) > uint64(len(s.data)) {
		return nil, 0, fmt.Errorf("%d bytes at %d of an allocation of %d", n, o, len(s.data))
	}
	return s, int(p - s.base), nil
}

// cell is what is known of two bytes of shared memory: who touched them last,
// and when. Times count a block's barriers and, within one, a warp's.
type cell struct {
	written     bool
	wrote, read stamp
	readers     bool // other threads of the warp read it too
	warps       bool // other warps did
}

type stamp struct {
	block  uint32 // 0: never
	warp   uint32
	thread int32
}

// clashes reports whether an access now may run at the same time as s.
func (s stamp) clashes(now stamp) bool {
	return s.block == now.block && s.thread != now.thread && (s.thread/32 != now.thread/32 || s.warp == now.warp)
}

// touch records an access of a thread to shared memory.
func (c *cell) touch(now stamp, write bool) error {
	if c.wrote.clashes(now) {
		if write {
			return fmt.Errorf("threads %d and %d write to the same place", c.wrote.thread, now.thread)
		}
		return fmt.Errorf("thread %d reads what thread %d writes", now.thread, c.wrote.thread)
	}
	if write {
		sameWarp := c.read.thread/32 == now.thread/32
		if c.read.clashes(now) || c.read.block == now.block && (c.warps || c.readers && (!sameWarp || c.read.warp == now.warp)) {
			return fmt.Errorf("thread %d writes what thread %d reads", now.thread, c.read.thread)
		}
		c.wrote, c.written = now, true
		return nil
	}
	if !c.written {
		return fmt.Errorf("nothing was written there")
	}
	switch {
	case c.read.block != now.block:
		c.read, c.readers, c.warps = now, false, false
	case c.read.thread/32 != now.thread/32:
		c.warps = true
	case c.read.warp != now.warp:
		c.read, c.readers = now, false
	case c.read.thread != now.thread:
		c.readers = true
	}
	return nil
}

// load reads size bytes of a span as a number.
func load(b []byte, size int) uint64 {
	switch size {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

func store(b []byte, size int, v uint64) {
	switch size {
	case 1:
		b[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(b, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(b, uint32(v))
	default:
		binary.LittleEndian.PutUint64(b, v)
	}
}

// isWritten reports whether all bytes are.
func isWritten(w []byte) bool {
	for len(w) >= 4 {
		if binary.LittleEndian.Uint32(w) != 0x01010101 {
			return false
		}
		w = w[4:]
	}
	for _, x := range w {
		if x == 0 {
			return false
		}
	}
	return true
}

func setWritten(w []byte) {
	for len(w) >= 4 {
		binary.LittleEndian.PutUint32(w, 0x01010101)
		w = w[4:]
	}
	for i := range w {
		w[i] = 1
	}
}
