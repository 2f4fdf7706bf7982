package embed

import (
	"math"

	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// pool reduces token vectors [T, width] to one; skip tokens at the start (the
// prompt's) do not count. Sums are float64: there is one a sentence.
func pool(mode string, tokens []float32, width, skip int) []float32 {
	n := len(tokens) / width
	skip = min(skip, n-1)
	row := func(i int) []float32 { return tokens[i*width : (i+1)*width] }
	out := make([]float32, width)
	switch mode {
	case "cls":
		copy(out, row(skip))
	case "lasttoken":
		copy(out, row(n-1))
	case "max":
		copy(out, row(skip))
		for i := skip + 1; i < n; i++ {
			for j, v := range row(i) {
				out[j] = max(out[j], v)
			}
		}
	default:
		sum, total := make([]float64, width), 0.0
		for i := skip; i < n; i++ {
			w := 1.0
			if mode == "weightedmean" {
				w = float64(i + 1)
			}
			total += w
			for j, v := range row(i) {
				sum[j] += w * float64(v)
			}
		}
		if mode == "mean_sqrt_len_tokens" {
			total = math.Sqrt(total)
		}
		for j, s := range sum {
			out[j] = float32(s / total)
		}
	}
	return out
}

// normalize scales each row to unit length.
type normalize struct{}

func (normalize) forward(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	x = p.Host(x)
	dst := p.New(x.Rows(), x.Cols())
	c := x.Cols()
	for r := range x.Rows() {
		in, out := x.F32()[r*x.LD():][:c], dst.F32()[r*c:][:c]
		sum := 0.0
		for _, v := range in {
			sum += float64(v) * float64(v)
		}
		norm := max(math.Sqrt(sum), 1e-12)
		for j, v := range in {
			out[j] = float32(float64(v) / norm)
		}
	}
	return dst
}

// dense is a linear layer with an activation and, optionally, a residual.
type dense struct {
	linear   nn.Linear
	act      nn.Act
	residual bool
	project  nn.Linear // of the residual, where the widths differ
}

func (d dense) forward(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	r := x
	if d.project.W != nil {
		r = d.project.Forward(p, x, kernels.ActNone)
	}
	y := p.New(x.Rows(), d.linear.W.Out())
	e := nn.Epilogue{Bias: d.linear.B, Act: d.act}
	if d.residual {
		e.Residual = r
	}
	p.Linear(y, x, d.linear.W, e)
	return y
}

// torchActivations maps torch.nn.modules.activation classes.
var torchActivations = map[string]nn.Act{
	"torch.nn.modules.activation.Tanh":    kernels.ActTanh,
	"torch.nn.modules.linear.Identity":    kernels.ActNone,
	"torch.nn.modules.activation.ReLU":    kernels.ActReLU,
	"torch.nn.modules.activation.GELU":    kernels.ActGELU,
	"torch.nn.modules.activation.SiLU":    kernels.ActSiLU,
	"torch.nn.modules.activation.Sigmoid": kernels.ActSigmoid,
}

func (e *Embedder) addDense(sub *hub.Dir) error {
	c, err := config(sub, "config.json")
	if err != nil {
		return err
	}
	in, out, bias := c.Dim("in_features", 0), c.Dim("out_features", 0), c.Bool("bias", true)
	name := c.Str("activation_function", "torch.nn.modules.activation.Tanh")
	d := dense{residual: c.Bool("use_residual", false)}
	for _, key := range []string{"module_input_name", "module_output_name"} {
		if v := c.Str(key, "sentence_embedding"); v != "sentence_embedding" {
			return nn.Unsupported("%s %q", key, v)
		}
	}
	if err := c.Err(); err != nil {
		return err
	}
	var ok bool
	if d.act, ok = torchActivations[name]; !ok {
		return nn.Unsupported("activation_function %q", name)
	}
	if in != e.dim {
		return &tensor.ShapeError{Name: "in_features", Got: []int{in}, Want: []int{e.dim}}
	}
	p, err := e.params(sub, "dense")
	if err != nil {
		return err
	}
	d.linear = p.Linear("linear", in, out, bias)
	if d.residual && in != out {
		d.project = p.Linear("residual", in, out, false)
	}
	e.after, e.dim = append(e.after, d), out
	return p.Err()
}

// norm is a layer norm over the embedding.
type norm struct{ nn.LayerNorm }

func (n norm) forward(p nn.Pass, x tensor.Tensor) tensor.Tensor { return n.Forward(p, x) }

func (e *Embedder) addNorm(sub *hub.Dir) error {
	p, err := e.params(sub, "layer norm")
	if err != nil {
		return err
	}
	e.after = append(e.after, norm{p.LayerNorm("norm", e.dim, 1e-5)})
	return p.Err()
}

func (e *Embedder) params(sub *hub.Dir, family string) (nn.Params, error) {
	set, err := sub.Weights()
	if err != nil {
		return nn.Params{}, err
	}
	return nn.NewParams(set, e.backend, family), nil
}
