package vit

import (
	"context"
	"fmt"
	"math"
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
	pooler       nn.Linear // ViTModel: dense over the class token
	classifier   nn.Linear
	distillation nn.Linear // DeiT's second classifier
	decoder      nn.Linear // masked image modelling: to the pixels of a patch
	base         bool      // ViTModel or DeiTModel
	headless     bool      // a classification class with no labels
}

// Load binds class ("ViTModel", "DeiTForImageClassification", …).
func Load(c *hfconfig.Config, class string, p nn.Params) (*Model, error) {
	cfg, err := ParseConfig(c)
	if err != nil {
		return nil, fmt.Errorf("vit: config.json: %w", err)
	}
	m := &Model{Class: class, params: p}
	base := p.Base(cfg.family())
	h, labels := cfg.HiddenSize, cfg.NumLabels
	m.headless = labels == 0
	prefix := "ViT"
	if cfg.DeiT {
		prefix = "DeiT"
	}
	switch task, ok := strings.CutPrefix(class, prefix); {
	case !ok:
		return nil, nn.Unsupported("class %q for this model type", class)
	case task == "Model":
		m.base, m.headless = true, false
		if base.HasPrefix("pooler") { // a model saved without one has no pooler_output
			m.pooler = base.Linear("pooler.dense", h, cfg.PoolerOutputSize, true)
		}
	case task == "ForMaskedImageModeling":
		m.headless = false
		n := cfg.EncoderStride * cfg.EncoderStride * cfg.NumChannels
		w, _ := p.F32("decoder.0.weight", n, h, 1, 1)
		b, _ := p.F32("decoder.0.bias", n)
		m.decoder = p.LinearFrom("decoder.0", []nn.MatrixPart{{Data: w, Out: n, In: h}}, b)
	case task == "ForImageClassification" && !m.headless:
		m.classifier = p.Linear("classifier", h, labels, true)
	case task == "ForImageClassificationWithTeacher" && cfg.DeiT && !m.headless:
		m.classifier = p.Linear("cls_classifier", h, labels, true)
		m.distillation = p.Linear("distillation_classifier", h, labels, true)
	case task == "ForImageClassification":
	default:
		return nil, nn.Unsupported("class %q", class)
	}
	m.Encoder = bindEncoder(base, cfg)
	if err := p.Err(); err != nil {
		return nil, err
	}
	return m, nil
}

// Run does one forward pass. Inputs: pixel_values [B, channels, H, W] and,
// optionally, attention_mask [B, tokens]. The argument
// interpolate_pos_encoding allows sizes other than the configured one.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	b, err := m.batch(p, in, o)
	if err != nil {
		return nil, fmt.Errorf("vit: %w", err)
	}
	var out, hidden nn.Outputs
	x := m.Encoder.Forward(p, b, func(i int, x tensor.Tensor) {
		if o.HiddenStates {
			hidden.Add(fmt.Sprintf("hidden_states.%d", i), b.R.Pad(p, x))
		}
	})
	m.heads(p, &out, b, x)
	return nn.Finish(p, m.params, append(out, hidden...))
}

// batch checks the inputs.
func (m *Model) batch(p nn.Pass, in nn.Inputs, o nn.RunOptions) (Batch, error) {
	c := m.Encoder.Config
	var b Batch
	if err := o.Known("interpolate_pos_encoding"); err != nil {
		return b, err
	}
	known := []string{"pixel_values", "attention_mask"}
	if m.base || m.decoder.W != nil {
		known = append(known, "bool_masked_pos")
	}
	if err := in.Known(known...); err != nil {
		return b, err
	}
	pixels, err := in.F32("pixel_values", -1, c.NumChannels, -1, -1)
	if err != nil {
		return b, err
	}
	height, width := pixels.Dim(2), pixels.Dim(3)
	resize, err := o.Bool("interpolate_pos_encoding", false)
	if err != nil {
		return b, err
	}
	grid := c.Grid(height, width)
	switch {
	case pixels.Dim(0) == 0 || grid[0] == 0 || grid[1] == 0:
		return b, nn.InputError("pixel_values", "shape %v holds no patch of %v", pixels.Shape(), c.PatchSize)
	case !resize && (height != c.ImageSize[0] || width != c.ImageSize[1]):
		return b, nn.InputError("pixel_values", "%d×%d, the model has %d×%d (interpolate_pos_encoding allows others)",
			height, width, c.ImageSize[0], c.ImageSize[1])
	}
	if b.Position, err = m.positions(p, grid, height == width); err != nil {
		return b, err
	}
	tokens := c.Prefix() + grid[0]*grid[1]
	mask, err := in.Mask("attention_mask", pixels.Dim(0), tokens)
	if err != nil {
		return b, err
	}
	b.R = nn.NewRagged(mask, pixels.Dim(0), tokens, true)
	b.Pixels = pixels
	if in.Has("bool_masked_pos") {
		if m.Encoder.Embeddings.Mask.IsZero() {
			return b, nn.InputError("bool_masked_pos", "the checkpoint has no mask token")
		}
		if b.Masked, err = in.Mask("bool_masked_pos", pixels.Dim(0), grid[0]*grid[1]); err != nil {
			return b, err
		}
	}
	return b, m.checkDecoder(b, grid)
}

