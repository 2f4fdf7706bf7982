package nn

import (
	"fmt"
	"math"
)

// InterpolatePositions resamples position embeddings from a square grid
// [n·n, c] to [h·w, c], as torch's bicubic interpolation does (align_corners
// false, a = -0.75, edges clamped).
func InterpolatePositions(pos []float32, n, c, h, w int) ([]float32, error) {
	if n*n*c != len(pos) {
		return nil, fmt.Errorf("%d positions are no square grid to interpolate", len(pos)/c)
	}
	rows, cols := cubicTaps(n, h), cubicTaps(n, w)
	out := make([]float32, h*w*c)
	// Along the columns first, for every source row, then along the rows.
	wide := make([]float32, n*w*c)
	for y := range n {
		for x, t := range cols {
			dst := wide[(y*w+x)*c:][:c]
			for k, weight := range t.weight {
				src := pos[(y*n+t.index[k])*c:][:c]
				for i, v := range src {
					dst[i] += float32(v * weight)
				}
			}
		}
	}
	for y, t := range rows {
		for k, weight := range t.weight {
			src := wide[t.index[k]*w*c:][:w*c]
			dst := out[y*w*c:][:w*c]
			for i, v := range src {
				dst[i] += float32(v * weight)
			}
		}
	}
	return out, nil
}

// taps are the four source positions of an output position and their weights.
type taps struct {
	index  [4]int
	weight [4]float32
}

func cubicTaps(in, out int) []taps {
	scale := float32(in) / float32(out)
	list := make([]taps, out)
	for i := range list {
		at := float32(scale*(float32(i)+0.5)) - 0.5
		base := int(math.Floor(float64(at)))
		t := float64(at) - float64(base)
		for k, d := range [4]float64{1 + t, t, 1 - t, 2 - t} {
			list[i].index[k] = min(max(base-1+k, 0), in-1)
			list[i].weight[k] = float32(cubic(d))
		}
	}
	return list
}

// cubic is the convolution kernel of Keys 1981 with a = -0.75. The conversions
// keep compilers from fusing a product with the sum after it.
func cubic(x float64) float64 {
	const a = -0.75
	if x <= 1 {
		y := float64((a+2)*x) - (a + 3)
		return float64(float64(y*x)*x) + 1
	}
	y := float64(a*x) - 5*a
	y = float64(y*x) + 8*a
	return float64(y*x) - 4*a
}
