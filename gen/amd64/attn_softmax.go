package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attnSoftmax writes what lies between the two products: scale, bias and
// maximum; exponentials and their sums; and the last division.
func attnSoftmax(v isa) {
	attnScores(v)
	attnExp(v)
	attnScale(v)
	attnFinish(v)
	emitConstants(v)
}

// tail is the mask of the first n of a register's lanes.
type tail struct {
	k Register   // AVX-512
	y VecVirtual // AVX2
}

// newTail makes the mask of the first n lanes, n below the register's width.
func newTail(v isa, n Register) tail {
	if v.lanes == 16 {
		ones, k := GP32(), K()
		MOVQ(n, RCX)
		MOVL(U32(1), ones)
		SHLL(CL, ones)
		DECL(ones)
		KMOVW(ones, k)
		return tail{k: k}
	}
	at, y := GP64(), YMM()
	LEAQ(tailMask(), at)
	NEGQ(n)
	VMOVDQU(Mem{Base: at, Index: n, Scale: 4, Disp: 32}, y)
	NEGQ(n)
	return tail{y: y}
}

var tailMaskData *Mem

// tailMask is eight lanes of ones and eight of zeros.
func tailMask() Mem {
	if tailMaskData == nil {
		m := GLOBL("attnTail", RODATA|NOPTR)
		for i := range 16 {
			mask := U32(0)
			if i < 8 {
				mask = 0xffffffff
			}
			DATA(4*i, mask)
		}
		tailMaskData = &m
	}
	return *tailMaskData
}

// load reads the lanes of the mask and nothing behind them; the rest are 0.
func (t tail) load(m Mem, x VecVirtual) {
	if t.k != nil {
		VMOVUPS_Z(m, t.k, x)
	} else {
		VMASKMOVPS(m, t.y, x)
	}
}

// store writes the lanes of the mask and nothing behind them.
func (t tail) store(x VecVirtual, m Mem) {
	if t.k != nil {
		VMOVUPS(x, t.k, m)
	} else {
		VMASKMOVPS(x, t.y, m)
	}
}

// pick takes x in the lanes of the mask and y elsewhere.
func (t tail) pick(x, y, dst VecVirtual) {
	if t.k != nil {
		VBLENDMPS(x, y, t.k, dst)
	} else {
		VBLENDVPS(t.y, x, y, dst)
	}
}

