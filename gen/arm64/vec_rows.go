package main

// operand is a matrix or vector that a kernel walks over.
type operand struct {
	base *reg
	ld   string // the parameter with its row stride, in floats; "" if rows share it
}

func operandArg(name, ld string) operand { return operand{arg(name), ld} }

// wide is the number of registers that hold the 32 lanes of a reduction.
const wide = 8

// span is a run of columns that a kernel works on at once: m registers from
// byte offset off on, the first of them register lo of the run.
type span struct {
	m    simd
	off  *reg
	lo   int
	left *reg // the number of columns of the run at the end of a row, else nil
}

// part is the n registers from the one at on.
func (s span) part(at, n int) span {
	s.m, s.lo = simd(n), s.lo+at
	return s
}

// at is the address of o's columns.
func (s span) at(o operand) *reg {
	r := cur.gp()
	add(r, o.base, s.off)
	return r
}

// load returns the elements of o; lanes beyond the row are 0.
func (s span) load(o operand) vecs { return s.loadOr(o, 0) }

// loadOr is load with c in the lanes beyond the row. NEON has no masks: at the
// end of a row the words are copied to the stack.
func (s span) loadOr(o operand, c float32) vecs {
	from := s.at(o)
	if s.left != nil {
		buf, fill := local(16*wide), floats(c)
		for i := range s.m {
			strQ(fill, buf, 16*int(i))
		}
		to := cur.gp()
		mov(to, buf)
		addI(from, from, 16*s.lo)
		s.words(to, from)
		x := s.m.alloc()
		for i := range x {
			ldrQ(x[i], buf, 16*i)
		}
		return x
	}
	x := s.m.alloc()
	for i := range x {
		ldrQ(x[i], from, 16*(s.lo+i))
	}
	return x
}

func (s span) store(x vecs, o operand) {
	to := s.at(o)
	if s.left != nil {
		buf := local(16 * wide)
		for i := range x {
			strQ(x[i], buf, 16*i)
		}
		addI(to, to, 16*s.lo)
		s.words(to, buf)
		return
	}
	for i := range x {
		strQ(x[i], to, 16*(s.lo+i))
	}
}

// words copies the span's words and moves both addresses on; there may be none.
func (s span) words(to, from *reg) {
	n, most := cur.gp(), cur.gp()
	subI(n, s.left, 4*s.lo)
	movI(most, 4*int(s.m))
	cmp(n, most)
	sel("LT", n, n, most)
	loop, done := newLabel("word"), newLabel("words")
	// The first of a run is there in any case.
	if s.lo > 0 {
		cmpI(n, 0)
		branch("BLE", done)
	}
	ahead := cur.gp() // from may be wanted again
	mov(ahead, from)
	mark(loop)
	copyWord(to, ahead)
	subsI(n, n, 1)
	branch("BNE", loop)
	mark(done)
}

// keep puts 0 in the lanes of x beyond the row.
func (s span) keep(x vecs) vecs {
	if s.left == nil {
		return x
	}
	// 32 words of ones, then 32 of zeros: a window on them is a mask.
	ones := make([]uint32, 64)
	for i := range 32 {
		ones[i] = 1<<32 - 1
	}
	at, d := cur.gp(), s.m.alloc()
	lsl(at, s.left, 2)
	sub(at, cur.table, at)
	addI(at, at, cur.file.constant(ones...)+128+16*s.lo)
	for i := range d {
		mask := cur.v()
		ldrQ(mask, at, 16*i)
		and(d[i], x[i], mask)
	}
	return d
}

// columns calls body for all of a row's columns, u registers (at most 32
// lanes) at a time; the last span may be short. Labels start with at.
func columns(at string, u int, cols *reg, body func(s span)) {
	off, left := cur.gp(), cur.gp()
	movI(off, 0)
	step := 4 * u
	subsI(left, cols, step)
	branch("BLT", at+"Tail")
	mark(at + "Loop")
	body(span{m: simd(u), off: off})
	addI(off, off, 4*step)
	subsI(left, left, step)
	branch("BGE", at+"Loop")
	mark(at + "Tail")
	addI(left, left, step)
	branchZ("CBZ", left, at+"Done")
	body(span{m: simd(u), off: off, left: left})
	mark(at + "Done")
}

// rows calls body for each of the rows, with the operands' bases on them.
func rows(ops []operand, body func()) {
	n := arg("rows")
	cmpI(n, 0)
	branch("BLE", "rowsDone")
	mark("row")
	body()
	for _, o := range ops {
		if o.ld != "" {
			addLSL(o.base, o.base, arg(o.ld), 2)
		}
	}
	subsI(n, n, 1)
	branch("BNE", "row")
	mark("rowsDone")
	ret()
}
