package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// depthwise writes one pixel of a depthwise convolution: channels are lanes,
// 4 registers at a time, then one, then what is left under a mask.
func depthwise(v isa) {
	name := "DepthwiseF32" + v.name
	TEXT(name, NOSPLIT, "func(dst *float32, x *float32, w *float32, c int, kh int, kw int, row int, col int)")
	Pragma("noescape")
	Doc(name+" computes one pixel of a depthwise convolution:",
		"	for i := range c {",
		"		s := 0",
		"		for y := range kh {",
		"			for z := range kw { s = fma(x[y*row+z*col+i], w[(y*kw+z)*c+i], s) }",
		"		}",
		"		dst[i] = s",
		"	}",
		"Strides are in floats. kh and kw are positive.")
	if v.lanes == 8 {
		columnMasks("depthwiseMasks")
	}
	dst, x, w := Load(Param("dst"), GP64()), Load(Param("x"), GP64()), Load(Param("w"), GP64())
	c, row, col := Load(Param("c"), GP64()), Load(Param("row"), GP64()), Load(Param("col"), GP64())
	tap := GP64() // bytes from tap to tap of w
	MOVQ(c, tap)
	SHLQ(Imm(2), tap)
	SHLQ(Imm(2), row)
	SHLQ(Imm(2), col)
	step := 4 * v.lanes

	// taps runs over the kernel for the channels at x, w.
	taps := func(label string, registers int, fma func(acc []VecVirtual, x, w Register)) []VecVirtual {
		acc := make([]VecVirtual, registers)
		for i := range acc {
			acc[i] = v.vec()
			v.zero(acc[i])
		}
		line, at, weight, y, z := GP64(), GP64(), GP64(), GP64(), GP64()
		MOVQ(x, line)
		MOVQ(w, weight)
		Load(Param("kh"), y)
		Label(label + "row")
		MOVQ(line, at)
		Load(Param("kw"), z)
		Label(label + "tap")
		fma(acc, at, weight)
		ADDQ(col, at)
		ADDQ(tap, weight)
		DECQ(z)
		JNZ(LabelRef(label + "tap"))
		ADDQ(row, line)
		DECQ(y)
		JNZ(LabelRef(label + "row"))
		return acc
	}
	for _, registers := range []int{4, 1} {
		label := fmt.Sprintf("by%d", registers)
		Label(label)
		CMPQ(c, Imm(uint64(registers*v.lanes)))
		JL(LabelRef(label + "done"))
		acc := taps(label, registers, func(acc []VecVirtual, at, weight Register) {
			for i, s := range acc {
				t := v.vec()
				VMOVUPS(Mem{Base: at, Disp: i * step}, t)
				VFMADD231PS(Mem{Base: weight, Disp: i * step}, t, s)
			}
		})
		for i, s := range acc {
			VMOVUPS(s, Mem{Base: dst, Disp: i * step})
		}
		for _, r := range []Register{dst, x, w} {
			ADDQ(I32(int32(registers*step)), r)
		}
		SUBQ(Imm(uint64(registers*v.lanes)), c)
		JMP(LabelRef(label))
		Label(label + "done")
	}
	TESTQ(c, c)
	JZ(LabelRef("end"))
	var mask Register
	if v.lanes == 16 {
		ones, shift := GP64(), GP64()
		MOVQ(I32(1<<16-1), ones)
		MOVQ(I32(16), shift)
		SUBQ(c, shift)
		SHRXQ(shift, ones, ones)
		mask = K()
		KMOVW(ones.As32(), mask)
	} else {
		table := GP64()
		LEAQ(gemmMasks, table)
		NEGQ(c)
		mask = YMM()
		VMOVUPS(Mem{Base: table, Index: c, Scale: 4, Disp: 64}, mask)
	}
	acc := taps("rest", 1, func(acc []VecVirtual, at, weight Register) {
		a, b := v.vec(), v.vec()
		if v.lanes == 16 {
			VMOVUPS_Z(Mem{Base: at}, mask, a)
			VMOVUPS_Z(Mem{Base: weight}, mask, b)
		} else {
			VMASKMOVPS(Mem{Base: at}, mask, a)
			VMASKMOVPS(Mem{Base: weight}, mask, b)
		}
		VFMADD231PS(a, b, acc[0])
	})
	if v.lanes == 16 {
		VMOVUPS(acc[0], mask, Mem{Base: dst})
	} else {
		VMASKMOVPS(acc[0], mask, Mem{Base: dst})
	}
	Label("end")
	VZEROUPPER()
	RET()
}
