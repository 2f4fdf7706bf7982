package tensor

// Arena hands out the temporary tensors of one forward pass. It grows while
// the first pass runs, is one block from then on, and allocates nothing on the
// Go heap in a steady state. It is not safe for concurrent use: each pass has
// its own. Memory is not cleared.
type Arena struct {
	f32 slab[float32]
	i32 slab[int32]
}

// Mark is a position in an Arena: see [Arena.Release].
type Mark struct{ f32, i32 position }

// F32 returns a float32 tensor that lives until its mark is released.
func (a *Arena) F32(shape ...int) Tensor {
	t := header(F32, shape)
	t.f32 = a.f32.take(t.Len())
	return t
}

// I32 returns an int32 tensor that lives until its mark is released.
func (a *Arena) I32(shape ...int) Tensor {
	t := header(I32, shape)
	t.i32 = a.i32.take(t.Len())
	return t
}

// Mark returns the present position.
func (a *Arena) Mark() Mark { return Mark{a.f32.pos, a.i32.pos} }

// Release frees everything allocated since m.
func (a *Arena) Release(m Mark) { a.f32.pos, a.i32.pos = m.f32, m.i32 }

// Reset frees everything and joins the blocks of a grown arena into one.
func (a *Arena) Reset() {
	a.f32.reset()
	a.i32.reset()
}

// Bytes returns the memory the arena holds.
func (a *Arena) Bytes() int { return 4 * (a.f32.size() + a.i32.size()) }

const (
	lineElems = 16      // 64 bytes of 4-byte elements: every tensor starts on a cache line
	minBlock  = 1 << 16 // elements of a first block
)

type position struct{ block, off int }

type slab[T any] struct {
	blocks [][]T
	pos    position
}

func (s *slab[T]) take(n int) []T {
	need := (n + lineElems - 1) &^ (lineElems - 1)
	for s.pos.block < len(s.blocks) {
		if b := s.blocks[s.pos.block]; s.pos.off+need <= len(b) {
			out := b[s.pos.off : s.pos.off+n : s.pos.off+n]
			s.pos.off += need
			return out
		}
		s.pos = position{block: s.pos.block + 1}
	}
	s.blocks = append(s.blocks, make([]T, max(need, minBlock, s.size())))
	s.pos = position{block: len(s.blocks) - 1, off: need}
	return s.blocks[s.pos.block][0:n:n]
}

func (s *slab[T]) size() int {
	n := 0
	for _, b := range s.blocks {
		n += len(b)
	}
	return n
}

func (s *slab[T]) reset() {
	if len(s.blocks) > 1 {
		s.blocks = [][]T{make([]T, s.size())}
	}
	s.pos = position{}
}
