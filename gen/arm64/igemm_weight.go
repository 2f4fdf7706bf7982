package main

import "fmt"

const (
	// fixedBlock is the number of units of 8 steps of k that share an exponent:
	// as many products by nibbles fit in 16 bits.
	fixedBlock = 4
	// weightLine is the number of bytes from one line of a panel to the next:
	// the lines of four panels lie side by side.
	weightLine = 256
)

// weightDot writes the products of fixed-point numbers by weights of 8 and 4
// bits, by dot products.
func weightDot() {
	for _, bits := range []int{8, 4} {
		for _, t := range [][2]int{{1, 2}, {1, 1}, {2, 1}} {
			(&weightProduct{bits: bits, rows: t[0], panels: t[1], dot: true}).write()
		}
	}
}

// weightLong writes the same for CPUs without dot products, and the splits.
func weightLong() {
	(&weightProduct{bits: 8, rows: 1, panels: 1}).write()
	(&weightProduct{bits: 8, rows: 2, panels: 1}).write()
	(&weightProduct{bits: 4, rows: 1, panels: 1}).write()
	splitRow("SplitBytesF32", splitBytes)
	splitRow("SplitWordsF32", splitWords)
}

// weightProduct is the state of the generator of a product by a weight of few
// bits.
//
// A number of 24 bits is three signed digits of 8 bits, and the sums over the
// digits are exact. SDOT multiplies them by bytes, or by nibbles, which are
// unsigned. Without it SMLAL does: nibbles by digits of 8 bits, whose products
// it adds in 16 bits, and bytes, widened, by two digits of 12 bits.
type weightProduct struct {
	bits, rows, panels int
	dot                bool
	a, sum             []*reg
	b                  *reg
	acc                [][][]*reg // the sums of a row and a register, by digit
	low                *reg       // of every byte
}

// words reports whether digits have 12 bits, in words.
func (t *weightProduct) words() bool { return !t.dot && t.bits == 8 }

// halves reports whether there are sums of 16 bits: those of the low and of the
// high two columns of a register, for each digit.
func (t *weightProduct) halves() bool { return !t.dot && t.bits == 4 }

func (t *weightProduct) write() {
	kind, split := "Long", "SplitBytesF32NEON"
	if t.dot {
		kind = "Dot"
	}
	if t.words() {
		split = "SplitWordsF32NEON"
	}
	q := "b[p/4*256+j*4+p%4]"
	if t.bits == 4 {
		q = "nibble p/4%2 of b[p/8*256+j*4+p%4], less 8"
	}
	text(fmt.Sprintf("GemmX24S%d%s%dx%d", t.bits, kind, t.rows, t.panels*panel),
		"a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc int, k int, group int", "",
		fmt.Sprintf("adds a product by a weight of %d bits, group by group and block by block of k:", t.bits),
		fmt.Sprintf("	for i := range %d {", t.rows),
		fmt.Sprintf("		for j := range %d {", t.panels*panel),
		"			for each block, of up to 32 steps of group g {",
		"				s := 0",
		"				for p in the block { s += a(i, p) * q(j, p) }",
		"				c[i*ldc+j] = fma(float32(s)*unit, scale[j/16*lds+g*16+j%16], c[i*ldc+j])",
		"			}",
		"		}",
		"	}",
		fmt.Sprintf("a(i, p) are the numbers that %s stored at a+i*lda, and unit that which it", split),
		"stored at sum+i*lda; s is exact. q(j, p) is "+q+".",
		"k and group are in units of 8 steps, lda in bytes, ldc and lds in floats. k > 0.")
	lda := arg("lda")
	t.a, t.sum = rowsFrom(arg("a"), lda, t.rows), rowsFrom(arg("sum"), lda, t.rows)
	t.b = arg("b")
	c, scale := rowsFrom(arg("c"), strideArg("ldc"), t.rows), rowsFrom(arg("scale"), strideArg("lds"), t.panels)
	if t.bits == 4 {
		t.low = constant(0x0f0f0f0f)
	}
	sums := 3
	switch {
	case t.words():
		sums = 2
	case t.halves():
		sums = 6
	}
	for r := range t.rows {
		t.acc = append(t.acc, nil)
		for range t.panels * per {
			t.acc[r] = append(t.acc[r], simd(sums).alloc())
		}
	}
	k, n, m := arg("k"), cur.gp(), cur.gp()
	eachGroup(k, n)
	t.clear()
	takeBlock(n, m)
	mark("unit")
	t.unit()
	for _, r := range t.a {
		addI(r, r, 32)
	}
	addI(t.b, t.b, t.bits/4*weightLine)
	subsI(m, m, 1)
	branch("BNE", "unit")
	for r := range t.acc {
		blocks := cur.v()
		ldrQ(blocks, t.sum[r], 0)
		unit := cur.v()
		dup(unit, blocks, 3)
		for i := range t.acc[r] {
			x, y, s := t.join(r, i, blocks), cur.v(), cur.v()
			fmul(x, x, unit)
			ldrQ(y, c[r], 16*i)
			ldrQ(s, scale[i/per], 16*(i%per))
			fmla(y, x, s)
			strQ(y, c[r], 16*i)
		}
	}
	for _, r := range t.sum {
		addI(r, r, 16)
	}
	branchZ("CBNZ", n, "block")
	for _, r := range scale {
		addI(r, r, 4*panel)
	}
	branchZ("CBNZ", k, "group")
	ret()
}

