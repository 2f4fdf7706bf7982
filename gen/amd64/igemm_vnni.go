package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var igemmOps = map[string]func(){
	"igemm_avx512vnni":  igemmVNNI,
	"igemm_avx512":      igemmAVX512,
	"igemm_avxvnni":     igemmAVXVNNI,
	"igemm_avx2":        igemmAVX2,
	"weight_avx512vnni": igemmWeight(avx512, "AVX512VNNI"),
	"weight_avx2":       igemmWeight(avx2, "AVX2"),
}

// igemmQuad is the number of elements of k that lie side by side in a packed
// weight: a panel is 16 columns of 4.
const igemmQuad = 4

const (
	igemmTallVNNI = 12
	igemmTallAVX2 = 6
)

func igemmVNNI() {
	for rows := igemmTallVNNI; rows >= 1; rows-- {
		igemmTileVNNI(rows)
	}
	quantRowsU8()
	emitConstants(avx512)
}

const igemmTileType = "func(a *byte, lda int, b *int8, ldb int, next *int8, c *float32, ldc int, k int, cols int, add bool, zero *int32, sums *int32, rowScale *float32, colScale *float32)"

// igemmDoc is the loop of a tile; elem is A's element, less what is taken off
// the sum for it.
func igemmDoc(name, elem, less string, rows, width int) {
	Doc(name+" computes a tile of an exact 8-bit product and scales it:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := 0",
		fmt.Sprintf("			for p := range 4*k { s += %s * int32(b[j/16*ldb+p/4*64+j%%16*4+p%%4]) }", elem),
		"			c[i*ldc+j] = fma(float32(s"+less+"), rowScale[i]*colScale[j], c[i*ldc+j] if add, else 0)",
		"		}",
		"	}",
		"lda and ldb are in bytes, k in fours. If rowScale is nil, c holds the int32 s.",
		fmt.Sprintf("0 < cols <= %d; colScale and sums are read to the end of the panels. As many bytes as", width),
		"the panels have are brought from next into L2.")
}

// igemmTileVNNI writes a tile of rows by two panels. VPDPBUSD multiplies
// unsigned by signed bytes without saturation; the zero point of a row times
// the sum of a column comes off at the end.
func igemmTileVNNI(rows int) {
	name := fmt.Sprintf("GemmU8S8Tile%dx32AVX512VNNI", rows)
	TEXT(name, NOSPLIT, igemmTileType)
	Pragma("noescape")
	igemmDoc(name, "int32(a[i*lda+p])", " - zero[i]*sums[j]", rows, 32)

	// Few rows: several sums for each element hide the latency. They are exact
	// in any order.
	sums := 1
	for sums*rows*2 < 8 {
		sums *= 2
	}
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	bases, row := rowBases(a, lda, rows)
	b, b1 := Load(Param("b"), GP64()), Load(Param("ldb"), GP64())
	next, next1 := Load(Param("next"), GP64()), GP64()
	LEAQ(Mem{Base: next, Index: b1, Scale: 1}, next1)
	ADDQ(b, b1)
	acc := make([][][2]VecVirtual, sums)
	for s := range acc {
		acc[s] = make([][2]VecVirtual, rows)
		for r := range acc[s] {
			acc[s][r] = [2]VecVirtual{ZMM(), ZMM()}
			for _, x := range acc[s][r] {
				VPXORD(x, x, x)
			}
		}
	}
	step := func(u int) {
		set := acc[u%sums]
		PREFETCHT1(Mem{Base: next, Disp: 64 * u})
		PREFETCHT1(Mem{Base: next1, Disp: 64 * u})
		w := [2]Mem{{Base: b, Disp: 64 * u}, {Base: b1, Disp: 64 * u}}
		if rows == 1 {
			x := ZMM()
			VPBROADCASTD(row(0, 4*u), x)
			for i, s := range set[0] {
				VPDPBUSD(w[i], x, s)
			}
			return
		}
		v := [2]VecVirtual{ZMM(), ZMM()}
		for i := range v {
			VMOVDQU32(w[i], v[i])
		}
		for r := range rows {
			x := ZMM()
			VPBROADCASTD(row(r, 4*u), x)
			for i, s := range set[r] {
				VPDPBUSD(v[i], x, s)
			}
		}
	}
	advance := func(n int) {
		for _, r := range bases {
			ADDQ(Imm(uint64(4*n)), r)
		}
		for _, r := range []Register{b, b1, next, next1} {
			ADDQ(I32(int32(64*n)), r)
		}
	}
	k := Load(Param("k"), GP64())
	igemmLoop(k, 4, step, advance)
	for s := sums / 2; s >= 1; s /= 2 {
		for i := range s {
			for r := range rows {
				for p := range 2 {
					VPADDD(acc[i+s][r][p], acc[i][r][p], acc[i][r][p])
				}
			}
		}
	}

	igemmFinishAVX512(acc[0], true)
}

