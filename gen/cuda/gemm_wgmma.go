package main

import "fmt"

// wgmmaKernels writes the products by the matrix instructions of Hopper.
func wgmmaKernels(m *module) {
	m.shared, m.inline = true, true // calls would keep products from overlapping
	for _, t := range dtypes[1:] {
		for _, out := range []dtype{t, "f32"} {
			(&wgmma{in: t, out: out, n: 128, stages: 6}).kernel(m)
			(&wgmma{in: t, out: out, n: 256, stages: 4}).kernel(m)
		}
	}
}

const (
	wgmmaRows  = 128 // of A in a block: 64 a warp group
	wgmmaDepth = 64  // elements of a step, 128 bytes
	consumers  = 2   // warp groups that multiply
	// bandTiles is the tiles of rows that blocks take in turn before they go on to
	// the next columns, so that what blocks at work together read stays in L2.
	bandTiles = 16
)

// wgmma is the product of 128 rows of A by n rows of B in a block of three warp
// groups: a thread of the first has the tensor copies put steps of 64 columns
// into a ring of stages, the others multiply. Two barriers a stage pass it to
// and fro: full counts the bytes that came, empty the warps that have read. A
// stage holds rows of 128 bytes with their chunks of 16 in the order c ^ r%8
// (the 128-byte swizzle), A's and then B's.
type wgmma struct {
	in, out   dtype
	n, stages int
	shared    val
	tid, lane val
}

func (g *wgmma) stage() int { return (wgmmaRows + g.n) * 128 }

// sharedBytes is the dynamic shared memory of a block.
func (g *wgmma) sharedBytes() int { return g.stages*g.stage() + g.stages*16 }

// barrier is the address of the barrier full, or empty, of a stage.
func (g *wgmma) barrier(stage val, empty bool) val {
	off := g.stages * g.stage()
	if empty {
		off += 8 * g.stages
	}
	return mad(stage, i32(8), add(g.shared, i32(off)))
}

// makeBarrier makes a barrier of so many arrivals.
func makeBarrier(at32 val, count int) { emit("mbarrier.init.shared::cta.b64", at(at32, 0), count) }

// expect arrives at a barrier and announces bytes.
func expect(bar val, bytes int) {
	emit("mbarrier.arrive.expect_tx.shared::cta.b64", "_", at(bar, 0), bytes)
}

// arrive arrives at a barrier, once a warp.
func arrive(lane, bar val) {
	when(eq(lane, i32(0)), func() { emit("mbarrier.arrive.shared::cta.b64", "_", at(bar, 0)) })
}

// copyTensor begins the copy of a tile at column c and row r.
func copyTensor(to string, tensor, c, r, bar val) {
	emit("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes",
		to, fmt.Sprintf("[%s, {%s, %s}]", tensor.s, c.s, r.s), at(bar, 0))
}

// await waits until the phase of a barrier with the given parity has ended.
func await(bar, parity val) {
	top := label()
	mark(top)
	done := reg(pred)
	emit("mbarrier.try_wait.parity.shared::cta.b64", done, at(bar, 0), parity)
	jumpUnless(done, top)
}

// ring goes through the stages: f is run at each step with the number of the
// stage and the parity of its phase.
func (g *wgmma) ring(steps val, f func(i, stage, parity val)) {
	ring(g.stages, i32(0), steps, i32(1), f)
}

// ring is a loop that goes through stages.
func ring(stages int, lo, hi, step val, f func(i, stage, parity val)) {
	stage, parity := variable(i32(0)), variable(i32(0))
	loop(lo, hi, step, func(i val) {
		f(i, stage, parity)
		next := add(stage, i32(1))
		wrap := eq(next, i32(stages))
		set(stage, choose(wrap, i32(0), next))
		set(parity, choose(wrap, xor(parity, i32(1)), parity))
	})
}

func (g *wgmma) kernel(m *module) {
	name := fmt.Sprintf("gemm_%s_%s_%dx%d", g.in, g.out, wgmmaRows, g.n)
	m.entry(name, [3]int{128 * (1 + consumers), 1, 1}, fmt.Sprintf(`
%s: a block computes %d rows and %d columns
	dst[i][j] = act(Σ_p a[i][p]·b[j][p] + bias[j]) + residual[i][j]
mapA and mapB describe a and b, with tiles of %d and %d rows by %d columns and
128-byte swizzle. %d bytes of shared memory.`, name, wgmmaRows, g.n, wgmmaRows, g.n, wgmmaDepth, g.sharedBytes()),
		"mapA:map mapB:map rows:u32 cols:u32 depth:u32"+epilogueParams, g.body)
}