// eachGroup begins the loops over the groups of the k units, and over the
// blocks of a group's n.
func eachGroup(k, n *reg) {
	mark("group")
	group := arg("group")
	cmp(group, k)
	sel("LT", n, group, k)
	sub(k, k, n)
	mark("block")
}

// takeBlock takes the m units of a block from n.
func takeBlock(n, m *reg) {
	movI(m, fixedBlock)
	cmp(m, n)
	sel("LT", m, m, n)
	sub(n, n, m)
}

// clear begins a block. The sums of nibbles by SDOT begin with what comes off
// for their bias.
func (t *weightProduct) clear() {
	for r := range t.acc {
		first := cur.v()
		if t.dot && t.bits == 4 {
			ldrQ(first, t.sum[r], 0)
		}
		for i := range t.acc[r] {
			for d, x := range t.acc[r][i] {
				if t.dot && t.bits == 4 {
					dup(x, first, d)
				} else {
					zero(x)
				}
			}
		}
	}
}

// unit adds the products of 8 steps of k.
func (t *weightProduct) unit() {
	for half := range 2 {
		x := make(vecs, t.rows)
		for r := range x {
			if x[r] = cur.v(); t.words() {
				x[r] = cur.fixedV(r)
			}
			ldrQ(x[r], t.a[r], 16*half)
		}
		load := func(i int) *reg {
			q := cur.v()
			if t.bits == 8 {
				ldrQ(q, t.b, half*weightLine+16*i)
				return q
			}
			ldrQ(q, t.b, 16*i)
			if half == 0 {
				and(q, q, t.low)
			} else {
				ushrB(q, q, 4)
			}
			return q
		}
		if t.dot {
			for i := range t.acc[0] {
				q := load(i)
				for r := range x {
					for d, acc := range t.acc[r][i] {
						sdotE(acc, q, x[r], d)
					}
				}
			}
			continue
		}
		q := make(vecs, per)
		for i := range q {
			q[i] = load(i)
		}
		if t.halves() {
			for d := range 3 {
				y := cur.v()
				dup(y, x[0], d)
				for i := range q {
					smlalB(t.acc[0][i][d], q[i], y)
					smlalB2(t.acc[0][i][d+3], q[i], y)
				}
			}
			continue
		}
		for p, q := range bySteps(q) {
			low, high := cur.v(), cur.v()
			fromS8(low, q)
			fromS82(high, q)
			for r := range x {
				for i, acc := range t.acc[r] {
					w := low
					if i >= 2 {
						w = high
					}
					for d := range 2 {
						smlalE(acc[d], w, x[r], 4*d+p, i%2 == 1)
					}
				}
			}
		}
	}
}

// bySteps turns the four registers of a line, each 4 columns of 4 steps of k,
// into one for each step.
func bySteps(w vecs) (steps [4]*reg) {
	// even holds the bytes of steps 0 and 2 of two registers' columns, odd
	// those of 1 and 3.
	pairs := func(x, y *reg) (even, odd *reg) {
		even, odd = cur.v(), cur.v()
		uzp1B(even, x, y)
		uzp2B(odd, x, y)
		return even, odd
	}
	even0, odd0 := pairs(w[0], w[1])
	even1, odd1 := pairs(w[2], w[3])
	steps[0], steps[2] = pairs(even0, even1)
	steps[1], steps[3] = pairs(odd0, odd1)
	return steps
}

// join returns the sum of a block, rounded to a float: digits are put together
// so that only the last addition rounds.
func (t *weightProduct) join(r, i int, blocks *reg) *reg {
	s := t.acc[r][i]
	if t.halves() {
		for d := range 3 {
			y := cur.v()
			addPairs16(s[d], s[d])
			addPairs16(s[d+3], s[d+3])
			addPairs(s[d], s[d], s[d+3])
			dup(y, blocks, d)
			addInt(s[d], s[d], y)
		}
	}
	if t.bits == 4 {
		for d := range 3 {
			toFloat(s[d], s[d])
		}
		fmla(s[0], s[1], floats(256)) // below 2²⁴, exact
		fmla(s[0], s[2], floats(65536))
		return s[0]
	}
	if t.dot {
		// Sums of 20 bits: the low two digits make one number, of which 12 bits
		// stay, and the rest goes to the third.
		shl(s[1], s[1], 8)
		addInt(s[0], s[0], s[1])
		sshr(s[1], s[0], 12)
		and(s[0], s[0], constant(4095))
		shl(s[2], s[2], 4)
		addInt(s[1], s[1], s[2])
	}
	toFloat(s[0], s[0])
	toFloat(s[1], s[1])
	fmla(s[0], s[1], floats(4096))
	return s[0]
}

