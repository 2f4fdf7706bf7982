package main

import "fmt"

// weightPanels are the panels side by side in the tiles of so many rows: enough
// sums to hide the latency of the multiply-adds, and registers for a quarter of
// a panel's lanes beside them.
var weightPanels = map[int][]int{1: {4, 2}, 2: {2}, 3: {1}, 4: {1}}

// igemmWeight writes the products of floats by weights of 8 and 4 bits, which
// are turned into floats in registers.
func igemmWeight() {
	for _, bits := range []int{8, 4} {
		for rows := 1; rows <= len(weightPanels); rows++ {
			for _, panels := range weightPanels[rows] {
				weightTile(bits, rows, panels)
			}
		}
		unpackPanel(bits)
	}
}

// value returns element u of lanes of 32 bits as floats: sign-extended by two
// shifts and converted.
func value(lanes *reg, bits, u int) *reg {
	x := cur.v()
	from := lanes
	if left := 32 - bits*(u+1); left > 0 {
		shl(x, lanes, left)
		from = x
	}
	sshr(x, from, 32-bits)
	toFloat(x, x)
	return x
}

// each runs steps 0 … of a loop over n elements, count of them a turn.
// advance moves on by a turn; done is where it goes in the end.
func each(n *reg, count int, done string, step func(u int), advance func()) {
	tail, loop := done+"Tail", done+"Loop"
	subsI(n, n, count)
	branch("BLT", tail)
	mark(loop)
	for u := range count {
		step(u)
	}
	advance()
	subsI(n, n, count)
	branch("BGE", loop)
	mark(tail)
	addI(n, n, count)
	branchZ("CBZ", n, done)
	for u := range count - 1 { // only at the end of k
		step(u)
		subsI(n, n, 1)
		branch("BEQ", done)
	}
	mark(done)
}

func weightTile(bits, rows, panels int) {
	count := 32 / bits
	text(fmt.Sprintf("GemmF32S%dTile%dx%d", bits, rows, panels*panel),
		"a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc int, k int, cols int, group int", "",
		fmt.Sprintf("multiplies by a weight of %d bits:", bits),
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := 0",
		"			for p := range k { s = fma(a[i*lda+p], q(j, p)*scale[j/16*lds+p/group*16+j%16], s) }",
		"			c[i*ldc+j] = s",
		"		}",
		"	}",
		fmt.Sprintf("q(j, p) is element p%%%d of lane j%%16 of the 64 bytes at b[j/16*ldb+p/%d*64]. lda, ldc and", count, count),
		fmt.Sprintf("lds are in floats. k > 0, 0 < cols <= %d; group is a multiple of 8.", panels*panel))
	as := rowsFrom(arg("a"), strideArg("lda"), rows)
	bs := rowsFrom(arg("b"), arg("ldb"), panels)
	ss := rowsFrom(arg("scale"), strideArg("lds"), panels)
	acc := accumulators(rows, panels)
	for _, row := range acc {
		for _, x := range row {
			zero(x)
		}
	}
	k, n, group := arg("k"), cur.gp(), arg("group")
	mark("group")
	cmp(group, k)
	sel("LT", n, group, k)
	sub(k, k, n)
	step := func(u int) {
		x := make([]*reg, rows)
		for r := range x {
			x[r] = cur.v()
			ldrS(x[r], as[r], 4*u)
		}
		for i := range acc[0] {
			lanes, scale := cur.v(), cur.v()
			ldrQ(lanes, bs[i/per], 16*(i%per))
			ldrQ(scale, ss[i/per], 16*(i%per))
			y := value(lanes, bits, u)
			fmul(y, y, scale)
			for r := range x {
				fmlaE(acc[r][i], y, x[r], 0)
			}
		}
	}
	each(n, count, "next", step, func() {
		for _, r := range as {
			addI(r, r, 4*count)
		}
		for _, r := range bs {
			addI(r, r, 4*panel)
		}
	})
	for _, r := range ss {
		addI(r, r, 4*panel)
	}
	branchZ("CBNZ", k, "group")

	// A row passes through the stack: whole registers of it, then words.
	c, ldc := arg("c"), strideArg("ldc")
	for _, row := range acc {
		to, left := cur.gp(), arg("cols")
		mov(to, c)
		some, done := newLabel("some"), newLabel("stored")
		buf, from := local(16*panels*per), cur.gp()
		for i, x := range row {
			strQ(x, buf, 16*i)
		}
		mov(from, buf)
		mark(some)
		subsI(left, left, 4)
		branch("BLT", done)
		y := cur.v()
		ldrQP(y, from)
		strQ(y, to, 0)
		addI(to, to, 16)
		branch("B", some)
		mark(done)
		addI(left, left, 4)
		word, end := newLabel("word"), newLabel("end")
		branchZ("CBZ", left, end)
		mark(word)
		copyWord(to, from)
		subsI(left, left, 1)
		branch("BNE", word)
		mark(end)
		add(c, c, ldc)
	}
	ret()
}

// unpackPanel writes the conversion of a panel to floats.
func unpackPanel(bits int) {
	count := 32 / bits
	text(fmt.Sprintf("UnpackS%dF32", bits), "dst *float32, b *int8, scale *float32, k int", "",
		fmt.Sprintf("turns k steps of a panel of %d bits into floats:", bits),
		"	for p := range k {",
		"		for j := range 16 { dst[p*16+j] = q(j, p)*scale[j] }",
		"	}",
		fmt.Sprintf("q(j, p) is element p%%%d of lane j of the 64 bytes at b[p/%d*64].", count, count))
	dst, b, s, k := arg("dst"), arg("b"), arg("scale"), arg("k")
	scale, lanes := simd(per).alloc(), simd(per).alloc()
	for i := range scale {
		ldrQ(scale[i], s, 16*i)
	}
	step := func(u int) {
		for i := range scale {
			if u == 0 {
				ldrQ(lanes[i], b, 16*i)
			}
			y := value(lanes[i], bits, u)
			fmul(y, y, scale[i])
			strQ(y, dst, 4*panel*u+16*i)
		}
	}
	each(k, count, "done", step, func() {
		addI(dst, dst, 4*panel*count)
		addI(b, b, 4*panel)
	})
	ret()
}
