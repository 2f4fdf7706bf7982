package main

import "fmt"

// panel is the width of a packed panel of B, in floats, and per the registers
// that it takes.
const (
	panel  = 16
	per    = panel / 4
	unroll = 4
)

// tall is the number of rows of the tallest tile so many panels wide. 24
// accumulators, the elements of 6 rows for 4 steps and 2 registers of B are
// all there is: more than enough to hide the latency of the fused
// multiply-add, 4 cycles on 2 to 4 units.
var tall = []struct{ panels, rows int }{{4, 1}, {2, 3}, {1, 6}}

// thinnestPacking is the height of the thinnest tile that packs.
const thinnestPacking = 4

// mode is where a tile finds B.
type mode int

const (
	packed  mode = iota // in panels
	direct              // in its own rows
	packing             // in its own rows, and copies it to panels for the tiles that follow
)

func gemmF32() {
	for _, m := range []mode{packed, direct, packing} {
		for _, t := range tall {
			for rows := t.rows; rows >= 1; rows-- {
				if m != packing || t.panels == 1 && rows >= thinnestPacking {
					gemmTile(rows, t.panels, m)
				}
			}
		}
	}
}

// tile is the state of the generator of one micro-kernel.
type tile struct {
	rows, panels int
	mode         mode
	acc          [][]*reg
	a            []*reg // where the rows of A are
	b            []*reg // where the panels of B are, or its row
	ldb          *reg
	next         *reg // what to fetch, and how far apart its lines are
	nextStep     *reg
	pack         *reg

	mac     func(d, n, m *reg, lane int) // d += n·m[lane]; nil: of floats
	loadedA func(a []*reg)               // if not nil, is called for the registers of A of a turn
	loadedB func(x *reg, i int)          // and of B, with its place in the panel
}

