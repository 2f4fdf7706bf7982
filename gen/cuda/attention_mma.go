package main

import (
	"fmt"
)

// mmaAttentionKernels writes attention by the matrix instructions of Ampere.
func mmaAttentionKernels(m *module) {
	m.shared = true
	for _, t := range dtypes[1:] {
		for _, d := range []int{64, 128} {
			for _, queries := range []int{64, 128} {
				f := &mmaFlash{d: d, queries: queries, t: t, chunks: d / 8, threads: 2 * queries}
				f.kernel(m)
			}
		}
	}
}

// mmaFlash is flash with matrix instructions: a warp has 16 queries, whose
// scores, weights and results stay in its registers, and tiles of keys and
// values come by copies that run a tile ahead. Rows lie in shared memory with
// their chunks of 16 bytes in the order c ^ r%8.
type mmaFlash struct {
	d, queries      int
	t               dtype
	chunks, threads int // chunks of a row
	tid, lane       val
	shared          val
	q               *sequence
}

const flashKeys = 64 // of a tile

func (f *mmaFlash) rowBytes() int { return 2 * f.d }

// sharedBytes is the dynamic shared memory of a block: the queries, and twice
// the keys and the values of a tile.
func (f *mmaFlash) sharedBytes() int { return (f.queries + 4*flashKeys) * f.rowBytes() }

func (f *mmaFlash) kernel(m *module) {
	name := fmt.Sprintf("attention_d%d_q%d_%s", f.d, f.queries, f.t)
	m.registers = 0
	if f.d == 64 && f.queries == 128 {
		m.registers = 152 // a few more than 128 would spill
	}
	m.entry(name, [3]int{f.threads, 1, 1}, fmt.Sprintf(`
%s: a block computes %d queries i of head blockIdx.y of sequence
blockIdx.z, d at most %d, by tiles of %d keys j
	s[i][j] = scale·Σ_c q[i][c]·k[j][c] + bias[i][j], -Inf where i does not see j
	dst[i][c] = Σ_j e^(s[i][j]-top[i])·v[j][c] / Σ_j e^(s[i][j]-top[i])
The weights are rounded to %s. %d bytes of shared memory; d and the strides are
multiples of 8.`, name, f.queries, f.d, flashKeys, f.t, f.sharedBytes()), attentionParams, f.body)
}

// copyRows begins the copies of rows to shared memory at to; from returns the
// address of a row and whether it is there.
func (f *mmaFlash) copyRows(to val, rows int, from func(r val) (address, there val)) {
	c := and(f.tid, i32(f.chunks-1))
	inRow := lt(shl(c, i32(3)), arg("d"))
	for r0 := 0; r0 < rows; r0 += f.threads / f.chunks {
		r := add(shr(f.tid, i32(log2(f.chunks))), i32(r0))
		address, there := from(r)
		bytes := choose(and(there, inRow), i32(chunk), i32(0))
		p := elem(address, choose(inRow, shl(c, i32(3)), i32(0)), 2)
		slot := mad(xor(c, and(r, i32(7))), i32(chunk), mad(r, i32(f.rowBytes()), to))
		emit("cp.async.cg.shared.global", at(slot, 0), at(p, 0), chunk, bytes)
	}
}

// lanes returns where a lane's rows for ldmatrix begin, of 16 rows from r0 on:
// matrix l/8 has the rows 0 … 7 or 8 … 15 by the bit rowBit of its number, and
// the first or second chunk by the other. chunkAt returns the offset of chunk c
// or c+1 from there.
func (f *mmaFlash) lanes(base, r0 val, rowBit int) (rows val, chunkAt func(c int) val) {
	matrix, r := shr(f.lane, i32(3)), and(f.lane, i32(7))
	rowHalf, chunkHalf := and(matrix, i32(1)), shr(matrix, i32(1))
	if rowBit == 1 {
		rowHalf, chunkHalf = chunkHalf, rowHalf
	}
	rows = mad(sum(r0, r, mul(rowHalf, i32(8))), i32(f.rowBytes()), base)
	return rows, func(c int) val { return shl(xor(add(chunkHalf, i32(c)), r), i32(4)) }
}

