//go:build !purego

package kernels

import "github.com/seed-512d3d71/weft/kernels/arm64"

// vecRows are the instruction sets with kernels of their own, best first.
var vecRows = []vecKernels{
	{
		isa: ISANEON, suffix: "NEON",
		act: [numActs]actFunc{
			ActNone:         arm64.ActNoneF32NEON,
			ActGELU:         arm64.ActGELUF32NEON,
			ActGELUTanh:     arm64.ActGELUTanhF32NEON,
			ActReLU:         arm64.ActReLUF32NEON,
			ActSiLU:         arm64.ActSiLUF32NEON,
			ActQuickGELU:    arm64.ActQuickGELUF32NEON,
			ActTanh:         arm64.ActTanhF32NEON,
			ActSigmoid:      arm64.ActSigmoidF32NEON,
			ActGELU10:       arm64.ActGELU10F32NEON,
			ActReLU2:        arm64.ActReLU2F32NEON,
			ActReLU6:        arm64.ActReLU6F32NEON,
			ActLeakyReLU:    arm64.ActLeakyReLUF32NEON,
			ActHardsigmoid:  arm64.ActHardsigmoidF32NEON,
			ActHardswish:    arm64.ActHardswishF32NEON,
			ActHardtanh:     arm64.ActHardtanhF32NEON,
			ActELU:          arm64.ActELUF32NEON,
			ActSoftplus:     arm64.ActSoftplusF32NEON,
			ActSqrtSoftplus: arm64.ActSqrtSoftplusF32NEON,
			ActMish:         arm64.ActMishF32NEON,
			ActLaplace:      arm64.ActLaplaceF32NEON,
			ActErf:          arm64.ActErfF32NEON,
			ActExp:          arm64.ActExpF32NEON,
		},
		softmax:   arm64.SoftmaxF32NEON,
		layer:     arm64.LayerNormF32NEON,
		rms:       arm64.RMSNormF32NEON,
		l2:        arm64.L2NormF32NEON,
		sums:      arm64.ColumnSumsF32NEON,
		moments:   arm64.ColumnMomentsF32NEON,
		columns:   arm64.ColumnNormF32NEON,
		affine:    arm64.AffineF32NEON,
		scale:     arm64.ScaleF32NEON,
		axpy:      arm64.AxpyF32NEON,
		clamp:     arm64.ClampF32NEON,
		most:      arm64.MaxF32NEON,
		rotary:    arm64.RotaryF32NEON,
		find:      arm64.FindAboveF32NEON,
		transpose: arm64.TransposeF32NEON,
		f16F32:    arm64.ConvertF16F32NEON,
		f32F16:    arm64.ConvertF32F16NEON,
		bf16F32:   arm64.ConvertBF16F32NEON,
		f32BF16:   arm64.ConvertF32BF16NEON,
		f64F32:    arm64.ConvertF64F32NEON,
		f32F64:    arm64.ConvertF32F64NEON,
	},
}
