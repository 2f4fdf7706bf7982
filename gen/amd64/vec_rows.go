package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// operand is a matrix or vector that a kernel walks over.
type operand struct {
	base Register
	ld   string // the parameter with its row stride, in floats; "" if rows share it
}

func arg(name, ld string) operand { return operand{Load(Param(name), GP64()), ld} }

// span is a run of columns that a kernel works on at once: m.u registers from
// byte offset off on.
type span struct {
	m     simd
	off   Register
	disp  int
	masks []Op // one a register at the end of a row; nil if all lanes count
}

// part is the n registers from the one at on.
func (s span) part(at, n int) span {
	s.m.u, s.disp = n, s.disp+at*s.m.lanes*4
	if s.masks != nil {
		s.masks = s.masks[at : at+n]
	}
	return s
}

func (s span) mem(o operand, i int) Mem {
	return Mem{Base: o.base, Index: s.off, Scale: 1, Disp: s.disp + i*s.m.lanes*4}
}

// load returns the elements of o; lanes beyond the row are 0.
func (s span) load(o operand) vecs {
	x := s.m.alloc()
	for i := range x {
		switch {
		case s.masks == nil:
			VMOVUPS(s.mem(o, i), x[i])
		case s.m.lanes == 16:
			VMOVUPS_Z(s.mem(o, i), s.masks[i], x[i])
		default:
			VMASKMOVPS(s.mem(o, i), s.masks[i], x[i])
		}
	}
	return x
}

// loadOr is load with c in the lanes beyond the row.
func (s span) loadOr(o operand, c float32) vecs {
	if s.masks == nil {
		return s.load(o)
	}
	if s.m.lanes == 16 {
		x := s.m.set(c)
		for i := range x {
			VMOVUPS(s.mem(o, i), s.masks[i], x[i])
		}
		return x
	}
	x := s.load(o)
	for i, f := range s.m.set(c) {
		VBLENDVPS(s.masks[i], x[i], f, x[i])
	}
	return x
}

func (s span) store(x vecs, o operand) {
	for i := range x {
		switch {
		case s.masks == nil:
			VMOVUPS(x[i], s.mem(o, i))
		case s.m.lanes == 16:
			VMOVUPS(x[i], s.masks[i], s.mem(o, i))
		default:
			VMASKMOVPS(x[i], s.masks[i], s.mem(o, i))
		}
	}
}

// keep puts 0 in the lanes of x beyond the row.
func (s span) keep(x vecs) vecs {
	for i := range x {
		switch {
		case s.masks == nil:
		case s.m.lanes == 16:
			VMOVAPS_Z(x[i], s.masks[i], x[i])
		default:
			VANDPS(s.masks[i].(VecVirtual), x[i], x[i])
		}
	}
	return x
}

// vecTailMask is 32 words of ones, then 32 of zeros: a window on it is a mask.
func vecTailMask(v isa) Mem {
	if v.lanes == 16 {
		return Mem{}
	}
	needVecTail = true
	return Mem{Symbol: Symbol{Name: "vecTail", Static: true}, Base: StaticBase}
}

var needVecTail bool

func emitVecTail() {
	if !needVecTail {
		return
	}
	GLOBL("vecTail", RODATA|NOPTR)
	for i := range 64 {
		c := uint32(0)
		if i < 32 {
			c = 0xffffffff
		}
		DATA(i*4, U32(c))
	}
}

// columns calls body for all of a row's columns, u registers (at most 32
// lanes) at a time; the last span may be masked. Labels start with at.
func (v isa) columns(at string, u int, cols Register, body func(s span)) {
	off, left := GP64(), GP64()
	XORQ(off, off)
	MOVQ(cols, left)
	step := u * v.lanes
	SUBQ(Imm(uint64(step)), left)
	JL(LabelRef(at + "Tail"))
	Label(at + "Loop")
	body(span{m: simd{v, u}, off: off})
	ADDQ(Imm(uint64(4*step)), off)
	SUBQ(Imm(uint64(step)), left)
	JGE(LabelRef(at + "Loop"))
	Label(at + "Tail")
	ADDQ(Imm(uint64(step)), left)
	JZ(LabelRef(at + "Done"))
	masks := make([]Op, u)
	if v.lanes == 16 {
		bits := GP32()
		MOVL(U32(0xffffffff), bits)
		BZHIL(left.As32(), bits, bits)
		for i := range masks {
			if i > 0 {
				SHRL(Imm(16), bits)
			}
			k := K()
			KMOVW(bits, k)
			masks[i] = k
		}
	} else {
		table := GP64()
		LEAQ(vecTailMask(v), table)
		NEGQ(left)
		for i := range masks {
			y := YMM()
			VMOVUPS(Mem{Base: table, Index: left, Scale: 4, Disp: 128 + i*32}, y)
			masks[i] = y
		}
	}
	body(span{m: simd{v, u}, off: off, masks: masks})
	Label(at + "Done")
}

// rows calls body for each of the rows, with the operands' bases on them.
func (v isa) rows(ops []operand, body func()) {
	n := Load(Param("rows"), GP64())
	TESTQ(n, n)
	JLE(LabelRef("rowsDone"))
	Label("row")
	body()
	for _, o := range ops {
		if o.ld != "" {
			ld := Load(Param(o.ld), GP64())
			LEAQ(Mem{Base: o.base, Index: ld, Scale: 4}, o.base)
		}
	}
	DECQ(n)
	JNZ(LabelRef("row"))
	Label("rowsDone")
	VZEROUPPER()
	RET()
}

// wide is the number of registers that hold the 32 lanes of a reduction.
func (v isa) wide() int { return 32 / v.lanes }

// broadcast returns u copies of one register.
func broadcast(x VecVirtual, u int) vecs {
	d := make(vecs, u)
	for i := range d {
		d[i] = x
	}
	return d
}

// tree reduces 32 lanes to one, which it spreads over a register: lane i takes
// lane i+16, i+8, i+4, i+2, i+1. acc is overwritten.
func (v isa) tree(acc vecs, f func(ops ...Op)) VecVirtual {
	var y Register
	if v.lanes == 16 {
		f(acc[1], acc[0], acc[0])
		y = acc[0].AsY()
		high := YMM()
		VEXTRACTF64X4(Imm(1), acc[0], high)
		f(high, y, y)
	} else {
		f(acc[2], acc[0], acc[0])
		f(acc[3], acc[1], acc[1])
		f(acc[1], acc[0], acc[0])
		y = acc[0]
	}
	low, x := acc[0].AsX(), XMM()
	if v.lanes == 16 {
		VEXTRACTF32X4(Imm(1), y, x)
	} else {
		VEXTRACTF128(Imm(1), y, x)
	}
	f(x, low, low)
	VMOVHLPS(low, low, x)
	f(x, low, low)
	VMOVSHDUP(low, x)
	f(x, low, low)
	d := v.vec()
	VBROADCASTSS(low, d)
	return d
}

var (
	addLanes = VADDPS
	maxLanes = VMAXPS
)

var minusInf = float32(math.Inf(-1))

// scalar is a float32 parameter in every lane.
func (v isa) scalar(name string) VecVirtual {
	d := v.vec()
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(p.Addr, d)
	return d
}

// vecFile is a generator for one file: its functions, then their data.
func vecFile(v isa, f func(v isa)) func() {
	return func() {
		f(v)
		emitConstants(v)
		emitTables(v)
		emitVecTail()
	}
}
