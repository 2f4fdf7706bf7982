package ptx

import (
	"encoding/binary"
	"strconv"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// paramAddress is where the parameters are for who takes their address.
const paramAddress = 1 << 44

// mbarrier is a barrier object in shared memory: a phase ends when so many
// threads have arrived and all bytes that were announced have come.
type mbarrier struct {
	count, pending int
	bytes          int
	phase          uint32
}

func (b *mbarrier) settle() {
	if b.pending < 0 {
		failf("more than %d threads arrive", b.count)
	}
	if b.pending == 0 && b.bytes == 0 {
		b.phase++
		b.pending = b.count
	}
}

func (w *warp) barrierAt(addr uint64) *mbarrier {
	b := w.b.barriers[addr]
	if b == nil {
		failf("no barrier was made at %d", addr)
	}
	return b
}

// mbarrier compiles init, arrive, arrive.expect_tx and try_wait.parity.
func (k *compiler) mbarrier() action {
	switch k.s.op[1] {
	case "init":
		addr, count := k.address(k.arg(0), "shared"), k.reg(k.arg(1), false)
		return func(w *warp, m uint32) {
			a, n := addr(w, m), w.needR(count, m)
			each(m, func(l int) {
				if a[l]%8 != 0 || a[l]+8 > uint64(len(w.b.shared)) {
					failf("a barrier at %d of %d of shared memory", a[l], len(w.b.shared))
				}
				w.b.barriers[a[l]] = &mbarrier{count: int(n[l]), pending: int(n[l])}
			})
		}
	case "arrive":
		if k.arg(0).name != "_" {
			failf("is not interpreted with a state")
		}
		addr := k.address(k.arg(1), "shared")
		bytes := k.constant(false, 0)
		if k.s.has("expect_tx") {
			bytes = k.reg(k.arg(2), false)
		}
		return func(w *warp, m uint32) {
			a, n := addr(w, m), w.needR(bytes, m)
			each(m, func(l int) {
				b := w.barrierAt(a[l])
				b.bytes += int(n[l])
				b.pending--
				b.settle()
			})
		}
	case "try_wait":
		if !k.s.has("parity") {
			break
		}
		d, addr, parity := k.pred(k.arg(0)), k.address(k.arg(1), "shared"), k.reg(k.arg(2), false)
		return func(w *warp, m uint32) {
			a, p, r := addr(w, m), w.needR(parity, m), uint32(0)
			each(m, func(l int) {
				if w.barrierAt(a[l]).phase&1 != p[l] {
					r |= 1 << l
				}
			})
			w.yield = r != m
			w.setP(d, m, r)
		}
	}
	failf("is not interpreted")
	return nil
}

// TensorMap returns a description that tensorCopy reads: not the driver's.
func (d *Device) TensorMap(m *cuda.TensorMap) ([]byte, error) {
	b := binary.LittleEndian.AppendUint64(nil, uint64(m.Base))
	for i := range 2 {
		b = binary.LittleEndian.AppendUint64(b, m.Dims[i])
	}
	b = binary.LittleEndian.AppendUint64(b, m.Strides[0])
	for i := range 2 {
		b = binary.LittleEndian.AppendUint32(b, m.Box[i])
	}
	size := map[cuda.MapType]int{cuda.MapU8: 1, cuda.MapF16: 2, cuda.MapBF16: 2, cuda.MapF32: 4}[m.Type]
	b = append(b, byte(size), byte(m.Swizzle))
	return append(b, make([]byte, 128-len(b))...), nil
}

// swizzled is the address at which the 128-byte swizzle puts what would lie at a.
func swizzled(a uint64) uint64 { return a ^ a>>7&7<<4 }

// tensorCopy compiles cp.async.bulk.tensor.2d from global to shared memory. The
// copy is done at once.
func (k *compiler) tensorCopy() action {
	if k.s.op[3] != "tensor" || k.s.op[4] != "2d" || len(k.s.args) != 3 || len(k.arg(1).vec) != 1 {
		failf("is not interpreted")
	}
	dst, bar := k.address(k.arg(0), "shared"), k.address(k.arg(2), "shared")
	where := k.reg(operand{name: k.arg(1).name}, true)
	place := k.registers(k.arg(1).vec[0], false)
	at := k.at
	return func(w *warp, m uint32) {
		to := *dst(w, m)
		bars := *bar(w, m)
		each(m, func(l int) {
			o := w.needD(where, m)[l] - paramAddress
			if o > uint64(len(w.b.params)-128) {
				failf("no tensor map there")
			}
			d := w.b.params[o:]
			u64 := func(i int) uint64 { return binary.LittleEndian.Uint64(d[i:]) }
			base, cols, rows, stride := u64(0), int64(u64(8)), int64(u64(16)), u64(24)
			boxC, boxR := int64(binary.LittleEndian.Uint32(d[32:])), int64(binary.LittleEndian.Uint32(d[36:]))
			size, swizzle := int64(d[40]), d[41]
			line := boxC * size
			switch {
			case swizzle != 3 || line != 128:
				failf("a tile of %d bytes a row and swizzle %d is not interpreted", line, swizzle)
			case boxR > 256 || base%16 != 0 || stride%16 != 0:
				failf("a bad tensor map")
			case to[l]%1024 != 0 || to[l]+uint64(boxR*line) > uint64(len(w.b.shared)):
				failf("a tile at %d of %d of shared memory", to[l], len(w.b.shared))
			}
			c0, r0 := int64(int32(w.needR(place[0], m)[l])), int64(int32(w.needR(place[1], m)[l]))
			for r := range boxR {
				for c := range boxC {
					a := swizzled(to[l] + uint64(r*line+c*size))
					out := w.b.shared[a:][:size]
					clear(out)
					if x, y := c0+c, r0+r; x >= 0 && x < cols && y >= 0 && y < rows {
						from, written := w.lookup(at, base+uint64(y)*stride+uint64(x*size), int(size))
						if !isWritten(written) {
							failf("row %d column %d of the tensor was not written", y, x)
						}
						copy(out, from)
					}
					w.b.cells[a/2] = cell{written: true}
				}
			}
			b := w.barrierAt(bars[l])
			b.bytes -= int(boxR * line)
			b.settle()
		})
	}
}

// asyncProducts are a warp's wgmma products on their way, in groups, and the
// registers that they will set.
type asyncProducts struct {
	open   []product
	groups [][]product
	busy   map[int]int // products on their way by register
}

func (q *asyncProducts) reset() { q.open, q.groups, q.busy = nil, nil, map[int]int{} }

func (q *asyncProducts) finish() {
	if len(q.open) > 0 || len(q.groups) > 0 {
		failf("products on their way were not waited for")
	}
}

// wgmma compiles wgmma.mma_async m64nNk16 with both operands in shared memory,
// rows along k in the 128-byte swizzle, and what belongs to it. The products
// are done when they are waited for; until then their registers are not set.
func (k *compiler) wgmma() action {
	switch k.s.op[1] {
	case "fence":
		return func(*warp, uint32) {}
	case "commit_group":
		return func(w *warp, m uint32) {
			q := &w.async
			q.groups = append(q.groups, q.open)
			q.open = nil
		}
	case "wait_group":
		n := int(k.arg(0).n)
		return func(w *warp, m uint32) {
			for q := &w.async; len(q.groups) > n; q.groups = q.groups[1:] {
				for i := range q.groups[0] {
					w.multiplyGroup(&q.groups[0][i])
				}
			}
		}
	case "mma_async":
	default:
		failf("is not interpreted")
	}
	typ := k.s.last()
	acc := k.registers(k.arg(0), false)
	p := product{acc: acc, typ: typ}
	descB, add := k.reg(k.arg(2), true), k.pred(k.arg(3))
	modes := []int64{1, 1, 0, 0} // no signs turned, rows of A along k
	descA := -1
	if k.arg(1).kind == opVec {
		p.a = k.registers(k.arg(1), false)
		modes = modes[:3]
	} else {
		descA = k.reg(k.arg(1), true)
	}
	if len(k.s.args) != 4+len(modes) {
		failf("has %d operands", len(k.s.args))
	}
	for i, want := range modes {
		n := k.arg(4 + i).n
		if i == len(modes)-1 {
			p.across = n == 1
		} else if n != want {
			failf("is not interpreted with such modes")
		}
	}
	if typ != "bf16" && typ != "f16" || k.s.op[len(k.s.op)-3] != "f32" || k.s.op[4] != "m64n"+strconv.Itoa(2*len(acc))+"k16" {
		failf("is not interpreted")
	}
	return func(w *warp, m uint32) {
		if m != full {
			failf("threads %08x take part, not all", m)
		}
		p := p
		p.descB, p.onto = w.needD(descB, m)[0], w.needP(add, m) != 0
		if descA >= 0 {
			p.descA = w.needD(descA, m)[0]
		}
		for _, slot := range p.a {
			w.needR(slot, m)
		}
		q := &w.async
		for _, slot := range acc {
			if q.busy[slot] == 0 && p.onto {
				w.needR(slot, m)
			}
			q.busy[slot]++
			w.defR[slot] = 0
		}
		q.open = append(q.open, p)
	}
}

// product is one wgmma: A in registers a, or where descA says.
type product struct {
	acc, a       []int
	typ          string
	descA, descB uint64
	onto         bool // the sum goes onto what acc holds
	across       bool // rows of B run across k
}

// sharedElement reads an element at an address before the swizzle.
func (w *warp) sharedElement(addr uint64, typ string) float64 {
	at := swizzled(addr)
	if at+2 > uint64(len(w.b.shared)) || !w.b.cells[at/2].written {
		failf("shared memory at %d was not written", at)
	}
	return half(typ, uint32(load(w.b.shared[at:], 2)))
}

func half(typ string, v uint32) float64 {
	if typ == "bf16" {
		return float64(f32(v << 16))
	}
	return float64(fromF16(uint16(v)))
}

// tileRow reads row r of the tile that a descriptor describes: 16 elements from
// its start along k. Eight rows are 128 bytes each, the next eight a stride
// further on. If rows run across k instead, an element of 64 rows is 128 bytes,
// with eight along k side by side, the next eight a stride and the next 64 rows
// a leading stride further on.
func (w *warp) tileRow(desc uint64, r int, typ string, across bool) (x [16]float64) {
	if desc>>62 != 1 || desc>>49&7 != 0 {
		failf("a descriptor %#x is not interpreted", desc)
	}
	start, leading, stride := desc&0x3fff<<4, desc>>16&0x3fff<<4, desc>>32&0x3fff<<4
	for i := range x {
		at := start + uint64(r/8)*stride + uint64(r%8)*128 + uint64(2*i)
		if across {
			at = start + uint64(r/64)*leading + uint64(r%64)*2 + uint64(i/8)*stride + uint64(i%8)*128
		}
		x[i] = w.sharedElement(at, typ)
	}
	return x
}

// multiplyGroup does a warp's part of a product of its warp group: 16 of the 64
// rows.
func (w *warp) multiplyGroup(p *product) {
	var A [16][16]float64
	for r := range A {
		if p.a == nil {
			A[r] = w.tileRow(p.descA, w.id%4*16+r, p.typ, false)
		}
	}
	for i, slot := range p.a { // as mma has it
		for l, v := range w.r[slot] {
			for e := range 2 {
				A[l/4+8*(i%2)][2*(l%4)+e+8*(i/2)] = half(p.typ, v>>(16*e)&0xffff)
			}
		}
	}
	for j := 0; j < len(p.acc); j += 4 {
		var B [8][16]float64
		for c := range B {
			B[c] = w.tileRow(p.descB, 2*j+c, p.typ, p.across)
		}
		for e := range 4 {
			x := &w.r[p.acc[j+e]]
			for l := range warpSize {
				sum := 0.0
				row, col := &A[l/4+8*(e/2)], &B[2*(l%4)+e%2]
				for i, v := range row {
					sum += v * col[i]
				}
				if p.onto {
					sum += float64(f32(x[l]))
				}
				x[l] = bits32(float32(sum))
			}
		}
	}
	for _, slot := range p.acc {
		if w.async.busy[slot]--; w.async.busy[slot] == 0 {
			w.defR[slot] = full
		}
	}
}
