package main

import "fmt"

const igemmParams = "a *byte, lda int, b *int8, ldb int, c *float32, ldc int, k int, cols int, add bool, zero *int32, sums *int32, rowScale *float32, colScale *float32"

// igemmText begins a tile; a is an element of A, less what is taken off the sum
// for it.
func igemmText(name, a, less string, rows int) {
	text(name, igemmParams, "", "computes a tile of an exact 8-bit product and scales it:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := 0",
		"			for p := range 4*k { s += int32("+a+") * int32(b[j/16*ldb+p/4*64+j%16*4+p%4]) }",
		"			c[i*ldc+j] = fma(float32(s"+less+"), rowScale[i]*colScale[j], c[i*ldc+j] if add, else 0)",
		"		}",
		"	}",
		"lda and ldb are in bytes, k in fours. If rowScale is nil, c holds the int32 s.",
		"0 < cols <= 16; colScale and sums, the sums of B's columns, are read to the end of the panel.")
}

const (
	dotRows  = 6 // of the tallest tile of dot products
	longRows = 4 // and of one of multiplications
)

func igemmDot() {
	for rows := dotRows; rows >= 1; rows-- {
		igemmDotTile(rows)
	}
	quantizeRows("QuantizeRowsU8", "q", func(q vecs, zero, to *reg) {
		simd(4).do(addInt, q, q, broadcast(zero, 4))
		simd(4).do(smin, q, q, broadcast(constant(255), 4))
		low, high, y := cur.v(), cur.v(), cur.v()
		toHalves(low, q[0])
		toHalves2(low, q[1])
		toHalves(high, q[2])
		toHalves2(high, q[3])
		toBytes(y, low)
		toBytes2(y, high)
		strQ(y, to, 0)
		addI(to, to, 16)
	})
}

func igemmMatrix() {
	for rows := dotRows; rows >= 1; rows-- {
		igemmMatrixTile(rows)
	}
}

func igemmLong() {
	for rows := longRows; rows >= 1; rows-- {
		igemmLongTile(rows)
	}
	quantizeRows("QuantizeRowsS16", "q - zero[i] as int16", func(q vecs, zero, to *reg) {
		most := cur.v()
		subInt(most, constant(255), zero)
		simd(4).do(smin, q, q, broadcast(most, 4))
		low, high := cur.v(), cur.v()
		toHalves(low, q[0])
		toHalves2(low, q[1])
		toHalves(high, q[2])
		toHalves2(high, q[3])
		stpQ(low, high, to, 0)
		addI(to, to, 32)
	})
	widenU8()
}

// igemmDotTile writes a tile of SDOT, the tile of floats with four bytes for
// each float. A's bytes are unsigned: 128 less they are signed, and 128 times
// the sum of B's column is added in the end, less the row's zero point times it.
func igemmDotTile(rows int) {
	t := &tile{rows: rows, panels: 1, mode: packed, mac: sdotE}
	igemmText(fmt.Sprintf("GemmU8S8Dot%dx16", rows), "a[i*lda+p]", " - zero[i]*sums[j]", rows)
	t.a = rowsFrom(arg("a"), arg("lda"), rows)
	t.b = []*reg{arg("b")}
	t.acc = accumulators(rows, 1)
	for _, row := range t.acc {
		for _, x := range row {
			zero(x)
		}
	}
	t.loadedA = func(a []*reg) {
		sign := constant(0x80808080) // no register is left to keep it in
		for _, x := range a {
			eor(x, x, sign)
		}
	}
	t.product(arg("k"), "store")
	mark("store")
	t.finishU8(128)
}

