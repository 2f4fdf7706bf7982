package clip

import (
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/align"
	"github.com/seed-512d3d71/weft/tensor"
)

// Model is one class: the encoders it has and what stands on them. Blocks that
// the class does not have are zero.
type Model struct {
	Config Config
	Class  string
	Text   *TextEncoder
	Vision *VisionEncoder

	params nn.Params
	parts  parts

	postNorm         nn.LayerNorm   // over the class token; SigLIP: over all tokens
	textHead         nn.Linear      // SigLIP: over the last position
	pool             *AttentionPool // SigLIP
	textProjection   nn.Linear      // to the common space
	visualProjection nn.Linear
	classifier       nn.Linear
	unit             tensor.Tensor // see bindUnit
	scale            float32       // exp(logit_scale)
	bias             float32       // logit_bias
}

// Load binds class ("CLIPModel", "SiglipVisionModel", …). A class that is one
// encoder is found in a checkpoint of both.
func Load(c *hfconfig.Config, class string, p nn.Params) (*Model, error) {
	cfg, err := ParseConfig(c, class)
	if err != nil {
		return nil, fmt.Errorf("clip: config.json: %w", err)
	}
	m := &Model{Config: cfg, Class: class, params: p}
	_, m.parts, _ = classOf(class)
	family := "clip"
	if cfg.SigLIP {
		family = "siglip"
	}
	p = p.Base(family)
	if m.parts.text {
		m.bindText(p)
	}
	if m.parts.vision {
		m.bindVision(p)
	}
	if m.parts.text && m.parts.vision {
		m.bindLogits(p)
	}
	if err := p.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *Model) bindText(p nn.Params) {
	c := m.Config.Text
	tower := p.Base("text_model")
	m.Text = bindText(tower, c, m.Config.SigLIP)
	if m.Config.SigLIP {
		m.textHead = tower.Linear("head", c.HiddenSize, c.ProjectionDim, true)
	}
	if m.parts.projection {
		m.textProjection = p.Linear("text_projection", c.HiddenSize, m.projectionDim(c.ProjectionDim), false)
	}
}

func (m *Model) bindVision(p nn.Params) {
	c := m.Config.Vision
	tower := p.Base("vision_model")
	m.Vision = bindVision(tower, c, m.Config.SigLIP)
	if m.Config.SigLIP || !m.parts.classify {
		m.postNorm = tower.LayerNorm("post_layernorm", c.HiddenSize, c.LayerNormEps)
	}
	switch {
	case m.parts.classify:
		if m.Config.NumLabels > 0 {
			m.classifier = p.Linear("classifier", c.HiddenSize, m.Config.NumLabels, true)
		}
	case c.UseHead:
		m.pool = bindPool(tower.Sub("head"), c.EncoderConfig)
	}
	if m.parts.projection {
		m.visualProjection = p.Linear("visual_projection", c.HiddenSize, m.projectionDim(c.ProjectionDim), false)
	}
}

func (m *Model) bindLogits(p nn.Params) {
	width := m.Config.ProjectionDim
	var shape []int // of a scalar
	if m.Config.SigLIP {
		width, shape = m.Config.Vision.HiddenSize, []int{1}
		if b, _ := p.F32("logit_bias", shape...); b != nil {
			m.bias = b[0]
		}
	}
	if s, _ := p.F32("logit_scale", shape...); s != nil {
		m.scale = float32(math.Exp(float64(s[0])))
	}
	if p.Err() == nil {
		m.unit = bindUnit(p, width)
	}
}

// projectionDim is the width of the common space: an encoder alone has its own.
func (m *Model) projectionDim(own int) int {
	if m.parts.text && m.parts.vision {
		return m.Config.ProjectionDim
	}
	return own
}

// classify returns the logits of the mean of the patches.
func (m *Model) classify(p nn.Pass, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	var e encoded
	b, x, err := m.encodePictures(p, in, o, &e)
	if err != nil {
		return nil, err
	}
	n := b.Position.Rows()
	rows, off := make([]int32, 0, b.R.B*n), make([]int32, b.R.B+1)
	for s := range b.R.B {
		for i := range int32(n) {
			rows = append(rows, b.R.Off[s+1]-int32(n)+i)
		}
		off[s+1] = int32(len(rows))
	}
	patches := p.New(len(rows), x.Cols())
	p.Gather(patches, x, p.Ints(rows))
	mean := p.New(b.R.B, x.Cols())
	p.MeanRows(mean, patches, off)
	if m.classifier.W != nil { // a class of no labels gives the mean
		mean = m.classifier.Forward(p, mean, kernels.ActNone)
	}
	out := nn.Outputs{{Name: "logits", Tensor: p.Host(mean).Clone()}}
	return append(out, e.layers...), nil
}

// compare returns the similarity of each text to each picture and, if wanted,
// the loss of text i and picture i as pairs.
func (m *Model) compare(p nn.Pass, text, vision encoded, wanted bool) (nn.Outputs, error) {
	unit := func(x tensor.Tensor) tensor.Tensor {
		dst := p.New(x.Rows(), x.Cols())
		p.RMSNorm(dst, x, m.unit, 0)
		return dst
	}
	t, v := unit(text.pooled), unit(vision.pooled)
	logits := p.New(t.Rows(), v.Rows())
	p.MatMul(logits, t, v, true)
	p.Scale(logits, logits, m.scale)
	perText := p.Host(logits).Clone()
	if m.Config.SigLIP {
		for i := range perText.F32() {
			perText.F32()[i] += m.bias
		}
	}
	var out nn.Outputs
	if wanted {
		loss := align.InfoNCELogits
		if m.Config.SigLIP {
			loss = align.SigmoidLogits
		}
		v, err := loss(perText)
		if err != nil {
			return nil, nn.InputError(returnLoss, "%d texts and %d pictures are no pairs", t.Rows(), perText.Cols())
		}
		out.Add("loss", tensor.FromF32([]float32{float32(v)}))
	}
	out.Add("logits_per_image", transposed(perText))
	out.Add("logits_per_text", perText)
	out.Add("text_embeds", p.Host(t).Clone())
	out.Add("image_embeds", p.Host(v).Clone())
	for _, e := range []struct {
		name string
		encoded
	}{{"text_model_output.", text}, {"vision_model_output.", vision}} {
		out.Add(e.name+"last_hidden_state", e.last)
		out.Add(e.name+"pooler_output", p.Host(e.pooled).Clone())
		for _, l := range e.layers {
			out.Add(e.name+l.Name, l.Tensor)
		}
	}
	return out, nil
}

func transposed(x tensor.Tensor) tensor.Tensor {
	rows, cols := x.Rows(), x.Cols()
	out := make([]float32, rows*cols)
	for i := range rows {
		for j := range cols {
			out[j*rows+i] = x.F32()[i*cols+j]
		}
	}
	return tensor.FromF32(out, cols, rows)
}
