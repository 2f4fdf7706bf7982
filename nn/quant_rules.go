package nn

import (
	"fmt"
	"strings"

	"github.com/seed-512d3d71/weft/kernels"
)

// minQuant is the least number of inputs and of outputs of a linear layer that
// is quantized: errors of a short sum do not even out, and a small layer costs
// nothing.
const minQuant = 16

// KeptFloat32 says why the linear layer name [out, in] stays float32 whatever
// the scheme, "" if it does not. Of a mixture of experts attention stays so
// too: a choice of experts jumps where a value only drifts, and attention is
// what stands between a router and the residual stream (Kim et al. 2023,
// arXiv:2310.02410, quantize experts alone).
func KeptFloat32(name string, out, in int, mixture bool) string {
	switch {
	case isRouter(name):
		return "chooses experts"
	case mixture && isAttention(name):
		return "leads to what chooses experts"
	case in > kernels.MaxQuantK:
		return fmt.Sprintf("more than %d inputs", kernels.MaxQuantK)
	case out < minQuant || in < minQuant:
		return fmt.Sprintf("fewer than %d inputs or outputs", minQuant)
	}
	return ""
}

// SchemeOf returns the scheme of the layer name if s is asked for. Activations
// are quantized within the blocks of a model alone: layers before and after
// (projections, poolers, output layers) run once, and the last ones decide
// single numbers. Optimum, LLM.int8() and llm-compressor leave output layers
// alone.
func SchemeOf(s kernels.Scheme, name string) kernels.Scheme {
	if s == kernels.W8A8 && !InBlock(name) {
		return kernels.W8
	}
	return s
}

// IsMixture reports whether a checkpoint holds experts, by its tensors' names.
func IsMixture(names []string) bool {
	for _, n := range names {
		if strings.Contains(n, ".experts.") {
			return true
		}
	}
	return false
}

// isRouter reports whether a layer chooses experts or codevectors, by its name.
func isRouter(name string) bool {
	for _, end := range []string{"gate", "router", "router.classifier", "router.layer", "shared_expert_gate", "quantizer.weight_proj"} {
		if name == end || strings.HasSuffix(name, "."+end) {
			return true
		}
	}
	return false
}

func isAttention(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "attn") || strings.Contains(name, "attention")
}

// InBlock reports whether a layer belongs to one of the numbered blocks that a
// model is a stack of: "encoder.layer.3.output.dense".
func InBlock(name string) bool {
	parts := strings.Split(name, ".")
	for _, p := range parts[:len(parts)-1] {
		if p != "" && strings.Trim(p, "0123456789") == "" {
			return true
		}
	}
	return false
}

// keepFloat marks the parts of the matrix name if its layers stay float32: one
// does, all do.
func (p Params) keepFloat(name string, parts []MatrixPart) {
	for _, part := range parts {
		if KeptFloat32(name, part.Out, part.In, p.b.mixture) != "" {
			for i := range parts {
				parts[i].keep = true
			}
			return
		}
	}
}
