package kernels

import (
	"fmt"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// refConvQ states ConvQ without an epilogue.
func refConvQ(c convCase, x, w []float32) []float32 {
	oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
	ci, co, taps := c.in/c.groups, c.out/c.groups, c.kh*c.kw
	qw, sw := make([]int8, len(w)), make([]float32, c.out*taps) // [out, taps, ci]
	row := make([]float32, ci)
	for i := range sw {
		for ch := range row {
			row[ch] = w[(i/taps*ci+ch)*taps+i%taps]
		}
		sw[i] = ref.QuantizeS8(qw[i*ci:][:ci], row)
	}
	qx := make([]uint8, len(x))
	sx, zx := make([]float32, c.h*c.w*c.groups), make([]int32, c.h*c.w*c.groups)
	for i := range sx {
		sx[i], zx[i] = ref.QuantizeU8(qx[i*ci:][:ci], x[i*ci:][:ci])
	}
	dst := make([]float32, oh*ow*c.out)
	for i := range dst {
		o := i % c.out
		y, x := i/c.out/ow*c.win.StrideH-c.win.PadT, i/c.out%ow*c.win.StrideW-c.win.PadL
		for tap := range taps {
			iy, ix := y+tap/c.kw*c.win.DilH, x+tap%c.kw*c.win.DilW
			sum, scale := int32(0), float32(0)
			if iy >= 0 && iy < c.h && ix >= 0 && ix < c.w {
				at := (iy*c.w+ix)*c.groups + o/co
				scale = sx[at]
				for ch := range ci {
					sum += (int32(qx[at*ci+ch]) - zx[at]) * int32(qw[(o*taps+tap)*ci+ch])
				}
			}
			dst[i] = ref.FMA32(float32(sum), float32(scale*sw[o*taps+tap]), dst[i])
		}
	}
	return dst
}

// quantConvCases are those of ConvF32 with enough channels.
func quantConvCases() []convCase {
	list := convCases()
	for i := range list {
		for list[i].in/list[i].groups < leastQConv {
			list[i].in *= 4
		}
		list[i].h, list[i].w = min(list[i].h, 12), min(list[i].w, 90)
	}
	return append(list, convCase{1, 37, 64, 80, 1, 5, 1, win1(3, 2, 9, 2)}, convCase{1, 30, 2 * 48, 2 * 48, 1, 16, 2, win1(1, 8, 7, 1)},
		convCase{7, 9, 33, 7, 3, 2, 1, Window{3, 2, 1, 1, 0, 2, 2, 3}})
}

// TestConvQ holds every row against ref, between forbidden pages.
func TestConvQ(t *testing.T) {
	cases := quantConvCases()
	xs, ws, wants := make([][]float32, len(cases)), make([][]float32, len(cases)), make([][]float32, len(cases))
	for i, c := range cases {
		r := ktest.Rand(uint64(i))
		xs[i], ws[i] = make([]float32, c.h*c.w*c.in), make([]float32, c.out*c.in/c.groups*c.kh*c.kw)
		ktest.Fill(r, xs[i])
		ktest.Fill(r, ws[i])
		if i%3 == 1 {
			ktest.Sprinkle(r, xs[i], 3000)
		}
		clear(xs[i][:c.in/c.groups]) // a pixel of zeros
		wants[i] = refConvQ(c, xs[i], ws[i])
	}
	eachIgemm(t, func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				edge := ktest.Edges[i%2]
				packed := QuantizeConvF32(ws[i], c.out, c.in, c.kh, c.kw, c.groups)
				packed.w.data, packed.w.scale, packed.w.sums = ktest.GuardCopy(t, packed.w.data, edge), ktest.GuardCopy(t, packed.w.scale, edge), ktest.GuardCopy(t, packed.w.sums, edge)
				dst := ktest.Guard[float32](t, len(wants[i]), edge)
				ConvQ(nil, dst, ktest.GuardCopy(t, xs[i], edge), c.h, c.w, packed, c.win, Epilogue{})
				ktest.SameBits(t, "ConvQ", dst, wants[i])
			})
		}
	})
}

// TestConvQEpilogue: bias, activation and residual of every block, on several
// threads.
func TestConvQEpilogue(t *testing.T) {
	for _, c := range []convCase{{1, 200, 96, 36, 1, 3, 2, win1(1, 1, 1, 1)}, {20, 21, 32, 40, 3, 3, 1, win2(1, 1, 1)}, {20, 21, 64, 70, 1, 1, 1, win2(2, 0, 1)}, {9, 8, 64, 70, 1, 1, 1, win2(1, 0, 1)}} {
		r := ktest.Rand(7)
		oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
		x, w := make([]float32, c.h*c.w*c.in), make([]float32, c.out*c.in/c.groups*c.kh*c.kw)
		bias, residual := make([]float32, c.out), make([]float32, oh*ow*c.out)
		for _, v := range [][]float32{x, w, bias, residual} {
			ktest.Fill(r, v)
		}
		want := refConvQ(c, x, w)
		for i := range want {
			want[i] = max(want[i]+bias[i%c.out], 0) + residual[i]
		}
		eachIgemm(t, func(t *testing.T) {
			packed := QuantizeConvF32(w, c.out, c.in, c.kh, c.kw, c.groups)
			for _, threads := range []int{1, 2, 3, 8} {
				team := par.Enter(threads)
				got := make([]float32, len(want))
				ConvQ(team, got, x, c.h, c.w, packed, c.win, Epilogue{Bias: bias, Act: ActReLU, Residual: residual, LDR: c.out})
				ktest.SameBits(t, fmt.Sprintf("%v, %d threads", c, threads), got, want)
				team.Leave()
			}
		})
	}
}

