package main

import "fmt"

// normKernels writes the operations along rows. A block computes a row; a
// thread takes every blockDim-th column, or every blockDim-th four.
func normKernels(m *module) {
	for _, t := range dtypes {
		for _, n := range []int{1, 4} {
			layerNorm(m, t, n)
			rmsNorm(m, t, n)
		}
		softmax(m, t)
		groupStats(m, t)
		groupApply(m, t)
	}
	groupMerge(m)
}

// byColumn runs f for the columns of a thread.
func byColumn(f func(c val)) { byColumns(1, f) }

// byColumns runs f for the columns of a thread, n at a time.
func byColumns(n int, f func(c val)) {
	loop(mul(special("tid.x"), i32(n)), arg("cols"), mul(special("ntid.x"), i32(n)), f)
}

// reducer reduces values over a block by way of shared memory, one a warp.
type reducer struct{ shared val }

func newReducer() *reducer { return &reducer{array("partial", 16, 32*4)} }

// all returns f over all threads' values, to all threads.
func (r *reducer) all(x val, f func(a, b val) val) val {
	for n := 16; n > 0; n /= 2 {
		x = f(x, shuffle(x, n))
	}
	tid := special("tid.x")
	lane, warp := and(tid, i32(31)), shr(tid, i32(5))
	when(eq(lane, i32(0)), func() { store("shared", x.t, at(elem32(r.shared, warp, 4), 0), x) })
	sync()
	warps := shr(special("ntid.x"), i32(5))
	y := variable(load("shared", x.t, 1, at(r.shared, 0))[0])
	loop(i32(1), warps, i32(1), func(i val) {
		set(y, f(y, load("shared", x.t, 1, at(elem32(r.shared, i, 4), 0))[0]))
	})
	sync() // before the next writes
	return y
}

// elem32 is elem in shared memory.
func elem32(p, i val, size int) val { return mad(i, i32(size), p) }

// rowAt is the address of the block's row of an operand.
func rowAt(name, ld string, t dtype) val {
	return row(arg(name), special("ctaid.x"), arg(ld), t.size())
}

func layerNorm(m *module, t dtype, n int) {
	name := fmt.Sprintf("layer_norm_%s_v%d", t, n)
	m.entry(name, [3]int{}, name+`: a block a row r
	y = x[r] + residual[r];  mean = Σ y[c] / cols;  d[c] = y[c] - mean
	δ = Σ d[c] / cols;  var = Σ d[c]² / cols - δ²
	dst[r][c] = (d[c]-δ) / √(var+eps) · gain[c] + bias[c]
δ is what rounding took from the mean. residual and bias may be none.`,
		"dst:u64 ldd:u64 x:u64 ldx:u64 residual:u64 ldr:u64 gain:u64 bias:u64 eps:f32 cols:u32", func() {
			red := newReducer()
			x, dst := rowAt("x", "ldx", t), rowAt("dst", "ldd", t)
			hasResidual := ne(arg("residual"), i64(0))
			hasBias := ne(arg("bias"), i64(0))
			residual := rowAt("residual", "ldr", t)
			count := cvt(f32, "rn", arg("cols"))
			values := func(c val) []val {
				y := variables(t.get("global", at(elem(x, c, t.size()), 0), n))
				when(hasResidual, func() {
					for i, r := range t.get("global", at(elem(residual, c, t.size()), 0), n) {
						set(y[i], add(y[i], r))
					}
				})
				return y
			}
			total := variable(flt(0))
			byColumns(n, func(c val) {
				y := values(c)
				set(total, add(total, sum(y[0], y[1:]...)))
			})
			mean := div(red.all(total, add), count)
			first, second := variable(flt(0)), variable(flt(0))
			byColumns(n, func(c val) {
				for _, y := range values(c) {
					d := sub(y, mean)
					set(first, add(first, d))
					accumulate(second, d, d)
				}
			})
			shift := div(red.all(first, add), count)
			square := div(red.all(second, add), count)
			inv := div(flt(1), unary("sqrt.rn", add(atLeast(fma(neg(shift), shift, square), 0), arg("eps"))))
			byColumns(n, func(c val) {
				y := values(c)
				g := load("global", f32, n, at(elem(arg("gain"), c, 4), 0))
				b := zeros(n)
				when(hasBias, func() { loadInto("global", f32, b, at(elem(arg("bias"), c, 4), 0)) })
				t.put("global", at(elem(dst, c, t.size()), 0), each(func(i int) val {
					return fma(mul(sub(sub(y[i], mean), shift), inv), g[i], b[i])
				}, n)...)
			})
		})
}

