package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// weightTiles are the panels side by side by the rows of a tile: enough sums to
// hide the latency of the multiply-adds.
var weightTiles = map[string][][]int{
	"AVX512": {1: {4, 2}, 2: {4, 2}, 3: {2}, 4: {2}},
	"AVX2":   {1: {4, 2}, 2: {2}, 3: {1}, 4: {1}},
}

// igemmWeight writes the products of floats by weights of 8 and 4 bits, which
// are turned into floats in registers.
func igemmWeight(v isa) func() {
	return func() {
		for _, bits := range []int{8, 4} {
			for rows, list := range weightTiles[v.name] {
				for _, panels := range list {
					weightTile(v, bits, rows, panels)
				}
			}
			unpackPanel(v, bits)
		}
		if v.lanes == 16 {
			GLOBL("igemmNibbles", RODATA|NOPTR)
			for i := range 16 {
				DATA(4*i, U32(math.Float32bits(float32(int32(i)<<28>>28))))
			}
		}
		emitVecTail()
	}
}

// igemmNibbles are the values of the nibbles, in the order of their bits.
var igemmNibbles = Mem{Symbol: Symbol{Name: "igemmNibbles", Static: true}, Base: StaticBase}

// weights turns lanes of 32 bits into floats.
type weights struct {
	isa
	bits  int
	table VecVirtual // of the nibbles, AVX-512 only
}

func newWeights(v isa, bits int) weights {
	w := weights{isa: v, bits: bits}
	if v.lanes == 16 && bits == 4 {
		w.table = v.vec()
		VMOVUPS(igemmNibbles, w.table)
	}
	return w
}

// per is the number of elements of a lane.
func (w weights) per() int { return 32 / w.bits }

// value returns element u of the lanes as a float: sign-extended by two shifts
// and converted, or looked up by its nibble.
func (w weights) value(lanes VecVirtual, u int) VecVirtual {
	x := w.vec()
	if w.table != nil {
		at := lanes // VPERMPS reads the low 4 bits
		if u > 0 {
			at = x
			VPSRLD(Imm(uint64(4*u)), lanes, at)
		}
		VPERMPS(w.table, at, x)
		return x
	}
	from := lanes
	if left := 32 - w.bits*(u+1); left > 0 {
		VPSLLD(Imm(uint64(left)), lanes, x)
		from = x
	}
	VPSRAD(Imm(uint64(32-w.bits)), from, x)
	VCVTDQ2PS(x, x)
	return x
}