func TestConvQAllocs(t *testing.T) {
	c := convCase{1, 60, 64, 48, 1, 3, 1, win1(2, 1, 1, 1)}
	x, w := make([]float32, c.w*c.in), make([]float32, c.out*c.in*c.kw)
	oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
	dst, packed := make([]float32, oh*ow*c.out), QuantizeConvF32(w, c.out, c.in, c.kh, c.kw, c.groups)
	if got := testing.AllocsPerRun(10, func() { ConvQ(nil, dst, x, c.h, c.w, packed, c.win, Epilogue{}) }); got > 0 {
		t.Errorf("%v allocations", got)
	}
	if QuantizeConvF32(w, c.out, 8, 1, 3, 1) != nil {
		t.Error("a convolution of 8 channels was quantized")
	}
}

// FuzzConvQ holds every row against ref on random geometries.
func FuzzConvQ(f *testing.F) {
	f.Add(uint64(1), uint8(9), uint8(8), uint8(5), uint8(7), uint16(0x1133), uint16(0x1111))
	f.Add(uint64(2), uint8(1), uint8(200), uint8(3), uint8(40), uint16(0x0171), uint16(0x1511))
	f.Add(uint64(3), uint8(14), uint8(7), uint8(40), uint8(20), uint16(0x2213), uint16(0x2123))
	f.Fuzz(func(t *testing.T, seed uint64, h, w, in, out uint8, kernel, window uint16) {
		r := ktest.Rand(seed)
		digit := func(x uint16, i int) int { return int(x >> (4 * i) & 15) }
		c := convCase{h: int(h)%40 + 1, w: int(w) + 1, kh: digit(kernel, 0)%8 + 1, kw: digit(kernel, 1) + 1, groups: r.IntN(4) + 1}
		c.win = Window{StrideH: digit(window, 0)%3 + 1, StrideW: digit(window, 1)%5 + 1, DilH: digit(window, 2)%3 + 1, DilW: digit(window, 3)%3 + 1,
			PadT: digit(kernel, 2), PadL: digit(kernel, 3), PadB: r.IntN(4), PadR: r.IntN(20)}
		c.in, c.out = (int(in)%48+leastQConv)*c.groups, (int(out)%48+1)*c.groups
		oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
		if oh <= 0 || ow <= 0 || oh*ow*c.out*c.in/c.groups*c.kh*c.kw > 1<<21 {
			return
		}
		x, weight := make([]float32, c.h*c.w*c.in), make([]float32, c.out*c.in/c.groups*c.kh*c.kw)
		ktest.Fill(r, x)
		ktest.Fill(r, weight)
		ktest.Sprinkle(r, x, 4000)
		want := refConvQ(c, x, weight)
		defer install(chosen.isa)
		for _, isa := range ISAs() {
			install(isa)
			edge := ktest.Edges[r.IntN(2)]
			got := ktest.Guard[float32](t, len(want), edge)
			ConvQ(nil, got, ktest.GuardCopy(t, x, edge), c.h, c.w, QuantizeConvF32(weight, c.out, c.in, c.kh, c.kw, c.groups), c.win, Epilogue{})
			ktest.SameBits(t, fmt.Sprint(isa, " ", c), got, want)
		}
	})
}

func BenchmarkConvQ(b *testing.B) {
	for _, isa := range ISAs()[:max(1, len(ISAs())-1)] {
		for _, c := range []convCase{
			{1, 3199, 512, 512, 1, 3, 1, win1(2, 0, 0, 1)}, {1, 49, 768, 768, 1, 128, 16, win1(1, 64, 64, 1)},
			{56, 56, 64, 64, 3, 3, 1, win2(1, 1, 1)}, {14, 14, 256, 256, 3, 3, 1, win2(1, 1, 1)}, {14, 14, 1024, 256, 1, 1, 1, win2(1, 0, 1)},
		} {
			b.Run(fmt.Sprintf("isa=%s/h=%d/w=%d/in=%d/out=%d/kernel=%dx%d/groups=%d", isa, c.h, c.w, c.in, c.out, c.kh, c.kw, c.groups), func(b *testing.B) {
				Use(b, isa)
				oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
				x, w, dst := benchData(c.h*c.w*c.in), benchData(c.out*c.in/c.groups*c.kh*c.kw), make([]float32, oh*ow*c.out)
				packed := QuantizeConvF32(w, c.out, c.in, c.kh, c.kw, c.groups)
				for b.Loop() {
					ConvQ(nil, dst, x, c.h, c.w, packed, c.win, Epilogue{})
				}
				b.ReportMetric(2*float64(oh*ow)*float64(len(w))*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GOP/s")
			})
		}
	}
}
