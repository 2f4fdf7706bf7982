package llama

import (
	"fmt"
	"strings"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Model is one class: the decoder and what its task puts on it.
type Model struct {
	Decoder *Decoder
	Class   string

	params nn.Params
	task   string
	// output projects to the vocabulary (lm_head) or to labels; zero in a model
	// without head.
	output nn.Linear
}

// Load binds class ("MixtralForCausalLM", "Qwen2MoeModel", …) from a checkpoint.
func Load(c *hfconfig.Config, class string, p nn.Params) (*Model, error) {
	family := c.Str("model_type", "")
	cfg, err := ParseConfig(c)
	if err != nil {
		return nil, fmt.Errorf("%s: config.json: %w", family, err)
	}
	task, ok := strings.CutPrefix(class, classPrefix[cfg.Family])
	if !ok {
		return nil, nn.Unsupported("class %q for model_type %q", class, family)
	}
	m := &Model{Class: class, task: task, params: p}
	prefix := "model"
	if task == "ForQuestionAnswering" && (cfg.Family == Llama || cfg.Family == Qwen2) {
		prefix = "transformer"
	}
	base := p.Base(prefix)
	var tied []float32
	if cfg.TieWordEmbeddings && p.Has("lm_head.weight") && task == "ForCausalLM" {
		tied, _ = p.F32("lm_head.weight", cfg.VocabSize, cfg.HiddenSize)
	}
	if m.Decoder, err = bindDecoder(base, cfg, tied); err != nil {
		return nil, err
	}
	switch task {
	case "Model":
	case "ForCausalLM":
		m.output = p.TiedLinear("lm_head", base, "embed_tokens.weight", cfg.VocabSize, cfg.HiddenSize, cfg.TieWordEmbeddings)
	case "ForSequenceClassification":
		m.output = p.Linear("score", cfg.HiddenSize, cfg.NumLabels, false)
	case "ForTokenClassification":
		m.output = p.Linear("score", cfg.HiddenSize, cfg.NumLabels, true)
	case "ForQuestionAnswering":
		m.output = p.Linear("qa_outputs", cfg.HiddenSize, 2, true)
	default:
		return nil, nn.Unsupported("class %q", class)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// heads adds the class's outputs, given the last hidden state x [rows, C].
func (m *Model) heads(p nn.Pass, out *nn.Outputs, in *input, x tensor.Tensor) {
	r := in.r
	switch m.task {
	case "Model":
		out.Add("last_hidden_state", r.Pad(p, x))
	case "ForCausalLM":
		if in.keep > 0 && in.keep < r.T {
			var last *nn.Ragged
			x, last = lastPositions(p, x, r, in.keep)
			out.Add("logits", last.Pad(p, m.project(p, x)))
			return
		}
		out.Add("logits", r.Pad(p, m.project(p, x)))
	case "ForTokenClassification":
		out.Add("logits", r.Pad(p, m.project(p, x)))
	case "ForQuestionAnswering":
		span := m.project(p, x)
		out.Add("start_logits", r.Pad(p, span.SliceCols(0, 1)).Reshape(r.B, r.T))
		out.Add("end_logits", r.Pad(p, span.SliceCols(1, 2)).Reshape(r.B, r.T))
	case "ForSequenceClassification":
		out.Add("logits", p.Host(m.project(p, gather(p, x, in.last))).Clone())
	}
}

func (m *Model) project(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	return m.output.Forward(p, x, kernels.ActNone)
}

// lastPositions returns the rows of x at the last n positions of the grid, as a
// batch of that length.
func lastPositions(p nn.Pass, x tensor.Tensor, r *nn.Ragged, n int) (tensor.Tensor, *nn.Ragged) {
	kept := &nn.Ragged{B: r.B, T: n}
	var rows []int32
	for i, g := range r.Row {
		s, t := int(g)/r.T, int(g)%r.T
		if t >= r.T-n {
			rows = append(rows, int32(i))
			kept.Row = append(kept.Row, int32(s*n+t-(r.T-n)))
		}
	}
	return gather(p, x, rows), kept
}

func gather(p nn.Pass, x tensor.Tensor, rows []int32) tensor.Tensor {
	h := p.New(len(rows), x.Cols())
	p.Gather(h, x, p.Ints(rows))
	return h
}
