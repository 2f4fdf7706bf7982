package onig

import (
	"strings"
	"unicode/utf8"
)

// frame is a choice to come back to: what kind follows from the instruction at pc.
type frame struct {
	pc    int32 // instruction; ^register for a register to restore
	trail int32 // length of the memo's trail when the choice was made
	pos   int   // where to go on
	aux   uint64
}

// For opLoop aux is the least position that the loop may end at and pos the
// present one; for opLoopLazy aux counts the characters; for opAlt it is the
// set of alternatives left; for a register it is unused and pos its value.

// machine is the state of one FindAll.
type machine struct {
	prog   *program
	text   string
	from   int // where the present search began, for \G
	stack  []frame
	regs   []int
	target int // where a look-behind must end; -1 outside
	memo   *memo
	steps  int // instructions and characters so far
	far    int // the furthest position reached
	depth  int
}

func newMachine(p *program) *machine {
	return &machine{prog: p, regs: make([]int, p.regs), target: -1}
}

func (m *machine) reset(text string) {
	m.text = text
	m.steps, m.far = 0, 0
	m.memo = nil
	m.stack = m.stack[:0]
}

// release drops what should not outlive the call.
func (m *machine) release() {
	m.text = ""
	m.memo = nil
	if cap(m.stack) > 1<<12 {
		m.stack = nil
	}
}

// A search may take stepsFree steps and stepsPerByte for each byte reached;
// beyond that the memo is turned on.
const (
	stepsFree    = 1 << 15
	stepsPerByte = 16
)

// search finds the leftmost match that starts at or after at.
func (m *machine) search(at int) (start, end int, ok bool) {
	m.from = at
	if m.memo != nil {
		if m.prog.hasG {
			m.memo = newMemo(m.prog)
		}
		m.memo.forget(at, m.prog.lookBack)
	}
	first := m.prog.first
	for ; at <= len(m.text); at++ {
		if first != nil {
			for at < len(m.text) && !first.has(m.text[at]) {
				at++
			}
			if at == len(m.text) {
				return 0, 0, false
			}
		}
		if at < len(m.text) && at > 0 && !utf8.RuneStart(m.text[at]) && !m.boundary(at) {
			continue
		}
		end, ok = m.attempt(at)
		if ok {
			return at, end, true
		}
	}
	return 0, 0, false
}

// boundary tells whether a continuation byte stands alone, not within a character.
func (m *machine) boundary(at int) bool {
	for i := at - 1; i >= 0 && i > at-utf8.UTFMax; i-- {
		if utf8.RuneStart(m.text[i]) {
			_, n := utf8.DecodeRuneInString(m.text[i:])
			return i+n <= at
		}
	}
	return true
}

// attempt matches at one position, turning the memo on where that is due.
func (m *machine) attempt(at int) (end int, ok bool) {
	end, ok, over := m.run(m.prog.start, at, -1)
	if !over {
		return end, ok
	}
	m.memo = newMemo(m.prog)
	m.stack = m.stack[:0]
	m.depth, m.target = 0, -1
	end, ok, _ = m.run(m.prog.start, at, -1)
	return end, ok
}

// over tells whether the search has become so slow that it should begin to
// remember.
func (m *machine) over() bool {
	return m.memo == nil && m.steps > stepsFree+stepsPerByte*m.far
}

