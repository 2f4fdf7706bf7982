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
	from, end := q.keys(first, last, flashKeys)

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

	o := newOnline(q, f.lane, first, last, mul(warp, i32(16)), f.d)
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
		o.scores(s, j0, next)
		comment("weights by values")
		values, chunkAt := f.lanes(add(tiles, add(buffer, i32(tileBytes))), i32(0), 0)
		for step := range flashKeys / 16 {
			a := o.weights(s[2*step], s[2*step+1])
			for c := 0; c < len(o.acc); c += 2 {
				b := each(func(int) val { return reg(b32) }, 4)
				emit("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16", b, at(add(values, chunkAt(c)), step*16*f.rowBytes()))
				emit(mmaOp, o.acc[c], a, b[:2], o.acc[c])
				emit(mmaOp, o.acc[c+1], a, b[2:], o.acc[c+1])
			}
		}
		set(buffer, other)
	})
	emit("cp.async.wait_group", 0)

	o.store()
}
