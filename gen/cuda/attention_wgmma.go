package main

import "fmt"

// wgmmaAttentionKernels writes attention by the matrix instructions of Hopper.
func wgmmaAttentionKernels(m *module) {
	m.shared = true
	for _, t := range dtypes[1:] {
		for _, d := range []int{64, 128} {
			(&wgmmaFlash{d: d, t: t}).kernel(m)
		}
	}
}

const (
	wgmmaQueries = 128 // of a block: 64 a warp group
	wgmmaKeys    = 128 // of a tile
	wgmmaRing    = 2   // tiles in shared memory
)

// wgmmaFlash is flash for heads of just d elements with a thread that has the
// tensor copies put tiles of keys and values into a ring, and two warp groups
// that each compute 64 queries: while one has its softmax to do the other
// multiplies (Shah et al. 2024, arXiv:2407.08608). In shared memory a tile is
// d/64 blocks of 64 columns, in the 128-byte swizzle.
type wgmmaFlash struct {
	d      int
	t      dtype
	shared val
}

// queryBytes and tileBytes are the queries of a block, and a tile of keys or of
// values.
func (f *wgmmaFlash) queryBytes() int { return wgmmaQueries * 2 * f.d }
func (f *wgmmaFlash) tileBytes() int  { return wgmmaKeys * 2 * f.d }

// sharedBytes is the dynamic shared memory of a block.
func (f *wgmmaFlash) sharedBytes() int {
	return f.queryBytes() + wgmmaRing*2*f.tileBytes() + 8*(1+3*wgmmaRing)
}

// The barriers: the queries are there; keys, and values, of a stage are; a stage
// has been read.
const (
	fullKeys = iota
	fullValues
	emptyTile
)

func (f *wgmmaFlash) barrier(kind int, stage val) val {
	base := f.queryBytes() + wgmmaRing*2*f.tileBytes() + 8
	return mad(stage, i32(8), add(f.shared, i32(base+8*kind*wgmmaRing)))
}

func (f *wgmmaFlash) queryBarrier() val {
	return add(f.shared, i32(f.queryBytes()+wgmmaRing*2*f.tileBytes()))
}

// tile is where the keys of a stage begin; the values lie behind them.
func (f *wgmmaFlash) tile(stage val) val {
	return mad(stage, i32(2*f.tileBytes()), add(f.shared, i32(f.queryBytes())))
}

func (f *wgmmaFlash) kernel(m *module) {
	name := fmt.Sprintf("attention_d%d_%s", f.d, f.t)
	m.entry(name, [3]int{128 * (1 + consumers), 1, 1}, fmt.Sprintf(`
%s: a block computes %d queries i of head blockIdx.y of sequence
blockIdx.z by tiles of %d keys j; d is %d and keys are not in pages
	s[i][j] = scale·Σ_c q[i][c]·k[j][c] + bias[i][j], -Inf where i does not see j
	dst[i][c] = Σ_j e^(s[i][j]-top[i])·v[j][c] / Σ_j e^(s[i][j]-top[i])
The weights are rounded to %s. mapQ, mapK and mapV describe q, k and v, with
tiles of %d and %d rows by 64 columns and 128-byte swizzle. %d bytes of shared
memory.`, name, wgmmaQueries, wgmmaKeys, f.d, f.t, wgmmaQueries, wgmmaKeys, f.sharedBytes()),
		"mapQ:map mapK:map mapV:map "+attentionParams, f.body)
}

func (f *wgmmaFlash) body() {
	f.shared = reg(u32)
	emit("mov.u32", f.shared, "dynamic")
	tid := special("tid.x")
	lane, group := and(tid, i32(31)), shr(tid, i32(7))
	q := newSequence(f.t)
	comment("where later queries see more keys their blocks come first")
	block := special("ctaid.x")
	block = choose(ne(arg("causal"), i32(0)), sub(sub(special("nctaid.x"), i32(1)), block), block)
	first := mul(block, i32(wgmmaQueries)).as(s32)
	outside := ge(first, q.nq)
	predicated(outside, ret)
	last := sub(minOf(add(first, sint(wgmmaQueries)), q.nq), sint(1))
	from, end := q.keys(first, last, wgmmaKeys)
	when(eq(tid, i32(0)), func() {
		makeBarrier(f.queryBarrier(), 1)
		for s := range wgmmaRing {
			makeBarrier(f.barrier(fullKeys, i32(s)), 1)
			makeBarrier(f.barrier(fullValues, i32(s)), 1)
			makeBarrier(f.barrier(emptyTile, i32(s)), 4*consumers)
		}
		emit("fence.mbarrier_init.release.cluster")
	})
	sync()
	whenElse(eq(group, i32(0)), func() {
		emit("setmaxnreg.dec.sync.aligned.u32", 24)
		when(eq(tid, i32(0)), func() { f.produce(q, first, from, end) })
	}, func() {
		emit("setmaxnreg.inc.sync.aligned.u32", 240)
		f.consume(q, tid, lane, sub(group, i32(1)), first, last, from, end)
	})
}

