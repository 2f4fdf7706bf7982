package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/generate"
	"github.com/seed-512d3d71/weft/task/transcribe"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

// generated is what generate prints.
type generated struct {
	Sequences [][]int     `json:"sequences"`
	Texts     []string    `json:"texts,omitempty"`
	Scores    []float32   `json:"scores,omitempty"`   // of beams
	LogProbs  [][]float32 `json:"logprobs,omitempty"` // of the new tokens
}

// prompt is what generate starts from: exactly one part is given, or an input
// of an encoder and the text that the decoder begins with.
type prompt struct{ in, text, image, audio string }

// runGenerate prints token ids and their texts. Of a CTC model these are the
// best symbol of every frame.
func runGenerate(ctx context.Context, c *call) error {
	set := settings{}
	var from prompt
	c.StringVar(&from.in, "in", "", "safetensors `file` of the inputs, named as forward()'s arguments")
	c.StringVar(&from.text, "text", "", "prompt")
	c.StringVar(&from.image, "image", "", "picture `file`")
	c.StringVar(&from.audio, "audio", "", "sound `file`")
	tokens := c.Int("max-new-tokens", 0, "tokens to generate at most; 0: as generation_config.json says")
	greedy := c.Bool("greedy", false, "take the best token at each step")
	beams := c.Int("num-beams", 0, "beams to search with; 0: as generation_config.json says")
	seed := c.Int64("seed", 0, "seed of sampling")
	probs := c.Bool("logprobs", false, "print the logarithms of the new tokens' probabilities")
	c.Var(set, "set", "`KEY=VALUE` of generation_config.json; repeatable")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model"); err != nil {
		return err
	}
	if *tokens < 0 || *beams < 0 {
		return usagef("--max-new-tokens and --num-beams must not be negative")
	}
	if *greedy && *beams > 1 {
		return usagef("--greedy or --num-beams, not both")
	}
	given := map[string]int64{"max_new_tokens": int64(*tokens), "num_beams": int64(*beams), "seed": *seed}
	if *greedy {
		given["num_beams"] = 1
	}
	if *greedy || *beams > 0 {
		set["do_sample"] = json.RawMessage("false")
	}
	for key, n := range given {
		if n > 0 {
			set[key] = json.RawMessage(strconv.FormatInt(n, 10))
		}
	}
	m, err := c.open(c.model)
	if err != nil {
		return err
	}
	defer m.Close()
	if strings.HasSuffix(m.Class(), "ForCTC") {
		if len(set) > 0 || from.text != "" || from.image != "" {
			return nn.Unsupported("--set, --num-beams, --text and --image with a CTC model")
		}
		return c.decodeFrames(ctx, m, from)
	}
	g, err := m.Generator(set)
	if err != nil {
		return err
	}
	g.LogProbs = *probs
	in, err := from.inputs(m, g)
	if err != nil {
		return err
	}
	if !c.json {
		return c.stream(ctx, g, in)
	}
	r, err := g.Generate(ctx, in)
	if r == nil {
		return err
	}
	out := generated{Sequences: r.Sequences, Scores: r.Scores, LogProbs: r.LogProbs}
	if g.Tokenizer != nil {
		for _, ids := range r.Sequences {
			s, err := g.Tokenizer.Decode(ids, true)
			if err != nil {
				return err
			}
			out.Texts = append(out.Texts, s)
		}
	}
	if e := writeJSON(c.stdout, out); e != nil {
		return e
	}
	return err
}

