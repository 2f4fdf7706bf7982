package wav2vec

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

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

	params       nn.Params
	task         string
	layerWeights []float32 // of use_weighted_layer_sum, after softmax
	projector    nn.Linear
	output       nn.Linear // to the vocabulary or to labels
	xvector      *XVector  // nil: none
	pretraining  *PreTraining
}

// Load binds class ("Wav2Vec2ForCTC", "HubertModel", …).
func Load(c *hfconfig.Config, class string, p nn.Params) (*Model, error) {
	cfg, err := ParseConfig(c)
	if err != nil {
		return nil, fmt.Errorf("wav2vec: config.json: %w", err)
	}
	family := "Wav2Vec2"
	if cfg.HuBERT {
		family = "Hubert"
	}
	m := &Model{Class: class, params: p}
	var ok bool
	if m.task, ok = strings.CutPrefix(class, family); !ok {
		return nil, nn.Unsupported("class %q for this model type", class)
	}
	h := cfg.HiddenSize
	switch m.task {
	case "Model":
	case "ForCTC":
		if cfg.AddAdapter {
			h = cfg.OutputHiddenSize
		}
		m.output = p.Linear("lm_head", h, cfg.VocabSize, true)
	case "ForSequenceClassification", "ForAudioFrameClassification", "ForXVector", "ForPreTraining":
		if cfg.AddAdapter {
			return nil, nn.Unsupported("config.json: add_adapter with %s", class)
		}
		if cfg.HuBERT && m.task != "ForSequenceClassification" {
			return nil, nn.Unsupported("class %q", class)
		}
		if m.task == "ForPreTraining" {
			m.pretraining = bindPreTraining(p, cfg)
			break
		}
		labels := cfg.NumLabels
		switch m.task {
		case "ForSequenceClassification":
			m.projector = p.Linear("projector", h, cfg.ClassifierProjSize, true)
			h = cfg.ClassifierProjSize
		case "ForXVector":
			m.xvector = bindXVector(p, cfg)
			h, labels = cfg.XVectorOutputDim, cfg.XVectorOutputDim
		}
		m.output = p.Linear("classifier", h, max(1, labels), true)
		if cfg.UseWeightedLayerSum {
			w, _ := p.F32("layer_weights", cfg.NumHiddenLayers+1)
			m.layerWeights = softmax(w)
		}
	default:
		return nil, nn.Unsupported("class %q", class)
	}
	m.Encoder = bindEncoder(p.Base(strings.ToLower(family)), cfg)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

func softmax(x []float32) []float32 {
	out, sum := make([]float32, len(x)), 0.0
	for _, v := range x {
		sum += math.Exp(float64(v))
	}
	for i, v := range x {
		out[i] = float32(math.Exp(float64(v)) / sum)
	}
	return out
}

// Run does one forward pass. Inputs: input_values [B, S] and, optionally,
// attention_mask [B, S], whose rows say how many samples are real; for the base
// model and pre-training also mask_time_indices [B, frames].
//
// The base model's argument ragged cuts every sound to its real samples before
// the convolutions, so that it comes out as it would alone; Hugging Face's
// convolutions read the padding too. The output frames [B] then counts the
// frames of each sound.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	b, err := m.batch(in, o)
	if err != nil {
		return nil, fmt.Errorf("wav2vec: %w", err)
	}
	r := b.R
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	var out, hidden nn.Outputs
	var sum tensor.Tensor // of the layers, weighted
	if m.layerWeights != nil {
		sum = p.New(r.Rows(), m.Encoder.Config.HiddenSize)
	}
	b.Samples = p.Floats(b.Samples.F32(), r.B, b.Samples.Dim(1))
	features, x := m.Encoder.Forward(p, b, func(i int, x tensor.Tensor) {
		if o.HiddenStates {
			hidden.Add(fmt.Sprintf("hidden_states.%d", i), r.Pad(p, x))
		}
		if m.layerWeights != nil {
			accumulate(p, sum, x, m.layerWeights[i], i == 0)
		}
	})
	if m.layerWeights != nil {
		x = sum
	}
	m.heads(p, &out, b, features, x)
	if b.Lengths != nil {
		frames := make([]int64, r.B)
		for s := range frames {
			frames[s] = int64(r.Off[s+1] - r.Off[s])
		}
		out.Add("frames", tensor.FromI64(frames, r.B))
	}
	return nn.Finish(p, m.params, append(out, hidden...))
}

// accumulate adds w·x to sum, or sets it.
func accumulate(p nn.Pass, sum, x tensor.Tensor, w float32, first bool) {
	if first {
		p.Scale(sum, x, w)
		return
	}
	mark := p.Mark()
	scaled := p.New(x.Rows(), x.Cols())
	p.Scale(scaled, x, w)
	p.Add(sum, sum, scaled)
	p.Release(mark)
}

