package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// softmaxRows writes the softmax of each row in three passes over it.
func softmaxRows(v isa) {
	name := "SoftmaxF32" + v.name
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, x *float32, ldx int, rows int, cols int)")
	Pragma("noescape")
	Doc(name+" is ref.SoftmaxF32 for each of the rows:",
		"	for i := range rows { ref.SoftmaxF32(dst[i*ldd:][:cols], x[i*ldx:][:cols]) }",
		"x may be dst.")
	dst, x := arg("dst", "ldd"), arg("x", "ldx")
	cols := Load(Param("cols"), GP64())
	wide := simd{v, v.wide()}
	v.rows([]operand{dst, x}, func() {
		top := wide.set(minusInf)
		v.columns("max", v.wide(), cols, func(s span) {
			wide.do(maxPS, top, s.loadOr(x, minusInf), top)
		})
		most := v.tree(top, maxLanes)
		sum := wide.zero()
		v.columns("exp", v.wide(), cols, func(s span) {
			for at := 0; at < v.wide(); at += 2 {
				h := s.part(at, 2)
				e := h.m.sub(h.loadOr(x, minusInf), broadcast(most, 2))
				e = h.m.expNegative(e)
				h.m.do(addPS, sum[at:at+2], sum[at:at+2], e)
				h.store(e, dst)
			}
		})
		one := simd{v, 1}
		inv := one.div(one.set(1), vecs{v.tree(sum, addLanes)})
		v.columns("scale", 2, cols, func(s span) {
			s.store(s.m.mul(s.load(dst), broadcast(inv[0], 2)), dst)
		})
	})
}

func layerNormRows(v isa) {
	name := "LayerNormF32" + v.name
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, x *float32, ldx int, residual *float32, ldr int, sum *float32, lds int, gain *float32, bias *float32, n float32, eps float32, rows int, cols int)")
	Pragma("noescape")
	Doc(name+" is ref.LayerNormF32 for each of the rows; n is float32(cols).",
		"residual may be nil: sum is x then. bias may be nil. x, residual and sum may be dst.")
	dst, x, sum, residual := arg("dst", "ldd"), arg("x", "ldx"), arg("sum", "lds"), arg("residual", "ldr")
	gain, bias, cols := arg("gain", ""), arg("bias", ""), Load(Param("cols"), GP64())
	wide, one := simd{v, v.wide()}, simd{v, 1}
	v.rows([]operand{dst, x, sum, residual}, func() {
		acc := wide.zero()
		TESTQ(residual.base, residual.base)
		JNZ(LabelRef("residual"))
		v.columns("sum", v.wide(), cols, func(s span) { wide.do(addPS, acc, acc, s.load(x)) })
		JMP(LabelRef("mean"))
		Label("residual")
		v.columns("add", v.wide(), cols, func(s span) {
			y := s.load(x)
			for i := range y {
				h := s.part(i, 1)
				one.do(addPS, vecs{y[i]}, vecs{y[i]}, h.load(residual))
			}
			s.store(y, sum)
			wide.do(addPS, acc, acc, y)
		})
		Label("mean")
		n := vecs{v.scalar("n")}
		mean := one.div(vecs{v.tree(acc, addLanes)}, n)
		sq, ds := wide.zero(), wide.zero()
		v.columns("var", v.wide(), cols, func(s span) {
			for i := range v.wide() {
				h := s.part(i, 1)
				d := h.keep(one.sub(h.load(sum), mean))
				one.do(addPS, ds[i:i+1], ds[i:i+1], d)
				one.acc(sq[i:i+1], d, d)
			}
		})
		n = vecs{v.scalar("n")}
		shift := one.div(vecs{v.tree(ds, addLanes)}, n)
		vari := one.div(vecs{v.tree(sq, addLanes)}, n)
		one.do(fnma231, vari, shift, shift)
		vari = one.atLeast(vari, 0)
		one.do(addPS, vari, vari, vecs{v.scalar("eps")})
		VSQRTPS(vari[0], vari[0])
		inv := one.div(one.set(1), vari)
		body := func(s span, bias *operand) {
			u := s.m.u
			y := s.m.sub(s.load(sum), broadcast(mean[0], u))
			s.m.do(subPS, y, y, broadcast(shift[0], u))
			s.m.do(mulPS, y, y, broadcast(inv[0], u))
			if bias == nil {
				s.m.do(mulPS, y, y, s.load(gain))
			} else {
				s.m.do(fma213, y, s.load(gain), s.load(*bias))
			}
			s.store(y, dst)
		}
		TESTQ(bias.base, bias.base)
		JZ(LabelRef("plain"))
		v.columns("biased", 2, cols, func(s span) { body(s, &bias) })
		JMP(LabelRef("next"))
		Label("plain")
		v.columns("gain", 2, cols, func(s span) { body(s, nil) })
		Label("next")
	})
}

