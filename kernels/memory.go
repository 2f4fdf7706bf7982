package kernels

import (
	"sync"
	"unsafe"

	"github.com/seed-512d3d71/weft/internal/mmap"
)

// slabs hands out the memory of packed weights. Pieces of one slab lie end to
// end, so that huge pages can stand behind all of it: a gigabyte of weights
// then costs hundreds of page faults in place of hundreds of thousands, and a
// product that streams them rarely misses the TLB. A slab lives as long as any
// of its pieces; what is never handed out is never touched.
var slabs struct {
	sync.Mutex
	free []float32
	next int // size of the next slab, in elements
}

const (
	minSlab   = 2 << 20  // elements: 8 MiB
	maxSlab   = 16 << 20 // 64 MiB
	slabPiece = 1 << 15  // smaller pieces come from the heap
)

// newWeights returns n zeroed elements, on a cache line from slabPiece up.
func newWeights(n int) []float32 {
	if n < slabPiece {
		return make([]float32, n)
	}
	const line = 16
	need := (n + line - 1) / line * line
	s := &slabs
	s.Lock()
	defer s.Unlock()
	if need > len(s.free) {
		s.next = min(max(minSlab, 2*s.next), maxSlab)
		slab := make([]float32, max(need, s.next))
		mmap.AdviseHuge(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(slab))), 4*len(slab)))
		if need == len(slab) {
			return slab[:n:n]
		}
		s.free = slab
	}
	out := s.free[:n:n]
	s.free = s.free[need:]
	return out
}
