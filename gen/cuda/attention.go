package main

import "fmt"

// attentionKernels writes attention in plain multiply-adds.
func attentionKernels(m *module) {
	for _, t := range dtypes {
		for _, d := range []int{16, 32, 64, 128, 256} {
			newFlash(d, t).kernel(m)
		}
		for _, d := range []int{64, 128, 256} {
			decode(m, d, t)
		}
		decodeMerge(m, t)
	}
}

const attentionParams = "dst:u64 ldd:u64 q:u64 ldq:u64 k:u64 ldk:u64 v:u64 ldv:u64 qoff:u64 koff:u64 " +
	"bias:u64 biasSeq:u64 biasHead:u64 biasRow:u64 pages:u64 page:u64 seqPages:u32 pageShift:u32 " +
	"d:u32 group:u32 scale:f32 causal:u32 window:u32"

// sequence is the sequence of a block, blockIdx.z, and its head, blockIdx.y.
type sequence struct {
	t              dtype
	s, head        val
	q0, nq, k0, nk val // first row and number of queries and of keys
	shift          val // nk - nq
	kBase, vBase   val // of the head, key 0 or page 0
}

func newSequence(t dtype) *sequence {
	q := &sequence{t: t, s: special("ctaid.z"), head: special("ctaid.y")}
	next := add(q.s, i32(1))
	q.q0, q.k0 = index("qoff", q.s), index("koff", q.s)
	q.nq, q.nk = sub(index("qoff", next), q.q0), sub(index("koff", next), q.k0)
	q.shift = sub(q.nk, q.nq)
	kv := mul(div(q.head, arg("group")), arg("d"))
	q.kBase, q.vBase = elem(arg("k"), kv, t.size()), elem(arg("v"), kv, t.size())
	return q
}

// visible returns the keys from lo below hi that query i sees.
func (q *sequence) visible(i val) (lo, hi val) {
	stands := add(i, q.shift)
	lo, hi = variable(sint(0)), variable(q.nk)
	window := arg("window").as(s32)
	when(gt(window, sint(0)), func() {
		set(lo, maxOf(add(sub(stands, window), sint(1)), sint(0)))
		set(hi, minOf(hi, add(stands, window)))
	})
	when(ne(arg("causal"), i32(0)), func() { set(hi, minOf(hi, add(stands, sint(1)))) })
	set(hi, maxOf(hi, sint(0)))
	return lo, hi
}

// keyRow returns the addresses of key j and of value j.
func (q *sequence) keyRow(j val) (k, v val) {
	k, v = reg(u64), reg(u64)
	whenElse(ne(arg("pages"), i64(0)), func() {
		at32 := mad(q.s, arg("seqPages"), shr(j.as(u32), arg("pageShift")))
		page := mul(wide(index("pages", at32)), arg("page"))
		in := and(j.as(u32), sub(shl(i32one(), arg("pageShift")), i32(1)))
		set(k, elem(q.kBase, add(page, mul(wide(in), arg("ldk"))), q.t.size()))
		set(v, elem(q.vBase, add(page, mul(wide(in), arg("ldv"))), q.t.size()))
	}, func() {
		r := add(q.k0, j)
		set(k, row(q.kBase, r, arg("ldk"), q.t.size()))
		set(v, row(q.vBase, r, arg("ldv"), q.t.size()))
	})
	return k, v
}

func i32one() val { return variable(i32(1)) }

// biasRow is the address of the bias of query i and key 0.
func (q *sequence) biasRow(i val) val {
	n := mul(wide(q.s), arg("biasSeq"))
	n = add(n, mul(wide(q.head), arg("biasHead")))
	n = add(n, mul(wide(i), arg("biasRow")))
	return elem(arg("bias"), n, 4)
}

// biased adds the bias of key j to the variable s; -Inf masks the key whatever s is.
func biased(s, biasRow, j val) {
	b := load("global", f32, 1, at(elem(biasRow, j, 4), 0))[0]
	set(s, choose(eq(b, flt(-inf)), b, add(s, b)))
}

