package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

var gemmOps = map[string]func(){
	"gemm_f32_avx2":   func() { gemmF32(avx2) },
	"gemm_f32_avx512": func() { gemmF32(avx512) },
}

// panel is the width of a packed panel of B, in floats, on every instruction
// set: weights packed once serve all of them.
const panel = 16

// isa describes a vector unit to the generators.
type isa struct {
	name  string
	lanes int // floats in a register
	vec   func() VecVirtual
	// tiles are the micro-kernels: rows of A by panels of B. They fill the
	// accumulators that hide the latency of the fused multiply-add: 4 cycles
	// times 2 units, so at least 8.
	tiles [][2]int
}

var avx2 = isa{"AVX2", 8, YMM, [][2]int{{6, 1}, {5, 1}, {4, 1}, {3, 1}, {2, 1}, {1, 1}, {3, 2}, {2, 2}, {1, 4}}}

var avx512 = isa{"AVX512", 16, ZMM, avx512Tiles()}

// avx512Tiles are 12×32 (24 accumulators) and everything below it.
func avx512Tiles() [][2]int {
	tiles := [][2]int{{2, 4}, {1, 4}}
	for panels := 2; panels >= 1; panels-- {
		for rows := 12; rows >= 1; rows-- {
			tiles = append(tiles, [2]int{rows, panels})
		}
	}
	return tiles
}

func gemmF32(v isa) {
	for _, t := range v.tiles {
		gemmTile(v, t[0], t[1])
	}
}

const unroll = 4

// gemmTile writes one micro-kernel. Each accumulator is one chain over k, so
// the tile's shape does not show in the result.
func gemmTile(v isa, rows, panels int) {
	name := fmt.Sprintf("GemmF32Tile%dx%d%s", rows, panels*panel, v.name)
	TEXT(name, NOSPLIT, "func(a *float32, lda int, b *float32, ldb int, c *float32, ldc int, k int, add bool)")
	Pragma("noescape")
	Doc(name+" adds to or sets a tile of C = A·B:",
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %d {", panels*panel),
		"			s := c[i*ldc+j] or 0",
		"			for p := range k { s = fma(a[i*lda+p], b[(j/16)*ldb+p*16+j%16], s) }",
		"			c[i*ldc+j] = s",
		"		}",
		"	}",
		"Strides are in floats. k may be 0.")
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	b := Load(Param("b"), GP64())
	SHLQ(Imm(2), lda)
	// Three rows a base register: base, base+lda, base+2·lda.
	bases := []Register{a}
	for r := 3; r < rows; r += 3 {
		n := GP64()
		LEAQ(Mem{Base: bases[len(bases)-1], Index: lda, Scale: 2}, n)
		ADDQ(lda, n)
		bases = append(bases, n)
	}
	elem := func(row, disp int) Mem {
		m := Mem{Base: bases[row/3], Disp: disp}
		if s := row % 3; s > 0 {
			m.Index, m.Scale = lda, uint8(s)
		}
		return m
	}
	per := panel / v.lanes // registers a panel
	ldb := GP64()
	if panels > 1 {
		Load(Param("ldb"), ldb)
		SHLQ(Imm(2), ldb)
	}
	var b3 Register
	if panels > 3 {
		b3 = GP64()
		LEAQ(Mem{Base: b, Index: ldb, Scale: 2}, b3)
		ADDQ(ldb, b3)
	}
	weight := func(q, disp int) Mem {
		m := Mem{Base: b, Disp: disp}
		switch q % panels {
		case 1, 2:
			m.Index, m.Scale = ldb, uint8(q)
		case 3:
			m.Base = b3
		}
		return m
	}

	// C's tile: rows · panels · per accumulators.
	c, ldc := Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	SHLQ(Imm(2), ldc)
	acc := make([][]VecVirtual, rows)
	for r := range acc {
		acc[r] = make([]VecVirtual, panels*per)
		for i := range acc[r] {
			acc[r][i] = v.vec()
		}
	}
	add := GP64()
	Load(Param("add"), add.As8())
	TESTB(add.As8(), add.As8())
	JNZ(LabelRef("load"))
	for r := range acc {
		for _, x := range acc[r] {
			if v.lanes == 16 {
				VPXORD(x, x, x)
			} else {
				VXORPS(x, x, x)
			}
		}
	}
	JMP(LabelRef("start"))
	Label("load")
	at := GP64()
	MOVQ(c, at)
	for r := range acc {
		for i, x := range acc[r] {
			VMOVUPS(Mem{Base: at, Disp: i * v.lanes * 4}, x)
		}
		if r < rows-1 {
			ADDQ(ldc, at)
		}
	}
	Label("start")
	k := Load(Param("k"), GP64())

	step := func(u int) {
		if rows == 1 {
			// One row: the weights are memory operands.
			x := v.vec()
			VBROADCASTSS(elem(0, u*4), x)
			for i := range acc[0] {
				VFMADD231PS(weight(i/per, u*panel*4+(i%per)*v.lanes*4), x, acc[0][i])
			}
			return
		}
		if panels > 1 && rows <= 3 {
			// Few rows: keep A's elements, so that one register holds the weights.
			x := make([]VecVirtual, rows)
			for r := range x {
				x[r] = v.vec()
				VBROADCASTSS(elem(r, u*4), x[r])
			}
			for i := range acc[0] {
				w := v.vec()
				VMOVUPS(weight(i/per, u*panel*4+(i%per)*v.lanes*4), w)
				for r := range x {
					VFMADD231PS(w, x[r], acc[r][i])
				}
			}
			return
		}
		w := make([]VecVirtual, panels*per)
		for i := range w {
			w[i] = v.vec()
			VMOVUPS(weight(i/per, u*panel*4+(i%per)*v.lanes*4), w[i])
		}
		for r := range rows {
			if v.lanes == 16 && panels == 1 {
				VFMADD231PS_BCST(elem(r, u*4), w[0], acc[r][0])
				continue
			}
			x := v.vec()
			VBROADCASTSS(elem(r, u*4), x)
			for i := range w {
				VFMADD231PS(w[i], x, acc[r][i])
			}
		}
	}
	advance := func(n int) {
		for _, r := range bases {
			ADDQ(Imm(uint64(4*n)), r)
		}
		ADDQ(I32(4*panel*int32(n)), b)
		if b3 != nil {
			ADDQ(I32(4*panel*int32(n)), b3)
		}
	}
	SUBQ(Imm(unroll), k)
	JL(LabelRef("tail"))
	Label("loop")
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef("store"))
	Label("one")
	step(0)
	advance(1)
	DECQ(k)
	JNZ(LabelRef("one"))

	Label("store")
	for r := range acc {
		for i, x := range acc[r] {
			VMOVUPS(x, Mem{Base: c, Disp: i * v.lanes * 4})
		}
		if r < rows-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}