func attnScores(v isa) {
	name := "AttnScoresF32" + v.name
	width := uint64(v.lanes)
	TEXT(name, NOSPLIT, "func(s *float32, lds int, bias *float32, ldbias int, m *float32, rows int, n int, grow int, pad int, scale float32)")
	Pragma("noescape")
	Doc(name+" turns products into scores and finds each row's largest:",
		"	for i := range rows {",
		"		for j := range n + i*grow {",
		"			x := s[i*lds+j] * scale",
		"			if bias != nil { x += bias[i*ldbias+j], or x = -Inf where that is -Inf }",
		"			s[i*lds+j] = x",
		"			m[i] = max(m[i], x), or m[i] where x is NaN",
		"		}",
		"		for j := n + i*grow; j < n+pad; j++ { s[i*lds+j] = -Inf }",
		"	}",
		fmt.Sprintf("A row of s has room for %d floats behind n+pad.", v.lanes-1))
	s, lds := Load(Param("s"), GP64()), Load(Param("lds"), GP64())
	bias, ldbias := Load(Param("bias"), GP64()), Load(Param("ldbias"), GP64())
	m, rows := Load(Param("m"), GP64()), Load(Param("rows"), GP64())
	SHLQ(Imm(2), lds)
	SHLQ(Imm(2), ldbias)
	TESTQ(bias, bias)
	CMOVQEQ(bias, ldbias) // nil stays nil
	scale := v.vec()
	sc, _ := Param("scale").Resolve()
	VBROADCASTSS(sc.Addr, scale)
	negInf := simd{v, 1}.set(float32(math.Inf(-1)))[0]
	count, n, rest, end := GP64(), GP64(), GP64(), GP64()
	Load(Param("n"), count)
	Load(Param("pad"), end)
	ADDQ(count, end)
	j := GP64()

	Label("row")
	MOVQ(count, n) // whole registers and the rest
	MOVQ(n, rest)
	ANDQ(Imm(width-1), rest)
	SUBQ(rest, n)
	mask := newTail(v, rest)
	// Two maxima hide the latency; the order does not show.
	max0, max1 := v.vec(), v.vec()
	VBROADCASTSS(Mem{Base: m}, max0)
	VMOVAPS(max0, max1)
	XORQ(j, j)
	at := func(r Register, disp int) Mem { return Mem{Base: r, Index: j, Scale: 4, Disp: disp} }
	add := func(x, b VecVirtual) { // x += b, or -Inf where b is
		if v.lanes == 16 {
			k := K()
			VCMPPS(Imm(0), negInf, b, k)
			VADDPS(b, x, x)
			VMOVAPS(negInf, k, x)
			return
		}
		is := v.vec()
		VCMPPS(Imm(0), negInf, b, is)
		VADDPS(b, x, x)
		VBLENDVPS(is, negInf, x, x)
	}
	// loop runs over whole registers, two at a time and one.
	loop := func(label string, biased bool) {
		two, one, last := label+"Two", label+"One", label+"Tail"
		one1 := func(disp int, top VecVirtual) {
			x := v.vec()
			VMULPS(at(s, disp), scale, x)
			if biased {
				b := v.vec()
				VMOVUPS(at(bias, disp), b)
				add(x, b)
			}
			VMOVUPS(x, at(s, disp))
			VMAXPS(top, x, top) // the second operand where x is NaN
		}
		SUBQ(Imm(2*width), n)
		CMPQ(j, n)
		JG(LabelRef(one))
		Label(two)
		one1(0, max0)
		one1(v.lanes*4, max1)
		ADDQ(Imm(2*width), j)
		CMPQ(j, n)
		JLE(LabelRef(two))
		Label(one)
		ADDQ(Imm(2*width), n)
		CMPQ(j, n)
		JGE(LabelRef(last))
		one1(0, max0)
		ADDQ(Imm(width), j)
		Label(last)
		TESTQ(rest, rest)
		JZ(LabelRef("pad"))
		x := v.vec()
		VMULPS(at(s, 0), scale, x)
		if biased {
			b := v.vec()
			mask.load(at(bias, 0), b)
			add(x, b)
		}
		mask.pick(x, negInf, x)
		VMOVUPS(x, at(s, 0))
		VMAXPS(max0, x, max0)
		ADDQ(Imm(width), j)
	}
	TESTQ(bias, bias)
	JNZ(LabelRef("biased"))
	loop("plain", false)
	JMP(LabelRef("pad"))
	Label("biased")
	loop("biased", true)

	Label("pad")
	CMPQ(j, end)
	JGE(LabelRef("reduce"))
	VMOVUPS(negInf, at(s, 0))
	ADDQ(Imm(width), j)
	JMP(LabelRef("pad"))

	Label("reduce")
	VMAXPS(max1, max0, max0)
	VMOVSS(attnReduce(v, max0, func(a, b, dst Op) { VMAXPS(a, b, dst) }), Mem{Base: m})
	ADDQ(lds, s)
	ADDQ(ldbias, bias)
	grow, _ := Param("grow").Resolve()
	ADDQ(grow.Addr, count)
	ADDQ(Imm(4), m)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

// attnReduce folds a register: +8 (AVX-512), +4, +2, +1.
func attnReduce(v isa, x VecVirtual, op func(a, b, dst Op)) VecVirtual {
	if v.lanes == 16 {
		hi := YMM()
		VEXTRACTF64X4(Imm(1), x, hi)
		op(hi, x.AsY(), hi)
		x = hi
	}
	h := XMM()
	VEXTRACTF128(Imm(1), x.AsY(), h)
	op(h, x.AsX(), h)
	t := XMM()
	VMOVHLPS(h, h, t)
	op(t, h, h)
	VMOVSHDUP(h, t)
	op(t, h, h)
	return h
}

func attnExp(v isa) {
	name := "AttnExpF32" + v.name
	TEXT(name, NOSPLIT, "func(s *float32, lds int, m *float32, sum *float32, rows int, n int)")
	Pragma("noescape")
	Doc(name+" turns scores into weights and sums them in 32 lanes:",
		"	for i := range rows {",
		"		for j := range n {",
		"			s[i*lds+j] = exp(s[i*lds+j] - m[i])",
		"			sum[i*32+j%32] += s[i*lds+j]",
		"		}",
		"	}",
		"n is a multiple of 32.")
	s, lds := Load(Param("s"), GP64()), Load(Param("lds"), GP64())
	m, sum := Load(Param("m"), GP64()), Load(Param("sum"), GP64())
	rows, n := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(2), lds)
	in, left := GP64(), GP64()
	Label("row")
	MOVQ(s, in)
	MOVQ(n, left)
	top := v.vec()
	VBROADCASTSS(Mem{Base: m}, top)
	lanes := make([]VecVirtual, 32/v.lanes)
	for i := range lanes {
		lanes[i] = v.vec()
		VMOVUPS(Mem{Base: sum, Disp: i * v.lanes * 4}, lanes[i])
	}
	SUBQ(Imm(32), left)
	JL(LabelRef("next"))
	Label("loop")
	const side = 2
	for i := 0; i < len(lanes); i += side {
		m := simd{v, side}
		x := m.alloc()
		at := func(j int) Mem { return Mem{Base: in, Disp: (i + j) * v.lanes * 4} }
		for j := range x {
			VMOVUPS(at(j), x[j])
			VSUBPS(top, x[j], x[j])
		}
		for j, y := range m.expNegative(x) {
			VMOVUPS(y, at(j))
			VADDPS(y, lanes[i+j], lanes[i+j])
		}
	}
	ADDQ(I32(128), in)
	SUBQ(Imm(32), left)
	JGE(LabelRef("loop"))
	Label("next")
	for i := range lanes {
		VMOVUPS(lanes[i], Mem{Base: sum, Disp: i * v.lanes * 4})
	}
	ADDQ(lds, s)
	ADDQ(Imm(4), m)
	ADDQ(I32(128), sum)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}