// flash is attention of a block of queries with the keys in tiles, whose scores
// never leave the block (Dao et al. 2022, arXiv:2205.14135). 128 threads, 8 by
// 16: thread (y, x) has the queries rows·y … of scores and results, the keys
// x + 16·j of scores, and cols columns of results.
type flash struct {
	d, queries, keys int // of a tile; d is the most of a head
	rows, cols       int // of a thread
	t                dtype
}

func newFlash(d int, t dtype) *flash {
	f := &flash{d: d, queries: 32, keys: 64, t: t}
	switch d {
	case 128:
		f.keys = 32
	case 256:
		f.queries, f.keys = 16, 16
	}
	f.rows, f.cols = f.queries/8, d/16
	return f
}

func (f *flash) kernel(m *module) {
	name := fmt.Sprintf("attention_d%d_%s", f.d, f.t)
	m.entry(name, [3]int{128, 1, 1}, fmt.Sprintf(`
%s: a block computes %d queries i of head blockIdx.y of sequence
blockIdx.z, d at most %d, by tiles of %d keys j
	s[i][j] = scale·Σ_c q[i][c]·k[j][c] + bias[i][j], -Inf where i does not see j
	dst[i][c] = Σ_j e^(s[i][j]-top[i])·v[j][c] / Σ_j e^(s[i][j]-top[i])`, name, f.queries, f.d, f.keys), attentionParams, f.body)
}

