package nn

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
)

// Activations that few checkpoints use: they have no kernel and follow the
// product one element at a time.
const (
	actGELU10 Act = 128 + iota
	actReLU2
	actReLU6
	actLeakyReLU
	actHardswish
	actMish
	actLaplace
	actSqrtSoftplus
)

// ParseAct returns the activation that Hugging Face's ACT2FN gives for name
// (transformers/activations.py), or an [ErrUnsupported] that names it. Those
// with weights of their own (prelu, xielu) are not supported.
func ParseAct(name string) (Act, error) {
	switch name {
	case "gelu", "gelu_python":
		return kernels.ActGELU, nil
	case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "gelu_python_tanh":
		return kernels.ActGELUTanh, nil
	case "relu":
		return kernels.ActReLU, nil
	case "silu", "swish":
		return kernels.ActSiLU, nil
	case "quick_gelu":
		return kernels.ActQuickGELU, nil
	case "tanh":
		return kernels.ActTanh, nil
	case "sigmoid":
		return kernels.ActSigmoid, nil
	case "linear":
		return kernels.ActNone, nil
	case "gelu_10":
		return actGELU10, nil
	case "relu2":
		return actReLU2, nil
	case "relu6":
		return actReLU6, nil
	case "leaky_relu":
		return actLeakyReLU, nil
	case "hardswish":
		return actHardswish, nil
	case "mish":
		return actMish, nil
	case "laplace":
		return actLaplace, nil
	case "sqrtsoftplus":
		return actSqrtSoftplus, nil
	}
	return kernels.ActNone, Unsupported("activation %q", name)
}

// split returns the part of a that the kernels compute and, for the rare
// activations, the function that follows it.
func split(a Act) (Act, func(x float32) float32) {
	switch a {
	case actGELU10:
		return kernels.ActGELU, func(x float32) float32 { return min(max(x, -10), 10) }
	case actReLU2:
		return kernels.ActReLU, func(x float32) float32 { return x * x }
	case actReLU6:
		return kernels.ActReLU, func(x float32) float32 { return min(x, 6) }
	case actLeakyReLU:
		return kernels.ActNone, func(x float32) float32 {
			if x < 0 {
				return 0.01 * x
			}
			return x
		}
	case actHardswish:
		return kernels.ActNone, func(x float32) float32 { return x * min(max(x+3, 0), 6) / 6 }
	case actMish:
		return kernels.ActNone, func(x float32) float32 { return float32(float64(x) * math.Tanh(softplus(float64(x)))) }
	case actLaplace: // a Gaussian's distribution function: Ma et al. 2022, arXiv:2209.10655
		return kernels.ActNone, func(x float32) float32 {
			return float32(0.5 * (1 + math.Erf((float64(x)-0.707107)/(0.282095*math.Sqrt2))))
		}
	case actSqrtSoftplus:
		return kernels.ActNone, func(x float32) float32 { return float32(math.Sqrt(softplus(float64(x)))) }
	}
	return a, nil
}

func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
