package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attnProduct writes the two matrix products of attention: scores = Q·Kᵀ with
// one panel for 16 keys, and output = P·V with one panel for 16 columns of V.
// Unlike gemm's tiles, which see one panel of a large weight, these run over
// all panels of a block in one call: with 64 steps a panel the call would show.
//
// With few rows it does not pay to bring values into panels first: those
// kernels read them where they are.
func attnProduct(v isa) {
	for rows := 1; rows <= attnRows(v); rows++ {
		attnTile(v, rows, false)
	}
	for rows := 1; rows <= attnFew; rows++ {
		attnTile(v, rows, true)
	}
}

// attnFew is the most rows that read keys and values in place.
const attnFew = 4

// attnRows is the height of the tallest tile.
func attnRows(v isa) int {
	if v.lanes == 16 {
		return 12
	}
	return 6
}

// attnSide is the number of panels side by side that give a tile the eight
// accumulators or more that hide the latency of the fused multiply-add.
func attnSide(v isa, rows int) int {
	switch {
	case rows == 1 || rows == 2 && v.lanes == 16:
		return 4
	case rows <= 3 || v.lanes == 16:
		return 2
	}
	return 1
}

// attnTile writes the kernel for a number of rows. inPlace: B is not in panels.
func attnTile(v isa, rows int, inPlace bool) {
	name := fmt.Sprintf("AttnProductF32Rows%d%s", rows, v.name)
	what, elem, note := "a row of tiles of C = A·B", "b[(j/16)*ldb+p*16+j%16]", "Strides are in floats. k and panels may be 0."
	if inPlace {
		name = fmt.Sprintf("AttnValuesF32Rows%d%s", rows, v.name)
		what, elem = "C = A·B with B in place", "b[p*ldb+j]"
	}
	TEXT(name, NOSPLIT, "func(a *float32, lda int, b *float32, ldb int, c *float32, ldc int, k int, panels int, add bool)")
	Pragma("noescape")
	Doc(name+" sets or adds to "+what+":",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range 16*panels {",
		"			s := c[i*ldc+j] if add, or 0",
		"			for p := range k { s = fma(a[i*lda+p], "+elem+", s) }",
		"			c[i*ldc+j] = s",
		"		}",
		"	}",
		note)
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	SHLQ(Imm(2), lda)
	bases := []Register{a} // three rows a base register: base, base+lda, base+2·lda
	for r := 3; r < rows; r += 3 {
		n := GP64()
		LEAQ(Mem{Base: bases[len(bases)-1], Index: lda, Scale: 2}, n)
		ADDQ(lda, n)
		bases = append(bases, n)
	}
	b, ldb := Load(Param("b"), GP64()), Load(Param("ldb"), GP64())
	SHLQ(Imm(2), ldb)
	c, ldc := Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	SHLQ(Imm(2), ldc)
	panels := Load(Param("panels"), GP64())
	t := attnGroup{v: v, rows: rows, bases: bases, lda: lda, b: b, ldb: ldb, c: c, ldc: ldc, inPlace: inPlace}

	side := attnSide(v, rows)
	if side > 1 {
		SUBQ(Imm(uint64(side)), panels)
		JL(LabelRef("rest"))
		Label("side")
		t.panels(side, "side")
		SUBQ(Imm(uint64(side)), panels)
		JGE(LabelRef("side"))
		Label("rest")
		ADDQ(Imm(uint64(side)), panels)
	} else {
		TESTQ(panels, panels)
	}
	JZ(LabelRef("done"))
	Label("one")
	t.panels(1, "one")
	DECQ(panels)
	JNZ(LabelRef("one"))
	Label("done")
	VZEROUPPER()
	RET()
}

// attnGroup holds the registers of a product kernel.
type attnGroup struct {
	v      isa
	rows   int
	bases  []Register
	lda    Register
	b, ldb Register
	c, ldc Register

	inPlace bool
}

// panels computes n panels side by side and moves b and c behind them. Labels
// start with at.
func (t *attnGroup) panels(n int, at string) {
	v, rows := t.v, t.rows
	per := panel / v.lanes
	elem := func(row, disp int) Mem {
		m := Mem{Base: t.bases[row/3], Disp: disp}
		if s := row % 3; s > 0 {
			m.Index, m.Scale = t.lda, uint8(s)
		}
		return m
	}
	const unroll = 4
	var b3 Register // panel 3, or row 3
	if n > 3 || t.inPlace {
		b3 = GP64()
		LEAQ(Mem{Base: t.b, Index: t.ldb, Scale: 2}, b3)
		ADDQ(t.ldb, b3)
	}
	weight := func(i, u int) Mem {
		m, q := Mem{Base: t.b, Disp: u*panel*4 + (i%per)*v.lanes*4}, i/per
		if t.inPlace {
			m, q = Mem{Base: t.b, Disp: i * v.lanes * 4}, u
		}
		switch q {
		case 1, 2:
			m.Index, m.Scale = t.ldb, uint8(q)
		case 3:
			m.Base = b3
		}
		return m
	}
	acc := make([][]VecVirtual, rows)
	for r := range acc {
		acc[r] = make([]VecVirtual, n*per)
		for i := range acc[r] {
			acc[r][i] = v.vec()
		}
	}
	flag := GP64()
	Load(Param("add"), flag.As8())
	TESTB(flag.As8(), flag.As8())
	JNZ(LabelRef(at + "Load"))
	null := v.vec()
	v.clear(null)
	for r := range acc {
		for _, x := range acc[r] {
			VMOVAPS(null, x)
		}
	}
	JMP(LabelRef(at + "Start"))
	Label(at + "Load")
	row := GP64()
	MOVQ(t.c, row)
	for r := range acc {
		for i, x := range acc[r] {
			VMOVUPS(Mem{Base: row, Disp: i * v.lanes * 4}, x)
		}
		if r < rows-1 {
			ADDQ(t.ldc, row)
		}
	}
	Label(at + "Start")

	step := func(u int) {
		switch {
		case rows == 1: // the panels are memory operands
			x := v.vec()
			VBROADCASTSS(elem(0, u*4), x)
			for i := range acc[0] {
				VFMADD231PS(weight(i, u), x, acc[0][i])
			}
		case n > 1 && rows <= 3: // A's elements stay, one register holds B's
			x := make([]VecVirtual, rows)
			for r := range x {
				x[r] = v.vec()
				VBROADCASTSS(elem(r, u*4), x[r])
			}
			for i := range acc[0] {
				w := v.vec()
				VMOVUPS(weight(i, u), w)
				for r := range x {
					VFMADD231PS(w, x[r], acc[r][i])
				}
			}
		default:
			w := make([]VecVirtual, n*per)
			for i := range w {
				w[i] = v.vec()
				VMOVUPS(weight(i, u), w[i])
			}
			for r := range rows {
				if v.lanes == 16 && n == 1 {
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
	}
	advance := func(u int) {
		for _, r := range t.bases {
			ADDQ(Imm(uint64(4*u)), r)
		}
		step := Op(I32(4 * panel * int32(u)))
		if t.inPlace {
			bytes := GP64()
			MOVQ(t.ldb, bytes)
			if u == unroll {
				SHLQ(Imm(2), bytes)
			}
			step = bytes
		}
		ADDQ(step, t.b)
		if b3 != nil {
			ADDQ(step, b3)
		}
	}
	// ahead fetches the four rows that are read 16 iterations later: memory is
	// some 300 cycles away.
	ahead := func() {
		far := GP64()
		MOVQ(t.ldb, far)
		SHLQ(Imm(6), far)
		ADDQ(t.b, far)
		for u := range unroll {
			for q := range n {
				m := Mem{Base: far, Disp: 64 * q}
				if u == 3 {
					m.Base = GP64()
					LEAQ(Mem{Base: far, Index: t.ldb, Scale: 2}, m.Base)
					m.Index, m.Scale = t.ldb, 1
				} else if u > 0 {
					m.Index, m.Scale = t.ldb, uint8(u)
				}
				PREFETCHT1(m)
			}
		}
	}
	k := Load(Param("k"), GP64())
	SUBQ(Imm(unroll), k)
	JL(LabelRef(at + "Tail"))
	Label(at + "Loop")
	if t.inPlace {
		ahead()
	}
	for u := range unroll {
		step(u)
	}
	advance(unroll)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef(at + "Loop"))
	Label(at + "Tail")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef(at + "Store"))
	Label(at + "Step")
	step(0)
	advance(1)
	DECQ(k)
	JNZ(LabelRef(at + "Step"))

	Label(at + "Store")
	row = GP64()
	MOVQ(t.c, row)
	for r := range acc {
		for i, x := range acc[r] {
			VMOVUPS(x, Mem{Base: row, Disp: i * v.lanes * 4})
		}
		if r < rows-1 {
			ADDQ(t.ldc, row)
		}
	}
	// Back to the start of A's rows; on to the next panels.
	ADDQ(I32(int32(64*n)), t.c)
	Load(Param("k"), k)
	SHLQ(Imm(2), k)
	for _, r := range t.bases {
		SUBQ(k, r)
	}
	if t.inPlace {
		SHRQ(Imm(2), k)
		IMULQ(t.ldb, k)
		SUBQ(k, t.b)
		ADDQ(I32(int32(64*n)), t.b)
		return
	}
	SHLQ(Imm(4), k)
	SUBQ(k, t.b)
	for range n {
		ADDQ(t.ldb, t.b)
	}
}
