package nn

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/seed-512d3d71/weft/kernels/cuda"
	"github.com/seed-512d3d71/weft/tensor"
)

// cudaPass implements Pass. Operations only lengthen list; send gives it to the
// device.
type cudaPass struct {
	backend *CUDA
	ctx     context.Context
	err     error

	stream cuda.Stream
	list   *cuda.Commands
	graphs *cuda.Graphs
	queued bool // the device may not be done

	arena  *tensor.DeviceArena
	staged staging // what Ints and Floats copy
	hosts  pinned  // what Host returns
}

// deviceMemory is a device as an arena wants it.
type deviceMemory struct{ cuda.Device }

func (m deviceMemory) Alloc(bytes int) (uint64, error) {
	p, err := m.Device.Alloc(bytes)
	return uint64(p), err
}

func (m deviceMemory) Free(addr uint64) { m.Device.Free(cuda.Ptr(addr)) }

func newCUDAPass(c *CUDA) *cudaPass {
	p := &cudaPass{backend: c, arena: tensor.NewDeviceArena(c, deviceMemory{c.device})}
	p.staged.device, p.hosts.device = c.device, c.device
	if c.closed {
		p.err = errClosed
		return p
	}
	if p.stream, p.err = c.device.NewStream(); p.err == nil {
		p.list, p.graphs = cuda.NewCommands(p.stream), cuda.NewGraphs(p.stream)
	}
	return p
}

// close gives the pass's memory back.
func (p *cudaPass) close() {
	if p.stream != nil {
		p.graphs.Close()
		p.stream.Close()
	}
	p.arena.Close()
	p.staged.close()
	p.hosts.close()
}

// New returns a matrix of the backend's type of activations.
func (p *cudaPass) New(rows, cols int) tensor.Tensor {
	return p.make(p.backend.typ, rows, cols)
}

func (p *cudaPass) make(t cuda.Type, rows, cols int) tensor.Tensor {
	x := p.arena.New(dtypeOf(t), rows, cols)
	if err := p.arena.Err(); err != nil {
		p.Fail(err)
	}
	return x
}

// scratch returns memory of one operation.
func (p *cudaPass) scratch(bytes int) cuda.Ptr {
	if bytes == 0 {
		return 0
	}
	at := p.arena.Take(bytes)
	if err := p.arena.Err(); err != nil {
		p.Fail(err)
	}
	return cuda.Ptr(at)
}

func (p *cudaPass) Mark() tensor.Mark     { return p.arena.Mark() }
func (p *cudaPass) Release(m tensor.Mark) { p.arena.Release(m) }

func (p *cudaPass) Ints(src []int32) tensor.Tensor {
	dst, at := p.stage(4 * len(src))
	copy(unsafe.Slice((*int32)(unsafe.Pointer(dst)), len(src)), src)
	return tensor.AtAddress(p.backend, uint64(at), tensor.I32, len(src))
}

func (p *cudaPass) Floats(src []float32, rows, cols int) tensor.Tensor {
	dst, at := p.stage(4 * rows * cols)
	copy(unsafe.Slice((*float32)(unsafe.Pointer(dst)), rows*cols), src[:rows*cols])
	return tensor.AtAddress(p.backend, uint64(at), tensor.F32, rows, cols)
}

// stage returns host memory that is copied to the device before what is
// launched from now.
func (p *cudaPass) stage(bytes int) (*byte, cuda.Ptr) {
	b, at, err := p.staged.take(bytes)
	if err != nil {
		p.Fail(err)
		b, at = make([]byte, max(1, bytes)), deviceNothing
	}
	return unsafe.SliceData(b), at
}

func (p *cudaPass) Const(src []float32, rows, cols int) tensor.Tensor {
	at, err := p.backend.constantOf(src[:rows*cols])
	if err != nil {
		p.Fail(err)
		at = deviceNothing
	}
	return tensor.AtAddress(p.backend, uint64(at), tensor.F32, rows, cols)
}

// Host sends the list and waits for it. Rows of the copy have no gaps.
func (p *cudaPass) Host(t tensor.Tensor) tensor.Tensor {
	if t.Device() == nil {
		return t
	}
	n := t.Len()
	out := func(x []float32) tensor.Tensor { return tensor.FromF32(x, t.Shape()...) }
	if t.DType() != tensor.F32 && t.DType() != tensor.BF16 {
		p.Fail(fmt.Errorf("cuda: %v read by the host", t))
	}
	if p.Err() != nil {
		return out(make([]float32, n))
	}
	mark := p.Mark()
	defer p.Release(mark)
	x := t
	if t.DType() != tensor.F32 || !t.Contiguous() {
		x = p.make(cuda.F32, t.Rows(), t.Cols())
		p.cast(x, t)
	}
	p.send()
	b, err := p.hosts.take(4 * n)
	if err != nil {
		p.Fail(err)
		return out(make([]float32, n))
	}
	p.stream.Download(b, cuda.Ptr(x.Address()))
	p.queued = true
	if err := p.sync(); err != nil {
		p.Fail(err)
	}
	return out(unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n))
}

