package main

import "fmt"

// nibbleBlock is the number of units of 8 steps of k that share an exponent:
// their products fit in 16 bits.
const nibbleBlock = 4

// igemmNibbleDot writes the products by nibbles of rows that are split into
// digits of 8 bits, by SDOT.
func igemmNibbleDot() {
	nibbleTile("Dot", 1, 2, true)
	nibbleTile("Dot", 1, 1, true)
	nibbleTile("Dot", 2, 1, true)
}

// igemmNibbleLong writes the same for CPUs without dot products, and the split.
func igemmNibbleLong() {
	nibbleTile("Long", 1, 1, false)
	splitRow()
}

func nibbleTile(suffix string, rows, panels int, dot bool) {
	text(fmt.Sprintf("GemmF32S4%s%dx%d", suffix, rows, panels*panel),
		"a *int8, sum *int32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc int, k int, group int", "",
		"adds a product by a weight of 4 bits, group by group and block by block of k:",
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %d {", panels*panel),
		"			for each block, of up to 32 steps of group g {",
		"				s := sum[:3]",
		"				for p in the block { s[d] += digit(p, d) * q(p) for each d }",
		"				t := fma(float32(s[2]), 65536, fma(float32(s[1]), 256, float32(s[0]))) * unit",
		"				c[i*ldc+j] = fma(t, scale[j/16*lds+g*16+j%16], c[i*ldc+j])",
		"			}",
		"		}",
		"	}",
		"digit(p, d) is a[i*lda+p/8*32+p/4%2*16+d*4+p%4], as ref.SplitF32 stores it, and q(p) nibble",
		"p/4%2 of byte j%16*4+p%4 of the 64 bytes at b[j/16*ldb+p/8*64], unsigned. A block of row i has",
		"the next 16 bytes at sum+i*lda: three sums and unit. k and group are in units of 8 steps, lda and",
		"ldb in bytes, ldc and lds in floats. k > 0.")
	lda := arg("lda")
	as, ss := rowsFrom(arg("a"), lda, rows), rowsFrom(arg("sum"), lda, rows)
	bs := rowsFrom(arg("b"), arg("ldb"), panels)
	c := newSums(rows, panels)
	low := constant(0x0f0f0f0f)
	// Of a row, a register of the result and a digit: the sums, or of SMLAL the
	// sums of 16 bits of its low and its high two columns.
	acc := make([][][3][2]*reg, rows)
	for r := range acc {
		acc[r] = make([][3][2]*reg, panels*per)
		for i := range acc[r] {
			for d := range 3 {
				acc[r][i][d][0] = cur.v()
				if !dot {
					acc[r][i][d][1] = cur.v()
				}
			}
		}
	}
	k, n := arg("k"), cur.gp()
	mark("group")
	group := arg("group")
	cmp(group, k)
	sel("LT", n, group, k)
	sub(k, k, n)
	mark("block")
	for r := range acc {
		first := cur.v()
		if dot {
			ldrQ(first, ss[r], 0)
		}
		for i := range acc[r] {
			for d, x := range acc[r][i] {
				if dot {
					dup(x[0], first, d)
				} else {
					zero(x[0])
					zero(x[1])
				}
			}
		}
	}
	m := cur.gp()
	movI(m, nibbleBlock)
	cmp(m, n)
	sel("LT", m, m, n)
	sub(n, n, m)
	mark("unit")
	// nibbles returns those of register i: the first or the second of each byte.
	nibbles := func(i, half int) *reg {
		x := cur.v()
		ldrQ(x, bs[i/per], 16*(i%per))
		if half == 0 {
			and(x, x, low)
		} else {
			ushrB(x, x, 4)
		}
		return x
	}
	for half := range 2 {
		x := simd(rows).alloc()
		for r := range x {
			ldrQ(x[r], as[r], 16*half)
		}
		if dot {
			for i := range acc[0] {
				q := nibbles(i, half)
				for r := range x {
					for d := range 3 {
						sdotE(acc[r][i][d][0], q, x[r], d)
					}
				}
			}
			continue
		}
		q := make(vecs, per)
		for i := range q {
			q[i] = nibbles(i, half)
		}
		for d := range 3 {
			y := cur.v()
			dup(y, x[0], d)
			for i := range q {
				smlalB(acc[0][i][d][0], q[i], y)
				smlalB2(acc[0][i][d][1], q[i], y)
			}
		}
	}
	for _, r := range as {
		addI(r, r, 32)
	}
	for _, r := range bs {
		addI(r, r, 64)
	}
	subsI(m, m, 1)
	branch("BNE", "unit")
	c.add(func(r, i int) *reg {
		sum := cur.v()
		ldrQ(sum, ss[r], 0)
		var s [3]*reg
		for d, x := range acc[r][i] {
			s[d] = x[0]
			if !dot {
				y := cur.v()
				addPairs16(x[0], x[0])
				addPairs16(x[1], x[1])
				addPairs(x[0], x[0], x[1])
				dup(y, sum, d)
				addInt(x[0], x[0], y)
			}
			toFloat(x[0], x[0])
		}
		fmla(s[0], s[1], floats(256))
		fmla(s[0], s[2], floats(65536))
		dup(sum, sum, 3)
		fmul(s[0], s[0], sum)
		return s[0]
	})
	for _, r := range ss {
		addI(r, r, 16)
	}
	branchZ("CBNZ", n, "block")
	c.next()
	branchZ("CBNZ", k, "group")
	ret()
}

// splitRow writes the split of floats into digits.
func splitRow() {
	text("SplitF32", "digits *int8, sum *int32, x *float32, k int, group int", "",
		"is ref.SplitF32 of the blocks of a row, of up to 32 elements, which begin anew with each",
		"group. k and group are in units of 8 elements, and k > 0.")
	digits, sum, x := arg("digits"), arg("sum"), arg("x")
	k, n, m, from := arg("k"), cur.gp(), cur.gp(), cur.gp()
	mark("group")
	group := arg("group")
	cmp(group, k)
	sel("LT", n, group, k)
	sub(k, k, n)
	mark("block")
	movI(m, nibbleBlock)
	cmp(m, n)
	sel("LT", m, m, n)
	sub(n, n, m)
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
	subInt(scale, constant(0x8a000000), exp) // 276<<23
	cmgt(none, constant(0x0d800000), top)    // 2⁻¹⁰⁰
	cmgt(bad, top, constant(0x7f7fffff))
	or(none, none, bad)
	bic(unit, unit, none)
	and(bad, bad, constant(0x7fc00000))
	or(unit, unit, bad)
	all, shuffle, bias, ones := cur.v(), constant(0x0c080400, 0x0d090501, 0x0e0a0602, 0xffffffff), constant(0x808080), constant(0x01010101)
	zero(all)
	mov(left, m)
	mark("digits")
	for range 2 {
		y := cur.v()
		ldrQP(y, x)
		fmul(y, y, scale)
		toInt(y, y)
		bic(y, y, none)
		addInt(y, y, bias)
		eor(y, y, bias)
		tbl(y, y, shuffle)
		strQ(y, digits, 0)
		addI(digits, digits, 16)
		low, high := cur.v(), cur.v()
		smullB(low, y, ones)
		smullB2(high, y, ones)
		addPairs16(low, low)
		addPairs16(high, high)
		addPairs(low, low, high)
		addInt(all, all, low)
	}
	subsI(left, left, 1)
	branch("BNE", "digits")
	shl(all, all, 3)
	y := cur.v()
	zero(y)
	subInt(all, y, all)
	keep := constant(0, 0, 0, 0xffffffff)
	bit(all, unit, keep)
	strQ(all, sum, 0)
	addI(sum, sum, 16)
	branchZ("CBNZ", n, "block")
	branchZ("CBNZ", k, "group")
	ret()
}
