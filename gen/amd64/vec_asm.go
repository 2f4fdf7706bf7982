package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	. "github.com/mmcloughlin/avo/reg"
)

// vecs are the same variable of several independent elements' computations: an
// operation on vecs is one instruction a register, so that functions written
// as a plain chain come out interleaved and hide their latency.
type vecs []VecVirtual

// simd writes vector code for u registers side by side.
type simd struct {
	isa
	u int
}

func (m simd) alloc() vecs {
	x := make(vecs, m.u)
	for i := range x {
		x[i] = m.vec()
	}
	return x
}

// constants are the values that the file's code refers to, in order of use.
// AVX-512 instructions broadcast one float; AVX2 reads a whole register.
var constants struct {
	at   map[uint32]int
	list []uint32
}

// bits returns the memory operand of a constant.
func (v isa) bits(c uint32) Mem {
	if constants.at == nil {
		constants.at = map[uint32]int{}
	}
	i, ok := constants.at[c]
	if !ok {
		i = len(constants.list)
		constants.at[c] = i
		constants.list = append(constants.list, c)
	}
	size := 4
	if v.lanes == 8 {
		size = 32
	}
	return Mem{Symbol: Symbol{Name: "vecConst", Static: true}, Base: StaticBase, Disp: i * size}
}

func (v isa) float(c float32) Mem { return v.bits(math.Float32bits(c)) }

// emitConstants writes the data that bits and float referred to. A generator
// that uses them ends with it.
func emitConstants(v isa) {
	if len(constants.list) == 0 {
		return
	}
	GLOBL("vecConst", RODATA|NOPTR)
	n := 1
	if v.lanes == 8 {
		n = 8
	}
	for i, c := range constants.list {
		for j := range n {
			DATA((i*n+j)*4, U32(c))
		}
	}
}

// op3 is a three-operand instruction in its register and broadcast forms.
type op3 struct{ plain, bcst func(ops ...Op) }

var (
	addPS   = op3{VADDPS, VADDPS_BCST}
	subPS   = op3{VSUBPS, VSUBPS_BCST}
	mulPS   = op3{VMULPS, VMULPS_BCST}
	divPS   = op3{VDIVPS, VDIVPS_BCST}
	minPS   = op3{VMINPS, VMINPS_BCST}
	maxPS   = op3{VMAXPS, VMAXPS_BCST}
	andPS   = op3{VANDPS, VANDPS_BCST}
	orPS    = op3{VORPS, VORPS_BCST}
	xorPS   = op3{VXORPS, VXORPS_BCST}
	fma213  = op3{VFMADD213PS, VFMADD213PS_BCST}   // dst = x·dst + y
	fma231  = op3{VFMADD231PS, VFMADD231PS_BCST}   // dst = x·y + dst
	fnma231 = op3{VFNMADD231PS, VFNMADD231PS_BCST} // dst = dst - x·y
	fms231  = op3{VFMSUB231PS, VFMSUB231PS_BCST}   // dst = x·y - dst
)

// do is dst = x op y.
func (m simd) do(o op3, dst, x, y vecs) {
	for i := range dst {
		o.plain(y[i], x[i], dst[i])
	}
}

// doC is dst = x op c for a constant c.
func (m simd) doC(o op3, dst, x vecs, c uint32) {
	for i := range dst {
		if m.lanes == 16 {
			o.bcst(m.bits(c), x[i], dst[i])
		} else {
			o.plain(m.bits(c), x[i], dst[i])
		}
	}
}

func (m simd) op(o op3, x, y vecs) vecs { d := m.alloc(); m.do(o, d, x, y); return d }

func (m simd) opC(o op3, x vecs, c float32) vecs {
	d := m.alloc()
	m.doC(o, d, x, math.Float32bits(c))
	return d
}

func (m simd) add(x, y vecs) vecs           { return m.op(addPS, x, y) }
func (m simd) sub(x, y vecs) vecs           { return m.op(subPS, x, y) }
func (m simd) mul(x, y vecs) vecs           { return m.op(mulPS, x, y) }
func (m simd) div(x, y vecs) vecs           { return m.op(divPS, x, y) }
func (m simd) addC(x vecs, c float32) vecs  { return m.opC(addPS, x, c) }
func (m simd) subC(x vecs, c float32) vecs  { return m.opC(subPS, x, c) }
func (m simd) mulC(x vecs, c float32) vecs  { return m.opC(mulPS, x, c) }
func (m simd) andC(x vecs, bits int64) vecs { return m.opBits(andPS, x, bits) }
func (m simd) xorC(x vecs, bits int64) vecs { return m.opBits(xorPS, x, bits) }

func (m simd) opBits(o op3, x vecs, bits int64) vecs {
	d := m.alloc()
	m.doC(o, d, x, uint32(bits))
	return d
}

// horner is p = p·x + c.
func (m simd) horner(p, x vecs, c float32) { m.doC(fma213, p, x, math.Float32bits(c)) }

// accC is a = x·c + a.
func (m simd) accC(a, x vecs, c float32) { m.doC(fma231, a, x, math.Float32bits(c)) }

// acc is a = x·y + a.
func (m simd) acc(a, x, y vecs) { m.do(fma231, a, x, y) }

// set returns registers that hold a constant.
func (m simd) set(c float32) vecs { return m.setBits(math.Float32bits(c)) }

func (m simd) setBits(c uint32) vecs {
	d := m.alloc()
	for i := range d {
		if m.lanes == 16 {
			VBROADCASTSS(m.bits(c), d[i])
		} else {
			VMOVUPS(m.bits(c), d[i])
		}
	}
	return d
}

func (m simd) zero() vecs {
	d := m.alloc()
	for i := range d {
		m.clear(d[i])
	}
	return d
}

func (v isa) clear(x VecVirtual) {
	if v.lanes == 16 {
		VPXORD(x, x, x)
	} else {
		VXORPS(x, x, x)
	}
}

func (m simd) copy(x vecs) vecs {
	d := m.alloc()
	for i := range d {
		VMOVAPS(x[i], d[i])
	}
	return d
}

// atMost is x or c, whichever is smaller; a NaN stays (c < x ? c : x).
func (m simd) atMost(x vecs, c float32) vecs { return m.op(minPS, m.set(c), x) }

// atLeast is x or c, whichever is larger; a NaN stays (c > x ? c : x).
func (m simd) atLeast(x vecs, c float32) vecs { return m.op(maxPS, m.set(c), x) }

func (m simd) abs(x vecs) vecs { return m.andC(x, 0x7fffffff) }

// poly is the polynomial with coefficients c (highest first) at x.
func (m simd) poly(x vecs, c ...float32) vecs {
	p := m.set(c[0])
	for _, c := range c[1:] {
		m.horner(p, x, c)
	}
	return p
}

// negative returns where x's sign bit is set to choose by: registers of which
// the sign bits count on AVX2, masks on AVX-512.
func (m simd) negative(x vecs) []Op {
	d := make([]Op, m.u)
	for i := range d {
		if m.lanes == 16 {
			k := K()
			VPMOVD2M(x[i], k)
			d[i] = k
		} else {
			d[i] = x[i]
		}
	}
	return d
}

// where is y where the mask is set, else x.
func (m simd) where(mask []Op, y, x vecs) vecs {
	d := m.alloc()
	for i := range d {
		if m.lanes == 16 {
			VBLENDMPS(y[i], x[i], mask[i], d[i])
		} else {
			VBLENDVPS(mask[i], y[i], x[i], d[i])
		}
	}
	return d
}

func label(format string, a ...any) string { return fmt.Sprintf(format, a...) }
