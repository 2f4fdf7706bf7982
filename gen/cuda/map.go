package main

import "fmt"

var mapThreads = [3]int{256, 1, 1}

// mapKernels writes the elementwise operations: a thread computes one or four
// columns of a row, and of the rows a grid's height further on.
func mapKernels(m *module) {
	for _, t := range dtypes {
		mapKernel(m, "add", t, t, 2, "dst[r][c] = a[r][c] + b[r][c]", "", func(c val, x [][]val) []val {
			return each(func(i int) val { return add(x[0][i], x[1][i]) }, len(x[0]))
		})
		mapKernel(m, "scale", t, t, 1, "dst[r][c] = a[r][c]·s", "s:f32", func(c val, x [][]val) []val {
			return each(func(i int) val { return mul(x[0][i], arg("s")) }, len(x[0]))
		})
		mapKernel(m, "affine", t, t, 1, "dst[r][c] = a[r][c]·scale[c] + shift[c]", "scale:u64 shift:u64", func(c val, x [][]val) []val {
			n := len(x[0])
			s := load("global", f32, n, at(elem(arg("scale"), c, 4), 0))
			b := load("global", f32, n, at(elem(arg("shift"), c, 4), 0))
			return each(func(i int) val { return fma(x[0][i], s[i], b[i]) }, n)
		})
		mapKernel(m, "act", t, t, 1, "dst[r][c] = act(a[r][c])", "act:u32", func(c val, x [][]val) []val {
			y := each(func(i int) val { return variable(x[0][i]) }, len(x[0]))
			activate(arg("act"), y...)
			return y
		})
		mapKernel(m, "gated", t, t, 2, "dst[r][c] = act(a[r][c])·b[r][c]", "act:u32", func(c val, x [][]val) []val {
			y := each(func(i int) val { return variable(x[0][i]) }, len(x[0]))
			activate(arg("act"), y...)
			return each(func(i int) val { return mul(y[i], x[1][i]) }, len(y))
		})
		for _, from := range dtypes {
			mapKernel(m, "cast_"+string(from), from, t, 1, "dst[r][c] = a[r][c]", "", func(c val, x [][]val) []val { return x[0] })
		}
	}
}

func each(f func(i int) val, n int) []val {
	list := make([]val, n)
	for i := range list {
		list[i] = f(i)
	}
	return list
}

// mapKernel writes two entries, of one and of four columns a thread. f computes
// elements from those of the operands at column c.
func mapKernel(m *module, name string, from, to dtype, operands int, doc, more string, f func(c val, x [][]val) []val) {
	params := "dst:u64 ldd:u64 a:u64 lda:u64 "
	if operands == 2 {
		params += "b:u64 ldb:u64 "
	}
	for _, n := range []int{1, 4} {
		full := fmt.Sprintf("%s_%s_v%d", name, to, n)
		m.entry(full, mapThreads, full+": "+doc, params+more+" rows:u32 cols:u32", func() {
			c := mul(mad(special("ctaid.x"), i32(256), special("tid.x")), i32(n))
			when(lt(c, arg("cols")), func() {
				loop(special("ctaid.y"), arg("rows"), special("nctaid.y"), func(r val) {
					x := [][]val{from.get("global", at(elem(row(arg("a"), r, arg("lda"), from.size()), c, from.size()), 0), n)}
					if operands == 2 {
						x = append(x, from.get("global", at(elem(row(arg("b"), r, arg("ldb"), from.size()), c, from.size()), 0), n))
					}
					y := f(c, x)
					to.put("global", at(elem(row(arg("dst"), r, arg("ldd"), to.size()), c, to.size()), 0), y...)
				})
			})
		})
	}
}
