package main

// keys returns the keys that any of the queries first … last sees, from a whole
// tile on.
func (q *sequence) keys(first, last val, tile int) (from, end val) {
	from, _ = q.visible(first)
	_, end = q.visible(last)
	return and(from, sint(-tile)), end
}

// online is the softmax of 16 queries a warp as tiles of scores come, with the
// sum of weighted values so far. Scores and sums lie as results of matrix
// instructions do: a thread has the rows g and g+8 of the warp's, g = lane/4,
// and the columns 2t and 2t+1 of each eight, t = lane%4.
type online struct {
	q                *sequence
	index, lo, hi    [2]val // of the rows: the query, and the keys it sees
	biases           [2]val
	top, total, base [2]val // base: top, or 0 if that is -Inf
	acc              [][]val
	pair             val // 2t
	hasBias          val
	factor           val // of scores, for powers of two
	loSlack, hiSlack val // keys from loSlack below hiSlack are seen by all
}

// newOnline is for the queries first+row0+g and 8 further on; last is the
// block's last one, d the elements of a head.
func newOnline(q *sequence, lane, first, last, row0 val, d int) *online {
	o := &online{q: q, pair: shl(and(lane, i32(3)), i32(1)), hasBias: ne(arg("bias"), i64(0)), factor: mul(arg("scale"), flt(log2e))}
	o.loSlack, _ = q.visible(last)
	_, o.hiSlack = q.visible(first)
	group := shr(lane, i32(2))
	for i := range o.index {
		o.index[i] = add(first, sum(row0, group, i32(8*i)).as(s32))
		o.lo[i], o.hi[i] = q.visible(o.index[i])
		o.biases[i] = q.biasRow(minOf(o.index[i], last))
		o.top[i], o.total[i] = variable(flt(-inf)), variable(flt(0))
	}
	o.acc = make([][]val, d/8)
	for i := range o.acc {
		o.acc[i] = zeros(4)
	}
	return o
}

// scores turns products of the queries with the keys from j0 below next into
// powers of two, those of unseen keys -Inf, and shrinks the sums to a new top.
func (o *online) scores(s [][]val, j0, next val) {
	for j := range s {
		for e := range s[j] {
			set(s[j][e], mul(s[j][e], o.factor))
		}
	}
	edge := or(o.hasBias, or(lt(j0, o.loSlack), gt(next, o.hiSlack)))
	when(edge, func() {
		for j := range s {
			for e := range s[j] {
				i := e / 2
				key := sum(j0, o.pair.as(s32), sint(8*j+e%2))
				seen := and(ge(key, o.lo[i]), lt(key, o.hi[i]))
				when(and(o.hasBias, seen), func() {
					b := load("global", f32, 1, at(elem(o.biases[i], key, 4), 0))[0]
					set(s[j][e], choose(eq(b, flt(-inf)), b, fma(b, flt(log2e), s[j][e])))
				})
				set(s[j][e], choose(seen, s[j][e], flt(-inf)))
			}
		}
	})
	for i := range o.top {
		most := variable(o.top[i])
		for j := range s {
			set(most, maxOf(most, maxOf(s[j][2*i], s[j][2*i+1])))
		}
		for n := 1; n < 4; n *= 2 {
			set(most, maxOf(most, shuffle(most, n)))
		}
		o.base[i] = choose(eq(most, flt(-inf)), flt(0), most)
		shrink := unary("ex2.approx", sub(o.top[i], o.base[i]))
		set(o.top[i], most)
		set(o.total[i], mul(o.total[i], shrink))
		for c := range o.acc {
			set(o.acc[c][2*i], mul(o.acc[c][2*i], shrink))
			set(o.acc[c][2*i+1], mul(o.acc[c][2*i+1], shrink))
		}
	}
}

// weights are the weights of 16 keys, two results of products, as an operand of
// the next: they lie as they have to.
func (o *online) weights(s0, s1 []val) []val {
	a := make([]val, 4)
	for h, s := range [][]val{s0, s1} {
		w := each(func(e int) val { return unary("ex2.approx", sub(s[e], o.base[e/2])) }, 4)
		for i := range o.total {
			set(o.total[i], add(o.total[i], add(w[2*i], w[2*i+1])))
			a[2*h+i] = reg(b32)
			emit("cvt.rn."+string(o.q.t)+"x2.f32", a[2*h+i], w[2*i+1], w[2*i])
		}
	}
	return a
}

// store divides the sums and stores them.
func (o *online) store() {
	head := elem(arg("dst"), mul(o.q.head, arg("d")), 2)
	for i := range o.total {
		for n := 1; n < 4; n *= 2 {
			set(o.total[i], add(o.total[i], shuffle(o.total[i], n)))
		}
		inv := choose(gt(o.total[i], flt(0)), div(flt(1), o.total[i]), flt(0))
		when(lt(o.index[i], o.q.nq), func() {
			out := elem(row(head, add(o.q.q0, o.index[i]), arg("ldd"), 2), o.pair, 2)
			for c, y := range o.acc {
				w := reg(b32)
				emit("cvt.rn."+string(o.q.t)+"x2.f32", w, mul(y[2*i+1], inv), mul(y[2*i], inv))
				when(lt(i32(8*c), arg("d")), func() { store("global", b32, at(out, 16*c), w) })
			}
		})
	}
}