func weightTile(v isa, bits, rows, panels int) {
	name := fmt.Sprintf("GemmF32S%dTile%dx%d%s", bits, rows, panels*panel, v.name)
	TEXT(name, NOSPLIT, "func(a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc int, k int, cols int, group int)")
	Pragma("noescape")
	Doc(name+fmt.Sprintf(" multiplies by a weight of %d bits:", bits),
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := 0",
		"			for p := range k { s = fma(a[i*lda+p], q(j, p)*scale[j/16*lds+p/group*16+j%16], s) }",
		"			c[i*ldc+j] = s",
		"		}",
		"	}",
		fmt.Sprintf("q(j, p) is element p%%%d of lane j%%16 of the 64 bytes at b[j/16*ldb+p/%d*64]. lda, ldc and", 32/bits, 32/bits),
		fmt.Sprintf("lds are in floats. k > 0, 0 < cols <= %d; group is a multiple of 8. If scale is nil, and the", panels*panel),
		"weight of 8 bits, nothing is scaled. What follows the panels is brought into L2.")
	w := newWeights(v, bits)
	per := panel / v.lanes // registers a panel

	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	SHLQ(Imm(2), lda)
	bases, row := rowBases(a, lda, rows)
	b, ldb := Load(Param("b"), GP64()), Load(Param("ldb"), GP64())
	s, lds := Load(Param("scale"), GP64()), Load(Param("lds"), GP64())
	SHLQ(Imm(2), lds)
	ahead := GP64() // the panels that follow
	LEAQ(Mem{Base: b, Index: ldb, Scale: uint8(panels)}, ahead)
	bs, bAt := rowBases(b, ldb, panels)
	as, aheadAt := rowBases(ahead, ldb, panels)
	ss, sAt := rowBases(s, lds, panels)
	acc := make([][]VecVirtual, rows)
	for r := range acc {
		acc[r] = make([]VecVirtual, panels*per)
		for i := range acc[r] {
			acc[r][i] = v.vec()
			v.clear(acc[r][i])
		}
	}
	k, n := Load(Param("k"), GP64()), GP64()
	// product adds all of k, scaled or not.
	product := func(scaled bool, at string) {
		// AVX-512 has registers for what a group and a lane need; AVX2 reads L1.
		scales, lanes := make([]Op, panels*per), make([]VecVirtual, panels*per)
		load := func() {
			for i := range panels {
				PREFETCHT1(aheadAt(i, 0))
			}
			for i := range lanes {
				if v.lanes == 16 {
					lanes[i] = v.vec()
					VMOVUPS(bAt(i/per, i%per*32), lanes[i])
				}
			}
		}
		step := func(u int) {
			x := make([]VecVirtual, rows)
			for r := range x {
				x[r] = v.vec()
				VBROADCASTSS(row(r, 4*u), x[r])
			}
			for i := range scales {
				l := lanes[i]
				if l == nil {
					l = v.vec()
					VMOVUPS(bAt(i/per, i%per*32), l)
				}
				y := w.value(l, u)
				if scaled {
					VMULPS(scales[i], y, y)
				}
				for r := range x {
					VFMADD231PS(x[r], y, acc[r][i])
				}
			}
		}
		Label(at + "group")
		Load(Param("group"), n)
		CMPQ(n, k)
		CMOVQGT(k, n)
		SUBQ(n, k)
		for i := range scales {
			if !scaled {
				break
			}
			at := sAt(i/per, i%per*32)
			scales[i] = at
			if v.lanes == 16 {
				y := v.vec()
				VMOVUPS(at, y)
				scales[i] = y
			}
		}
		SUBQ(Imm(uint64(w.per())), n)
		JL(LabelRef(at + "tail"))
		Label(at + "loop")
		load()
		for u := range w.per() {
			step(u)
		}
		for _, r := range bases {
			ADDQ(Imm(uint64(4*w.per())), r)
		}
		for _, r := range append(bs, as...) {
			ADDQ(Imm(64), r)
		}
		SUBQ(Imm(uint64(w.per())), n)
		JGE(LabelRef(at + "loop"))
		Label(at + "tail")
		ADDQ(Imm(uint64(w.per())), n)
		JZ(LabelRef(at + "next"))
		load()
		for u := range w.per() - 1 { // only at the end of k
			step(u)
			DECQ(n)
			JZ(LabelRef(at + "next"))
		}
		Label(at + "next")
		if scaled {
			for _, r := range ss {
				ADDQ(Imm(64), r)
			}
		}
		TESTQ(k, k)
		JNZ(LabelRef(at + "group"))
	}
	if bits == 8 {
		TESTQ(s, s)
		JNZ(LabelRef("scaled"))
		product(false, "plain")
		JMP(LabelRef("store"))
		Label("scaled")
	}
	product(true, "")
	Label("store")
	weightStore(v, acc, panels*panel)
}

