package kernels

type (
	actFunc    func(dst *float32, ldd int, x *float32, ldx int, bias, with *float32, ldw int, mul bool, rows, cols int)
	rowsFunc   func(dst *float32, ldd int, x *float32, ldx, rows, cols int)
	scalarFunc func(dst *float32, ldd int, x *float32, ldx int, s float32, rows, cols int)
)

// vecKernels are the operations between the matrix products on one
// instruction set; the comments of package amd64 say what they do.
type vecKernels struct {
	isa    string
	suffix string // of the functions' names

	act     [numActs]actFunc
	softmax rowsFunc
	layer   func(dst *float32, ldd int, x *float32, ldx int, residual *float32, ldr int, sum *float32, lds int, gain, bias *float32, n, eps float32, rows, cols int)
	rms     func(dst *float32, ldd int, x *float32, ldx int, gain *float32, n, eps float32, rows, cols int)
	l2      scalarFunc
	sums    func(sum, x *float32, ldx, rows, cols int)
	moments func(sum, squares, x *float32, ldx int, mean *float32, rows, cols int)
	columns func(dst *float32, ldd int, x *float32, ldx int, mean, shift, scale, bias *float32, rows, cols int)
	affine  func(dst *float32, ldd int, x *float32, ldx int, scale, shift *float32, rows, cols int)
	scale   scalarFunc
	axpy    scalarFunc
	clamp   func(dst *float32, ldd int, x *float32, ldx int, low, high float32, rows, cols int)
	most    rowsFunc
	rotary  func(x *float32, ldx int, angles *float32, rows, cols int)
	find    func(x *float32, n int, limit float32) int

	transpose rowsFunc

	f16F32  func(dst *float32, src *uint16, n int)
	f32F16  func(dst *uint16, src *float32, n int)
	bf16F32 func(dst *float32, src *uint16, n int)
	f32BF16 func(dst *uint16, src *float32, n int)
	f64F32  func(dst *float32, src *float64, n int)
	f32F64  func(dst *float64, src *float32, n int)
}

