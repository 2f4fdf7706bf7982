package main

// vecMap writes the small elementwise operations.
func vecMap() {
	matrix := func(name, params, loop string, body func(s span, dst, x operand) vecs) {
		text(name+"F32", "dst *float32, ldd int, x *float32, ldx int, "+params+"rows int, cols int", "",
			"computes, for rows by cols elements:", "	"+loop, "x may be dst.")
		dst, x, cols := operandArg("dst", "ldd"), operandArg("x", "ldx"), arg("cols")
		rows([]operand{dst, x}, func() {
			columns("cols", 4, cols, func(s span) { s.store(body(s, dst, x), dst) })
		})
	}
	all := func(s span, name string) vecs { return broadcast(scalar(name), int(s.m)) }
	matrix("Scale", "s float32, ", "dst[i*ldd+j] = x[i*ldx+j] * s", func(s span, dst, x operand) vecs {
		return s.m.mul(s.load(x), all(s, "s"))
	})
	matrix("Axpy", "s float32, ", "dst[i*ldd+j] = fma(x[i*ldx+j], s, dst[i*ldd+j])", func(s span, dst, x operand) vecs {
		y := s.load(dst)
		s.m.acc(y, s.load(x), all(s, "s"))
		return y
	})
	matrix("Clamp", "low float32, high float32, ", "dst[i*ldd+j] = min(max(x[i*ldx+j], low), high); a NaN stays", func(s span, dst, x operand) vecs {
		return s.m.min(all(s, "high"), s.m.max(all(s, "low"), s.load(x)))
	})
	matrix("Max", "", "dst[i*ldd+j] = x[i*ldx+j] if that is larger or NaN", func(s span, dst, x operand) vecs {
		y := s.load(x)
		return s.m.orNaN(s.m.max(y, s.load(dst)), y)
	})
	rotary()
}

// rotary writes the rotary position embedding of one row.
func rotary() {
	text("RotaryF32", "x *float32, ldx int, angles *float32, rows int, cols int", "",
		"turns the heads of a row, ldx floats apart, by angles, cosines before sines:",
		"	for h := range rows {",
		"		for j := range cols {",
		"			u, v := x[h*ldx+j], x[h*ldx+cols+j]",
		"			x[h*ldx+j] = u*angles[j] - v*angles[cols+j]",
		"			x[h*ldx+cols+j] = v*angles[j] + u*angles[cols+j]",
		"		}",
		"	}",
		"Each product is rounded.")
	x, cos, cols := operandArg("x", "ldx"), operandArg("angles", ""), arg("cols")
	sin, second := operand{base: cur.gp()}, operand{base: cur.gp()}
	addLSL(sin.base, cos.base, cols, 2)
	rows([]operand{x}, func() {
		addLSL(second.base, x.base, cols, 2)
		columns("cols", 4, cols, func(s span) {
			c, a, b := s.load(cos), s.load(x), s.load(second)
			d := s.load(sin)
			s.store(s.m.sub(s.m.mul(a, c), s.m.mul(b, d)), x)
			s.store(s.m.add(s.m.mul(b, c), s.m.mul(a, d)), second)
		})
	})
}

