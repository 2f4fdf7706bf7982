package kernels

import (
	"sync"

	"github.com/seed-512d3d71/weft/internal/par"
)

// vecTask is an operation over rows, or over the elements of a vector, split
// into chunks for a team. run does the part from lo to hi with the operands in
// the fields that it knows.
type vecTask struct {
	run func(v *vecTask, lo, hi int)

	dst, a, b, c, d, e []float32
	ldd, lda, ldb, ldc int
	ids                []int32
	q                  []int8
	act                Act
	mul                bool
	s, s2              float32
	cols               int
	h, w, kh, kw       int // of pictures and windows
	win                Window
	mean               bool

	total, chunk int
}

var vecTasks = sync.Pool{New: func() any { return new(vecTask) }}

// Do runs one chunk.
func (v *vecTask) Do(i int) { v.run(v, i*v.chunk, min((i+1)*v.chunk, v.total)) }

// chunkElems is the number of elements that are worth a chunk of their own:
// several µs of the fastest functions.
const chunkElems = 1 << 14

// runFlat computes the n elements of a vector.
func runFlat(t *par.Team, v vecTask, n int) { v.start(t, n, chunkElems) }

// runRows computes n rows of cols elements.
func runRows(t *par.Team, v vecTask, n, cols int) {
	v.start(t, n, max(1, chunkElems/max(1, cols)))
}

func (v vecTask) start(t *par.Team, total, chunk int) {
	if total <= 0 {
		return
	}
	task := vecTasks.Get().(*vecTask)
	v.total, v.chunk = total, chunk
	*task = v
	t.Run(task, (total+chunk-1)/chunk)
	*task = vecTask{}
	vecTasks.Put(task)
}
