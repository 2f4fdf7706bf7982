package kernels

import "github.com/seed-512d3d71/weft/kernels/ref"

// convert runs a kernel on whole registers (16 elements serve every
// instruction set) in calls of bounded length, and one on the rest.
func convert[D, S any](dst []D, src []S, kernel func(dst *D, src *S, n int), one func(S) D) {
	n := 0
	if kernel != nil {
		for whole := len(src) &^ 15; n < whole; {
			step := min(callElems, whole-n)
			kernel(&dst[n], &src[n], step)
			n += step
		}
	}
	for i := n; i < len(src); i++ {
		dst[i] = one(src[i])
	}
}

// ConvertF16F32 widens half precision numbers (IEEE 754 binary16), exactly.
// dst is as long as src.
func ConvertF16F32(dst []float32, src []uint16) {
	convert(dst[:len(src)], src, convertF16F32.active, ref.F16)
}

// ConvertF32F16 rounds to half precision, to nearest even. What is too large
// becomes ±Inf.
func ConvertF32F16(dst []uint16, src []float32) {
	convert(dst[:len(src)], src, convertF32F16.active, ref.ToF16)
}

// ConvertBF16F32 widens bfloat16 numbers, exactly.
func ConvertBF16F32(dst []float32, src []uint16) {
	convert(dst[:len(src)], src, convertBF16F32.active, ref.BF16)
}

// ConvertF32BF16 rounds to bfloat16, to nearest even. A NaN stays one.
func ConvertF32BF16(dst []uint16, src []float32) {
	convert(dst[:len(src)], src, convertF32BF16.active, ref.ToBF16)
}

// ConvertF64F32 rounds to float32, to nearest even.
func ConvertF64F32(dst []float32, src []float64) {
	convert(dst[:len(src)], src, convertF64F32.active, func(x float64) float32 { return float32(x) })
}

// ConvertF32F64 widens to float64, exactly.
func ConvertF32F64(dst []float64, src []float32) {
	convert(dst[:len(src)], src, convertF32F64.active, func(x float32) float64 { return float64(x) })
}
