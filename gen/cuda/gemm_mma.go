package main

import "fmt"

// mmaKernels writes the products by the matrix instructions of Ampere.
func mmaKernels(m *module) {
	for _, t := range []string{"bf16", "f16", "tf32"} {
		outs := []dtype{"f32"}
		if t != "tf32" {
			outs = append(outs, dtype(t))
		}
		for _, out := range outs {
			newMMA(t, out, 64, 64, 2, 2).product(m)
			newMMA(t, out, 128, 128, 2, 4).product(m)
		}
	}
	for _, out := range dtypes {
		newMMA("u8s8", out, 64, 64, 2, 2).product(m)
		newMMA("u8s8", out, 128, 128, 2, 4).product(m)
	}
	for _, t := range []string{"bf16", "f16"} {
		for _, out := range []dtype{dtype(t), "f32"} {
			newMMA(t, out, 64, 64, 2, 2).convolution(m)
		}
	}
}

// mmaTypes are what the instruction that multiplies an operand type is called,
// and the bytes of an element. Each takes 32 bytes along p: 16 rows of A by 8
// of B.
var mmaTypes = map[string]struct {
	op   string
	size int
	acc  typ
}{
	"bf16": {"mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32", 2, f32},
	"f16":  {"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", 2, f32},
	"tf32": {"mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", 4, f32},
	"u8s8": {"mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32", 1, s32},
}

const (
	stageRow  = 64 // bytes of a row in a step
	chunk     = 16 // bytes of a copy
	numStages = 4
)

// mma is the product of m rows of A by n rows of B in a block of wm by wn
// warps. Steps of 64 bytes along p come to shared memory by copies of 16 bytes
// that run three steps ahead. There, the four chunks of row r lie in the order
// c ^ r/2%4, so that eight rows' chunks of one number lie in different banks.
type mma struct {
	in             string
	out            dtype
	m, n, wm, wn   int
	size           int // bytes of an element
	acc            [][][]val
	threads        int
	shared         val
	tid, lane      val
	warpM, warpN   val
	mTiles, nTiles int // of 16 rows and 8 columns, of a warp
}

func newMMA(in string, out dtype, m, n, wm, wn int) *mma {
	return &mma{in: in, out: out, m: m, n: n, wm: wm, wn: wn, size: mmaTypes[in].size, threads: 32 * wm * wn,
		mTiles: m / wm / 16, nTiles: n / wn / 8}
}

func (g *mma) stage() int { return (g.m + g.n) * stageRow }

// sharedBytes is the dynamic shared memory of a block.
func (g *mma) sharedBytes() int { return numStages * g.stage() }

func (g *mma) product(m *module) {
	m.shared = true
	name := fmt.Sprintf("gemm_%s_%s_%dx%d", g.in, g.out, g.m, g.n)
	params := "a:u64 lda:u64 b:u64 ldb:u64 rows:u32 cols:u32 depth:u32"
	if g.in == "u8s8" {
		params += scaleParams
	}
	m.entry(name, [3]int{g.threads, 1, 1}, fmt.Sprintf(`
%s: a block computes %d rows from blockIdx.x and %d columns from blockIdx.y
	dst[i][j] = act(Σ_p a[i][p]·b[j][p] + bias[j]) + residual[i][j]
%d bytes of shared memory; rows of a and b begin at multiples of 16 bytes.`, name, g.m, g.n, g.sharedBytes()), params+epilogueParams, func() {
		g.begin()
		m0, n0 := mul(special("ctaid.x"), i32(g.m)), mul(special("ctaid.y"), i32(g.n))
		depth := mul(arg("depth"), i32(g.size)) // in bytes
		g.run(depth, g.rowCopier("a", "lda", m0, arg("rows"), depth), g.rowCopier("b", "ldb", n0, arg("cols"), depth))
		g.finish(m0, n0, arg("rows"), arg("cols"), i32(0))
	})
}

