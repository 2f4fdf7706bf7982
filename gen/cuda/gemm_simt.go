package main

import "fmt"

// simtKernels writes the products in plain multiply-adds.
func simtKernels(m *module) {
	for _, side := range []int{32, 64, 128} {
		for _, n := range []int{1, 4} {
			newTile(side, "f32", "f32", n).product(m, false)
			if side == 64 {
				newTile(side, "f32", "f32", n).product(m, true)
			}
		}
	}
	for _, in := range dtypes[1:] {
		for _, out := range []dtype{in, "f32"} {
			newTile(64, in, out, 1).product(m, false)
		}
	}
	for _, in := range dtypes {
		for _, rows := range gemvRows {
			gemv(m, in, "f32", rows)
			if in != "f32" {
				gemv(m, in, in, rows)
			}
		}
	}
}

// tile is the product of side rows of A by side rows of B in a block of 256
// threads, 16 by 16. A step takes depth columns of both, of which each thread
// loads four, to shared memory, turned so that the columns are rows there. There
// are two buffers: while one is multiplied the next step is on its way in
// registers, then goes to the other.
type tile struct {
	side, depth, per int // per: a thread computes per by per elements
	in, out          dtype
	n                int // elements of a load: 1 or 4
	word             typ // in shared memory: f32, or u32 of four bytes

	shared        val // A's buffers, B's behind them
	tid, tx, ty   val
	acc           [][]val
	stride, bytes int // of a row in shared memory; of a buffer
}

func newTile(side int, in, out dtype, n int) *tile {
	g := &tile{side: side, depth: 1024 / side, per: side / 16, in: in, out: out, n: n, word: f32}
	g.stride = 4 * (side + 4)
	g.bytes = g.depth * g.stride
	return g
}

const epilogueParams = " dst:u64 ldd:u64 bias:u64 residual:u64 ldr:u64 act:u32"

// product writes the entry of a matrix product.
func (g *tile) product(m *module, plain bool) {
	layout, of := "nt", "b[j][p]"
	if plain {
		layout, of = "nn", "b[p][j]"
	}
	name := fmt.Sprintf("gemm_%s_%s_%s_%dx%d_v%d", g.in, g.out, layout, g.side, g.side, g.n)
	m.entry(name, [3]int{256, 1, 1}, fmt.Sprintf(`
%s: a block computes %d rows from blockIdx.x and %d columns from blockIdx.y
	dst[i][j] = act(Σ_p a[i][p]·%s + bias[j]) + residual[i][j]
The sum is one chain of fused multiply-adds in rising p.`, name, g.side, g.side, of),
		"a:u64 lda:u64 b:u64 ldb:u64 rows:u32 cols:u32 depth:u32"+epilogueParams, func() {
			g.begin()
			m0, n0 := mul(special("ctaid.x"), i32(g.side)), mul(special("ctaid.y"), i32(g.side))
			loadA := g.rowLoader("a", "lda", m0, arg("rows"))
			loadB := g.rowLoader("b", "ldb", n0, arg("cols"))
			if plain {
				loadB = g.columnLoader("b", "ldb", n0)
			}
			g.run(loadA, loadB, plain)
			g.finish(m0, n0, arg("rows"), arg("cols"), i32(0))
		})
}

func (g *tile) begin() {
	g.shared = array("tiles", 16, max(4*g.bytes, 32*g.side*4))
	g.tid = special("tid.x")
	g.tx, g.ty = and(g.tid, i32(15)), shr(g.tid, i32(4))
	g.acc = make([][]val, g.per)
	for i := range g.acc {
		g.acc[i] = g.zeros(g.per)
	}
}

// zeros makes n variables that are 0.
func (g *tile) zeros(n int) []val {
	if g.word == f32 {
		return zeros(n)
	}
	return each(func(int) val { return variable(i32(0)) }, n)
}

// loader reads the four elements of a thread at the step that begins with
// column p0 into variables.
type loader func(p0 val, into []val)

// slot is what a thread loads of rows: a row and four columns of it.
func (g *tile) slot() (r, p val) {
	perRow := log2(g.depth / 4)
	return shr(g.tid, i32(perRow)), shl(and(g.tid, i32(g.depth/4-1)), i32(2))
}

