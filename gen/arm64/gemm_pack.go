package main

// transpose4 transposes 4×4 floats: x[i] is row i, the result column i.
func transpose4(x [4]*reg) (y [4]*reg) {
	var z [4]*reg
	for i := range z {
		z[i], y[i] = cur.v(), cur.v()
	}
	// Rows 0 and 2, 1 and 3 first: then neighbours in the result meet.
	zip1(z[0], x[0], x[2])
	zip2(z[1], x[0], x[2])
	zip1(z[2], x[1], x[3])
	zip2(z[3], x[1], x[3])
	zip1(y[0], z[0], z[2])
	zip2(y[1], z[0], z[2])
	zip1(y[2], z[1], z[3])
	zip2(y[3], z[1], z[3])
	return y
}

func gemmPack() {
	packRows()
	packColumns()
	copyRows()
}

// packRows transposes 4 columns of 16 rows at a time: a line of each of 4 steps.
func packRows() {
	text("GemmPackRowsF32", "dst *float32, src *float32, ld int, k int", "",
		"packs 16 rows of src, a transposition:",
		"	for p := range k {",
		"		for i := range 16 { dst[p*16+i] = src[i*ld+p] }",
		"	}",
		"k must be a multiple of 16. ld is in floats.")
	dst, src, ld, k := arg("dst"), arg("src"), strideArg("ld"), arg("k")
	rows := rowsFrom(src, ld, 16)
	branchZ("CBZ", k, "done")
	mark("loop")
	for g := 0; g < 16; g += 4 {
		var x [4]*reg
		for i := range x {
			x[i] = cur.v()
			ldrQP(x[i], rows[g+i])
		}
		for i, y := range transpose4(x) {
			strQ(y, dst, 64*i+4*g)
		}
	}
	addI(dst, dst, 256)
	subsI(k, k, 4)
	branch("BNE", "loop")
	mark("done")
	ret()
}

// packColumns copies rows of 16 floats: what B's columns need. Four rows at a
// time make whole lines of each panel while four streams are read.
func packColumns() {
	text("GemmPackColumnsF32", "dst *float32, ldd int, src *float32, ld int, k int, panels int", "",
		"packs the columns of src, 16 a panel:",
		"	for j := range panels {",
		"		for p := range k {",
		"			for i := range 16 { dst[j*ldd+p*16+i] = src[p*ld+j*16+i] }",
		"		}",
		"	}",
		"Strides are in floats.")
	dst, ldd, src, ld, k := arg("dst"), strideArg("ldd"), arg("src"), strideArg("ld"), arg("k")
	rows := func(n int) {
		loop := newLabel("panels")
		from, to, j := cur.gp(), cur.gp(), arg("panels")
		mov(from, src)
		mov(to, dst)
		lines := rowsFrom(from, ld, n)
		mark(loop)
		for r, line := range lines {
			for i := 0; i < per; i += 2 {
				x, y := cur.v(), cur.v()
				ldpQ(x, y, line, 16*i)
				stpQ(x, y, to, 64*r+16*i)
			}
			addI(line, line, 64)
		}
		add(to, to, ldd)
		subsI(j, j, 1)
		branch("BNE", loop)
		addI(dst, dst, 64*n)
		if n == 4 {
			addLSL(src, src, ld, 2)
		} else {
			add(src, src, ld)
		}
	}
	mark("four")
	subsI(k, k, 4)
	branch("BLT", "rest")
	rows(4)
	branch("B", "four")
	mark("rest")
	addI(k, k, 4)
	mark("one")
	subsI(k, k, 1)
	branch("BLT", "done")
	rows(1)
	branch("B", "one")
	mark("done")
	ret()
}

// copyRows copies a block of short rows, for which a call a row is too much.
func copyRows() {
	text("GemmCopyRowsF32", "dst *float32, ldd int, src *float32, ld int, rows int, n int", "",
		"copies a block of rows:",
		"	for i := range rows {",
		"		for j := range n { dst[i*ldd+j] = src[i*ld+j] }",
		"	}",
		"Strides are in floats. n >= 8. The blocks do not overlap.")
	dst, ldd, src, ld := arg("dst"), strideArg("ldd"), arg("src"), strideArg("ld")
	rows, n := arg("rows"), strideArg("n")
	subI(n, n, 32) // where the last registers of a row start; they may overlap those before
	from, to, left := cur.gp(), cur.gp(), cur.gp()
	copy8 := func(to, from *reg) {
		x, y := cur.v(), cur.v()
		ldpQ(x, y, from, 0)
		stpQ(x, y, to, 0)
	}
	mark("row")
	subsI(rows, rows, 1)
	branch("BLT", "done")
	mov(from, src)
	mov(to, dst)
	mov(left, n)
	mark("loop")
	cmpI(left, 0)
	branch("BLE", "last")
	copy8(to, from)
	addI(from, from, 32)
	addI(to, to, 32)
	subI(left, left, 32)
	branch("B", "loop")
	mark("last")
	add(from, src, n)
	add(to, dst, n)
	copy8(to, from)
	add(src, src, ld)
	add(dst, dst, ldd)
	branch("B", "row")
	mark("done")
	ret()
}