// split is a way to store numbers of 24 bits.
type split struct {
	doc []string
	// put returns what writes the digits of 4 numbers into 16 bytes, and adds to
	// the sums that go beside them.
	put func() func(y, sum *reg)
}

// splitBytes stores signed digits of 8 bits.
var splitBytes = split{
	doc: []string{
		"	digits[p/8*32+p/4%2*16+d*4+p%4] = digit d of x[p], d < 3",
		"	sum[d] = -8 * the sum of the digits d"},
	put: func() func(y, sum *reg) {
		shuffle, bias, ones := constant(0x0c080400, 0x0d090501, 0x0e0a0602, 0xffffffff), constant(0x808080), constant(0x01010101)
		return func(y, sum *reg) {
			low, high := cur.v(), cur.v()
			addInt(y, y, bias)
			eor(y, y, bias)
			tbl(y, y, shuffle)
			smullB(low, y, ones)
			smullB2(high, y, ones)
			addPairs16(low, low)
			addPairs16(high, high)
			addPairs(low, low, high)
			addInt(sum, sum, low)
		}
	},
}

// splitWords stores signed digits of 12 bits.
var splitWords = split{
	doc: []string{"	words(digits)[p/8*16+p/4%2*8+d*4+p%4] = digit d of x[p], d < 2"},
	put: func() func(y, sum *reg) {
		half, low12 := constant(2048), constant(4095)
		return func(y, _ *reg) {
			low := cur.v()
			addInt(low, y, half)
			and(low, low, low12)
			subInt(low, low, half)
			subInt(y, y, low)
			sshr(y, y, 12)
			toHalves(low, low)
			toHalves2(low, y)
			movV(y, low)
		}
	},
}

// splitRow writes ref.FixedF32 of the blocks of a row.
func splitRow(name string, store split) {
	text(name, "digits *byte, sum *int32, x *float32, k int, group int", "", append(append([]string{
		"is ref.FixedF32 of the blocks of a row, of up to 32 elements, which begin anew with",
		"each group. Unit u of 8 elements is stored in 32 bytes, and a block's unit as the last of 16:"},
		store.doc...), "k and group are in units of 8 elements, and k > 0.")...)
	digits, sum, x := arg("digits"), arg("sum"), arg("x")
	k, n, m, from := arg("k"), cur.gp(), cur.gp(), cur.gp()
	eachGroup(k, n)
	takeBlock(n, m)
	// Magnitudes compare as integers: an infinity is above all numbers, NaN
	// above that.
	top, left := cur.v(), cur.gp()
	zero(top)
	mov(from, x)
	mov(left, m)
	mark("range")
	for range 2 {
		y := cur.v()
		ldrQP(y, from)
		fabs(y, y)
		smax(top, top, y)
	}
	subsI(left, left, 1)
	branch("BNE", "range")
	maxAll(top, top)
	dup(top, top, 0)
	exp, unit, scale, none, bad := cur.v(), cur.v(), cur.v(), cur.v(), cur.v()
	addInt(exp, top, constant(0x10101))
	and(exp, exp, constant(0x7f800000))
	subInt(unit, exp, constant(22<<23))
	subInt(scale, constant(276<<23), exp)
	cmgt(none, constant(0x0d800000), top) // 2⁻¹⁰⁰
	cmgt(bad, top, constant(0x7f7fffff))
	or(none, none, bad)
	bic(unit, unit, none)
	and(bad, bad, constant(0x7fc00000))
	or(unit, unit, bad)
	all := cur.v()
	zero(all)
	put := store.put()
	mark("digits")
	for range 2 {
		y := cur.v()
		ldrQP(y, x)
		fmul(y, y, scale)
		toInt(y, y)
		bic(y, y, none)
		put(y, all)
		strQ(y, digits, 0)
		addI(digits, digits, 16)
	}
	subsI(m, m, 1)
	branch("BNE", "digits")
	y := cur.v()
	zero(y)
	shl(all, all, 3)
	subInt(all, y, all)
	bit(all, unit, constant(0, 0, 0, 0xffffffff))
	strQ(all, sum, 0)
	addI(sum, sum, 16)
	branchZ("CBNZ", n, "block")
	branchZ("CBNZ", k, "group")
	ret()
}
