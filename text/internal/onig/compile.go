package onig

import "unicode/utf8"

type opcode uint8

const (
	opMatch      opcode = iota // the end of the program or of a sub-program
	opFail                     // no way on
	opLiteral                  // lit
	opClass                    // one character of cls
	opSplit                    // x, or else y
	opAlt                      // the alternatives of table alt, in order
	opLoop                     // lo to hi characters of cls, as many as possible first
	opLoopLazy                 // … as few as possible first
	opLoopAtomic               // … as many as possible and no other number
	opLook                     // sub-program y must match here (or must not)
	opBehind                   // sub-program y must match up to here (or must not)
	opAtomic                   // sub-program y, first way only
	opAssert                   // an anchor
	opEmptyStart               // note the position in register reg
	opEmptyEnd                 // to y if nothing was matched since, else to x
)

// inst is one instruction; x is the next one where there is but one.
type inst struct {
	op       opcode
	neg      bool
	assert   assertion
	guarded  bool // opSplit: x needs a first byte of first
	x, y     int32
	lo, hi   int32 // hi < 0: no limit
	reg      int32
	alt      int32
	slot     int32   // of the memo; -1 for none
	nullable []int32 // registers of the loops round this, whose bodies may match nothing
	lit      string
	cls      *class
	first    *byteSet
}

// altTable lists up to 64 alternatives and, for each next byte (256: none),
// which of them can match there.
type altTable struct {
	targets []int32
	mask    [257]uint64
}

type program struct {
	insts    []inst
	alts     []altTable
	start    int32
	regs     int
	slots    int
	first    *byteSet // what a match begins with; nil if it may be empty
	hasG     bool     // \G: a state's outcome depends on where the search began
	lookBack int      // the most characters a look-behind goes back
	word     *class
	wordASC  *class
}

// Limits on a compiled pattern.
const (
	maxInsts   = 1 << 16
	maxBehind  = 255 // characters
	maxEmpties = 4   // loops of possibly empty bodies within one another
	maxPaged   = 256 // classes that get bit tables
)

type compiler struct {
	prog    *program
	pattern string
	classes map[string]*class
	empties []int32 // registers of the enclosing loops of this sub-program
	depth   int
}

func compile(pattern string, root *node) (prog *program, err error) {
	c := &compiler{prog: &program{}, pattern: pattern, classes: map[string]*class{}}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			prog, err = nil, e
		}
	}()
	root = c.prepare(root, false)
	p := c.prog
	p.word = c.class(mustProperty("word"))
	p.wordASC = c.class(intersect(mustProperty("word"), runeSet{{0, 127}}))
	p.start = c.emit(root, c.add(inst{op: opMatch}))
	if first, empty := c.first(root); !empty {
		p.first = &first
	}
	return p, nil
}

func (c *compiler) unsupported(n *node, what string) {
	panic(&Error{Pattern: c.pattern, Pos: n.pos, Msg: what, Err: ErrUnsupported})
}

// prepare replaces case-insensitive literals by what they match.
func (c *compiler) prepare(n *node, behind bool) *node {
	if n.kind == nodeLiteral && n.icase {
		e := expandFold(n.lit, behind)
		e.pos = n.pos
		return e
	}
	if len(n.subs) == 0 {
		return n
	}
	m := *n
	m.subs = make([]*node, len(n.subs))
	for i, s := range n.subs {
		m.subs[i] = c.prepare(s, behind || n.kind == nodeBehind)
	}
	return &m
}

func (c *compiler) add(i inst) int32 {
	p := c.prog
	if len(p.insts) >= maxInsts {
		panic(&Error{Pattern: c.pattern, Msg: "pattern too large when its repeats are written out", Err: ErrUnsupported})
	}
	i.slot = -1
	switch i.op {
	case opSplit, opAlt, opLoop, opLoopLazy:
		// One slot for each way the enclosing loops may stand: each has or has
		// not yet matched a character in this round.
		i.nullable = append([]int32(nil), c.empties...)
		i.slot = int32(p.slots)
		p.slots += 1 << len(i.nullable)
	}
	p.insts = append(p.insts, i)
	return int32(len(p.insts) - 1)
}

