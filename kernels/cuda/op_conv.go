package cuda

// Conv is a convolution of a picture X [H, W, Ins], channels last and dense:
//
//	Dst[y][x][o] = act(Σ_ky Σ_kx Σ_c X[y·sh-padT+ky·dh][x·sw-padL+kx·dw][c]·w + bias[o]) + residual
//
// where c runs over the channels of o's group and w is element
// ((o·KH + ky)·KW + kx)·(Ins/Groups) + c of Weight. Taps in the padding are 0.
// Dst is [OH·OW, Outs]. X and the weight are of type In, Dst and the residual
// of type Out: F32, or In. A 1-d convolution has H = KH = 1.
type Conv struct {
	Dst       Mat
	X, Weight Ptr
	H, W      int
	Ins, Outs int
	KH, KW    int
	Groups    int
	Window    Window
	In, Out   Type
	Epilogue
}

var (
	convKernels = byOut(func(in, out Type) Kernel {
		return Kernel{"conv_sm75", "conv_" + in.String() + "_" + out.String() + "_v1"}
	})
	convMMA = byOut(func(in, out Type) Kernel {
		return Kernel{"gemm_mma_sm80", "conv_" + in.String() + "_" + out.String() + "_64x64"}
	})
	convWhole        = Kernel{"conv_sm75", "conv_f32_f32_v4"}
	depthwiseKernels = byOut(func(in, out Type) Kernel {
		return Kernel{"conv_sm75", "depthwise_" + in.String() + "_" + out.String()}
	})
)

// Convolve computes c.
func Convolve(q Queue, c *Conv) {
	oh, ow := c.Window.Out(c.H, c.W, c.KH, c.KW)
	if oh <= 0 || ow <= 0 || c.Outs <= 0 {
		return
	}
	if c.asProduct(q, oh*ow) {
		return
	}
	g := c.Window
	a := q.Args().Ptr(c.X).Ptr(c.Weight).I32(c.H).I32(c.W).I32(c.Ins).I32(c.Outs).I32(c.KH).I32(c.KW).I32(c.Groups).
		I32(ow).I32(oh * ow).I32(g.StrideH).I32(g.StrideW).I32(g.PadT).I32(g.PadL).I32(g.DilH).I32(g.DilW).
		Mat(c.Dst).Ptr(c.Bias).Mat(c.Residual).I32(int(c.Act))
	in, float := c.In.memory(), flag(c.Out == F32)
	if c.Groups == c.Ins && c.Outs == c.Ins && c.Groups > 1 {
		q.Launch(depthwiseKernels[in][float], Dim{ceil(c.Outs, mapThreads), min(oh*ow, maxGrid), 1}, Dim{mapThreads, 1, 1}, 0, a)
		return
	}
	if q.Target() >= 80 && in != F32 && c.Ins/c.Groups%8 == 0 && c.X%16 == 0 && c.Weight%16 == 0 {
		mmaTiles[0].launch(q, convMMA[in][float], oh*ow, c.Outs/c.Groups, c.Groups, a)
		return
	}
	k := convKernels[in][float]
	if in == F32 && c.Ins/c.Groups%4 == 0 && c.X%16 == 0 && c.Weight%16 == 0 {
		k = convWhole
	}
	q.Launch(k, Dim{ceil(oh*ow, 64), ceil(c.Outs/c.Groups, 64), c.Groups}, Dim{256, 1, 1}, 0, a)
}

// asProduct computes c as a product if its taps lie as a matrix's rows do: rows
// of a 1-d convolution overlap, and taps of one pixel are one.
func (c *Conv) asProduct(q Queue, rows int) bool {
	g := c.Window
	if c.Groups != 1 || g.PadT|g.PadL|g.PadB|g.PadR != 0 {
		return false
	}
	step := 0
	switch {
	case c.KH == 1 && c.KW == 1 && g.StrideH == 1 && g.StrideW == 1:
		step = c.Ins
	case c.H == 1 && c.KH == 1 && (c.KW == 1 || g.DilW == 1):
		step = g.StrideW * c.Ins
	default:
		return false
	}
	k := c.KW * c.Ins
	MatMul(q, &Gemm{Dst: c.Dst, A: Mat{c.X, step}, B: Mat{c.Weight, k}, M: rows, N: c.Outs, K: k,
		In: c.In, Out: c.Out, Epilogue: c.Epilogue})
	return true
}
