package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vecMap writes the small elementwise operations.
func vecMap(v isa) {
	matrix := func(name, params, loop string, body func(s span, dst, x operand) vecs) {
		name += "F32" + v.name
		TEXT(name, NOSPLIT, "func(dst *float32, ldd int, x *float32, ldx int, "+params+"rows int, cols int)")
		Pragma("noescape")
		Doc(name+" computes, for rows by cols elements:", "	"+loop, "x may be dst.")
		dst, x, cols := arg("dst", "ldd"), arg("x", "ldx"), Load(Param("cols"), GP64())
		v.rows([]operand{dst, x}, func() {
			v.columns("cols", 2, cols, func(s span) { s.store(body(s, dst, x), dst) })
		})
	}
	matrix("Scale", "s float32, ", "dst[i*ldd+j] = x[i*ldx+j] * s", func(s span, dst, x operand) vecs {
		return s.m.mul(s.load(x), broadcast(v.scalar("s"), s.m.u))
	})
	matrix("Axpy", "s float32, ", "dst[i*ldd+j] = fma(x[i*ldx+j], s, dst[i*ldd+j])", func(s span, dst, x operand) vecs {
		y := s.load(dst)
		s.m.acc(y, s.load(x), broadcast(v.scalar("s"), s.m.u))
		return y
	})
	matrix("Clamp", "low float32, high float32, ", "dst[i*ldd+j] = min(max(x[i*ldx+j], low), high); a NaN stays", func(s span, dst, x operand) vecs {
		y := s.m.op(maxPS, broadcast(v.scalar("low"), s.m.u), s.load(x))
		return s.m.op(minPS, broadcast(v.scalar("high"), s.m.u), y)
	})
	matrix("Max", "", "dst[i*ldd+j] = x[i*ldx+j] if that is larger or NaN", func(s span, dst, x operand) vecs {
		y := s.load(x)
		return s.m.orNaN(s.m.op(maxPS, y, s.load(dst)), y)
	})
	rotary(v)
}

// rotary writes the rotary position embedding of one row.
func rotary(v isa) {
	name := "RotaryF32" + v.name
	TEXT(name, NOSPLIT, "func(x *float32, ldx int, angles *float32, rows int, cols int)")
	Pragma("noescape")
	Doc(name+" turns the heads of a row, ldx floats apart, by angles, cosines before sines:",
		"	for h := range rows {",
		"		for j := range cols {",
		"			u, v := x[h*ldx+j], x[h*ldx+cols+j]",
		"			x[h*ldx+j] = u*angles[j] - v*angles[cols+j]",
		"			x[h*ldx+cols+j] = v*angles[j] + u*angles[cols+j]",
		"		}",
		"	}",
		"Each product is rounded.")
	x, cos, cols := arg("x", "ldx"), arg("angles", ""), Load(Param("cols"), GP64())
	sin, second := operand{base: GP64()}, operand{base: GP64()}
	LEAQ(Mem{Base: cos.base, Index: cols, Scale: 4}, sin.base)
	v.rows([]operand{x}, func() {
		LEAQ(Mem{Base: x.base, Index: cols, Scale: 4}, second.base)
		v.columns("cols", 2, cols, func(s span) {
			c, a, b := s.load(cos), s.load(x), s.load(second)
			d := s.load(sin)
			s.store(s.m.sub(s.m.mul(a, c), s.m.mul(b, d)), x)
			s.store(s.m.add(s.m.mul(b, c), s.m.mul(a, d)), second)
		})
	})
}