func (c *compiler) class(s runeSet) *class {
	key := make([]byte, 0, 8*len(s))
	for _, r := range s {
		key = utf8.AppendRune(key, r.lo)
		key = append(key, byte(r.hi), byte(r.hi>>8), byte(r.hi>>16))
		key = append(key, byte(r.lo), byte(r.lo>>8), byte(r.lo>>16))
	}
	cl := c.classes[string(key)]
	if cl == nil {
		cl = newClass(s, len(c.classes) < maxPaged)
		c.classes[string(key)] = cl
	}
	return cl
}

// oneClass returns the set if n matches exactly one character of a set.
func oneClass(n *node) (runeSet, bool) {
	switch n.kind {
	case nodeClass:
		return n.set, true
	case nodeLiteral:
		if len(n.lit) == 1 {
			return runeSet{{n.lit[0], n.lit[0]}}, true
		}
	case nodeGroup:
		return oneClass(n.subs[0])
	case nodeAlt:
		var all runeSet
		for _, s := range n.subs {
			set, ok := oneClass(s)
			if !ok {
				return nil, false
			}
			all = append(all, set...)
		}
		return normalize(all), true
	}
	return nil, false
}

// emit writes the code of n before that at next, and returns where it starts.
func (c *compiler) emit(n *node, next int32) int32 {
	if set, ok := oneClass(n); ok && n.kind != nodeLiteral {
		if len(set) == 0 {
			return c.add(inst{op: opFail})
		}
		return c.add(inst{op: opClass, cls: c.class(set), x: next})
	}
	switch n.kind {
	case nodeLiteral:
		return c.add(inst{op: opLiteral, lit: string(n.lit), x: next})
	case nodeConcat:
		for i := len(n.subs) - 1; i >= 0; i-- {
			next = c.emit(n.subs[i], next)
		}
	case nodeAlt:
		return c.emitAlt(n.subs, next)
	case nodeRepeat:
		return c.emitRepeat(n, next)
	case nodeGroup:
		return c.emit(n.subs[0], next)
	case nodeAtomic:
		return c.emitAtomic(n, next)
	case nodeLook:
		return c.add(inst{op: opLook, neg: n.neg, y: c.sub(n.subs[0]), x: next})
	case nodeBehind:
		return c.emitBehind(n, next)
	case nodeAssert:
		c.prog.hasG = c.prog.hasG || n.assert == assertSearchStart
		return c.add(inst{op: opAssert, assert: n.assert, x: next})
	}
	return next
}

// sub writes a sub-program of its own.
func (c *compiler) sub(n *node) int32 {
	outer := c.empties
	c.empties = nil
	start := c.emit(n, c.add(inst{op: opMatch}))
	c.empties = outer
	return start
}

func (c *compiler) emitAlt(subs []*node, next int32) int32 {
	if len(subs) > 64 {
		rest := &node{kind: nodeAlt, subs: subs[63:]}
		subs = append(append([]*node(nil), subs[:63]...), rest)
	}
	var t altTable
	for i, s := range subs {
		t.targets = append(t.targets, c.emit(s, next))
		first, empty := c.first(s)
		for b := range t.mask {
			if empty || b < 256 && first.has(byte(b)) {
				t.mask[b] |= 1 << i
			}
		}
	}
	c.prog.alts = append(c.prog.alts, t)
	return c.add(inst{op: opAlt, alt: int32(len(c.prog.alts) - 1)})
}