// rmsNormRows writes RMS norm and, without gain and mean, the L2 norm.
func rmsNormRows(v isa) {
	for _, l2 := range []bool{false, true} {
		name := "RMSNormF32" + v.name
		sig := "func(dst *float32, ldd int, x *float32, ldx int, gain *float32, n float32, eps float32, rows int, cols int)"
		if l2 {
			name = "L2NormF32" + v.name
			sig = "func(dst *float32, ldd int, x *float32, ldx int, eps float32, rows int, cols int)"
		}
		TEXT(name, NOSPLIT, sig)
		Pragma("noescape")
		if l2 {
			Doc(name + " is ref.L2NormF32 for each of the rows. x may be dst.")
		} else {
			Doc(name + " is ref.RMSNormF32 for each of the rows; n is float32(cols). x may be dst.")
		}
		dst, x, cols := arg("dst", "ldd"), arg("x", "ldx"), Load(Param("cols"), GP64())
		var gain operand
		if !l2 {
			gain = arg("gain", "")
		}
		wide, one := simd{v, v.wide()}, simd{v, 1}
		v.rows([]operand{dst, x}, func() {
			acc := wide.zero()
			v.columns("sum", v.wide(), cols, func(s span) {
				y := s.load(x)
				wide.acc(acc, y, y)
			})
			ss := vecs{v.tree(acc, addLanes)}
			if l2 {
				VSQRTPS(ss[0], ss[0])
				// x / max(norm, eps); a NaN stays.
				norm := one.op(maxPS, vecs{v.scalar("eps")}, ss)
				v.columns("div", 2, cols, func(s span) {
					s.store(s.m.div(s.load(x), broadcast(norm[0], 2)), dst)
				})
				return
			}
			ss = one.div(ss, vecs{v.scalar("n")})
			one.do(addPS, ss, ss, vecs{v.scalar("eps")})
			VSQRTPS(ss[0], ss[0])
			inv := one.div(one.set(1), ss)
			v.columns("gain", 2, cols, func(s span) {
				y := s.m.mul(s.load(x), broadcast(inv[0], 2))
				s.m.do(mulPS, y, y, s.load(gain))
				s.store(y, dst)
			})
		})
	}
}

// down calls body for each of the rows of one span: x then lies on that row.
func down(at string, x operand, body func(x operand)) {
	n, ld := Load(Param("rows"), GP64()), Load(Param(x.ld), GP64())
	row := operand{GP64(), ""}
	MOVQ(x.base, row.base)
	Label(at)
	body(row)
	LEAQ(Mem{Base: row.base, Index: ld, Scale: 4}, row.base)
	DECQ(n)
	JNZ(LabelRef(at))
}

func tag(s span) string {
	if s.masks != nil {
		return "tail"
	}
	return "whole"
}