// finishU8 stores a tile of unsigned bytes of which less was taken.
func (t *tile) finishU8(less uint32) {
	sums, zeros := arg("sums"), arg("zero")
	branchZ("CBZ", zeros, "raw")
	offset := make([]*reg, t.rows)
	for r := range offset {
		offset[r] = cur.v()
		ldrS(offset[r], zeros, 4*r)
		dup(offset[r], offset[r], 0)
		subInt(offset[r], constant(less), offset[r])
	}
	for i := range per {
		s := cur.v()
		ldrQ(s, sums, 16*i)
		for r := range offset {
			mlaInt(t.acc[r][i], s, offset[r])
		}
	}
	t.scaleTile()
	if less == 0 {
		mark("raw")
	} else {
		branch("B", "done")
		mark("raw")
		for i := range per {
			s, more := cur.v(), constant(less)
			ldrQ(s, sums, 16*i)
			for r := range t.acc {
				mlaInt(t.acc[r][i], s, more)
			}
		}
		mark("done")
	}
	t.eachOfC("Store", func(x, c *reg, disp int) { strQ(x, c, disp) }, true)
	ret()
}

// igemmMatrixTile writes a tile of USMMLA, which multiplies 2 rows of 8
// unsigned bytes by 2 columns of 8 signed ones. Two steps of a panel, side by
// side, give pairs of columns; a row without a second is paired with itself.
func igemmMatrixTile(rows int) {
	t := &tile{rows: rows, panels: 1, mode: packed}
	igemmText(fmt.Sprintf("GemmU8S8Matrix%dx16", rows), "a[i*lda+p]", " - zero[i]*sums[j]", rows)
	t.a = rowsFrom(arg("a"), arg("lda"), rows)
	b, k := arg("b"), arg("k")
	pairs := (rows + 1) / 2
	acc := make([]vecs, pairs) // 8 pairs of columns each: row 0, 0, 1, 1
	for i := range acc {
		acc[i] = simd(panel / 2).zero()
	}
	// step takes two steps of k, or the last one.
	step := func(last bool) {
		ldr, steps := ldrD, 2
		if last {
			ldr, steps = ldrS, 1
		}
		a := simd(pairs).alloc()
		for i := range a {
			ldr(a[i], t.a[2*i], 0)
			second := a[i]
			if 2*i+1 < rows {
				second = cur.v()
				ldr(second, t.a[2*i+1], 0)
			}
			zip1D(a[i], a[i], second)
		}
		for _, r := range t.a {
			addI(r, r, 4*steps)
		}
		for i := range per {
			w, next, cols := cur.v(), cur.v(), cur.v()
			ldrQ(w, b, 16*i)
			if last {
				zero(next)
			} else {
				ldrQ(next, b, 64+16*i)
			}
			zip1(cols, w, next)
			zip2(next, w, next)
			for p := range acc {
				usmmla(acc[p][2*i], a[p], cols)
				usmmla(acc[p][2*i+1], a[p], next)
			}
		}
		addI(b, b, 64*steps)
	}
	subsI(k, k, 2)
	branch("BLT", "rest")
	mark("loop")
	step(false)
	subsI(k, k, 2)
	branch("BGE", "loop")
	mark("rest")
	addI(k, k, 2)
	branchZ("CBZ", k, "sorted")
	step(true)
	mark("sorted")
	t.acc = make([][]*reg, rows)
	for p := range acc {
		for i := 0; i < panel/2; i += 2 {
			low, high := cur.v(), cur.v()
			zip1D(low, acc[p][i], acc[p][i+1])
			t.acc[2*p] = append(t.acc[2*p], low)
			if 2*p+1 < rows {
				zip2D(high, acc[p][i], acc[p][i+1])
				t.acc[2*p+1] = append(t.acc[2*p+1], high)
			}
		}
	}
	t.finishU8(0)
}

// scaleTile turns exact sums into floats and adds them to C, or to nothing.
func (t *tile) scaleTile() {
	rowScale, colScale := arg("rowScale"), arg("colScale")
	cs := simd(per).alloc()
	for i, x := range cs {
		ldrQ(x, colScale, 16*i)
	}
	type place struct{ r, i int }
	places := map[*reg]place{}
	each := func(x *reg, before func(sum *reg)) {
		at, s, sum := places[x], cur.v(), cur.v()
		ldrS(s, rowScale, 4*at.r)
		dup(s, s, 0)
		fmul(s, s, cs[at.i])
		before(sum)
		toFloat(x, x)
		fmla(sum, x, s)
		movV(x, sum)
	}
	branchZ("CBNZ", arg("add"), "add")
	for r, row := range t.acc {
		for i, x := range row {
			places[x] = place{r, i}
			each(x, zero)
		}
	}
	branch("B", "scaled")
	mark("add")
	t.eachOfC("Add", func(x, c *reg, disp int) { each(x, func(sum *reg) { ldrQ(sum, c, disp) }) }, false)
	mark("scaled")
}

