package ptx

import (
	"fmt"
	"strings"
	"sync"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// compiled is a module whose entries are compiled at their first use.
type compiled struct {
	*module
	mu    sync.Mutex
	codes map[string]*code
}

// code is an entry ready to run.
type code struct {
	e          *entry
	prog       []inst
	nr, nd, np int
	consts     []constant
	special    map[string]int
	sharedSize int
	localSize  int
}

// constant is a number in a register of its own.
type constant struct {
	wide bool
	slot int
	bits uint64
}

// modules are the files that were parsed, by stem.
var modules = struct {
	sync.Mutex
	byName map[string]*compiled
}{byName: map[string]*compiled{}}

func loadModule(name string) (*compiled, error) {
	modules.Lock()
	defer modules.Unlock()
	if m := modules.byName[name]; m != nil {
		return m, nil
	}
	src, err := cuda.PTX(name)
	if err != nil {
		return nil, err
	}
	m, err := compile(src)
	if err != nil {
		return nil, err
	}
	modules.byName[name] = m
	return m, nil
}

func compile(src []byte) (*compiled, error) {
	m, err := parse(src)
	if err != nil {
		return nil, err
	}
	return &compiled{module: m, codes: map[string]*code{}}, nil
}

func (m *compiled) entry(name string) (c *code, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.codes[name]; c != nil {
		return c, nil
	}
	e := m.entries[name]
	if e == nil {
		return nil, fmt.Errorf("no such entry")
	}
	if e, err = m.expand(e); err != nil {
		return nil, err
	}
	k := &compiler{c: &code{e: e, special: map[string]int{}}, m: m.module, slots: map[string]int{},
		known: map[[2]uint64]int{}, shared: map[string]int{}, local: map[string]int{}, params: map[string]int{}}
	defer func() {
		if r := recover(); r != nil {
			f, ok := r.(fault)
			if !ok {
				panic(r)
			}
			c, err = nil, fmt.Errorf("line %d: %v: %s", k.s.line, k.s, f.msg)
		}
	}()
	k.entry()
	m.codes[name] = k.c
	return k.c, nil
}

type compiler struct {
	c                     *code
	m                     *module
	s                     *stmt
	at                    int
	slots                 map[string]int // of a register
	known                 map[[2]uint64]int
	shared, local, params map[string]int
}

func (k *compiler) entry() {
	e := k.c.e
	for _, v := range e.shared {
		k.shared[v.name] = v.offset
		k.c.sharedSize = v.offset + v.size
	}
	k.c.sharedSize = (k.c.sharedSize + 15) &^ 15
	for name := range k.m.dynamic {
		k.shared[name] = k.c.sharedSize
	}
	for _, v := range e.local {
		k.local[v.name] = v.offset
		k.c.localSize = v.offset + v.size
	}
	for _, v := range e.params {
		k.params[v.name] = v.offset
	}
	for name, typ := range e.regs {
		n := &k.c.nr
		switch {
		case typ == "pred":
			n = &k.c.np
		case sizes[typ] == 8:
			n = &k.c.nd
		}
		k.slots[name] = *n
		*n++
	}
	for i := range e.stmts {
		k.s, k.at = &e.stmts[i], i
		in := inst{guard: -1, line: k.s.line, stmt: k.s, not: k.s.not}
		if k.s.guard != "" {
			in.guard = k.pred(operand{name: k.s.guard})
		}
		switch k.s.op[0] {
		case "bra":
			in.kind = branch
			target, ok := e.labels[k.arg(0).name]
			if !ok {
				failf("no label %s", k.arg(0).name)
			}
			in.target = target
		case "ret", "exit":
			in.kind = leave
		case "bar", "barrier":
			if k.s.op[1] == "warp" {
				in.run = k.warpBarrier()
				break
			}
			in.bar = &barrierWait{id: int(k.arg(0).n)}
			if len(k.s.args) > 1 {
				in.bar.threads = int(k.arg(1).n)
			}
			for _, a := range k.s.args {
				if a.kind != opInt {
					failf("is not interpreted with registers")
				}
			}
			in.kind = barrier
		default:
			in.run = k.instruction()
			if k.s.op[0] == "mbarrier" && k.s.op[1] == "try_wait" {
				in.kind = poll
			}
		}
		k.c.prog = append(k.c.prog, in)
	}
	k.c.prog = append(k.c.prog, inst{kind: leave, guard: -1, stmt: &stmt{op: []string{"end"}}})
}

func (k *compiler) arg(i int) operand {
	if i >= len(k.s.args) {
		failf("too few operands")
	}
	return k.s.args[i]
}

func (k *compiler) pred(o operand) int {
	if k.c.e.regs[o.name] != "pred" {
		failf("%s is no predicate", o.name)
	}
	return k.slots[o.name]
}

// size returns the bytes of a type.
func (k *compiler) size(typ string) int {
	n := sizes[typ]
	if n == 0 {
		failf("type %q", typ)
	}
	return n
}

// reg returns the slot of an operand of up to 32 bits, or of 64 if wide; of a
// number, that of a register that holds it.
func (k *compiler) reg(o operand, wide bool) int {
	switch o.kind {
	case opInt, opFloat:
		if wide {
			return k.constant(true, uint64(o.n))
		}
		return k.constant(false, uint64(uint32(o.n)))
	case opName:
		if typ, ok := k.c.e.regs[o.name]; ok {
			if typ == "pred" || (sizes[typ] == 8) != wide {
				failf("%s is of type %s", o.name, typ)
			}
			return k.slots[o.name]
		}
		if strings.HasPrefix(o.name, "%") && !wide {
			return k.specialReg(o.name)
		}
		if at, ok := k.shared[o.name]; ok {
			return k.constant(wide, uint64(at))
		}
		if at, ok := k.local[o.name]; ok {
			return k.constant(wide, uint64(at))
		}
		if at, ok := k.params[o.name]; ok && wide {
			return k.constant(true, paramAddress+uint64(at))
		}
		failf("%s is not declared", o.name)
	}
	failf("an operand of the wrong kind")
	return 0
}

func (k *compiler) specialReg(name string) int {
	switch name {
	case "%tid.x", "%tid.y", "%tid.z", "%ntid.x", "%ntid.y", "%ntid.z", "%ctaid.x", "%ctaid.y", "%ctaid.z",
		"%nctaid.x", "%nctaid.y", "%nctaid.z", "%laneid", "%warpid":
	default:
		failf("%s is not declared", name)
	}
	slot, ok := k.c.special[name]
	if !ok {
		slot = k.c.nr
		k.c.nr++
		k.c.special[name] = slot
	}
	return slot
}

func (k *compiler) constant(wide bool, n uint64) int {
	key := [2]uint64{n, 0}
	count := &k.c.nr
	if wide {
		key[1] = 1
		count = &k.c.nd
	}
	slot, ok := k.known[key]
	if !ok {
		slot = *count
		*count++
		k.known[key] = slot
		k.c.consts = append(k.c.consts, constant{wide, slot, n})
	}
	return slot
}

// needR and needD check that registers were written in all lanes of m.
func (w *warp) needR(slot int, m uint32) *[warpSize]uint32 {
	if w.defR[slot]&m != m {
		failf("an operand was not set (lanes %08x)", m&^w.defR[slot])
	}
	return &w.r[slot]
}

func (w *warp) needD(slot int, m uint32) *[warpSize]uint64 {
	if w.defD[slot]&m != m {
		failf("an operand was not set (lanes %08x)", m&^w.defD[slot])
	}
	return &w.d[slot]
}

func (w *warp) needP(slot int, m uint32) uint32 {
	if w.defP[slot]&m != m {
		failf("a predicate was not set (lanes %08x)", m&^w.defP[slot])
	}
	return w.p[slot]
}

func (w *warp) setR(slot int, m uint32) *[warpSize]uint32 {
	w.defR[slot] |= m
	return &w.r[slot]
}

func (w *warp) setD(slot int, m uint32) *[warpSize]uint64 {
	w.defD[slot] |= m
	return &w.d[slot]
}

func (w *warp) setP(slot int, m, v uint32) {
	w.defP[slot] |= m
	w.p[slot] = w.p[slot]&^m | v&m
}

// warpBarrier compiles bar.warp.sync.
func (k *compiler) warpBarrier() func(w *warp, m uint32) {
	members := k.reg(k.arg(0), false)
	return func(w *warp, m uint32) {
		w.converged(members, m)
		w.sync++
	}
}

// converged checks that exactly the threads that take part are here.
func (w *warp) converged(members int, m uint32) {
	want := w.needR(members, m)
	for l := range warpSize {
		if m>>l&1 != 0 && want[l]&w.live != m {
			failf("threads %08x are here, %08x of %08x take part", m, want[l]&w.live, w.live)
		}
	}
}