// The families of the operations between the matrix products. The active
// function is nil where ref does the work.
var (
	actF32       = actFamilies()
	softmaxF32   = vecFamily("softmax_f32", "SoftmaxF32", "ref.SoftmaxF32", func(k *vecKernels) rowsFunc { return k.softmax })
	layerNormF32 = vecFamily("layer_norm_f32", "LayerNormF32", "ref.LayerNormF32", func(k *vecKernels) func(*float32, int, *float32, int, *float32, int, *float32, int, *float32, *float32, float32, float32, int, int) {
		return k.layer
	})
	rmsNormF32 = vecFamily("rms_norm_f32", "RMSNormF32", "ref.RMSNormF32", func(k *vecKernels) func(*float32, int, *float32, int, *float32, float32, float32, int, int) {
		return k.rms
	})
	l2NormF32     = vecFamily("l2_norm_f32", "L2NormF32", "ref.L2NormF32", func(k *vecKernels) scalarFunc { return k.l2 })
	columnSumsF32 = vecFamily("column_sums_f32", "ColumnSumsF32", "ref.ColumnSumsF32", func(k *vecKernels) func(_, _ *float32, _, _, _ int) { return k.sums })
	momentsF32    = vecFamily("column_moments_f32", "ColumnMomentsF32", "ref.ColumnMomentsF32", func(k *vecKernels) func(_, _, _ *float32, _ int, _ *float32, _, _ int) { return k.moments })
	columnNormF32 = vecFamily("column_norm_f32", "ColumnNormF32", "ref.ColumnNormF32", func(k *vecKernels) func(*float32, int, *float32, int, *float32, *float32, *float32, *float32, int, int) {
		return k.columns
	})
	affineF32       = vecFamily("affine_f32", "AffineF32", "ref.AffineF32", func(k *vecKernels) func(*float32, int, *float32, int, *float32, *float32, int, int) { return k.affine })
	scaleF32        = vecFamily("scale_f32", "ScaleF32", "ref.ScaleF32", func(k *vecKernels) scalarFunc { return k.scale })
	axpyF32         = vecFamily("axpy_f32", "AxpyF32", "ref.AxpyF32", func(k *vecKernels) scalarFunc { return k.axpy })
	clampF32        = vecFamily("clamp_f32", "ClampF32", "ref.ClampF32", func(k *vecKernels) func(*float32, int, *float32, int, float32, float32, int, int) { return k.clamp })
	maxF32          = vecFamily("max_f32", "MaxF32", "ref.MaxIntoF32", func(k *vecKernels) rowsFunc { return k.most })
	rotaryF32       = vecFamily("rotary_f32", "RotaryF32", "ref.RotaryF32", func(k *vecKernels) func(*float32, int, *float32, int, int) { return k.rotary })
	findAboveF32    = vecFamily("find_above_f32", "FindAboveF32", "ref.FindAboveF32", func(k *vecKernels) func(*float32, int, float32) int { return k.find })
	transposeF32    = vecFamily("transpose_f32", "TransposeF32", "ref.TransposeF32", func(k *vecKernels) rowsFunc { return k.transpose })
	convertF16F32   = vecFamily("convert_f16_f32", "ConvertF16F32", "ref.F16", func(k *vecKernels) func(*float32, *uint16, int) { return k.f16F32 })
	convertF32F16   = vecFamily("convert_f32_f16", "ConvertF32F16", "ref.ToF16", func(k *vecKernels) func(*uint16, *float32, int) { return k.f32F16 })
	convertBF16F32  = vecFamily("convert_bf16_f32", "ConvertBF16F32", "ref.BF16", func(k *vecKernels) func(*float32, *uint16, int) { return k.bf16F32 })
	convertF32BF16  = vecFamily("convert_f32_bf16", "ConvertF32BF16", "ref.ToBF16", func(k *vecKernels) func(*uint16, *float32, int) { return k.f32BF16 })
	convertF64F32   = vecFamily("convert_f64_f32", "ConvertF64F32", "go", func(k *vecKernels) func(*float32, *float64, int) { return k.f64F32 })
	convertF32F64   = vecFamily("convert_f32_f64", "ConvertF32F64", "go", func(k *vecKernels) func(*float64, *float32, int) { return k.f32F64 })
	vecFamiliesRest = []anyFamily{&softmaxF32, &layerNormF32, &rmsNormF32, &l2NormF32, &columnSumsF32, &momentsF32,
		&columnNormF32, &affineF32, &scaleF32, &axpyF32, &clampF32, &maxF32, &rotaryF32, &findAboveF32, &transposeF32,
		&convertF16F32, &convertF32F16, &convertBF16F32, &convertF32BF16, &convertF64F32, &convertF32F64}
)

// vecFamilies are the elementwise operations, norms and softmax.
var vecFamilies = func() []anyFamily {
	var list []anyFamily
	for a := range actF32 {
		list = append(list, &actF32[a])
	}
	return append(list, vecFamiliesRest...)
}()

func actFamilies() (f [numActs]family[actFunc]) {
	for a := range f {
		n := actFuncs[a].kernel
		f[a] = vecFamily("act_f32/"+actFuncs[a].name, "Act"+n+"F32", "ref."+n, func(k *vecKernels) actFunc { return k.act[a] })
	}
	return f
}

// vecFamily makes the family of the function that get takes from the kernels
// of each instruction set: name and suffix are its name there, inGo that of
// what serves as ref.
func vecFamily[T any](op, name, inGo string, get func(k *vecKernels) T) family[T] {
	f := family[T]{op: op}
	for i := range vecRows {
		k := &vecRows[i]
		f.rows = append(f.rows, row[T]{name: name + k.suffix, isa: k.isa, impl: get(k)})
	}
	f.rows = append(f.rows, row[T]{name: inGo, isa: ISARef})
	return f
}