func (f *flash) body() {
	stride := 4 * (f.d + 4) // of a row of q, k and v in shared memory
	pStride := 4 * (f.keys + 4)
	sharedQ := array("q", 16, f.queries*stride)
	sharedKV := array("kv", 16, f.keys*stride)
	sharedP := array("p", 16, f.queries*pStride)
	tid := special("tid.x")
	tx, ty := and(tid, i32(15)), shr(tid, i32(4))
	lane, warp := and(tid, i32(31)), shr(tid, i32(5))
	q := newSequence(f.t)
	first := mul(special("ctaid.x"), i32(f.queries)).as(s32)
	outside := ge(first, q.nq)
	predicated(outside, ret)

	// tileRow copies a row to shared memory, zeros beyond d; a warp a row.
	tileRow := func(to, from, there val) {
		for c := 0; c < f.d; c += 32 {
			col := add(lane, i32(c))
			v := variable(flt(0))
			in := and(there, lt(col, arg("d")))
			when(in, func() { set(v, f.t.one(at(elem(from, col, f.t.size()), 0))) })
			slot := elem32(to, col, 4)
			if f.d < 32 {
				when(lt(col, i32(f.d)), func() { store("shared", f32, at(slot, 0), v) })
			} else {
				store("shared", f32, at(slot, 0), v)
			}
		}
	}
	headQ := elem(arg("q"), mul(q.head, arg("d")), f.t.size())
	loop(warp, i32(f.queries), i32(4), func(r val) {
		i := add(first, r)
		tileRow(mad(r, i32(stride), sharedQ), row(headQ, add(q.q0, i), arg("ldq"), f.t.size()), lt(i, q.nq))
	})

	comment("the keys that any of the block's queries sees")
	last := sub(minOf(add(first, sint(f.queries)), q.nq), sint(1))
	from, _ := q.visible(first)
	_, end := q.visible(last)
	lo, hi, biases := make([]val, f.rows), make([]val, f.rows), make([]val, f.rows)
	for i := range lo {
		r := add(first, mad(ty, i32(f.rows), i32(i)).as(s32))
		lo[i], hi[i] = q.visible(r)
		biases[i] = q.biasRow(minOf(r, last))
	}
	hasBias := ne(arg("bias"), i64(0))
	top, total := make([]val, f.rows), zeros(f.rows)
	acc := make([][]val, f.rows)
	for i := range top {
		top[i] = variable(flt(-inf))
		acc[i] = zeros(f.cols)
	}
	rowQ := mad(ty, i32(f.rows*stride), sharedQ)
	rowP := mad(ty, i32(f.rows*pStride), sharedP)
	rowK := mad(tx, i32(stride), sharedKV)
	vec := min(4, f.cols) // columns side by side
	colV := mad(tx, i32(4*vec), sharedKV)

	loop(and(from, sint(-f.keys)), end, sint(f.keys), func(j0 val) {
		copyTile := func(value bool) {
			loop(warp.as(s32), sint(f.keys), sint(4), func(r val) {
				j := add(j0, r)
				k, v := q.keyRow(minOf(j, sub(q.nk, sint(1))))
				if value {
					k = v
				}
				tileRow(mad(r.as(u32), i32(stride), sharedKV), k, lt(j, q.nk))
			})
		}
		sync()
		copyTile(false)
		sync()
		comment("scores")
		n := f.keys / 16
		s := make([][]val, f.rows)
		for i := range s {
			s[i] = zeros(n)
		}
		loop(i32(0), arg("d"), i32(4), func(c val) {
			pq, pk := mad(c, i32(4), rowQ), mad(c, i32(4), rowK)
			a, b := make([][]val, f.rows), make([][]val, n)
			for i := range a {
				a[i] = load("shared", f32, 4, at(pq, i*stride))
			}
			for j := range b {
				b[j] = load("shared", f32, 4, at(pk, 16*j*stride))
			}
			for e := range 4 {
				for i := range a {
					for j := range b {
						accumulate(s[i][j], a[i][e], b[j][e])
					}
				}
			}
		})
		for i := range s {
			most := variable(top[i])
			for j := range s[i] {
				key := sum(j0, tx.as(s32), sint(16*j))
				set(s[i][j], mul(s[i][j], arg("scale")))
				seen := and(ge(key, lo[i]), lt(key, hi[i]))
				when(and(hasBias, seen), func() { biased(s[i][j], biases[i], key) })
				set(s[i][j], choose(seen, s[i][j], flt(-inf)))
				set(most, maxOf(most, s[i][j]))
			}
			for n := 8; n > 0; n /= 2 {
				set(most, maxOf(most, shuffle(most, n)))
			}
			comment("no key so far: anything but -Inf, so that e^(-Inf-base) is 0")
			base := choose(eq(most, flt(-inf)), flt(0), most)
			shrink := expFast(sub(top[i], base))
			set(top[i], most)
			set(total[i], mul(total[i], shrink))
			for c := range acc[i] {
				set(acc[i][c], mul(acc[i][c], shrink))
			}
			for j := range s[i] {
				set(s[i][j], expFast(sub(s[i][j], base)))
				set(total[i], add(total[i], s[i][j]))
				store("shared", f32, at(mad(tx, i32(4), rowP), i*pStride+64*j), s[i][j])
			}
		}
		sync()
		copyTile(true)
		sync()
		comment("weights by values")
		loop(i32(0), i32(f.keys), i32(4), func(j val) {
			p := make([][]val, f.rows)
			for i := range p {
				p[i] = load("shared", f32, 4, at(mad(j, i32(4), rowP), i*pStride))
			}
			pv := mad(j, i32(stride), colV)
			for e := range 4 {
				for c := 0; c < f.cols; c += vec {
					v := load("shared", f32, vec, at(pv, e*stride+16*4*c))
					for i := range p {
						for x := range v {
							accumulate(acc[i][c+x], p[i][e], v[x])
						}
					}
				}
			}
		})
	})
	headDst := elem(arg("dst"), mul(q.head, arg("d")), f.t.size())
	for i := range acc {
		for n := 8; n > 0; n /= 2 {
			set(total[i], add(total[i], shuffle(total[i], n)))
		}
		inv := choose(gt(total[i], flt(0)), div(flt(1), total[i]), flt(0))
		r := add(first, mad(ty, i32(f.rows), i32(i)).as(s32))
		when(lt(r, q.nq), func() {
			out := row(headDst, add(q.q0, r), arg("ldd"), f.t.size())
			for c := 0; c < f.cols; c += vec {
				for x := range vec {
					col := mad(tx, i32(vec), i32(16*c+x))
					when(lt(col, arg("d")), func() {
						f.t.put("global", at(elem(out, col, f.t.size()), 0), mul(acc[i][c+x], inv))
					})
				}
			}
		})
	}
}