func (g *wgmma) body() {
	g.shared = reg(u32)
	emit("mov.u32", g.shared, "dynamic")
	g.tid = special("tid.x")
	g.lane = and(g.tid, i32(31))
	group := shr(g.tid, i32(7))
	when(eq(g.tid, i32(0)), func() {
		for s := range g.stages {
			makeBarrier(g.barrier(i32(s), false), 1)
			makeBarrier(g.barrier(i32(s), true), 4*consumers)
		}
		emit("fence.mbarrier_init.release.cluster")
	})
	sync()

	comment("tiles in bands of %d rows of tiles", bandTiles)
	down := div(add(arg("rows"), i32(wgmmaRows-1)), i32(wgmmaRows))
	across := div(add(arg("cols"), i32(g.n-1)), i32(g.n))
	band, rest := split(special("ctaid.x"), mul(across, i32(bandTiles)))
	top := mul(band, i32(bandTiles))
	n, m := split(rest, minOf(sub(down, top), i32(bandTiles)))
	m0, n0 := mul(add(top, m), i32(wgmmaRows)), mul(n, i32(g.n))
	steps := div(add(arg("depth"), i32(wgmmaDepth-1)), i32(wgmmaDepth))

	whenElse(eq(group, i32(0)), func() {
		emit("setmaxnreg.dec.sync.aligned.u32", 40)
		when(eq(g.tid, i32(0)), func() { g.produce(steps, m0, n0) })
	}, func() {
		emit("setmaxnreg.inc.sync.aligned.u32", 232)
		g.consume(steps, sub(group, i32(1)), m0, n0)
	})
}

func (g *wgmma) produce(steps, m0, n0 val) {
	mapA, mapB := tensorMap("mapA"), tensorMap("mapB")
	g.ring(steps, func(i, stage, parity val) {
		await(g.barrier(stage, true), xor(parity, i32(1))) // at once in the first round
		full := g.barrier(stage, false)
		expect(full, g.stage())
		to := mad(stage, i32(g.stage()), g.shared)
		p := mul(i, i32(wgmmaDepth))
		for k, tile := range [][2]val{{mapA, m0}, {mapB, n0}} {
			copyTensor(at(to, k*wgmmaRows*128), tile[0], p, tile[1], full)
		}
	})
}

// tensorMap is the address of a parameter that is a tensor map.
func tensorMap(name string) val {
	d, p := reg(u64), reg(u64)
	emit("mov.b64", d, "p_"+name)
	emit("cvta.param.u64", p, d)
	return p
}

// descriptor describes a tile in shared memory whose rows run along p and lie in
// the 128-byte swizzle: its address in units of 16 bytes, the 1024 bytes from
// eight rows to the next eight, and the swizzle's code.
func descriptor(address val) val {
	return describe(address, 16)
}

// describe is a descriptor with the bytes between blocks of 64 columns where
// rows run across p instead; else they are not looked at.
func describe(address val, blocks int) val {
	low := and(shr(address, i32(4)), hex(0x3fff))
	return or(wide(low), val{fmt.Sprintf("0x%x", uint64(1)<<62|uint64(1024/16)<<32|uint64(blocks/16)<<16), u64})
}

func (g *wgmma) consume(steps, group, m0, n0 val) {
	acc := zeros(g.n / 2)
	yes := eq(i32reg(0), i32(0))
	warp := shr(g.tid, i32(5))
	release := func(stage val) { arrive(g.lane, g.barrier(stage, true)) }
	before := variable(i32(0)) // the stage of the step before
	g.ring(steps, func(i, stage, parity val) {
		await(g.barrier(stage, false), parity)
		base := mad(stage, i32(g.stage()), g.shared)
		a := descriptor(mad(group, i32(64*128), base))
		b := descriptor(add(base, i32(wgmmaRows*128)))
		emit("wgmma.fence.sync.aligned")
		for p := range wgmmaDepth / 16 {
			emit(fmt.Sprintf("wgmma.mma_async.sync.aligned.m64n%dk16.f32.%s.%s", g.n, g.in, g.in),
				acc, add(a, i64(2*p)), add(b, i64(2*p)), yes, 1, 1, 0, 0)
		}
		emit("wgmma.commit_group.sync.aligned")
		emit("wgmma.wait_group.sync.aligned", 1)
		when(gt(i, i32(0)), func() { release(before) })
		set(before, stage)
	})
	emit("wgmma.wait_group.sync.aligned", 0)
	g.finish(acc, group, and(warp, i32(3)), m0, n0)
}

// i32reg is a number in a register.
func i32reg(n int) val { return variable(i32(n)) }

// finish applies the epilogue and stores: all of the sums go through the stages,
// which nothing is in any more, so that neighbours in a row are stored by
// neighbours.
func (g *wgmma) finish(acc []val, group, warp, m0, n0 val) {
	const barrier, threads = 1, 128 * consumers
	consumersSync := func() { emit("bar.sync", barrier, threads) }
	consumersSync()
	stride := 4 * (g.n + 8)
	row, col := shr(g.lane, i32(2)), shl(and(g.lane, i32(3)), i32(1))
	to := sum(g.shared, mul(sum(mul(group, i32(64)), mul(warp, i32(16)), row), i32(stride)), mul(col, i32(4)))
	for j := 0; j < len(acc); j += 4 {
		store("shared", f32, at(to, 8*j), acc[j:j+2]...)
		store("shared", f32, at(to, 8*j+8*stride), acc[j+2:j+4]...)
	}
	consumersSync()
	end := newEnd(g.out)
	loop(sub(g.tid, i32(128)), i32(wgmmaRows*g.n/2), i32(threads), func(e val) {
		lr, c := shr(e, i32(log2(g.n/2))), shl(and(e, i32(g.n/2-1)), i32(1))
		r, column := add(m0, lr), add(n0, c)
		when(and(lt(r, arg("rows")), lt(column, arg("cols"))), func() {
			y := load("shared", f32, 2, at(mad(c, i32(4), mad(lr, i32(stride), g.shared)), 0))
			end.pair(r, column, variable(y[0]), variable(y[1]), lt(add(column, i32(1)), arg("cols")))
		})
	})
}
