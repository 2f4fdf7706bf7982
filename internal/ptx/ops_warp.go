package ptx

// shfl compiles shfl.sync.
func (k *compiler) shfl() action {
	if k.s.op[1] != "sync" {
		failf("is not interpreted without sync")
	}
	mode := k.s.op[2]
	d, a, b, c, members := k.reg(k.arg(0), false), k.reg(k.arg(1), false), k.reg(k.arg(2), false), k.reg(k.arg(3), false), k.reg(k.arg(4), false)
	return func(w *warp, m uint32) {
		w.converged(members, m)
		x, y, z := *w.needR(a, m), w.needR(b, m), w.needR(c, m)
		o := w.setR(d, m)
		each(m, func(l int) {
			clamp, segment := int(z[l]&31), int(z[l]>>8&31)
			low := l & segment
			high := low | clamp&^segment
			n, from := int(y[l]&31), 0
			var in bool
			switch mode {
			case "up":
				from = l - n
				in = from >= high
			case "down":
				from = l + n
				in = from <= high
			case "bfly":
				from = l ^ n
				in = from <= high
			case "idx":
				from = low | n&^segment
				in = from <= high
			default:
				failf("is not interpreted")
			}
			if !in {
				from = l
			}
			if m>>from&1 == 0 {
				failf("lane %d reads lane %d, which is not there", l, from)
			}
			o[l] = x[from]
		})
	}
}

// vote compiles vote.sync.ballot, any and all.
func (k *compiler) vote() action {
	mode, members := k.s.op[2], k.reg(k.arg(2), false)
	p := k.pred(k.arg(1))
	if mode == "ballot" {
		d := k.reg(k.arg(0), false)
		return func(w *warp, m uint32) {
			w.converged(members, m)
			v, o := w.needP(p, m)&m, w.setR(d, m)
			each(m, func(l int) { o[l] = v })
		}
	}
	d := k.pred(k.arg(0))
	return func(w *warp, m uint32) {
		w.converged(members, m)
		v, r := w.needP(p, m)&m, uint32(0)
		if mode == "any" && v != 0 || mode == "all" && v == m {
			r = m
		}
		w.setP(d, m, r)
	}
}

// dp4a compiles the dot product of four bytes by four.
func (k *compiler) dp4a() action {
	d, a, b, c := k.reg(k.arg(0), false), k.reg(k.arg(1), false), k.reg(k.arg(2), false), k.reg(k.arg(3), false)
	sa, sb := k.s.op[1] == "s32", k.s.op[2] == "s32"
	at := func(x uint32, i int, signed bool) int32 {
		if signed {
			return int32(int8(x >> (8 * i)))
		}
		return int32(uint8(x >> (8 * i)))
	}
	return func(w *warp, m uint32) {
		x, y, z, o := w.needR(a, m), w.needR(b, m), w.needR(c, m), w.setR(d, m)
		each(m, func(l int) {
			s := int32(z[l])
			for i := range 4 {
				s += at(x[l], i, sa) * at(y[l], i, sb)
			}
			o[l] = uint32(s)
		})
	}
}

// prmt compiles the choice of bytes; the sign mode is not known.
func (k *compiler) prmt() action {
	d, a, b, c := k.reg(k.arg(0), false), k.reg(k.arg(1), false), k.reg(k.arg(2), false), k.reg(k.arg(3), false)
	return func(w *warp, m uint32) {
		x, y, z, o := w.needR(a, m), w.needR(b, m), w.needR(c, m), w.setR(d, m)
		each(m, func(l int) {
			both, r := uint64(y[l])<<32|uint64(x[l]), uint32(0)
			for i := range 4 {
				sel := z[l] >> (4 * i) & 15
				if sel > 7 {
					failf("the sign mode is not interpreted")
				}
				r |= uint32(both>>(8*sel)&255) << (8 * i)
			}
			o[l] = r
		})
	}
}
