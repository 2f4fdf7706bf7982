package weft_test

import (
	"errors"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/nn/align"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

// TestFeatures compares a sentence's and a picture's vectors, brought to length
// 1, with the embeddings that the whole model gives for the same input.
func TestFeatures(t *testing.T) {
	for _, name := range []string{"clip.model", "siglip.model"} {
		t.Run(name, func(t *testing.T) {
			f := copyOf(t, "testdata/golden/"+name)
			f.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\ndog\ntwo\ndogs\n")
			f.write("tokenizer_config.json", `{"tokenizer_class":"BertTokenizer"}`)
			f.write("preprocessor_config.json", `{"image_processor_type":"CLIPImageProcessor","size":{"shortest_edge":12},"crop_size":{"height":12,"width":12}}`)
			m, err := weft.Open(f.dir)
			f.check(err)
			defer m.Close()
			picture := &vision.Image{W: 12, H: 12, Pix: make([]uint8, 3*12*12)}
			for i := range picture.Pix {
				picture.Pix[i] = uint8(7 * i)
			}
			texts, err := m.TextFeatures(t.Context(), "a dog", "two dogs a dog")
			f.check(err)
			images, err := m.ImageFeatures(t.Context(), picture)
			f.check(err)
			p, err := m.ImageProcessor()
			f.check(err)
			pixels, shape, err := p.Process(picture)
			f.check(err)
			ids := []int64{2, 5, 6, 3, 1, 1, 1, 1, 1, 2, 7, 8, 5, 6, 3, 1, 1, 1}
			mask := []int64{1, 1, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0}
			in := weft.Inputs{"input_ids": tensor.FromI64(ids, 2, 9), "pixel_values": tensor.FromF32(pixels, 1, shape[0], shape[1], shape[2])}
			if name == "clip.model" { // SigLIP reads the padding
				in["attention_mask"] = tensor.FromI64(mask, 2, 9)
			}
			out, err := m.Run(t.Context(), in, weft.RunOptions{})
			f.check(err)
			for embeds, x := range map[string]weft.Tensor{"text_embeds": texts, "image_embeds": images} {
				unit, _, err := align.Normalize(x)
				f.check(err)
				want := out.Get(embeds).F32()
				for i, v := range unit.F32() {
					if len(want) != unit.Len() || math.Abs(float64(v-want[i])) > 1e-6 {
						t.Fatalf("%s: %v, want %v", embeds, unit.F32(), want)
					}
				}
			}
			if _, err := m.TextFeatures(t.Context()); !errors.Is(err, weft.ErrInput) {
				t.Errorf("no sentences: %v", err)
			}
			if _, err := m.ImageFeatures(t.Context()); !errors.Is(err, weft.ErrInput) {
				t.Errorf("no pictures: %v", err)
			}
		})
	}
	m, err := weft.Open("testdata/golden/bert.model")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.TextFeatures(t.Context(), "a dog"); !errors.Is(err, weft.ErrUnsupported) {
		t.Errorf("features of BERT: %v", err)
	}
}
