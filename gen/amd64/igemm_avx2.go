package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func igemmAVX2() {
	for rows := igemmTallAVX2; rows >= 1; rows-- {
		igemmTileWords(avx2, rows)
	}
	for rows := igemmTallAVX2; rows >= 1; rows-- {
		igemmTilePairs(avx2, rows)
	}
	quantRowsS16()
	widenU8S16()
	emitConstants(avx2)
	emitVecTail()
	igemmShuffles()
}

// igemmAVX512 is for CPUs without VNNI. A is stored as AVX2 stores it.
func igemmAVX512() {
	for rows := igemmTallVNNI; rows >= 1; rows-- {
		igemmTileWords(avx512, rows)
	}
	for rows := igemmTallVNNI; rows >= 1; rows-- {
		igemmTilePairs(avx512, rows)
	}
	emitConstants(avx512)
}

// igemmTileWords writes a tile of rows by two registers of sums. VPMADDUBSW
// may saturate at 16 bits where both operands use all of their eight, so
// both are widened to 16 bits and multiplied by VPMADDWD, which is exact: the
// same count of multiplications (VPMADDUBSW needs a VPMADDWD to follow it), with
// 8 full bits on both sides and the zero point taken off before.
//
// The even and the odd elements of k are multiplied in turn: a shift by 8
// leaves either of them, extended, in the weights' 16-bit lanes. A holds k in
// the order 0 2 1 3.
func igemmTileWords(v isa, rows int) {
	width := 2 * v.lanes
	name := fmt.Sprintf("GemmS16S8Tile%dx%d%s", rows, width, v.name)
	TEXT(name, NOSPLIT, igemmTileType)
	Pragma("noescape")
	igemmDoc(name, "int32(A[i][p])", "", rows, width)
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	bases, row := rowBases(a, lda, rows)
	panels, nexts, weights := igemmPanels(v)
	acc := make([][2]VecVirtual, rows)
	for r := range acc {
		acc[r] = [2]VecVirtual{v.vec(), v.vec()}
		for _, x := range acc[r] {
			v.clear(x)
		}
	}
	step := func(u int) {
		for _, next := range nexts {
			PREFETCHT1(Mem{Base: next, Disp: 64 * u})
		}
		for odd := range 2 {
			w := [2]VecVirtual{v.vec(), v.vec()}
			for i, x := range w {
				VMOVUPS(weights(u, i), x)
				if odd == 0 {
					VPSLLW(Imm(8), x, x)
				}
				VPSRAW(Imm(8), x, x)
			}
			for r := range rows {
				x, y := v.vec(), v.vec()
				VPBROADCASTD(row(r, 8*u+4*odd), x)
				VPMADDWD(w[0], x, y)
				VPADDD(y, acc[r][0], acc[r][0])
				VPMADDWD(w[1], x, x)
				VPADDD(x, acc[r][1], acc[r][1])
			}
		}
	}
	advance := func(n int) {
		for _, r := range bases {
			ADDQ(Imm(uint64(8*n)), r)
		}
		for _, r := range append(panels, nexts...) {
			ADDQ(I32(int32(64*n)), r)
		}
	}
	igemmLoop(Load(Param("k"), GP64()), 2, step, advance)
	igemmFinish(v, acc, false)
}

// igemmPanels loads where the panels of a tile of two registers are, and those
// to fetch. weights is where the weights of register i are in step u.
func igemmPanels(v isa) (panels, nexts []Register, weights func(u, i int) Mem) {
	panels = []Register{Load(Param("b"), GP64())}
	nexts = []Register{Load(Param("next"), GP64())}
	if v.lanes == 16 {
		ldb, next := Load(Param("ldb"), GP64()), GP64()
		LEAQ(Mem{Base: nexts[0], Index: ldb, Scale: 1}, next)
		ADDQ(panels[0], ldb)
		panels, nexts = append(panels, ldb), append(nexts, next)
	}
	return panels, nexts, func(u, i int) Mem {
		at := i * v.lanes / 16
		return Mem{Base: panels[at], Disp: 64*u + 4*(i*v.lanes-16*at)}
	}
}