const (
	decodeKeys  = 256
	decodeWarps = 4
)

// decode is attention of one query a sequence with a part of its keys.
func decode(m *module, d int, t dtype) {
	name := fmt.Sprintf("decode_d%d_%s", d, t)
	m.entry(name, [3]int{32 * decodeWarps, 1, 1}, fmt.Sprintf(`
%s: a block computes the query of sequence blockIdx.z, head blockIdx.y, d
at most %d, with the keys j of part blockIdx.x, %d; a warp a key, a lane every
32nd column
	s[j] = scale·Σ_c q[c]·k[j][c] + bias[j]
	dst[c] = Σ_j e^(s[j]-top)·v[j][c] / Σ_j e^(s[j]-top)
If there are several parts {top, Σ_j, the sums before the quotient} go to
scratch[blockIdx.z][blockIdx.y][blockIdx.x] instead.`, name, d, decodeKeys), attentionParams+" scratch:u64", func() {
		weights := array("weights", 16, 4*decodeKeys)
		sums := array("sums", 16, 4*d*decodeWarps)
		red := newReducer()
		tid := special("tid.x")
		lane, warp := and(tid, i32(31)), shr(tid, i32(5))
		q := newSequence(t)
		none := eq(q.nq, sint(0))
		predicated(none, ret)
		part, parts := special("ctaid.x"), special("nctaid.x")
		lo, hi := q.visible(sint(0))
		first := maxOf(mul(part, i32(decodeKeys)).as(s32), lo)
		end := minOf(add(mul(part, i32(decodeKeys)), i32(decodeKeys)).as(s32), hi)
		n := maxOf(sub(end, first), sint(0))

		// read reads the columns of a lane, 0 from d on and unless there.
		read := func(p, there val) []val {
			list := zeros(d / 32)
			for i, v := range list {
				col := add(lane, i32(32*i))
				when(and(there, lt(col, arg("d"))), func() { set(v, t.one(at(elem(p, col, t.size()), 0))) })
			}
			return list
		}
		headCol := mul(q.head, arg("d"))
		query := read(row(elem(arg("q"), headCol, t.size()), q.q0, arg("ldq"), t.size()), eq(lane, lane))
		hasBias := ne(arg("bias"), i64(0))
		bias := q.biasRow(i32(0))
		top := variable(flt(-inf))
		const together = 4 // keys that a warp reads at a time
		each4 := func(f func(j []val, in []val)) {
			loop(mul(warp, i32(together)).as(s32), n, sint(together*decodeWarps), func(j val) {
				js, in := make([]val, together), make([]val, together)
				for u := range js {
					js[u] = add(j, sint(u))
					in[u] = lt(js[u], n)
				}
				f(js, in)
			})
		}
		each4(func(js, in []val) {
			s := make([]val, together)
			for u, j := range js {
				k, _ := q.keyRow(add(first, minOf(j, sub(n, sint(1)))))
				key := read(k, in[u])
				s[u] = variable(flt(0))
				for c := range key {
					accumulate(s[u], query[c], key[c])
				}
			}
			for u, j := range js {
				for n := 16; n > 0; n /= 2 {
					set(s[u], add(s[u], shuffle(s[u], n)))
				}
				set(s[u], mul(s[u], arg("scale")))
				when(in[u], func() {
					when(hasBias, func() { biased(s[u], bias, add(first, j)) })
					set(top, maxOf(top, s[u]))
					when(eq(lane, i32(0)), func() { store("shared", f32, at(elem32(weights, j.as(u32), 4), 0), s[u]) })
				})
			}
		})
		most := red.all(top, maxOf) // waits for the weights too
		base := choose(eq(most, flt(-inf)), flt(0), most)
		total := variable(flt(0))
		loop(tid.as(s32), n, sint(32*decodeWarps), func(j val) {
			p := at(elem32(weights, j.as(u32), 4), 0)
			e := expFast(sub(load("shared", f32, 1, p)[0], base))
			store("shared", f32, p, e)
			set(total, add(total, e))
		})
		whole := red.all(total, add)
		acc := zeros(d / 32)
		each4(func(js, in []val) {
			for u, j := range js {
				_, v := q.keyRow(add(first, minOf(j, sub(n, sint(1)))))
				value := read(v, in[u])
				w := variable(flt(0))
				when(in[u], func() { set(w, load("shared", f32, 1, at(elem32(weights, j.as(u32), 4), 0))[0]) })
				for c := range value {
					accumulate(acc[c], w, value[c])
				}
			}
		})
		for c := range acc {
			col := mad(warp, i32(d), add(lane, i32(32*c)))
			store("shared", f32, at(elem32(sums, col, 4), 0), acc[c])
		}
		sync()
		slot := mad(mad(q.s, special("nctaid.y"), q.head), parts, part)
		out := elem(arg("scratch"), mul(wide(slot), wide(add(arg("d"), i32(2)))), 4)
		split := gt(parts, i32(1))
		when(and(split, eq(tid, i32(0))), func() {
			store("global", f32, at(out, 0), most)
			store("global", f32, at(out, 4), whole)
		})
		inv := choose(gt(whole, flt(0)), div(flt(1), whole), flt(0))
		dst := row(elem(arg("dst"), headCol, t.size()), q.q0, arg("ldd"), t.size())
		loop(tid, arg("d"), i32(32*decodeWarps), func(c val) {
			y := variable(flt(0))
			for w := range decodeWarps {
				set(y, add(y, load("shared", f32, 1, at(elem32(sums, c, 4), 4*d*w))[0]))
			}
			whenElse(split, func() { store("global", f32, at(elem(out, c, 4), 8), y) },
				func() { t.put("global", at(elem(dst, c, t.size()), 0), mul(y, inv)) })
		})
	})
}

