package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// weightTiles are the panels side by side by the rows of a tile, by the bits of
// the weight.
var weightTiles = map[string]map[int]map[int][]int{
	"AVX512VNNI": {
		8: {1: {4, 2}, 2: {2}, 3: {1}, 4: {1}, 5: {1}, 6: {1}},
		4: {1: {4, 2}, 2: {2}, 3: {1}, 4: {1}, 5: {1}, 6: {1}},
	},
	"AVX2": {
		8: {1: {4}, 2: {1}, 3: {1}},
		4: {1: {4, 1}, 2: {1}},
	},
}

// fixedBlock is the number of units of 8 steps of k that share an exponent: as
// many sums of two products by nibbles stay within 16 bits.
const fixedBlock = 4

// igemmWeight writes the products of fixed-point numbers by weights of 8 and 4
// bits. suffix is that of the names.
func igemmWeight(v isa, suffix string) func() {
	return func() {
		for _, bits := range []int{8, 4} {
			tiles := weightTiles[suffix][bits]
			for rows := 1; rows <= len(tiles); rows++ {
				for _, panels := range tiles[rows] {
					weightTile(v, suffix, bits, rows, panels)
				}
			}
		}
		if v.lanes == 8 {
			splitRow("SplitBytesF32AVX2", splitBytes)
			splitRow("SplitWordsF32AVX2", splitWords)
		}
		emitConstants(v)
		if v.lanes == 8 {
			GLOBL("weightDigits", RODATA|NOPTR)
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

func weightTile(v isa, suffix string, bits, rows, panels int) {
	name := fmt.Sprintf("GemmX24S%dTile%dx%d%s", bits, rows, panels*panel, suffix)
	TEXT(name, NOSPLIT, "func(a *byte, sum *int32, lda int, b *int8, scale *float32, lds int, c *float32, ldc int, k int, group int)")
	Pragma("noescape")
	q := "b[p/4*256+j*4+p%4]"
	if bits == 4 {
		q = "nibble p/4%2 of b[p/8*256+j*4+p%4], less 8"
	}
	split := "SplitBytesF32AVX2"
	if v.lanes == 8 && bits == 8 {
		split = "SplitWordsF32AVX2"
	}
	Doc(name+fmt.Sprintf(" adds a product by a weight of %d bits, group by group and block by block of k:", bits),
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %d {", panels*panel),
		"			for each block, of up to 32 steps of group g {",
		"				s := 0",
		"				for p in the block { s += a(i, p) * q(j, p) }",
		"				c[i*ldc+j] = fma(float32(s)*unit, scale[j/16*lds+g*16+j%16], c[i*ldc+j])",
		"			}",
		"		}",
		"	}",
		fmt.Sprintf("a(i, p) are the numbers that %s stored at a+i*lda, and unit that which it", split),
		"stored at sum+i*lda; s is exact. q(j, p) is "+q+".",
		"k and group are in units of 8 steps, lda in bytes, ldc and lds in floats. k > 0. What follows is",
		"brought into L2.")
	t := &weightProduct{isa: v, bits: bits, rows: rows, panels: panels}
	lda := Load(Param("lda"), GP64())
	as, aAt := rowBases(Load(Param("a"), GP64()), lda, rows)
	ss, sumAt := rowBases(Load(Param("sum"), GP64()), lda, rows)
	t.b = Load(Param("b"), GP64())
	s, lds := Load(Param("scale"), GP64()), Load(Param("lds"), GP64())
	SHLQ(Imm(2), lds)
	scales, scaleAt := rowBases(s, lds, panels)
	c, ldc := Load(Param("c"), GP64()), Load(Param("ldc"), GP64())
	SHLQ(Imm(2), ldc)
	t.a, t.sum = aAt, sumAt
	t.operands()
	advance := func(n int) {
		for _, r := range as {
			ADDQ(I32(int32(32*n)), r)
		}
		ADDQ(I32(int32(t.lines()*n*weightLine)), t.b)
	}
	k, n := Load(Param("k"), GP64()), GP64()
	Label("group")
	Load(Param("group"), n)
	CMPQ(n, k)
	CMOVQGT(k, n)
	SUBQ(n, k)
	Label("block")
	SUBQ(Imm(fixedBlock), n)
	JL(LabelRef("short"))
	for t.first = 0; t.first < panels; t.first += t.together {
		t.clear()
		for u := range fixedBlock {
			t.unit(u)
		}
		t.add(c, ldc, scaleAt)
	}
	advance(fixedBlock)
	JMP(LabelRef("next"))
	Label("short") // the last block of a group
	ADDQ(Imm(fixedBlock), n)
	for t.first = 0; t.first < panels; t.first += t.together {
		t.clear()
		m, one := GP64(), label("one%d", t.first)
		MOVQ(n, m)
		Label(one)
		t.unit(0)
		advance(1)
		DECQ(m)
		JNZ(LabelRef(one))
		t.add(c, ldc, scaleAt)
		if t.first+t.together < panels { // again by the next panels
			MOVQ(n, m)
			SHLQ(Imm(5), m)
			for _, r := range as {
				SUBQ(m, r)
			}
			SHLQ(Imm(uint64(t.bits/4+2)), m) // lines are 8 times as long as digits
			SUBQ(m, t.b)
		}
	}
	XORQ(n, n)
	Label("next")
	for _, r := range ss {
		ADDQ(Imm(16), r)
	}
	TESTQ(n, n)
	JNZ(LabelRef("block"))
	for _, r := range scales {
		ADDQ(Imm(64), r)
	}
	TESTQ(k, k)
	JNZ(LabelRef("group"))
	VZEROUPPER()
	RET()
}

// weightProduct is the state of the generator of a product by a weight of few
// bits.
//
// A number of 24 bits is three signed digits of 8 bits, and the sums over the
// digits are exact: VPDPBUSD multiplies them by the weight, made unsigned. For
// AVX2's VPMADDUBSW, which is exact if the weight has 4 bits, that holds too. A
// weight of 8 bits VPMADDWD multiplies by two digits of 12 bits.
type weightProduct struct {
	isa
	bits, rows, panels int
	first, together    int // the panels that are multiplied at a time
	a, sum             func(row, disp int) Mem
	b                  Register
	acc                [][][]VecVirtual // the sums of a row and a register, by digit
	mask               Op               // of the low nibbles, or the sign of a byte
	worth              [2]Op            // of the digits, as floats: 256 and 65536, or 4096
}

// add adds the sums of a block to the result.
func (t *weightProduct) add(c, ldc Register, scaleAt func(panel, disp int) Mem) {
	to := GP64()
	MOVQ(c, to)
	for r := range t.rows {
		unit := t.vec()
		VBROADCASTSS(t.sum(r, 12), unit)
		for i := range t.acc[r] {
			at := i + t.first*panel/t.lanes
			x, y, m := t.join(r, i), t.vec(), Mem{Base: to, Disp: 4 * at * t.lanes}
			VMULPS(unit, x, x)
			VMOVUPS(m, y)
			VFMADD231PS(scaleAt(at*t.lanes/panel, at*t.lanes%panel*4), x, y)
			VMOVUPS(y, m)
		}
		if r < t.rows-1 {
			ADDQ(ldc, to)
		}
	}
}

// words reports whether digits have 12 bits, in words.
func (t *weightProduct) words() bool { return t.lanes == 8 && t.bits == 8 }

// weightLine is the number of bytes from one line of a panel to the next: the
// lines of four panels lie side by side, so that one row reads the weight from
// front to back.
const weightLine = 256

// lines is the number of lines that a unit has in a panel.
func (t *weightProduct) lines() int { return t.bits / 4 }

// fetched is how far ahead the weight is brought into L2, and every which line:
// Zen 4 fetches lines in pairs. These were the best there, for 30 and 24 of the
// 33 GB/s that a core reads from memory, and others up to a third worse: the
// fetches must not come in the way of the hardware's own.
func (t *weightProduct) fetched() (ahead, every int) {
	switch {
	case t.bits == 4:
		return 8192, 1
	case t.lanes == 8:
		return 2048, 1 // a block
	}
	return 512, 2
}

func (t *weightProduct) operands() {
	// AVX2 has registers for one panel: a block is multiplied by one after the
	// other.
	t.together = t.panels
	if t.lanes == 8 {
		t.together = 1
	}
	digits := 3
	if t.words() {
		digits = 2
	}
	t.acc = make([][][]VecVirtual, t.rows)
	for r := range t.acc {
		for range t.together * panel / t.lanes {
			t.acc[r] = append(t.acc[r], simd{t.isa, digits}.alloc())
		}
	}
	consts := []uint32{0x0f0f0f0f, math.Float32bits(256), math.Float32bits(65536)}
	if t.bits == 8 {
		consts = []uint32{0x80808080, math.Float32bits(4096), 4095}
	}
	for i, at := range []*Op{&t.mask, &t.worth[0], &t.worth[1]} {
		*at = t.isa.bits(consts[i])
		if t.lanes == 16 {
			x := t.vec()
			VBROADCASTSS(*at, x)
			*at = x
		}
	}
}

// clear begins a block. The sums of VPDPBUSD begin with what comes off for the
// bias of the weight, those of VPMADDUBSW have 16 bits and no room for it.
func (t *weightProduct) clear() {
	for r, row := range t.acc {
		for i, acc := range row {
			for d, x := range acc {
				switch {
				case t.lanes == 8:
					VPXOR(x, x, x)
				case i > 0:
					VMOVDQA32(row[0][d], x)
				default:
					VPBROADCASTD(t.sum(r, 4*d), x)
					if t.bits == 8 {
						VPSLLD(Imm(4), x, x)
					}
				}
			}
		}
	}
}

// unit adds the products of 8 steps of k, u units on.
func (t *weightProduct) unit(u int) {
	ahead, every := t.fetched()
	for line := range t.lines() {
		for i := t.first; i < t.first+t.together; i += every {
			PREFETCHT1(Mem{Base: t.b, Disp: ahead + (t.lines()*u+line)*weightLine + 64*i})
		}
	}
	// Digits are kept in registers while there are some left.
	var kept map[[2]int]VecVirtual
	if t.rows*t.panels <= 4 && t.lanes == 16 || t.rows == 1 {
		kept = map[[2]int]VecVirtual{}
	}
	digit := func(r, at int) VecVirtual {
		if x, ok := kept[[2]int{r, at}]; ok {
			return x
		}
		x := t.vec()
		VPBROADCASTD(t.a(r, 32*u+at), x)
		if kept != nil {
			kept[[2]int{r, at}] = x
		}
		return x
	}
	for i := range t.together * panel / t.lanes {
		load := func(line int) VecVirtual {
			x, at := t.vec(), Mem{Base: t.b, Disp: (t.lines()*u+line)*weightLine + 64*t.first + 4*t.lanes*i}
			if t.lanes == 16 {
				VMOVDQU32(at, x)
			} else {
				VMOVDQU(at, x)
			}
			return x
		}
		// product multiplies the digits at from on, one after the other.
		product := func(q VecVirtual, from, step int) {
			for r := range t.rows {
				for d, acc := range t.acc[r][i] {
					x := digit(r, from+step*d)
					if t.lanes == 16 {
						VPDPBUSD(x, q, acc)
						continue
					}
					y := t.vec()
					if t.words() {
						VPMADDWD(x, q, y)
						VPADDD(y, acc, acc)
					} else {
						VPMADDUBSW(x, q, y)
						VPADDW(y, acc, acc)
					}
				}
			}
		}
		switch {
		case t.words():
			for half := range 2 {
				odd, even := load(half), t.vec()
				VPSLLW(Imm(8), odd, even)
				VPSRAW(Imm(8), even, even)
				product(even, 16*half, 8)
				VPSRAW(Imm(8), odd, odd)
				product(odd, 16*half+4, 8)
			}
		case t.bits == 8:
			for half := range 2 {
				q := load(half)
				VPXORD(t.mask, q, q)
				product(q, 16*half, 4)
			}
		default:
			low, high := load(0), t.vec()
			VPSRLD(Imm(4), low, high)
			for _, x := range []VecVirtual{low, high} {
				if t.lanes == 16 {
					VPANDD(t.mask, x, x)
				} else {
					VPAND(t.mask, x, x)
				}
			}
			product(low, 0, 4)
			product(high, 16, 4)
		}
	}
}

// join returns the sum of a block, rounded to a float: digits are put together
// so that only the last addition rounds.
func (t *weightProduct) join(r, i int) VecVirtual {
	s := t.acc[r][i]
	switch {
	case t.words():
		VCVTDQ2PS(s[0], s[0])
		VCVTDQ2PS(s[1], s[1])
		VFMADD231PS(t.worth[0], s[1], s[0])
	case t.bits == 8:
		// Sums of 20 bits: the low two digits make one number, of which 12 bits
		// stay, and the rest goes to the third.
		VPSLLD(Imm(8), s[1], s[1])
		VPADDD(s[1], s[0], s[0])
		VPSRAD(Imm(12), s[0], s[1])
		VPANDD(t.worth[1], s[0], s[0])
		VPSLLD(Imm(4), s[2], s[2])
		VPADDD(s[2], s[1], s[1])
		VCVTDQ2PS(s[0], s[0])
		VCVTDQ2PS(s[1], s[1])
		VFMADD231PS(t.worth[0], s[1], s[0])
	default:
		for d, x := range s {
			if t.lanes == 8 {
				y := t.vec()
				VPMADDWD(t.isa.bits(0x00010001), x, x)
				VPBROADCASTD(t.sum(r, 4*d), y)
				VPADDD(y, x, x)
			}
			VCVTDQ2PS(x, x)
		}
		VFMADD231PS(t.worth[0], s[1], s[0]) // below 2²⁴, exact
		VFMADD231PS(t.worth[1], s[2], s[0])
	}
	return s[0]
}

// split is a way to store numbers of 24 bits.
type split struct {
	doc []string
	// digits turns 8 numbers into digits in place, and adds to the sums that go
	// beside them.
	digits func(y, sum, shuffle VecVirtual)
}

// splitBytes stores signed digits of 8 bits.
var splitBytes = split{
	doc: []string{
		"	digits[p/8*32+p/4%2*16+d*4+p%4] = digit d of x[p], d < 3",
		"	sum[d] = -8 * the sum of the digits d"},
	digits: func(y, sum, shuffle VecVirtual) {
		v, t := avx2, YMM()
		VPADDD(v.bits(0x808080), y, y)
		VPXOR(v.bits(0x808080), y, y)
		VPSHUFB(shuffle, y, y)
		VMOVDQU(v.bits(0x01010101), t)
		VPMADDUBSW(y, t, t)
		VPMADDWD(v.bits(0x00010001), t, t)
		VPADDD(t, sum, sum)
	},
}

// splitWords stores signed digits of 12 bits.
var splitWords = split{
	doc: []string{"	words(digits)[p/8*16+p/4%2*8+d*4+p%2*2+p%4/2] = digit d of x[p], d < 2"},
	digits: func(y, _, _ VecVirtual) {
		v, low := avx2, YMM()
		VPADDD(v.bits(2048), y, low)
		VPAND(v.bits(4095), low, low)
		VPSUBD(v.bits(2048), low, low)
		VPSUBD(low, y, y)
		VPSRAD(Imm(12), y, y)
		VPACKSSDW(y, low, y)
		VPSHUFLW(Imm(0xd8), y, y)
		VPSHUFHW(Imm(0xd8), y, y)
	},
}

// splitRow writes ref.FixedF32 of the blocks of a row; store says how the
// numbers are stored.
func splitRow(name string, store split) {
	TEXT(name, NOSPLIT, "func(digits *byte, sum *int32, x *float32, k int, group int)")
	Pragma("noescape")
	Doc(append([]string{
		name + " is ref.FixedF32 of the blocks of a row, of up to 32 elements, which begin anew with",
		"each group. Unit u of 8 elements is stored in 32 bytes, and a block's unit as the last of 16:"},
		append(store.doc, "k and group are in units of 8 elements, and k > 0.")...)...)
	digits, sum, x := Load(Param("digits"), GP64()), Load(Param("sum"), GP64()), Load(Param("x"), GP64())
	k, n := Load(Param("k"), GP64()), GP64()
	v := avx2
	shuffle := YMM()
	VMOVDQU(Mem{Symbol: Symbol{Name: "weightDigits", Static: true}, Base: StaticBase}, shuffle)
	// block splits the units that load loads.
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
			store.digits(y, all, shuffle)
			VMOVDQU(y, Mem{Base: digits, Disp: 32 * u})
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
	SUBQ(Imm(fixedBlock), n)
	JL(LabelRef("short"))
	y := make(vecs, fixedBlock)
	for u := range y {
		y[u] = YMM()
		VMOVUPS(Mem{Base: x, Disp: 32 * u}, y[u])
	}
	block(func(f func(y VecVirtual, u int)) {
		for u, y := range y {
			f(y, u)
		}
	})
	ADDQ(I32(32*fixedBlock), digits)
	ADDQ(I32(32*fixedBlock), x)
	JMP(LabelRef("next"))
	Label("short") // the last block of a group
	ADDQ(Imm(fixedBlock), n)
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
