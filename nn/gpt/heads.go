package gpt

import (
	"fmt"
	"strings"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Model is one class: the transformer and what its task puts on it. Blocks
// that the class does not have are zero.
type Model struct {
	Transformer *Transformer
	Class       string

	params nn.Params
	task   string
	// output projects to the vocabulary (lm_head) or to labels.
	output nn.Linear
	// summary projects GPT2DoubleHeadsModel's summary vector.
	summary nn.Linear
}

// Load binds class ("GPT2Model", "GPT2LMHeadModel", …) from a checkpoint.
func Load(c *hfconfig.Config, class string, p nn.Params) (*Model, error) {
	cfg, err := ParseConfig(c)
	if err != nil {
		return nil, fmt.Errorf("gpt2: config.json: %w", err)
	}
	task, ok := strings.CutPrefix(class, "GPT2")
	if !ok {
		return nil, nn.Unsupported("class %q for model_type \"gpt2\"", class)
	}
	m := &Model{Class: class, task: task, params: p}
	base := p.Base("transformer")
	m.Transformer = bindTransformer(base, cfg, func() []float32 {
		if !cfg.TieWordEmbeddings || !p.Has("lm_head.weight") {
			return nil
		}
		w, _ := p.F32("lm_head.weight", cfg.VocabSize, cfg.NEmbd)
		return w
	})
	switch task {
	case "Model":
	case "LMHeadModel":
		m.output = p.TiedLinear("lm_head", base, "wte.weight", cfg.VocabSize, cfg.NEmbd, cfg.TieWordEmbeddings)
	case "DoubleHeadsModel":
		m.output = p.TiedLinear("lm_head", base, "wte.weight", cfg.VocabSize, cfg.NEmbd, cfg.TieWordEmbeddings)
		err = m.bindSummary(cfg)
	case "ForSequenceClassification":
		m.output = p.Linear("score", cfg.NEmbd, cfg.NumLabels, false)
	case "ForTokenClassification":
		m.output = p.Linear("classifier", cfg.NEmbd, cfg.NumLabels, true)
	case "ForQuestionAnswering":
		m.output = p.Linear("qa_outputs", cfg.NEmbd, 2, true)
	default:
		err = nn.Unsupported("class %q", class)
	}
	if err == nil {
		err = p.Err()
	}
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model) bindSummary(c Config) error {
	switch c.Summary.Type {
	case "last", "first", "mean", "cls_index":
	default:
		return nn.Unsupported("summary_type %q", c.Summary.Type)
	}
	if c.Summary.UseProj {
		out := c.NEmbd
		if c.Summary.ProjToLabels {
			out = 1 // the class sets num_labels
		}
		m.summary = m.params.Linear("multiple_choice_head.summary", c.NEmbd, out, true)
	}
	return nil
}

// readsHidden reports whether the class may read a position that the attention
// mask hides.
func (m *Model) readsHidden() bool {
	return m.task == "ForSequenceClassification" || m.task == "DoubleHeadsModel"
}

// heads adds the class's outputs, given the last hidden state x [rows, C].
func (m *Model) heads(p nn.Pass, out *nn.Outputs, in *input, x tensor.Tensor) {
	r := in.r
	switch m.task {
	case "Model":
		out.Add("last_hidden_state", in.shaped(r.Pad(p, x)))
	case "LMHeadModel":
		out.Add("logits", in.shaped(r.Pad(p, m.project(p, x))))
	case "ForTokenClassification":
		out.Add("logits", r.Pad(p, m.project(p, x)))
	case "ForQuestionAnswering":
		span := m.project(p, x)
		out.Add("start_logits", r.Pad(p, span.SliceCols(0, 1)).Reshape(r.B, r.T))
		out.Add("end_logits", r.Pad(p, span.SliceCols(1, 2)).Reshape(r.B, r.T))
	case "ForSequenceClassification":
		out.Add("logits", p.Host(m.project(p, gather(p, x, in.last))).Clone())
	case "DoubleHeadsModel":
		out.Add("logits", in.shaped(r.Pad(p, m.project(p, x))))
		mc := p.Host(m.summarize(p, in, x)).Clone()
		shape := in.summaryShape(m.Transformer.Config.Summary.Type)
		if mc.Cols() > 1 {
			shape = append(shape, mc.Cols())
		}
		out.Add("mc_logits", mc.Reshape(shape...))
	}
}

func (m *Model) project(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	return m.output.Forward(p, x, kernels.ActNone)
}

// summarize is SequenceSummary: vectors of the last hidden state x, projected.
func (m *Model) summarize(p nn.Pass, in *input, x tensor.Tensor) tensor.Tensor {
	s := m.Transformer.Config.Summary
	rows, each := in.summaryRows(s.Type)
	h := gather(p, x, rows)
	if each > 1 {
		off := make([]int32, len(rows)/each+1)
		for i := range off {
			off[i] = int32(i * each)
		}
		mean := p.New(len(off)-1, x.Cols())
		p.MeanRows(mean, h, off)
		h = mean
	}
	if m.summary.W != nil {
		return m.summary.Forward(p, h, s.Activation)
	}
	p.Activate(h, h, s.Activation)
	return h
}

func gather(p nn.Pass, x tensor.Tensor, rows []int32) tensor.Tensor {
	h := p.New(len(rows), x.Cols())
	p.Gather(h, x, p.Ints(rows))
	return h
}
