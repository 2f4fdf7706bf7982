package weft_test

import (
	"context"
	"errors"
	"math"
	"sync"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

// TestConcurrent: a model is used from many goroutines at once, and each gets
// the bits that it would get alone.
func TestConcurrent(t *testing.T) {
	m, err := weft.Open("testdata/golden/bert.model")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	input := func(n int) weft.Inputs {
		ids := make([]int64, n)
		for i := range ids {
			ids[i] = int64((7*i + n) % 37)
		}
		return weft.Inputs{"input_ids": tensor.FromI64(ids, 1, n)}
	}
	want := map[int]weft.Outputs{}
	for n := 1; n <= 14; n++ {
		if want[n], err = m.Run(t.Context(), input(n), weft.RunOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 28 {
				n := 1 + (i*5+g)%14
				out, err := m.Run(t.Context(), input(n), weft.RunOptions{})
				if err != nil {
					t.Error(err)
					return
				}
				for k, o := range out {
					for j, v := range o.F32() {
						if math.Float32bits(v) != math.Float32bits(want[n][k].F32()[j]) {
							t.Errorf("%d tokens: %s: element %d differs", n, o.Name, j)
							return
						}
					}
				}
			}
		})
	}
	wg.Wait()
}

func TestCancelled(t *testing.T) {
	m, err := weft.Open("testdata/demo/encoders/text")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := m.EncodeText(ctx, "two dogs"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestClassifyImage(t *testing.T) {
	f := copyOf(t, "testdata/golden/vit.new_names")
	f.write("preprocessor_config.json", `{"image_processor_type":"ViTImageProcessor","size":{"height":16,"width":16}}`)
	f.config(map[string]any{"id2label": map[string]string{"0": "cat", "1": "dog", "2": "bird"}})
	m, err := weft.Open(f.dir)
	f.check(err)
	defer m.Close()
	picture, err := vision.Open("testdata/demo/photo.jpg", vision.Limits{})
	f.check(err)
	labels, err := m.ClassifyImage(t.Context(), picture)
	f.check(err)
	sum := float32(0)
	for i, l := range labels {
		if sum += l.Score; i > 0 && l.Score > labels[i-1].Score || l.Name != []string{"cat", "dog", "bird"}[l.ID] {
			t.Errorf("%+v", labels)
		}
	}
	if len(labels) != 3 || math.Abs(float64(sum)-1) > 1e-5 {
		t.Errorf("%+v", labels)
	}
	// A class without labels says so.
	base, err := weft.Open("testdata/demo/encoders/image")
	f.check(err)
	defer base.Close()
	if _, err := base.ClassifyImage(t.Context(), picture); !weft.IsUnsupported(err) {
		t.Error(err)
	}
}

func TestTranscribe(t *testing.T) {
	f := copyOf(t, "testdata/golden/wav2vec2.ctc")
	f.write("preprocessor_config.json", `{"feature_extractor_type":"Wav2Vec2FeatureExtractor","sampling_rate":16000,"do_normalize":true}`)
	f.write("vocab.json", `{"<pad>":0,"<s>":1,"</s>":2,"<unk>":3,"|":4,"A":5,"B":6,"C":7,"D":8,"E":9,"F":10,"G":11,"H":12}`)
	f.write("tokenizer_config.json", `{"tokenizer_class":"Wav2Vec2CTCTokenizer","pad_token":"<pad>","unk_token":"<unk>","word_delimiter_token":"|"}`)
	m, err := weft.Open(f.dir)
	f.check(err)
	defer m.Close()
	clip, err := audio.Open("testdata/demo/voice.flac")
	f.check(err)
	s, err := m.Transcribe(t.Context(), clip)
	f.check(err)
	for _, r := range s {
		if r != ' ' && (r < 'A' || r > 'H') && r != '<' && r != '>' && r != '/' && (r < 'a' || r > 'z') {
			t.Fatalf("%q", s)
		}
	}
	if s == "" {
		t.Error("nothing was said")
	}
}