// send gives the device what was staged and the list.
func (p *cudaPass) send() {
	if p.Err() != nil {
		p.list.Reset()
		return
	}
	p.queued = p.staged.send(p.stream) || p.queued
	if p.list.Len() > 0 {
		p.graphs.Run(p.list)
		p.list.Reset()
		p.queued = true
	}
}

// sync waits for the device.
func (p *cudaPass) sync() error {
	if !p.queued {
		return nil
	}
	p.queued = false
	return p.stream.Sync()
}

func (p *cudaPass) Err() error {
	if p.err == nil {
		p.err = p.ctx.Err()
	}
	return p.err
}

func (p *cudaPass) Fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// End waits for what is left: memory is used again by the next pass.
func (p *cudaPass) End() {
	var err error
	if p.stream != nil {
		p.send()
		err = p.sync()
		p.arena.Reset()
		p.staged.reset()
		p.hosts.reset()
	}
	p.ctx, p.err = nil, nil
	p.backend.end(p, err)
}

func (p *cudaPass) done() bool { return p.Err() != nil }

// place is a position in blocks of memory.
type place struct{ block, off int }

const (
	stageAlign = 16 // bytes: the widest load
	stageBytes = 1 << 18
)

// pinned is pinned memory for what a pass reads back. In a steady state it is
// one block.
type pinned struct {
	device cuda.Device
	blocks [][]byte
	pos    place
}

// take returns so many bytes until reset.
func (s *pinned) take(bytes int) ([]byte, error) {
	need := (bytes + stageAlign - 1) &^ (stageAlign - 1)
	for s.pos.block < len(s.blocks) {
		if b := s.blocks[s.pos.block]; s.pos.off+need <= len(b) {
			s.pos.off += need
			return b[s.pos.off-need:][:bytes:need], nil
		}
		s.pos = place{block: s.pos.block + 1}
	}
	b, err := s.device.Pinned(max(need, stageBytes, s.size()))
	if err != nil {
		return nil, err
	}
	s.blocks = append(s.blocks, b)
	s.pos.off = need
	return b[:bytes:need], nil
}

func (s *pinned) size() int {
	n := 0
	for _, b := range s.blocks {
		n += len(b)
	}
	return n
}

// reset joins the blocks into one.
func (s *pinned) reset() {
	if n := s.size(); len(s.blocks) > 1 {
		s.close()
		if b, err := s.device.Pinned(n); err == nil {
			s.blocks = append(s.blocks, b)
		}
	}
	s.pos = place{}
}

func (s *pinned) close() {
	for _, b := range s.blocks {
		s.device.Unpin(b)
	}
	s.blocks, s.pos = nil, place{}
}

// staging is pinned memory with its image on the device. In a steady state it
// is one block, and one copy for all that a list reads.
type staging struct {
	device cuda.Device
	blocks []stageBlock
	block  int // the one that is being filled
}

type stageBlock struct {
	host       []byte
	at         cuda.Ptr
	used, sent int // bytes
}

// take returns so many bytes and where they will be on the device.
func (s *staging) take(bytes int) ([]byte, cuda.Ptr, error) {
	need := max(stageAlign, (bytes+stageAlign-1)&^(stageAlign-1))
	for ; s.block < len(s.blocks); s.block++ {
		if b := &s.blocks[s.block]; b.used+need <= len(b.host) {
			b.used += need
			from := b.used - need
			return b.host[from : from+bytes : b.used], b.at + cuda.Ptr(from), nil
		}
	}
	if err := s.add(max(need, stageBytes, s.size())); err != nil {
		return nil, 0, err
	}
	b := &s.blocks[s.block]
	b.used = need
	return b.host[:bytes:need], b.at, nil
}

func (s *staging) add(bytes int) error {
	host, err := s.device.Pinned(bytes)
	if err != nil {
		return err
	}
	at, err := s.device.Alloc(bytes)
	if err != nil {
		s.device.Unpin(host)
		return err
	}
	s.blocks = append(s.blocks, stageBlock{host: host, at: at})
	return nil
}

// send queues the copy of what has been staged since the last call. It returns
// false if there is nothing.
func (s *staging) send(q cuda.Stream) bool {
	any := false
	for i := range s.blocks {
		if b := &s.blocks[i]; b.sent < b.used {
			q.Upload(b.at+cuda.Ptr(b.sent), b.host[b.sent:b.used])
			b.sent, any = b.used, true
		}
	}
	return any
}

func (s *staging) size() int {
	n := 0
	for _, b := range s.blocks {
		n += len(b.host)
	}
	return n
}

// reset joins the blocks into one.
func (s *staging) reset() {
	if n := s.size(); len(s.blocks) > 1 {
		s.close()
		s.add(n) // without memory the next pass says so
	}
	for i := range s.blocks {
		s.blocks[i].used, s.blocks[i].sent = 0, 0
	}
	s.block = 0
}

func (s *staging) close() {
	for _, b := range s.blocks {
		s.device.Unpin(b.host)
		s.device.Free(b.at)
	}
	s.blocks, s.block = nil, 0
}
