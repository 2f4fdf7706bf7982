package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attnKeys writes the products of a few queries with keys that are read where
// they lie, once: what decoding is made of. A score is one chain over the
// dimensions, so lanes are keys: 8 keys by 4 dimensions are transposed in
// registers. Memory is the limit; the AVX-512 row uses these too.
func attnKeys() {
	for rows := 1; rows <= attnFew; rows++ {
		attnKeysRows(rows)
	}
}

func attnKeysRows(rows int) {
	name := fmt.Sprintf("AttnKeysF32Rows%dAVX2", rows)
	TEXT(name, NOSPLIT, "func(q *float32, ldq int, k *float32, ldk int, s *float32, lds int, d int, groups int)")
	Pragma("noescape")
	Doc(name+" multiplies queries by groups of 8 keys in place:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range 8*groups {",
		"			x := 0",
		"			for p := range d { x = fma(q[i*ldq+p], k[j*ldk+p], x) }",
		"			s[i*lds+j] = x",
		"		}",
		"	}",
		"d is a multiple of 4 and strides are in floats.")
	q, ldq := Load(Param("q"), GP64()), Load(Param("ldq"), GP64())
	k, ldk := Load(Param("k"), GP64()), Load(Param("ldk"), GP64())
	s, lds := Load(Param("s"), GP64()), Load(Param("lds"), GP64())
	groups := Load(Param("groups"), GP64())
	SHLQ(Imm(2), ldq)
	SHLQ(Imm(2), ldk)
	SHLQ(Imm(2), lds)
	var q3 Register
	if rows > 3 {
		q3 = GP64()
		LEAQ(Mem{Base: q, Index: ldq, Scale: 2}, q3)
		ADDQ(ldq, q3)
	}
	query := func(r, p int) Mem {
		m := Mem{Base: q, Disp: 4 * p}
		switch r {
		case 1, 2:
			m.Index, m.Scale = ldq, uint8(r)
		case 3:
			m.Base = q3
		}
		return m
	}
	k3, k6, d := GP64(), GP64(), GP64()
	at := func(base Register, i int) Mem {
		m := Mem{Base: base}
		if i > 0 {
			m.Index, m.Scale = ldk, uint8(i)
		}
		return m
	}
	key := func(i, disp int) Mem {
		m := at([]Register{k, k3, k6}[i/3], i%3)
		m.Disp = disp
		return m
	}
	acc := make([]VecVirtual, rows)
	for r := range acc {
		acc[r] = YMM()
	}
	// four takes four dimensions.
	four := func(p int) {
		var x [4]VecVirtual // x[i] holds keys i and i+4
		for i := range x {
			lo := XMM()
			x[i] = YMM()
			VMOVUPS(key(i, 4*p), lo)
			VINSERTF128(Imm(1), key(i+4, 4*p), lo.AsY(), x[i])
		}
		a, b, c, e := YMM(), YMM(), YMM(), YMM()
		VUNPCKLPS(x[1], x[0], a)
		VUNPCKHPS(x[1], x[0], b)
		VUNPCKLPS(x[3], x[2], c)
		VUNPCKHPS(x[3], x[2], e)
		for i := range 4 {
			t := YMM()
			switch i {
			case 0:
				VUNPCKLPD(c, a, t)
			case 1:
				VUNPCKHPD(c, a, t)
			case 2:
				VUNPCKLPD(e, b, t)
			case 3:
				VUNPCKHPD(e, b, t)
			}
			for r := range acc {
				y := YMM()
				VBROADCASTSS(query(r, p+i), y)
				VFMADD231PS(y, t, acc[r])
			}
		}
	}
	advance := func(n int) {
		for _, r := range []Register{q, k, k3, k6} {
			ADDQ(Imm(uint64(4*n)), r)
		}
		if q3 != nil {
			ADDQ(Imm(uint64(4*n)), q3)
		}
	}
	TESTQ(groups, groups)
	JZ(LabelRef("done"))
	Label("group")
	LEAQ(Mem{Base: k, Index: ldk, Scale: 2}, k3)
	ADDQ(ldk, k3)
	LEAQ(Mem{Base: k3, Index: ldk, Scale: 2}, k6)
	ADDQ(ldk, k6)
	for _, x := range acc {
		VXORPS(x, x, x)
	}
	Load(Param("d"), d)
	SUBQ(Imm(16), d)
	JL(LabelRef("tail"))
	Label("loop")
	far := GP64() // The lines 32 keys further on, into the L2: twice as fast from memory as without, or into the L1.
	MOVQ(ldk, far)
	SHLQ(Imm(5), far)
	ADDQ(k, far)
	for i := range 3 {
		for j := range min(3, 8-3*i) {
			PREFETCHT1(at(far, j))
		}
		if i < 2 {
			LEAQ(Mem{Base: far, Index: ldk, Scale: 2}, far)
			ADDQ(ldk, far)
		}
	}
	for p := 0; p < 16; p += 4 {
		four(p)
	}
	advance(16)
	SUBQ(Imm(16), d)
	JGE(LabelRef("loop"))
	Label("tail")
	ADDQ(Imm(16), d)
	JZ(LabelRef("store"))
	Label("four")
	four(0)
	advance(4)
	SUBQ(Imm(4), d)
	JG(LabelRef("four"))

	Label("store")
	out := GP64()
	MOVQ(s, out)
	for r, x := range acc {
		VMOVUPS(x, Mem{Base: out})
		if r < rows-1 {
			ADDQ(lds, out)
		}
	}
	ADDQ(Imm(32), s)
	Load(Param("d"), d)
	SHLQ(Imm(2), d)
	SUBQ(d, q)
	if q3 != nil {
		SUBQ(d, q3)
	}
	SUBQ(d, k)
	LEAQ(Mem{Base: k, Index: ldk, Scale: 8}, k)
	DECQ(groups)
	JNZ(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}
