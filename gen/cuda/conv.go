package main

import "fmt"

// convKernels writes the convolutions, channels last.
func convKernels(m *module) {
	convolution(m, newTile(64, "f32", "f32", 4))
	for _, in := range dtypes {
		outs := []dtype{in, "f32"}
		if in == "f32" {
			outs = outs[:1]
		}
		for _, out := range outs {
			convolution(m, newTile(64, in, out, 1))
			depthwise(m, in, out)
		}
	}
}

const convParams = "x:u64 weight:u64 h:u32 w:u32 ins:u32 outs:u32 kh:u32 kw:u32 groups:u32 ow:u32 pixels:u32 " +
	"sh:u32 sw:u32 padT:u32 padL:u32 dh:u32 dw:u32" + epilogueParams

// split is n/by and n%by.
func split(n, by val) (q, r val) {
	q = div(n, by)
	return q, sub(n, mul(q, by))
}

// convolution writes a convolution as a product: row i of A holds the taps of
// pixel i, read where they lie.
func convolution(m *module, g *tile) {
	name := fmt.Sprintf("conv_%s_%s_v%d", g.in, g.out, g.n)
	m.entry(name, [3]int{256, 1, 1}, fmt.Sprintf(`
%s: a block computes 64 pixels i from blockIdx.x and 64 channels o from
blockIdx.y of the group blockIdx.z; with (ky, kx, c) = p and y, x = i/ow, i%%ow
	a[i][p] = x[y·sh-padT+ky·dh][x·sw-padL+kx·dw][c], 0 in the padding
	dst[i][o] = act(Σ_p a[i][p]·weight[o][p] + bias[o]) + residual[i][o]`, name), convParams, func() {
		g.begin()
		m0, n0, group := mul(special("ctaid.x"), i32(64)), mul(special("ctaid.y"), i32(64)), special("ctaid.z")
		ci, co := div(arg("ins"), arg("groups")), div(arg("outs"), arg("groups"))
		depth := mul(mul(arg("kh"), arg("kw")), ci)
		current["depth"] = depth
		first := mul(group, co) // channel of the group

		// The rows of the weight.
		r, p := g.slot()
		o := add(n0, r)
		weights := elem(arg("weight"), mul(wide(add(first, o)), wide(depth)), g.in.size())
		inside := lt(o, co)
		loadB := func(p0 val, into []val) { g.fetch(weights, add(p0, p), inside, depth, into) }

		// The pixels.
		pixel := add(m0, r)
		oy, ox := split(pixel, arg("ow"))
		top := sub(mul(oy, arg("sh")), arg("padT"))
		left := sub(mul(ox, arg("sw")), arg("padL"))
		there := lt(pixel, arg("pixels"))
		from := elem(arg("x"), mul(group, ci), g.in.size())
		loadA := func(p0 val, into []val) {
			tap := func(p val) (address, in val) {
				t, c := split(p, ci)
				ky, kx := split(t, arg("kw"))
				// A negative place is large without its sign.
				y, x := mad(ky, arg("dh"), top), mad(kx, arg("dw"), left)
				in = and(and(lt(y, arg("h")), lt(x, arg("w"))), and(there, lt(p, depth)))
				line := row(from, mad(y, arg("w"), x), wide(arg("ins")), g.in.size())
				return elem(line, c, g.in.size()), in
			}
			p := add(p0, p)
			for _, v := range into {
				set(v, flt(0))
			}
			if g.n == 4 {
				address, in := tap(p)
				predicated(in, func() { loadInto("global", f32, into, at(address, 0)) })
				return
			}
			for j, v := range into {
				address, in := tap(add(p, i32(j)))
				when(in, func() { set(v, g.in.one(at(address, 0))) })
			}
		}
		g.run(loadA, loadB, false)
		g.finish(m0, n0, arg("pixels"), co, first)
	})
}

func depthwise(m *module, in, out dtype) {
	name := fmt.Sprintf("depthwise_%s_%s", in, out)
	m.entry(name, mapThreads, name+`: a thread a channel c, of pixels y, x a grid's height apart
	dst[y][x][c] = act(Σ x[y·sh-padT+ky·dh][x·sw-padL+kx·dw][c]·weight[c][ky][kx] + bias[c]) + residual[y][x][c]`,
		convParams, func() {
			c := mad(special("ctaid.x"), i32(256), special("tid.x"))
			when(lt(c, arg("outs")), func() {
				taps := mul(arg("kh"), arg("kw"))
				weights := elem(arg("weight"), mul(wide(c), wide(taps)), in.size())
				cols := wide(arg("ins"))
				loop(special("ctaid.y"), arg("pixels"), special("nctaid.y"), func(pixel val) {
					oy, ox := split(pixel, arg("ow"))
					top := sub(mul(oy, arg("sh")), arg("padT"))
					left := sub(mul(ox, arg("sw")), arg("padL"))
					y := variable(flt(0))
					loop(i32(0), taps, i32(1), func(tap val) {
						ky, kx := split(tap, arg("kw"))
						iy, ix := mad(ky, arg("dh"), top), mad(kx, arg("dw"), left)
						when(and(lt(iy, arg("h")), lt(ix, arg("w"))), func() {
							p := row(arg("x"), mad(iy, arg("w"), ix), cols, in.size())
							accumulate(y, in.one(at(elem(p, c, in.size()), 0)), in.one(at(elem(weights, tap, in.size()), 0)))
						})
					})
					storeElement(out, pixel, c, y, ne(arg("bias"), i64(0)), ne(arg("residual"), i64(0)))
				})
			})
		})
}
