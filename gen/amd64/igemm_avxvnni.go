package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// igemmAVXVNNI is for CPUs with AVX-VNNI and without AVX-512. Go's assembler
// gives VPDPBUSD the encoding of AVX-512, which they lack. Beside each tile
// stands its twin in that encoding, so that the rest of it can be tested where
// there is AVX-512.
func igemmAVXVNNI() {
	for rows := igemmTallAVX2; rows >= 1; rows-- {
		igemmTileVNNI256(rows, fmt.Sprintf("GemmU8S8Tile%dx16AVXVNNI", rows), vpdpbusd)
	}
	for rows := igemmTallAVX2; rows >= 1; rows-- {
		igemmTileVNNI256(rows, fmt.Sprintf("GemmU8S8Tile%dx16AVX512VNNI", rows), func(b, a, sum VecVirtual) { VPDPBUSD(b, a, sum) })
	}
	quantRowsU8AVX2()
	emitConstants(avx2)
	emitVecTail()
}

// vpdpbusd writes VPDPBUSD with the VEX prefix: the products of a's unsigned
// and b's signed bytes, four by four, are added to sum.
func vpdpbusd(b, a, sum VecVirtual) {
	code := &vexDot{Constant: U8(0)}
	code.ir = &ir.Instruction{
		Opcode: "BYTE", Operands: []Op{code}, // written once the registers have numbers
		Inputs: []Op{b, a, sum}, Outputs: []Op{sum},
		ISA: []string{"AVXVNNI"},
	}
	Instruction(code.ir)
}

// vexDot is VPDPBUSD of registers Y0 … Y15, VEX.256.66.0F38.W0 50 /r. As an
// operand of itself it prints as its bytes.
type vexDot struct {
	Constant // what avo takes it for
	ir       *ir.Instruction
}

// Asm returns the bytes, with what a real assembler is to make of the comment.
func (v *vexDot) Asm() string {
	b, a, sum := number(v.ir.Inputs[0]), number(v.ir.Inputs[1]), number(v.ir.Inputs[2])
	return fmt.Sprintf("$0xc4; BYTE $%#02x; BYTE $%#02x; BYTE $0x50; BYTE $%#02x // {vex} vpdpbusd ymm%d, ymm%d, ymm%d",
		^(sum>>3&1<<7|b>>3&1<<5)&0xe0|2, // R, X and B inverted, map 0F38
		^a&15<<3|1<<2|1,                 // W=0, vvvv inverted, 256 bits, 66
		0xc0|sum&7<<3|b&7,
		sum, a, b)
}

// igemmTileVNNI256 writes a tile of rows by one panel.
func igemmTileVNNI256(rows int, name string, dot func(b, a, sum VecVirtual)) {
	TEXT(name, NOSPLIT, igemmTileType)
	Pragma("noescape")
	igemmDoc(name, "int32(a[i*lda+p])", " - zero[i]*sums[j]", rows, 16)
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	bases, row := rowBases(a, lda, rows)
	b, next := Load(Param("b"), GP64()), Load(Param("next"), GP64())
	// Few rows: several sums for each element hide the latency. They are exact
	// in any order.
	sums := 1
	for sums*rows*2 < 8 && sums*rows*4 <= 12 {
		sums *= 2
	}
	acc := make([][][2]VecVirtual, sums)
	for s := range acc {
		acc[s] = make([][2]VecVirtual, rows)
		for r := range acc[s] {
			acc[s][r] = [2]VecVirtual{YMM(), YMM()}
			for _, x := range acc[s][r] {
				VPXOR(x, x, x)
			}
		}
	}
	step := func(u int) {
		PREFETCHT1(Mem{Base: next, Disp: 64 * u})
		w := [2]VecVirtual{YMM(), YMM()}
		for i, x := range w {
			VMOVDQU(Mem{Base: b, Disp: 64*u + 32*i}, x)
		}
		for r := range rows {
			x := YMM()
			VPBROADCASTD(row(r, 4*u), x)
			for i, y := range w {
				dot(y, x, acc[u%sums][r][i])
			}
		}
	}
	advance := func(n int) {
		for _, r := range bases {
			ADDQ(Imm(uint64(4*n)), r)
		}
		ADDQ(I32(int32(64*n)), b)
		ADDQ(I32(int32(64*n)), next)
	}
	igemmLoop(Load(Param("k"), GP64()), 4, step, advance)
	for s := sums / 2; s >= 1; s /= 2 {
		for i := range s {
			for r := range rows {
				for p := range 2 {
					VPADDD(acc[i+s][r][p], acc[i][r][p], acc[i][r][p])
				}
			}
		}
	}
	tile := make([][2]Op, rows)
	for r, x := range acc[0] {
		tile[r] = [2]Op{x[0], x[1]}
	}
	igemmFinishAVX2(tile, true)
}

// quantRowsU8AVX2 writes the quantization of activations for AVX-VNNI.
func quantRowsU8AVX2() {
	name := "QuantizeRowsU8AVX2"
	TEXT(name, NOSPLIT, quantRowsType)
	Pragma("noescape")
	quantDoc(name, "q", "16 bytes")
	quantRows(avx2, 2, func(s span, dst Register, inv, zero VecVirtual, x operand) {
		y := s.load(x)
		for i := range y {
			VMULPS(inv, y[i], y[i])
			VCVTPS2DQ(y[i], y[i])
			VPADDD(zero, y[i], y[i])
		}
		VPACKSSDW(y[1], y[0], y[0])
		VPACKUSWB(y[0], y[0], y[0])
		VPERMQ(Imm(0xd8), y[0], y[0])
		VPSHUFD(Imm(0xd8), y[0].AsX(), y[0].AsX())
		VMOVDQU(y[0].AsX(), Mem{Base: dst})
		ADDQ(Imm(16), dst)
	})
}