// inputs reads the prompt.
func (from prompt) inputs(m *weft.Model, g *weft.Generator) (weft.Inputs, error) {
	if from.in != "" {
		if from.text != "" || from.image != "" || from.audio != "" {
			return nil, usagef("--in, or --text, --image and --audio")
		}
		return readInputs(from.in)
	}
	info := g.Model.DecoderInfo()
	in := weft.Inputs{}
	if from.text != "" {
		if g.Tokenizer == nil {
			return nil, fmt.Errorf("--text: the model's directory has no tokenizer")
		}
		var err error
		if in, err = generate.Prompts(g.Tokenizer, from.text); err != nil {
			return nil, err
		}
		if info.Encoder && info.Input != "input_ids" {
			in = weft.Inputs{"decoder_input_ids": in["input_ids"]}
		}
	}
	switch {
	case from.image != "" && info.Input == "pixel_values":
		p, err := m.ImageProcessor()
		if err != nil {
			return nil, err
		}
		img, err := vision.Open(from.image, vision.Limits{})
		if err != nil {
			return nil, err
		}
		data, shape, err := p.Process(img)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from.image, err)
		}
		in["pixel_values"] = tensor.FromF32(data, 1, shape[0], shape[1], shape[2])
	case from.audio != "" && (info.Input == "input_features" || info.Input == "input_values"):
		x, err := m.FeatureExtractor()
		if err != nil {
			return nil, err
		}
		clip, err := audio.Open(from.audio)
		if err != nil {
			return nil, err
		}
		name, data, shape, err := x.Process(clip)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", from.audio, err)
		}
		in[name] = tensor.FromF32(data, shape...)
	case from.image != "" || from.audio != "":
		return nil, nn.Unsupported("--image or --audio with %s", m.Class())
	case from.text == "":
		return nil, usagef("give --in, --text, --image or --audio")
	}
	return in, nil
}

// stream prints the new text as it is written, or ids without a tokenizer.
// Several sequences come one after the other.
func (c *call) stream(ctx context.Context, g *weft.Generator, in weft.Inputs) error {
	begin := time.Now()
	var first time.Duration
	count, current := 0, 0
	later := map[int]*strings.Builder{} // the sequences after the first
	var failed error
	for t, err := range g.Stream(ctx, in) {
		if err != nil {
			failed = err
			break
		}
		if count++; count == 1 {
			first = time.Since(begin)
		}
		s := t.Text
		if g.Tokenizer == nil {
			s = fmt.Sprint(t.ID, " ")
		}
		if t.Sequence == current {
			fmt.Fprint(c.stdout, s)
			continue
		}
		if later[t.Sequence] == nil {
			later[t.Sequence] = &strings.Builder{}
		}
		later[t.Sequence].WriteString(s)
	}
	if count > 0 {
		fmt.Fprintln(c.stdout)
	}
	for i := 1; later[i] != nil; i++ {
		fmt.Fprintln(c.stdout, later[i])
	}
	if took := time.Since(begin); count > 0 {
		fmt.Fprintf(c.stderr, "%d tokens in %v, %.1f tokens/s; the first after %v\n", count, took.Round(time.Millisecond),
			float64(count)/took.Seconds(), first.Round(time.Millisecond))
	}
	return failed
}

// decodeFrames prints the best symbol of every frame of a CTC model.
func (c *call) decodeFrames(ctx context.Context, m *weft.Model, from prompt) error {
	if (from.in == "") == (from.audio == "") {
		return usagef("give either --in or --audio")
	}
	var out weft.Outputs
	if from.in != "" {
		inputs, err := readInputs(from.in)
		if err != nil {
			return err
		}
		if out, err = m.Run(ctx, inputs, weft.RunOptions{}); err != nil {
			return err
		}
	} else {
		clip, err := audio.Open(from.audio)
		if err != nil {
			return err
		}
		if out, err = m.EncodeAudio(ctx, clip); err != nil {
			return err
		}
	}
	var g generated
	var err error
	if g.Sequences, err = transcribe.Frames(out.Get("logits")); err != nil {
		return err
	}
	if m.HasTokenizer() {
		tok, err := m.Tokenizer()
		if err != nil {
			return err
		}
		for _, ids := range g.Sequences {
			s, err := tok.Decode(ids, false)
			if err != nil {
				return err
			}
			g.Texts = append(g.Texts, s)
		}
	}
	return writeJSON(c.stdout, g)
}
