package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// QConv is the weight of a convolution in 8 bits, with a scale for each output
// and tap of the window, packed once.
type QConv struct {
	out, in, kh, kw, groups int
	// w stacks the weights [out/groups, in/groups] of each group and tap, filled
	// up to whole pairs of panels.
	w *QMatrix
}

// Out returns the number of output channels.
func (c *QConv) Out() int { return c.out }

// In returns the number of input channels.
func (c *QConv) In() int { return c.in }

// Bytes returns the memory the packed weight takes.
func (c *QConv) Bytes() int { return c.w.Bytes() }

// leastQConv is the number of channels of a group from which on 8 bits pay:
// the sum of a tap is scaled and added to those before it.
const leastQConv = 32

// QuantizeConvF32 quantizes w, [out, in/groups, kh, kw] as PyTorch stores it,
// each output and tap by ref.QuantizeS8. groups divides in and out. It returns
// nil if the groups have too few channels for it to pay: [PackConvF32] is for
// those.
func QuantizeConvF32(w []float32, out, in, kh, kw, groups int) *QConv {
	if in/groups < leastQConv || in/groups > MaxQuantK {
		return nil
	}
	c := &QConv{out: out, in: in, kh: kh, kw: kw, groups: groups}
	c.w = newQMatrix(W8A8, groups*kh*kw*c.stride(), in/groups, 0)
	task := &packQConvTask{c, w}
	var t *par.Team
	if len(c.w.data) > 1<<18 {
		t = par.Enter(0)
		defer t.Leave()
	}
	t.Run(task, out)
	c.w.narrow = c.w.isNarrow()
	return c
}

// stride is the number of rows of w for a tap of a group.
func (c *QConv) stride() int { return (c.out/c.groups + pairWidth - 1) / pairWidth * pairWidth }

// packQConvTask packs one output channel a chunk.
type packQConvTask struct {
	c *QConv
	w []float32
}

func (p *packQConvTask) Do(o int) {
	c := p.c
	ci, co, taps := c.in/c.groups, c.out/c.groups, c.kh*c.kw
	row, q := make([]float32, ci), make([]int8, ci)
	for tap := range taps {
		for ch := range row {
			row[ch] = p.w[(o*ci+ch)*taps+tap]
		}
		scale := ref.QuantizeS8(q, row)
		c.w.place((o/co*taps+tap)*c.stride()+o%co, q, []float32{scale})
	}
}

// ConvQ is [ConvF32] by a quantized weight:
//
//	dst[y][x][o] = act(Σ_ky Σ_kx s[iy][ix]·sw[o][ky][kx]·float32(Σ_c (q[iy][ix][c]-z[iy][ix])·qw[o][c][ky][kx]) + bias[o]) + residual[y][x][o]
//
// with iy, ix = y·sh-padT+ky·dh, x·sw-padL+kx·dw. The channels of each pixel,
// or of its part of a group, are quantized by ref.QuantizeU8 with a scale s and
// a zero point z of their own, so that no pixel's depend on another. The inner
// sums are exact; the outer one is a chain of fused multiply-adds from 0, in
// the order written, of the sums and the products of their two scales. Taps in
// the padding take part as +0.
func ConvQ(t *par.Team, dst, x []float32, h, w int, c *QConv, win Window, ep Epilogue) {
	h, w, oh, ow := win.plan(len(dst), len(x), h, w, c.kh, c.kw, c.in, c.out)
	if oh == 0 {
		return
	}
	g := igemmTasks.Get().(*igemmTask)
	g.x, g.ldx, g.h, g.w, g.win = x, c.in, h, w, win
	g.high = (oh-1)*win.StrideH + (c.kh-1)*win.DilH + 1
	g.wide = ow + (c.kw-1)*win.DilW/win.StrideW
	g.phases, g.skip = min(win.StrideW, (c.kw-1)*win.DilW+1), min(win.StrideH, (c.kh-1)*win.DilH+1)
	g.k, g.n, g.m, g.ow, g.oh = c.in/c.groups, c.out/c.groups, oh*ow, ow, win.StrideH*g.phases*g.wide
	g.groups, g.weight, g.row, g.panels = c.groups, c.w, c.w.row(), c.stride()/panelWidth
	g.taps = g.taps[:0]
	for ky := range c.kh {
		for kx := range c.kw {
			right := kx * win.DilW
			g.taps = append(g.taps, (ky*win.DilH*g.phases+right%win.StrideW)*g.wide+right/win.StrideW)
		}
	}
	g.dst, g.ldd, g.ep = dst, c.out, ep
	g.quantize(t)
	g.product(t)
	igemmTasks.Put(g)
}
