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
	"gemm_bf16":       gemmBF16,
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
	// packing is the height of the thinnest tile that packs.
	packing int
}

var avx2 = isa{"AVX2", 8, YMM, map[int]int{1: 6, 2: 3, 4: 1}, 4}

var avx512 = isa{"AVX512", 16, ZMM, map[int]int{1: 16, 2: 12, 4: 4}, 6}

// avx512bf16 is avx512 with pairs of bfloat16 in the place of floats of A and B.
var avx512bf16 = isa{"AVX512BF16", 16, ZMM, avx512.tall, 0}

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
	for _, m := range []mode{packed, direct, packing} {
		for _, panels := range []int{4, 2, 1} {
			for rows := v.tall[panels]; rows >= 1; rows-- {
				// The tile that packs is the first of at least
				// two that share out the rows evenly: it is not thin.
				if m == packing && (panels == 4 || panels == 2 && v.lanes == 8 || rows < v.packing) {
					continue
				}
				gemmTile(v, rows, panels, m)
			}
		}
	}
}

func gemmBF16() {
	for _, panels := range []int{4, 2, 1} {
		for rows := avx512bf16.tall[panels]; rows >= 1; rows-- {
			gemmTile(avx512bf16, rows, panels, packed)
		}
	}
}

// mac is acc += x·m, with pairs a sum of two products.
func (v isa) mac(m Op, x, acc VecVirtual) {
	if v.name == avx512bf16.name {
		vdpbf16ps(m, x, acc, false)
	} else {
		VFMADD231PS(m, x, acc)
	}
}

// macBroadcast is mac by one element (or pair) in memory.
func (v isa) macBroadcast(m Mem, x, acc VecVirtual) {
	if v.name == avx512bf16.name {
		vdpbf16ps(m, x, acc, true)
	} else {
		VFMADD231PS_BCST(m, x, acc)
	}
}

// mode is where a tile finds B.
type mode int

const (
	packed  mode = iota // in panels
	direct              // in its own rows
	packing             // in its own rows, and copies it to panels for the tiles that follow
)

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
func gemmTile(v isa, rows, panels int, m mode) {
	t := &tile{isa: v, rows: rows, panels: panels, mode: m, per: panel / v.lanes}
	types, term := "F32", "s = fma(a[i*lda+p], %s, s)"
	if v.name == avx512bf16.name {
		types, term = "BF16", "s = ref.DotBF16(a[i*lda+p], %s, s)"
	}
	name := fmt.Sprintf("Gemm%s%s%dx%d%s", types, [...]string{"Tile", "Direct", "Packing"}[m], rows, panels*panel, v.name)
	params, cols, at := "cols int, add bool, next *float32, step int", "cols", "b[(j/16)*ldb+p*16+j%16]"
	also := []string{
		fmt.Sprintf("Strides are in floats. %d < cols <= %d. k may be 0. Meanwhile k/%d lines of memory, from", (panels-1)*panel, panels*panel, t.every()),
		"next on and step floats apart, are brought into L2."}
	if m != packed {
		params, cols, at = "add bool, next *float32", fmt.Sprint(panels*panel), "b[p*ldb+j]"
		also = []string{"Strides are in floats. k may be 0. The rows of B at next are brought into L1."}
	}
	if m == packing {
		params += ", pack *float32, ldp int"
		also = append(also, "B is also copied to panels: pack[(j/16)*ldp+p*16+j%16] = b[p*ldb+j].")
	}
	TEXT(name, NOSPLIT, "func(a *float32, lda int, b *float32, ldb int, c *float32, ldc int, k int, "+params+")")
	Pragma("noescape")
	Doc(append([]string{name + " sets a tile of C = A·B, or adds to it:",
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %s {", cols),
		"			s := c[i*ldc+j] or 0",
		"			for p := range k { " + fmt.Sprintf(term, at) + " }",
		"			c[i*ldc+j] = s",
		"		}",
		"	}"}, also...)...)
	t.operands()
	t.load()
	t.product()
	t.store()
}

// tile is the state of the generator of one micro-kernel.
type tile struct {
	isa
	rows, panels int
	mode         mode
	per          int // registers a panel
	acc          [][]VecVirtual

	lda, b, ldb, b3 Register
	next, nextStep  Register
	pack, ldp       Register
	bases           []Register // of rows 0, 3, 6, …
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
	if t.mode == packed {
		t.nextStep = Load(Param("step"), GP64())
		SHLQ(Imm(2), t.nextStep)
	}
	if t.panels > 1 || t.mode != packed {
		t.ldb = Load(Param("ldb"), GP64())
		SHLQ(Imm(2), t.ldb)
	}
	if t.panels > 3 || t.mode != packed {
		t.b3 = GP64()
		LEAQ(Mem{Base: t.b, Index: t.ldb, Scale: 2}, t.b3)
		ADDQ(t.ldb, t.b3)
	}
	if t.mode == packing {
		t.pack = Load(Param("pack"), GP64())
		if t.panels > 1 {
			t.ldp = Load(Param("ldp"), GP64())
			SHLQ(Imm(2), t.ldp)
		}
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
	if t.mode != packed {
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
	ldc := Load(Param("ldc"), GP64())
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
	if t.mode != packed {
		walk(nil)
		return
	}
	cols := Load(Param("cols"), GP64())
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
		if t.mode == packed && (u+1)%t.every() == 0 {
			PREFETCHT1(Mem{Base: t.next})
			ADDQ(t.nextStep, t.next)
		}
	}
	t.advance(unroll)
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
	if t.mode != packed {
		for q := range t.panels {
			PREFETCHT0(Mem{Base: t.next, Disp: 64 * q})
		}
		ADDQ(t.ldb, t.next)
	}
	switch {
	case t.rows == 1:
		// One row: the weights are memory operands.
		x := t.vec()
		VBROADCASTSS(t.elem(0, u), x)
		for i, s := range t.acc[0] {
			t.mac(t.weight(i, u), x, s)
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
				t.mac(w, x[r], t.acc[r][i])
			}
		}
	default:
		w := make([]VecVirtual, width)
		for i := range w {
			w[i] = t.vec()
			VMOVUPS(t.weight(i, u), w[i])
			if t.mode == packing {
				m := Mem{Base: t.pack, Disp: u*panel*4 + i%t.per*t.lanes*4}
				if i >= t.per {
					m.Index, m.Scale = t.ldp, 1
				}
				VMOVUPS(w[i], m)
			}
		}
		for r := range t.rows {
			if t.lanes == 16 && t.panels == 1 {
				t.macBroadcast(t.elem(r, u), w[0], t.acc[r][0])
				continue
			}
			x := t.vec()
			VBROADCASTSS(t.elem(r, u), x)
			for i := range w {
				t.mac(w[i], x, t.acc[r][i])
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
		case t.mode != packed && n == 1:
			ADDQ(t.ldb, r)
		case t.mode != packed:
			LEAQ(Mem{Base: r, Index: t.ldb, Scale: uint8(n)}, r)
		default:
			ADDQ(I32(4*panel*int32(n)), r)
		}
	}
	if t.pack != nil {
		ADDQ(I32(4*panel*int32(n)), t.pack)
	}
}
