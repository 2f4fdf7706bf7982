package ptx

// ldmatrix compiles the load of 8×8 matrices of 16-bit elements: thread 8·i+r
// says where row r of matrix i is; thread l gets elements 2·(l%4) and the next
// of row l/4, or of column l/4 if transposed.
func (k *compiler) ldmatrix() action {
	dst := k.registers(k.arg(0), false)
	addr := k.address(k.arg(1), "shared")
	trans := k.s.has("trans")
	if !k.s.has("m8n8") || k.s.last() != "b16" {
		failf("is not interpreted")
	}
	return func(w *warp, m uint32) {
		if m != full {
			failf("threads %08x take part, not all", m)
		}
		a := addr(w, m)
		var out [4][warpSize]uint32
		for i := range dst {
			var rows [8][]byte
			for r := range rows {
				rows[r] = w.sharedAt(8*i+r, a[8*i+r], 16, false)
			}
			for l := range warpSize {
				r, c := l/4, l%4*2
				if trans {
					out[i][l] = uint32(load(rows[c][2*r:], 2)) | uint32(load(rows[c+1][2*r:], 2))<<16
				} else {
					out[i][l] = uint32(load(rows[r][2*c:], 4))
				}
			}
		}
		for i, slot := range dst {
			*w.setR(slot, m) = out[i]
		}
	}
}

// mma compiles the products of a warp, of the shapes m16n8k8 (TF32), m16n8k16
// (16-bit) and m16n8k32 (8-bit). Of the fragments, with g = lane/4 and t =
// lane%4 and n elements a register: register i of A holds row g + 8·(i%2) and
// the columns n·t … of half i/2 of k, register i of B the same of column g, and
// register i of C and D row g + 8·(i/2), column 2·t + i%2.
func (k *compiler) mma() action {
	ops := k.s.op // mma sync aligned shape row col D A B C
	if len(ops) < 10 || ops[1] != "sync" || ops[4] != "row" || ops[5] != "col" {
		failf("is not interpreted")
	}
	ops = append([]string(nil), ops...)
	for i, o := range ops {
		if o == "satfinite" {
			ops = append(ops[:i], ops[i+1:]...)
			break
		}
	}
	shape, ta, tb := ops[3], ops[7], ops[8]
	d, a, b, c := k.registers(k.arg(0), false), k.registers(k.arg(1), false), k.registers(k.arg(2), false), k.registers(k.arg(3), false)
	if len(d) != 4 || len(a) != 4 || len(b) != 2 || len(c) != 4 {
		failf("is not interpreted with so many registers")
	}
	per := map[string]int{"m16n8k8": 1, "m16n8k16": 2, "m16n8k32": 4}[shape]
	if per == 0 || per == 1 && ta != "tf32" || per == 2 && ta != "bf16" && ta != "f16" || per == 4 && k.size(ta) != 1 {
		failf("is not interpreted")
	}
	value := func(typ string, x uint32, i int) float64 {
		switch typ {
		case "tf32":
			return float64(f32(x &^ 0x1fff))
		case "bf16":
			return float64(f32(x >> (16 * i) << 16))
		case "f16":
			return float64(fromF16(uint16(x >> (16 * i))))
		case "s8":
			return float64(int8(x >> (8 * i)))
		}
		return float64(uint8(x >> (8 * i)))
	}
	return func(w *warp, m uint32) {
		if m != full {
			failf("threads %08x take part, not all", m)
		}
		var A [16][32]float64
		var B [8][32]float64
		for i, slot := range a {
			x := w.needR(slot, m)
			for l := range warpSize {
				for e := range per {
					A[l/4+8*(i%2)][per*(l%4)+e+4*per*(i/2)] = value(ta, x[l], e)
				}
			}
		}
		for i, slot := range b {
			x := w.needR(slot, m)
			for l := range warpSize {
				for e := range per {
					B[l/4][per*(l%4)+e+4*per*i] = value(tb, x[l], e)
				}
			}
		}
		var out [4][warpSize]uint32
		for i, slot := range c {
			x := w.needR(slot, m)
			for l := range warpSize {
				row, col := l/4+8*(i/2), 2*(l%4)+i%2
				sum := 0.0
				bc := B[col][:8*per]
				for p, v := range A[row][:8*per] {
					sum += v * bc[p]
				}
				if per == 4 {
					out[i][l] = uint32(int32(x[l]) + int32(sum))
				} else {
					out[i][l] = bits32(float32(sum + float64(f32(x[l]))))
				}
			}
		}
		for i, slot := range d {
			*w.setR(slot, m) = out[i]
		}
	}
}

