package main

import "fmt"

const igemmParams = "a *byte, lda int, b *int8, ldb int, init *int32, c *float32, ldc int, k int, cols int, rowScale *float32, colScale *float32"

// igemmDoc begins a tile; a is an element of A.
func igemmText(name, a string, rows int, note string) {
	text(name, igemmParams, "", "computes a tile of an exact 8-bit product and scales it:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := 0",
		"			for p := range 4*k { s += int32("+a+") * int32(b[j/16*ldb+p/4*64+j%16*4+p%4]) }",
		"			c[i*ldc+j] = float32(s) * (rowScale[i]*colScale[j])",
		"		}",
		"	}",
		"lda and ldb are in bytes, k in fours. "+note,
		"0 < cols <= 16; colScale is read to the end of the panel.")
}

const (
	dotRows   = 6 // of the tallest tile of dot products
	dotRowsU8 = 4 // and of one of unsigned bytes
	longRows  = 4 // and of one of multiplications
)

func igemmDot() {
	for rows := dotRows; rows >= 1; rows-- {
		igemmDotTile(rows, false)
	}
	for rows := dotRowsU8; rows >= 1; rows-- {
		igemmDotTile(rows, true)
	}
	quantizeRows("QuantizeRowsS8", 1)
}

func igemmLong() {
	for rows := longRows; rows >= 1; rows-- {
		igemmLongTile(rows)
	}
	quantizeRows("QuantizeRowsS16", 2)
	widenU8()
}

// igemmDotTile writes a tile of SDOT, the tile of floats with four bytes for
// each float. Unsigned bytes are made signed by taking 128 off, and 128 times
// the sum of B's bytes is added in the end.
func igemmDotTile(rows int, unsigned bool) {
	t := &tile{rows: rows, panels: 1, mode: packed, mac: sdotE}
	name, note := fmt.Sprintf("GemmS8S8Dot%dx16", rows), "rowScale is not nil."
	if unsigned {
		name, note = fmt.Sprintf("GemmU8S8Dot%dx16", rows), "rowScale is nil: c holds the int32 s."
	}
	elem := "int8(a[i*lda+p])"
	if unsigned {
		elem = "a[i*lda+p]"
	}
	igemmText(name, elem, rows, note)
	t.a = rowsFrom(arg("a"), arg("lda"), rows)
	t.b = []*reg{arg("b")}
	t.acc = accumulators(rows, 1)
	for _, row := range t.acc {
		for _, x := range row {
			zero(x)
		}
	}
	var sums vecs
	if unsigned {
		ones, sign := constant(0x01010101), constant(0x80808080)
		sums = simd(per).zero()
		t.loadedA = func(x *reg) { eor(x, x, sign) }
		t.loadedB = func(x *reg, i int) { sdot(sums[i], x, ones) }
	}
	t.product(arg("k"), "store")
	mark("store")
	for i, s := range sums {
		shl(s, s, 7)
		for r := range t.acc {
			addInt(t.acc[r][i], t.acc[r][i], s)
		}
	}
	if !unsigned {
		scaleTile(t.acc)
	}
	t.eachOfC("Store", func(x, c *reg, disp int) { strQ(x, c, disp) }, true)
	ret()
}

// scaleTile turns exact sums into floats.
func scaleTile(acc [][]*reg) {
	rowScale, colScale := arg("rowScale"), arg("colScale")
	for i := range per {
		cs := cur.v()
		ldrQ(cs, colScale, 16*i)
		for r := range acc {
			s := cur.v()
			ldrS(s, rowScale, 4*r)
			dup(s, s, 0)
			fmul(s, s, cs)
			x := acc[r][i]
			toFloat(x, x)
			fmul(x, x, s)
		}
	}
}

