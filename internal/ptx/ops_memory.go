package ptx

import (
	"math/bits"
)

// address compiles the address of [reg+n] or [name+n] in a space: 32 bits in
// shared and local memory, 64 in global.
func (k *compiler) address(o operand, space string) func(w *warp, m uint32) *[warpSize]uint64 {
	if o.kind != opMem {
		failf("an operand is no address")
	}
	if space != "global" {
		slot, off := 0, uint32(o.n)
		if o.name == "" {
			slot = k.constant(false, 0)
		} else {
			slot = k.reg(operand{name: o.name}, k.c.e.regs[o.name] != "" && sizes[k.c.e.regs[o.name]] == 8)
		}
		return func(w *warp, m uint32) *[warpSize]uint64 {
			x, a := w.needR(slot, m), &w.addr
			for ; m != 0; m &= m - 1 {
				l := bits.TrailingZeros32(m) & 31
				a[l] = uint64(x[l] + off)
			}
			return a
		}
	}
	slot, off := k.reg(operand{name: o.name}, true), uint64(o.n)
	return func(w *warp, m uint32) *[warpSize]uint64 {
		x, a := w.needD(slot, m), &w.addr
		for ; m != 0; m &= m - 1 {
			l := bits.TrailingZeros32(m) & 31
			a[l] = x[l] + off
		}
		return a
	}
}

// space returns the state space of a ld or st.
func (k *compiler) space() string {
	for _, o := range k.s.op[1:] {
		switch o {
		case "global", "shared", "local", "param", "shared::cta":
			return o
		}
	}
	failf("generic addresses are not interpreted")
	return ""
}

// registers returns the slots of an operand, a register or a vector of them.
func (k *compiler) registers(o operand, wide bool) []int {
	if o.kind != opVec {
		return []int{k.reg(o, wide)}
	}
	var list []int
	for _, v := range o.vec {
		list = append(list, k.reg(v, wide))
	}
	return list
}

// global returns n bytes of global memory at an address and what of them was
// written.
func (w *warp) global(at int, addr uint64, n int) (data, written []byte) {
	if addr%uint64(n) != 0 {
		failf("address %#x is not a multiple of %d", addr, n)
	}
	return w.lookup(at, addr, n)
}

// lookup is global without regard to alignment; at is the instruction.
func (w *warp) lookup(at int, addr uint64, n int) (data, written []byte) {
	s := w.hints[at]
	if s == nil || addr-s.base >= uint64(len(s.data)) || addr < s.base {
		var err error
		if s, _, err = w.b.dev.find(addr, n); err != nil {
			failf("%v", err)
		}
		w.hints[at] = s
	}
	o := addr - s.base
	if o+uint64(n) > uint64(len(s.data)) {
		failf("%d bytes at %d of an allocation of %d", n, o, len(s.data))
	}
	return s.data[o : o+uint64(n)], s.written[o : o+uint64(n)]
}

// sharedAt returns n bytes of shared memory, having noted the access.
func (w *warp) sharedAt(lane int, addr uint64, n int, write bool) []byte {
	if addr%uint64(n) != 0 {
		failf("shared address %d is not a multiple of %d", addr, n)
	}
	if addr+uint64(n) > uint64(len(w.b.shared)) {
		failf("%d bytes at %d of %d of shared memory", n, addr, len(w.b.shared))
	}
	now := w.now(lane)
	for c := addr / 2; c < (addr+uint64(n)+1)/2; c++ {
		if err := w.b.cells[c].touch(now, write); err != nil {
			failf("shared memory at %d: %v", 2*c, err)
		}
	}
	return w.b.shared[addr : addr+uint64(n)]
}

func (k *compiler) ld() action {
	typ, space, at := k.s.last(), k.space(), k.at
	size := k.size(typ)
	dst := k.registers(k.arg(0), size == 8)
	n := size * len(dst)
	extend := func(v uint64) uint64 {
		switch typ {
		case "s8":
			return uint64(int64(int8(v)))
		case "s16":
			return uint64(int64(int16(v)))
		}
		return v
	}
	if space == "param" {
		from, ok := k.params[k.arg(1).name]
		if !ok {
			failf("no parameter %s", k.arg(1).name)
		}
		from += int(k.arg(1).n)
		return func(w *warp, m uint32) {
			for i, slot := range dst {
				v := extend(load(w.b.params[from+i*size:], size))
				if size == 8 {
					o := w.setD(slot, m)
					each(m, func(l int) { o[l] = v })
				} else {
					o := w.setR(slot, m)
					each(m, func(l int) { o[l] = uint32(v) })
				}
			}
		}
	}
	addr := k.address(k.arg(1), space)
	return func(w *warp, m uint32) {
		a := addr(w, m)
		for rest := m; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest) & 31
			var data, written []byte
			switch space {
			case "global":
				if data, written = w.global(at, a[l], n); !isWritten(written) {
					failf("lane %d reads at %#x what nothing wrote", l, a[l])
				}
			case "local":
				data = w.localSlice(l, a[l], n)
			default:
				data = w.sharedAt(l, a[l], n, false)
			}
			for i, slot := range dst {
				v := load(data[i*size:], size)
				if size < 4 {
					v = extend(v)
				}
				if size == 8 {
					w.d[slot][l] = v
				} else {
					w.r[slot][l] = uint32(v)
				}
			}
		}
		for _, slot := range dst {
			if size == 8 {
				w.defD[slot] |= m
			} else {
				w.defR[slot] |= m
			}
		}
	}
}

func (w *warp) localSlice(lane int, addr uint64, n int) []byte {
	size := w.b.code.localSize
	if addr%uint64(n) != 0 || addr+uint64(n) > uint64(size) {
		failf("%d bytes at %d of %d of local memory", n, addr, size)
	}
	return w.local[lane*size+int(addr):][:n]
}

func (k *compiler) st() action {
	typ, space, at := k.s.last(), k.space(), k.at
	size := k.size(typ)
	src := k.registers(k.arg(1), size == 8)
	n := size * len(src)
	addr := k.address(k.arg(0), space)
	return func(w *warp, m uint32) {
		a := addr(w, m)
		for _, slot := range src {
			if size == 8 {
				w.needD(slot, m)
			} else {
				w.needR(slot, m)
			}
		}
		for rest := m; rest != 0; rest &= rest - 1 {
			l := bits.TrailingZeros32(rest) & 31
			var data, written []byte
			switch space {
			case "global":
				data, written = w.global(at, a[l], n)
				setWritten(written)
			case "local":
				data = w.localSlice(l, a[l], n)
			default:
				data = w.sharedAt(l, a[l], n, true)
			}
			for i, slot := range src {
				if size == 8 {
					store(data[i*size:], size, w.d[slot][l])
				} else {
					store(data[i*size:], size, uint64(w.r[slot][l]))
				}
			}
		}
	}
}
