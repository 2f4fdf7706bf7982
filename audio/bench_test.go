package audio

import (
	"math"
	"strconv"
	"testing"
)

// tone returns seconds of a gliding tone.
func tone(seconds float64, rate int) []float32 {
	x := make([]float32, int(seconds*float64(rate)))
	for i := range x {
		t := float64(i) / float64(rate)
		x[i] = float32(0.5 * math.Sin(2*math.Pi*(200+50*t)*t))
	}
	return x
}

func BenchmarkResample(b *testing.B) {
	for _, from := range []int{8000, 22050, 44100, 48000, 12345} {
		b.Run(strconv.Itoa(from), func(b *testing.B) {
			x := tone(30, from)
			for b.Loop() {
				if _, err := Resample(x, from, 16000); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkExtractor(b *testing.B) {
	for _, class := range []string{"Wav2Vec2", "Whisper", "AST", "Speech2Text", "SeamlessM4T"} {
		b.Run(class, func(b *testing.B) {
			x, err := ParseExtractor([]byte(`{"feature_extractor_type":"`+class+`FeatureExtractor"}`), nil)
			if err != nil {
				b.Fatal(err)
			}
			c := &Clip{Samples: tone(30, 16000), Channels: 1, Rate: 16000}
			for b.Loop() {
				if _, _, _, err := x.Process(c); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		if _, err := Open("../testdata/demo/voice.flac"); err != nil {
			b.Fatal(err)
		}
	}
}