func (f *mmaFlash) body() {
	f.shared = reg(u32)
	emit("mov.u32", f.shared, "dynamic")
	f.tid = special("tid.x")
	f.lane = and(f.tid, i32(31))
	warp := shr(f.tid, i32(5))
	q := newSequence(f.t)
	f.q = q
	first := mul(special("ctaid.x"), i32(f.queries)).as(s32)
	outside := ge(first, q.nq)
	predicated(outside, ret)
	last := sub(minOf(add(first, sint(f.queries)), q.nq), sint(1))
	from, loSlack := q.visible(first)
	hiSlack, end := q.visible(last)
	from = and(from, sint(-flashKeys))

	tileBytes := flashKeys * f.rowBytes()
	tiles := add(f.shared, i32(f.queries*f.rowBytes()))
	copyTile := func(to, j0 val) {
		for i := range 2 {
			f.copyRows(add(to, i32(i*tileBytes)), flashKeys, func(r val) (val, val) {
				j := add(j0, r)
				k, v := q.keyRow(minOf(j, sub(q.nk, sint(1))))
				if i == 1 {
					k = v
				}
				return k, lt(j, q.nk)
			})
		}
	}
	headQ := elem(arg("q"), mul(q.head, arg("d")), 2)
	f.copyRows(f.shared, f.queries, func(r val) (val, val) {
		i := add(first, r)
		return row(headQ, add(q.q0, minOf(i, last)), arg("ldq"), 2), lt(i, q.nq)
	})
	emit("cp.async.commit_group")
	when(lt(from, end), func() { copyTile(tiles, from) })
	emit("cp.async.commit_group")
	emit("cp.async.wait_group", 1)
	sync()
	comment("the warp's queries")
	steps := f.d / 16
	query := make([][]val, steps)
	rows, chunkAt := f.lanes(f.shared, mul(warp, i32(16)), 0)
	for s := range query {
		query[s] = each(func(int) val { return reg(b32) }, 4)
		emit("ldmatrix.sync.aligned.m8n8.x4.shared.b16", query[s], at(add(rows, chunkAt(2*s)), 0))
	}

	// A thread has the rows g and g+8 of the warp's, and columns 2t and 2t+1 of
	// eight.
	const pairs = 2
	group, pair := shr(f.lane, i32(2)), shl(and(f.lane, i32(3)), i32(1))
	var lo, hi, biases, index [pairs]val
	var top, total [pairs]val
	for i := range pairs {
		index[i] = add(first, add(mad(warp, i32(16), group), i32(8*i)).as(s32))
		lo[i], hi[i] = q.visible(index[i])
		biases[i] = q.biasRow(minOf(index[i], last))
		top[i], total[i] = variable(flt(-inf)), variable(flt(0))
	}
	acc := make([][]val, f.d/8)
	for i := range acc {
		acc[i] = zeros(4)
	}
	hasBias := ne(arg("bias"), i64(0))
	factor := mul(arg("scale"), flt(log2e)) // of scores, for powers of two
	buffer := variable(i32(0))
	mmaOp := mmaTypes[string(f.t)].op

	loop(from, end, sint(flashKeys), func(j0 val) {
		emit("cp.async.wait_group", 0)
		sync()
		next := add(j0, sint(flashKeys))
		other := xor(buffer, i32(2*tileBytes))
		when(lt(next, end), func() { copyTile(add(tiles, other), next) })
		emit("cp.async.commit_group")
		comment("scores")
		s := make([][]val, flashKeys/8)
		for j := range s {
			s[j] = zeros(4)
		}
		keys, chunkAt := f.lanes(add(tiles, buffer), i32(0), 1)
		for step := range query {
			p := add(keys, chunkAt(2*step))
			for j := 0; j < len(s); j += 2 {
				b := each(func(int) val { return reg(b32) }, 4)
				emit("ldmatrix.sync.aligned.m8n8.x4.shared.b16", b, at(p, j*8*f.rowBytes()))
				emit(mmaOp, s[j], query[step], b[:2], s[j])
				emit(mmaOp, s[j+1], query[step], b[2:], s[j+1])
			}
		}
		for j := range s {
			for e := range s[j] {
				set(s[j][e], mul(s[j][e], factor))
			}
		}
		edge := or(hasBias, or(lt(j0, hiSlack), gt(next, loSlack)))
		when(edge, func() {
			for j := range s {
				for e := range s[j] {
					i := e / 2
					key := sum(j0, pair.as(s32), sint(8*j+e%2))
					seen := and(ge(key, lo[i]), lt(key, hi[i]))
					when(and(hasBias, seen), func() {
						b := load("global", f32, 1, at(elem(biases[i], key, 4), 0))[0]
						set(s[j][e], choose(eq(b, flt(-inf)), b, fma(b, flt(log2e), s[j][e])))
					})
					set(s[j][e], choose(seen, s[j][e], flt(-inf)))
				}
			}
		})
		var base [pairs]val
		for i := range pairs {
			most := variable(top[i])
			for j := range s {
				set(most, maxOf(most, maxOf(s[j][2*i], s[j][2*i+1])))
			}
			for n := 1; n < 4; n *= 2 {
				set(most, maxOf(most, shuffle(most, n)))
			}
			base[i] = choose(eq(most, flt(-inf)), flt(0), most)
			shrink := unary("ex2.approx", sub(top[i], base[i]))
			set(top[i], most)
			set(total[i], mul(total[i], shrink))
			for c := range acc {
				set(acc[c][2*i], mul(acc[c][2*i], shrink))
				set(acc[c][2*i+1], mul(acc[c][2*i+1], shrink))
			}
		}
		comment("weights by values")
		values, chunkAt := f.lanes(add(tiles, add(buffer, i32(tileBytes))), i32(0), 0)
		for step := range flashKeys / 16 {
			// The results of two products are an operand as they lie.
			a := make([]val, 4)
			for h := range 2 {
				w := each(func(e int) val { return unary("ex2.approx", sub(s[2*step+h][e], base[e/2])) }, 4)
				for i := range pairs {
					set(total[i], add(total[i], add(w[2*i], w[2*i+1])))
					a[2*h+i] = reg(b32)
					emit("cvt.rn."+string(f.t)+"x2.f32", a[2*h+i], w[2*i+1], w[2*i])
				}
			}
			for c := 0; c < len(acc); c += 2 {
				b := each(func(int) val { return reg(b32) }, 4)
				emit("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", b, at(add(values, chunkAt(c)), step*16*f.rowBytes()))
				emit(mmaOp, acc[c], a, b[:2], acc[c])
				emit(mmaOp, acc[c+1], a, b[2:], acc[c+1])
			}
		}
		set(buffer, other)
	})
	emit("cp.async.wait_group", 0)

	headDst := elem(arg("dst"), mul(q.head, arg("d")), 2)
	for i := range pairs {
		for n := 1; n < 4; n *= 2 {
			set(total[i], add(total[i], shuffle(total[i], n)))
		}
		inv := choose(gt(total[i], flt(0)), div(flt(1), total[i]), flt(0))
		when(lt(index[i], q.nq), func() {
			out := elem(row(headDst, add(q.q0, index[i]), arg("ldd"), 2), pair, 2)
			for c := range acc {
				w := reg(b32)
				emit("cvt.rn."+string(f.t)+"x2.f32", w, mul(acc[c][2*i+1], inv), mul(acc[c][2*i], inv))
				when(lt(i32(8*c), arg("d")), func() { store("global", b32, at(out, 16*c), w) })
			}
		})
	}
}
