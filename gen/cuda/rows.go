package main

// rowKernels writes the operations that move rows: a thread computes a column
// of a row, and of the rows a grid's height further on.
func rowKernels(m *module) {
	for _, t := range dtypes {
		embedding(m, t)
		gather(m, t)
		combine(m, t)
		meanRows(m, t)
		rotary(m, t)
		appendRows(m, t)
		patches(m, t)
		transpose(m, t)
		pool(m, t, false)
		pool(m, t, true)
		topK(m, t)
	}
}

// rowKernel writes an entry whose body f is run for rows and columns.
func rowKernel(m *module, name string, t dtype, doc, params string, f func(r, c val)) {
	m.entry(name+"_"+string(t), mapThreads, name+": "+doc, params+" rows:u32 cols:u32", func() {
		c := mad(special("ctaid.x"), i32(256), special("tid.x"))
		when(lt(c, arg("cols")), func() {
			loop(special("ctaid.y"), arg("rows"), special("nctaid.y"), func(r val) { f(r, c) })
		})
	})
}

// place is the address of an element of an operand.
func (t dtype) place(name, ld string, r, c val) string {
	return at(elem(row(arg(name), r, arg(ld), t.size()), c, t.size()), 0)
}

func (t dtype) one(addr string) val { return t.get("global", addr, 1)[0] }

// index reads element i of an operand of int32.
func index(name string, i val) val {
	return load("global", s32, 1, at(elem(arg(name), i, 4), 0))[0]
}

func embedding(m *module, t dtype) {
	rowKernel(m, "embedding", t, "dst[r][c] = table[ids[r]][c], or += if accumulate",
		"dst:u64 ldd:u64 ids:u64 table:u64 ldt:u64 accumulate:u32", func(r, c val) {
			y := variable(t.one(t.place("table", "ldt", index("ids", r), c)))
			out := t.place("dst", "ldd", r, c)
			when(ne(arg("accumulate"), i32(0)), func() { set(y, add(y, t.one(out))) })
			t.put("global", out, y)
		})
}

func gather(m *module, t dtype) {
	rowKernel(m, "gather", t, "dst[r][c] = x[ids[r]][c], 0 where ids[r] is negative",
		"dst:u64 ldd:u64 x:u64 ldx:u64 ids:u64", func(r, c val) {
			id := index("ids", r)
			y := variable(flt(0))
			when(ge(id, sint(0)), func() { set(y, t.one(t.place("x", "ldx", id, c))) })
			t.put("global", t.place("dst", "ldd", r, c), y)
		})
}

func combine(m *module, t dtype) {
	rowKernel(m, "combine", t, "dst[r][c] = Σ_j weights[j]·x[ids[j]][c] + residual[r][c], j from off[r] below off[r+1]",
		"dst:u64 ldd:u64 x:u64 ldx:u64 residual:u64 ldr:u64 off:u64 ids:u64 weights:u64", func(r, c val) {
			y := variable(flt(0))
			loop(index("off", r), index("off", add(r, i32(1))), sint(1), func(j val) {
				w := load("global", f32, 1, at(elem(arg("weights"), j, 4), 0))[0]
				accumulate(y, w, t.one(t.place("x", "ldx", index("ids", j), c)))
			})
			when(ne(arg("residual"), i64(0)), func() { set(y, add(y, t.one(t.place("residual", "ldr", r, c)))) })
			t.put("global", t.place("dst", "ldd", r, c), y)
		})
}

func meanRows(m *module, t dtype) {
	rowKernel(m, "mean_rows", t, "dst[r][c] = mean of x[i][c], i from off[r] below off[r+1]",
		"dst:u64 ldd:u64 x:u64 ldx:u64 off:u64", func(r, c val) {
			y := variable(flt(0))
			lo, hi := index("off", r), index("off", add(r, i32(1)))
			loop(lo, hi, sint(1), func(i val) { set(y, add(y, t.one(t.place("x", "ldx", i, c)))) })
			t.put("global", t.place("dst", "ldd", r, c), mul(y, div(flt(1), cvt(f32, "rn", sub(hi, lo)))))
		})
}

