package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// peakChains is the number of independent chains of fused multiply-adds, more
// than latency × units on every known core.
const peakChains = 12

// gemmPeak writes the loop that measures how many multiply-adds a core can do
// at most: nothing but registers.
func gemmPeak() {
	for _, v := range []isa{avx2, avx512} {
		name := "PeakF32" + v.name
		TEXT(name, NOSPLIT, "func(n int)")
		Doc(fmt.Sprintf("%s does n times %d fused multiply-adds of %d lanes, in independent chains.", name, peakChains, v.lanes))
		n := Load(Param("n"), GP64())
		x := v.vec()
		v.zero(x)
		acc := make([]VecVirtual, peakChains)
		for i := range acc {
			acc[i] = v.vec()
			v.zero(acc[i])
		}
		Label("loop")
		for _, a := range acc {
			VFMADD231PS(x, x, a)
		}
		SUBQ(Imm(1), n)
		JG(LabelRef("loop"))
		VZEROUPPER()
		RET()
	}
}
