package ref

// Conv2DF32 is the plain statement of a convolution over channels-last data:
// x is [h, w, cin], weight is [cout, cin/groups, kh, kw] as PyTorch stores it,
// dst is [hOut, wOut, cout]. The chain of an element runs over kh, then kw,
// then the group's channels; taps in the padding take part with x = +0.
// A 1-d convolution has h = kh = strideH = 1.
func Conv2DF32(dst, x []float32, h, w, cin int, weight []float32, cout, kh, kw, groups, strideH, strideW, padT, padL, hOut, wOut, dilH, dilW int) {
	ci, co := cin/groups, cout/groups
	for oy := range hOut {
		for ox := range wOut {
			for o := range cout {
				g, s := o/co, float32(0)
				for ky := range kh {
					for kx := range kw {
						y, z := oy*strideH-padT+ky*dilH, ox*strideW-padL+kx*dilW
						for c := range ci {
							v := float32(0)
							if y >= 0 && y < h && z >= 0 && z < w {
								v = x[(y*w+z)*cin+g*ci+c]
							}
							s = FMA32(v, weight[((o*ci+c)*kh+ky)*kw+kx], s)
						}
					}
				}
				dst[(oy*wOut+ox)*cout+o] = s
			}
		}
	}
}

// DepthwiseF32 computes one pixel of a depthwise convolution, a channel a lane:
//
//	dst[i] = Σ_y Σ_z x[y*row+z*col+i]·w[(y*kw+z)*c+i]    c = len(dst)
//
// as one chain of fused multiply-adds from 0 in the order written.
func DepthwiseF32(dst, x, w []float32, kh, kw, row, col int) {
	c := len(dst)
	for i := range dst {
		s := float32(0)
		for y := range kh {
			for z := range kw {
				s = FMA32(x[y*row+z*col+i], w[(y*kw+z)*c+i], s)
			}
		}
		dst[i] = s
	}
}