// rowLoader loads rows from r0 on of a matrix whose rows run along p.
func (g *tile) rowLoader(name, ld string, r0, rows val) loader {
	r, p := g.slot()
	r = add(r0, r)
	inside := lt(r, rows)
	base := row(arg(name), r, arg(ld), g.in.size())
	return func(p0 val, into []val) { g.fetch(base, add(p0, p), inside, arg("depth"), into) }
}

// fetch reads four elements at i of base; those from end on are 0, all are
// unless inside.
func (g *tile) fetch(base, i, inside, end val, into []val) {
	for _, v := range into {
		emit("mov.b32", v, "0")
	}
	if g.n == 4 {
		when(and(inside, lt(i, end)), func() { loadInto("global", g.word, into, at(elem(base, i, 4), 0)) })
		return
	}
	p := elem(base, i, g.in.size())
	for j, v := range into {
		when(and(inside, lt(add(i, i32(j)), end)), func() {
			set(v, g.in.one(at(p, j*g.in.size())))
		})
	}
}

// columnLoader loads columns from n0 on of a matrix whose columns run along p.
func (g *tile) columnLoader(name, ld string, n0 val) loader {
	p, n := g.columnSlot()
	n = add(n0, n)
	return func(p0 val, into []val) {
		r := add(p0, p)
		g.fetch(row(arg(name), r, arg(ld), g.in.size()), n, lt(r, arg("depth")), arg("cols"), into)
	}
}

// columnSlot is what a thread loads of columns: a place along p and four columns.
func (g *tile) columnSlot() (p, n val) {
	return shr(g.tid, i32(log2(g.side/4))), shl(and(g.tid, i32(g.side/4-1)), i32(2))
}

// run multiplies: for each step it stores what was loaded, waits for the other
// threads, loads the next step and multiplies this one.
func (g *tile) run(loadA, loadB loader, plain bool) {
	depth := arg("depth")
	r, p := g.slot()
	slotA := sum(g.shared, mad(p, i32(g.stride), mul(r, i32(4))))
	slotB := add(slotA, i32(2*g.bytes))
	if plain {
		p, n := g.columnSlot()
		slotB = sum(g.shared, mad(p, i32(g.stride), mul(n, i32(4))), i32(2*g.bytes))
	}
	fromA := add(g.shared, mul(g.ty, i32(4*min(g.per, 4))))
	fromB := sum(g.shared, mul(g.tx, i32(4*min(g.per, 4))), i32(2*g.bytes))
	buffer := variable(i32(0)) // the offset of the buffer in use
	a, b := g.zeros(4), g.zeros(4)
	when(gt(depth, i32(0)), func() {
		loadA(i32(0), a)
		loadB(i32(0), b)
	})
	loop(i32(0), depth, i32(g.depth), func(p0 val) {
		to := add(slotA, buffer)
		for i := range a {
			store("shared", g.word, at(to, i*g.stride), a[i])
		}
		to = add(slotB, buffer)
		if plain {
			store("shared", g.word, at(to, 0), b...)
		} else {
			for i := range b {
				store("shared", g.word, at(to, i*g.stride), b[i])
			}
		}
		sync()
		next := add(p0, i32(g.depth))
		when(lt(next, depth), func() {
			loadA(next, a)
			loadB(next, b)
		})
		pa, pb := add(fromA, buffer), add(fromB, buffer)
		for d := range g.depth {
			x, y := g.part(pa, d), g.part(pb, d)
			for i := range x {
				for j := range y {
					if g.word == f32 {
						accumulate(g.acc[i][j], x[i], y[j])
					} else {
						emit("dp4a.u32.s32", g.acc[i][j], x[i], y[j], g.acc[i][j])
					}
				}
			}
		}
		set(buffer, xor(buffer, i32(g.bytes)))
	})
}

// part reads a thread's rows (or columns) of one place along p: vectors of four,
// a half of the tile apart if there are two.
func (g *tile) part(p val, d int) []val {
	n := min(g.per, 4)
	list := load("shared", g.word, n, at(p, d*g.stride))
	if g.per == 8 {
		list = append(list, load("shared", g.word, n, at(p, d*g.stride+4*64))...)
	}
	return list
}