// igemmLongTile writes a tile for CPUs without dot products: A has 16 bits,
// B's bytes are widened to 16 when their order is by step of k, and SMLAL by
// element adds exact products of 32.
func igemmLongTile(rows int) {
	t := &tile{rows: rows, panels: 1, mode: packed}
	igemmText(fmt.Sprintf("GemmS16S8Tile%dx16", rows), "A[i][p]", "", rows)
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
	for p, x := range bySteps(w) {
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
	t.scaleTile()
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

// quantizeRows writes the quantization of activations. put stores four
// registers of rounded quotients.
func quantizeRows(name, elem string, put func(q vecs, zero, to *reg)) {
	text(name, "dst *byte, ldd int, x *float32, ldx int, scale *float32, zero *int32, rows int, cols int", "",
		"is ref.QuantizeU8 for each of the rows:",
		"	for i := range rows { scale[i], zero[i] = ref.QuantizeU8(q, x[i*ldx:][:cols]); dst[i*ldd+…] = "+elem+" }",
		"ldd is in bytes, ldx in floats. A row of dst is written to a multiple of 16 elements.")
	dst, ldd, x, scale, zeros, cols := arg("dst"), arg("ldd"), operandArg("x", "ldx"), arg("scale"), arg("zero"), arg("cols")
	m := simd(4)
	rows([]operand{x}, func() {
		// Magnitudes compare as integers: an infinity is above all numbers, NaN
		// above that.
		top, lows, highs := m.zero(), m.zero(), m.zero()
		columns("range", 4, cols, func(s span) {
			y := s.load(x)
			for i := range y {
				less := cur.v()
				fcmgt(less, lows[i], y[i])
				bit(lows[i], y[i], less)
				raise(highs[i], y[i])
			}
			m.do(smax, top, top, m.abs(y))
		})
		four := func(x vecs, f func(d, n, m *reg)) *reg {
			f(x[0], x[0], x[1])
			f(x[2], x[2], x[3])
			f(x[0], x[0], x[2])
			return x[0]
		}
		into := func(f func(d, n, m *reg)) func(d, n, m *reg) { // f with d also read
			return func(d, n, m *reg) { y := cur.v(); f(y, n, m); movV(d, y) }
		}
		most, bits, width := cur.v(), cur.gp(), cur.v()
		maxAll(most, four(top, smax))
		low, high := fold(four(lows, into(smaller)), smaller), fold(four(highs, into(larger)), larger)
		fsub(width, high, low)
		inv, s, z, limit := cur.v(), cur.v(), cur.v(), cur.gp()
		for _, r := range []*reg{inv, s, z} {
			zero(r)
		}
		movI(limit, 0x7f800000)
		word0(bits, most)
		cmp(bits, limit)
		branch("BHS", "notFinite")
		word0(bits, width)
		cmp(bits, limit)
		branch("BHS", "notFinite")
		movI(limit, 0x0d800000) // 2⁻¹⁰⁰
		cmp(bits, limit)
		branch("BLO", "scaled")
		full := floats(255)
		fdiv(s, width, full)
		fdiv(inv, full, width)
		fmul(z, low, inv)
		fneg(z, z)
		toInt(z, z)
		branch("B", "scaled")
		mark("notFinite")
		movV(s, constant(0x7fc00000))
		mark("scaled")
		strS(s, scale, 0)
		strS(z, zeros, 0)
		addI(scale, scale, 4)
		addI(zeros, zeros, 4)
		to := cur.gp()
		mov(to, dst)
		columns("quantize", 4, cols, func(s span) {
			put(m.each(toInt, m.mul(s.load(x), broadcast(inv, 4))), z, to)
		})
		add(dst, dst, ldd)
	})
}