// copyTile begins the copies of rows from row on of a head of an operand.
func (f *wgmmaFlash) copyTile(to val, off int, tensor, col, row val, rows int, full val) {
	for b := range f.d / 64 {
		copyTensor(at(to, off+b*rows*128), tensor, add(col, i32(64*b)), row, full)
	}
}

func (f *wgmmaFlash) produce(q *sequence, first, from, end val) {
	mapQ, mapK, mapV := tensorMap("mapQ"), tensorMap("mapK"), tensorMap("mapV")
	col := mul(q.head, i32(f.d))
	kv := mul(div(q.head, arg("group")), i32(f.d))
	expect(f.queryBarrier(), f.queryBytes())
	f.copyTile(f.shared, 0, mapQ, col, add(q.q0, first), wgmmaQueries, f.queryBarrier())
	ring(wgmmaRing, from, end, sint(wgmmaKeys), func(j0, stage, parity val) {
		await(f.barrier(emptyTile, stage), xor(parity, i32(1)))
		to, r := f.tile(stage), add(q.k0, j0)
		keys, values := f.barrier(fullKeys, stage), f.barrier(fullValues, stage)
		expect(keys, f.tileBytes())
		f.copyTile(to, 0, mapK, kv, r, wgmmaKeys, keys)
		expect(values, f.tileBytes())
		f.copyTile(to, f.tileBytes(), mapV, kv, r, wgmmaKeys, values)
	})
}

// multiply puts a product on its way to acc, whose rows of four columns lie one
// after the other. a is a descriptor or four registers; b runs along p, or
// across it if transposed.
func (f *wgmmaFlash) multiply(acc [][]val, a any, b, onto val, transposed int) {
	var list []val
	for _, c := range acc {
		list = append(list, c...)
	}
	operands := []any{list, a, b, onto, 1, 1}
	if _, ok := a.(val); ok {
		operands = append(operands, 0)
	}
	emit(fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s", 2*len(list), f.t, f.t), append(operands, transposed)...)
}

func (f *wgmmaFlash) consume(q *sequence, tid, lane, group, first, last, from, end val) {
	warp := and(shr(tid, i32(5)), i32(3))
	o := newOnline(q, lane, first, last, mul(mad(group, i32(4), warp), i32(16)), f.d)
	yes := eq(i32reg(0), i32(0))
	no := not(yes)
	queries := descriptor(mad(group, i32(64*128), f.shared))
	await(f.queryBarrier(), i32(0))
	ring(wgmmaRing, from, end, sint(wgmmaKeys), func(j0, stage, parity val) {
		tile := f.tile(stage)
		keys := descriptor(tile)
		s := make([][]val, wgmmaKeys/8)
		for j := range s {
			s[j] = zeros(4)
		}
		await(f.barrier(fullKeys, stage), parity)
		emit("wgmma.fence.sync.aligned")
		for p := range f.d / 16 {
			// Four steps of 32 bytes are a block of 64 columns.
			block, step := p/4, p%4*32
			onto := yes
			if p == 0 {
				onto = no
			}
			f.multiply(s, add(queries, i64((block*wgmmaQueries*128+step)/16)), add(keys, i64((block*wgmmaKeys*128+step)/16)), onto, 0)
		}
		emit("wgmma.commit_group.sync.aligned")
		emit("wgmma.wait_group.sync.aligned", 0)
		next := add(j0, sint(wgmmaKeys))
		o.scores(s, j0, next)
		var weights [][]val
		for p := 0; p < len(s); p += 2 {
			weights = append(weights, o.weights(s[p], s[p+1]))
		}
		await(f.barrier(fullValues, stage), parity)
		comment("what lies behind the sequence must be a number to be multiplied by 0")
		when(gt(next, q.nk), func() {
			f.clearRows(add(tile, i32(f.tileBytes())), sub(q.nk, j0), sub(tid, i32(128)))
			emit("fence.proxy.async.shared::cta")
			emit("bar.sync", 1, 128*consumers)
		})
		values := describe(add(tile, i32(f.tileBytes())), wgmmaKeys*128)
		emit("wgmma.fence.sync.aligned")
		for p, a := range weights {
			f.multiply(o.acc, a, add(values, i64(p*16*128/16)), yes, 1)
		}
		emit("wgmma.commit_group.sync.aligned")
		emit("wgmma.wait_group.sync.aligned", 0)
		arrive(lane, f.barrier(emptyTile, stage))
	})
	o.store()
}

// clearRows sets the rows of a tile from row on to 0.
func (f *wgmmaFlash) clearRows(tile, row, thread val) {
	zero := i32reg(0)
	for b := range f.d / 64 {
		loop(add(shl(row.as(u32), i32(3)), thread), i32(8*wgmmaKeys), i32(128*consumers), func(i val) {
			store("shared", b32, at(mad(i, i32(16), tile), b*wgmmaKeys*128), zero, zero, zero, zero)
		})
	}
}