// run executes a program or sub-program at pos. It returns the end of its first
// match in order of preference. If target is not negative, the match must end
// there. over tells that the search is to start again with a memo.
func (m *machine) run(pc int32, pos, target int) (end int, ok, over bool) {
	base := len(m.stack)
	text := m.text
	insts := m.prog.insts
	memo := m.memo
	if target >= 0 || m.target >= 0 {
		memo = nil // a state's outcome depends on the target: look-behind is short
	}
	outer := m.target
	m.target = target
	trailBase := 0
	if memo != nil {
		trailBase = len(memo.trail)
	}
	defer func() { m.target = outer }()
	for {
		if m.steps++; m.steps&255 == 0 && m.over() {
			m.stack = m.stack[:base]
			return 0, false, true
		}
		i := &insts[pc]
		fail := false
		switch i.op {
		case opMatch:
			if target >= 0 && pos != target {
				fail = true
				break
			}
			m.far = max(m.far, pos)
			if memo != nil {
				memo.succeed(trailBase, pos)
			}
			m.stack = m.stack[:base]
			return pos, true, false
		case opFail:
			fail = true
		case opLiteral:
			if strings.HasPrefix(text[pos:], i.lit) {
				pos += len(i.lit)
				pc = i.x
			} else {
				fail = true
			}
		case opClass:
			if pos >= len(text) {
				fail = true
			} else if c := text[pos]; c < utf8.RuneSelf {
				if i.cls.ascii[c] {
					pos++
					pc = i.x
				} else {
					fail = true
				}
			} else if r, n := utf8.DecodeRuneInString(text[pos:]); i.cls.has(r) {
				pos += n
				pc = i.x
			} else {
				fail = true
			}
		case opSplit:
			if memo != nil {
				if done, to := memo.visit(m, i, pos); done {
					if to >= 0 {
						memo.succeed(trailBase, to)
						m.stack = m.stack[:base]
						return to, true, false
					}
					fail = true
					break
				}
			}
			if i.guarded && (pos >= len(text) || !i.first.has(text[pos])) {
				pc = i.y
				break
			}
			m.push(memo, frame{pc: pc, pos: pos})
			pc = i.x
		case opAlt:
			if memo != nil {
				if done, to := memo.visit(m, i, pos); done {
					if to >= 0 {
						memo.succeed(trailBase, to)
						m.stack = m.stack[:base]
						return to, true, false
					}
					fail = true
					break
				}
			}
			t := &m.prog.alts[i.alt]
			b := 256
			if pos < len(text) {
				b = int(text[pos])
			}
			left := t.mask[b]
			if left == 0 {
				fail = true
				break
			}
			k := trailingZeros(left)
			if left &= left - 1; left != 0 {
				m.push(memo, frame{pc: pc, pos: pos, aux: left})
			}
			pc = t.targets[k]
		case opLoop:
			var n int
			least := pos
			if i.lo > 0 {
				least, n = m.scan(i.cls, pos, int(i.lo))
				if n < int(i.lo) {
					fail = true
					break
				}
			}
			if memo != nil && i.hi < 0 {
				done, to := memo.visit(m, i, least)
				if done {
					if to >= 0 {
						memo.succeed(trailBase, to)
						m.stack = m.stack[:base]
						return to, true, false
					}
					fail = true
					break
				}
				most := memo.scanLoop(m, i, least)
				if most > least {
					m.stack = append(m.stack, frame{pc: pc, trail: int32(len(memo.trail)), pos: most, aux: uint64(least)})
				}
				pos, pc = most, i.x
				break
			}
			most := least
			if limit := int(i.hi) - int(i.lo); i.hi < 0 {
				most, _ = m.scan(i.cls, least, -1)
			} else if limit > 0 {
				most, _ = m.scan(i.cls, least, limit)
			}
			if most > least {
				m.push(memo, frame{pc: pc, pos: most, aux: uint64(least)})
			}
			pos, pc = most, i.x
		case opLoopLazy:
			least, n := pos, 0
			if i.lo > 0 {
				least, n = m.scan(i.cls, pos, int(i.lo))
				if n < int(i.lo) {
					fail = true
					break
				}
			}
			if memo != nil && i.hi < 0 {
				if done, to := memo.visit(m, i, least); done {
					if to >= 0 {
						memo.succeed(trailBase, to)
						m.stack = m.stack[:base]
						return to, true, false
					}
					fail = true
					break
				}
			}
			if i.hi < 0 || n < int(i.hi) {
				m.push(memo, frame{pc: pc, pos: least, aux: uint64(n)})
			}
			pos, pc = least, i.x
		case opLoopAtomic:
			most, n := m.scanAtomic(memo, pc, i, pos)
			if n < int(i.lo) {
				fail = true
				break
			}
			pos, pc = most, i.x
		case opLook:
			if m.depth++; m.depth > 2*maxDepth {
				fail = true
				break
			}
			_, ok, over := m.run(i.y, pos, -1)
			m.depth--
			if over {
				m.stack = m.stack[:base]
				return 0, false, true
			}
			if ok != i.neg {
				pc = i.x
			} else {
				fail = true
			}
		case opBehind:
			ok, over := m.behind(i, pos)
			if over {
				m.stack = m.stack[:base]
				return 0, false, true
			}
			if ok != i.neg {
				pc = i.x
			} else {
				fail = true
			}
		case opAtomic:
			if m.depth++; m.depth > 2*maxDepth {
				fail = true
				break
			}
			to, ok, over := m.run(i.y, pos, -1)
			m.depth--
			if over {
				m.stack = m.stack[:base]
				return 0, false, true
			}
			if ok {
				pos, pc = to, i.x
			} else {
				fail = true
			}
		case opAssert:
			if m.holds(i.assert, pos) {
				pc = i.x
			} else {
				fail = true
			}
		case opEmptyStart:
			m.push(memo, frame{pc: ^i.reg, pos: m.regs[i.reg]})
			m.regs[i.reg] = pos
			pc = i.x
		case opEmptyEnd:
			if m.regs[i.reg] == pos {
				pc = i.y
			} else {
				pc = i.x
			}
		}
		if !fail {
			continue
		}
		// Go back to the last choice.
		for {
			n := len(m.stack) - 1
			if n < base {
				return 0, false, false
			}
			f := &m.stack[n]
			if f.pc < 0 {
				m.regs[^f.pc] = f.pos
				m.stack = m.stack[:n]
				continue
			}
			if m.steps++; m.steps&255 == 0 && m.over() {
				m.stack = m.stack[:base]
				return 0, false, true
			}
			if memo != nil {
				memo.trail = memo.trail[:f.trail]
			}
			i := &insts[f.pc]
			switch i.op {
			case opSplit:
				pos, pc = f.pos, i.y
				m.stack = m.stack[:n]
			case opAlt:
				left := f.aux
				pos, pc = f.pos, m.prog.alts[i.alt].targets[trailingZeros(left)]
				if f.aux = left & (left - 1); f.aux == 0 {
					m.stack = m.stack[:n]
				}
			case opLoop:
				p := f.pos - 1
				if text[p] >= utf8.RuneSelf {
					_, size := utf8.DecodeLastRuneInString(text[:f.pos])
					p = f.pos - size
				}
				if memo != nil && i.hi < 0 {
					memo.shorten(p)
				}
				f.pos = p
				if uint64(p) == f.aux {
					m.stack = m.stack[:n]
				}
				pos, pc = p, i.x
			case opLoopLazy:
				p, got := m.scan(i.cls, f.pos, 1)
				if got == 0 {
					m.stack = m.stack[:n]
					continue
				}
				if memo != nil && i.hi < 0 {
					if done, to := memo.visit(m, i, p); done {
						m.stack = m.stack[:n]
						if to >= 0 {
							memo.succeed(trailBase, to)
							m.stack = m.stack[:base]
							return to, true, false
						}
						continue
					}
					f.trail = int32(len(memo.trail))
				}
				f.pos = p
				if f.aux++; i.hi >= 0 && int(f.aux) >= int(i.hi) {
					m.stack = m.stack[:n]
				}
				pos, pc = p, i.x
			}
			break
		}
	}
}

