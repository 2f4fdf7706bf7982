package kernels

import (
	"fmt"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

type convCase struct {
	h, w, in, out, kh, kw, groups int
	win                           Window
}

func (c convCase) String() string {
	return fmt.Sprintf("%dx%dx%d_to_%d_k%dx%d_g%d_s%dx%d_p%d.%d.%d.%d_d%dx%d", c.h, c.w, c.in, c.out, c.kh, c.kw, c.groups,
		c.win.StrideH, c.win.StrideW, c.win.PadT, c.win.PadL, c.win.PadB, c.win.PadR, c.win.DilH, c.win.DilW)
}

func win2(stride, pad, dil int) Window {
	return Window{stride, stride, pad, pad, pad, pad, dil, dil}
}

func win1(stride, left, right, dil int) Window {
	return Window{StrideH: 1, StrideW: stride, PadL: left, PadR: right, DilH: 1, DilW: dil}
}

func convCases() []convCase {
	list := []convCase{
		// 1-d: wav2vec 2.0's layers, small.
		{1, 400, 1, 24, 1, 10, 1, win1(5, 0, 0, 1)},
		{1, 61, 32, 40, 1, 3, 1, win1(2, 0, 0, 1)},
		{1, 40, 48, 48, 1, 32, 4, win1(1, 16, 16, 1)},
		{1, 3, 8, 8, 1, 7, 2, win1(1, 3, 3, 1)},
		{1, 50, 12, 17, 1, 5, 1, win1(1, 4, 4, 3)},
		{1, 330, 4, 8, 1, 3, 1, win1(1, 2, 0, 1)},
		{1, 1, 5, 3, 1, 1, 1, win1(1, 0, 0, 1)},
		// 2-d.
		{9, 9, 16, 20, 1, 1, 1, win2(1, 0, 1)},
		{9, 7, 16, 20, 1, 1, 1, win2(2, 0, 1)},
		{8, 9, 5, 33, 3, 3, 1, win2(1, 1, 1)},
		{9, 8, 32, 16, 3, 3, 1, win2(2, 1, 1)},
		{19, 23, 3, 16, 7, 7, 1, win2(2, 3, 1)},
		{11, 12, 40, 24, 3, 3, 1, win2(1, 2, 2)},
		{7, 7, 64, 36, 3, 3, 1, win2(1, 1, 1)},
		{6, 170, 4, 20, 3, 3, 1, win2(1, 1, 1)},
		{8, 8, 16, 8, 2, 2, 1, win2(2, 0, 1)},
		{5, 5, 8, 8, 5, 5, 1, win2(1, 0, 1)},
		{4, 4, 8, 8, 3, 3, 1, win2(1, 5, 1)},
		{8, 8, 12, 24, 3, 3, 3, win2(1, 1, 1)},
		{8, 8, 6, 6, 3, 5, 2, Window{2, 1, 0, 2, 1, 1, 1, 2}},
		// depthwise, and with a multiplier.
		{8, 9, 70, 70, 3, 3, 70, win2(1, 1, 1)},
		{8, 9, 131, 131, 3, 3, 131, win2(2, 1, 1)},
		{1, 30, 15, 15, 1, 31, 15, win1(1, 15, 15, 1)},
		{6, 6, 8, 16, 3, 3, 8, win2(1, 1, 1)},
	}
	for c := 1; c <= 34; c += 3 {
		list = append(list, convCase{3, 4, c, c, 3, 3, c, win2(1, 1, 1)}, convCase{3, 4, c, c + 1, 2, 2, 1, win2(1, 1, 1)})
	}
	return list
}

func TestConvF32(t *testing.T) {
	type data struct {
		x, w, bits []float32
		f64, near  []float64
	}
	cases := convCases()
	made := make([]data, len(cases))
	for i, c := range cases {
		r := ktest.Rand(uint64(i))
		d := data{x: make([]float32, c.h*c.w*c.in), w: make([]float32, c.out*c.in/c.groups*c.kh*c.kw)}
		ktest.Fill(r, d.x)
		ktest.Fill(r, d.w)
		if i%2 == 1 {
			ktest.Sprinkle(r, d.x, 40)
			ktest.Sprinkle(r, d.w, 40)
		} else {
			d.f64, d.near = ktest.Conv2D(d.x, c.h, c.w, c.in, d.w, c.out, ktest.Window{KH: c.kh, KW: c.kw, Groups: c.groups,
				StrideH: c.win.StrideH, StrideW: c.win.StrideW, PadT: c.win.PadT, PadL: c.win.PadL, PadB: c.win.PadB, PadR: c.win.PadR, DilH: c.win.DilH, DilW: c.win.DilW})
		}
		oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
		d.bits = make([]float32, oh*ow*c.out)
		ref.Conv2DF32(d.bits, d.x, c.h, c.w, c.in, d.w, c.out, c.kh, c.kw, c.groups,
			c.win.StrideH, c.win.StrideW, c.win.PadT, c.win.PadL, oh, ow, c.win.DilH, c.win.DilW)
		made[i] = d
	}
	eachF32(t, func(t *testing.T) {
		for i, c := range cases {
			t.Run(c.String(), func(t *testing.T) {
				d := made[i]
				for _, edge := range ktest.Edges {
					x, w := ktest.GuardCopy(t, d.x, edge), ktest.GuardCopy(t, d.w, edge)
					dst := ktest.Guard[float32](t, len(d.bits), edge)
					packed := PackConvF32(w, c.out, c.in, c.kh, c.kw, c.groups)
					ConvF32(nil, dst, x, c.h, c.w, packed, c.win, Epilogue{})
					if !ktest.SameBits(t, "one thread", dst, d.bits) {
						return
					}
					if d.f64 != nil {
						ktest.Near(t, "float64", dst, d.f64, d.near)
					}
				}
			})
		}
	})
}

// TestConvF32Epilogue: bias, activation and residual of every block, on
// several threads.
func TestConvF32Epilogue(t *testing.T) {
	for _, c := range []convCase{{1, 200, 24, 36, 1, 3, 2, win1(1, 1, 1, 1)}, {20, 21, 20, 40, 3, 3, 1, win2(1, 1, 1)}, {20, 21, 20, 20, 3, 3, 20, win2(1, 1, 1)}} {
		r := ktest.Rand(7)
		x, w := make([]float32, c.h*c.w*c.in), make([]float32, c.out*c.in/c.groups*c.kh*c.kw)
		oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
		bias, residual, want := make([]float32, c.out), make([]float32, oh*ow*c.out), make([]float32, oh*ow*c.out)
		for _, v := range [][]float32{x, w, bias, residual} {
			ktest.Fill(r, v)
		}
		ref.Conv2DF32(want, x, c.h, c.w, c.in, w, c.out, c.kh, c.kw, c.groups,
			c.win.StrideH, c.win.StrideW, c.win.PadT, c.win.PadL, oh, ow, c.win.DilH, c.win.DilW)
		for i := range want {
			want[i] = max(want[i]+bias[i%c.out], 0) + residual[i]
		}
		eachF32(t, func(t *testing.T) {
			packed := PackConvF32(w, c.out, c.in, c.kh, c.kw, c.groups)
			for _, threads := range []int{1, 2, 3, 8} {
				team := par.Enter(threads)
				got := make([]float32, len(want))
				ConvF32(team, got, x, c.h, c.w, packed, c.win, Epilogue{Bias: bias, Act: ActReLU, Residual: residual, LDR: c.out})
				ktest.SameBits(t, fmt.Sprintf("%v, %d threads", c, threads), got, want)
				team.Leave()
			}
		})
	}
}

// FuzzConvF32 holds every row against ref on random geometries.
func FuzzConvF32(f *testing.F) {
	f.Add(uint64(1), uint8(9), uint8(8), uint8(5), uint8(7), uint16(0x1133), uint16(0x1111))
	f.Add(uint64(2), uint8(1), uint8(200), uint8(3), uint8(40), uint16(0x0171), uint16(0x1511))
	f.Add(uint64(3), uint8(14), uint8(7), uint8(40), uint8(20), uint16(0x2213), uint16(0x2123))
	f.Fuzz(func(t *testing.T, seed uint64, h, w, in, out uint8, kernel, window uint16) {
		r := ktest.Rand(seed)
		digit := func(x uint16, i int) int { return int(x >> (4 * i) & 15) }
		c := convCase{h: int(h)%40 + 1, w: int(w) + 1, kh: digit(kernel, 0)%8 + 1, kw: digit(kernel, 1) + 1, groups: 1}
		c.win = Window{StrideH: digit(window, 0)%3 + 1, StrideW: digit(window, 1)%5 + 1, DilH: digit(window, 2)%3 + 1, DilW: digit(window, 3)%3 + 1,
			PadT: digit(kernel, 2), PadL: digit(kernel, 3), PadB: r.IntN(4), PadR: r.IntN(20)}
		switch seed % 3 {
		case 0:
			c.groups = 1
		case 1:
			c.groups = r.IntN(5) + 1
		case 2: // depthwise
			c.groups, in, out = int(in)+1, 0, 0
		}
		c.in, c.out = (int(in)%48+1)*c.groups, (int(out)%48+1)*c.groups
		if seed%3 == 2 {
			c.in, c.out = c.groups, c.groups
		}
		oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
		if oh <= 0 || ow <= 0 || oh*ow*c.out*c.in/c.groups*c.kh*c.kw > 1<<21 {
			return
		}
		x, weight := make([]float32, c.h*c.w*c.in), make([]float32, c.out*c.in/c.groups*c.kh*c.kw)
		ktest.Fill(r, x)
		ktest.Fill(r, weight)
		ktest.Sprinkle(r, x, 60)
		ktest.Sprinkle(r, weight, 60)
		want := make([]float32, oh*ow*c.out)
		ref.Conv2DF32(want, x, c.h, c.w, c.in, weight, c.out, c.kh, c.kw, c.groups,
			c.win.StrideH, c.win.StrideW, c.win.PadT, c.win.PadL, oh, ow, c.win.DilH, c.win.DilW)
		defer install(chosen.isa)
		for _, isa := range isasF32() {
			install(isa)
			edge := ktest.Edges[r.IntN(2)]
			got := ktest.Guard[float32](t, len(want), edge)
			ConvF32(nil, got, ktest.GuardCopy(t, x, edge), c.h, c.w, PackConvF32(weight, c.out, c.in, c.kh, c.kw, c.groups), c.win, Epilogue{})
			ktest.SameBits(t, fmt.Sprint(isa, " ", c), got, want)
		}
	})
}

func BenchmarkConvF32(b *testing.B) {
	for _, isa := range isasF32()[:max(1, len(isasF32())-1)] {
		for _, c := range []convCase{
			{1, 16000, 1, 512, 1, 10, 1, win1(5, 0, 0, 1)}, {1, 3199, 512, 512, 1, 3, 1, win1(2, 0, 0, 1)}, {1, 49, 768, 768, 1, 128, 16, win1(1, 64, 64, 1)},
			{224, 224, 3, 64, 7, 7, 1, win2(2, 3, 1)}, {56, 56, 64, 64, 3, 3, 1, win2(1, 1, 1)}, {14, 14, 256, 256, 3, 3, 1, win2(1, 1, 1)},
			{56, 56, 144, 144, 3, 3, 144, win2(1, 1, 1)},
		} {
			b.Run(fmt.Sprintf("isa=%s/h=%d/w=%d/in=%d/out=%d/kernel=%dx%d/groups=%d", isa, c.h, c.w, c.in, c.out, c.kh, c.kw, c.groups), func(b *testing.B) {
				Use(b, isa)
				oh, ow := c.win.Out(c.h, c.w, c.kh, c.kw)
				x, w, dst := make([]float32, c.h*c.w*c.in), make([]float32, c.out*c.in/c.groups*c.kh*c.kw), make([]float32, oh*ow*c.out)
				packed := PackConvF32(w, c.out, c.in, c.kh, c.kw, c.groups)
				for b.Loop() {
					ConvF32(nil, dst, x, c.h, c.w, packed, c.win, Epilogue{})
				}
				b.ReportMetric(2*float64(oh*ow)*float64(len(w))*float64(b.N)/float64(b.Elapsed().Nanoseconds()), "GFLOP/s")
			})
		}
	}
}
