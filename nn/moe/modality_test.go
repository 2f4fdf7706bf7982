package moe_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/gpt"
	"github.com/seed-512d3d71/weft/nn/moe"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// gate writes a router's checkpoint and returns it.
func gate(tb testing.TB, weight []float32, choices, width int) nn.Params {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "router.safetensors")
	err := safetensors.WriteFile(path, []safetensors.Entry{safetensors.F32Entry("router.weight", weight, choices, width)}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	f, err := safetensors.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	cpu, err := nn.NewCPU(1)
	if err != nil {
		tb.Fatal(err)
	}
	return nn.NewParams(f, cpu, "modalities")
}

// picture stands for a decoder of pictures: it paints a feature in one colour.
type picture struct{ side int }

func (d picture) Decode(_ context.Context, features tensor.Tensor) (nn.Outputs, error) {
	n := features.Rows()
	pixels := make([]float32, n*d.side*d.side)
	for i := range pixels {
		pixels[i] = features.F32()[i/(d.side*d.side)*features.LD()]
	}
	return nn.Outputs{{Name: "images", Tensor: tensor.FromF32(pixels, n, d.side, d.side)}}, nil
}

// TestModalities routes features to a GPT-2 that writes, to a decoder of
// pictures and to nothing.
func TestModalities(t *testing.T) {
	c := golden.Open(t, filepath.Join(golden.Root(t), "testdata", "golden", "gpt2.lm"))
	width := c.Config.Dim("n_embd", 0)
	params := c.Params(t, 1)
	var opened []string
	open := func(name string, f func() (moe.Decoder, error)) moe.Modality {
		return moe.Modality{Name: name, Open: func() (moe.Decoder, error) {
			opened = append(opened, name)
			return f()
		}}
	}
	text := open("text", func() (moe.Decoder, error) {
		m, err := gpt.Load(c.Config, "GPT2LMHeadModel", params)
		return moe.ModelDecoder{Model: m}, err
	})
	image := open("image", func() (moe.Decoder, error) { return picture{3}, nil })
	audio := open("audio", func() (moe.Decoder, error) { return nil, errors.New("no such file") })

	// Element c of a feature is what speaks for choice c.
	weight := make([]float32, 4*width)
	for i := range 4 {
		weight[i*width+i] = 1
	}
	feature := func(scores ...float32) []float32 { return append(scores, make([]float32, width-len(scores))...) }
	ask := func(m *moe.Modalities, features ...[]float32) ([]moe.Answer, error) {
		return m.Forward(t.Context(), tensor.FromF32(slices.Concat(features...), len(features), width))
	}

	m, err := moe.NewModalities(gate(t, weight, 4, width), "router", width, moe.Router{TopK: 1}, text, image, audio, moe.Modality{Name: "none"})
	if err != nil {
		t.Fatal(err)
	}
	answers, err := ask(m, feature(0, 0, 0, 5), feature(0, 4, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	if len(answers[0].Outputs) != 0 || fmt.Sprint(answers[1].Outputs.Get("images").Shape()) != "[3 3]" {
		t.Errorf("outputs %v and %v", answers[0].Outputs, answers[1].Outputs)
	}
	if fmt.Sprint(opened) != "[image]" || m.Opened(0) {
		t.Errorf("opened %v for features that chose none and image", opened)
	}
	answers, err = ask(m, feature(3, 0, 0, 0), feature(2, 1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	// The text decoder's own answer to one of them.
	lm, err := gpt.Load(c.Config, "GPT2LMHeadModel", params)
	if err != nil {
		t.Fatal(err)
	}
	out, err := lm.Run(t.Context(), nn.Inputs{"inputs_embeds": tensor.FromF32(feature(2, 1, 0, 0), 1, 1, width)}, nn.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(answers[1].Outputs.Get("logits").F32(), out.Get("logits").F32()) {
		t.Error("the logits are not those of the decoder alone")
	}
	if _, err := ask(m, feature(0, 0, 9, 0)); err == nil || err.Error() != "audio: no such file" {
		t.Errorf("a decoder that cannot be opened: %v", err)
	}

	// Two choices of two decoders: both run, and both pictures are mixed.
	bright := open("bright", func() (moe.Decoder, error) { return brighter{picture{3}}, nil })
	m, err = moe.NewModalities(gate(t, weight, 4, width), "router", width, moe.Router{TopK: 2, Normalize: true}, text, image, bright, moe.Modality{Name: "none"})
	if err != nil {
		t.Fatal(err)
	}
	opened = nil
	answers, err = ask(m, feature(-9, 1, 2, -9))
	if err != nil {
		t.Fatal(err)
	}
	w := answers[0].Weights
	want := -9*w[1] + (-9+1)*w[2]
	if got := answers[0].Outputs.Get("images").F32()[4]; math.Abs(float64(got-want)) > 1e-6 || w[1]+w[2] < 0.999 || w[2] < w[1] {
		t.Errorf("mixed %v, want %v (weights %v)", got, want, w)
	}
	if fmt.Sprint(opened) != "[image bright]" {
		t.Errorf("opened %v", opened)
	}
	if err := m.Close(); err != nil || m.Opened(1) {
		t.Errorf("after Close: %v, opened %v", err, m.Opened(1))
	}
}

// brighter adds 1 to a picture.
type brighter struct{ picture }

func (d brighter) Decode(ctx context.Context, features tensor.Tensor) (nn.Outputs, error) {
	out, err := d.picture.Decode(ctx, features)
	for i := range out[0].F32() {
		out[0].F32()[i]++
	}
	return out, err
}

func TestModalitiesErrors(t *testing.T) {
	p := gate(t, make([]float32, 8), 2, 4)
	none := moe.Modality{Name: "none"}
	if _, err := moe.NewModalities(p, "router", 4, moe.Router{TopK: 3}, none, none); err == nil {
		t.Error("3 of 2 choices: no error")
	}
	if _, err := moe.NewModalities(p, "router", 4, moe.Router{Policy: moe.ExpertChoice, Capacity: 1}, none, none); !errors.Is(err, nn.ErrUnsupported) {
		t.Errorf("expert choice: %v", err)
	}
	m, err := moe.NewModalities(p, "router", 4, moe.Router{TopK: 1}, none, none)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Forward(t.Context(), tensor.FromF32(make([]float32, 5), 1, 5)); !errors.Is(err, nn.ErrInput) {
		t.Errorf("a feature of another width: %v", err)
	}
	if _, err := moe.NewModalities(p, "router", 4, moe.Router{TopK: 1}, none, none, none); err == nil {
		t.Error("a gate of 2 for 3 choices: no error")
	}
}