// variables makes variables that hold the values.
func variables(x []val) []val { return each(func(i int) val { return variable(x[i]) }, len(x)) }

func rmsNorm(m *module, t dtype, n int) {
	name := fmt.Sprintf("rms_norm_%s_v%d", t, n)
	m.entry(name, [3]int{}, name+`: a block a row r
	dst[r][c] = x[r][c] / √(Σ x[r][c]² / cols + eps) · gain[c]`,
		"dst:u64 ldd:u64 x:u64 ldx:u64 gain:u64 eps:f32 cols:u32", func() {
			red := newReducer()
			x, dst := rowAt("x", "ldx", t), rowAt("dst", "ldd", t)
			values := func(c val) []val { return t.get("global", at(elem(x, c, t.size()), 0), n) }
			total := variable(flt(0))
			byColumns(n, func(c val) {
				for _, v := range values(c) {
					accumulate(total, v, v)
				}
			})
			mean := div(red.all(total, add), cvt(f32, "rn", arg("cols")))
			inv := div(flt(1), unary("sqrt.rn", add(mean, arg("eps"))))
			byColumns(n, func(c val) {
				y := values(c)
				g := load("global", f32, n, at(elem(arg("gain"), c, 4), 0))
				t.put("global", at(elem(dst, c, t.size()), 0), each(func(i int) val { return mul(mul(y[i], inv), g[i]) }, n)...)
			})
		})
}

func softmax(m *module, t dtype) {
	m.entry("softmax_"+string(t), [3]int{}, `
softmax: a block a row r
	top = max x[r][c];  dst[r][c] = e^(x[r][c]-top) / Σ e^(x[r][c]-top)`,
		"dst:u64 ldd:u64 x:u64 ldx:u64 cols:u32", func() {
			red := newReducer()
			x, dst := rowAt("x", "ldx", t), rowAt("dst", "ldd", t)
			value := func(c val) val { return t.get("global", at(elem(x, c, t.size()), 0), 1)[0] }
			top := variable(flt(-inf))
			byColumn(func(c val) { set(top, maxOf(top, value(c))) })
			most := red.all(top, maxOf)
			sum := variable(flt(0))
			byColumn(func(c val) { set(sum, add(sum, exp(sub(value(c), most)))) })
			inv := div(flt(1), red.all(sum, add))
			byColumn(func(c val) {
				t.put("global", at(elem(dst, c, t.size()), 0), mul(exp(sub(value(c), most)), inv))
			})
		})
}

const groupRows = 256

func groupStats(m *module, t dtype) {
	m.entry("group_stats_"+string(t), [3]int{32, 8, 1}, `
group_stats: the mean and the sum of squares of deviations from it of 256 rows
from 256·blockIdx.y on, column by column; thread (c, i) takes every eighth row.
	work[blockIdx.y][c] = {mean, squares}`,
		"work:u64 x:u64 rows:u32 cols:u32", func() {
			shared := array("partial", 16, 3*256*4)
			tx, ty := special("tid.x"), special("tid.y")
			c := mad(special("ctaid.x"), i32(32), tx)
			first := mul(special("ctaid.y"), i32(groupRows))
			last := minOf(add(first, i32(groupRows)), arg("rows"))
			inside := lt(c, arg("cols"))
			cols := wide(arg("cols"))
			count, mean, squares := variable(flt(0)), variable(flt(0)), variable(flt(0))
			when(inside, func() {
				loop(add(first, ty), last, i32(8), func(r val) {
					v := t.get("global", at(elem(row(arg("x"), r, cols, t.size()), c, t.size()), 0), 1)[0]
					set(count, add(count, flt(1)))
					d := sub(v, mean)
					set(mean, add(mean, div(d, count)))
					accumulate(squares, d, sub(v, mean))
				})
			})
			slot := func(y val) val { return elem32(shared, mad(y, i32(32), tx), 12) }
			store("shared", f32, at(slot(ty), 0), count)
			store("shared", f32, at(slot(ty), 4), mean)
			store("shared", f32, at(slot(ty), 8), squares)
			sync()
			when(and(inside, eq(ty, i32(0))), func() {
				for i := 1; i < 8; i++ {
					p := elem32(shared, add(tx, i32(32*i)), 12)
					mergeMoments(count, mean, squares,
						load("shared", f32, 1, at(p, 0))[0], load("shared", f32, 1, at(p, 4))[0], load("shared", f32, 1, at(p, 8))[0])
				}
				out := elem(row(arg("work"), special("ctaid.y"), cols, 8), c, 8)
				store("global", f32, at(out, 0), mean, squares)
			})
		})
}

