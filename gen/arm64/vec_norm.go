package main

import "math"

var minusInf = float32(math.Inf(-1))

func vecNorm() {
	softmaxRows()
	layerNormRows()
	rmsNormRows(false)
	rmsNormRows(true)
	columnSums()
	columnNorm()
}

// raise is top = x where that is larger.
func raise(top, x *reg) {
	mask := cur.v()
	fcmgt(mask, x, top)
	bit(top, x, mask)
}

// inverse is 1/x.
func inverse(x *reg) *reg { return simd(1).div(vecs{floats(1)}, vecs{x})[0] }

// softmaxRows writes the softmax of each row in three passes over it.
func softmaxRows() {
	text("SoftmaxF32", "dst *float32, ldd int, x *float32, ldx int, rows int, cols int", "",
		"is ref.SoftmaxF32 for each of the rows:",
		"	for i := range rows { ref.SoftmaxF32(dst[i*ldd:][:cols], x[i*ldx:][:cols]) }",
		"x may be dst.")
	dst, x, cols := operandArg("dst", "ldd"), operandArg("x", "ldx"), arg("cols")
	rows([]operand{dst, x}, func() {
		top := simd(wide).set(minusInf)
		columns("max", wide, cols, func(s span) {
			for i, y := range s.loadOr(x, minusInf) {
				raise(top[i], y)
			}
		})
		most := tree(top, larger)
		sum := simd(wide).zero()
		columns("exp", wide, cols, func(s span) {
			for at := 0; at < wide; at += 2 {
				h := s.part(at, 2)
				e := h.m.expNegative(h.m.sub(h.loadOr(x, minusInf), broadcast(most, 2)))
				h.m.do(fadd, sum[at:at+2], sum[at:at+2], e)
				h.store(e, dst)
			}
		})
		inv := inverse(tree(sum, fadd))
		columns("scale", 4, cols, func(s span) { s.store(s.m.mul(s.load(dst), broadcast(inv, 4)), dst) })
	})
}

func layerNormRows() {
	text("LayerNormF32", "dst *float32, ldd int, x *float32, ldx int, residual *float32, ldr int, sum *float32, lds int, gain *float32, bias *float32, n float32, eps float32, rows int, cols int", "",
		"is ref.LayerNormF32 for each of the rows; n is float32(cols).",
		"residual may be nil: sum is x then. bias may be nil. x, residual and sum may be dst.")
	dst, x, sum, residual := operandArg("dst", "ldd"), operandArg("x", "ldx"), operandArg("sum", "lds"), operandArg("residual", "ldr")
	gain, bias, cols := operandArg("gain", ""), operandArg("bias", ""), arg("cols")
	one := simd(1)
	rows([]operand{dst, x, sum, residual}, func() {
		acc := simd(wide).zero()
		branchZ("CBNZ", residual.base, "residual")
		columns("sum", wide, cols, func(s span) { s.m.do(fadd, acc, acc, s.load(x)) })
		branch("B", "mean")
		mark("residual")
		columns("add", wide, cols, func(s span) {
			y := s.m.add(s.load(x), s.load(residual))
			s.store(y, sum)
			s.m.do(fadd, acc, acc, y)
		})
		mark("mean")
		over := func(lanes vecs) vecs { return one.div(vecs{tree(lanes, fadd)}, vecs{scalar("n")}) }
		mean := over(acc)[0]
		sq, ds := simd(wide).zero(), simd(wide).zero()
		columns("var", wide, cols, func(s span) {
			for i := range wide {
				h := s.part(i, 1)
				d := h.keep(one.sub(h.load(sum), vecs{mean}))
				fadd(ds[i], ds[i], d[0])
				fmla(sq[i], d[0], d[0])
			}
		})
		shift, vari := over(ds), over(sq)
		one.nacc(vari, shift, shift)
		vari = one.add(one.atLeast(vari, 0), vecs{scalar("eps")})
		inv := inverse(one.each(fsqrt, vari)[0])
		body := func(s span, biased bool) {
			u := int(s.m)
			y := s.m.sub(s.load(sum), broadcast(mean, u))
			y = s.m.sub(y, broadcast(shift[0], u))
			y = s.m.mul(y, broadcast(inv, u))
			if biased {
				z := s.load(bias)
				s.m.acc(z, y, s.load(gain))
				y = z
			} else {
				y = s.m.mul(y, s.load(gain))
			}
			s.store(y, dst)
		}
		branchZ("CBZ", bias.base, "plain")
		columns("biased", 4, cols, func(s span) { body(s, true) })
		branch("B", "next")
		mark("plain")
		columns("gain", 4, cols, func(s span) { body(s, false) })
		mark("next")
	})
}

