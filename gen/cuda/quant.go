package main

import "fmt"

// quantKernels writes what deals with 8-bit integers.
func quantKernels(m *module) {
	for _, t := range dtypes {
		quantize(m, t, true)
		quantize(m, t, false)
		embeddingS8(m, t)
		gemmU8S8(m, t)
	}
}

// quantize writes the quantization of rows as ref.QuantizeS8 and ref.QuantizeU8
// have it.
func quantize(m *module, t dtype, signed bool) {
	name, params, doc := "quantize_u8_", " zero:u64", `
	low, high = least and greatest of x[r][c] and 0;  inv = 255/(high-low)
	scale[r] = (high-low)/255;  zero[r] = round(-low·inv)
	dst[r][c] = min(round(x[r][c]·inv) + zero[r], 255)`
	if signed {
		name, params, doc = "quantize_s8_", "", `
	top = max |x[r][c]|
	scale[r] = top/127;  dst[r][c] = round(x[r][c]·127/top)`
	}
	m.entry(name+string(t), [3]int{}, name+string(t)+`: a block a row r; bytes from cols to ldd are 0`+doc,
		"dst:u64 ldd:u64 scale:u64"+params+" x:u64 ldx:u64 cols:u32", func() {
			red := newReducer()
			x, r := rowAt("x", "ldx", t), special("ctaid.x")
			dst := row(arg("dst"), r, arg("ldd"), 1)
			value := func(c val) val { return t.one(at(elem(x, c, t.size()), 0)) }
			top := variable(i32(0))
			low, high := variable(flt(0)), variable(flt(0))
			byColumn(func(c val) {
				v := value(c)
				b := reg(u32)
				emit("mov.b32", b, v)
				set(top, maxOf(top, and(b, hex(0x7fffffff))))
				if !signed {
					set(low, minOf(low, v))
					set(high, maxOf(high, v))
				}
			})
			most := red.all(top, maxOf)
			infinite := ge(most, hex(0x7f800000))
			var span val
			limit := 255.0
			if signed {
				limit = 127
				span = reg(f32)
				emit("mov.b32", span, most)
			} else {
				set(low, red.all(low, minOf))
				set(high, red.all(high, maxOf))
				span = sub(high, low)
				infinite = or(infinite, eq(span, flt(inf)))
			}
			small := or(infinite, lt(span, flt(0x1p-100)))
			inv := choose(small, flt(0), div(flt(limit), span))
			scale := choose(infinite, flt(nan), choose(small, flt(0), div(span, flt(limit))))
			zero := sint(0)
			if !signed {
				zero = choose(small, sint(0), cvt(s32, "rni", mul(neg(low), inv)))
			}
			when(eq(special("tid.x"), i32(0)), func() {
				store("global", f32, at(elem(arg("scale"), r, 4), 0), scale)
				if !signed {
					store("global", s32, at(elem(arg("zero"), r, 4), 0), zero)
				}
			})
			end := reg(u32)
			emit("cvt.u32.u64", end, arg("ldd"))
			loop(special("tid.x"), end, special("ntid.x"), func(c val) {
				b := variable(sint(0))
				there := and(lt(c, arg("cols")), not(small))
				when(there, func() {
					n := cvt(s32, "rni", mul(value(c), inv))
					if !signed {
						n = minOf(add(n, zero), sint(255))
					}
					set(b, n)
				})
				store("global", "u8", at(elem(dst, c, 1), 0), b)
			})
		})
}

func embeddingS8(m *module, t dtype) {
	rowKernel(m, "embedding_s8", t, "dst[r][c] = table[ids[r]][c]·scale[ids[r]], or += if accumulate",
		"dst:u64 ldd:u64 ids:u64 table:u64 ldt:u64 scale:u64 accumulate:u32", func(r, c val) {
			id := index("ids", r)
			q := load("global", "s8", 1, at(elem(row(arg("table"), id, arg("ldt"), 1), c, 1), 0))[0]
			s := load("global", f32, 1, at(elem(arg("scale"), id, 4), 0))[0]
			y := variable(mul(cvt(f32, "rn", q), s))
			out := t.place("dst", "ldd", r, c)
			when(ne(arg("accumulate"), i32(0)), func() { set(y, add(y, t.one(out))) })
			t.put("global", out, y)
		})
}

const scaleParams = " scaleA:u64 zeroA:u64 scaleB:u64 sumB:u64"

// dequantize turns the exact sum at row r and column c of a product of bytes
// into a float.
func dequantize(sum, r, c val) val {
	floatAt := func(name string, i val) val { return load("global", f32, 1, at(elem(arg(name), i, 4), 0))[0] }
	sum = sub(sum, mul(index("zeroA", r), index("sumB", c)))
	return mul(cvt(f32, "rn", sum), mul(floatAt("scaleA", r), floatAt("scaleB", c)))
}

func gemmU8S8(m *module, out dtype) {
	g := newTile(64, "f32", out, 4) // four bytes are an element of 32 bits
	g.word = u32
	name := "gemm_u8s8_" + string(out)
	m.entry(name, [3]int{256, 1, 1}, fmt.Sprintf(`
%s: a block computes 64 rows from blockIdx.x and 64 columns from blockIdx.y
	s = Σ_p a[i][p]·b[j][p] - zeroA[i]·sumB[j]
	dst[i][j] = act(s·(scaleA[i]·scaleB[j]) + bias[j]) + residual[i][j]`, name),
		"a:u64 lda:u64 b:u64 ldb:u64 rows:u32 cols:u32 depth:u32"+scaleParams+epilogueParams, func() {
			g.begin()
			current["depth"] = shl(shr(add(arg("depth"), i32(15)), i32(4)), i32(2)) // words
			for _, ld := range []string{"lda", "ldb"} {
				current[ld] = shr(arg(ld), i32(2))
			}
			m0, n0 := mul(special("ctaid.x"), i32(64)), mul(special("ctaid.y"), i32(64))
			g.run(g.rowLoader("a", "lda", m0, arg("rows")), g.rowLoader("b", "ldb", n0, arg("cols")), false)
			g.finish(m0, n0, arg("rows"), arg("cols"), i32(0))
		})
}
