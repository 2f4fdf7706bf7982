package audio

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestParseExtractor(t *testing.T) {
	for _, c := range []struct{ config, model, class string }{
		{`{"feature_extractor_type":"WhisperFeatureExtractor"}`, ``, "WhisperFeatureExtractor"},
		{`{}`, `{"model_type":"hubert"}`, "Wav2Vec2FeatureExtractor"},
		{`{}`, `{"feature_extractor_type":"ASTFeatureExtractor","model_type":"hubert"}`, "ASTFeatureExtractor"},
		{`{"feature_extractor":{"feature_extractor_type":"ASTFeatureExtractor"}}`, ``, "ASTFeatureExtractor"},
	} {
		x, err := ParseExtractor([]byte(c.config), []byte(c.model))
		if err != nil || x.Class() != c.class || x.SamplingRate() != 16000 {
			t.Errorf("%s %s: %+v, %v, want %s", c.config, c.model, x, err, c.class)
		}
	}
	for _, c := range []struct {
		config, model, want string
		unsupported         bool
	}{
		{`{"feature_extractor_type":"EncodecFeatureExtractor"}`, ``, "EncodecFeatureExtractor", true},
		{`{}`, `{"model_type":"encodec"}`, `"encodec"`, true},
		{`{"feature_extractor_type":"WhisperFeatureExtractor","dither":0.1}`, ``, "dither", true},
		{`{}`, ``, "no feature_extractor_type", false},
		{`{`, ``, "preprocessor_config.json", false},
		{`null`, ``, "want an object", false},
		{`{}`, `[]`, "config.json", false},
		{`{"feature_extractor_type":7}`, ``, "feature_extractor_type: want a string", false},
		{`{"feature_extractor_type":"Wav2Vec2FeatureExtractor","sampling_rate":0}`, ``, "sampling_rate: 0", false},
		{`{"feature_extractor_type":"Wav2Vec2FeatureExtractor","sampling_rate":16000.5}`, ``, "sampling_rate", false},
		{`{"feature_extractor_type":"Wav2Vec2FeatureExtractor","padding_side":"top"}`, ``, "padding_side", false},
		{`{"feature_extractor_type":"WhisperFeatureExtractor","n_fft":1}`, ``, "n_fft", false},
		{`{"feature_extractor_type":"WhisperFeatureExtractor","hop_length":0}`, ``, "hop_length", false},
		{`{"feature_extractor_type":"WhisperFeatureExtractor","hop_length":1,"n_fft":60000}`, ``, "hop_length", false},
		{`{"feature_extractor_type":"WhisperFeatureExtractor","chunk_length":1000000}`, ``, "chunk_length", false},
		{`{"feature_extractor_type":"ASTFeatureExtractor","std":0}`, ``, "std", false},
		{`{"feature_extractor_type":"ASTFeatureExtractor","sampling_rate":40}`, ``, "sampling_rate", false},
		{`{"feature_extractor_type":"ASTFeatureExtractor","max_length":1e9}`, ``, "max_length", false},
	} {
		_, err := ParseExtractor([]byte(c.config), []byte(c.model))
		if err == nil || !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUnsupported) != c.unsupported {
			t.Errorf("%s %s: error %v, want one with %q, unsupported %v", c.config, c.model, err, c.want, c.unsupported)
		}
	}
}

func TestBadClips(t *testing.T) {
	x, err := ParseExtractor([]byte(`{"feature_extractor_type":"ASTFeatureExtractor"}`), nil)
	if err != nil {
		t.Fatal(err)
	}
	nan := make([]float32, 1000)
	nan[7] = float32(math.NaN())
	for _, c := range []struct {
		clip *Clip
		want string
	}{
		{nil, "no clip"},
		{&Clip{Channels: 1, Rate: 16000}, "no samples"},
		{&Clip{Samples: nan, Channels: 1, Rate: 16000}, "sample 7 is NaN"},
		{&Clip{Samples: make([]float32, 3), Channels: 2, Rate: 16000}, "3 samples in 2 channels"},
		{&Clip{Samples: make([]float32, 3), Channels: 0, Rate: 16000}, "0 channels"},
		{&Clip{Samples: make([]float32, 3), Channels: 1}, "0 Hz"},
		{&Clip{Samples: make([]float32, 399), Channels: 1, Rate: 16000}, "shorter than one frame"},
		{&Clip{Samples: make([]float32, 3), Channels: 1, Rate: math.MaxInt32}, "too large"},
		{&Clip{Samples: make([]float32, 2000), Channels: 1, Rate: 1}, "too large"},
	} {
		if _, _, _, err := x.Process(c.clip); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
		if _, err := x.ProcessBatch(c.clip); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("batch: error %v, want one with %q", err, c.want)
		}
	}
	if _, err := x.ProcessBatch(); err == nil {
		t.Error("a batch of nothing passes")
	}
}

func FuzzParseExtractor(f *testing.F) {
	for class := range classes {
		f.Add([]byte(`{"feature_extractor_type":"`+class+`"}`), []byte(`{}`), uint16(1600))
		f.Add([]byte(`{"feature_extractor_type":"`+class+`","sampling_rate":8000,"feature_size":40,"num_mel_bins":40,"chunk_length":1,"hop_length":100,"n_fft":333,`+
			`"max_length":50,"stride":3,"padding_value":0.5,"padding_side":"left","do_normalize":false,"return_attention_mask":true,"mean":1,"std":2}`), []byte(nil), uint16(900))
	}
	f.Add([]byte(`{"feature_extractor":{"feature_extractor_type":"ASTFeatureExtractor"}}`), []byte(nil), uint16(0))
	f.Add([]byte(`{}`), []byte(`{"model_type":"hubert"}`), uint16(5))
	f.Fuzz(func(t *testing.T, config, model []byte, n uint16) {
		x, err := ParseExtractor(config, model)
		if err != nil {
			return
		}
		if w, ok := x.front.(*whisper); ok && w.samples/w.hop*w.nfft > 1<<24 {
			return // right, but slow
		}
		c := &Clip{Samples: tone(1, 16000)[:min(int(n), 16000)], Channels: 1, Rate: 16000}
		name, data, shape, err := x.Process(c)
		if err != nil {
			return
		}
		size := 1
		for _, d := range shape {
			size *= d
		}
		if name == "" || size != len(data) || shape[0] != 1 {
			t.Fatalf("%q: %d values for shape %v", name, len(data), shape)
		}
		if _, err := x.ProcessBatch(c, c); err != nil && !errors.Is(err, ErrUnsupported) {
			t.Fatal(err)
		}
	})
}
