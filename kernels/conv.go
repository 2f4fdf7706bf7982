package kernels

import (
	"sync"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// Conv is the weight of a convolution, packed once. A 1-d convolution is a 2-d
// one of height 1.
type Conv struct {
	out, in, kh, kw, groups int
	bf16                    bool // two numbers in each of data
	// data holds, group by group, the weight [out/groups, kh·kw·in/groups] in
	// panels as Matrix does; of a depthwise convolution [kh·kw, out].
	data []float32
}

// Out returns the number of output channels.
func (c *Conv) Out() int { return c.out }

// In returns the number of input channels.
func (c *Conv) In() int { return c.in }

// Bytes returns the memory the packed weight takes.
func (c *Conv) Bytes() int { return 4 * len(c.data) }

// depthwise: a channel sees itself alone.
func (c *Conv) depthwise() bool { return c.groups == c.in && c.out == c.in && c.groups > 1 }

// pixel is the length of a pixel as the product reads it.
func (c *Conv) pixel() int {
	if c.bf16 {
		return c.groups * wordsBF16(c.in/c.groups)
	}
	return c.in
}

// depth is the length of the sum in an output element.
func (c *Conv) depth() int { return c.kh * c.kw * c.pixel() / c.groups }

// groupSize is the number of floats of data that a group takes.
func (c *Conv) groupSize() int {
	return (c.out/c.groups + panelWidth - 1) / panelWidth * panelWidth * c.depth()
}

// PackConvF32 packs w, [out, in/groups, kh, kw] as PyTorch stores it. groups
// divides in and out.
func PackConvF32(w []float32, out, in, kh, kw, groups int) *Conv {
	return packConv(w, &Conv{out: out, in: in, kh: kh, kw: kw, groups: groups})
}

func packConv(w []float32, c *Conv) *Conv {
	out, kh, kw := c.out, c.kh, c.kw
	p := &packConvTask{c: c, w: w}
	if c.depthwise() {
		c.data = make([]float32, out*c.depth())
		for o := range out {
			for tap := range kh * kw {
				c.data[tap*out+o] = w[o*kh*kw+tap]
			}
		}
		return c
	}
	c.data = newWeights(c.groups * c.groupSize())
	var t *par.Team
	if len(c.data) > 1<<18 {
		t = par.Enter(0)
		defer t.Leave()
	}
	t.Run(p, len(c.data)/(panelWidth*max(1, c.depth())))
	return c
}

// packConvTask packs one panel a chunk.
type packConvTask struct {
	c *Conv
	w []float32
}

// Do packs the rows as they are, channel by channel, and then turns the order
// of the sum into tap by tap.
func (p *packConvTask) Do(chunk int) {
	if p.c.bf16 {
		p.roundPanel(chunk)
		return
	}
	c, k := p.c, p.c.depth()
	co := c.out / c.groups
	panels := (co + panelWidth - 1) / panelWidth
	g, j := chunk/panels, chunk%panels*panelWidth
	n, panel := min(panelWidth, co-j), c.data[chunk*panelWidth*k:][:panelWidth*k]
	taps, ci := c.kh*c.kw, c.in/c.groups
	if taps == 1 || ci == 1 {
		packRows(panel, 0, 0, p.w[(g*co+j)*k:], k, k, n)
		return
	}
	scratch := scratches.Get().(*scratch)
	asIs := grow(&scratch.b, panelWidth*k)
	clear(asIs)
	packRows(asIs, 0, 0, p.w[(g*co+j)*k:], k, k, n)
	for ch := range ci {
		for tap := range taps {
			copy(panel[(tap*ci+ch)*panelWidth:][:panelWidth], asIs[(ch*taps+tap)*panelWidth:])
		}
	}
	scratches.Put(scratch)
}

// Window is the geometry of a convolution.
type Window struct {
	StrideH, StrideW       int
	PadT, PadL, PadB, PadR int // zeros around the picture
	DilH, DilW             int // distance of the kernel's taps
}

// Out returns the size of the output of a kh by kw kernel on h by w pixels;
// zero or less if they are too few.
func (g Window) Out(h, w, kh, kw int) (oh, ow int) {
	return outSize(h+g.PadT+g.PadB, g.DilH*(kh-1)+1, g.StrideH), outSize(w+g.PadL+g.PadR, g.DilW*(kw-1)+1, g.StrideW)
}

func outSize(n, reach, stride int) int {
	if n < reach {
		return 0
	}
	return (n-reach)/stride + 1
}

// plan checks the operands of a convolution, of so many elements, and returns
// the sizes to compute it with, oh = 0 if nothing comes out. Where a window is
// one pixel the picture is one long row.
func (win Window) plan(dst, x, h, w, kh, kw, in, out int) (ph, pw, oh, ow int) {
	oh, ow = win.Out(h, w, kh, kw)
	if oh <= 0 || ow <= 0 || out == 0 {
		return 0, 0, 0, 0
	}
	if x < h*w*in || dst < oh*ow*out {
		panic("kernels: short operand of a convolution")
	}
	if kh == 1 && kw == 1 && win == (Window{StrideH: 1, StrideW: 1, DilH: win.DilH, DilW: win.DilW}) {
		return 1, h * w, 1, oh * ow
	}
	return h, w, oh, ow
}

// ConvF32 convolves channels-last data:
//
//	dst[y][x][o] = act(Σ_ky Σ_kx Σ_c in[y·sh-padT+ky·dh][x·sw-padL+kx·dw][c]·w[o][c][ky][kx] + bias[o]) + residual[y][x][o]
//
// where c runs over the channels of o's group. Shapes: x [h, w, in], dst
// [oh, ow, out] (see Window.Out), the epilogue's residual [oh·ow, out]. dst may
// not alias x. The sum is one chain of fused multiply-adds from 0 in the order
// written; taps in the padding take part as +0. It is a product of overlapping
// rows of x with the packed weight: x is read in place, except near the padding
// and if there are groups. Winograd's algorithm would break the chain.
func ConvF32(t *par.Team, dst, x []float32, h, w int, c *Conv, win Window, ep Epilogue) {
	h, w, oh, ow := win.plan(len(dst), len(x), h, w, c.kh, c.kw, c.in, c.out)
	if oh == 0 {
		return
	}
	task := convTasks.Get().(*convTask)
	*task = convTask{dst: dst, x: x, h: h, w: w, oh: oh, ow: ow, c: c, win: win, ep: ep}
	task.divide(t.Threads())
	chunks := task.blocksY * task.blocksX * task.across
	if !c.depthwise() {
		chunks *= c.groups
	}
	if oh*ow*c.out*c.depth() <= splitWork {
		t = nil
	}
	if c.bf16 {
		r := roundTasks.Get().(*roundTask)
		defer roundTasks.Put(r)
		task.x = r.pixels(t, x, h*w, c)
	}
	t.Run(task, chunks)
	*task = convTask{}
	convTasks.Put(task)
}

// convTask is one ConvF32. A chunk is a block of output pixels by a range of
// panels of one group's output channels.
type convTask struct {
	dst, x           []float32
	h, w, oh, ow     int
	c                *Conv
	win              Window
	ep               Epilogue
	bh, bw           int // output pixels of a block
	blocksY, blocksX int
	panels, across   int // of a chunk, chunks across a group
}

var convTasks = sync.Pool{New: func() any { return new(convTask) }}

// divide sets the blocks: about blockRows pixels whose input stays in L2, and
// several chunks for every thread.
func (g *convTask) divide(threads int) {
	most := blockRows(longestK)
	panels := (g.c.out/g.c.groups + panelWidth - 1) / panelWidth
	if g.c.depthwise() {
		panels = 1
	}
	for {
		g.blocksX = (g.ow + most - 1) / most
		g.bw = min(g.ow, ((g.ow+g.blocksX-1)/g.blocksX+7)&^7)
		g.bh = 1 // rows of a block that does not span the picture would not join
		if g.bw == g.ow {
			g.bh = max(1, most/g.bw)
		}
		g.blocksY = (g.oh + g.bh - 1) / g.bh
		g.bh = (g.oh + g.blocksY - 1) / g.blocksY
		g.blocksX, g.blocksY = (g.ow+g.bw-1)/g.bw, (g.oh+g.bh-1)/g.bh
		rows, cols := g.reach(g.bh, g.bw)
		if most <= 24 || 4*rows*cols*g.c.pixel()/g.c.groups <= cpu.l2/2 {
			break
		}
		most /= 2
	}
	g.panels, g.across = panels, 1
	if blocks := g.blocksY * g.blocksX * g.c.groups; threads > 1 && blocks < 4*threads {
		across := min((4*threads+blocks-1)/blocks, panels)
		g.panels = (panels + across - 1) / across
		g.across = (panels + g.panels - 1) / g.panels
	}
}

// reach returns the size of the input that h by w output pixels see.
func (g *convTask) reach(h, w int) (rows, cols int) {
	return (h-1)*g.win.StrideH + (g.c.kh-1)*g.win.DilH + 1, (w-1)*g.win.StrideW + (g.c.kw-1)*g.win.DilW + 1
}

// patch is the input of a block: rows of pixels of ch channels.
type patch struct {
	x     []float32
	row   int // floats from row to row
	pixel int // and from pixel to pixel
}

// input returns what the block at output pixel (y, x) sees of channels
// [c0, c0+ch): a part of the picture in place if that is possible, else a copy
// with zeros for the padding.
func (g *convTask) input(y, x, h, w, c0, ch int, scratch *scratch) patch {
	rows, cols := g.reach(h, w)
	y, x = y*g.win.StrideH-g.win.PadT, x*g.win.StrideW-g.win.PadL
	in := g.c.pixel()
	if ch == in && y >= 0 && x >= 0 && y+rows <= g.h && x+cols <= g.w {
		return patch{g.x[(y*g.w+x)*in:], g.w * in, in}
	}
	to := grow(&scratch.a, rows*cols*ch)
	left, right := min(max(0, -x), cols), max(0, min(cols, g.w-x))
	for r := range rows {
		line := to[r*cols*ch:][:cols*ch]
		if y+r < 0 || y+r >= g.h || left >= right {
			clear(line)
			continue
		}
		clear(line[:left*ch])
		clear(line[right*ch:])
		from := g.x[((y+r)*g.w+x+left)*in+c0:]
		line = line[left*ch : right*ch]
		if ch == in {
			copy(line, from)
		} else {
			copyRows(line, ch, from, in, right-left, ch)
		}
	}
	return patch{to, cols * ch, ch}
}

// Do computes one chunk.
func (g *convTask) Do(chunk int) {
	at, across := chunk/g.across, chunk%g.across
	y, x := at/g.blocksX%g.blocksY*g.bh, at%g.blocksX*g.bw
	h, w := min(g.bh, g.oh-y), min(g.bw, g.ow-x)
	scratch := scratches.Get().(*scratch)
	if g.c.depthwise() {
		g.depthwise(y, x, h, w, scratch)
	} else {
		g.product(y, x, h, w, at/g.blocksX/g.blocksY, across*g.panels, scratch)
	}
	scratches.Put(scratch)
}

// fewTap is the length of a tap, in floats, below which the taps of each pixel
// are copied together, to spare the micro-kernel short calls.
const fewTap = 96

// product computes the h by w pixels at (y, x) and panels j0 … of a group.
func (g *convTask) product(y, x, h, w, group, j0 int, scratch *scratch) {
	c := g.c
	ci, co, k := c.pixel()/c.groups, c.out/c.groups, c.depth()
	in := g.input(y, x, h, w, group*ci, ci, scratch)
	j1 := min(j0+g.panels, (co+panelWidth-1)/panelWidth)
	out := y*g.ow + x
	weight := c.data[group*c.groupSize():]
	s := strip{ldd: c.out, rows: h * w, seg: w, ldb: k * panelWidth, bf16: c.bf16}
	// Taps that lie side by side are one.
	taps, length := c.kh*c.kw, ci
	if g.win.DilW == 1 || c.kw == 1 {
		taps, length = c.kh, c.kw*ci
	}
	offset := func(tap int) int {
		if taps == c.kh {
			return tap * g.win.DilH * in.row
		}
		return tap/c.kw*g.win.DilH*in.row + tap%c.kw*g.win.DilW*in.pixel
	}
	step, together := blockK(s.rows, length), 1
	if taps > 1 && length < fewTap {
		together = min(taps, 4*fewTap/length)
	}
	// The pixels' taps are copied side by side where taps are short, and where
	// tiles that end with the picture's rows would be thin.
	gather := together > 1 || h > 1 && s.kernel().thinTiles(w, s.rows)
	for ; j0 < j1; j0 += groupPanels {
		s.panels = min(groupPanels, j1-j0)
		s.cols = min((j0+s.panels)*panelWidth, co) - j0*panelWidth
		s.dst = g.dst[out*c.out+group*co+j0*panelWidth:]
		for tap := 0; tap < taps; tap += together {
			n := min(together, taps-tap)
			for p := 0; p < length; p += step {
				piece := min(step, length-p) // all of a tap if there are several
				s.k, s.add = n*piece, tap+p > 0
				if gather {
					s.lda, s.seg = s.k, 0
					s.a = grow(&scratch.b, s.rows*s.k)
					for r := range h {
						from := in.x[r*g.win.StrideH*in.row+p:]
						for t := range n {
							copyRows(s.a[r*w*s.k+t*piece:], s.k, from[offset(tap+t):], g.win.StrideW*in.pixel, w, piece)
						}
					}
				} else {
					s.a, s.lda, s.segStride = in.x[offset(tap)+p:], g.win.StrideW*in.pixel, g.win.StrideH*in.row
				}
				s.b = weight[(j0*k+tap*length+p)*panelWidth:]
				s.next = s.b[s.k*panelWidth:]
				s.run()
			}
		}
		from := group*co + j0*panelWidth
		g.ep.apply(g.dst, c.out, out, out+s.rows, from, from+s.cols)
	}
}

// depthwise computes the h by w pixels at (y, x).
func (g *convTask) depthwise(y, x, h, w int, scratch *scratch) {
	c, run := g.c, depthwiseF32.active
	in := g.input(y, x, h, w, 0, c.in, scratch)
	row, col, out := g.win.DilH*in.row, g.win.DilW*in.pixel, y*g.ow+x
	for i := range h * w {
		to, from := g.dst[(out+i)*c.out:][:c.out], in.x[i/w*g.win.StrideH*in.row+i%w*g.win.StrideW*in.pixel:]
		if run == nil {
			ref.DepthwiseF32(to, from, c.data, c.kh, c.kw, row, col)
		} else {
			run(&to[0], &from[0], &c.data[0], c.out, c.kh, c.kw, row, col)
		}
	}
	g.ep.apply(g.dst, c.out, out, out+h*w, 0, c.out)
}

// depthwiseRow computes one pixel; see the stubs of kernels/amd64. nil: ref.
type depthwiseRow func(dst, x, w *float32, c, kh, kw, row, col int)