// columnSums writes the sums over rows that batch, group norm and pooling take.
func columnSums(v isa) {
	name := "ColumnSumsF32" + v.name
	TEXT(name, NOSPLIT, "func(sum *float32, x *float32, ldx int, rows int, cols int)")
	Pragma("noescape")
	Doc(name+" adds rows to a row, in order:",
		"	for i := range rows {",
		"		for j := range cols { sum[j] += x[i*ldx+j] }",
		"	}",
		"There is at least one row.")
	sum, x, cols := arg("sum", ""), operand{Load(Param("x"), GP64()), "ldx"}, Load(Param("cols"), GP64())
	v.columns("cols", v.wide(), cols, func(s span) {
		acc := s.load(sum)
		down(tag(s), x, func(x operand) { s.m.do(addPS, acc, acc, s.load(x)) })
		s.store(acc, sum)
	})
	VZEROUPPER()
	RET()

	name = "ColumnMomentsF32" + v.name
	TEXT(name, NOSPLIT, "func(sum *float32, squares *float32, x *float32, ldx int, mean *float32, rows int, cols int)")
	Pragma("noescape")
	Doc(name+" adds the deviations of rows from mean, and their squares, in order:",
		"	for i := range rows {",
		"		for j := range cols {",
		"			d := x[i*ldx+j] - mean[j]",
		"			sum[j] += d",
		"			squares[j] = fma(d, d, squares[j])",
		"		}",
		"	}",
		"There is at least one row.")
	sum, squares, mean := arg("sum", ""), arg("squares", ""), arg("mean", "")
	x, cols = operand{Load(Param("x"), GP64()), "ldx"}, Load(Param("cols"), GP64())
	v.columns("cols", 2, cols, func(s span) {
		s1, s2, m := s.load(sum), s.load(squares), s.load(mean)
		down(tag(s), x, func(x operand) {
			d := s.load(x)
			s.m.do(subPS, d, d, m)
			s.m.do(addPS, s1, s1, d)
			s.m.acc(s2, d, d)
		})
		s.store(s1, sum)
		s.store(s2, squares)
	})
	VZEROUPPER()
	RET()
}

// vecNorm writes what normalises rows and columns.
func vecNorm(v isa) {
	softmaxRows(v)
	layerNormRows(v)
	rmsNormRows(v)
	columnSums(v)
	columnNorm(v)
}

func columnNorm(v isa) {
	name := "ColumnNormF32" + v.name
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, x *float32, ldx int, mean *float32, shift *float32, scale *float32, bias *float32, rows int, cols int)")
	Pragma("noescape")
	Doc(name+" normalises columns:",
		"	for i := range rows {",
		"		for j := range cols { dst[i*ldd+j] = fma(x[i*ldx+j]-mean[j]-shift[j], scale[j], bias[j]) }",
		"	}",
		"x may be dst.")
	dst, x, cols := arg("dst", "ldd"), arg("x", "ldx"), Load(Param("cols"), GP64())
	mean, shift, scale, bias := arg("mean", ""), arg("shift", ""), arg("scale", ""), arg("bias", "")
	v.rows([]operand{dst, x}, func() {
		v.columns("cols", 2, cols, func(s span) {
			y := s.load(x)
			s.m.do(subPS, y, y, s.load(mean))
			s.m.do(subPS, y, y, s.load(shift))
			s.m.do(fma213, y, s.load(scale), s.load(bias))
			s.store(y, dst)
		})
	})

	name = "AffineF32" + v.name
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, x *float32, ldx int, scale *float32, shift *float32, rows int, cols int)")
	Pragma("noescape")
	Doc(name+" is a map of its own for each column:",
		"	for i := range rows {",
		"		for j := range cols { dst[i*ldd+j] = fma(x[i*ldx+j], scale[j], shift[j]) }",
		"	}",
		"x may be dst.")
	dst, x, cols = arg("dst", "ldd"), arg("x", "ldx"), Load(Param("cols"), GP64())
	scale, shift = arg("scale", ""), arg("shift", "")
	v.rows([]operand{dst, x}, func() {
		v.columns("cols", 2, cols, func(s span) {
			y := s.load(x)
			s.m.do(fma213, y, s.load(scale), s.load(shift))
			s.store(y, dst)
		})
	})
}