func (m *Model) heads(p nn.Pass, out *nn.Outputs, b Batch, features, x tensor.Tensor) {
	r, t := b.R, b.R.T
	pad := func(x tensor.Tensor) tensor.Tensor { return r.Pad(p, x) }
	if a := m.Encoder.Adapter; a != nil {
		x, t = a.Forward(p, x, r.B, r.T)
		pad = func(x tensor.Tensor) tensor.Tensor { return p.Host(x).Clone().Reshape(r.B, t, x.Cols()) }
	}
	switch m.task {
	case "Model":
		out.Add("last_hidden_state", pad(x))
		if !m.Encoder.Config.HuBERT {
			out.Add("extract_features", p.Host(features).Clone().Reshape(r.B, r.T, features.Cols()))
		}
	case "ForCTC", "ForAudioFrameClassification":
		out.Add("logits", pad(m.output.Forward(p, x, kernels.ActNone)))
	case "ForSequenceClassification":
		mean := p.New(r.B, m.projector.W.Out())
		off := r.Off
		if r.Hidden != nil { // only real frames count
			seen := r.Visible()
			x, off = seen.Pack(p, x), seen.Off
		}
		p.MeanRows(mean, m.projector.Forward(p, x, kernels.ActNone), off)
		out.Add("logits", p.Host(m.output.Forward(p, mean, kernels.ActNone)).Clone())
	case "ForPreTraining":
		h := m.pretraining
		out.Add("projected_states", pad(h.Hidden.Forward(p, x, kernels.ActNone)))
		q, perplexity := h.quantize(p, features, b.Masked)
		out.Add("projected_quantized_states", p.Host(q).Clone().Reshape(r.B, r.T, q.Cols()))
		out.Add("codevector_perplexity", tensor.FromF32([]float32{perplexity}))
	case "ForXVector":
		e := m.xvector.Forward(p, x, r)
		out.Add("logits", p.Host(m.output.Forward(p, e, kernels.ActNone)).Clone())
		out.Add("embeddings", p.Host(e).Clone())
	}
}

// batch checks the inputs and says which feature frames are real.
func (m *Model) batch(in nn.Inputs, o nn.RunOptions) (Batch, error) {
	c := m.Encoder.Config
	var out Batch
	var arguments []string
	if m.task == "Model" {
		arguments = []string{raggedArg}
	}
	if err := o.Known(arguments...); err != nil {
		return out, err
	}
	ragged, err := o.Bool(raggedArg, false)
	if err != nil {
		return out, err
	}
	if ragged && m.Encoder.Adapter != nil {
		return out, nn.Unsupported("argument %q with an adapter", raggedArg)
	}
	known := []string{"input_values", "attention_mask"}
	if m.task == "Model" || m.task == "ForPreTraining" {
		known = append(known, "mask_time_indices")
	}
	if err := in.Known(known...); err != nil {
		return out, err
	}
	samples, err := in.F32("input_values", -1, -1)
	if err != nil {
		return out, err
	}
	b, s := samples.Dim(0), samples.Dim(1)
	t := c.Frames(s)
	if b == 0 || t < 1 {
		return out, nn.InputError("input_values", "shape %v is too short for one feature frame", samples.Shape())
	}
	if a := m.Encoder.Adapter; a != nil && a.adapterLen(t) < 1 {
		return out, nn.InputError("input_values", "%d frames are too few for the adapter", t)
	}
	if x := m.xvector; x != nil && x.frames(t) < 2 {
		return out, nn.InputError("input_values", "%d frames are too few for the x-vector layers", t)
	}
	mask, err := in.Mask("attention_mask", b, s)
	if err != nil {
		return out, err
	}
	if out.Masked, err = in.Mask("mask_time_indices", b, t); err != nil {
		return out, err
	}
	if c.ApplySpecAugment && out.Masked != nil && m.Encoder.MaskEmbed.IsZero() {
		return out, nn.InputError("mask_time_indices", "the checkpoint has no masked_spec_embed")
	}
	frames := m.frameMask(mask, b, s, t)
	out.Samples = samples
	if ragged {
		out.R = nn.NewRagged(frames, b, t, false)
		out.Lengths, err = m.lengths(mask, b, s)
		return out, err
	}
	if m.Encoder.Adapter != nil || c.ConvPosBatchNorm || m.xvector != nil || m.task == "ForCTC" {
		// The convolutions of an adapter and of x-vectors, and the shift of a batch
		// norm, bring hidden frames next to real ones. A CTC model's best symbols
		// are those of every frame.
		out.R = nn.NewGrid(frames, b, t)
		for i := range b {
			if x := m.xvector; x != nil && out.R.Hidden != nil && x.pooled(visible(out.R, i)) < 2 {
				return out, nn.InputError("attention_mask", "row %d leaves too few frames for the x-vector layers", i)
			}
		}
	} else {
		out.R = nn.NewRagged(frames, b, t, false)
	}
	return out, nil
}

const raggedArg = "ragged"

// lengths returns the number of real samples of each row, which must come first
// and give a frame.
func (m *Model) lengths(mask []int64, b, s int) ([]int, error) {
	out := make([]int, b)
	for i := range out {
		out[i] = s
		if mask == nil {
			continue
		}
		row := mask[i*s : (i+1)*s]
		if n := slices.Index(row, 0); n >= 0 {
			out[i] = n
		}
		if slices.Contains(row[out[i]:], 1) {
			return nil, nn.InputError("attention_mask", "row %d hides samples before real ones", i)
		}
		if m.Encoder.Config.Frames(out[i]) < 1 {
			return nil, nn.InputError("attention_mask", "row %d has %d samples, too few for one feature frame", i, out[i])
		}
	}
	return out, nil
}

// frameMask returns the mask [B, T] over frames for one over samples: the
// first frames of each row, as many as its real samples give. A row too short
// for one frame shows all, as Hugging Face's index arithmetic has it.
func (m *Model) frameMask(mask []int64, b, s, t int) []int64 {
	if mask == nil {
		return nil
	}
	out := make([]int64, b*t)
	for i := range b {
		n := 0
		for _, v := range mask[i*s : (i+1)*s] {
			n += int(v)
		}
		real := m.Encoder.Config.Frames(n)
		if real < 1 {
			real = max(1, t+real)
		}
		for j := range min(real, t) {
			out[i*t+j] = 1
		}
	}
	return out
}
