package main

import "fmt"

// tallBF16 is the number of rows of the tallest tile so many panels wide. An
// accumulator holds 2 rows by 2 columns; 24 of them, the elements of 6 rows for
// 8 steps of k and 2 registers of B are all there is.
var tallBF16 = []struct{ panels, rows int }{{2, 2}, {1, 6}}

func gemmBF16() {
	for _, t := range tallBF16 {
		for rows := t.rows; rows >= 1; rows-- {
			gemmBF16Tile(rows, t.panels)
		}
	}
}

// gemmBF16Tile writes a tile of BFMMLA, which multiplies 2 rows of 4 bfloat16 by
// 2 columns of 4. A panel has them side by side; a row without a second is
// paired with itself.
func gemmBF16Tile(rows, panels int) {
	t := &tile{rows: rows, panels: panels, mode: packed}
	text(fmt.Sprintf("GemmBF16Tile%dx%d", rows, panels*panel),
		"a *float32, lda int, b *float32, ldb int, c *float32, ldc int, k int, cols int, add bool, next *float32, step int", "",
		"sets a tile of C = A·B, or adds to it, for A and B in bfloat16:",
		fmt.Sprintf("	for i := range %d {", rows),
		"		for j := range cols {",
		"			s := c[i*ldc+j] or 0",
		"			for p := range 2*k { s += bf16(a)[i*2*lda+p] * bf16(b)[j/16*2*ldb+p/4*64+j%16*4+p%4] }",
		"			c[i*ldc+j] = s",
		"		}",
		"	}",
		"Strides and k, which is even, are in floats, of two bfloat16 each. A sum takes four products at a time,",
		"as BFMMLA rounds them.",
		fmt.Sprintf("%d < cols <= %d. k may be 0. Meanwhile k/%d lines of memory, from", (panels-1)*panel, panels*panel, t.every()),
		"next on and step floats apart, are brought into L2.")
	t.operands()
	t.load()
	pairs, width := (rows+1)/2, per*panels
	acc := make([]vecs, pairs) // of each the pairs of columns
	for p := range acc {
		first := t.acc[2*p]
		second := first
		if 2*p+1 < rows {
			second = t.acc[2*p+1]
		}
		acc[p] = make(vecs, 2*width)
		for i := range width {
			acc[p][2*i], acc[p][2*i+1] = cur.v(), cur.v()
			zip1D(acc[p][2*i], first[i], second[i])
			zip2D(acc[p][2*i+1], first[i], second[i])
		}
	}
	// turn takes so many blocks of 4 steps: 2, or the last one.
	turn := func(blocks int) {
		a := make([][2]*reg, pairs)
		for p := range a {
			load := func(r int) *reg {
				x := cur.v()
				if blocks == 2 {
					ldrQP(x, t.a[r])
				} else {
					ldrD(x, t.a[r], 0)
					addI(t.a[r], t.a[r], 8)
				}
				return x
			}
			first := load(2 * p)
			second := first
			if 2*p+1 < rows {
				second = load(2*p + 1)
			}
			for u := range blocks {
				a[p][u] = cur.v()
				[]func(d, n, m *reg){zip1D, zip2D}[u](a[p][u], first, second)
			}
		}
		ahead := min(4, len(vNumbers)-pairs*(2*width+blocks))
		count := blocks * 2 * width
		var loaded []*reg
		for j := range count {
			for next := len(loaded); next < min(j+ahead, count); next++ {
				u, i := next/(2*width), next%(2*width)
				w := cur.v()
				ldrQ(w, t.b[i/(2*per)], 8*panel*u+16*(i%(2*per)))
				loaded = append(loaded, w)
			}
			u, i := j/(2*width), j%(2*width)
			for p := range acc {
				bfmmla(acc[p][i], a[p][u], loaded[j])
			}
			if i == 2*width-1 {
				t.fetch(2 * u)
				t.fetch(2*u + 1)
			}
		}
		t.advance(2 * blocks)
	}
	k := arg("k")
	subsI(k, k, unroll)
	branch("BLT", "tail")
	mark("loop")
	turn(2)
	subsI(k, k, unroll)
	branch("BGE", "loop")
	mark("tail")
	addI(k, k, unroll)
	branchZ("CBZ", k, "sorted")
	turn(1)
	mark("sorted")
	t.acc = accumulators(rows, panels)
	for p := range acc {
		for i := range width {
			zip1D(t.acc[2*p][i], acc[p][2*i], acc[p][2*i+1])
			if 2*p+1 < rows {
				zip2D(t.acc[2*p+1][i], acc[p][2*i], acc[p][2*i+1])
			}
		}
	}
	t.eachOfC("Store", func(x, c *reg, disp int) { strQ(x, c, disp) }, true)
	ret()
}