func (g *mma) begin() {
	g.shared = reg(u32)
	emit("mov.u32", g.shared, "dynamic")
	g.tid = special("tid.x")
	g.lane = and(g.tid, i32(31))
	warp := shr(g.tid, i32(5))
	g.warpM, g.warpN = and(warp, i32(g.wm-1)), shr(warp, i32(log2(g.wm)))
	g.acc = make([][][]val, g.mTiles)
	for i := range g.acc {
		g.acc[i] = make([][]val, g.nTiles)
		for j := range g.acc[i] {
			g.acc[i][j] = each(func(int) val {
				d := reg(mmaTypes[g.in].acc)
				emit("mov.b32", d, "0")
				return d
			}, 4)
		}
	}
}

// copier returns, of the chunk that begins at byte p of a row, the address and
// how many bytes of it there are; rows are those of a thread, i of them.
type copier func(i int, p val) (address, bytes val)

// copyRow is row i of those that a thread copies chunks of, of tile rows.
func (g *mma) copyRow(i int) val { return add(shr(g.tid, i32(2)), i32(i*g.threads/4)) }

// rowCopier copies rows from r0 on of a matrix whose rows run along p.
func (g *mma) rowCopier(name, ld string, r0, rows, depth val) copier {
	bases := map[int]val{}
	inside := map[int]val{}
	for i := range max(g.m, g.n) / (g.threads / 4) {
		r := add(r0, g.copyRow(i))
		inside[i] = lt(r, rows)
		// Rows that are not there are the first one, of which no bytes are read.
		bases[i] = row(arg(name), choose(inside[i], r, i32(0)), arg(ld), g.size)
	}
	return func(i int, p val) (address, bytes val) {
		there := and(inside[i], lt(p, depth))
		bytes = choose(there, minOf(sub(depth, p), i32(chunk)), i32(0))
		return add(bases[i], wide(choose(there, p, i32(0)))), bytes
	}
}

// copyStage begins the copies of the step whose first byte is p0 to shared
// memory at to.
func (g *mma) copyStage(to, p0 val, copyA, copyB copier) {
	c := and(g.tid, i32(3))
	p := mad(c, i32(chunk), p0)
	for k, rows := range []int{g.m, g.n} {
		cp := copyA
		if k == 1 {
			cp = copyB
		}
		for i := range rows / (g.threads / 4) {
			address, bytes := cp(i, p)
			r := g.copyRow(i)
			slot := mad(xor(c, and(shr(r, i32(1)), i32(3))), i32(chunk), mad(r, i32(stageRow), to))
			emit("cp.async.cg.shared.global", at(slot, k*g.m*stageRow), at(address, 0), chunk, bytes)
		}
	}
}

func (g *mma) run(depth val, copyA, copyB copier) {
	for s := range numStages - 1 {
		when(lt(i32(s*stageRow), depth), func() { g.copyStage(add(g.shared, i32(s*g.stage())), i32(s*stageRow), copyA, copyB) })
		emit("cp.async.commit_group")
	}
	// ldmatrix takes row l%8 of matrix l/8 from lane l. Of A the matrices are rows
	// 0 … 7 and 8 … 15 of the first chunk, then of the second; of B the chunks of
	// rows 0 … 7, then of 8 … 15.
	matrix, r := shr(g.lane, i32(3)), and(g.lane, i32(7))
	swizzle := shr(r, i32(1)) // r/2%4: the rows above begin at multiples of 8
	address := func(r, c val) val { return mad(xor(c, swizzle), i32(chunk), mul(r, i32(stageRow))) }
	rowA := add(mad(and(matrix, i32(1)), i32(8), r), mul(g.warpM, i32(16*g.mTiles)))
	rowB := add(mad(shr(matrix, i32(1)), i32(8), r), mul(g.warpN, i32(8*g.nTiles)))
	var fromA, fromB [2]val
	for s := range 2 {
		fromA[s] = add(g.shared, address(rowA, add(shr(matrix, i32(1)), i32(2*s))))
		fromB[s] = add(g.shared, add(address(rowB, add(and(matrix, i32(1)), i32(2*s))), i32(g.m*stageRow)))
	}
	read, write := variable(i32(0)), variable(i32((numStages-1)*g.stage()))
	loop(i32(0), depth, i32(stageRow), func(p0 val) {
		emit("cp.async.wait_group", numStages-2)
		sync()
		next := add(p0, i32((numStages-1)*stageRow))
		when(lt(next, depth), func() { g.copyStage(add(g.shared, write), next, copyA, copyB) })
		emit("cp.async.commit_group")
		for s := range 2 {
			pa, pb := add(fromA[s], read), add(fromB[s], read)
			a, b := make([][]val, g.mTiles), make([][]val, g.nTiles)
			for i := range a {
				a[i] = g.matrices(at(pa, i*16*stageRow))
			}
			for j := 0; j < g.nTiles; j += 2 {
				x := g.matrices(at(pb, j*8*stageRow))
				b[j], b[j+1] = x[:2], x[2:]
			}
			for i := range a {
				for j := range b {
					emit(mmaTypes[g.in].op, g.acc[i][j], a[i], b[j], g.acc[i][j])
				}
			}
		}
		for _, at := range []val{read, write} {
			n := add(at, i32(g.stage()))
			set(at, choose(eq(n, i32(numStages*g.stage())), i32(0), n))
		}
	})
	emit("cp.async.wait_group", 0)
	sync()
}