func (m *machine) push(memo *memo, f frame) {
	if memo != nil {
		f.trail = int32(len(memo.trail))
	}
	m.stack = append(m.stack, f)
}

// scan skips up to limit characters of c from pos on (limit < 0: all), and
// returns the position and their number.
func (m *machine) scan(c *class, pos, limit int) (end, n int) {
	text := m.text
	for n != limit && pos < len(text) {
		if b := text[pos]; b < utf8.RuneSelf {
			if !c.ascii[b] {
				break
			}
			pos++
			n++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[pos:])
		if !c.has(r) {
			break
		}
		pos += size
		n++
	}
	m.steps += n
	m.far = max(m.far, pos)
	return pos, n
}

// scanAtomic runs a loop that is never shortened. With a memo it remembers the
// last run of characters, so that starting within it costs nothing.
func (m *machine) scanAtomic(memo *memo, pc int32, i *inst, pos int) (end, n int) {
	if memo == nil || i.hi >= 0 {
		return m.scan(i.cls, pos, int(i.hi))
	}
	run := memo.atomic[pc]
	if pos < run.from || pos >= run.to {
		to, _ := m.scan(i.cls, pos, -1)
		run = extent{pos, to}
		memo.atomic[pc] = run
	}
	if i.lo == 0 {
		return run.to, 0
	}
	p, n := m.scan(i.cls, pos, int(i.lo))
	return max(p, run.to), n
}

// behind tells whether a look-behind's body matches some text that ends at pos.
func (m *machine) behind(i *inst, pos int) (ok, over bool) {
	if m.depth++; m.depth > 2*maxDepth {
		return false, false
	}
	defer func() { m.depth-- }()
	start := pos
	for k := 0; k <= int(i.hi); k++ {
		if k >= int(i.lo) {
			if _, ok, over := m.run(i.y, start, pos); ok || over {
				return ok, over
			}
		}
		if start == 0 {
			break
		}
		_, n := utf8.DecodeLastRuneInString(m.text[:start])
		start -= n
	}
	return false, false
}

// holds tells whether an anchor matches at pos.
func (m *machine) holds(a assertion, pos int) bool {
	text := m.text
	switch a {
	case assertLineStart:
		return pos == 0 || text[pos-1] == '\n' && pos < len(text)
	case assertLineEnd:
		return pos == len(text) || text[pos] == '\n'
	case assertTextStart:
		return pos == 0
	case assertTextEnd:
		return pos == len(text)
	case assertTextEndLine:
		return pos == len(text) || pos == len(text)-1 && text[pos] == '\n'
	case assertSearchStart:
		return pos == m.from
	}
	word := m.prog.word
	if a == assertWordASCII || a == assertNotWordASCII {
		word = m.prog.wordASC
	}
	before, after := false, false
	if pos > 0 {
		r, _ := utf8.DecodeLastRuneInString(text[:pos])
		before = word.has(r)
	}
	if pos < len(text) {
		r, _ := utf8.DecodeRuneInString(text[pos:])
		after = word.has(r)
	}
	return (before != after) == (a == assertWord || a == assertWordASCII)
}
