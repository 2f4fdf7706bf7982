package onig

import (
	"math/bits"
	"unicode/utf8"
)

func trailingZeros(x uint64) int { return bits.TrailingZeros64(x) }

// memo remembers the states (an instruction at a position) that were entered.
// Backtracking enters a state a second time only after its first entry failed,
// so an entered state is one that fails; thus every state is worked through once and
// the time is linear in the text.
//
// The states on the way to a match are the exception. The trail lists those
// entered since the choices still open were made; what remains of it when a
// program or sub-program matches is taken back, and for a sub-program kept as
// the way to its end.
type memo struct {
	prog   *program
	pages  [][]uint64 // [pos>>6][slot], bit pos&63; nil until used
	sparse map[sparseKey]uint64
	freed  int // pages below are dropped
	trail  []mark
	atomic map[int32]extent // by instruction: the last run of an opLoopAtomic
	won    map[int32]win    // by slot: states of a sub-program that led to its end
}

type sparseKey struct {
	slot int32
	page int
}

// mark is the entry of one state at all positions from … to; only character
// boundaries count.
type mark struct {
	slot     int32
	from, to int
}

type extent struct{ from, to int }

type win struct{ from, to, end int }

// denseSlots is the number of slots up to which pages are plain arrays.
const denseSlots = 256

func newMemo(p *program) *memo {
	m := &memo{prog: p, atomic: map[int32]extent{}, won: map[int32]win{}}
	if p.slots > denseSlots {
		m.sparse = map[sparseKey]uint64{}
	}
	return m
}

// page returns the word that holds slot's bits for pos.
func (m *memo) page(pos, slot int) *uint64 {
	k := pos >> 6
	for len(m.pages) <= k {
		m.pages = append(m.pages, nil)
	}
	if m.pages[k] == nil {
		m.pages[k] = make([]uint64, m.prog.slots)
	}
	return &m.pages[k][slot]
}

func (m *memo) marked(slot int32, pos int) bool {
	if m.sparse != nil {
		return m.sparse[sparseKey{slot, pos >> 6}]&(1<<(pos&63)) != 0
	}
	return *m.page(pos, int(slot))&(1<<(pos&63)) != 0
}

func (m *memo) mark(slot int32, pos int) {
	if m.sparse != nil {
		m.sparse[sparseKey{slot, pos >> 6}] |= 1 << (pos & 63)
		return
	}
	*m.page(pos, int(slot)) |= 1 << (pos & 63)
}

// unmark takes a range of positions back.
func (m *memo) unmark(k mark) {
	for page := k.from >> 6; page <= k.to>>6; page++ {
		bits := ^uint64(0)
		if lo := k.from - page<<6; lo > 0 {
			bits <<= lo
		}
		if hi := k.to - page<<6; hi < 63 {
			bits &= 1<<(hi+1) - 1
		}
		if m.sparse != nil {
			m.sparse[sparseKey{k.slot, page}] &^= bits
		} else {
			*m.page(page<<6, int(k.slot)) &^= bits
		}
	}
}

// slot returns the slot of i as the loops round it stand at pos.
func (m *memo) slot(mc *machine, i *inst, pos int) int32 {
	s := i.slot
	for k, reg := range i.nullable {
		if mc.regs[reg] == pos {
			s += 1 << k
		}
	}
	return s
}

// visit enters a state. done tells that its outcome is known: to is the end
// that it leads to, or -1 if it fails.
func (m *memo) visit(mc *machine, i *inst, pos int) (done bool, to int) {
	s := m.slot(mc, i, pos)
	if m.marked(s, pos) {
		return true, -1
	}
	if w, ok := m.won[s]; ok && w.from <= pos && pos <= w.to {
		return true, w.end
	}
	m.mark(s, pos)
	m.trail = append(m.trail, mark{s, pos, pos})
	return false, 0
}

// scanLoop enters the states of a greedy loop after the one at least, as far as
// its class matches and no state is known to fail, and returns the last.
func (m *memo) scanLoop(mc *machine, i *inst, least int) int {
	most := least
	first := -1
	s := int32(0)
	for most < len(mc.text) {
		next, n := mc.scan(i.cls, most, 1)
		if n == 0 {
			break
		}
		if s = m.slot(mc, i, next); m.marked(s, next) {
			break
		}
		m.mark(s, next)
		if first < 0 {
			first = next
		}
		most = next
	}
	if first >= 0 {
		m.trail = append(m.trail, mark{m.slot(mc, i, most), first, most})
	}
	return most
}

// shorten notes that the greedy loop whose entry is the trail's last has failed
// at every position after p.
func (m *memo) shorten(p int) {
	n := len(m.trail) - 1
	if m.trail[n].to = p; p < m.trail[n].from {
		m.trail = m.trail[:n]
	}
}

// succeed ends a program or sub-program whose trail began at base: what is left
// of it led to end.
func (m *memo) succeed(base, end int) {
	for _, k := range m.trail[base:] {
		m.unmark(k)
		if w, ok := m.won[k.slot]; ok && w.end == end && k.to+1 >= w.from && k.from <= w.to+1 {
			k.from, k.to = min(k.from, w.from), max(k.to, w.to)
		}
		m.won[k.slot] = win{k.from, k.to, end}
	}
	m.trail = m.trail[:base]
}

// forget drops what no search that begins at pos can ask for again.
func (m *memo) forget(pos, lookBack int) {
	keep := min((pos-utf8.UTFMax*lookBack)>>6, len(m.pages))
	for ; m.freed < keep; m.freed++ {
		m.pages[m.freed] = nil
	}
}