func attnScale(v isa) {
	name := "AttnScaleF32" + v.name
	TEXT(name, NOSPLIT, "func(x *float32, n int, f float32)")
	Pragma("noescape")
	Doc(name+" is",
		"	for i := range n { x[i] *= f }",
		"n is a multiple of 16.")
	x, n := Load(Param("x"), GP64()), Load(Param("n"), GP64())
	f := v.vec()
	p, _ := Param("f").Resolve()
	VBROADCASTSS(p.Addr, f)
	TESTQ(n, n)
	JZ(LabelRef("done"))
	Label("loop")
	for i := 0; i < 16; i += v.lanes {
		y := v.vec()
		VMULPS(Mem{Base: x, Disp: 4 * i}, f, y)
		VMOVUPS(y, Mem{Base: x, Disp: 4 * i})
	}
	ADDQ(Imm(64), x)
	SUBQ(Imm(16), n)
	JG(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

func attnFinish(v isa) {
	name := "AttnFinishF32" + v.name
	width := uint64(v.lanes)
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, acc *float32, ldacc int, sum *float32, rows int, n int) bool")
	Pragma("noescape")
	Doc(name+" divides by the sum of the weights:",
		"	nan := false",
		"	for i := range rows {",
		"		t := sum of sum[i*32:i*32+32]: lane l takes lane l+16, then l+8, l+4, l+2, l+1",
		"		f := 1/t, or 0 if t is 0",
		"		for j := range n {",
		"			dst[i*ldd+j] = (acc[i*ldacc+j] + 0) * f",
		"			nan = nan || dst[i*ldd+j] is NaN",
		"		}",
		"	}",
		"	return nan")
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	acc, ldacc := Load(Param("acc"), GP64()), Load(Param("ldacc"), GP64())
	sum, rows := Load(Param("sum"), GP64()), Load(Param("rows"), GP64())
	n, rest := Load(Param("n"), GP64()), GP64()
	SHLQ(Imm(2), ldd)
	SHLQ(Imm(2), ldacc)
	MOVQ(n, rest)
	ANDQ(Imm(width-1), rest)
	SUBQ(rest, n)
	mask := newTail(v, rest)
	null := v.vec()
	v.clear(null)
	nan := newNaNs(v)
	one := XMM()
	VMOVSS(v.float(1), one)
	j := GP64()
	Label("row")
	plus := func(a, b, c Op) { VADDPS(a, b, c) }
	var t VecVirtual
	if v.lanes == 16 {
		t = v.vec()
		VMOVUPS(Mem{Base: sum}, t)
		VADDPS(Mem{Base: sum, Disp: 64}, t, t)
	} else {
		t = v.vec()
		u := v.vec()
		VMOVUPS(Mem{Base: sum}, t)
		VMOVUPS(Mem{Base: sum, Disp: 32}, u)
		VADDPS(Mem{Base: sum, Disp: 64}, t, t)
		VADDPS(Mem{Base: sum, Disp: 96}, u, u)
		VADDPS(u, t, t)
	}
	total := attnReduce(v, t, plus)
	inv, isZero := XMM(), XMM()
	VDIVSS(total, one, inv)
	VCMPPS(Imm(0), null.AsX(), total, isZero)
	VANDNPS(inv, isZero, inv)
	f := v.vec()
	VBROADCASTSS(inv, f)
	XORQ(j, j)
	at := func(r Register) Mem { return Mem{Base: r, Index: j, Scale: 4} }
	Label("loop")
	CMPQ(j, n)
	JGE(LabelRef("tail"))
	y := v.vec()
	VADDPS(at(acc), null, y)
	VMULPS(f, y, y)
	VMOVUPS(y, at(dst))
	nan.note(y)
	ADDQ(Imm(width), j)
	JMP(LabelRef("loop"))
	Label("tail")
	TESTQ(rest, rest)
	JZ(LabelRef("next"))
	mask.load(at(acc), y)
	VADDPS(y, null, y)
	VMULPS(f, y, y)
	mask.store(y, at(dst))
	mask.pick(y, null, y)
	nan.note(y)
	Label("next")
	ADDQ(ldd, dst)
	ADDQ(ldacc, acc)
	ADDQ(I32(128), sum)
	DECQ(rows)
	JNZ(LabelRef("row"))
	any := GP8()
	nan.any()
	SETNE(any)
	Store(any, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// nans remembers whether a register held a NaN.
type nans struct {
	k Register   // AVX-512
	y VecVirtual // AVX2
}

func newNaNs(v isa) nans {
	if v.lanes == 16 {
		none, k := GP32(), K()
		XORL(none, none)
		KMOVW(none, k)
		return nans{k: k}
	}
	y := YMM()
	VXORPS(y, y, y)
	return nans{y: y}
}

func (n nans) note(x VecVirtual) {
	if n.k != nil {
		k := K()
		VCMPPS(Imm(3), x, x, k)
		KORW(k, n.k, n.k)
		return
	}
	y := YMM()
	VCMPPS(Imm(3), x, x, y)
	VORPS(y, n.y, n.y)
}

// any clears the zero flag if there was one.
func (n nans) any() {
	r := GP32()
	if n.k != nil {
		KMOVW(n.k, r)
	} else {
		VMOVMSKPS(n.y, r)
	}
	TESTL(r, r)
}
