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
		igemmTileVNNI256(rows, fmt.Sprintf("GemmU8S8Tile%dx16AVX512VNNI", rows), func(b, a, sum VecPhysical) { VPDPBUSD(b, a, sum) })
	}
	quantRowsU8AVX2()
	emitConstants(avx2)
	emitVecTail()
}

// vpdpbusd writes VPDPBUSD sum, a, b with the VEX prefix: the products of a's
// unsigned and b's signed bytes, four by four, are added to sum.
func vpdpbusd(b, a, sum VecPhysical) {
	code := vexVPDPBUSD(int(sum.PhysicalIndex()), int(a.PhysicalIndex()), int(b.PhysicalIndex()))
	for i, x := range code {
		in := &ir.Instruction{Opcode: "BYTE", Operands: []Op{U8(x)}}
		if i == 0 {
			in.Inputs, in.Outputs = []Op{b, a, sum}, []Op{sum}
		}
		Instruction(in)
	}
}

// vexVPDPBUSD encodes VPDPBUSD dst, x, y of registers Y0 … Y15, in Intel's
// order: VEX.256.66.0F38.W0 50 /r.
func vexVPDPBUSD(dst, x, y int) [5]byte {
	return [5]byte{
		0xc4,
		byte(^dst>>3&1<<7 | 1<<6 | ^y>>3&1<<5 | 0b00010), // R X B inverted, map 0F38
		byte(^x&15<<3 | 1<<2 | 0b01),                     // W=0, vvvv inverted, L=256, 66
		0x50,
		byte(0b11<<6 | dst&7<<3 | y&7),
	}
}

// igemmTileVNNI256 writes a tile of rows by one panel. Its registers are fixed,
// for the bytes of an instruction name them.
func igemmTileVNNI256(rows int, name string, dot func(b, a, sum VecPhysical)) {
	TEXT(name, NOSPLIT, igemmTileType)
	Pragma("noescape")
	igemmDoc(name, "int32(a[i*lda+p])", " - zero[i]*sums[j]", rows, 16)
	ymm := []VecPhysical{Y0, Y1, Y2, Y3, Y4, Y5, Y6, Y7, Y8, Y9, Y10, Y11, Y12, Y13, Y14}
	a, lda := Load(Param("a"), GP64()), Load(Param("lda"), GP64())
	bases, row := rowBases(a, lda, rows)
	b, next := Load(Param("b"), GP64()), Load(Param("next"), GP64())
	// Few rows: several sums for each element hide the latency. They are exact
	// in any order.
	sums := 1
	for sums*rows*2 < 8 && sums*rows*4 <= 12 {
		sums *= 2
	}
	sum := func(s, r, i int) VecPhysical { return ymm[(s*rows+r)*2+i] }
	for _, x := range ymm[:2*sums*rows] {
		VPXOR(x, x, x)
	}
	w, x := ymm[12:14], ymm[14]
	step := func(u int) {
		PREFETCHT1(Mem{Base: next, Disp: 64 * u})
		for i, y := range w {
			VMOVDQU(Mem{Base: b, Disp: 64*u + 32*i}, y)
		}
		for r := range rows {
			VPBROADCASTD(row(r, 4*u), x)
			for i, y := range w {
				dot(y, x, sum(u%sums, r, i))
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
		for j := range 2 * s * rows {
			VPADDD(ymm[2*s*rows+j], ymm[j], ymm[j])
		}
	}
	acc := make([][2]Op, rows)
	for r := range acc {
		acc[r] = [2]Op{sum(0, r, 0), sum(0, r, 1)}
	}
	igemmFinishAVX2(acc, true)
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
