package clip_test

import (
	"encoding/json"
	"errors"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/clip"
	"github.com/seed-512d3d71/weft/tensor"
)

func open(t *testing.T, name, class string) (*golden.Case, *clip.Model) {
	t.Helper()
	c := golden.Open(t, filepath.Join(golden.Root(t), "testdata", "golden", name))
	m, err := clip.Load(c.Config, class, c.Params(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	return c, m
}

// pick returns the named inputs.
func pick(in nn.Inputs, names ...string) nn.Inputs {
	out := nn.Inputs{}
	for _, n := range names {
		if in.Has(n) {
			out[n] = in[n]
		}
	}
	return out
}

// TestFeatures compares with the outputs of the whole model, whose embeddings
// are the features at length 1.
func TestFeatures(t *testing.T) {
	for name, class := range map[string]string{"clip.model": "CLIPModel", "siglip.model": "SiglipModel"} {
		c, m := open(t, name, class)
		text, err := m.TextFeatures(t.Context(), pick(c.Inputs, "input_ids", "attention_mask"))
		if err != nil {
			t.Fatal(err)
		}
		image, err := m.ImageFeatures(t.Context(), pick(c.Inputs, "pixel_values"), nn.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range []struct {
			features tensor.Tensor
			want     string
		}{{text, "text_model_output.pooler_output"}, {image, "vision_model_output.pooler_output"}} {
			for _, w := range c.Want {
				if w.Name == x.want {
					if err := golden.Compare(x.features, w, golden.Tolerance); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
			}
		}
		if _, err := m.TextFeatures(t.Context(), c.Inputs); !errors.Is(err, nn.ErrInput) {
			t.Errorf("%s: pictures among the texts: %v", name, err)
		}
	}
	_, m := open(t, "clip.vision", "CLIPVisionModel")
	if _, err := m.ImageFeatures(t.Context(), nn.Inputs{}, nn.RunOptions{}); !errors.Is(err, nn.ErrUnsupported) {
		t.Errorf("features without a projection: %v", err)
	}
}

// TestPairAlone checks that a text and a picture by themselves have the bits
// that they have among others.
func TestPairAlone(t *testing.T) {
	for name, class := range map[string]string{"clip.model": "CLIPModel", "siglip.model": "SiglipModel"} {
		c, m := open(t, name, class)
		all, err := m.Run(t.Context(), c.Inputs, nn.RunOptions{})
		if err != nil {
			t.Fatal(err)
		}
		per := all.Get("logits_per_text")
		for i := range per.Dim(0) {
			for j := range per.Dim(1) {
				in := nn.Inputs{}
				for n, x := range c.Inputs {
					row := i
					if n == "pixel_values" {
						row = j
					}
					shape, each := x.Shape(), x.Len()/x.Dim(0)
					shape[0] = 1
					if x.DType() == tensor.I64 {
						in[n] = tensor.FromI64(x.I64()[row*each:(row+1)*each], shape...)
					} else {
						in[n] = tensor.FromF32(x.F32()[row*each:(row+1)*each], shape...)
					}
				}
				one, err := m.Run(t.Context(), in, nn.RunOptions{})
				if err != nil {
					t.Fatal(err)
				}
				got, want := one.Get("logits_per_image").F32()[0], per.F32()[i*per.Dim(1)+j]
				if math.Float32bits(got) != math.Float32bits(want) {
					t.Errorf("%s: text %d and picture %d alone: %v, among others %v", name, i, j, got, want)
				}
			}
		}
	}
}

func TestPadTexts(t *testing.T) {
	_, m := open(t, "siglip.model", "SiglipModel")
	in := m.PadTexts([][]int64{{5, 6, 7}, {}})
	ids := in["input_ids"]
	want := []int64{5, 6, 7, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}
	if ids.Dim(0) != 2 || ids.Dim(1) != 9 || in.Has("attention_mask") {
		t.Fatalf("%v", in)
	}
	for i, v := range ids.I64() {
		if v != want[i] {
			t.Fatalf("ids %v, want %v", ids.I64(), want)
		}
	}
	_, m = open(t, "clip.text", "CLIPTextModel")
	in = m.PadTexts([][]int64{{5, 6, 7}, {8}})
	if in["input_ids"].Dim(1) != 3 || in["attention_mask"].I64()[4] != 0 || in["attention_mask"].I64()[3] != 1 {
		t.Fatalf("%v", in)
	}
}

func TestRefusals(t *testing.T) {
	set := func(s string) nn.RunOptions {
		var o nn.RunOptions
		if err := json.Unmarshal([]byte(s), &o.Set); err != nil {
			t.Fatal(err)
		}
		return o
	}
	c, m := open(t, "clip.model", "CLIPModel")
	bare, _ := open(t, "clip.vision", "CLIPVisionModel")
	with := func(name string, x tensor.Tensor) nn.Inputs {
		in := pick(c.Inputs, "input_ids", "attention_mask", "pixel_values")
		in[name] = x
		return in
	}
	for what, f := range map[string]struct {
		in   nn.Inputs
		o    nn.RunOptions
		want error
		text string
	}{
		"no pictures":      {pick(c.Inputs, "input_ids"), nn.RunOptions{}, nn.ErrInput, "pixel_values: missing"},
		"no texts":         {pick(c.Inputs, "pixel_values"), nn.RunOptions{}, nn.ErrInput, "input_ids: missing"},
		"long text":        {with("input_ids", tensor.FromI64(make([]int64, 10), 1, 10)), nn.RunOptions{}, nn.ErrInput, "9 positions"},
		"no text":          {with("input_ids", tensor.FromI64(nil, 1, 0)), nn.RunOptions{}, nn.ErrInput, "empty"},
		"unknown token":    {with("input_ids", tensor.FromI64([]int64{40}, 1, 1)), nn.RunOptions{}, nn.ErrInput, "want 0 … 39"},
		"other size":       {with("pixel_values", tensor.FromF32(make([]float32, 3*8*8), 1, 3, 8, 8)), nn.RunOptions{}, nn.ErrInput, "8×8"},
		"no patch":         {with("pixel_values", tensor.FromF32(make([]float32, 3*3*8), 1, 3, 3, 8)), set(`{"interpolate_pos_encoding":true}`), nn.ErrInput, "no patch"},
		"other channels":   {with("pixel_values", tensor.FromF32(make([]float32, 144), 1, 1, 12, 12)), nn.RunOptions{}, nn.ErrInput, "pixel_values"},
		"unknown input":    {with("token_type_ids", tensor.FromI64([]int64{0}, 1, 1)), nn.RunOptions{}, nn.ErrInput, "token_type_ids"},
		"unknown argument": {c.Inputs, set(`{"speed":1}`), nn.ErrUnsupported, `"speed"`},
		"loss of no pairs": {c.Inputs, set(`{"return_loss":true}`), nn.ErrInput, "no pairs"},
	} {
		if _, err := m.Run(t.Context(), f.in, f.o); !errors.Is(err, f.want) || !strings.Contains(err.Error(), f.text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for class, want := range map[string]error{
		"CLIPForTelepathy":              nn.ErrUnsupported,
		"SiglipModel":                   nn.ErrUnsupported,
		"SiglipTextModelWithProjection": nn.ErrUnsupported,
		"CLIPForImageClassification":    nn.ErrMissingWeight,
	} {
		if _, err := clip.Load(c.Config, class, c.Params(t, 1)); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", class, err, want)
		}
	}
	if _, err := clip.Load(bare.Config, "CLIPVisionModelWithProjection", bare.Params(t, 1)); !errors.Is(err, nn.ErrMissingWeight) {
		t.Errorf("no projection: %v", err)
	}
	other := parse(t, `{"model_type":"clip","projection_dim":11,"text_config":{"vocab_size":40,"hidden_size":12,"intermediate_size":16,"num_hidden_layers":0,"num_attention_heads":2,"max_position_embeddings":9}}`)
	if _, err := clip.Load(other, "CLIPModel", c.Params(t, 1)); !errors.Is(err, tensor.ErrShape) || !strings.Contains(err.Error(), "text_projection.weight") {
		t.Errorf("other projection_dim: %v", err)
	}
}

func parse(t *testing.T, s string) *hfconfig.Config {
	t.Helper()
	c, err := hfconfig.Parse([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestBadConfig(t *testing.T) {
	for s, want := range map[string]string{
		`{"model_type":"clip","text_config":7}`:                                              "text_config",
		`{"model_type":"clip","text_config":{"hidden_act":"snake"}}`:                         `"snake"`,
		`{"model_type":"clip","text_config":{"hidden_size":50}}`:                             "text_config: hidden size 50",
		`{"model_type":"clip","text_config":{"eos_token_id":null}}`:                          "text_config.eos_token_id",
		`{"model_type":"clip","text_config":{"eos_token_id":[1,2]}}`:                         "text_config.eos_token_id",
		`{"model_type":"clip","text_config_dict":{"vocab_size":-1}}`:                         "text_config_dict.vocab_size",
		`{"model_type":"clip","vision_config":{"patch_size":225}}`:                           "vision_config.image_size",
		`{"model_type":"clip","vision_config":{"patch_size":1,"image_size":5000}}`:           "vision_config.patch_size",
		`{"model_type":"clip","vision_config":{"num_channels":1000000}}`:                     "vision_config.patch_size",
		`{"model_type":"clip","vision_config":{"num_hidden_layers":2147483648}}`:             "vision_config.num_hidden_layers",
		`{"model_type":"clip","projection_dim":0}`:                                           "projection_dim",
		`{"model_type":"siglip","architectures":["CLIPModel"]}`:                              `"siglip"`,
		`{"model_type":"siglip","text_config":{"projection_size":8},"vision_config":{}}`:     "projection_size 8",
		`{"model_type":"siglip","text_config":{},"vision_config":{"vision_use_head":false}}`: "vision_use_head",
		`{"model_type":"siglip","text_config":{},"vision_config":{"image_size":[224,224]}}`:  "vision_config.image_size",
	} {
		class := "CLIPModel"
		c := parse(t, s)
		if c.Str("model_type", "") == "siglip" && !c.Has("architectures") {
			class = "SiglipModel"
		}
		if _, err := clip.ParseConfig(c, class); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}
