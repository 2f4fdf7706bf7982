package clip

import (
	"context"
	"fmt"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// encoded is what an encoder made of its inputs.
type encoded struct {
	last   tensor.Tensor // last_hidden_state [B, T, C], on the Go heap
	pooled tensor.Tensor // pooler_output [B, C]; zero: none
	layers nn.Outputs    // hidden_states.N, if asked for
}

// Run does one forward pass. Inputs: input_ids [B, T], attention_mask and
// position_ids, and pixel_values [B, channels, H, W], as far as the class takes
// them; the texts may be more or fewer than the pictures. The argument
// interpolate_pos_encoding allows pictures of other sizes than the configured
// one, return_loss adds the loss of pairs. Outputs carry the names of the
// class's output object; those of an encoder's own object within it are
// text_model_output.NAME and vision_model_output.NAME.
func (m *Model) Run(ctx context.Context, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	p := m.params.Backend().Begin(ctx)
	defer p.End()
	out, err := m.run(p, in, o)
	if err != nil {
		return nil, fmt.Errorf("clip: %w", err)
	}
	return nn.Finish(p, m.params, out)
}

// The names of inputs and arguments.
var textInputs = []string{"input_ids", "attention_mask", "position_ids"}

const (
	visionInput  = "pixel_values"
	interpolates = "interpolate_pos_encoding"
	returnLoss   = "return_loss"
)

func (m *Model) run(p nn.Pass, in nn.Inputs, o nn.RunOptions) (nn.Outputs, error) {
	var inputs, args []string
	if m.parts.text {
		inputs = append(inputs, textInputs...)
	}
	if m.parts.vision {
		inputs, args = append(inputs, visionInput), append(args, interpolates)
	}
	if m.parts.text && m.parts.vision {
		args = append(args, returnLoss)
	}
	if err := in.Known(inputs...); err != nil {
		return nil, err
	}
	if err := o.Known(args...); err != nil {
		return nil, err
	}
	var text, vision encoded
	loss, err := o.Bool(returnLoss, false)
	if err != nil {
		return nil, err
	}
	if m.parts.text {
		if text, err = m.text(p, in, o); err != nil {
			return nil, err
		}
	}
	if m.parts.vision && !m.parts.classify {
		if vision, err = m.vision(p, in, o); err != nil {
			return nil, err
		}
	}
	var out nn.Outputs
	switch {
	case m.parts.classify:
		return m.classify(p, in, o)
	case m.parts.text && m.parts.vision:
		return m.compare(p, text, vision, loss)
	case m.parts.text:
		m.addTo(p, &out, text, "text_embeds")
	default:
		m.addTo(p, &out, vision, "image_embeds")
	}
	return out, nil
}

// addTo adds the outputs of a class that is one encoder; embeds is what the
// pooled output is called once it is projected.
func (m *Model) addTo(p nn.Pass, out *nn.Outputs, e encoded, embeds string) {
	if m.parts.projection {
		out.Add(embeds, p.Host(e.pooled).Clone())
	}
	out.Add("last_hidden_state", e.last)
	if !m.parts.projection && !e.pooled.IsZero() {
		out.Add("pooler_output", p.Host(e.pooled).Clone())
	}
	*out = append(*out, e.layers...)
}

// text runs the text encoder; the pooled output is projected if the class does.
func (m *Model) text(p nn.Pass, in nn.Inputs, o nn.RunOptions) (encoded, error) {
	c := m.Config.Text
	var e encoded
	ids, err := in.IDs("input_ids", c.VocabSize, -1, -1)
	if err != nil {
		return e, err
	}
	batch, t := in["input_ids"].Dim(0), in["input_ids"].Dim(1)
	switch {
	case batch == 0 || t == 0:
		return e, nn.InputError("input_ids", "shape %v is empty", in["input_ids"].Shape())
	case t > c.MaxPositionEmbeddings:
		return e, nn.InputError("input_ids", "%d tokens; the model has %d positions (max_position_embeddings)", t, c.MaxPositionEmbeddings)
	}
	mask, err := in.Mask("attention_mask", batch, t)
	if err != nil {
		return e, err
	}
	var positions []int32
	if in.Has("position_ids") {
		if positions, err = in.BroadcastIDs("position_ids", c.MaxPositionEmbeddings, batch, t); err != nil {
			return e, err
		}
	} else {
		positions = make([]int32, batch*t)
		for i := range positions {
			positions[i] = int32(i % t)
		}
	}
	at := m.pooledPositions(ids, batch, t)
	b := TextBatch{R: nn.NewRaggedKeeping(mask, batch, t, at)}
	b.IDs, b.Position = b.R.Pick(ids), b.R.Pick(positions)
	x := m.Text.Forward(p, b, watch(p, &e, b.R, o))
	e.last = b.R.Pad(p, x)
	e.pooled = p.New(batch, x.Cols())
	p.Gather(e.pooled, x, p.Ints(b.R.At(at)))
	switch {
	case m.Config.SigLIP:
		e.pooled = m.textHead.Forward(p, e.pooled, kernels.ActNone)
	case m.parts.projection:
		e.pooled = m.textProjection.Forward(p, e.pooled, kernels.ActNone)
	}
	return e, nil
}

// pooledPositions returns the position of each sentence that stands for it:
// CLIP's first end-of-text token, or position 0 without one; SigLIP's last
// position.
func (m *Model) pooledPositions(ids []int32, batch, t int) []int32 {
	at := make([]int32, batch)
	eos := int32(m.Config.Text.EOSTokenID)
	for s := range at {
		row := ids[s*t : (s+1)*t]
		if m.Config.SigLIP {
			at[s] = int32(t - 1)
			continue
		}
		for j, id := range row {
			// Configurations that say 2 say it by mistake: the end-of-text token
			// is then the one of the highest id.
			if eos == 2 && id > row[at[s]] || eos != 2 && id == eos && row[at[s]] != eos {
				at[s] = int32(j)
			}
		}
	}
	return at
}

// vision runs the image encoder; the pooled output is projected if the class
// does.
func (m *Model) vision(p nn.Pass, in nn.Inputs, o nn.RunOptions) (encoded, error) {
	var e encoded
	b, x, err := m.encodePictures(p, in, o, &e)
	if err != nil {
		return e, err
	}
	e.last = b.R.Pad(p, x)
	switch {
	case m.pool != nil:
		e.pooled = m.pool.Forward(p, b.R, x)
	case !m.Config.SigLIP:
		first := p.New(b.R.B, x.Cols())
		p.Gather(first, x, p.Ints(b.R.First()))
		e.pooled = m.postNorm.Forward(p, first)
	}
	if m.parts.projection {
		e.pooled = m.visualProjection.Forward(p, e.pooled, kernels.ActNone)
	}
	return e, nil
}

// encodePictures returns the last hidden state [rows, C].
func (m *Model) encodePictures(p nn.Pass, in nn.Inputs, o nn.RunOptions, e *encoded) (VisionBatch, tensor.Tensor, error) {
	b, err := m.pictures(p, in, o)
	if err != nil {
		return b, tensor.Tensor{}, err
	}
	x := m.Vision.Forward(p, b, watch(p, e, b.R, o))
	if m.Config.SigLIP {
		x = m.postNorm.Forward(p, x)
	}
	return b, x, nil
}

// pictures checks the inputs of the image encoder.
func (m *Model) pictures(p nn.Pass, in nn.Inputs, o nn.RunOptions) (VisionBatch, error) {
	c := m.Config.Vision
	var b VisionBatch
	var err error
	if b.Pixels, err = in.F32(visionInput, -1, c.NumChannels, -1, -1); err != nil {
		return b, err
	}
	resize, err := o.Bool(interpolates, false)
	if err != nil {
		return b, err
	}
	batch, height, width := b.Pixels.Dim(0), b.Pixels.Dim(2), b.Pixels.Dim(3)
	rows, cols := height/c.PatchSize, width/c.PatchSize
	own := height == c.ImageSize && width == c.ImageSize
	if m.Config.SigLIP { // which asks for the number of patches alone
		own = rows*cols == c.Side()*c.Side()
	}
	switch {
	case batch == 0 || rows == 0 || cols == 0:
		return b, nn.InputError(visionInput, "shape %v holds no patch of %d×%[2]d", b.Pixels.Shape(), c.PatchSize)
	case !resize && !own:
		return b, nn.InputError(visionInput, "%d×%d, the model has %d×%[3]d (%s allows others)", height, width, c.ImageSize, interpolates)
	}
	b.Position = m.Vision.Position
	if resize && (rows*cols != c.Side()*c.Side() || height != width) {
		pos, err := nn.InterpolatePositions(p.Host(b.Position).F32(), c.Side(), c.HiddenSize, rows, cols)
		if err != nil {
			return b, nn.InputError(interpolates, "%v", err)
		}
		b.Position = p.Floats(pos, rows*cols, c.HiddenSize)
	}
	tokens := rows * cols
	if !m.Vision.Class.IsZero() {
		tokens++
	}
	b.R = nn.NewRagged(nil, batch, tokens, false)
	return b, nil
}

// watch returns what keeps each layer's output, if that is asked for.
func watch(p nn.Pass, e *encoded, r *nn.Ragged, o nn.RunOptions) func(i int, x tensor.Tensor) {
	return func(i int, x tensor.Tensor) {
		if o.HiddenStates {
			e.layers.Add(fmt.Sprintf("hidden_states.%d", i), r.Pad(p, x))
		}
	}
}