// gemmTile writes one micro-kernel. Each accumulator is one chain over k, so
// the tile's shape does not show in the result.
func gemmTile(rows, panels int, m mode) {
	t := &tile{rows: rows, panels: panels, mode: m}
	name := fmt.Sprintf("GemmF32%s%dx%d", [...]string{"Tile", "Direct", "Packing"}[m], rows, panels*panel)
	params, cols, at := "cols int, add bool, next *float32, step int", "cols", "b[(j/16)*ldb+p*16+j%16]"
	also := []string{
		fmt.Sprintf("Strides are in floats. %d < cols <= %d. k may be 0. Meanwhile k/%d lines of memory, from", (panels-1)*panel, panels*panel, t.every()),
		"next on and step floats apart, are brought into L2."}
	if m != packed {
		params, cols, at = "add bool, next *float32", fmt.Sprint(panels*panel), "b[p*ldb+j]"
		also = []string{"Strides are in floats. k may be 0. The rows of B at next are brought into L1."}
	}
	if m == packing {
		params += ", pack *float32, ldp int"
		also = append(also, "B is also copied to a panel: pack[p*16+j] = b[p*ldb+j].")
	}
	text(name, "a *float32, lda int, b *float32, ldb int, c *float32, ldc int, k int, "+params, "", append([]string{
		"sets a tile of C = A·B, or adds to it:",
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %s {", cols),
		"			s := c[i*ldc+j] or 0",
		fmt.Sprintf("			for p := range k { s = fma(a[i*lda+p], %s, s) }", at),
		"			c[i*ldc+j] = s",
		"		}",
		"	}"}, also...)...)
	t.operands()
	t.load()
	t.product(arg("k"), "store")
	mark("store")
	t.eachOfC("Store", func(x, c *reg, disp int) { strQ(x, c, disp) }, true)
	ret()
}

// accumulators are rows by panels registers.
func accumulators(rows, panels int) [][]*reg {
	acc := make([][]*reg, rows)
	for r := range acc {
		for range panels * per {
			acc[r] = append(acc[r], cur.v())
		}
	}
	return acc
}

// rowsFrom returns the addresses of n rows, ld bytes apart.
func rowsFrom(base, ld *reg, n int) []*reg {
	list := []*reg{base}
	for i := 1; i < n; i++ {
		r := cur.gp()
		add(r, list[i-1], ld)
		list = append(list, r)
	}
	return list
}

func (t *tile) operands() {
	t.a = rowsFrom(arg("a"), strideArg("lda"), t.rows)
	t.b = []*reg{arg("b")}
	t.next = arg("next")
	if t.panels > 1 || t.mode != packed {
		t.ldb = strideArg("ldb")
	}
	if t.mode == packed {
		t.b = rowsFrom(t.b[0], t.ldb, t.panels)
		t.nextStep = strideArg("step")
	}
	if t.mode == packing {
		t.pack = arg("pack")
	}
	t.acc = accumulators(t.rows, t.panels)
}

// load sets the accumulators to 0 or C.
func (t *tile) load() {
	branchZ("CBNZ", arg("add"), "load")
	for _, row := range t.acc {
		for _, x := range row {
			zero(x)
		}
	}
	branch("B", "start")
	mark("load")
	t.eachOfC("Load", func(x, c *reg, disp int) { ldrQ(x, c, disp) }, false)
	mark("start")
}

// eachOfC calls f for every register of the tile with its place in C. The last
// panel may have fewer columns: its part of a row then passes through the
// stack, whose words are copied one by one.
func (t *tile) eachOfC(at string, f func(x, c *reg, disp int), out bool) {
	ldc := strideArg("ldc")
	whole := per * t.panels
	last := per * (t.panels - 1)
	walk := func(registers int, rest func(row []*reg, c *reg)) {
		c := arg("c")
		for r, row := range t.acc {
			for i, x := range row[:registers] {
				f(x, c, 16*i)
			}
			if rest != nil {
				rest(row[registers:], c)
			}
			if r < t.rows-1 {
				add(c, c, ldc)
			}
		}
	}
	if t.mode != packed {
		walk(whole, nil)
		return
	}
	cols := arg("cols")
	subI(cols, cols, (t.panels-1)*panel)
	cmpI(cols, panel)
	branch("BNE", "some"+at)
	walk(whole, nil)
	branch("B", "done"+at)
	mark("some" + at)
	walk(last, func(row []*reg, c *reg) {
		buf, to, n := local(4*panel), cur.gp(), cur.gp()
		addI(to, c, 16*last)
		mov(n, cols)
		if out {
			for i, x := range row {
				f(x, buf, 16*i)
			}
		}
		from := cur.gp()
		mov(from, buf)
		loop := newLabel("word")
		mark(loop)
		if out {
			copyWord(to, from)
		} else {
			copyWord(from, to)
		}
		subsI(n, n, 1)
		branch("BNE", loop)
		if !out {
			for i, x := range row {
				f(x, buf, 16*i)
			}
		}
	})
	mark("done" + at)
}

// local returns the address of n bytes of the stack: of all callers the same.
func local(n int) *reg {
	cur.frame = max(cur.frame, n)
	r := cur.gp()
	cur.op(fmt.Sprintf("MOVD\t$buf-%d(SP), %%s", n), one(r), nil, r)
	return r
}

// every is the number of steps in which a line of next is fetched.
func (t *tile) every() int {
	if t.panels == 1 {
		return 2
	}
	return 1
}

// product adds k steps to the accumulators. Four steps take a register of each
// row of A, single ones an element. done is where it may go in the end.
func (t *tile) product(k *reg, done string) {
	tail, loop, single := done+"Tail", done+"Loop", done+"Step"
	subsI(k, k, unroll)
	branch("BLT", tail)
	mark(loop)
	a := make([]*reg, t.rows)
	for r := range a {
		a[r] = cur.v()
		ldrQP(a[r], t.a[r])
	}
	if t.loadedA != nil {
		t.loadedA(a)
	}
	t.turn(a, unroll)
	t.advance(unroll)
	subsI(k, k, unroll)
	branch("BGE", loop)
	mark(tail)
	addI(k, k, unroll)
	branchZ("CBZ", k, done)
	mark(single)
	for r := range a {
		a[r] = cur.v()
		ldrSP(a[r], t.a[r])
	}
	if t.loadedA != nil {
		t.loadedA(a)
	}
	t.turn(a, 1)
	t.advance(1)
	subsI(k, k, 1)
	branch("BNE", single)
}

// turn is a number of steps, with elements 0 … of a. B's registers are loaded
// as far ahead as there are registers for, so that cores that do not reorder
// wait for few of them. Where they are stored too, pairs take fewer instructions.
func (t *tile) turn(a []*reg, steps int) {
	width := t.panels * per
	free := len(vNumbers) - t.rows*(width+1)
	size, ahead := 1, min(free, 4)
	if t.pack != nil {
		size, ahead = 2, 1
	}
	load := func(j int) []*reg {
		u, i, w := j/width, j%width, simd(size).alloc()
		base, disp := t.b[0], 16*i
		if t.mode == packed {
			base, disp = t.b[i/per], 4*panel*u+16*(i%per)
		} else if i == 0 && u > 0 {
			add(t.b[0], t.b[0], t.ldb)
		}
		if size == 1 {
			ldrQ(w[0], base, disp)
		} else {
			ldpQ(w[0], w[1], base, disp)
		}
		if t.pack != nil {
			stpQ(w[0], w[1], t.pack, 4*panel*u+16*i)
		}
		return w
	}
	mac := t.mac
	if mac == nil {
		mac = fmlaE
	}
	var loaded [][]*reg
	for j := 0; j < steps*width; j += size {
		for next := len(loaded); next < min(j/size+ahead, steps*width/size); next++ {
			loaded = append(loaded, load(next*size))
		}
		u, i := j/width, j%width
		for r := range a {
			for k, w := range loaded[j/size] {
				mac(t.acc[r][i+k], w, a[r], u)
			}
		}
		if i+size == width {
			t.fetch(u)
		}
	}
	if t.mode != packed {
		add(t.b[0], t.b[0], t.ldb)
	}
}

// fetch brings what next points to into a cache, behind step u of a turn.
func (t *tile) fetch(u int) {
	switch {
	case t.next == nil:
	case t.mode != packed:
		for q := range t.panels {
			prefetch(1, t.next, 64*q)
		}
		add(t.next, t.next, t.ldb)
	case (u+1)%t.every() == 0:
		prefetch(2, t.next, 0)
		add(t.next, t.next, t.nextStep)
	}
}

// advance moves on by n steps what step does not.
func (t *tile) advance(n int) {
	if t.mode == packed {
		for _, b := range t.b {
			addI(b, b, 4*panel*n)
		}
	}
	if t.pack != nil {
		addI(t.pack, t.pack, 4*panel*n)
	}
}

// depthwise writes one pixel of a depthwise convolution: channels are lanes,
// 4 registers at a time, then one, then channel by channel.
func depthwise() {
	text("DepthwiseF32", "dst *float32, x *float32, w *float32, c int, kh int, kw int, row int, col int", "",
		"computes one pixel of a depthwise convolution:",
		"	for i := range c {",
		"		s := 0",
		"		for y := range kh {",
		"			for z := range kw { s = fma(x[y*row+z*col+i], w[(y*kw+z)*c+i], s) }",
		"		}",
		"		dst[i] = s",
		"	}",
		"Strides are in floats. kh and kw are positive.")
	dst, x, w, c := arg("dst"), arg("x"), arg("w"), arg("c")
	row, col, tap := strideArg("row"), strideArg("col"), cur.gp()
	lsl(tap, c, 2)
	for _, lanes := range []int{16, 4, 1} {
		by, done := fmt.Sprintf("by%d", lanes), fmt.Sprintf("done%d", lanes)
		ldr, str, registers := ldrQ, strQ, lanes/4
		if lanes == 1 {
			ldr, str, registers = ldrS, strS, 1
		}
		mark(by)
		cmpI(c, lanes)
		branch("BLT", done)
		acc := accumulators(1, 4)[0][:registers]
		for _, s := range acc {
			zero(s)
		}
		line, at, weight, y, z := cur.gp(), cur.gp(), cur.gp(), arg("kh"), cur.gp()
		mov(line, x)
		mov(weight, w)
		mark(by + "row")
		mov(at, line)
		mov(z, arg("kw"))
		mark(by + "tap")
		for i, s := range acc {
			a, b := cur.v(), cur.v()
			ldr(a, at, 16*i)
			ldr(b, weight, 16*i)
			fmla(s, a, b)
		}
		add(at, at, col)
		add(weight, weight, tap)
		subsI(z, z, 1)
		branch("BNE", by+"tap")
		add(line, line, row)
		subsI(y, y, 1)
		branch("BNE", by+"row")
		for i, s := range acc {
			str(s, dst, 16*i)
		}
		for _, r := range []*reg{dst, x, w} {
			addI(r, r, 4*lanes)
		}
		subI(c, c, lanes)
		branch("B", by)
		mark(done)
	}
	ret()
}

// peakChains is the number of independent chains of fused multiply-adds, at least
// latency times units of every known core.
const peakChains = 24

// peak writes the loop that measures how many multiply-adds a core can do at
// most: nothing but registers.
func peak() {
	text("PeakF32", "n int", "", fmt.Sprintf("does n times %d fused multiply-adds of 4 lanes, in independent chains.", peakChains))
	n, x := arg("n"), cur.v()
	zero(x)
	acc := accumulators(1, peakChains/per)[0]
	for _, a := range acc {
		zero(a)
	}
	mark("loop")
	for _, a := range acc {
		fmlaE(a, x, x, 0)
	}
	subsI(n, n, 1)
	branch("BGT", "loop")
	ret()
}