func rotary(m *module, t dtype) {
	rowKernel(m, "rotary", t, `a thread a pair: with j = c%half and i = c/half·headDim + j
	u, v = x[r][i], x[r][i+half];  cos, sin = table[positions[r]][j], […][half+j]
	x[r][i], x[r][i+half] = u·cos - v·sin, v·cos + u·sin`,
		"x:u64 ldx:u64 table:u64 ldt:u64 positions:u64 headDim:u32 half:u32", func(r, c val) {
			h := div(c, arg("half"))
			j := sub(c, mul(h, arg("half")))
			angles := row(arg("table"), index("positions", r), arg("ldt"), 4)
			cos := load("global", f32, 1, at(elem(angles, j, 4), 0))[0]
			sin := load("global", f32, 1, at(elem(angles, add(j, arg("half")), 4), 0))[0]
			i := mad(h, arg("headDim"), j)
			p, q := t.place("x", "ldx", r, i), t.place("x", "ldx", r, add(i, arg("half")))
			u, v := t.one(p), t.one(q)
			t.put("global", p, sub(mul(u, cos), mul(v, sin)))
			t.put("global", q, add(mul(v, cos), mul(u, sin)))
		})
}

func appendRows(m *module, t dtype) {
	rowKernel(m, "append", t, "dst[slots[r]/pageRows·page + slots[r]%pageRows·ldd + c] = x[r][c]",
		"dst:u64 ldd:u64 page:u64 pageRows:u32 x:u64 ldx:u64 slots:u64", func(r, c val) {
			slot := index("slots", r)
			when(ge(slot, sint(0)), func() {
				slot := slot.as(u32)
				page := div(slot, arg("pageRows"))
				in := sub(slot, mul(page, arg("pageRows")))
				base := row(arg("dst"), page, arg("page"), t.size())
				t.put("global", at(elem(row(base, in, arg("ldd"), t.size()), c, t.size()), 0), t.one(t.place("x", "ldx", r, c)))
			})
		})
}

func patches(m *module, t dtype) {
	rowKernel(m, "patches", t, "row (b, py, px), column (i, y, x): dst = x[b][i][py·ph+y][px·pw+x] of [_, c, h, w]",
		"dst:u64 ldd:u64 x:u64 ch:u32 h:u32 w:u32 ph:u32 pw:u32", func(r, c val) {
			across, down := div(arg("w"), arg("pw")), div(arg("h"), arg("ph"))
			split := func(n, by val) (val, val) { q := div(n, by); return q, sub(n, mul(q, by)) }
			line, px := split(r, across)
			b, py := split(line, down)
			line, x := split(c, arg("pw"))
			i, y := split(line, arg("ph"))
			plane := mad(b, arg("ch"), i)
			yy, xx := mad(py, arg("ph"), y), mad(px, arg("pw"), x)
			src := row(arg("x"), mad(plane, arg("h"), yy), wide(arg("w")), t.size())
			t.put("global", t.place("dst", "ldd", r, c), t.one(at(elem(src, xx, t.size()), 0)))
		})
}

func transpose(m *module, t dtype) {
	m.entry("transpose_"+string(t), [3]int{32, 8, 1}, `
transpose: dst[c][r] = x[r][c], by way of a tile of 32 by 32 in shared memory`,
		"dst:u64 ldd:u64 x:u64 ldx:u64 rows:u32 cols:u32", func() {
			tile := array("tile", 16, 32*33*4)
			tx, ty := special("tid.x"), special("tid.y")
			c0 := mul(special("ctaid.x"), i32(32))
			loop(mul(special("ctaid.y"), i32(32)), arg("rows"), mul(special("nctaid.y"), i32(32)), func(r0 val) {
				c := add(c0, tx)
				for i := 0; i < 32; i += 8 {
					y := add(ty, i32(i))
					r := add(r0, y)
					when(and(lt(r, arg("rows")), lt(c, arg("cols"))), func() {
						store("shared", f32, at(elem32(tile, mad(y, i32(33), tx), 4), 0), t.one(t.place("x", "ldx", r, c)))
					})
				}
				sync()
				r := add(r0, tx)
				for i := 0; i < 32; i += 8 {
					y := add(ty, i32(i))
					c := add(c0, y)
					when(and(lt(r, arg("rows")), lt(c, arg("cols"))), func() {
						v := load("shared", f32, 1, at(elem32(tile, mad(tx, i32(33), y), 4), 0))[0]
						t.put("global", t.place("dst", "ldd", c, r), v)
					})
				}
				sync()
			})
		})
}

