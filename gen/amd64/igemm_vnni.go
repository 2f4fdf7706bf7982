package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var igemmOps = map[string]func(){
	"igemm_avx512vnni":    igemmVNNI,
	"igemm_avx2":          igemmAVX2,
	"igemm_weight_avx512": igemmWeight(avx512),
	"igemm_weight_avx2":   igemmWeight(avx2),
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

const igemmTileType = "func(a *byte, lda int, b *int8, ldb int, init *int32, c *float32, ldc int, k int, cols int, rowScale *float32, colScale *float32)"

// igemmDoc is the loop of a tile; elem is A's element.
func igemmDoc(name, elem, init string, rows, width int) {
	Doc(name+" computes a tile of an exact 8-bit product and scales it:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := "+init,
		fmt.Sprintf("			for p := range 4*k { s += %s * int32(b[j/16*ldb+p/4*64+j%%16*4+p%%4]) }", elem),
		"			c[i*ldc+j] = float32(s) * (rowScale[i]*colScale[j])",
		"		}",
		"	}",
		"lda and ldb are in bytes, k in fours. If rowScale is nil, c holds the int32 s.",
		fmt.Sprintf("0 < cols <= %d; colScale and init are read to the end of the panels.", width))
}

// igemmTileVNNI writes a tile of rows by two panels. VPDPBUSD multiplies
// unsigned by signed bytes without saturation: A is stored with 128 added, and
// init takes 128 times the column sums off again.
func igemmTileVNNI(rows int) {
	name := fmt.Sprintf("GemmU8S8Tile%dx32AVX512VNNI", rows)
	TEXT(name, NOSPLIT, igemmTileType)
	Pragma("noescape")
	igemmDoc(name, "int32(a[i*lda+p])", "init[j] (0 if init is nil)", rows, 32)

	// Few rows: several sums for each element hide the latency. They are exact
	// in any order.
	sums := 1
	for sums*rows*2 < 8 {
		sums *= 2
	}
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	bases, row := rowBases(a, lda, rows)
	b, b1 := Load(Param("b"), GP64()), Load(Param("ldb"), GP64())
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
	init := Load(Param("init"), GP64())
	TESTQ(init, init)
	JZ(LabelRef("start"))
	for r := range acc[0] {
		for i, x := range acc[0][r] {
			VMOVDQU32(Mem{Base: init, Disp: 64 * i}, x)
		}
	}
	Label("start")
	step := func(u int) {
		set := acc[u%sums]
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
		ADDQ(I32(int32(64*n)), b)
		ADDQ(I32(int32(64*n)), b1)
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
	scale := [2]VecVirtual{ZMM(), ZMM()}
	for i, x := range scale {
		VMOVUPS(Mem{Base: colScale, Disp: 64 * i}, x)
	}
	for r := range rows {
		x := ZMM()
		VBROADCASTSS(Mem{Base: rowScale, Disp: 4 * r}, x)
		for i, s := range acc[0][r] {
			y := ZMM()
			VCVTDQ2PS(s, s)
			VMULPS(scale[i], x, y)
			VMULPS(y, s, s)
		}
	}
	Label("raw")
	for r := range rows {
		for i, s := range acc[0][r] {
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

const quantRowsType = "func(dst *byte, ldd int, x *float32, ldx int, scale *float32, rows int, cols int)"

func quantDoc(name, elem, width string) {
	Doc(name+" is ref.QuantizeS8 for each of the rows:",
		"	for i := range rows { scale[i] = ref.QuantizeS8(q, x[i*ldx:][:cols]); dst[i*ldd+…] = "+elem+" }",
		"ldd is in bytes, ldx in floats. A row of dst is written to a multiple of "+width+".")
}

// quantRowsU8 writes the quantization of activations for VPDPBUSD.
func quantRowsU8() {
	name := "QuantizeRowsU8AVX512"
	TEXT(name, NOSPLIT, quantRowsType)
	Pragma("noescape")
	quantDoc(name, "q + 128", "32 bytes")
	v := avx512
	quantRows(v, 2, func(s span, dst Register, inv VecVirtual, x operand) {
		for i, y := range s.load(x) {
			VMULPS(inv, y, y)
			VCVTPS2DQ(y, y)
			VPADDD_BCST(v.bits(128), y, y)
			VPMOVDB(y, Mem{Base: dst, Disp: i * v.lanes})
		}
		ADDQ(I32(int32(2*v.lanes)), dst)
	})
}

// quantRows is the loop over rows of the quantization: the largest magnitude,
// what divides by it, then body for every span, which stores at its second
// argument and moves it on.
func quantRows(v isa, u int, body func(s span, dst Register, inv VecVirtual, x operand)) {
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	x, scale := arg("x", "ldx"), Load(Param("scale"), GP64())
	cols := Load(Param("cols"), GP64())
	n := Load(Param("rows"), GP64())
	TESTQ(n, n)
	JLE(LabelRef("rowsDone"))
	Label("row")
	// Magnitudes compare as integers: an infinity is above all numbers, NaN
	// above that.
	top := make(vecs, u)
	for i := range top {
		top[i] = v.vec()
		v.clear(top[i])
	}
	v.columns("max", u, cols, func(s span) {
		for i, y := range s.m.abs(s.load(x)) {
			VPMAXSD(y, top[i], top[i])
		}
	})
	for i := 1; i < u; i++ {
		VPMAXSD(top[i], top[0], top[0])
	}
	low := top[0].AsX()
	if v.lanes == 16 {
		y := YMM()
		VEXTRACTI64X4(Imm(1), top[0], y)
		VPMAXSD(y, top[0].AsY(), top[0].AsY())
	}
	y := XMM()
	VEXTRACTI128(Imm(1), top[0].AsY(), y)
	VPMAXSD(y, low, low)
	VPSHUFD(Imm(0x4e), low, y)
	VPMAXSD(y, low, low)
	VPSHUFD(Imm(0xb1), low, y)
	VPMAXSD(y, low, low)
	most := GP32()
	VMOVD(low, most)
	s, inv := XMM(), v.vec()
	v.clear(inv)
	VPXOR(s, s, s)
	CMPL(most, U32(0x0d800000)) // 2⁻¹⁰⁰
	JB(LabelRef("scaled"))
	CMPL(most, U32(0x7f800000))
	JAE(LabelRef("notFinite"))
	full := XMM()
	VMOVSS(v.float(127), full)
	VDIVSS(full, low, s)
	q := XMM()
	VDIVSS(low, full, q)
	VBROADCASTSS(q, inv)
	JMP(LabelRef("scaled"))
	Label("notFinite")
	VMOVSS(v.bits(0x7fc00000), s)
	Label("scaled")
	VMOVSS(s, Mem{Base: scale})
	ADDQ(Imm(4), scale)
	to := GP64()
	MOVQ(dst, to)
	v.columns("quantize", u, cols, func(s span) { body(s, to, inv, x) })
	ADDQ(ldd, dst)
	ldx := Load(Param("ldx"), GP64())
	LEAQ(Mem{Base: x.base, Index: ldx, Scale: 4}, x.base)
	DECQ(n)
	JNZ(LabelRef("row"))
	Label("rowsDone")
	VZEROUPPER()
	RET()
}
