package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

func gemmPack() {
	packRowsAVX512()
	packRowsAVX2()
	packColumns(avx512)
	packColumns(avx2)
	copyRows()
}

const packRowsType = "func(dst *float32, src *float32, ld int, k int)"

func packRowsDoc(name string) {
	Doc(name+" packs 16 rows of src, a transposition:",
		"	for p := range k {",
		"		for i := range 16 { dst[p*16+i] = src[i*ld+p] }",
		"	}",
		"k must be a multiple of 16. ld is in floats.")
}

// rowBases returns registers for rows 0, 3, 6, … and a function that addresses
// a row.
func rowBases(src, ld Register, rows int) (bases []Register, row func(i, disp int) Mem) {
	bases = []Register{src}
	for r := 3; r < rows; r += 3 {
		n := GP64()
		LEAQ(Mem{Base: bases[len(bases)-1], Index: ld, Scale: 2}, n)
		ADDQ(ld, n)
		bases = append(bases, n)
	}
	return bases, func(i, disp int) Mem {
		m := Mem{Base: bases[i/3], Disp: disp}
		if s := i % 3; s > 0 {
			m.Index, m.Scale = ld, uint8(s)
		}
		return m
	}
}

// packRowsAVX512 transposes 16×16 in four rounds of 16 shuffles: pairs of
// floats, of pairs, then of 128-bit lanes twice.
func packRowsAVX512() {
	name := "GemmPackRowsF32AVX512"
	TEXT(name, NOSPLIT, packRowsType)
	Pragma("noescape")
	packRowsDoc(name)
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	ld, k := Load(Param("ld"), GP64()), Load(Param("k"), GP64())
	SHLQ(Imm(2), ld)
	bases, row := rowBases(src, ld, 16)
	Label("loop")
	SUBQ(Imm(16), k)
	JL(LabelRef("done"))
	load := func() (z [16]VecVirtual) {
		for i := range z {
			z[i] = ZMM()
		}
		return z
	}
	x := load()
	for i := range x {
		VMOVUPS(row(i, 0), x[i])
	}
	// Within 128-bit lanes: 4×4 transpositions of rows 4g … 4g+3.
	y := load()
	for i := 0; i < 16; i += 2 {
		VUNPCKLPS(x[i+1], x[i], y[i])
		VUNPCKHPS(x[i+1], x[i], y[i+1])
	}
	z := load() // z[4g+c]: lane q holds column 4q+c of rows 4g … 4g+3
	for g := 0; g < 16; g += 4 {
		VUNPCKLPD(y[g+2], y[g], z[g])
		VUNPCKHPD(y[g+2], y[g], z[g+1])
		VUNPCKLPD(y[g+3], y[g+1], z[g+2])
		VUNPCKHPD(y[g+3], y[g+1], z[g+3])
	}
	// Column 4q+c is lane q of z[c], z[4+c], z[8+c], z[12+c].
	for c := range 4 {
		lo0, lo1, hi0, hi1 := ZMM(), ZMM(), ZMM(), ZMM()
		VSHUFF32X4(Imm(0x88), z[4+c], z[c], lo0) // lanes 0, 2 of both
		VSHUFF32X4(Imm(0xdd), z[4+c], z[c], lo1) // lanes 1, 3
		VSHUFF32X4(Imm(0x88), z[12+c], z[8+c], hi0)
		VSHUFF32X4(Imm(0xdd), z[12+c], z[8+c], hi1)
		for q, pair := range [4][2]VecVirtual{{lo0, hi0}, {lo1, hi1}, {lo0, hi0}, {lo1, hi1}} {
			out := ZMM()
			VSHUFF32X4(Imm([]uint64{0x88, 0x88, 0xdd, 0xdd}[q]), pair[1], pair[0], out)
			VMOVUPS(out, Mem{Base: dst, Disp: 64 * (4*q + c)})
		}
	}
	for _, b := range bases {
		ADDQ(Imm(64), b)
	}
	ADDQ(I32(1024), dst)
	JMP(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// packRowsAVX2 transposes 8×8 four times.
func packRowsAVX2() {
	name := "GemmPackRowsF32AVX2"
	TEXT(name, NOSPLIT, packRowsType)
	Pragma("noescape")
	packRowsDoc(name)
	dst, src := Load(Param("dst"), GP64()), Load(Param("src"), GP64())
	ld, k := Load(Param("ld"), GP64()), Load(Param("k"), GP64())
	SHLQ(Imm(2), ld)
	bases, row := rowBases(src, ld, 16)
	Label("loop")
	SUBQ(Imm(16), k)
	JL(LabelRef("done"))
	for half := range 2 { // columns 8·half …: both halves of rows complete the lines of dst
		for top := 0; top < 16; top += 8 {
			transpose8(func(i int) Mem { return row(top+i, 32*half) },
				func(i int) Mem { return Mem{Base: dst, Disp: 64*(8*half+i) + 4*top} })
		}
	}
	for _, b := range bases {
		ADDQ(Imm(64), b)
	}
	ADDQ(I32(1024), dst)
	JMP(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// transpose8 transposes 8×8 floats in memory. Rows i and i+4 are joined as
// they are loaded, so that no shuffle crosses lanes.
func transpose8(from, to func(i int) Mem) {
	var x [8]VecVirtual // x[i]: columns 0–3 of rows i, i+4; x[4+i]: columns 4–7
	for i := range 4 {
		for h := range 2 {
			x[4*h+i] = YMM()
			lo, hi := from(i), from(i+4)
			lo.Disp += 16 * h
			hi.Disp += 16 * h
			VBROADCASTF128(lo, x[4*h+i])
			VINSERTF128(Imm(1), hi, x[4*h+i], x[4*h+i])
		}
	}
	for h := range 2 {
		a, b, c, d := YMM(), YMM(), YMM(), YMM()
		VUNPCKLPS(x[4*h+1], x[4*h], a)
		VUNPCKHPS(x[4*h+1], x[4*h], b)
		VUNPCKLPS(x[4*h+3], x[4*h+2], c)
		VUNPCKHPS(x[4*h+3], x[4*h+2], d)
		for i, p := range [4][2]VecVirtual{{a, c}, {a, c}, {b, d}, {b, d}} {
			out := YMM()
			if i%2 == 0 {
				VUNPCKLPD(p[1], p[0], out)
			} else {
				VUNPCKHPD(p[1], p[0], out)
			}
			VMOVUPS(out, to(4*h+i))
		}
	}
}

// packColumns copies rows of 16 floats: what B's columns need. Four rows at a
// time make whole pairs of lines of each panel while four streams are read.
func packColumns(v isa) {
	name := "GemmPackColumnsF32" + v.name
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, src *float32, ld int, k int, panels int)")
	Pragma("noescape")
	Doc(name+" packs the columns of src, 16 a panel:",
		"	for j := range panels {",
		"		for p := range k {",
		"			for i := range 16 { dst[j*ldd+p*16+i] = src[p*ld+j*16+i] }",
		"		}",
		"	}",
		"Strides are in floats.")
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	src, ld := Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	k, panels := Load(Param("k"), GP64()), Load(Param("panels"), GP64())
	SHLQ(Imm(2), ldd)
	SHLQ(Imm(2), ld)
	ld3 := GP64()
	LEAQ(Mem{Base: ld, Index: ld, Scale: 2}, ld3)
	from, to, j := GP64(), GP64(), GP64()
	rows := func(n int) {
		label := fmt.Sprintf("panels%d", n)
		MOVQ(src, from)
		MOVQ(dst, to)
		MOVQ(panels, j)
		Label(label)
		for r := range n {
			for i := range panel / v.lanes {
				x := v.vec()
				m := Mem{Base: from, Disp: i * v.lanes * 4}
				switch r {
				case 1, 2:
					m.Index, m.Scale = ld, uint8(r)
				case 3:
					m.Index, m.Scale = ld3, 1
				}
				VMOVUPS(m, x)
				VMOVUPS(x, Mem{Base: to, Disp: 64*r + i*v.lanes*4})
			}
		}
		ADDQ(Imm(64), from)
		ADDQ(ldd, to)
		DECQ(j)
		JNZ(LabelRef(label))
		ADDQ(I32(64*int32(n)), dst)
		if n == 4 {
			LEAQ(Mem{Base: src, Index: ld, Scale: 4}, src)
		} else {
			ADDQ(ld, src)
		}
	}
	Label("four")
	SUBQ(Imm(4), k)
	JL(LabelRef("rest"))
	rows(4)
	JMP(LabelRef("four"))
	Label("rest")
	ADDQ(Imm(4), k)
	Label("one")
	DECQ(k)
	JL(LabelRef("done"))
	rows(1)
	JMP(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

// copyRows copies a block of short rows, for which a call a row is too much.
func copyRows() {
	name := "GemmCopyRowsF32AVX2"
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, src *float32, ld int, rows int, n int)")
	Pragma("noescape")
	Doc(name+" copies a block of rows:",
		"	for i := range rows {",
		"		for j := range n { dst[i*ldd+j] = src[i*ld+j] }",
		"	}",
		"Strides are in floats. n >= 8. The blocks do not overlap.")
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	src, ld := Load(Param("src"), GP64()), Load(Param("ld"), GP64())
	rows, n := Load(Param("rows"), GP64()), Load(Param("n"), GP64())
	SHLQ(Imm(2), ldd)
	SHLQ(Imm(2), ld)
	SUBQ(Imm(8), n) // where the last register of a row starts; it may overlap the one before
	x, j := YMM(), GP64()
	Label("row")
	SUBQ(Imm(1), rows)
	JL(LabelRef("done"))
	XORQ(j, j)
	CMPQ(j, n)
	JGE(LabelRef("last"))
	Label("loop")
	VMOVUPS(Mem{Base: src, Index: j, Scale: 4}, x)
	VMOVUPS(x, Mem{Base: dst, Index: j, Scale: 4})
	ADDQ(Imm(8), j)
	CMPQ(j, n)
	JL(LabelRef("loop"))
	Label("last")
	VMOVUPS(Mem{Base: src, Index: n, Scale: 4}, x)
	VMOVUPS(x, Mem{Base: dst, Index: n, Scale: 4})
	ADDQ(ld, src)
	ADDQ(ldd, dst)
	JMP(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}