// checkDecoder checks what masked image modelling asks of a picture: as many
// patches a side, and for the loss a decoder that restores the picture's size.
func (m *Model) checkDecoder(b Batch, grid [2]int) error {
	if m.decoder.W == nil {
		return nil
	}
	n, s := int(math.Sqrt(float64(grid[0]*grid[1]))), m.Encoder.Config.EncoderStride
	switch {
	case n*n != grid[0]*grid[1]:
		return nn.InputError("pixel_values", "%d×%d patches are no square, which the decoder makes of them", grid[0], grid[1])
	case b.Masked == nil:
		return nil
	case m.Encoder.Config.PatchSize != [2]int{s, s}:
		return nn.InputError("bool_masked_pos", "patch_size %v differs from encoder_stride %d", m.Encoder.Config.PatchSize, s)
	case b.Pixels.Dim(2) != n*s || b.Pixels.Dim(3) != n*s:
		return nn.InputError("pixel_values", "%d×%d pixels, the decoder restores %d×%[3]d", b.Pixels.Dim(2), b.Pixels.Dim(3), n*s)
	}
	return nil
}

// loss is the mean absolute error over the masked patches' pixels.
func (m *Model) loss(b Batch, picture tensor.Tensor) float32 {
	channels, side, patch := picture.Dim(1), picture.Dim(2), m.Encoder.Config.EncoderStride
	n := side / patch
	sum, masked := 0.0, 0.0
	for i, v := range b.Masked {
		if v == 0 {
			continue
		}
		masked += float64(patch * patch)
		row, at := i/(n*n), i%(n*n)
		for ch := range channels {
			for y := range patch {
				k := ((row*channels+ch)*side+at/n*patch+y)*side + at%n*patch
				for x := range patch {
					sum += math.Abs(float64(b.Pixels.F32()[k+x]) - float64(picture.F32()[k+x]))
				}
			}
		}
	}
	return float32(sum / (masked + 1e-5) / float64(channels))
}

// positions returns the patches' position embeddings for a grid.
func (m *Model) positions(p nn.Pass, grid [2]int, square bool) (tensor.Tensor, error) {
	c := m.Encoder.Config
	own := c.Grid(c.ImageSize[0], c.ImageSize[1])
	pos := m.Encoder.Embeddings.Position
	if grid == own || square && grid[0]*grid[1] == own[0]*own[1] {
		return pos, nil
	}
	if c.PatchSize[0] != c.PatchSize[1] {
		return pos, nn.Unsupported("interpolate_pos_encoding with patches of %v", c.PatchSize)
	}
	side := int(math.Sqrt(float64(own[0] * own[1]))) // as Hugging Face, whatever the real grid
	data, err := nn.InterpolatePositions(p.Host(pos).F32(), side, c.HiddenSize, grid[0], grid[1])
	if err != nil {
		return pos, nn.InputError("interpolate_pos_encoding", "%v", err)
	}
	return p.Floats(data, grid[0]*grid[1], c.HiddenSize), nil
}

func (m *Model) heads(p nn.Pass, out *nn.Outputs, b Batch, x tensor.Tensor) {
	r := b.R
	first := p.New(r.B, x.Cols())
	p.Gather(first, x, p.Ints(r.First()))
	switch {
	case m.base:
		out.Add("last_hidden_state", r.Pad(p, x))
		if m.pooler.W != nil {
			out.Add("pooler_output", p.Host(m.pooler.Forward(p, first, m.Encoder.Config.PoolerAct)).Clone())
		}
	case m.decoder.W != nil:
		c := m.Encoder.Config
		picture := shuffle(r.Pad(p, m.decoder.Forward(p, x, kernels.ActNone)), c.Prefix(), c.EncoderStride, c.NumChannels)
		if b.Masked != nil {
			out.Add("loss", tensor.FromF32([]float32{m.loss(b, picture)}))
		}
		out.Add("reconstruction", picture)
	case m.headless:
		out.Add("logits", p.Host(first).Clone())
	case m.distillation.W != nil:
		second := p.New(r.B, x.Cols())
		rows := r.First()
		for i := range rows {
			rows[i]++
		}
		p.Gather(second, x, p.Ints(rows))
		cls := m.classifier.Forward(p, first, kernels.ActNone)
		dist := m.distillation.Forward(p, second, kernels.ActNone)
		mean := p.New(r.B, cls.Cols())
		p.Add(mean, cls, dist)
		p.Scale(mean, mean, 0.5)
		out.Add("logits", p.Host(mean).Clone())
		out.Add("cls_logits", p.Host(cls).Clone())
		out.Add("distillation_logits", p.Host(dist).Clone())
	default:
		out.Add("logits", p.Host(m.classifier.Forward(p, first, kernels.ActNone)).Clone())
	}
}

// shuffle puts the pixels of the patches, [B, prefix+n·n, C·s·s], in their
// place in a picture [B, C, n·s, n·s] (torch's PixelShuffle).
func shuffle(x tensor.Tensor, prefix, s, c int) tensor.Tensor {
	b, t := x.Dim(0), x.Dim(1)
	n := int(math.Sqrt(float64(t - prefix)))
	side := n * s
	out := make([]float32, b*c*side*side)
	for i := range b {
		for patch := range n * n {
			src := x.F32()[(i*t+prefix+patch)*x.Cols():]
			for k, v := range src[:c*s*s] {
				ch, dy, dx := k/(s*s), k/s%s, k%s
				out[((i*c+ch)*side+patch/n*s+dy)*side+patch%n*s+dx] = v
			}
		}
	}
	return tensor.FromF32(out, b, c, side, side)
}
