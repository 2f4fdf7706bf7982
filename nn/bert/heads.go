package bert

import (
	"fmt"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// Model is one class: the encoder and what its task puts on it. Blocks that
// the class does not have are zero.
type Model struct {
	Encoder *Encoder
	Class   string

	params nn.Params
	task   string
	// pooler is dense + tanh over position 0 (BERT and RoBERTa base models).
	pooler nn.Linear
	// headDense and headAct come before the output projection: RoBERTa's and
	// DistilBERT's classification heads over position 0, and every language
	// modelling head, which also has headNorm.
	headDense nn.Linear
	headAct   nn.Act
	headNorm  nn.LayerNorm
	// output projects to labels or to the vocabulary; relation is BERT's
	// next-sentence projection.
	output, relation nn.Linear
}

// Load binds class ("BertModel", "RobertaForMaskedLM", …) from a checkpoint.
func Load(c *hfconfig.Config, class string, p nn.Params) (*Model, error) {
	cfg, err := ParseConfig(c)
	if err != nil {
		return nil, fmt.Errorf("bert: config.json: %w", err)
	}
	t, ok := cfg.Family.task(class)
	if !ok {
		return nil, nn.Unsupported("class %q for this model type", class)
	}
	m := &Model{Class: class, task: t, params: p}
	lm := lmNames(cfg.Family)
	m.Encoder = bindEncoder(p.Base(cfg.Family.prefix()), cfg, func() ([]float32, bool) {
		if !cfg.TieWordEmbeddings || !p.Has(lm.decoder+".weight") {
			return nil, false
		}
		w, _ := p.F32(lm.decoder+".weight", cfg.VocabSize, cfg.HiddenSize)
		return w, w != nil
	})
	if err := m.bindHead(cfg, lm); err != nil {
		return nil, err
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model) bindHead(c Config, lm lmHead) error {
	p, h := m.params, c.HiddenSize
	base := p.Base(c.Family.prefix())
	needsPooler := c.Family == BERT
	switch m.task {
	case "Model":
		// Checkpoints of heads that do not pool have no pooler (roberta-base, for
		// one): the base model then has no pooler_output.
		if c.Family != DistilBERT && base.HasPrefix("pooler") {
			m.pooler = base.Linear("pooler.dense", h, h, true)
		}
		return nil
	case "ForMaskedLM", "LMHeadModel", "ForCausalLM", "ForPreTraining":
		isPre := m.task == "ForPreTraining"
		if isPre != (m.task == "ForPreTraining" && c.Family == BERT) || m.task == "LMHeadModel" && c.Family != BERT ||
			m.task == "ForCausalLM" && c.Family != RoBERTa && c.Family != XLMRoBERTa {
			break
		}
		m.headDense = p.Linear(lm.dense, h, h, true)
		m.headNorm = p.LayerNorm(lm.norm, h, c.LayerNormEps)
		if m.headAct = c.HiddenAct; c.Family == RoBERTa || c.Family == XLMRoBERTa {
			m.headAct = kernels.ActGELU
		}
		m.output = m.bindDecoder(c, lm, base)
		if isPre {
			m.pooler = base.Linear("pooler.dense", h, h, true)
			m.relation = p.Linear("cls.seq_relationship", h, 2, true)
		}
		return nil
	case "ForNextSentencePrediction":
		if c.Family != BERT {
			break
		}
		m.pooler = base.Linear("pooler.dense", h, h, true)
		m.output = p.Linear("cls.seq_relationship", h, 2, true)
		return nil
	case "ForSequenceClassification", "ForMultipleChoice":
		labels := c.NumLabels
		if m.task == "ForMultipleChoice" {
			labels = 1
			needsPooler = c.Family != DistilBERT
		}
		switch {
		case c.Family == DistilBERT:
			m.headDense, m.headAct = p.Linear("pre_classifier", h, h, true), kernels.ActReLU
			m.output = p.Linear("classifier", h, labels, true)
		case needsPooler:
			m.pooler = base.Linear("pooler.dense", h, h, true)
			m.output = p.Linear("classifier", h, labels, true)
		default:
			m.headDense, m.headAct = p.Linear("classifier.dense", h, h, true), kernels.ActTanh
			m.output = p.Linear("classifier.out_proj", h, labels, true)
		}
		return nil
	case "ForTokenClassification":
		m.output = p.Linear("classifier", h, c.NumLabels, true)
		return nil
	case "ForQuestionAnswering":
		if c.NumLabels != 2 {
			return fmt.Errorf("bert: config.json: %d labels, question answering has 2", c.NumLabels)
		}
		m.output = p.Linear("qa_outputs", h, 2, true)
		return nil
	}
	return nn.Unsupported("class %q", m.Class)
}

// lmHead names the parts of a language modelling head.
type lmHead struct{ dense, norm, decoder, bias string }

func lmNames(f Family) lmHead {
	switch f {
	case BERT:
		return lmHead{"cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder", "cls.predictions.bias"}
	case DistilBERT:
		return lmHead{"vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias"}
	}
	return lmHead{"lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias"}
}

// bindDecoder binds the projection to the vocabulary. Its weight is its own
// where the checkpoint holds one and else, if tied, the word embeddings.
func (m *Model) bindDecoder(c Config, lm lmHead, base nn.Params) nn.Linear {
	p := m.params
	src, name := p, lm.decoder+".weight"
	if !p.Has(name) && c.TieWordEmbeddings {
		src, name = base, "embeddings.word_embeddings.weight"
	}
	w := src.Weight(name, c.VocabSize, c.HiddenSize, false)
	bias := lm.decoder + ".bias"
	if !p.Has(bias) {
		bias = lm.bias
	}
	b, _ := p.F32(bias, c.VocabSize)
	return p.LinearFrom(lm.decoder, []nn.MatrixPart{w}, b)
}

// readsFirst reports whether the class reads position 0 of a sequence.
func (m *Model) readsFirst() bool {
	switch m.task {
	case "ForSequenceClassification", "ForMultipleChoice", "ForNextSentencePrediction", "ForPreTraining":
		return true
	}
	return m.pooler.W != nil
}

// heads adds the class's outputs, given the last hidden state x [rows, C].
func (m *Model) heads(p nn.Pass, out *nn.Outputs, r *nn.Ragged, x tensor.Tensor) {
	switch m.task {
	case "Model":
		out.Add("last_hidden_state", r.Pad(p, x))
		if m.pooler.W != nil {
			out.Add("pooler_output", p.Host(m.pool(p, r, x)).Clone())
		}
	case "ForMaskedLM", "LMHeadModel", "ForCausalLM":
		out.Add("logits", r.Pad(p, m.predict(p, x)))
	case "ForPreTraining":
		out.Add("prediction_logits", r.Pad(p, m.predict(p, x)))
		out.Add("seq_relationship_logits", p.Host(m.relation.Forward(p, m.pool(p, r, x), kernels.ActNone)).Clone())
	case "ForSequenceClassification", "ForNextSentencePrediction", "ForMultipleChoice":
		out.Add("logits", p.Host(m.output.Forward(p, m.pool(p, r, x), kernels.ActNone)).Clone())
	case "ForTokenClassification":
		out.Add("logits", r.Pad(p, m.output.Forward(p, x, kernels.ActNone)))
	case "ForQuestionAnswering":
		span := m.output.Forward(p, x, kernels.ActNone)
		out.Add("start_logits", r.Pad(p, span.SliceCols(0, 1)).Reshape(r.B, r.T))
		out.Add("end_logits", r.Pad(p, span.SliceCols(1, 2)).Reshape(r.B, r.T))
	}
}

// pool returns what classification heads read: position 0, through the pooler
// or the head's own dense layer.
func (m *Model) pool(p nn.Pass, r *nn.Ragged, x tensor.Tensor) tensor.Tensor {
	first := p.New(r.B, x.Cols())
	p.Gather(first, x, p.Ints(r.First()))
	if m.pooler.W != nil {
		return m.pooler.Forward(p, first, kernels.ActTanh)
	}
	return m.headDense.Forward(p, first, m.headAct)
}

// predict is the language modelling head.
func (m *Model) predict(p nn.Pass, x tensor.Tensor) tensor.Tensor {
	h := m.headDense.Forward(p, x, m.headAct)
	return m.output.Forward(p, m.headNorm.Forward(p, h), kernels.ActNone)
}