// matrices reads four 8 by 8 matrices of 16-bit elements, or 8 by 4 of floats,
// which are rounded to TF32.
func (g *mma) matrices(addr string) []val {
	list := each(func(int) val { return reg(b32) }, 4)
	emit("ldmatrix.sync.aligned.m8n8.x4.shared.b16", list, addr)
	if g.in == "tf32" {
		for i, v := range list {
			list[i] = reg(b32)
			emit("cvt.rna.tf32.f32", list[i], v)
		}
	}
	return list
}

// finish applies the epilogue and stores, a row of tiles of each warp at a time;
// see tile.finish. A thread stores two columns.
func (g *mma) finish(m0, n0, rows, cols, offset val) {
	acc := mmaTypes[g.in].acc
	stride := 4 * (g.n + 8) // rows of tiles lie in different banks
	row, col := shr(g.lane, i32(2)), shl(and(g.lane, i32(3)), i32(1))
	to := sum(g.shared, mul(mad(g.warpM, i32(16), row), i32(stride)), mul(mad(g.warpN, i32(8*g.nTiles), col), i32(4)))
	end := newEnd(g.out)
	loop(i32(0), i32(g.mTiles), i32(1), func(q val) {
		for i := range g.acc {
			when(eq(q, i32(i)), func() {
				for j, c := range g.acc[i] {
					store("shared", acc, at(to, 32*j), c[:2]...)
					store("shared", acc, at(to, 32*j+8*stride), c[2:]...)
				}
			})
		}
		sync()
		loop(g.tid, i32(16*g.wm*g.n/2), i32(g.threads), func(e val) {
			lr, c := shr(e, i32(log2(g.n/2))), shl(and(e, i32(g.n/2-1)), i32(1))
			r := mad(shr(lr, i32(4)), i32(16*g.mTiles), mad(q, i32(16), and(lr, i32(15))))
			r, column := add(m0, r), add(n0, c)
			when(and(lt(r, rows), lt(column, cols)), func() {
				y := load("shared", acc, 2, at(mad(c, i32(4), mad(lr, i32(stride), g.shared)), 0))
				second := lt(add(column, i32(1)), cols)
				column := add(column, offset)
				if acc == s32 {
					next := add(column, i32(1))
					y[0] = dequantize(y[0], r, column)
					z := variable(flt(0))
					when(second, func() { set(z, dequantize(y[1], r, next)) })
					y[1] = z
				}
				end.pair(r, column, variable(y[0]), variable(y[1]), second)
			})
		})
		sync()
	})
}

// ending is the epilogue of two columns at a time.
type ending struct {
	out                  dtype
	hasBias, hasResidual val
	pairs                val // pairs of dst may be stored together
}

// newEnd is the epilogue of a kernel with epilogueParams.
func newEnd(out dtype) *ending {
	odd := or(and(reg32(arg("ldd")), i32(1)), and(reg32(arg("dst")), i32(2*out.size()-1)))
	return &ending{out, ne(arg("bias"), i64(0)), ne(arg("residual"), i64(0)), eq(odd, i32(0))}
}