// finish applies the epilogue and stores, 32 rows at a time, two of each
// thread's: they go through shared memory so that neighbours in a row are
// stored by neighbours, and so that the activations' code is there once. offset
// is the number of the first column in dst and of its bias.
func (g *tile) finish(m0, n0, rows, cols, offset val) {
	hasBias, hasResidual := ne(arg("bias"), i64(0)), ne(arg("residual"), i64(0))
	rowStride := 4 * g.side
	n := min(g.per, 4)
	to := sum(g.shared, mul(g.ty, i32(2*rowStride)), mul(g.tx, i32(4*n)))
	loop(i32(0), i32(g.per/2), i32(1), func(q val) {
		sync()
		for i := 0; i < g.per; i += 2 {
			put := func() {
				for j := range 2 {
					store("shared", g.word, at(to, j*rowStride), g.acc[i+j][:n]...)
					if g.per == 8 {
						store("shared", g.word, at(to, j*rowStride+4*64), g.acc[i+j][4:]...)
					}
				}
			}
			when(eq(q, i32(i/2)), put)
		}
		sync()
		loop(g.tid, i32(32*g.side), i32(256), func(e val) {
			lr, c := shr(e, i32(log2(g.side))), and(e, i32(g.side-1))
			// Row 2·y+j of the stage is row 2·q+j of the threads with ty = y.
			i := mad(q, i32(2), and(lr, i32(1)))
			r := mad(shr(lr, i32(1)), i32(n), and(i, i32(n-1)))
			if g.per == 8 {
				r = mad(shr(i, i32(2)), i32(64), r)
			}
			r, col := add(m0, r), add(n0, c)
			when(and(lt(r, rows), lt(col, cols)), func() {
				y := load("shared", g.word, 1, at(elem32(g.shared, e, 4), 0))[0]
				if g.word == f32 {
					y = variable(y)
				} else {
					y = variable(dequantize(y.as(s32), r, col))
				}
				col := add(col, offset)
				storeElement(g.out, r, col, y, hasBias, hasResidual)
			})
		})
	})
}

// storeElement applies the epilogue to the variable y and stores it at row r and
// column c of dst.
func storeElement(out dtype, r, c, y, hasBias, hasResidual val) {
	when(hasBias, func() { set(y, add(y, load("global", f32, 1, at(elem(arg("bias"), c, 4), 0))[0])) })
	activate(arg("act"), y)
	when(hasResidual, func() { set(y, add(y, out.one(out.place("residual", "ldr", r, c)))) })
	out.put("global", out.place("dst", "ldd", r, c), y)
}

// gemvRows are the rows of A that a kernel of few rows takes.
var gemvRows = []int{1, 2, 4, 8}

// gemv writes the product of few rows: a warp computes a column, whose weights
// it reads once, 16 bytes a thread.
func gemv(m *module, in, out dtype, rows int) {
	n := 16 / in.size()
	name := fmt.Sprintf("gemv_%s_%s_%d", in, out, rows)
	m.entry(name, [3]int{256, 1, 1}, fmt.Sprintf(`
%s: a warp computes column j of up to %d rows, depth a multiple of %d
	dst[i][j] = act(Σ_p a[i][p]·b[j][p] + bias[j]) + residual[i][j]`, name, rows, n),
		"a:u64 lda:u64 b:u64 ldb:u64 rows:u32 cols:u32 depth:u32"+epilogueParams, func() {
			tid := special("tid.x")
			lane := and(tid, i32(31))
			j := mad(special("ctaid.x"), i32(8), shr(tid, i32(5)))
			when(lt(j, arg("cols")), func() {
				weights := row(arg("b"), j, arg("ldb"), in.size())
				a := make([]val, rows)
				acc := zeros(rows)
				for i := range a {
					// Rows that are not there are the last one again.
					a[i] = row(arg("a"), minOf(i32(i), sub(arg("rows"), i32(1))), arg("lda"), in.size())
				}
				loop(mul(lane, i32(n)), arg("depth"), i32(32*n), func(p val) {
					w := in.get16("global", at(elem(weights, p, in.size()), 0))
					for i := range a {
						x := in.get16("global", at(elem(a[i], p, in.size()), 0))
						for e := range x {
							accumulate(acc[i], x[e], w[e])
						}
					}
				})
				y := variable(flt(0))
				for i := range acc {
					v := acc[i]
					for s := 16; s > 0; s /= 2 {
						v = add(v, shuffle(v, s))
					}
					set(y, choose(eq(lane, i32(i)), v, y))
				}
				when(lt(lane, arg("rows")), func() {
					storeElement(out, lane, j, y, ne(arg("bias"), i64(0)), ne(arg("residual"), i64(0)))
				})
			})
		})
}
