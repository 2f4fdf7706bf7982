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
	"gemm_pack":       gemmPack,
	"gemm_depthwise":  func() { depthwise(avx2); depthwise(avx512) },
	"gemm_peak":       gemmPeak,
}

// panel is the width of a packed panel of B, in floats, on every instruction
// set: weights packed once serve all of them.
const panel = 16

// isa describes a vector unit to the generators.
type isa struct {
	name  string
	lanes int // floats in a register
	vec   func() VecVirtual
	// tall[w] is the number of rows of the tallest tile w panels wide. The tiles
	// fill the accumulators that hide the latency of the fused multiply-add: 4
	// cycles times 2 units (AVX-512 on two 256-bit units: 4).
	tall map[int]int
	// direct is tall for tiles that read B in place.
	direct map[int]int
}

var avx2 = isa{"AVX2", 8, YMM, map[int]int{1: 6, 2: 3, 4: 1}, map[int]int{1: 6, 2: 3, 4: 1}}

var avx512 = isa{"AVX512", 16, ZMM, map[int]int{1: 16, 2: 12, 4: 4}, map[int]int{1: 8, 2: 8, 4: 4}}

func (v isa) zero(x VecVirtual) {
	if v.lanes == 16 {
		VPXORD(x, x, x)
	} else {
		VXORPS(x, x, x)
	}
}

func gemmF32(v isa) {
	if v.lanes == 8 {
		columnMasks("gemmColumnMasks")
	}
	for _, panels := range []int{4, 2, 1} {
		for rows := v.tall[panels]; rows >= 1; rows-- {
			gemmTile(v, rows, panels, false)
		}
	}
	for _, panels := range []int{4, 2, 1} {
		for rows := v.direct[panels]; rows >= 1; rows-- {
			gemmTile(v, rows, panels, true)
		}
	}
}

var gemmMasks Mem

// columnMasks is a table of 16 set and 16 clear lanes: the masks of the first
// n columns of a panel start at element 16-n.
func columnMasks(name string) {
	gemmMasks = GLOBL(name, RODATA|NOPTR)
	for i := range 32 {
		v := U32(0)
		if i < 16 {
			v = ^v
		}
		DATA(4*i, v)
	}
}

const unroll = 4

// gemmTile writes one micro-kernel. Each accumulator is one chain over k, so
// the tile's shape does not show in the result.
func gemmTile(v isa, rows, panels int, direct bool) {
	name, at := fmt.Sprintf("GemmF32Tile%dx%d%s", rows, panels*panel, v.name), "b[(j/16)*ldb+p*16+j%16]"
	t := &tile{isa: v, rows: rows, panels: panels, direct: direct, per: panel / v.lanes}
	every := fmt.Sprintf("%d floats a step", 16/t.every())
	if direct {
		name, at = fmt.Sprintf("GemmF32Direct%dx%d%s", rows, panels*panel, v.name), "b[p*ldb+j]"
	}
	TEXT(name, NOSPLIT, "func(a *float32, lda int, b *float32, ldb int, c *float32, ldc int, k int, cols int, add bool, next *float32)")
	Pragma("noescape")
	Doc(name+" sets a tile of C = A·B, or adds to it:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := c[i*ldc+j] or 0",
		fmt.Sprintf("			for p := range k { s = fma(a[i*lda+p], %s, s) }", at),
		"			c[i*ldc+j] = s",
		"		}",
		"	}",
		fmt.Sprintf("Strides are in floats. %d < cols <= %d. k may be 0. The memory at next, %s,", (panels-1)*panel, panels*panel, every),
		"is brought into L2.")
	t.operands()
	t.load()
	t.product()
	t.store()
}

// tile is the state of the generator of one micro-kernel.
type tile struct {
	isa
	rows, panels int
	direct       bool
	per          int // registers a panel
	acc          [][]VecVirtual

	lda, b, ldb, b3, next Register
	bases                 []Register // of rows 0, 3, 6, …
}