// igemmTilePairs writes a tile for weights of which no two that lie side by
// side can take VPMADDUBSW out of its 16 bits: it is exact then, and a VPMADDWD
// by ones adds what it has in pairs.
func igemmTilePairs(v isa, rows int) {
	width := 2 * v.lanes
	name := fmt.Sprintf("GemmU8S7Tile%dx%d%s", rows, width, v.name)
	TEXT(name, NOSPLIT, igemmTileType)
	Pragma("noescape")
	igemmDoc(name, "int32(a[i*lda+p])", " - zero[i]*sums[j]", rows, width)
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	bases, row := rowBases(a, lda, rows)
	panels, nexts, weights := igemmPanels(v)
	acc := make([][2]VecVirtual, rows)
	for r := range acc {
		acc[r] = [2]VecVirtual{v.vec(), v.vec()}
		for _, x := range acc[r] {
			v.clear(x)
		}
	}
	ones := simd{v, 1}.setBits(0x0001_0001)[0]
	step := func(u int) {
		for _, next := range nexts {
			PREFETCHT1(Mem{Base: next, Disp: 64 * u})
		}
		w := []Op{weights(u, 0), weights(u, 1)}
		if v.lanes == 16 { // there are registers for them
			for i, at := range w {
				x := v.vec()
				VMOVUPS(at, x)
				w[i] = x
			}
		}
		for r := range rows {
			x := v.vec()
			VPBROADCASTD(row(r, 4*u), x)
			for i, w := range w {
				y := v.vec()
				VPMADDUBSW(w, x, y)
				VPMADDWD(ones, y, y)
				VPADDD(y, acc[r][i], acc[r][i])
			}
		}
	}
	advance := func(n int) {
		for _, r := range bases {
			ADDQ(Imm(uint64(4*n)), r)
		}
		for _, r := range append(panels, nexts...) {
			ADDQ(I32(int32(64*n)), r)
		}
	}
	igemmLoop(Load(Param("k"), GP64()), 4, step, advance)
	igemmFinish(v, acc, true)
}

func igemmFinish(v isa, acc [][2]VecVirtual, correct bool) {
	if v.lanes == 16 {
		igemmFinishAVX512(acc, correct)
		return
	}
	sums := make([][2]Op, len(acc))
	for r, x := range acc {
		sums[r] = [2]Op{x[0], x[1]}
	}
	igemmFinishAVX2(sums, correct)
}