// vecConvert writes the conversions between number formats and the search.
// They do whole registers; the façade does the rest in Go.
func vecConvert(v isa) {
	half := func() Register { // half a register: lanes 16-bit numbers
		if v.lanes == 16 {
			return YMM()
		}
		return XMM()
	}
	convert := func(name, dst, src string, dstSize, srcSize int, doc string, body func(from, to Mem)) {
		name += v.name
		TEXT(name, NOSPLIT, "func(dst *"+dst+", src *"+src+", n int)")
		Pragma("noescape")
		Doc(name+" "+doc, label("	for i := range n { dst[i] = convert(src[i]) }"), label("n is a multiple of %d.", v.lanes))
		to, from, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
		TESTQ(n, n)
		JZ(LabelRef("done"))
		Label("loop")
		body(Mem{Base: from}, Mem{Base: to})
		ADDQ(U32(uint32(v.lanes*srcSize)), from)
		ADDQ(U32(uint32(v.lanes*dstSize)), to)
		SUBQ(Imm(uint64(v.lanes)), n)
		JNZ(LabelRef("loop"))
		Label("done")
		VZEROUPPER()
		RET()
	}
	convert("ConvertF16F32", "float32", "uint16", 4, 2, "widens half precision:", func(from, to Mem) {
		x := v.vec()
		VCVTPH2PS(from, x)
		VMOVUPS(x, to)
	})
	convert("ConvertF32F16", "uint16", "float32", 2, 4, "rounds to half precision, to nearest even:", func(from, to Mem) {
		x := v.vec()
		VMOVUPS(from, x)
		VCVTPS2PH(Imm(0), x, to)
	})
	convert("ConvertBF16F32", "float32", "uint16", 4, 2, "widens bfloat16:", func(from, to Mem) {
		x := v.vec()
		VPMOVZXWD(from, x)
		VPSLLD(Imm(16), x, x)
		VMOVUPS(x, to)
	})
	convert("ConvertF32BF16", "uint16", "float32", 2, 4, "rounds to bfloat16, to nearest even; a NaN stays one:", func(from, to Mem) {
		m := simd{v, 1}
		x, odd := v.vec(), v.vec()
		VMOVUPS(from, x)
		VPSRLD(Imm(16), x, odd)
		one, half16 := m.setBits(1), m.setBits(0x7fff)
		and, quiet := m.op(andPS, vecs{odd}, one), m.opBits(orPS, vecs{x}, 0x400000)
		VPADDD(and[0], half16[0], odd)
		VPADDD(x, odd, odd)
		y := vecs{odd}
		// y, or x made quiet if x is a NaN
		if v.lanes == 16 {
			k := K()
			VCMPPS(Imm(3), x, x, k)
			VMOVAPS(quiet[0], k, y[0])
			VPSRLD(Imm(16), y[0], y[0])
			VPMOVDW(y[0], to)
			return
		}
		nan := v.vec()
		VCMPPS(Imm(3), x, x, nan)
		VBLENDVPS(nan, quiet[0], y[0], y[0])
		VPSRLD(Imm(16), y[0], y[0])
		high := XMM()
		VEXTRACTI128(Imm(1), y[0], high)
		VPACKUSDW(high, y[0].AsX(), high)
		VMOVUPS(high, to)
	})
	convert("ConvertF64F32", "float32", "float64", 4, 8, "rounds to single precision, to nearest even:", func(from, to Mem) {
		for i := range 2 {
			h := half()
			if v.lanes == 16 {
				VCVTPD2PS(from.Offset(i*64), h)
				VMOVUPS(h, to.Offset(i*32))
			} else {
				VCVTPD2PSY(from.Offset(i*32), h)
				VMOVUPS(h, to.Offset(i*16))
			}
		}
	})
	convert("ConvertF32F64", "float64", "float32", 8, 4, "widens to double precision:", func(from, to Mem) {
		for i := range 2 {
			x := v.vec()
			VCVTPS2PD(from.Offset(i*v.lanes*2), x)
			VMOVUPD(x, to.Offset(i*v.lanes*4))
		}
	})

	name := "FindAboveF32" + v.name
	TEXT(name, NOSPLIT, "func(x *float32, n int, limit float32) int")
	Pragma("noescape")
	Doc(name+" returns where a block of 32 begins that has an element larger than limit, or a NaN:",
		"	for i := 0; i < n; i += 32 {",
		"		for j := range 32 { if !(x[i+j] <= limit) { return i } }",
		"	}",
		"	return n",
		"n is a multiple of 32.")
	x, n, limit := Load(Param("x"), GP64()), Load(Param("n"), GP64()), v.scalar("limit")
	at := GP64()
	XORQ(at, at)
	CMPQ(at, n)
	JGE(LabelRef("done"))
	Label("loop")
	block := func(i int) Mem { return Mem{Base: x, Index: at, Scale: 4, Disp: i * v.lanes * 4} }
	if v.lanes == 16 {
		k0, k1 := K(), K()
		VCMPPS(Imm(9), block(0), limit, k0) // not limit ≥ x
		VCMPPS(Imm(9), block(1), limit, k1)
		KORTESTW(k0, k1)
		JNZ(LabelRef("done"))
	} else {
		hit := simd{v, 4}.alloc()
		for i, h := range hit {
			VCMPPS(Imm(9), block(i), limit, h)
		}
		VORPS(hit[1], hit[0], hit[0])
		VORPS(hit[3], hit[2], hit[2])
		VORPS(hit[2], hit[0], hit[0])
		bits := GP32()
		VMOVMSKPS(hit[0], bits)
		TESTL(bits, bits)
		JNZ(LabelRef("done"))
	}
	ADDQ(Imm(32), at)
	CMPQ(at, n)
	JLT(LabelRef("loop"))
	Label("done")
	Store(at, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// transpose writes the transposition of blocks of 8 by 8 words.
func transpose() {
	TEXT("TransposeF32AVX2", NOSPLIT, "func(dst *float32, ldd int, x *float32, ldx int, rows int, cols int)")
	Pragma("noescape")
	Doc("TransposeF32AVX2 transposes a matrix whose rows and cols are multiples of 8 (and positive):",
		"	for i := range rows {",
		"		for j := range cols { dst[j*ldd+i] = x[i*ldx+j] }",
		"	}")
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	x, ldx := Load(Param("x"), GP64()), Load(Param("ldx"), GP64())
	rows := Load(Param("rows"), GP64())
	SHLQ(Imm(2), ldd)
	SHLQ(Imm(2), ldx)
	in, out, cols := GP64(), GP64(), GP64()
	// line is the address of line i of 8 from base on.
	line := func(base, base3, base6, ld Register, i int) Mem {
		m := Mem{Base: []Register{base, base3, base6}[i/3]}
		if i%3 > 0 {
			m.Index, m.Scale = ld, uint8(i%3)
		}
		return m
	}
	third := func(base, ld Register) (base3, base6 Register) {
		base3, base6 = GP64(), GP64()
		LEAQ(Mem{Base: base, Index: ld, Scale: 2}, base3)
		ADDQ(ld, base3)
		LEAQ(Mem{Base: base3, Index: ld, Scale: 2}, base6)
		ADDQ(ld, base6)
		return base3, base6
	}
	Label("rows")
	MOVQ(x, in)
	MOVQ(dst, out)
	Load(Param("cols"), cols)
	Label("cols")
	in3, in6 := third(in, ldx)
	r := make([]VecVirtual, 8)
	for i := range r {
		r[i] = YMM()
		VMOVUPS(line(in, in3, in6, ldx, i), r[i])
	}
	pairs := func(f func(lowHigh bool, a, b, d Op), at, step int) {
		a, b := r[at], r[at+step]
		low, high := YMM(), YMM()
		f(false, a, b, low)
		f(true, a, b, high)
		r[at], r[at+step] = low, high
	}
	unpack := func(hi bool, a, b, d Op) {
		if hi {
			VUNPCKHPS(b, a, d)
		} else {
			VUNPCKLPS(b, a, d)
		}
	}
	shuffle := func(hi bool, a, b, d Op) {
		if hi {
			VSHUFPS(Imm(0xee), b, a, d)
		} else {
			VSHUFPS(Imm(0x44), b, a, d)
		}
	}
	lanes := func(hi bool, a, b, d Op) {
		if hi {
			VPERM2F128(Imm(0x31), b, a, d)
		} else {
			VPERM2F128(Imm(0x20), b, a, d)
		}
	}
	for i := 0; i < 8; i += 2 {
		pairs(unpack, i, 1)
	}
	// r[4h], r[4h+1]: the low and high halves of rows 4h, 4h+1; then of 4h+2, 4h+3.
	for h := 0; h < 8; h += 4 {
		pairs(shuffle, h, 2)
		pairs(shuffle, h+1, 2)
	}
	// r[4h+{0,2,1,3}] are columns 0, 1, 2, 3 (and 4 … 7 above) of rows 4h … 4h+3.
	for i := range 4 {
		pairs(lanes, i, 4)
	}
	out3, out6 := third(out, ldd)
	for i, at := range []int{0, 2, 1, 3, 4, 6, 5, 7} {
		VMOVUPS(r[at], line(out, out3, out6, ldd, i))
	}
	ADDQ(Imm(32), in)
	LEAQ(Mem{Base: out, Index: ldd, Scale: 8}, out)
	SUBQ(Imm(8), cols)
	JNZ(LabelRef("cols"))
	LEAQ(Mem{Base: x, Index: ldx, Scale: 8}, x)
	ADDQ(Imm(32), dst)
	SUBQ(Imm(8), rows)
	JNZ(LabelRef("rows"))
	VZEROUPPER()
	RET()
}