// operands loads A's and B's addresses. Three rows share a base register:
// base, base+lda, base+2·lda.
func (t *tile) operands() {
	a := Load(Param("a"), GP64())
	t.lda = Load(Param("lda"), GP64())
	SHLQ(Imm(2), t.lda)
	t.bases = []Register{a}
	for r := 3; r < t.rows; r += 3 {
		n := GP64()
		LEAQ(Mem{Base: t.bases[len(t.bases)-1], Index: t.lda, Scale: 2}, n)
		ADDQ(t.lda, n)
		t.bases = append(t.bases, n)
	}
	t.b = Load(Param("b"), GP64())
	t.next = Load(Param("next"), GP64())
	if t.panels > 1 || t.direct {
		t.ldb = Load(Param("ldb"), GP64())
		SHLQ(Imm(2), t.ldb)
	}
	if t.panels > 3 || t.direct {
		t.b3 = GP64()
		LEAQ(Mem{Base: t.b, Index: t.ldb, Scale: 2}, t.b3)
		ADDQ(t.ldb, t.b3)
	}
	t.acc = make([][]VecVirtual, t.rows)
	for r := range t.acc {
		t.acc[r] = make([]VecVirtual, t.panels*t.per)
		for i := range t.acc[r] {
			t.acc[r][i] = t.vec()
		}
	}
}

// elem is A's element of a row at step u of the unrolled loop.
func (t *tile) elem(row, u int) Mem {
	m := Mem{Base: t.bases[row/3], Disp: 4 * u}
	if s := row % 3; s > 0 {
		m.Index, m.Scale = t.lda, uint8(s)
	}
	return m
}

// weight is B's register i (of all panels) at step u.
func (t *tile) weight(i, u int) Mem {
	at := func(m Mem, n int) Mem { // n strides further
		switch n {
		case 1, 2:
			m.Index, m.Scale = t.ldb, uint8(n)
		case 3:
			m.Base = t.b3
		}
		return m
	}
	if t.direct {
		return at(Mem{Base: t.b, Disp: i * t.lanes * 4}, u)
	}
	return at(Mem{Base: t.b, Disp: u*panel*4 + i%t.per*t.lanes*4}, i/t.per)
}

// load sets the accumulators to 0 or C.
func (t *tile) load() {
	add := GP64()
	Load(Param("add"), add.As8())
	TESTB(add.As8(), add.As8())
	JNZ(LabelRef("load"))
	for r := range t.acc {
		for _, x := range t.acc[r] {
			t.zero(x)
		}
	}
	JMP(LabelRef("start"))
	Label("load")
	t.eachOfC("load", func(c Mem, x VecVirtual, mask Register) {
		switch {
		case mask == nil:
			VMOVUPS(c, x)
		case t.lanes == 16:
			VMOVUPS_Z(c, mask, x)
		default:
			VMASKMOVPS(c, mask, x)
		}
	})
	Label("start")
}

func (t *tile) store() {
	Label("store")
	t.eachOfC("store", func(c Mem, x VecVirtual, mask Register) {
		switch {
		case mask == nil:
			VMOVUPS(x, c)
		case t.lanes == 16:
			VMOVUPS(x, mask, c)
		default:
			VMASKMOVPS(x, mask, c)
		}
	})
	VZEROUPPER()
	RET()
}