// rmsNormRows writes RMS norm or, without gain and mean, the L2 norm.
func rmsNormRows(l2 bool) {
	if l2 {
		text("L2NormF32", "dst *float32, ldd int, x *float32, ldx int, eps float32, rows int, cols int", "",
			"is ref.L2NormF32 for each of the rows. x may be dst.")
	} else {
		text("RMSNormF32", "dst *float32, ldd int, x *float32, ldx int, gain *float32, n float32, eps float32, rows int, cols int", "",
			"is ref.RMSNormF32 for each of the rows; n is float32(cols). x may be dst.")
	}
	dst, x, cols := operandArg("dst", "ldd"), operandArg("x", "ldx"), arg("cols")
	var gain operand
	if !l2 {
		gain = operandArg("gain", "")
	}
	one := simd(1)
	rows([]operand{dst, x}, func() {
		acc := simd(wide).zero()
		columns("sum", wide, cols, func(s span) {
			y := s.load(x)
			s.m.acc(acc, y, y)
		})
		ss := vecs{tree(acc, fadd)}
		if l2 {
			// x / max(norm, eps); a NaN stays.
			norm := one.max(vecs{scalar("eps")}, one.each(fsqrt, ss))[0]
			columns("div", 4, cols, func(s span) { s.store(s.m.div(s.load(x), broadcast(norm, 4)), dst) })
			return
		}
		ss = one.add(one.div(ss, vecs{scalar("n")}), vecs{scalar("eps")})
		inv := inverse(one.each(fsqrt, ss)[0])
		columns("gain", 4, cols, func(s span) {
			y := s.m.mul(s.load(x), broadcast(inv, 4))
			s.store(s.m.mul(y, s.load(gain)), dst)
		})
	})
}

// down calls body for each of the rows of one span: x then lies on that row.
func down(x string, body func(x operand)) {
	n, ld, row := arg("rows"), strideArg("ld"+x), arg(x)
	loop := newLabel("down")
	mark(loop)
	body(operand{row, ""})
	add(row, row, ld)
	subsI(n, n, 1)
	branch("BNE", loop)
}

// columnSums writes the sums over rows that batch, group norm and pooling take.
func columnSums() {
	text("ColumnSumsF32", "sum *float32, x *float32, ldx int, rows int, cols int", "",
		"adds rows to a row, in order:",
		"	for i := range rows {",
		"		for j := range cols { sum[j] += x[i*ldx+j] }",
		"	}",
		"There is at least one row.")
	sum := operandArg("sum", "")
	columns("cols", wide, arg("cols"), func(s span) {
		acc := s.load(sum)
		down("x", func(x operand) { s.m.do(fadd, acc, acc, s.load(x)) })
		s.store(acc, sum)
	})
	ret()

	text("ColumnMomentsF32", "sum *float32, squares *float32, x *float32, ldx int, mean *float32, rows int, cols int", "",
		"adds the deviations of rows from mean, and their squares, in order:",
		"	for i := range rows {",
		"		for j := range cols {",
		"			d := x[i*ldx+j] - mean[j]",
		"			sum[j] += d",
		"			squares[j] = fma(d, d, squares[j])",
		"		}",
		"	}",
		"There is at least one row.")
	sum, squares, mean := operandArg("sum", ""), operandArg("squares", ""), operandArg("mean", "")
	columns("cols", 4, arg("cols"), func(s span) {
		s1, s2, m := s.load(sum), s.load(squares), s.load(mean)
		down("x", func(x operand) {
			d := s.m.sub(s.load(x), m)
			s.m.do(fadd, s1, s1, d)
			s.m.acc(s2, d, d)
		})
		s.store(s1, sum)
		s.store(s2, squares)
	})
	ret()
}

func columnNorm() {
	text("ColumnNormF32", "dst *float32, ldd int, x *float32, ldx int, mean *float32, shift *float32, scale *float32, bias *float32, rows int, cols int", "",
		"normalises columns:",
		"	for i := range rows {",
		"		for j := range cols { dst[i*ldd+j] = fma(x[i*ldx+j]-mean[j]-shift[j], scale[j], bias[j]) }",
		"	}",
		"x may be dst.")
	dst, x, cols := operandArg("dst", "ldd"), operandArg("x", "ldx"), arg("cols")
	mean, shift, scale, bias := operandArg("mean", ""), operandArg("shift", ""), operandArg("scale", ""), operandArg("bias", "")
	rows([]operand{dst, x}, func() {
		columns("cols", 4, cols, func(s span) {
			y := s.m.sub(s.m.sub(s.load(x), s.load(mean)), s.load(shift))
			z := s.load(bias)
			s.m.acc(z, y, s.load(scale))
			s.store(z, dst)
		})
	})

	text("AffineF32", "dst *float32, ldd int, x *float32, ldx int, scale *float32, shift *float32, rows int, cols int", "",
		"is a map of its own for each column:",
		"	for i := range rows {",
		"		for j := range cols { dst[i*ldd+j] = fma(x[i*ldx+j], scale[j], shift[j]) }",
		"	}",
		"x may be dst.")
	dst, x, cols = operandArg("dst", "ldd"), operandArg("x", "ldx"), arg("cols")
	scale, shift = operandArg("scale", ""), operandArg("shift", "")
	rows([]operand{dst, x}, func() {
		columns("cols", 4, cols, func(s span) {
			z := s.load(shift)
			s.m.acc(z, s.load(x), s.load(scale))
			s.store(z, dst)
		})
	})
}
