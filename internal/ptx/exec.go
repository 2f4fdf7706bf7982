package ptx

import (
	"fmt"
	"math"
	"math/bits"
	"strings"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

const warpSize = 32

// full is the mask of a whole warp.
const full = ^uint32(0)

// instKind says how an instruction changes the flow.
type instKind uint8

const (
	plain instKind = iota
	branch
	barrier
	poll // of a barrier in memory
	leave
)

// inst is an instruction ready to run.
type inst struct {
	kind   instKind
	not    bool
	guard  int // predicate, -1: none
	target int // of a branch
	line   int
	bar    *barrierWait
	run    func(w *warp, m uint32)
	stmt   *stmt
}

// fault is an error of a kernel; it travels by panic from the instruction to
// the launch.
type fault struct{ msg string }

func failf(format string, a ...any) { panic(fault{fmt.Sprintf(format, a...)}) }

// group is threads of a warp that stand at one instruction.
type group struct {
	pc   int
	mask uint32
}

// warp is 32 threads. Registers hold one value a lane; what is defined is a
// mask a register.
type warp struct {
	b      *block
	id     int
	pc     int
	mask   uint32 // of the threads at pc
	live   uint32 // of those that have not returned
	others []group
	bar    *barrierWait // that it waits at
	sync   uint32       // warp barriers passed

	r    [][warpSize]uint32
	d    [][warpSize]uint64
	p    []uint32
	defR []uint32
	defD []uint32
	defP []uint32

	hints  []*span          // the allocation that an instruction used last
	addr   [warpSize]uint64 // of the instruction at hand
	local  []byte
	copies copyQueue
	async  asyncProducts
	yield  bool // a poll found nothing
}

// block is a thread block.
type block struct {
	dev      *Device
	code     *code
	params   []byte
	shared   []byte
	cells    []cell // one for two bytes
	epoch    uint32
	warps    []*warp
	ctaid    [3]int
	ntid     [3]int
	nctaid   [3]int
	barriers map[uint64]*mbarrier
	idle     int // polls of barriers that found nothing since anything else happened
}

// Launch runs a kernel to its end.
func (d *Device) Launch(k cuda.Kernel, grid, size cuda.Dim, shared int, args *cuda.Args) {
	if d.err != nil {
		return
	}
	if err := d.launch(k, grid, size, shared, args.Buffer()); err != nil {
		d.err = fmt.Errorf("%s: %s: %w", k.Module, k.Entry, err)
	}
	d.Launches[k.Entry]++
}

func (d *Device) launch(k cuda.Kernel, grid, size cuda.Dim, shared int, params []byte) error {
	m, err := loadModule(k.Module)
	if err != nil {
		return err
	}
	return d.start(m, k.Entry, grid, size, shared, params)
}

// start runs an entry of a module.
func (d *Device) start(m *compiled, entry string, grid, size cuda.Dim, shared int, params []byte) error {
	if m.target > d.target {
		return fmt.Errorf("is for sm_%d, the device is sm_%d", m.target, d.target)
	}
	c, err := m.entry(entry)
	if err != nil {
		return err
	}
	threads := size.X * size.Y * size.Z
	switch {
	case len(params) != c.e.size:
		return fmt.Errorf("%d bytes of parameters, want %d", len(params), c.e.size)
	case grid.X < 1 || grid.Y < 1 || grid.Z < 1 || grid.X > 1<<31-1 || grid.Y > 65535 || grid.Z > 65535:
		return fmt.Errorf("grid %v", grid)
	case threads < 1 || threads > 1024 || size.Z > 64:
		return fmt.Errorf("block %v", size)
	case c.e.threads[0] > 0 && c.e.threads != [3]int{size.X, size.Y, size.Z}:
		return fmt.Errorf("block %v, the kernel wants %v", size, c.e.threads)
	case shared+c.sharedSize > 227<<10:
		return fmt.Errorf("%d bytes of shared memory", shared+c.sharedSize)
	}
	b := newBlock(d, c, params, grid, size, shared)
	for z := range grid.Z {
		for y := range grid.Y {
			for x := range grid.X {
				if err := b.run(x, y, z); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func newBlock(d *Device, c *code, params []byte, grid, size cuda.Dim, shared int) *block {
	threads := size.X * size.Y * size.Z
	b := &block{dev: d, code: c, params: params, ntid: [3]int{size.X, size.Y, size.Z}, nctaid: [3]int{grid.X, grid.Y, grid.Z}}
	b.shared = make([]byte, c.sharedSize+shared)
	b.cells = make([]cell, (len(b.shared)+1)/2)
	for i := range (threads + warpSize - 1) / warpSize {
		w := &warp{b: b, id: i}
		w.r, w.defR = make([][warpSize]uint32, c.nr), make([]uint32, c.nr)
		w.d, w.defD = make([][warpSize]uint64, c.nd), make([]uint32, c.nd)
		w.p, w.defP = make([]uint32, c.np), make([]uint32, c.np)
		w.hints = make([]*span, len(c.prog))
		w.local = make([]byte, c.localSize*warpSize)
		b.warps = append(b.warps, w)
	}
	return b
}

// run executes the block at x, y, z of the grid.
func (b *block) run(x, y, z int) (err error) {
	b.ctaid = [3]int{x, y, z}
	clear(b.cells)
	b.epoch = 1
	b.barriers, b.idle = map[uint64]*mbarrier{}, 0
	threads := b.ntid[0] * b.ntid[1] * b.ntid[2]
	for i, w := range b.warps {
		w.start(full >> max(0, (i+1)*warpSize-threads))
	}
	var at *warp
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			in := &b.code.prog[at.pc]
			err = fmt.Errorf("line %d: %s: block %v, warp %d: %s", in.line, in.stmt, b.ctaid, at.id, f.msg)
		}
	}()
	for {
		running := 0
		for _, w := range b.warps {
			if w.live == 0 {
				continue
			}
			running++
			if at = w; w.bar == nil {
				w.run()
			}
		}
		if running == 0 {
			return nil
		}
		if !b.release() && b.idle > 4*len(b.warps) {
			failf("no warp can go on")
		}
	}
}

// barrierWait is a barrier of the block at which warps wait: all of them, or so
// many threads.
type barrierWait struct{ id, threads int }

// release lets warps go on from the barriers at which all have arrived.
func (b *block) release() bool {
	arrived, threads, live := map[int]int{}, map[int]int{}, 0
	for _, w := range b.warps {
		live += bits.OnesCount32(w.live)
		if w.live != 0 && w.bar != nil {
			arrived[w.bar.id] += bits.OnesCount32(w.live)
			threads[w.bar.id] = w.bar.threads
		}
	}
	any := false
	for id, n := range arrived {
		want := threads[id]
		if want == 0 {
			want = live
		}
		if n < want {
			continue
		}
		if n > want {
			failf("%d threads at barrier %d of %d", n, id, want)
		}
		any = true
		for _, w := range b.warps {
			if w.bar != nil && w.bar.id == id {
				w.bar = nil
			}
		}
	}
	if any {
		b.epoch++
		b.idle = 0
	} else {
		b.idle++
	}
	return any
}

func (w *warp) start(mask uint32) {
	c := w.b.code
	w.pc, w.mask, w.live, w.others = 0, mask, mask, w.others[:0]
	w.sync, w.bar = 0, nil
	w.copies.reset()
	w.async.reset()
	clear(w.defR)
	clear(w.defD)
	clear(w.defP)
	for _, k := range c.consts {
		for l := range warpSize {
			if k.wide {
				w.d[k.slot][l] = k.bits
			} else {
				w.r[k.slot][l] = uint32(k.bits)
			}
		}
		if k.wide {
			w.defD[k.slot] = full
		} else {
			w.defR[k.slot] = full
		}
	}
	for name, slot := range c.special {
		w.defR[slot] = full
		for l := range warpSize {
			w.r[slot][l] = w.specialValue(name, l)
		}
	}
}

func (w *warp) specialValue(name string, lane int) uint32 {
	b := w.b
	axis := func() int { return int(name[len(name)-1] - 'x') }
	t := w.id*warpSize + lane
	switch {
	case strings.HasPrefix(name, "%tid."):
		return uint32([3]int{t % b.ntid[0], t / b.ntid[0] % b.ntid[1], t / b.ntid[0] / b.ntid[1]}[axis()])
	case strings.HasPrefix(name, "%ntid."):
		return uint32(b.ntid[axis()])
	case strings.HasPrefix(name, "%ctaid."):
		return uint32(b.ctaid[axis()])
	case strings.HasPrefix(name, "%nctaid."):
		return uint32(b.nctaid[axis()])
	case name == "%laneid":
		return uint32(lane)
	}
	return uint32(w.id) // %warpid of a block of one dimension
}

// run executes the warp until it waits at a barrier of the block or is done.
func (w *warp) run() {
	prog := w.b.code.prog
	for steps := 0; w.live != 0; steps++ {
		if steps > 1<<26 {
			failf("runs for ever")
		}
		in := &prog[w.pc]
		m := w.mask
		if in.guard >= 0 {
			if w.defP[in.guard]&m != m {
				failf("the predicate was not set")
			}
			if in.not {
				m &^= w.p[in.guard]
			} else {
				m &= w.p[in.guard]
			}
		}
		w.b.dev.Steps += int64(bits.OnesCount32(m))
		switch in.kind {
		case plain:
			if m != 0 {
				in.run(w, m)
			}
			w.pc++
		case branch:
			switch m {
			case 0:
				w.pc++
			case w.mask:
				w.pc = in.target
			default:
				w.others = append(w.others, group{w.pc + 1, w.mask &^ m})
				w.pc, w.mask = in.target, m
			}
		case barrier:
			if m != w.live {
				failf("threads %08x are not at the barrier", w.live&^m)
			}
			w.pc++
			w.bar = in.bar
			w.sync++
			return
		case poll:
			w.yield = false
			in.run(w, m)
			w.pc++
			if w.yield {
				if len(w.others) > 0 {
					w.regroup()
				}
				w.b.idle++
				return
			}
			w.b.idle = 0
		case leave:
			w.live &^= m
			w.mask &^= m
			w.pc++
			if w.live == 0 {
				w.copies.finish(w)
				w.async.finish()
				w.b.idle = 0
			}
		}
		if len(w.others) > 0 || w.mask == 0 {
			w.regroup()
		}
	}
}

// regroup goes on with the threads that are furthest back, all of them.
func (w *warp) regroup() {
	least := w.pc
	if w.mask == 0 {
		least = math.MaxInt
	}
	for _, g := range w.others {
		least = min(least, g.pc)
	}
	if least > w.pc && w.mask == 0 || least < w.pc {
		if w.mask != 0 {
			w.others = append(w.others, group{w.pc, w.mask})
		}
		w.pc, w.mask = least, 0
	}
	rest := w.others[:0]
	for _, g := range w.others {
		if g.pc == w.pc {
			w.mask |= g.mask
		} else {
			rest = append(rest, g)
		}
	}
	w.others = rest
}

// now is the time of an access of a lane to shared memory.
func (w *warp) now(lane int) stamp {
	return stamp{w.b.epoch, w.sync, int32(w.id*warpSize + lane)}
}