// eachOfC calls f for every register of the tile with its place in C, and with
// a mask if it may reach beyond cols.
func (t *tile) eachOfC(label string, f func(c Mem, x VecVirtual, mask Register)) {
	ldc, cols := Load(Param("ldc"), GP64()), Load(Param("cols"), GP64())
	SHLQ(Imm(2), ldc)
	walk := func(masks []Register) {
		c := Load(Param("c"), GP64())
		for r := range t.acc {
			for i, x := range t.acc[r] {
				var mask Register
				if at := i - (t.panels-1)*t.per; at >= 0 && masks != nil {
					mask = masks[at]
				}
				f(Mem{Base: c, Disp: i * t.lanes * 4}, x, mask)
			}
			if r < t.rows-1 {
				ADDQ(ldc, c)
			}
		}
	}
	if t.lanes == 16 {
		// A mask costs nothing.
		ones, mask := GP64(), K()
		MOVQ(I32(1<<16-1), ones)
		SUBQ(I32(int32(t.panels*panel)), cols)
		NEGQ(cols)
		SHRXQ(cols, ones, ones)
		KMOVW(ones.As32(), mask)
		walk([]Register{mask})
		return
	}
	CMPQ(cols, Imm(uint64(t.panels*panel)))
	JNE(LabelRef(label + "masked"))
	walk(nil)
	JMP(LabelRef(label + "done"))
	Label(label + "masked")
	table := GP64()
	LEAQ(gemmMasks, table)
	SUBQ(I32(int32(t.panels*panel)), cols)
	NEGQ(cols)
	m := []Register{YMM(), YMM()}
	for i := range m {
		VMOVUPS(Mem{Base: table, Index: cols, Scale: 4, Disp: 32 * i}, m[i])
	}
	walk(m)
	Label(label + "done")
}

// every is the number of steps in which a line of next is fetched.
func (t *tile) every() int {
	if t.panels == 1 && t.lanes == 8 {
		return 2
	}
	return 1
}

// product adds k steps to the accumulators.
func (t *tile) product() {
	k := Load(Param("k"), GP64())
	SUBQ(Imm(unroll), k)
	JL(LabelRef("tail"))
	Label("loop")
	for u := range unroll {
		t.step(u)
		if (u+1)%t.every() == 0 {
			PREFETCHT1(Mem{Base: t.next, Disp: 64 * (u / t.every())})
		}
	}
	t.advance(unroll)
	ADDQ(I32(64*int32(unroll/t.every())), t.next)
	SUBQ(Imm(unroll), k)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(unroll), k)
	JZ(LabelRef("store"))
	Label("one")
	t.step(0)
	t.advance(1)
	DECQ(k)
	JNZ(LabelRef("one"))
}

// step is one k.
func (t *tile) step(u int) {
	width := len(t.acc[0])
	switch {
	case t.rows == 1:
		// One row: the weights are memory operands.
		x := t.vec()
		VBROADCASTSS(t.elem(0, u), x)
		for i, s := range t.acc[0] {
			VFMADD231PS(t.weight(i, u), x, s)
		}
	case t.panels > 1 && t.rows <= 4:
		// Few rows: keep A's elements, so that one register holds the weights.
		x := make([]VecVirtual, t.rows)
		for r := range x {
			x[r] = t.vec()
			VBROADCASTSS(t.elem(r, u), x[r])
		}
		for i := range width {
			w := t.vec()
			VMOVUPS(t.weight(i, u), w)
			for r := range x {
				VFMADD231PS(w, x[r], t.acc[r][i])
			}
		}
	default:
		w := make([]VecVirtual, width)
		for i := range w {
			w[i] = t.vec()
			VMOVUPS(t.weight(i, u), w[i])
		}
		for r := range t.rows {
			if t.lanes == 16 && t.panels == 1 {
				VFMADD231PS_BCST(t.elem(r, u), w[0], t.acc[r][0])
				continue
			}
			x := t.vec()
			VBROADCASTSS(t.elem(r, u), x)
			for i := range w {
				VFMADD231PS(w[i], x, t.acc[r][i])
			}
		}
	}
}

func (t *tile) advance(n int) {
	for _, r := range t.bases {
		ADDQ(Imm(uint64(4*n)), r)
	}
	for _, r := range []Register{t.b, t.b3} {
		switch {
		case r == nil:
		case t.direct && n == 1:
			ADDQ(t.ldb, r)
		case t.direct:
			LEAQ(Mem{Base: r, Index: t.ldb, Scale: uint8(n)}, r)
		default:
			ADDQ(I32(4*panel*int32(n)), r)
		}
	}
}
