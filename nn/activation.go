package nn

import "github.com/seed-512d3d71/weft/kernels"

// ParseAct returns the activation that Hugging Face's ACT2FN gives for name
// (transformers/activations.py), or an [ErrUnsupported] that names it.
func ParseAct(name string) (Act, error) {
	switch name {
	case "gelu", "gelu_python", "gelu_10":
		if name == "gelu_10" {
			break
		}
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
	}
	return kernels.ActNone, Unsupported("activation %q", name)
}
