package main

import "fmt"

// byteTiles are the panels side by side in the tiles of so many rows: enough
// sums to hide the latency of the multiply-adds.
var byteTiles = map[int][]int{1: {4, 2}, 2: {2, 1}, 3: {1}, 4: {1}}

// igemmWeight writes the products of floats by bytes, which are turned into
// floats in registers.
func igemmWeight() {
	for rows := 1; rows <= len(byteTiles); rows++ {
		for _, panels := range byteTiles[rows] {
			byteTile(rows, panels)
		}
	}
}

func byteTile(rows, panels int) {
	text(fmt.Sprintf("GemmF32S8Tile%dx%d", rows, panels*panel),
		"a *float32, lda int, b *int8, ldb int, scale *float32, lds int, c *float32, ldc int, k int, group int", "",
		"adds a product by a weight of 8 bits, group by group of k:",
		fmt.Sprintf("	for i := range %d {", rows),
		fmt.Sprintf("		for j := range %d {", panels*panel),
		"			for g := 0; g < k; g += group {",
		"				s := 0",
		"				for p := g; p < min(g+group, k); p++ { s = fma(a[i*lda+p], b[j/16*ldb+p*16+j%16], s) }",
		"				c[i*ldc+j] = fma(s, scale[j/16*lds+g/group*16+j%16], c[i*ldc+j])",
		"			}",
		"		}",
		"	}",
		"lda, ldc and lds are in floats, ldb is in bytes. k > 0.")
	as := rowsFrom(arg("a"), strideArg("lda"), rows)
	bs := rowsFrom(arg("b"), arg("ldb"), panels)
	c := newSums(rows, panels)
	acc := accumulators(rows, panels)
	// step adds the products of step u of k, whose element of row r is lane u of x.
	step := func(x vecs, u int) {
		for p := range panels {
			q, half := cur.v(), simd(2).alloc()
			ldrQ(q, bs[p], 16*u)
			fromS8(half[0], q)
			fromS82(half[1], q)
			for i, h := range half {
				y := simd(2).alloc()
				fromS16(y[0], h)
				fromS162(y[1], h)
				for j := range y {
					toFloat(y[j], y[j])
					for r := range x {
						fmlaE(acc[r][4*p+2*i+j], y[j], x[r], u)
					}
				}
			}
		}
	}
	advance := func(count int) {
		for _, r := range as {
			addI(r, r, 4*count)
		}
		for _, r := range bs {
			addI(r, r, 16*count)
		}
	}
	k, n := arg("k"), cur.gp()
	mark("group")
	group := arg("group")
	cmp(group, k)
	sel("LT", n, group, k)
	sub(k, k, n)
	for _, row := range acc {
		for _, x := range row {
			zero(x)
		}
	}
	subsI(n, n, unroll)
	branch("BLT", "tail")
	mark("loop")
	x := simd(rows).alloc()
	for r := range x {
		ldrQ(x[r], as[r], 0)
	}
	for u := range unroll {
		step(x, u)
	}
	advance(unroll)
	subsI(n, n, unroll)
	branch("BGE", "loop")
	mark("tail")
	addI(n, n, unroll)
	branchZ("CBZ", n, "sum")
	mark("one")
	for r := range x {
		ldrS(x[r], as[r], 0)
	}
	step(x, 0)
	advance(1)
	subsI(n, n, 1)
	branch("BNE", "one")
	mark("sum")
	c.add(func(r, i int) *reg { return acc[r][i] })
	c.next()
	branchZ("CBNZ", k, "group")
	ret()
}

// sums are a tile of the result, to which group after group adds.
type sums struct {
	c, scale []*reg
}

// newSums takes the parameters c, ldc, scale and lds.
func newSums(rows, panels int) *sums {
	return &sums{rowsFrom(arg("c"), strideArg("ldc"), rows), rowsFrom(arg("scale"), strideArg("lds"), panels)}
}

// add adds sum times the scales of a group; sum returns register i of row r.
func (t *sums) add(sum func(r, i int) *reg) {
	for r, c := range t.c {
		for i := range per * len(t.scale) {
			x, y, scale := sum(r, i), cur.v(), cur.v()
			ldrQ(y, c, 16*i)
			ldrQ(scale, t.scale[i/per], 16*(i%per))
			fmla(y, x, scale)
			strQ(y, c, 16*i)
		}
	}
}

// next turns to the scales of the next group.
func (t *sums) next() {
	for _, r := range t.scale {
		addI(r, r, 4*panel)
	}
}