func decodeMerge(m *module, t dtype) {
	m.entry("decode_merge_"+string(t), [3]int{32 * decodeWarps, 1, 1}, `
decode_merge: the parts of head blockIdx.y of sequence blockIdx.z, with t the
largest of top[part]
	dst[c] = Σ_part e^(top[part]-t)·sums[part][c] / Σ_part e^(top[part]-t)·total[part]`,
		"dst:u64 ldd:u64 scratch:u64 qoff:u64 d:u32 parts:u32", func() {
			s, head := special("ctaid.z"), special("ctaid.y")
			q0 := index("qoff", s)
			none := eq(index("qoff", add(s, i32(1))), q0)
			predicated(none, ret)
			size := wide(add(arg("d"), i32(2)))
			slot := mul(mad(s, special("nctaid.y"), head), arg("parts"))
			from := elem(arg("scratch"), mul(wide(slot), size), 4)
			most := variable(flt(-inf))
			part := func(i val) val { return row(from, i, size, 4) }
			loop(i32(0), arg("parts"), i32(1), func(i val) {
				set(most, maxOf(most, load("global", f32, 1, at(part(i), 0))[0]))
			})
			base := choose(eq(most, flt(-inf)), flt(0), most)
			dst := row(elem(arg("dst"), mul(head, arg("d")), t.size()), q0, arg("ldd"), t.size())
			loop(special("tid.x"), arg("d"), i32(32*decodeWarps), func(c val) {
				y, total := variable(flt(0)), variable(flt(0))
				loop(i32(0), arg("parts"), i32(1), func(i val) {
					p := part(i)
					w := expFast(sub(load("global", f32, 1, at(p, 0))[0], base))
					accumulate(total, w, load("global", f32, 1, at(p, 4))[0])
					accumulate(y, w, load("global", f32, 1, at(elem(p, c, 4), 8))[0])
				})
				inv := choose(gt(total, flt(0)), div(flt(1), total), flt(0))
				t.put("global", at(elem(dst, c, t.size()), 0), mul(y, inv))
			})
		})
}