// igemmFinishAVX2 is igemmFinishAVX512 for AVX2.
func igemmFinishAVX2(acc [][2]Op, correct bool) {
	rows := len(acc)
	c, ldc, cols := Load(Param("c"), GP64()), Load(Param("ldc"), GP64()), Load(Param("cols"), GP64())
	SHLQ(Imm(2), ldc)
	table := GP64()
	LEAQ(vecTailMask(avx2), table)
	NEGQ(cols)
	masks := func() (m [2]VecVirtual) {
		for i := range m {
			m[i] = YMM()
			VMOVUPS(Mem{Base: table, Index: cols, Scale: 4, Disp: 128 + 32*i}, m[i])
		}
		return m
	}
	rowScale, colScale := Load(Param("rowScale"), GP64()), Load(Param("colScale"), GP64())
	TESTQ(rowScale, rowScale)
	JZ(LabelRef("raw"))
	if correct {
		zero, sums := Load(Param("zero"), GP64()), Load(Param("sums"), GP64())
		for r := range rows {
			for i, s := range acc[r] {
				x := YMM()
				VPBROADCASTD(Mem{Base: zero, Disp: 4 * r}, x)
				VPMULLD(Mem{Base: sums, Disp: 32 * i}, x, x)
				VPSUBD(x, s, s)
			}
		}
	}
	// What there is to add passes through masks that are empty if there is none.
	loads, add, all := masks(), Load(Param("add"), GP32()), YMM()
	NEGL(add)
	VMOVD(add, all.AsX())
	VPBROADCASTD(all.AsX(), all)
	for _, m := range loads {
		VPAND(all, m, m)
	}
	at := GP64()
	MOVQ(c, at)
	for r := range rows {
		for i, s := range acc[r] {
			x, before := YMM(), YMM()
			VMASKMOVPS(Mem{Base: at, Disp: 32 * i}, loads[i], before)
			VBROADCASTSS(Mem{Base: rowScale, Disp: 4 * r}, x)
			VMULPS(Mem{Base: colScale, Disp: 32 * i}, x, x)
			VCVTDQ2PS(s, s)
			VFMADD213PS(before, x, s)
		}
		if r < rows-1 {
			ADDQ(ldc, at)
		}
	}
	Label("raw")
	store := func(put func(i int, x Op, at Mem)) {
		for r := range rows {
			for i, s := range acc[r] {
				put(i, s, Mem{Base: c, Disp: 32 * i})
			}
			if r < rows-1 {
				ADDQ(ldc, c)
			}
		}
		VZEROUPPER()
		RET()
	}
	CMPQ(cols, I32(-16))
	JG(LabelRef("masked"))
	store(func(_ int, x Op, at Mem) { VMOVUPS(x, at) })
	Label("masked")
	m := masks()
	store(func(i int, x Op, at Mem) { VMASKMOVPS(x, m[i], at) })
}

// igemmOrder is the shuffle that puts four 16-bit words in the order 0 2 1 3.
var igemmOrder = Mem{Symbol: Symbol{Name: "igemmOrder", Static: true}, Base: StaticBase}

func igemmShuffles() {
	GLOBL("igemmOrder", RODATA|NOPTR)
	for i := range 4 {
		DATA(8*i, U64(0x0706_0302_0504_0100+uint64(i%2)*0x0808_0808_0808_0808))
	}
}

// quantRowsS16 writes the quantization of activations for VPMADDWD.
func quantRowsS16() {
	name := "QuantizeRowsS16AVX2"
	TEXT(name, NOSPLIT, quantRowsType)
	Pragma("noescape")
	quantDoc(name, "q - zero[i] as int16, in the order 0 2 1 3", "32 bytes")
	quantRows(avx2, 2, func(s span, dst Register, inv, zero VecVirtual, x operand) {
		y := s.load(x)
		most := s.m.setBits(255)[0]
		VPSUBD(zero, most, most)
		for i := range y {
			VMULPS(inv, y[i], y[i])
			VCVTPS2DQ(y[i], y[i])
			VPMINSD(most, y[i], y[i])
		}
		VPACKSSDW(y[1], y[0], y[0])
		VPERMQ(Imm(0xd8), y[0], y[0])
		VPSHUFB(igemmOrder, y[0], y[0])
		VMOVDQU(y[0], Mem{Base: dst})
		ADDQ(Imm(32), dst)
	})
}

// widenU8S16 writes the conversion of unsigned bytes for VPMADDWD.
func widenU8S16() {
	name := "WidenU8S16AVX2"
	TEXT(name, NOSPLIT, "func(dst *byte, src *byte, n int)")
	Pragma("noescape")
	Doc(name + " widens n bytes, a multiple of 16, to int16 in the order 0 2 1 3.")
	dst, src, n := Load(Param("dst"), GP64()), Load(Param("src"), GP64()), Load(Param("n"), GP64())
	order := YMM()
	VMOVDQU(igemmOrder, order)
	Label("loop")
	SUBQ(Imm(16), n)
	JL(LabelRef("done"))
	x := YMM()
	VPMOVZXBW(Mem{Base: src}, x)
	VPSHUFB(order, x, x)
	VMOVDQU(x, Mem{Base: dst})
	ADDQ(Imm(16), src)
	ADDQ(Imm(32), dst)
	JMP(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