// igemmFinishAVX512 scales the sums, adds them to C or nothing and stores them.
// If correct, the zero point of each row times the sum of each column comes off
// first.
func igemmFinishAVX512(acc [][2]VecVirtual, correct bool) {
	rows := len(acc)
	c, ldc, cols := Load(Param("c"), GP64()), Load(Param("ldc"), GP64()), GP64()
	Load(Param("cols"), cols)
	SHLQ(Imm(2), ldc)
	ones := GP32()
	MOVL(U32(0xffffffff), ones)
	BZHIL(cols.As32(), ones, ones)
	masks := [2]Register{K(), K()}
	KMOVW(ones, masks[0])
	SHRL(Imm(16), ones)
	KMOVW(ones, masks[1])
	rowScale, colScale := Load(Param("rowScale"), GP64()), Load(Param("colScale"), GP64())
	TESTQ(rowScale, rowScale)
	JZ(LabelRef("raw"))
	if correct {
		zero, sums := Load(Param("zero"), GP64()), Load(Param("sums"), GP64())
		sum := [2]VecVirtual{ZMM(), ZMM()}
		for i, x := range sum {
			VMOVDQU32(Mem{Base: sums, Disp: 64 * i}, x)
		}
		for r := range rows {
			x := ZMM()
			VPBROADCASTD(Mem{Base: zero, Disp: 4 * r}, x)
			for i, s := range acc[r] {
				y := ZMM()
				VPMULLD(sum[i], x, y)
				VPSUBD(y, s, s)
			}
		}
	}
	scale := [2]VecVirtual{ZMM(), ZMM()}
	for i, x := range scale {
		VMOVUPS(Mem{Base: colScale, Disp: 64 * i}, x)
	}
	// What there is to add passes through masks that are empty if there is none.
	add := Load(Param("add"), GP32())
	NEGL(add)
	loads := [2]Register{K(), K()}
	for i, m := range loads {
		KMOVW(add, m)
		KANDW(masks[i], m, m)
	}
	at := GP64()
	MOVQ(c, at)
	for r := range rows {
		x := ZMM()
		VBROADCASTSS(Mem{Base: rowScale, Disp: 4 * r}, x)
		for i, s := range acc[r] {
			y, before := ZMM(), ZMM()
			VMOVUPS_Z(Mem{Base: at, Disp: 64 * i}, loads[i], before)
			VCVTDQ2PS(s, s)
			VMULPS(scale[i], x, y)
			VFMADD213PS(before, y, s)
		}
		if r < rows-1 {
			ADDQ(ldc, at)
		}
	}
	Label("raw")
	for r := range rows {
		for i, s := range acc[r] {
			VMOVUPS(s, masks[i], Mem{Base: c, Disp: 64 * i})
		}
		if r < rows-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}

// igemmLoop runs step k times, unroll at a time.
func igemmLoop(k Register, unroll int, step, advance func(n int)) {
	SUBQ(Imm(uint64(unroll)), k)
	JL(LabelRef("tail"))
	Label("loop")
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	SUBQ(Imm(uint64(unroll)), k)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(uint64(unroll)), k)
	JZ(LabelRef("sum"))
	Label("one")
	step(0)
	advance(1)
	DECQ(k)
	JNZ(LabelRef("one"))
	Label("sum")
}

const quantRowsType = "func(dst *byte, ldd int, x *float32, ldx int, scale *float32, zero *int32, rows int, cols int)"

func quantDoc(name, elem, width string) {
	Doc(name+" is ref.QuantizeU8 for each of the rows:",
		"	for i := range rows { scale[i], zero[i] = ref.QuantizeU8(q, x[i*ldx:][:cols]); dst[i*ldd+…] = "+elem+" }",
		"ldd is in bytes, ldx in floats. A row of dst is written to a multiple of "+width+".")
}

