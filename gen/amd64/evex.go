package main

import (
	"fmt"
	"strings"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vdpbf16ps is d += the products of the low and high bfloat16 of each lane of x
// with those of m, a register, 64 bytes of memory, or one pair of it for all
// lanes: d = fma(low, low, fma(high, high, d)), with denormals as zeros.
func vdpbf16ps(m Op, x, d VecVirtual, broadcast bool) {
	code := &evex{Constant: U8(0), name: "vdpbf16ps", pp: 2, opcode: 0x52, broadcast: broadcast}
	code.ir = &ir.Instruction{
		Opcode: "BYTE", Operands: []Op{code}, // written once the registers have numbers
		Inputs: []Op{m, x, d}, Outputs: []Op{d},
		ISA: []string{"AVX512F", "AVX512BF16"},
	}
	Instruction(code.ir)
}

// evex is an instruction on 512 bits that neither avo nor Go's assembler knows,
// d = op(x, m) of map 0F38 (Intel SDM, volume 2, 2.7). As an operand of itself
// it prints as its bytes.
type evex struct {
	Constant  // what avo takes it for
	name      string
	pp        byte // the implied prefix: 0 none, 1 66, 2 F3, 3 F2
	opcode    byte
	broadcast bool // memory holds one lane
	ir        *ir.Instruction
}

// Asm returns the bytes, with what a real assembler is to make of the comment.
func (e *evex) Asm() string {
	m, x, d := e.ir.Inputs[0], number(e.ir.Inputs[1]), number(e.ir.Outputs[0])
	const mapF38, length512 = 2, 2
	// The bits that are stored inverted: of d, of the index or the high one of m,
	// of the base or m, of x.
	var high, xHigh, mHigh, b byte
	var tail []byte
	text := ""
	if mem, ok := m.(Mem); ok {
		high, tail = e.memory(mem, d)
		size := "zmmword"
		if e.broadcast {
			b, size = 1, "dword"
		}
		text = fmt.Sprintf("%s ptr [%s]", size, address(mem))
		if e.broadcast {
			text += "{1to16}"
		}
	} else {
		n := number(m)
		mHigh, high = n>>4&1, n>>3&1
		tail = []byte{0xc0 | d&7<<3 | n&7}
		text = fmt.Sprintf("zmm%d", n)
		high |= mHigh << 1
	}
	xHigh = x >> 4 & 1
	bytes := append([]byte{
		0x62,
		^(d>>3&1<<7|high>>1&1<<6|high&1<<5|d>>4&1<<4)&0xf0 | mapF38,
		^x&15<<3 | 1<<2 | e.pp,
		length512<<5 | b<<4 | (xHigh^1)<<3,
		e.opcode,
	}, tail...)
	var out []string
	for i, c := range bytes {
		if i == 0 {
			out = append(out, fmt.Sprintf("$%#02x", c))
		} else {
			out = append(out, fmt.Sprintf("BYTE $%#02x", c))
		}
	}
	return fmt.Sprintf("%s // %s zmm%d, zmm%d, %s", strings.Join(out, "; "), e.name, d, x, text)
}

// memory returns ModRM and what follows it, and the high bits of the base (bit
// 0) and the index (bit 1).
func (e *evex) memory(m Mem, d byte) (high byte, tail []byte) {
	base := number(m.Base)
	high = base >> 3
	rm, sib := base&7, []byte(nil)
	if m.Index != nil {
		index := number(m.Index)
		high |= index >> 3 << 1
		rm, sib = 4, []byte{map[uint8]byte{1: 0, 2: 1, 4: 2, 8: 3}[m.Scale]<<6 | index&7<<3 | base&7}
	} else if base&7 == 4 { // SP and R12 need the longer form
		rm, sib = 4, []byte{0x24}
	}
	unit := 64 // of a short displacement
	if e.broadcast {
		unit = 4
	}
	disp := m.Disp
	switch {
	case disp == 0 && base&7 != 5:
		return high, append([]byte{d&7<<3 | rm}, sib...)
	case disp%unit == 0 && disp/unit >= -128 && disp/unit < 128:
		return high, append(append([]byte{1<<6 | d&7<<3 | rm}, sib...), byte(disp/unit))
	}
	tail = append([]byte{2<<6 | d&7<<3 | rm}, sib...)
	return high, append(tail, byte(disp), byte(disp>>8), byte(disp>>16), byte(disp>>24))
}

// number is a register's in its encoding.
func number(r Op) byte {
	p := ToPhysical(r.(Register))
	return byte(p.PhysicalIndex())
}

var gpNames = [...]string{"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi"}

// address is the sum in a memory operand, in Intel's syntax.
func address(m Mem) string {
	name := func(r Register) string {
		if n := number(r); n >= 8 {
			return fmt.Sprintf("r%d", n)
		}
		return gpNames[number(r)]
	}
	s := name(m.Base)
	if m.Index != nil {
		s += fmt.Sprintf("+%s*%d", name(m.Index), m.Scale)
	}
	if m.Disp != 0 {
		s += fmt.Sprintf("%+d", m.Disp)
	}
	return s
}
