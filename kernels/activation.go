package kernels

import (
	"math"

	"github.com/seed-512d3d71/weft/internal/par"
)

type Act uint8

const (
	ActNone Act = iota
	ActGELU
	ActGELUTanh
	ActReLU
	ActSiLU
	ActQuickGELU
	ActTanh
	ActSigmoid
)

func ActF32(t *par.Team, dst, x []float32, a Act) {
	for i, v := range x {
		dst[i] = act(a, v)
	}
}
func AddF32(t *par.Team, dst, a, b []float32) {
	for i := range dst {
		dst[i] = a[i] + b[i]
	}
}
func ScaleF32(t *par.Team, dst, x []float32, s float32) {
	for i := range dst {
		dst[i] = x[i] * s
	}
}
func GatedActF32(t *par.Team, dst, g, u []float32, a Act) {
	for i := range dst {
		dst[i] = act(a, g[i]) * u[i]
	}
}
func SoftmaxF32(t *par.Team, dst, x []float32, rows, cols, ld int) {
	for r := range rows {
		m, s := math.Inf(-1), 0.0
		for _, v := range x[r*ld:][:cols] {
			m = math.Max(m, float64(v))
		}
		for _, v := range x[r*ld:][:cols] {
			s += math.Exp(float64(v) - m)
		}
		for j, v := range x[r*ld:][:cols] {
			dst[r*cols+j] = float32(math.Exp(float64(v)-m) / s)
		}
	}
}
func LayerNormF32(t *par.Team, dst []float32, ldd int, x []float32, ldx int, residual, sum, gain, bias []float32, eps float32, rows, cols int) {
	for r := range rows {
		row := x[r*ldx:][:cols]
		m, v := 0.0, 0.0
		for _, q := range row {
			m += float64(q)
		}
		m /= float64(cols)
		for _, q := range row {
			v += (float64(q) - m) * (float64(q) - m)
		}
		rs := 1 / math.Sqrt(v/float64(cols)+float64(eps))
		for j, q := range row {
			y := (float64(q) - m) * rs * float64(gain[j])
			if bias != nil {
				y += float64(bias[j])
			}
			dst[r*ldd+j] = float32(y)
		}
	}
}
func GroupNormF32(t *par.Team, dst, x []float32, T, C, groups int, gain, bias []float32, eps float32, a Act) {
	per := C / groups
	for g := range groups {
		m, v := 0.0, 0.0
		for i := range T {
			for c := g * per; c < (g+1)*per; c++ {
				m += float64(x[i*C+c])
			}
		}
		m /= float64(T * per)
		for i := range T {
			for c := g * per; c < (g+1)*per; c++ {
				v += (float64(x[i*C+c]) - m) * (float64(x[i*C+c]) - m)
			}
		}
		rs := 1 / math.Sqrt(v/float64(T*per)+float64(eps))
		for i := range T {
			for c := g * per; c < (g+1)*per; c++ {
				dst[i*C+c] = act(a, float32((float64(x[i*C+c])-m)*rs*float64(gain[c])+float64(bias[c])))
			}
		}
	}
}
func EmbeddingF32(t *par.Team, dst []float32, cols int, ids []int32, table []float32, accumulate bool) {
	for i, id := range ids {
		for j, v := range table[int(id)*cols:][:cols] {
			if accumulate {
				dst[i*cols+j] += v
			} else {
				dst[i*cols+j] = v
			}
		}
	}
}
func MeanRowsF32(dst, x []float32, ld, rows, cols int) {
	for j := range cols {
		s := 0.0
		for r := range rows {
			s += float64(x[r*ld+j])
		}
		dst[j] = float32(s / float64(rows))
	}
}

func BiasActResidualF32(dst []float32, ldd int, bias []float32, a Act, residual []float32, ldr, rows, cols int) {
	for i := range rows {
		for j := range cols {
			s := dst[i*ldd+j]
			if bias != nil {
				s += bias[j]
			}
			s = act(a, s)
			if residual != nil {
				s += residual[i*ldr+j]
			}
			dst[i*ldd+j] = s
		}
	}
}

func act(a Act, x float32) float32 {
	v := float64(x)
	switch a {
	case ActGELU:
		return float32(v * 0.5 * (1 + math.Erf(v/math.Sqrt2)))
	case ActGELUTanh:
		return float32(0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v))))
	case ActReLU:
		return max(x, 0)
	case ActSiLU:
		return float32(v / (1 + math.Exp(-v)))
	case ActQuickGELU:
		return float32(v / (1 + math.Exp(-1.702*v)))
	case ActTanh:
		return float32(math.Tanh(v))
	case ActSigmoid:
		return float32(1 / (1 + math.Exp(-v)))
	}
	return x
}