// quantRowsU8 writes the quantization of activations for VPDPBUSD.
func quantRowsU8() {
	name := "QuantizeRowsU8AVX512"
	TEXT(name, NOSPLIT, quantRowsType)
	Pragma("noescape")
	quantDoc(name, "q", "32 bytes")
	v := avx512
	quantRows(v, 2, func(s span, dst Register, inv, zero VecVirtual, x operand) {
		for i, y := range s.load(x) {
			VMULPS(inv, y, y)
			VCVTPS2DQ(y, y)
			VPADDD(zero, y, y)
			VPMOVUSDB(y, Mem{Base: dst, Disp: i * v.lanes})
		}
		ADDQ(I32(int32(2*v.lanes)), dst)
	})
}

// quantRows is the loop over rows of the quantization: the range, what divides
// by it, then body for every span, which stores at its second argument and
// moves it on.
func quantRows(v isa, u int, body func(s span, dst Register, inv, zero VecVirtual, x operand)) {
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	x, scale, zeros := arg("x", "ldx"), Load(Param("scale"), GP64()), Load(Param("zero"), GP64())
	cols := Load(Param("cols"), GP64())
	n := Load(Param("rows"), GP64())
	TESTQ(n, n)
	JLE(LabelRef("rowsDone"))
	Label("row")
	// Magnitudes compare as integers: an infinity is above all numbers, NaN
	// above that.
	m := simd{v, u}
	top, low, high := m.zero(), m.zero(), m.zero()
	v.columns("range", u, cols, func(s span) {
		y := s.load(x)
		for i := range y {
			VMINPS(y[i], low[i], low[i])
			VMAXPS(y[i], high[i], high[i])
		}
		for i, y := range s.m.abs(y) {
			VPMAXSD(y, top[i], top[i])
		}
	})
	most, bits := GP32(), GP32()
	VMOVD(v.reduce(top, VPMAXSD), most)
	lo, hi := v.reduce(low, VMINPS), v.reduce(high, VMAXPS)
	s, inv, zero := XMM(), v.vec(), v.vec()
	v.clear(inv)
	v.clear(zero)
	VXORPS(s, s, s)
	z := GP32()
	XORL(z, z)
	VSUBSS(lo, hi, hi)
	VMOVD(hi, bits)
	CMPL(most, U32(0x7f800000))
	JAE(LabelRef("notFinite"))
	CMPL(bits, U32(0x7f800000))
	JAE(LabelRef("notFinite"))
	CMPL(bits, U32(0x0d800000)) // 2⁻¹⁰⁰
	JB(LabelRef("scaled"))
	full, q, none := XMM(), XMM(), XMM()
	VMOVSS(v.float(255), full)
	VDIVSS(full, hi, s)
	VDIVSS(hi, full, q)
	VBROADCASTSS(q, inv)
	VXORPS(none, none, none)
	VMULSS(q, lo, lo)
	VSUBSS(lo, none, lo)
	VCVTSS2SI(lo, z)
	VMOVD(z, lo)
	VPBROADCASTD(lo, zero)
	JMP(LabelRef("scaled"))
	Label("notFinite")
	VMOVSS(v.bits(0x7fc00000), s)
	Label("scaled")
	VMOVSS(s, Mem{Base: scale})
	MOVL(z, Mem{Base: zeros})
	ADDQ(Imm(4), scale)
	ADDQ(Imm(4), zeros)
	to := GP64()
	MOVQ(dst, to)
	v.columns("quantize", u, cols, func(s span) { body(s, to, inv, zero, x) })
	ADDQ(ldd, dst)
	ldx := Load(Param("ldx"), GP64())
	LEAQ(Mem{Base: x.base, Index: ldx, Scale: 4}, x.base)
	DECQ(n)
	JNZ(LabelRef("row"))
	Label("rowsDone")
	VZEROUPPER()
	RET()
}

// reduce joins all lanes by f, in an order that does not show, and returns the
// register whose lowest lane holds the result. x is overwritten.
func (v isa) reduce(x vecs, f func(ops ...Op)) VecVirtual {
	for _, y := range x[1:] {
		f(y, x[0], x[0])
	}
	if v.lanes == 16 {
		y := YMM()
		VEXTRACTI64X4(Imm(1), x[0], y)
		f(y, x[0].AsY(), x[0].AsY())
	}
	low, y := x[0].AsX().(VecVirtual), XMM()
	VEXTRACTI128(Imm(1), x[0].AsY(), y)
	f(y, low, low)
	VPSHUFD(Imm(0x4e), low, y)
	f(y, low, low)
	VPSHUFD(Imm(0xb1), low, y)
	f(y, low, low)
	return low
}
