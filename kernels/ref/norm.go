package ref

import "math"

// SoftmaxF32 is e^(x[j]-max) times the rounded reciprocal of their sum, which
// is taken in lanes. A row that is all -Inf, or has +Inf or NaN, is all NaN.
// dst may be x.
func SoftmaxF32(dst, x []float32) {
	m := MaxF32(x)
	for j, v := range x {
		dst[j] = Exp(v - m)
	}
	inv := 1 / SumF32(dst[:len(x)])
	for j := range x {
		dst[j] *= inv
	}
}

// LayerNormF32 normalises a row x, or x+residual, which it leaves in sum:
//
//	mean = Σ sum[j] / n
//	d[j] = sum[j] - mean
//	δ    = Σ d[j] / n
//	var  = max(Σ d[j]² / n - δ², 0)
//	dst[j] = (d[j]-δ) · 1/√(var+eps) · gain[j] + bias[j]
//
// with sums in lanes, of squares by fused multiply-adds; the last product and
// sum are fused. δ is what rounding took from the mean: without it a row whose
// mean is far larger than its deviation would come out shifted. residual and
// bias may be nil (sum is not touched without residual); dst, sum, x and
// residual may be the same.
func LayerNormF32(dst, x, residual, sum, gain, bias []float32, eps float32) {
	if residual == nil {
		sum = x
	} else {
		for j, v := range x {
			sum[j] = v + residual[j]
		}
	}
	n := float32(len(x))
	mean := SumF32(sum[:len(x)]) / n
	var deviations, squares [lanes]float32
	for j := range x {
		d := sum[j] - mean
		deviations[j%lanes] += d
		squares[j%lanes] = FMA32(d, d, squares[j%lanes])
	}
	shift := tree(&deviations, add) / n
	inv := InverseDeviation(tree(&squares, add)/n, shift, eps)
	for j := range x {
		y := float32((sum[j] - mean - shift) * inv)
		if bias == nil {
			dst[j] = y * gain[j]
		} else {
			dst[j] = FMA32(y, gain[j], bias[j])
		}
	}
}

// RMSNormF32 is x[j] · 1/√(Σ x²/n + eps) · gain[j]. dst may be x.
func RMSNormF32(dst, x, gain []float32, eps float32) {
	inv := 1 / sqrt(SumSquaresF32(x)/float32(len(x))+eps)
	for j, v := range x {
		dst[j] = v * inv * gain[j]
	}
}

// L2NormF32 is x[j] / max(√Σ x², eps). dst may be x.
func L2NormF32(dst, x []float32, eps float32) {
	norm := atLeast(sqrt(SumSquaresF32(x)), eps)
	for j, v := range x {
		dst[j] = v / norm
	}
}

// sqrt is the IEEE 754 square root: float64's is exact enough for float32.
func sqrt(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// ColumnSumsF32 adds rows of x to sum, in order.
func ColumnSumsF32(sum, x []float32, ldx, rows int) {
	for i := range rows {
		for j := range sum {
			sum[j] += x[i*ldx+j]
		}
	}
}

// ColumnMomentsF32 adds to sum and squares the deviations of rows from mean
// and their squares, in order.
func ColumnMomentsF32(sum, squares, x []float32, ldx int, mean []float32, rows int) {
	for i := range rows {
		for j := range sum {
			d := x[i*ldx+j] - mean[j]
			sum[j] += d
			squares[j] = FMA32(d, d, squares[j])
		}
	}
}

// InverseDeviation is 1/√(var+eps) from the mean square of the deviations and
// their mean, as LayerNormF32 takes it.
func InverseDeviation(squares, shift, eps float32) float32 {
	return 1 / sqrt(atLeast(FMA32(-shift, shift, squares), 0)+eps)
}
