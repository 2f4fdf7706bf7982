package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

func runPreprocess(ctx context.Context, c *call) error {
	picture := c.String("image", "", "picture `file`")
	sound := c.String("audio", "", "sound `file`")
	out := c.String("out", "", "safetensors `file` to write")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model", "out"); err != nil {
		return err
	}
	if (*picture == "") == (*sound == "") {
		return usagef("give either --image or --audio")
	}
	var entry safetensors.Entry
	if *picture != "" {
		p, err := weft.OpenImageProcessor(c.model)
		if err != nil {
			return err
		}
		img, err := vision.Open(*picture, vision.Limits{})
		if err != nil {
			return err
		}
		data, shape, err := p.Process(img)
		if err != nil {
			return fmt.Errorf("%s: %w", *picture, err)
		}
		entry = safetensors.F32Entry("pixel_values", data, 1, shape[0], shape[1], shape[2])
		if p.Integer() { // as Transformers, which then leaves the bytes as they are
			levels := make([]int64, len(data))
			for i, v := range data {
				levels[i] = int64(v)
			}
			entry = safetensors.I64Entry("pixel_values", levels, 1, shape[0], shape[1], shape[2])
		}
	} else {
		x, err := weft.OpenFeatureExtractor(c.model)
		if err != nil {
			return err
		}
		clip, err := audio.Open(*sound)
		if err != nil {
			return err
		}
		name, data, shape, err := x.Process(clip)
		if err != nil {
			return fmt.Errorf("%s: %w", *sound, err)
		}
		entry = safetensors.F32Entry(name, data, shape...)
	}
	return safetensors.WriteFile(*out, []safetensors.Entry{entry}, nil)
}

func runClassify(ctx context.Context, c *call) error {
	sentence := c.String("text", "", "sentence")
	picture := c.String("image", "", "picture `file`")
	sound := c.String("audio", "", "sound `file`")
	top := c.Int("top", 5, "labels to print")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model"); err != nil {
		return err
	}
	m, err := c.open(c.model)
	if err != nil {
		return err
	}
	defer m.Close()
	var labels []weft.Label
	switch {
	case *sentence != "" && *picture == "" && *sound == "":
		labels, err = m.ClassifyText(ctx, *sentence)
	case *picture != "" && *sentence == "" && *sound == "":
		img, e := vision.Open(*picture, vision.Limits{})
		if e != nil {
			return e
		}
		labels, err = m.ClassifyImage(ctx, img)
	case *sound != "" && *sentence == "" && *picture == "":
		clip, e := audio.Open(*sound)
		if e != nil {
			return e
		}
		labels, err = m.ClassifyAudio(ctx, clip)
	default:
		return usagef("give one of --text, --image and --audio")
	}
	if err != nil {
		return err
	}
	if *top > 0 && len(labels) > *top {
		labels = labels[:*top]
	}
	if c.json {
		return writeJSON(c.stdout, labels)
	}
	for _, l := range labels {
		fmt.Fprintf(c.stdout, "%6.2f %%  %s\n", 100*l.Score, l.Name)
	}
	return nil
}

func runTranscribe(ctx context.Context, c *call) error {
	sound := c.String("audio", "", "sound `file`")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model", "audio"); err != nil {
		return err
	}
	m, err := c.open(c.model)
	if err != nil {
		return err
	}
	defer m.Close()
	clip, err := audio.Open(*sound)
	if err != nil {
		return err
	}
	s, err := m.Transcribe(ctx, clip)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, map[string]string{"text": s})
	}
	fmt.Fprintln(c.stdout, s)
	return nil
}

// runEncode is the multi-modal encoder: three checkpoints, or one directory
// with the folders text, image and audio.
func runEncode(ctx context.Context, c *call) error {
	dirs := map[string]*string{}
	inputs := map[string]*string{}
	for _, part := range []string{"text", "image", "audio"} {
		dirs[part] = c.String(part+"-model", "", "`directory` of the "+part+" encoder")
	}
	inputs["text"] = c.String("text", "", "sentence")
	inputs["image"] = c.String("image", "", "picture `file`")
	inputs["audio"] = c.String("audio", "", "sound `file`")
	out := c.String("out", "", "safetensors `file` for the features (text.last_hidden_state, …)")
	if err := c.parseNone(); err != nil {
		return err
	}
	start := time.Now()
	e, err := c.openEncoders(dirs)
	if err != nil {
		return err
	}
	defer e.Close()
	var in weft.MultiModalInput
	in.Text = *inputs["text"]
	if f := *inputs["image"]; f != "" {
		if in.Image, err = vision.Open(f, vision.Limits{}); err != nil {
			return err
		}
	}
	if f := *inputs["audio"]; f != "" {
		if in.Audio, err = audio.Open(f); err != nil {
			return err
		}
	}
	if in.Text == "" && in.Image == nil && in.Audio == nil {
		return usagef("give at least one of --text, --image and --audio")
	}
	loaded := time.Now()
	f, err := e.Encode(ctx, in)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.stderr, "loaded in %v, encoded in %v\n", loaded.Sub(start).Round(time.Millisecond/10), time.Since(loaded).Round(time.Millisecond/10))
	return c.printFeatures(f, *out)
}

func (c *call) openEncoders(dirs map[string]*string) (*weft.MultiModalEncoder, error) {
	if c.model != "" {
		return weft.OpenMultiModal(c.model, c.options()...)
	}
	e := &weft.MultiModalEncoder{}
	for part, m := range map[string]**weft.Model{"text": &e.Text, "image": &e.Image, "audio": &e.Audio} {
		dir := *dirs[part]
		if dir == "" {
			continue
		}
		var err error
		if *m, err = c.open(dir); err != nil {
			e.Close()
			return nil, err
		}
	}
	if e.Text == nil && e.Image == nil && e.Audio == nil {
		return nil, usagef("--model or one of --text-model, --image-model, --audio-model is missing")
	}
	return e, nil
}

// feature is one printed output of runEncode.
type feature struct {
	Name   string    `json:"name"`
	Shape  []int     `json:"shape"`
	First  []float32 `json:"first"`
	RMS    float64   `json:"rms"`
	tensor tensor.Tensor
}

func (c *call) printFeatures(f weft.Features, out string) error {
	var list []feature
	for _, part := range []struct {
		name    string
		outputs weft.Outputs
	}{{"text", f.Text}, {"image", f.Image}, {"audio", f.Audio}} {
		for _, o := range part.outputs {
			data := o.F32()
			sum := 0.0
			for _, v := range data {
				sum += float64(v) * float64(v)
			}
			list = append(list, feature{
				Name: part.name + "." + o.Name, Shape: o.Shape(), First: data[:min(4, len(data))],
				RMS: math.Sqrt(sum / float64(max(1, len(data)))), tensor: o.Tensor,
			})
		}
	}
	if out != "" {
		entries := make([]safetensors.Entry, len(list))
		for i, x := range list {
			entries[i] = safetensors.F32Entry(x.Name, x.tensor.F32(), x.Shape...)
		}
		if err := safetensors.WriteFile(out, entries, nil); err != nil {
			return err
		}
	}
	if c.json {
		return writeJSON(c.stdout, list)
	}
	for _, x := range list {
		fmt.Fprintf(c.stdout, "%-24s %-14s rms %.4f  ", x.Name, fmt.Sprint(x.Shape), x.RMS)
		for _, v := range x.First {
			fmt.Fprintf(c.stdout, " %8.4f", v)
		}
		fmt.Fprintln(c.stdout, " …")
	}
	return nil
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		x, y := float64(a[i]), float64(b[i])
		ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return ab / math.Sqrt(aa*bb)
}