func pool(m *module, t dtype, mean bool) {
	name, doc := "pool_max", "dst[oy][ox][c] = largest of"
	if mean {
		name, doc = "pool_mean", "dst[oy][ox][c] = mean of"
	}
	rowKernel(m, name, t, doc+` x[oy·sh-padT+ky·dh][ox·sw-padL+kx·dw][c] over the taps that lie
in the picture; hEnd and wEnd are where the padding below and to the right ends.`,
		"dst:u64 x:u64 h:u32 w:u32 ow:u32 kh:u32 kw:u32 sh:u32 sw:u32 padT:u32 padL:u32 dh:u32 dw:u32 hEnd:u32 wEnd:u32 countPad:u32", func(r, c val) {
			oy := div(r, arg("ow"))
			ox := sub(r, mul(oy, arg("ow")))
			start := flt(-inf)
			if mean {
				start = flt(0)
			}
			y := variable(start)
			count := variable(i32(0))
			cols := wide(arg("cols"))
			top := sub(mul(oy, arg("sh")), arg("padT")).as(s32)
			left := sub(mul(ox, arg("sw")), arg("padL")).as(s32)
			loop(i32(0), arg("kh"), i32(1), func(ky val) {
				iy := mad(ky, arg("dh"), top).as(s32)
				loop(i32(0), arg("kw"), i32(1), func(kx val) {
					ix := mad(kx, arg("dw"), left).as(s32)
					// A negative place is large without its sign.
					in := and(lt(iy.as(u32), arg("h")), lt(ix.as(u32), arg("w")))
					when(in, func() {
						p := row(arg("x"), mad(iy.as(u32), arg("w"), ix.as(u32)), cols, t.size())
						v := t.one(at(elem(p, c, t.size()), 0))
						if mean {
							set(y, add(y, v))
							return
						}
						set(y, choose(or(gt(v, y), compare("nan", v, v)), v, y))
					})
					if mean {
						padded := and(ne(arg("countPad"), i32(0)), and(lt(iy, arg("hEnd").as(s32)), lt(ix, arg("wEnd").as(s32))))
						when(or(in, padded), func() { set(count, add(count, i32(1))) })
					}
				})
			})
			if mean {
				set(y, mul(y, div(flt(1), cvt(f32, "rn", count))))
			}
			t.put("global", at(elem(row(arg("dst"), r, cols, t.size()), c, t.size()), 0), y)
		})
}

func topK(m *module, t dtype) {
	m.entry("top_k_"+string(t), [3]int{}, `
top_k: a block a row r, k times: the largest of what comes after the last one
found, in the order of falling values, NaN first, and of rising indices
	values[r][j], indices[r][j] = that`,
		"values:u64 indices:u64 x:u64 ldx:u64 k:u32 cols:u32", func() {
			red := newReducer()
			x := rowAt("x", "ldx", t)
			r := special("ctaid.x")
			last, lastAt := variable(hex(0xffffffff)), variable(sint(-1))
			loop(i32(0), arg("k"), i32(1), func(j val) {
				best, bestAt := variable(i32(0)), variable(hex(0x7fffffff))
				byColumn(func(c val) {
					v := t.one(at(elem(x, c, t.size()), 0))
					key := ordered(v)
					after := or(lt(key, last), and(eq(key, last), gt(c.as(s32), lastAt)))
					better := and(after, or(gt(key, best), and(eq(key, best), lt(c, bestAt))))
					when(better, func() {
						set(best, key)
						set(bestAt, c)
					})
				})
				top := red.all(best, maxOf)
				found := red.all(choose(eq(best, top), bestAt, hex(0x7fffffff)), minOf)
				set(last, top)
				set(lastAt, found.as(s32))
				when(eq(special("tid.x"), i32(0)), func() {
					out := mad(r, arg("k"), j)
					store("global", f32, at(elem(arg("values"), out, 4), 0), t.one(at(elem(x, found, t.size()), 0)))
					store("global", u32, at(elem(arg("indices"), out, 4), 0), found)
				})
			})
		})
}

// ordered maps a float to a number above 0 without sign, in the same order, NaN
// to the largest; -0 and +0 are equal.
func ordered(x val) val {
	b := reg(u32)
	emit("mov.b32", b, add(x, flt(0)))
	neg := compare("lt", b.as(s32), sint(0))
	key := choose(neg, not(b), or(b, hex(0x80000000)))
	return choose(compare("nan", x, x), hex(0xfffffffe), key)
}