// copyQueue is a warp's cp.async copies on their way, in groups.
type copyQueue struct {
	open   []asyncCopy
	groups [][]asyncCopy
}

type asyncCopy struct {
	lane      int
	dst, src  uint64
	size, has int // bytes to write, and of them to read; the rest are 0
	at        int
}

func (q *copyQueue) reset() { q.open, q.groups = q.open[:0], q.groups[:0] }

// finish checks that no copy is left when a warp ends.
func (q *copyQueue) finish(w *warp) {
	if len(q.open) > 0 {
		failf("%d copies on their way were not waited for", len(q.open))
	}
	for _, g := range q.groups {
		if len(g) > 0 {
			failf("%d copies on their way were not waited for", len(g))
		}
	}
}

// wait does the copies of all groups but the last n. They are done this late so
// that who reads too early does not find what it wants.
func (q *copyQueue) wait(w *warp, n int) {
	for len(q.groups) > n {
		for _, c := range q.groups[0] {
			data := w.sharedAt(c.lane, c.dst, c.size, true)
			clear(data)
			if c.has > 0 {
				from, written := w.lookup(c.at, c.src, c.has)
				if !isWritten(written) {
					failf("lane %d copies from %#x what nothing wrote", c.lane, c.src)
				}
				copy(data, from)
			}
		}
		q.groups = q.groups[1:]
	}
}

// cp compiles cp.async and what belongs to it.
func (k *compiler) cp() action {
	if k.s.op[1] != "async" {
		failf("is not interpreted")
	}
	switch k.s.op[2] {
	case "bulk":
		return k.tensorCopy()
	case "commit_group":
		return func(w *warp, m uint32) {
			if m != w.live {
				failf("threads %08x of %08x commit", m, w.live)
			}
			q := &w.copies
			q.groups = append(q.groups, append([]asyncCopy(nil), q.open...))
			q.open = q.open[:0]
		}
	case "wait_group":
		n := int(k.arg(0).n)
		return func(w *warp, m uint32) {
			if m != w.live {
				failf("threads %08x of %08x wait", m, w.live)
			}
			w.copies.wait(w, n)
		}
	case "ca", "cg":
	default:
		failf("is not interpreted")
	}
	size, at := int(k.arg(2).n), k.at
	if size != 16 && (k.s.op[2] == "cg" || size != 4 && size != 8) {
		failf("copies of %d bytes are not there", size)
	}
	dst, src := k.address(k.arg(0), "shared"), k.address(k.arg(1), "global")
	has := -1
	if len(k.s.args) > 3 {
		has = k.reg(k.arg(3), false)
	}
	return func(w *warp, m uint32) {
		to := *dst(w, m)
		from := src(w, m)
		each(m, func(l int) {
			c := asyncCopy{lane: l, dst: to[l], src: from[l], size: size, has: size, at: at}
			if has >= 0 {
				c.has = int(w.needR(has, m)[l])
			}
			if c.has < 0 || c.has > size {
				failf("lane %d copies %d bytes of %d", l, c.has, size)
			}
			if c.src%uint64(size) != 0 {
				failf("lane %d copies from %#x, not a multiple of %d", l, c.src, size)
			}
			w.copies.open = append(w.copies.open, c)
		})
	}
}
