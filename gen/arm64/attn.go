package main

import (
	"fmt"
	"math"
)

// attnRows is the height of the tallest tile, attnFew the most rows that read
// keys and values in place.
const (
	attnRows = 6
	attnFew  = 4
)

func attention() {
	for rows := 1; rows <= attnRows; rows++ {
		attnProduct(rows, false)
	}
	for rows := 1; rows <= attnFew; rows++ {
		attnProduct(rows, true)
	}
	attnScores()
	attnExp()
	attnScale()
	attnFinish()
	attnPackKeys()
	attnPackValues()
	for rows := 1; rows <= attnFew; rows++ {
		attnKeys(rows)
	}
}

// attnSide is the number of panels side by side that give a tile the
// accumulators that hide the latency of the fused multiply-add.
func attnSide(rows int) int {
	switch {
	case rows == 1:
		return 4
	case rows <= 3:
		return 2
	}
	return 1
}

// attnProduct writes the two matrix products of attention: scores = Q·Kᵀ with
// one panel for 16 keys, and output = P·V with one panel for 16 columns of V.
// Unlike gemm's tiles, which see one panel of a large weight, these run over
// all panels of a block in one call. With few rows it does not pay to bring
// values into panels first: those kernels read them where they are.
func attnProduct(rows int, inPlace bool) {
	name, what, elem := "AttnProductF32Rows%d", "a row of tiles of C = A·B", "b[(j/16)*ldb+p*16+j%16]"
	if inPlace {
		name, what, elem = "AttnValuesF32Rows%d", "C = A·B with B in place", "b[p*ldb+j]"
	}
	text(fmt.Sprintf(name, rows), "a *float32, lda int, b *float32, ldb int, c *float32, ldc int, k int, panels int, add bool", "",
		"sets or adds to "+what+":",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range 16*panels {",
		"			s := c[i*ldc+j] if add, or 0",
		"			for p := range k { s = fma(a[i*lda+p], "+elem+", s) }",
		"			c[i*ldc+j] = s",
		"		}",
		"	}",
		"Strides are in floats. k and panels may be 0.")
	b, ldb, c, ldc, panels := arg("b"), strideArg("ldb"), arg("c"), strideArg("ldc"), arg("panels")
	// tiles computes n panels side by side and moves b and c behind them.
	tiles := func(n int, at string) {
		t := &tile{rows: rows, panels: n, mode: packed, ldb: ldb, acc: accumulators(rows, n)}
		from := cur.gp()
		mov(from, b)
		if inPlace {
			t.mode, t.b, t.next = direct, []*reg{from}, cur.gp()
			addLSL(t.next, from, ldb, 4) // memory is far: 16 steps
		} else {
			t.b = rowsFrom(from, ldb, n)
		}
		branchZ("CBNZ", arg("add"), at+"Load")
		for _, row := range t.acc {
			for _, x := range row {
				zero(x)
			}
		}
		branch("B", at+"Start")
		eachOf := func(f func(x, base *reg, disp int)) {
			line := cur.gp()
			mov(line, c)
			for r, row := range t.acc {
				for i, x := range row {
					f(x, line, 16*i)
				}
				if r < rows-1 {
					add(line, line, ldc)
				}
			}
		}
		mark(at + "Load")
		eachOf(ldrQ)
		mark(at + "Start")
		t.a = rowsFrom(arg("a"), strideArg("lda"), rows)
		t.product(arg("k"), at+"Store")
		mark(at + "Store")
		eachOf(strQ)
		addI(c, c, 64*n)
		if inPlace {
			addI(b, b, 64*n)
			return
		}
		for range n {
			add(b, b, ldb)
		}
	}
	if side := attnSide(rows); side > 1 {
		subsI(panels, panels, side)
		branch("BLT", "rest")
		mark("side")
		tiles(side, "side")
		subsI(panels, panels, side)
		branch("BGE", "side")
		mark("rest")
		addI(panels, panels, side)
	}
	branchZ("CBZ", panels, "done")
	mark("one")
	tiles(1, "one")
	subsI(panels, panels, 1)
	branch("BNE", "one")
	mark("done")
	ret()
}

// attnScores writes what turns products into scores. The last registers of a
// row may hold what is no score: a mask makes those lanes -Inf.
func attnScores() {
	text("AttnScoresF32", "s *float32, lds int, bias *float32, ldbias int, m *float32, rows int, n int, grow int, pad int, scale float32", "",
		"turns products into scores and finds each row's largest:",
		"	for i := range rows {",
		"		for j := range n + i*grow {",
		"			x := s[i*lds+j] * scale",
		"			if bias != nil { x += bias[i*ldbias+j], or x = -Inf where that is -Inf }",
		"			s[i*lds+j] = x",
		"			m[i] = max(m[i], x), or m[i] where x is NaN",
		"		}",
		"		for j := n + i*grow; j < n+pad; j++ { s[i*lds+j] = -Inf }",
		"	}",
		"A row of s has room for 3 floats behind n+pad.")
	s, lds, bias, ldbias, m := arg("s"), strideArg("lds"), arg("bias"), strideArg("ldbias"), arg("m")
	left, end, scale, negInf := arg("rows"), arg("pad"), scalar("scale"), floats(minusInf)
	count := arg("n")
	add(end, end, count)
	lsl(end, end, 2)
	haveBias := newLabel("bias")
	branchZ("CBNZ", bias, haveBias)
	movI(ldbias, 0) // nil stays nil
	mark(haveBias)

	mark("row")
	top := cur.v()
	ldrS(top, m, 0)
	dup(top, top, 0)
	to, from, n, stop := cur.gp(), cur.gp(), cur.gp(), cur.gp()
	mov(to, s)
	mov(from, bias)
	mov(n, count)
	add(stop, s, end)
	// four takes four scores; b is their bias, or nil.
	four := func(b *reg, mask func(x *reg) *reg) {
		x := cur.v()
		ldrQ(x, to, 0)
		fmul(x, x, scale)
		if b != nil {
			none := cur.v()
			fcmeq(none, b, negInf)
			fadd(x, x, b)
			bit(x, negInf, none)
		}
		x = mask(x)
		strQ(x, to, 0)
		raise(top, x)
		addI(to, to, 16)
	}
	all := func(x *reg) *reg { return x }
	loop := func(at string, biased bool) {
		bias4 := func() (b *reg) {
			if biased {
				b = cur.v()
				ldrQP(b, from)
			}
			return b
		}
		subsI(n, n, 4)
		branch("BLT", at+"Tail")
		mark(at + "Loop")
		four(bias4(), all)
		subsI(n, n, 4)
		branch("BGE", at+"Loop")
		mark(at + "Tail")
		addI(n, n, 4)
		branchZ("CBZ", n, "pad")
		var b *reg
		if biased {
			b = span{m: 1, left: n, off: zeroOffset()}.load(operand{base: from})[0]
		}
		four(b, func(x *reg) *reg {
			window := cur.gp()
			lsl(window, n, 2)
			sub(window, cur.table, window)
			addI(window, window, cur.file.constant(1<<32-1, 1<<32-1, 1<<32-1, 1<<32-1, 0, 0, 0, 0)+16)
			mask := cur.v()
			ldrQ(mask, window, 0)
			bsl(mask, x, negInf)
			return mask
		})
	}
	branchZ("CBNZ", bias, "biased")
	loop("plain", false)
	branch("B", "pad")
	mark("biased")
	loop("biased", true)

	mark("pad")
	cmp(to, stop)
	branch("BGE", "reduce")
	strQ(negInf, to, 0)
	addI(to, to, 16)
	branch("B", "pad")
	mark("reduce")
	strS(fold(top, larger), m, 0)
	add(s, s, lds)
	add(bias, bias, ldbias)
	add(count, count, arg("grow"))
	addI(m, m, 4)
	subsI(left, left, 1)
	branch("BNE", "row")
	ret()
}

// zeroOffset is an offset of 0.
func zeroOffset() *reg { r := cur.gp(); movI(r, 0); return r }

func attnExp() {
	text("AttnExpF32", "s *float32, lds int, m *float32, sum *float32, rows int, n int", "",
		"turns scores into weights and sums them in 32 lanes:",
		"	for i := range rows {",
		"		for j := range n {",
		"			s[i*lds+j] = exp(s[i*lds+j] - m[i])",
		"			sum[i*32+j%32] += s[i*lds+j]",
		"		}",
		"	}",
		"n is a multiple of 32.")
	s, lds, m, sum, rows := arg("s"), strideArg("lds"), arg("m"), arg("sum"), arg("rows")
	in, left, top := cur.gp(), cur.gp(), cur.v()
	mark("row")
	mov(in, s)
	mov(left, arg("n"))
	ldrS(top, m, 0)
	dup(top, top, 0)
	lanes := simd(wide).alloc()
	for i := range lanes {
		ldrQ(lanes[i], sum, 16*i)
	}
	branchZ("CBZ", left, "next")
	mark("loop")
	const side = 2
	for i := 0; i < wide; i += side {
		m := simd(side)
		x := m.alloc()
		for j := range x {
			ldrQ(x[j], in, 16*(i+j))
		}
		for j, y := range m.expNegative(m.sub(x, broadcast(top, side))) {
			strQ(y, in, 16*(i+j))
			fadd(lanes[i+j], lanes[i+j], y)
		}
	}
	addI(in, in, 128)
	subsI(left, left, 32)
	branch("BNE", "loop")
	mark("next")
	for i := range lanes {
		strQ(lanes[i], sum, 16*i)
	}
	add(s, s, lds)
	addI(m, m, 4)
	addI(sum, sum, 128)
	subsI(rows, rows, 1)
	branch("BNE", "row")
	ret()
}

func attnScale() {
	text("AttnScaleF32", "x *float32, n int, f float32", "",
		"is",
		"	for i := range n { x[i] *= f }",
		"n is a multiple of 16.")
	x, n, f := arg("x"), arg("n"), scalar("f")
	branchZ("CBZ", n, "done")
	mark("loop")
	for i := 0; i < 4; i += 2 {
		y, z := cur.v(), cur.v()
		ldpQ(y, z, x, 16*i)
		fmul(y, y, f)
		fmul(z, z, f)
		stpQ(y, z, x, 16*i)
	}
	addI(x, x, 64)
	subsI(n, n, 16)
	branch("BGT", "loop")
	mark("done")
	ret()
}

func attnFinish() {
	text("AttnFinishF32", "dst *float32, ldd int, acc *float32, ldacc int, sum *float32, rows int, n int", "bool",
		"divides by the sum of the weights:",
		"	nan := false",
		"	for i := range rows {",
		"		t := sum of sum[i*32:i*32+32]: lane l takes lane l+16, then l+8, l+4, l+2, l+1",
		"		f := 1/t, or 0 if t is 0",
		"		for j := range n {",
		"			dst[i*ldd+j] = (acc[i*ldacc+j] + 0) * f",
		"			nan = nan || dst[i*ldd+j] is NaN",
		"		}",
		"	}",
		"	return nan")
	dst, ldd, acc, ldacc := arg("dst"), strideArg("ldd"), arg("acc"), strideArg("ldacc")
	sum, rows := arg("sum"), arg("rows")
	null, numbers := cur.v(), constant(math.MaxUint32)
	zero(null)
	mark("row")
	lanes := simd(wide).alloc()
	for i := range lanes {
		ldrQ(lanes[i], sum, 16*i)
	}
	total := tree(lanes, fadd)
	f, none := inverse(total), cur.v()
	fcmeq(none, total, null)
	bic(f, f, none)
	from, to, n := cur.gp(), cur.gp(), arg("n")
	mov(from, acc)
	mov(to, dst)
	finish := func(ldr func(d, base *reg, disp int), str func(s, base *reg, disp int), bytes int) {
		y, is := cur.v(), cur.v()
		ldr(y, from, 0)
		fadd(y, y, null)
		fmul(y, y, f)
		str(y, to, 0)
		fcmeq(is, y, y)
		if bytes == 4 { // the other lanes are 0·f, and f may be infinite
			orn(is, is, constant(math.MaxUint32, 0, 0, 0))
		}
		and(numbers, numbers, is)
		addI(from, from, bytes)
		addI(to, to, bytes)
	}
	subsI(n, n, 4)
	branch("BLT", "tail")
	mark("loop")
	finish(ldrQ, strQ, 16)
	subsI(n, n, 4)
	branch("BGE", "loop")
	mark("tail")
	addI(n, n, 4)
	branchZ("CBZ", n, "next")
	mark("one")
	finish(ldrS, strS, 4)
	subsI(n, n, 1)
	branch("BNE", "one")
	mark("next")
	add(dst, dst, ldd)
	add(acc, acc, ldacc)
	addI(sum, sum, 128)
	subsI(rows, rows, 1)
	branch("BNE", "row")
	least, all := cur.v(), cur.gp()
	minAll(least, numbers)
	word0(all, least)
	eorI(all, all, 1<<32-1) // 0 if all were numbers
	isNaN := cur.gp()
	movI(isNaN, 0)
	branchZ("CBZ", all, "end")
	movI(isNaN, 1)
	mark("end")
	result(isNaN)
	ret()
}

// attnPackKeys transposes 8 keys by 4 dimensions at a time. The last step of a
// D that is no multiple of 4 overlaps the one before it.
func attnPackKeys() {
	text("AttnPackKeysF32", "dst *float32, k *float32, ldk int, d int, groups int", "",
		"transposes groups of 8 keys into panels of 16:",
		"	for g := range groups {",
		"		for i := range 8 {",
		"			for p := range d { dst[(g/2)*16*d+p*16+(g%2)*8+i] = k[(g*8+i)*ldk+p] }",
		"		}",
		"	}",
		"d is at least 8, ldk in floats.")
	dst, k, ldk, groups, odd := arg("dst"), arg("k"), strideArg("ldk"), arg("groups"), cur.gp()
	movI(odd, 0)
	branchZ("CBZ", groups, "done")
	mark("group")
	base, out, d, step := cur.gp(), cur.gp(), arg("d"), cur.gp()
	mov(base, k)
	mov(out, dst)
	keys := rowsFrom(base, ldk, 8)
	subI(d, d, 4)
	mark("block")
	var y [2][4]*reg
	for h := range y {
		var x [4]*reg
		for i := range x {
			x[i] = cur.v()
			ldrQ(x[i], keys[4*h+i], 0)
		}
		y[h] = transpose4(x)
	}
	for i := range 4 {
		stpQ(y[0][i], y[1][i], out, 64*i)
	}
	movI(step, 4)
	cmp(d, step)
	sel("LT", step, d, step)
	sub(d, d, step)
	for _, key := range keys {
		addLSL(key, key, step, 2)
	}
	addLSL(out, out, step, 6)
	branchZ("CBNZ", step, "block")

	addLSL(k, k, ldk, 3)
	// The second half of the panel, or the next panel.
	addI(dst, dst, 32)
	eorI(odd, odd, 1)
	branchZ("CBNZ", odd, "next")
	subI(dst, dst, 64)
	addLSL(dst, dst, arg("d"), 6)
	mark("next")
	subsI(groups, groups, 1)
	branch("BNE", "group")
	mark("done")
	ret()
}

// attnPackValues copies rows of values into panels.
func attnPackValues() {
	text("AttnPackValuesF32", "dst *float32, ldd int, v *float32, ldv int, keys int, panels int", "",
		"copies values into panels of 16 columns:",
		"	for j := range keys {",
		"		for c := range 16*panels { dst[(c/16)*ldd+j*16+c%16] = v[j*ldv+c] }",
		"	}",
		"Strides are in floats.")
	dst, ldd, v, ldv, keys, panels := arg("dst"), strideArg("ldd"), arg("v"), strideArg("ldv"), arg("keys"), arg("panels")
	branchZ("CBZ", keys, "done")
	branchZ("CBZ", panels, "done")
	in, out, n := cur.gp(), cur.gp(), cur.gp()
	mark("key")
	mov(in, v)
	mov(out, dst)
	mov(n, panels)
	mark("panel")
	for i := 0; i < per; i += 2 {
		x, y := cur.v(), cur.v()
		ldpQ(x, y, in, 16*i)
		stpQ(x, y, out, 16*i)
	}
	addI(in, in, 64)
	add(out, out, ldd)
	subsI(n, n, 1)
	branch("BNE", "panel")
	add(v, v, ldv)
	addI(dst, dst, 64)
	subsI(keys, keys, 1)
	branch("BNE", "key")
	mark("done")
	ret()
}

// attnKeys writes the products of a few queries with keys that are read where
// they lie, once: what decoding is made of. A score is one chain over the
// dimensions, so lanes are keys: 8 keys by 4 dimensions are transposed in
// registers. For few rows two groups of 8 keys side by side hide the latency of
// the multiply-add.
func attnKeys(rows int) {
	text(fmt.Sprintf("AttnKeysF32Rows%d", rows), "q *float32, ldq int, k *float32, ldk int, s *float32, lds int, d int, groups int", "",
		"multiplies queries by groups of 8 keys in place:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range 8*groups {",
		"			x := 0",
		"			for p := range d { x = fma(q[i*ldq+p], k[j*ldk+p], x) }",
		"			s[i*lds+j] = x",
		"		}",
		"	}",
		"d is a multiple of 4 and strides are in floats.")
	k, ldk, s, lds, groups := arg("k"), strideArg("ldk"), arg("s"), strideArg("lds"), arg("groups")
	// turn multiplies by so many groups and moves on.
	turn := func(at string, side int) {
		base, far := cur.gp(), cur.gp()
		mov(base, k)
		keys := rowsFrom(base, ldk, 8)
		lsl(far, ldk, 3) // from a key to its like in the next group
		queries := rowsFrom(arg("q"), strideArg("ldq"), rows)
		acc := make([]vecs, rows)
		for r := range acc {
			acc[r] = simd(2 * side).zero()
		}
		d := arg("d")
		branchZ("CBZ", d, at+"Store")
		mark(at + "Four")
		x := make([][4]*reg, 2*side)
		for g := side - 1; g >= 0; g-- {
			for h := range 2 {
				var y [4]*reg
				for i := range y {
					y[i] = cur.v()
					if g > 0 {
						ldrQX(y[i], keys[4*h+i], far)
					} else {
						ldrQP(y[i], keys[4*h+i])
					}
				}
				x[2*g+h] = transpose4(y)
			}
		}
		for r := range acc {
			q := cur.v()
			ldrQP(q, queries[r])
			for p := range 4 {
				for h := range x {
					fmlaE(acc[r][h], x[h][p], q, p)
				}
			}
		}
		subsI(d, d, 4)
		branch("BGT", at+"Four")
		mark(at + "Store")
		out := cur.gp()
		mov(out, s)
		for r, x := range acc {
			for g := range side {
				stpQ(x[2*g], x[2*g+1], out, 32*g)
			}
			if r < rows-1 {
				add(out, out, lds)
			}
		}
		addI(s, s, 32*side)
		for range side {
			addLSL(k, k, ldk, 3)
		}
	}
	if rows <= 2 {
		subsI(groups, groups, 2)
		branch("BLT", "rest")
		mark("two")
		turn("two", 2)
		subsI(groups, groups, 2)
		branch("BGE", "two")
		mark("rest")
		addI(groups, groups, 2)
	}
	branchZ("CBZ", groups, "done")
	mark("one")
	turn("one", 1)
	subsI(groups, groups, 1)
	branch("BNE", "one")
	mark("done")
	ret()
}
