package nn

import "github.com/seed-512d3d71/weft/kernels"

// ParseAct returns the activation that Hugging Face's ACT2FN gives for name
// (transformers/activations.py), or an [ErrUnsupported] that names it. Those
// with weights of their own (prelu, xielu) are not supported.
func ParseAct(name string) (Act, error) {
	switch name {
	case "gelu", "gelu_python":
		return kernels.ActGELU, nil
	case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "gelu_python_tanh":
		return kernels.ActGELUTanh, nil
	case "gelu_10":
		return kernels.ActGELU10, nil
	case "quick_gelu":
		return kernels.ActQuickGELU, nil
	case "relu":
		return kernels.ActReLU, nil
	case "relu2":
		return kernels.ActReLU2, nil
	case "relu6":
		return kernels.ActReLU6, nil
	case "leaky_relu":
		return kernels.ActLeakyReLU, nil
	case "silu", "swish":
		return kernels.ActSiLU, nil
	case "hardswish":
		return kernels.ActHardswish, nil
	case "mish":
		return kernels.ActMish, nil
	case "tanh":
		return kernels.ActTanh, nil
	case "sigmoid":
		return kernels.ActSigmoid, nil
	case "laplace":
		return kernels.ActLaplace, nil
	case "sqrtsoftplus":
		return kernels.ActSqrtSoftplus, nil
	case "linear":
		return kernels.ActNone, nil
	}
	return kernels.ActNone, Unsupported("activation %q", name)
}