// vecConvert writes the conversions between number formats, the search and the
// transposition. They do whole registers; the façade does the rest in Go.
func vecConvert() {
	convert := func(name, dst, src string, dstSize, srcSize int, doc string, body func(to, from *reg)) {
		text(name, "dst *"+dst+", src *"+src+", n int", "", doc,
			"	for i := range n { dst[i] = convert(src[i]) }", "n is a multiple of 8.")
		to, from, n := arg("dst"), arg("src"), arg("n")
		branchZ("CBZ", n, "done")
		mark("loop")
		body(to, from)
		addI(from, from, 8*srcSize)
		addI(to, to, 8*dstSize)
		subsI(n, n, 8)
		branch("BNE", "loop")
		mark("done")
		ret()
	}
	// widen takes 8 numbers of one register to two.
	widen := func(low, high func(d, n *reg)) func(to, from *reg) {
		return func(to, from *reg) {
			x, a, b := cur.v(), cur.v(), cur.v()
			ldrQ(x, from, 0)
			low(a, x)
			high(b, x)
			stpQ(a, b, to, 0)
		}
	}
	convert("ConvertF16F32", "float32", "uint16", 4, 2, "widens half precision:", widen(halfToFloat, halfToFloat2))
	convert("ConvertF32F16", "uint16", "float32", 2, 4, "rounds to half precision, to nearest even:", func(to, from *reg) {
		a, b, y := cur.v(), cur.v(), cur.v()
		ldpQ(a, b, from, 0)
		floatToHalf(y, a)
		floatToHalf2(y, b)
		strQ(y, to, 0)
	})
	convert("ConvertBF16F32", "float32", "uint16", 4, 2, "widens bfloat16:", widen(upper, upper2))
	convert("ConvertF32BF16", "uint16", "float32", 2, 4, "rounds to bfloat16, to nearest even; a NaN stays one:", func(to, from *reg) {
		m := simd(2)
		x, y := m.alloc(), cur.v()
		ldpQ(x[0], x[1], from, 0)
		odd := m.bits(and, m.shift(ushr, x, 16), 1)
		up := m.op(addInt, x, m.bits(addInt, odd, 0x7fff))
		quiet := m.bits(or, x, 0x400000)
		number := m.op(fcmeq, x, x)
		m.do(bsl, number, up, quiet)
		upperHalf(y, number[0])
		upperHalf2(y, number[1])
		strQ(y, to, 0)
	})
	convert("ConvertF64F32", "float32", "float64", 4, 8, "rounds to single precision, to nearest even:", func(to, from *reg) {
		for i := range 2 {
			a, b, y := cur.v(), cur.v(), cur.v()
			ldpQ(a, b, from, 32*i)
			doubleToFloat(y, a)
			doubleToFloat2(y, b)
			strQ(y, to, 16*i)
		}
	})
	convert("ConvertF32F64", "float64", "float32", 8, 4, "widens to double precision:", func(to, from *reg) {
		for i := range 2 {
			x, a, b := cur.v(), cur.v(), cur.v()
			ldrQ(x, from, 16*i)
			floatToDouble(a, x)
			floatToDouble2(b, x)
			stpQ(a, b, to, 32*i)
		}
	})
	findAbove()
	transpose()
}

func findAbove() {
	text("FindAboveF32", "x *float32, n int, limit float32", "int",
		"returns where a block of 32 begins that has an element larger than limit, or a NaN:",
		"	for i := 0; i < n; i += 32 {",
		"		for j := range 32 { if !(x[i+j] <= limit) { return i } }",
		"	}",
		"	return n",
		"n is a multiple of 32.")
	x, n, limit, at := arg("x"), arg("n"), scalar("limit"), cur.gp()
	movI(at, 0)
	mark("loop")
	cmp(at, n)
	branch("BGE", "done")
	var within *reg
	for i := range wide {
		y := cur.v()
		ldrQ(y, x, 16*i)
		fcmge(y, limit, y)
		if i > 0 {
			and(y, y, within)
		}
		within = y
	}
	least, all := cur.v(), cur.gp()
	minAll(least, within)
	word0(all, least)
	branchZ("CBZ", all, "done")
	addI(x, x, 128)
	addI(at, at, 32)
	branch("B", "loop")
	mark("done")
	result(at)
	ret()
}

// transpose writes the transposition of blocks of 8 rows by 4 columns.
func transpose() {
	text("TransposeF32", "dst *float32, ldd int, x *float32, ldx int, rows int, cols int", "",
		"transposes a matrix whose rows and cols are multiples of 8 (and positive):",
		"	for i := range rows {",
		"		for j := range cols { dst[j*ldd+i] = x[i*ldx+j] }",
		"	}")
	dst, ldd, x, ldx, n := arg("dst"), strideArg("ldd"), arg("x"), strideArg("ldx"), arg("rows")
	mark("rows")
	cols, out, in := arg("cols"), cur.gp(), cur.gp()
	mov(out, dst)
	mov(in, x)
	lines := rowsFrom(in, ldx, 8)
	mark("cols")
	var y [2][4]*reg
	for h := range y {
		var r [4]*reg
		for i := range r {
			r[i] = cur.v()
			ldrQP(r[i], lines[4*h+i])
		}
		y[h] = transpose4(r)
	}
	for i := range 4 {
		stpQ(y[0][i], y[1][i], out, 0)
		add(out, out, ldd)
	}
	subsI(cols, cols, 4)
	branch("BNE", "cols")
	addLSL(x, x, ldx, 3)
	addI(dst, dst, 32)
	subsI(n, n, 8)
	branch("BNE", "rows")
	ret()
}