// mergeMoments adds n numbers of a mean and a sum of squared deviations to
// those in variables (Chan, Golub & LeVeque 1983).
func mergeMoments(count, mean, squares, n, m, s val) {
	total := add(count, n)
	d := sub(m, mean)
	share := choose(gt(n, flt(0)), div(n, total), flt(0))
	set(squares, add(add(squares, s), mul(mul(d, d), mul(count, share))))
	set(mean, fma(d, share, mean))
	set(count, total)
}

func groupMerge(m *module) {
	m.entry("group_merge", [3]int{256, 1, 1}, `
group_merge: a block a group g of size columns merges what group_stats found
	stats[g] = {mean, 1/√(var+eps)}`,
		"stats:u64 work:u64 eps:f32 rows:u32 cols:u32 size:u32", func() {
			shared := array("partial", 16, 3*256*4)
			tid := special("tid.x")
			blocks := div(add(arg("rows"), i32(groupRows-1)), i32(groupRows))
			first := mul(special("ctaid.x"), arg("size"))
			count, mean, squares := variable(flt(0)), variable(flt(0)), variable(flt(0))
			loop(tid, mul(blocks, arg("size")), i32(256), func(i val) {
				b := div(i, arg("size"))
				c := add(first, sub(i, mul(b, arg("size"))))
				s := load("global", f32, 2, at(elem(row(arg("work"), b, wide(arg("cols")), 8), c, 8), 0))
				left := sub(arg("rows"), mul(b, i32(groupRows)))
				mergeMoments(count, mean, squares, cvt(f32, "rn", minOf(left, i32(groupRows))), s[0], s[1])
			})
			slot := elem32(shared, tid, 12)
			put := func() {
				store("shared", f32, at(slot, 0), count)
				store("shared", f32, at(slot, 4), mean)
				store("shared", f32, at(slot, 8), squares)
				sync()
			}
			put()
			for n := 128; n > 0; n /= 2 {
				when(lt(tid, i32(n)), func() {
					p := elem32(shared, add(tid, i32(n)), 12)
					mergeMoments(count, mean, squares,
						load("shared", f32, 1, at(p, 0))[0], load("shared", f32, 1, at(p, 4))[0], load("shared", f32, 1, at(p, 8))[0])
				})
				sync()
				if n > 1 {
					put()
				}
			}
			when(eq(tid, i32(0)), func() {
				inv := div(flt(1), unary("sqrt.rn", add(div(squares, count), arg("eps"))))
				store("global", f32, at(elem(arg("stats"), special("ctaid.x"), 8), 0), mean, inv)
			})
		})
}

func groupApply(m *module, t dtype) {
	m.entry("group_apply_"+string(t), mapThreads, `
group_apply: with s = stats[c/size]
	dst[r][c] = act((x[r][c]-s.mean)·s.inv·gain[c] + bias[c])`,
		"dst:u64 x:u64 stats:u64 gain:u64 bias:u64 act:u32 rows:u32 cols:u32 size:u32", func() {
			c := mad(special("ctaid.x"), i32(256), special("tid.x"))
			when(lt(c, arg("cols")), func() {
				s := load("global", f32, 2, at(elem(arg("stats"), div(c, arg("size")), 8), 0))
				g := load("global", f32, 1, at(elem(arg("gain"), c, 4), 0))[0]
				b := load("global", f32, 1, at(elem(arg("bias"), c, 4), 0))[0]
				cols := wide(arg("cols"))
				loop(special("ctaid.y"), arg("rows"), special("nctaid.y"), func(r val) {
					v := t.get("global", at(elem(row(arg("x"), r, cols, t.size()), c, t.size()), 0), 1)[0]
					y := variable(fma(mul(sub(v, s[0]), s[1]), g, b))
					activate(arg("act"), y)
					t.put("global", at(elem(row(arg("dst"), r, cols, t.size()), c, t.size()), 0), y)
				})
			})
		})
}