func (c *compiler) emitAtomic(n *node, next int32) int32 {
	if r := n.subs[0]; r.kind == nodeRepeat && !r.lazy {
		if set, ok := oneClass(r.subs[0]); ok && len(set) > 0 {
			return c.add(inst{op: opLoopAtomic, cls: c.class(set), lo: int32(r.lo), hi: int32(r.hi), x: next})
		}
	}
	return c.add(inst{op: opAtomic, y: c.sub(n.subs[0]), x: next})
}

func (c *compiler) emitBehind(n *node, next int32) int32 {
	lo, hi := n.subs[0].length()
	if hi > maxBehind {
		c.unsupported(n, "look-behind over more than 255 characters")
	}
	c.prog.lookBack = max(c.prog.lookBack, hi)
	return c.add(inst{op: opBehind, neg: n.neg, lo: int32(lo), hi: int32(hi), y: c.sub(n.subs[0]), x: next})
}

func (c *compiler) emitRepeat(n *node, next int32) int32 {
	body := n.subs[0]
	if n.hi == 0 {
		return next
	}
	if set, ok := oneClass(body); ok && len(set) > 0 {
		op := opLoop
		if n.lazy {
			op = opLoopLazy
		}
		return c.add(inst{op: op, cls: c.class(set), lo: int32(n.lo), hi: int32(n.hi), x: next})
	}
	if c.depth++; c.depth > maxDepth {
		c.unsupported(n, "repeats nested too deep")
	}
	defer func() { c.depth-- }()
	first, empty := c.first(body)
	split := func(x, y int32) inst {
		i := inst{op: opSplit, x: x, y: y}
		if !empty && !n.lazy {
			i.guarded, i.first = true, &first
		}
		return i
	}
	// choose writes a split between the body at b and the way out.
	choose := func(b int32) int32 {
		if n.lazy {
			return c.add(split(next, b))
		}
		return c.add(split(b, next))
	}
	copies := n.lo
	start := next
	if n.hi < 0 {
		loop := c.add(split(0, 0))
		var b int32
		if empty {
			if len(c.empties) == maxEmpties {
				c.unsupported(n, "repeats of possibly empty bodies nested deeper than 4")
			}
			reg := int32(c.prog.regs)
			c.prog.regs++
			end := c.add(inst{op: opEmptyEnd, reg: reg, x: loop, y: next})
			c.empties = append(c.empties, reg)
			b = c.emit(body, end)
			c.empties = c.empties[:len(c.empties)-1]
			b = c.add(inst{op: opEmptyStart, reg: reg, x: b})
		} else {
			b = c.emit(body, loop)
		}
		li := &c.prog.insts[loop]
		li.x, li.y = b, next
		if n.lazy {
			li.x, li.y = next, b
		}
		start = loop
		if copies > 0 && !empty {
			start = b // the first round, without a choice
			copies--
		}
	} else {
		for range n.hi - n.lo {
			start = choose(c.emit(body, start))
		}
	}
	for range copies {
		s := c.emit(body, start)
		if s == start {
			break // the body is no code at all
		}
		start = s
	}
	return start
}

// first returns the bytes that a match of n can begin with; empty tells that n
// may match nothing, so that what follows n counts as well.
func (c *compiler) first(n *node) (b byteSet, empty bool) {
	if set, ok := oneClass(n); ok {
		return set.leads(), false
	}
	switch n.kind {
	case nodeLiteral:
		b.add(string(n.lit[:1])[0])
		return b, false
	case nodeConcat:
		for _, s := range n.subs {
			f, e := c.first(s)
			b.or(f)
			if !e {
				return b, false
			}
		}
		return b, true
	case nodeAlt:
		for _, s := range n.subs {
			f, e := c.first(s)
			b.or(f)
			empty = empty || e
		}
		return b, empty
	case nodeRepeat:
		if n.hi == 0 {
			return b, true
		}
		b, empty = c.first(n.subs[0])
		return b, empty || n.lo == 0
	case nodeGroup, nodeAtomic:
		return c.first(n.subs[0])
	}
	return b, true
}