// igemmLongTile writes a tile for CPUs without dot products: A has 16 bits,
// B's bytes are widened to 16 when their order is by step of k, and SMLAL by
// element adds exact products of 32.
func igemmLongTile(rows int) {
	t := &tile{rows: rows, panels: 1, mode: packed}
	igemmText(fmt.Sprintf("GemmS16S8Tile%dx16", rows), "A[i][p]", rows, "A has int16. If rowScale is nil, c holds the int32 s.")
	t.a = rowsFrom(arg("a"), arg("lda"), rows)
	b, k := arg("b"), arg("k")
	t.acc = accumulators(rows, 1)
	for _, row := range t.acc {
		for _, x := range row {
			zero(x)
		}
	}
	branchZ("CBZ", k, "sum")
	mark("loop")
	a := make([]*reg, rows)
	for r := range a {
		a[r] = cur.fixedV(r)
		ldrD(a[r], t.a[r], 0)
		addI(t.a[r], t.a[r], 8)
	}
	w := simd(per).alloc()
	ldpQ(w[0], w[1], b, 0)
	ldpQ(w[2], w[3], b, 32)
	addI(b, b, 64)
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
	var steps [4]*reg
	steps[0], steps[2] = pairs(even0, even1)
	steps[1], steps[3] = pairs(odd0, odd1)
	for p, x := range steps {
		low, high := cur.v(), cur.v()
		fromS8(low, x)
		fromS82(high, x)
		for r := range a {
			smlalE(t.acc[r][0], low, a[r], p, false)
			smlalE(t.acc[r][1], low, a[r], p, true)
			smlalE(t.acc[r][2], high, a[r], p, false)
			smlalE(t.acc[r][3], high, a[r], p, true)
		}
	}
	subsI(k, k, 1)
	branch("BNE", "loop")
	mark("sum")
	branchZ("CBZ", arg("rowScale"), "raw")
	scaleTile(t.acc)
	mark("raw")
	t.eachOfC("Store", func(x, c *reg, disp int) { strQ(x, c, disp) }, true)
	ret()
}

// widenU8 writes the conversion of unsigned bytes for SMLAL.
func widenU8() {
	text("WidenU8S16", "dst *byte, src *byte, n int", "", "widens n bytes, a multiple of 16, to int16.")
	dst, src, n := arg("dst"), arg("src"), arg("n")
	branchZ("CBZ", n, "done")
	mark("loop")
	x, low, high := cur.v(), cur.v(), cur.v()
	ldrQP(x, src)
	fromU8(low, x)
	fromU82(high, x)
	stpQ(low, high, dst, 0)
	addI(dst, dst, 32)
	subsI(n, n, 16)
	branch("BNE", "loop")
	mark("done")
	ret()
}

// quantizeRows writes the quantization of activations to so many bytes each.
func quantizeRows(name string, bytes int) {
	text(name, "dst *byte, ldd int, x *float32, ldx int, scale *float32, rows int, cols int", "",
		"is ref.QuantizeS8 for each of the rows:",
		fmt.Sprintf("	for i := range rows { scale[i] = ref.QuantizeS8(q, x[i*ldx:][:cols]); dst[i*ldd+…] = q as int%d }", 8*bytes),
		"ldd is in bytes, ldx in floats. A row of dst is written to a multiple of 16 elements.")
	dst, ldd, x, scale, cols := arg("dst"), arg("ldd"), operandArg("x", "ldx"), arg("scale"), arg("cols")
	rows([]operand{x}, func() {
		// Magnitudes compare as integers: an infinity is above all numbers, NaN
		// above that.
		top := simd(4).zero()
		columns("max", 4, cols, func(s span) { s.m.do(smax, top, top, s.m.abs(s.load(x))) })
		smax(top[0], top[0], top[1])
		smax(top[2], top[2], top[3])
		smax(top[0], top[0], top[2])
		most, bits := cur.v(), cur.gp()
		maxAll(most, top[0])
		word0(bits, most)
		dup(most, most, 0)
		inv, s, limit := cur.v(), cur.v(), cur.gp()
		zero(inv)
		zero(s)
		movI(limit, 0x0d800000) // 2⁻¹⁰⁰
		cmp(bits, limit)
		branch("BLO", "scaled")
		movI(limit, 0x7f800000)
		cmp(bits, limit)
		branch("BHS", "notFinite")
		full := floats(127)
		fdiv(s, most, full)
		fdiv(inv, full, most)
		branch("B", "scaled")
		mark("notFinite")
		movV(s, constant(0x7fc00000))
		mark("scaled")
		strS(s, scale, 0)
		addI(scale, scale, 4)
		to := cur.gp()
		mov(to, dst)
		columns("quantize", 4, cols, func(s span) {
			y := s.m.each(toInt, s.m.mul(s.load(x), broadcast(inv, 4)))
			low, high := cur.v(), cur.v()
			toHalves(low, y[0])
			toHalves2(low, y[1])
			toHalves(high, y[2])
			toHalves2(high, y[3])
			if bytes == 1 {
				z := cur.v()
				toBytes(z, low)
				toBytes2(z, high)
				strQ(z, to, 0)
			} else {
				stpQ(low, high, to, 0)
			}
			addI(to, to, 16*bytes)
		})
		add(dst, dst, ldd)
	})
}
