package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// nibbleTiles are the panels side by side by the rows of a tile.
var nibbleTiles = map[int]map[int][]int{
	16: {1: {4, 2}, 2: {2}, 3: {1}, 4: {1}, 5: {1}, 6: {1}},
	8:  {1: {1}, 2: {1}},
}

// nibbleBlock is the number of units of 8 steps of k that share an exponent:
// as many sums of two products of VPMADDUBSW stay within 16 bits.
const nibbleBlock = 4

// igemmNibble writes the products by nibbles of rows that are split into
// digits of 8 bits. suffix is that of the names.
func igemmNibble(v isa, suffix string) func() {
	return func() {
		tiles := nibbleTiles[v.lanes]
		for rows := 1; rows <= len(tiles); rows++ {
			for _, panels := range tiles[rows] {
				nibbleTile(v, suffix, rows, panels)
			}
		}
		if v.lanes == 8 {
			splitRow()
		}
		emitConstants(v)
		if v.lanes == 8 {
			GLOBL("igemmDigits", RODATA|NOPTR)
			for i := range 32 {
				at := uint8(0x80) // a zero
				if d := i / 4 % 4; d < 3 {
					at = uint8(i%4*4 + d)
				}
				DATA(i, U8(at))
			}
		}
	}
}

func nibbleTile(v isa, suffix string, rows, panels int) {
	name := fmt.Sprintf("GemmF32S4Tile%dx%d%s", rows, panels*panel, suffix)
	TEXT(name, NOSPLIT, "func(a *int8, sum *int32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc int, k int, group int)")
	Pragma("noescape")
	Doc(name+" adds a product by a weight of 4 bits, group by group and block by block of k:",
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %d {", panels*panel),
		"			for each block, of up to 32 steps of group g {",
		"				s := sum[:3]",
		"				for p in the block { s[d] += digit(p, d) * q(p) for each d }",
		"				t := fma(float32(s[2]), 65536, fma(float32(s[1]), 256, float32(s[0]))) * unit",
		"				c[i*ldc+j] = fma(t, scale[j/16*lds+g*16+j%16], c[i*ldc+j])",
		"			}",
		"		}",
		"	}",
		"digit(p, d) is a[i*lda+p/8*32+p/4%2*16+d*4+p%4], as ref.SplitF32 stores it, and q(p) nibble",
		"p/4%2 of byte j%16*4+p%4 of the 64 bytes at b[j/16*ldb+p/8*64], unsigned. A block of row i has",
		"the next 16 bytes at sum+i*lda: three sums and unit. k and group are in units of 8 steps, lda and",
		"ldb in bytes, ldc and lds in floats. k > 0. What follows the panels is brought into L2.")
	t := &nibbles{isa: v, rows: rows, panels: panels}
	lda := Load(Param("lda"), GP64())
	as, aAt := rowBases(Load(Param("a"), GP64()), lda, rows)
	ss, sumAt := rowBases(Load(Param("sum"), GP64()), lda, rows)
	b, ldb := Load(Param("b"), GP64()), Load(Param("ldb"), GP64())
	ahead := GP64()
	LEAQ(Mem{Base: b, Index: ldb, Scale: uint8(panels)}, ahead)
	bs, bAt := rowBases(b, ldb, panels)
	fs, aheadAt := rowBases(ahead, ldb, panels)
	c := newSums(v, rows, panels)
	t.a, t.sum, t.b, t.ahead = aAt, sumAt, bAt, aheadAt
	t.operands()
	advance := func(n int) {
		for _, r := range as {
			ADDQ(I32(int32(32*n)), r)
		}
		for _, r := range append(bs, fs...) {
			ADDQ(I32(int32(64*n)), r)
		}
	}
	k, n := Load(Param("k"), GP64()), GP64()
	Label("group")
	Load(Param("group"), n)
	CMPQ(n, k)
	CMOVQGT(k, n)
	SUBQ(n, k)
	Label("block")
	t.clear()
	SUBQ(Imm(nibbleBlock), n)
	JL(LabelRef("short"))
	for u := range nibbleBlock {
		t.unit(u)
	}
	advance(nibbleBlock)
	JMP(LabelRef("sum"))
	Label("short") // the last block of a group
	ADDQ(Imm(nibbleBlock), n)
	Label("one")
	t.unit(0)
	advance(1)
	DECQ(n)
	JNZ(LabelRef("one"))
	Label("sum")
	c.add(t.join)
	for _, r := range ss {
		ADDQ(Imm(16), r)
	}
	TESTQ(n, n)
	JNZ(LabelRef("block"))
	c.next()
	TESTQ(k, k)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// nibbles is the state of the generator of a product by a weight of 4 bits.
type nibbles struct {
	isa
	rows, panels int
	a, sum       func(row, disp int) Mem
	b, ahead     func(panel, disp int) Mem
	acc          [][][3]VecVirtual // the sums of a row and a register, by digit
	low          Op                // of every byte
	worth        [2]Op             // 256 and 65536
}

func (t *nibbles) operands() {
	t.acc = make([][][3]VecVirtual, t.rows)
	for r := range t.acc {
		for range t.panels * panel / t.lanes {
			t.acc[r] = append(t.acc[r], [3]VecVirtual{t.vec(), t.vec(), t.vec()})
		}
	}
	t.low, t.worth = t.bits(0x0f0f0f0f), [2]Op{t.float(256), t.float(65536)}
	if t.lanes == 16 {
		for _, at := range []*Op{&t.low, &t.worth[0], &t.worth[1]} {
			x := t.vec()
			VBROADCASTSS(*at, x)
			*at = x
		}
	}
}

// clear begins a block. The sums of AVX-512 begin with what comes off for the
// bias of the nibbles, those of AVX2 have 16 bits and no room for it.
func (t *nibbles) clear() {
	for r, row := range t.acc {
		for i, acc := range row {
			for d, x := range acc {
				switch {
				case t.lanes == 8:
					VPXOR(x, x, x)
				case i == 0:
					VPBROADCASTD(t.sum(r, 4*d), x)
				default:
					VMOVDQA32(row[0][d], x)
				}
			}
		}
	}
}

// unit adds the products of 8 steps of k, u units on.
func (t *nibbles) unit(u int) {
	for i := range t.panels {
		PREFETCHT1(t.ahead(i, 64*u))
	}
	// Digits are kept in registers while there are some left.
	var kept map[[3]int]VecVirtual
	if t.rows*t.panels <= 4 && t.lanes == 16 || t.rows == 1 {
		kept = map[[3]int]VecVirtual{}
	}
	digit := func(r, half, d int) VecVirtual {
		if x, ok := kept[[3]int{r, half, d}]; ok {
			return x
		}
		x := t.vec()
		VPBROADCASTD(t.a(r, 32*u+16*half+4*d), x)
		if kept != nil {
			kept[[3]int{r, half, d}] = x
		}
		return x
	}
	per := panel / t.lanes
	for i := range t.panels * per {
		q := [2]VecVirtual{t.vec(), t.vec()}
		if at := t.b(i/per, 64*u+i%per*32); t.lanes == 16 {
			VMOVDQU32(at, q[0])
			VPSRLD(Imm(4), q[0], q[1])
			VPANDD(t.low, q[0], q[0])
			VPANDD(t.low, q[1], q[1])
		} else {
			VMOVDQU(at, q[0])
			VPSRLD(Imm(4), q[0], q[1])
			VPAND(t.low, q[0], q[0])
			VPAND(t.low, q[1], q[1])
		}
		for r := range t.rows {
			for half, q := range q {
				for d, acc := range t.acc[r][i] {
					x := digit(r, half, d)
					if t.lanes == 16 {
						VPDPBUSD(x, q, acc)
						continue
					}
					y := t.vec()
					VPMADDUBSW(x, q, y)
					VPADDW(y, acc, acc)
				}
			}
		}
	}
}

// join puts the sums of a block together as floats.
func (t *nibbles) join(r, i int) VecVirtual {
	s := t.acc[r][i]
	for d, x := range s {
		if t.lanes == 8 {
			y := t.vec()
			VPMADDWD(t.bits(0x00010001), x, x)
			VPBROADCASTD(t.sum(r, 4*d), y)
			VPADDD(y, x, x)
		}
		VCVTDQ2PS(x, x)
	}
	VFMADD231PS(t.worth[0], s[1], s[0])
	VFMADD231PS(t.worth[1], s[2], s[0])
	unit := s[1]
	VBROADCASTSS(t.sum(r, 12), unit)
	VMULPS(unit, s[0], s[0])
	return s[0]
}

// splitRow writes the split of floats into digits.
func splitRow() {
	name := "SplitF32AVX2"
	TEXT(name, NOSPLIT, "func(digits *int8, sum *int32, x *float32, k int, group int)")
	Pragma("noescape")
	Doc(name+" is ref.SplitF32 of the blocks of a row, of up to 32 elements, which begin anew with each",
		"group. k and group are in units of 8 elements, and k > 0.")
	digits, sum, x := Load(Param("digits"), GP64()), Load(Param("sum"), GP64()), Load(Param("x"), GP64())
	k, n := Load(Param("k"), GP64()), GP64()
	v := avx2
	shuffle := YMM()
	VMOVDQU(Mem{Symbol: Symbol{Name: "igemmDigits", Static: true}, Base: StaticBase}, shuffle)
	// block splits m units, loaded by load.
	block := func(load func(f func(y VecVirtual, u int))) {
		top, t, e, none := YMM(), YMM(), YMM(), YMM()
		VPXOR(top, top, top)
		load(func(y VecVirtual, _ int) {
			VANDPS(v.bits(0x7fffffff), y, t)
			VPMAXSD(t, top, top) // an infinity is above all numbers, NaN above that
		})
		VPERM2I128(Imm(1), top, top, t)
		VPMAXSD(t, top, top)
		VPSHUFD(Imm(0x4e), top, t)
		VPMAXSD(t, top, top)
		VPSHUFD(Imm(0xb1), top, t)
		VPMAXSD(t, top, top)
		VPADDD(v.bits(0x10101), top, e)
		VPAND(v.bits(0x7f800000), e, e)
		unit, scale, bad := YMM(), YMM(), YMM()
		VPSUBD(v.bits(22<<23), e, unit)
		VMOVDQU(v.bits(0x8a000000), scale) // 276<<23
		VPSUBD(e, scale, scale)
		VMOVDQU(v.bits(0x0d800000), none) // 2⁻¹⁰⁰
		VPCMPGTD(top, none, none)
		VPCMPGTD(v.bits(0x7f7fffff), top, bad)
		VPOR(bad, none, none)
		VPANDN(unit, none, unit)
		VPAND(v.bits(0x7fc00000), bad, bad)
		VPOR(bad, unit, unit)
		all := YMM()
		VPXOR(all, all, all)
		load(func(y VecVirtual, u int) {
			VMULPS(scale, y, y)
			VCVTPS2DQ(y, y)
			VPANDN(y, none, y)
			VPADDD(v.bits(0x808080), y, y)
			VPXOR(v.bits(0x808080), y, y)
			VPSHUFB(shuffle, y, y)
			VMOVDQU(y, Mem{Base: digits, Disp: 32 * u})
			VMOVDQU(v.bits(0x01010101), t)
			VPMADDUBSW(y, t, y)
			VPMADDWD(v.bits(0x00010001), y, y)
			VPADDD(y, all, all)
		})
		high, zero := XMM(), XMM()
		VEXTRACTI128(Imm(1), all, high)
		VPADDD(high, all.AsX(), high)
		VPSLLD(Imm(3), high, high)
		VPXOR(zero, zero, zero)
		VPSUBD(high, zero, high)
		VPBLENDD(Imm(8), unit.AsX(), high, high)
		VMOVDQU(high, Mem{Base: sum})
	}
	Label("group")
	Load(Param("group"), n)
	CMPQ(n, k)
	CMOVQGT(k, n)
	SUBQ(n, k)
	Label("block")
	SUBQ(Imm(nibbleBlock), n)
	JL(LabelRef("short"))
	y := make(vecs, nibbleBlock)
	for u := range y {
		y[u] = YMM()
		VMOVUPS(Mem{Base: x, Disp: 32 * u}, y[u])
	}
	block(func(f func(y VecVirtual, u int)) {
		for u, y := range y {
			f(y, u)
		}
	})
	ADDQ(I32(32*nibbleBlock), digits)
	ADDQ(I32(32*nibbleBlock), x)
	JMP(LabelRef("next"))
	Label("short") // the last block of a group
	ADDQ(Imm(nibbleBlock), n)
	pass := 0
	block(func(f func(y VecVirtual, u int)) {
		from, m, y := GP64(), GP64(), YMM()
		MOVQ(x, from)
		MOVQ(n, m)
		Label(label("unit%d", pass))
		VMOVUPS(Mem{Base: from}, y)
		f(y, 0)
		ADDQ(Imm(32), from)
		if pass == 1 {
			ADDQ(Imm(32), digits)
		}
		DECQ(m)
		JNZ(LabelRef(label("unit%d", pass)))
		if pass == 1 {
			MOVQ(from, x)
		}
		pass++
	})
	XORQ(n, n)
	Label("next")
	ADDQ(Imm(16), sum)
	TESTQ(n, n)
	JNZ(LabelRef("block"))
	TESTQ(k, k)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}
