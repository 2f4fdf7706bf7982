package ref

// ColumnNormF32 is dst[j] = fma(x[j]-mean[j]-shift[j], scale[j], bias[j]).
func ColumnNormF32(dst, x, mean, shift, scale, bias []float32) {
	for j, v := range x {
		dst[j] = FMA32(v-mean[j]-shift[j], scale[j], bias[j])
	}
}

// AffineF32 is dst[j] = fma(x[j], scale[j], shift[j]).
func AffineF32(dst, x, scale, shift []float32) {
	for j, v := range x {
		dst[j] = FMA32(v, scale[j], shift[j])
	}
}

// ScaleF32 is dst[j] = x[j]·s.
func ScaleF32(dst, x []float32, s float32) {
	for j, v := range x {
		dst[j] = v * s
	}
}

// AxpyF32 is dst[j] = fma(x[j], s, dst[j]).
func AxpyF32(dst, x []float32, s float32) {
	for j, v := range x {
		dst[j] = FMA32(v, s, dst[j])
	}
}

// ClampF32 is dst[j] = min(max(x[j], low), high); a NaN stays.
func ClampF32(dst, x []float32, low, high float32) {
	for j, v := range x {
		dst[j] = atMost(atLeast(v, low), high)
	}
}

// MaxIntoF32 puts x[j] into dst[j] where it is larger or NaN.
func MaxIntoF32(dst, x []float32) {
	for j, v := range x {
		if v > dst[j] || v != v {
			dst[j] = v
		}
	}
}

// FindAboveF32 returns the first j for which x[j] is larger than limit or NaN,
// or len(x).
func FindAboveF32(x []float32, limit float32) int {
	for j, v := range x {
		if !(v <= limit) {
			return j
		}
	}
	return len(x)
}

// TransposeF32 sets dst[j*ldd+i] to x[i*ldx+j].
func TransposeF32(dst []float32, ldd int, x []float32, ldx, rows, cols int) {
	for i := range rows {
		for j, v := range x[i*ldx:][:cols] {
			dst[j*ldd+i] = v
		}
	}
}

// RotaryF32 turns the pairs x[j], x[n+j] by angles whose cosines are the first
// n elements of angles and whose sines the next n. Each product is rounded.
func RotaryF32(x, angles []float32) {
	n := len(angles) / 2
	for j, c := range angles[:n] {
		u, v, s := x[j], x[n+j], angles[n+j]
		x[j] = float32(u*c) - float32(v*s)
		x[n+j] = float32(v*c) + float32(u*s)
	}
}