// weightStore stores a tile, up to cols columns.
func weightStore(v isa, acc [][]VecVirtual, width int) {
	c, ldc, cols := Load(Param("c"), GP64()), Load(Param("ldc"), GP64()), GP64()
	Load(Param("cols"), cols)
	SHLQ(Imm(2), ldc)
	walk := func(masks []Register) {
		for r := range acc {
			for i, x := range acc[r] {
				at := Mem{Base: c, Disp: 4 * i * v.lanes}
				switch {
				case masks == nil:
					VMOVUPS(x, at)
				case v.lanes == 16:
					VMOVUPS(x, masks[i], at)
				default:
					VMASKMOVPS(x, masks[i], at)
				}
			}
			if r < len(acc)-1 {
				ADDQ(ldc, c)
			}
		}
		VZEROUPPER()
		RET()
	}
	masks := make([]Register, len(acc[0]))
	if v.lanes == 16 {
		ones := GP64()
		MOVQ(I32(-1), ones)
		BZHIQ(cols, ones, ones)
		for i := range masks {
			masks[i] = K()
			KMOVW(ones.As32(), masks[i])
			SHRQ(Imm(16), ones)
		}
		walk(masks)
		return
	}
	CMPQ(cols, Imm(uint64(width)))
	JL(LabelRef("masked"))
	walk(nil)
	Label("masked")
	// One at a time: the accumulators leave no registers for all of them.
	table, c0 := GP64(), Load(Param("c"), GP64())
	LEAQ(vecTailMask(v), table)
	low, zero := GP64(), GP64()
	MOVQ(I32(-8), low)
	XORQ(zero, zero)
	for i := range masks {
		at, m := GP64(), v.vec()
		MOVQ(I32(int32(8*i)), at)
		SUBQ(cols, at)
		CMPQ(at, low)
		CMOVQLT(low, at)
		CMPQ(at, zero)
		CMOVQGT(zero, at)
		VMOVUPS(Mem{Base: table, Index: at, Scale: 4, Disp: 128}, m)
		MOVQ(c0, c)
		for r := range acc {
			VMASKMOVPS(acc[r][i], m, Mem{Base: c, Disp: 32 * i})
			if r < len(acc)-1 {
				ADDQ(ldc, c)
			}
		}
	}
	VZEROUPPER()
	RET()
}

// unpackPanel writes the conversion of a panel to floats.
func unpackPanel(v isa, bits int) {
	name := fmt.Sprintf("UnpackS%dF32%s", bits, v.name)
	TEXT(name, NOSPLIT, "func(dst *float32, b *int8, scale *float32, k int)")
	Pragma("noescape")
	Doc(name+fmt.Sprintf(" turns k steps of a panel of %d bits into floats:", bits),
		"	for p := range k {",
		"		for j := range 16 { dst[p*16+j] = q(j, p)*scale[j] }",
		"	}",
		fmt.Sprintf("q(j, p) is element p%%%d of lane j of the 64 bytes at b[p/%d*64].", 32/bits, 32/bits))
	w := newWeights(v, bits)
	dst, b, s := Load(Param("dst"), GP64()), Load(Param("b"), GP64()), Load(Param("scale"), GP64())
	k := Load(Param("k"), GP64())
	per := panel / v.lanes
	scale := make([]VecVirtual, per)
	for i := range scale {
		scale[i] = v.vec()
		VMOVUPS(Mem{Base: s, Disp: 32 * i}, scale[i])
	}
	step := func(u int) {
		for i := range scale {
			l := v.vec()
			VMOVUPS(Mem{Base: b, Disp: 32 * i}, l)
			y := w.value(l, u)
			VMULPS(scale[i], y, y)
			VMOVUPS(y, Mem{Base: dst, Disp: 64*u + 32*i})
		}
	}
	SUBQ(Imm(uint64(w.per())), k)
	JL(LabelRef("tail"))
	Label("loop")
	for u := range w.per() {
		step(u)
	}
	ADDQ(I32(int32(64*w.per())), dst)
	ADDQ(Imm(64), b)
	SUBQ(Imm(uint64(w.per())), k)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(uint64(w.per())), k)
	JZ(LabelRef("done"))
	for u := range w.per() - 1 {
		step(u)
		DECQ(k)
		JZ(LabelRef("done"))
	}
	Label("done")
	VZEROUPPER()
	RET()
}
