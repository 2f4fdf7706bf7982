package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// attnPack writes the kernels that bring keys and values into panels. Both are
// bound by loads, stores and shuffles within 128 bits, so that wider registers
// would gain nothing: the AVX-512 row uses them too.
func attnPack() {
	attnPackKeys()
	attnPackValues()
}

// attnPackKeys transposes 8 keys by 8 dimensions at a time.
func attnPackKeys() {
	TEXT("AttnPackKeysF32AVX2", NOSPLIT, "func(dst *float32, k *float32, ldk int, d int, groups int)")
	Pragma("noescape")
	Doc("AttnPackKeysF32AVX2 transposes groups of 8 keys into panels of 16:",
		"	for g := range groups {",
		"		for i := range 8 {",
		"			for p := range d { dst[(g/2)*16*d+p*16+(g%2)*8+i] = k[(g*8+i)*ldk+p] }",
		"		}",
		"	}",
		"d is at least 8, ldk in floats.")
	dst, k, ldk := Load(Param("dst"), GP64()), Load(Param("k"), GP64()), Load(Param("ldk"), GP64())
	groups := Load(Param("groups"), GP64())
	SHLQ(Imm(2), ldk)
	k1, k2, k3, out, d := GP64(), GP64(), GP64(), GP64(), GP64()
	odd, far := GP64(), GP64()
	XORQ(odd, odd)
	MOVQ(ldk, far) // rows lie far apart, which hardware prefetchers do not follow
	SHLQ(Imm(4), far)
	TESTQ(groups, groups)
	JZ(LabelRef("done"))

	Label("group")
	MOVQ(k, k1) // rows 0, 1, 2 by base and index; 3, 4, 5; 6, 7
	LEAQ(Mem{Base: k1, Index: ldk, Scale: 2}, k2)
	ADDQ(ldk, k2)
	LEAQ(Mem{Base: k2, Index: ldk, Scale: 2}, k3)
	ADDQ(ldk, k3)
	MOVQ(dst, out)
	Load(Param("d"), d)
	SUBQ(Imm(8), d)
	Label("block")
	row := func(i, disp int) Mem {
		m := Mem{Base: []Register{k1, k2, k3}[i/3], Disp: disp}
		if s := i % 3; s > 0 {
			m.Index, m.Scale = ldk, uint8(s)
		}
		return m
	}
	// Register i holds dimensions 0…3 of keys i and i+4; i+4 holds 4…7.
	var r [8]VecVirtual
	for i := range 4 {
		for h := range 2 {
			lo := XMM()
			r[i+4*h] = YMM()
			VMOVUPS(row(i, 16*h), lo)
			VINSERTF128(Imm(1), row(i+4, 16*h), lo.AsY(), r[i+4*h])
		}
	}
	for h := range 2 {
		q := r[4*h:]
		a, b, c, e := YMM(), YMM(), YMM(), YMM()
		VUNPCKLPS(q[1], q[0], a)
		VUNPCKHPS(q[1], q[0], b)
		VUNPCKLPS(q[3], q[2], c)
		VUNPCKHPS(q[3], q[2], e)
		for i, pair := range [][2]VecVirtual{{a, c}, {a, c}, {b, e}, {b, e}} {
			x := YMM()
			if i%2 == 0 {
				VUNPCKLPD(pair[1], pair[0], x)
			} else {
				VUNPCKHPD(pair[1], pair[0], x)
			}
			VMOVUPS(x, Mem{Base: out, Disp: (4*h + i) * panel * 4})
		}
	}
	TESTQ(I32(8), d)
	JNZ(LabelRef("near"))
	for i := range 3 {
		ahead := GP64()
		LEAQ(Mem{Base: []Register{k1, k2, k3}[i], Index: far, Scale: 1}, ahead)
		for j := range min(3, 8-3*i) {
			m := Mem{Base: ahead}
			if j > 0 {
				m.Index, m.Scale = ldk, uint8(j)
			}
			PREFETCHT1(m)
		}
	}
	Label("near")
	// The last block overlaps the one before it where d is no multiple of 8.
	step := GP64()
	MOVQ(U32(8), step)
	CMPQ(d, step)
	CMOVQLT(d, step)
	SUBQ(step, d)
	LEAQ(Mem{Base: k1, Index: step, Scale: 4}, k1)
	LEAQ(Mem{Base: k2, Index: step, Scale: 4}, k2)
	LEAQ(Mem{Base: k3, Index: step, Scale: 4}, k3)
	bytes := GP64()
	MOVQ(step, bytes)
	SHLQ(Imm(6), bytes)
	ADDQ(bytes, out)
	TESTQ(step, step)
	JNZ(LabelRef("block"))

	LEAQ(Mem{Base: k, Index: ldk, Scale: 8}, k)
	// The second half of the panel, or the next panel.
	ADDQ(Imm(32), dst)
	XORQ(Imm(1), odd)
	JNZ(LabelRef("next"))
	Load(Param("d"), d)
	SHLQ(Imm(6), d)
	LEAQ(Mem{Base: dst, Index: d, Scale: 1, Disp: -64}, dst)
	Label("next")
	DECQ(groups)
	JNZ(LabelRef("group"))
	Label("done")
	VZEROUPPER()
	RET()
}

// attnPackValues copies rows of values into panels.
func attnPackValues() {
	TEXT("AttnPackValuesF32AVX2", NOSPLIT, "func(dst *float32, ldd int, v *float32, ldv int, keys int, panels int)")
	Pragma("noescape")
	Doc("AttnPackValuesF32AVX2 copies values into panels of 16 columns:",
		"	for j := range keys {",
		"		for c := range 16*panels { dst[(c/16)*ldd+j*16+c%16] = v[j*ldv+c] }",
		"	}",
		"Strides are in floats.")
	dst, ldd := Load(Param("dst"), GP64()), Load(Param("ldd"), GP64())
	v, ldv := Load(Param("v"), GP64()), Load(Param("ldv"), GP64())
	keys, panels := Load(Param("keys"), GP64()), Load(Param("panels"), GP64())
	SHLQ(Imm(2), ldd)
	SHLQ(Imm(2), ldv)
	TESTQ(keys, keys)
	JZ(LabelRef("done"))
	TESTQ(panels, panels)
	JZ(LabelRef("done"))
	in, out, n, far := GP64(), GP64(), GP64(), GP64()
	MOVQ(ldv, far)
	SHLQ(Imm(4), far)
	Label("key")
	MOVQ(v, in)
	MOVQ(dst, out)
	MOVQ(panels, n)
	Label("panel")
	lo, hi := YMM(), YMM()
	PREFETCHT1(Mem{Base: in, Index: far, Scale: 1})
	VMOVUPS(Mem{Base: in}, lo)
	VMOVUPS(Mem{Base: in, Disp: 32}, hi)
	VMOVUPS(lo, Mem{Base: out})
	VMOVUPS(hi, Mem{Base: out, Disp: 32})
	ADDQ(Imm(64), in)
	ADDQ(ldd, out)
	DECQ(n)
	JNZ(LabelRef("panel"))
	ADDQ(ldv, v)
	ADDQ(Imm(64), dst)
	DECQ(keys)
	JNZ(LabelRef("key"))
	Label("done")
	VZEROUPPER()
	RET()
}
