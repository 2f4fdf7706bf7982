package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// byteTiles are the panels side by side by the rows of a tile: one row by as
// many sums as hide the latency of the multiply-adds, more rows by as many as
// there are registers for. From four rows on nothing shows of the conversion.
var byteTiles = map[string]map[int][]int{
	"AVX512": {1: {4, 2}, 2: {4, 2}, 3: {2}, 4: {2}, 5: {2}, 6: {2}},
	"AVX2":   {1: {4, 2}, 2: {2}, 3: {1}, 4: {1}, 5: {1}, 6: {1}},
}

// igemmWeight writes the products of floats by bytes, which are turned into
// floats in registers.
func igemmWeight(v isa) func() {
	return func() {
		tiles := byteTiles[v.name]
		for rows := 1; rows <= len(tiles); rows++ {
			for _, panels := range tiles[rows] {
				byteTile(v, rows, panels)
			}
		}
	}
}

func byteTile(v isa, rows, panels int) {
	name := fmt.Sprintf("GemmF32S8Tile%dx%d%s", rows, panels*panel, v.name)
	TEXT(name, NOSPLIT, "func(a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc int, k int, group int)")
	Pragma("noescape")
	Doc(name+" adds a product by a weight of 8 bits, group by group of k:",
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %d {", panels*panel),
		"			for g := 0; g < k; g += group {",
		"				s := 0",
		"				for p := g; p < min(g+group, k); p++ { s = fma(a[i*lda+p], b[j/16*ldb+p*16+j%16], s) }",
		"				c[i*ldc+j] = fma(s, scale[j/16*lds+g/group*16+j%16], c[i*ldc+j])",
		"			}",
		"		}",
		"	}",
		"lda, ldc and lds are in floats, ldb is in bytes. k > 0. What follows the panels is brought into L2.")
	per := panel / v.lanes // registers a panel

	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	SHLQ(Imm(2), lda)
	bases, row := rowBases(a, lda, rows)
	b, ldb := Load(Param("b"), GP64()), Load(Param("ldb"), GP64())
	ahead := GP64() // the panels that follow
	LEAQ(Mem{Base: b, Index: ldb, Scale: uint8(panels)}, ahead)
	bs, bAt := rowBases(b, ldb, panels)
	as, aheadAt := rowBases(ahead, ldb, panels)
	c := newSums(v, rows, panels)
	acc := make([][]VecVirtual, rows)
	for r := range acc {
		for range panels * per {
			acc[r] = append(acc[r], v.vec())
		}
	}
	k, n := Load(Param("k"), GP64()), GP64()
	step := func(u int) {
		x := make([]VecVirtual, rows)
		if rows == 1 {
			x[0] = v.vec()
			VBROADCASTSS(row(0, 4*u), x[0])
		}
		y := make([]VecVirtual, panels*per)
		for i := range y {
			y[i] = v.vec()
			VPMOVSXBD(bAt(i/per, 16*u+i%per*v.lanes), y[i])
			VCVTDQ2PS(y[i], y[i])
			if rows == 1 {
				VFMADD231PS(x[0], y[i], acc[0][i])
			}
		}
		if rows == 1 {
			return
		}
		for r := range rows {
			x := v.vec()
			VBROADCASTSS(row(r, 4*u), x)
			for i := range y {
				VFMADD231PS(x, y[i], acc[r][i])
			}
		}
	}
	advance := func(count int) {
		for _, r := range bases {
			ADDQ(Imm(uint64(4*count)), r)
		}
		for _, r := range append(bs, as...) {
			ADDQ(Imm(uint64(16*count)), r)
		}
	}
	const unroll = 4 // a line of a panel
	Label("group")
	for _, row := range acc {
		for _, x := range row {
			v.clear(x)
		}
	}
	Load(Param("group"), n)
	CMPQ(n, k)
	CMOVQGT(k, n)
	SUBQ(n, k)
	SUBQ(Imm(unroll), n)
	JL(LabelRef("tail"))
	Label("loop")
	for i := range panels {
		PREFETCHT1(aheadAt(i, 0))
	}
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	SUBQ(Imm(unroll), n)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(unroll), n)
	JZ(LabelRef("sum"))
	Label("one")
	step(0)
	advance(1)
	DECQ(n)
	JNZ(LabelRef("one"))
	Label("sum")
	c.add(func(r, i int) VecVirtual { return acc[r][i] })
	c.next()
	TESTQ(k, k)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// sums are a tile of the result, to which group after group adds.
type sums struct {
	isa
	rows, panels int
	c, ldc       Register
	scale        []Register
	scaleAt      func(i, disp int) Mem
}

// newSums takes the parameters c, ldc, scale and lds.
func newSums(v isa, rows, panels int) *sums {
	t := &sums{isa: v, rows: rows, panels: panels}
	s, lds := Load(Param("scale"), GP64()), Load(Param("lds"), GP64())
	SHLQ(Imm(2), lds)
	t.scale, t.scaleAt = rowBases(s, lds, panels)
	t.c, t.ldc = Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	SHLQ(Imm(2), t.ldc)
	return t
}

// add adds sum times the scales of a group; sum returns register i of row r.
func (t *sums) add(sum func(r, i int) VecVirtual) {
	per, to := panel/t.lanes, GP64()
	MOVQ(t.c, to)
	for r := range t.rows {
		for i := range t.panels * per {
			y, at := t.vec(), Mem{Base: to, Disp: 4 * i * t.lanes}
			VMOVUPS(at, y)
			VFMADD231PS(t.scaleAt(i/per, i%per*32), sum(r, i), y)
			VMOVUPS(y, at)
		}
		if r < t.rows-1 {
			ADDQ(t.ldc, to)
		}
	}
}

// next turns to the scales of the next group.
func (t *sums) next() {
	for _, r := range t.scale {
		ADDQ(Imm(64), r)
	}
}