// reg32 is the lower half of a register of 64 bits.
func reg32(v val) val { return cvt(u32, "", v) }

// pair applies the epilogue to the variables x and y and stores them at row r,
// columns c and c+1, the second if it is there.
func (e *ending) pair(r, c, x, y, second val) {
	next := add(c, i32(1))
	biasAt := func(c val) val { return load("global", f32, 1, at(elem(arg("bias"), c, 4), 0))[0] }
	when(e.hasBias, func() {
		set(x, add(x, biasAt(c)))
		when(second, func() { set(y, add(y, biasAt(next))) })
	})
	activate(arg("act"), x, y)
	when(e.hasResidual, func() {
		set(x, add(x, e.out.one(e.out.place("residual", "ldr", r, c))))
		when(second, func() { set(y, add(y, e.out.one(e.out.place("residual", "ldr", r, next)))) })
	})
	p := elem(row(arg("dst"), r, arg("ldd"), e.out.size()), c, e.out.size())
	whenElse(and(e.pairs, and(second, eq(and(c, i32(1)), i32(0)))),
		func() { e.out.put("global", at(p, 0), x, y) },
		func() {
			e.out.put("global", at(p, 0), x)
			when(second, func() { e.out.put("global", at(p, e.out.size()), y) })
		})
}

// convolution is tile's with copies of eight channels.
func (g *mma) convolution(m *module) {
	m.shared = true
	name := fmt.Sprintf("conv_%s_%s_%dx%d", g.in, g.out, g.m, g.n)
	m.entry(name, [3]int{g.threads, 1, 1}, fmt.Sprintf(`
%s: a block computes %d pixels i from blockIdx.x and %d channels o from
blockIdx.y of the group blockIdx.z; with (ky, kx, c) = p and y, x = i/ow, i%%ow
	a[i][p] = x[y·sh-padT+ky·dh][x·sw-padL+kx·dw][c], 0 in the padding
	dst[i][o] = act(Σ_p a[i][p]·weight[o][p] + bias[o]) + residual[i][o]
%d bytes of shared memory. A group has a multiple of 8 channels.`, name, g.m, g.n, g.sharedBytes()), convParams, func() {
		g.begin()
		m0, n0, group := mul(special("ctaid.x"), i32(g.m)), mul(special("ctaid.y"), i32(g.n)), special("ctaid.z")
		ci, co := div(arg("ins"), arg("groups")), div(arg("outs"), arg("groups"))
		elements := mul(mul(arg("kh"), arg("kw")), ci)
		depth := mul(elements, i32(g.size))
		first := mul(group, co)
		current["rowsB"] = elem(arg("weight"), mul(wide(first), wide(elements)), g.size)
		current["ldb"] = wide(elements)
		copyB := g.rowCopier("rowsB", "ldb", n0, co, depth)

		from := elem(arg("x"), mul(group, ci), g.size)
		var tops, lefts, inside []val
		for i := range g.m / (g.threads / 4) {
			pixel := add(m0, g.copyRow(i))
			oy, ox := split(pixel, arg("ow"))
			tops = append(tops, sub(mul(oy, arg("sh")), arg("padT")))
			lefts = append(lefts, sub(mul(ox, arg("sw")), arg("padL")))
			inside = append(inside, lt(pixel, arg("pixels")))
		}
		copyA := func(i int, p val) (address, bytes val) {
			tap, c := split(shr(p, i32(log2(g.size))), ci)
			ky, kx := split(tap, arg("kw"))
			y, x := mad(ky, arg("dh"), tops[i]), mad(kx, arg("dw"), lefts[i])
			in := and(and(lt(y, arg("h")), lt(x, arg("w"))), and(inside[i], lt(p, depth)))
			place := mad(choose(in, y, i32(0)), arg("w"), choose(in, x, i32(0)))
			return elem(row(from, place, wide(arg("ins")), g.size), choose(in, c, i32(0)), g.size), choose(in, i32(chunk), i32(0))
		}
		g.run(depth, copyA, copyB)
		g.finish(m0, n0, arg("pixels"), co, first)
	})
}
