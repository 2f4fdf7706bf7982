package audio

import "math"

// speech2text is Speech2TextFeatureExtractor with torchaudio
// (transformers/models/speech_to_text): filter banks, each bin normalised over
// the utterance.
type speech2text struct {
	*kaldi
	means, vars bool
}

func parseSpeech2Text(c *config) front {
	cmvn := c.bool("do_ceptral_normalize", true)
	means, vars := c.bool("normalize_means", true), c.bool("normalize_vars", true)
	noDither(c)
	return &speech2text{newKaldi(c, 80, povey), cmvn && means, cmvn && vars}
}

func (s *speech2text) features(x []float32) ([]float32, []int, error) {
	frames, err := s.frames(x)
	if err != nil {
		return nil, nil, err
	}
	bins := len(s.bank.filters)
	out := make([]float32, frames*bins)
	s.run(out, scaled(x))
	column := func(b int, f func(float32) float32) (sum float32) {
		for i := b; i < len(out); i += bins {
			sum += f(out[i])
		}
		return sum / float32(frames)
	}
	for b := range bins {
		mean := column(b, func(v float32) float32 { return v })
		if s.means {
			for i := b; i < len(out); i += bins {
				out[i] -= mean
			}
			mean = column(b, func(v float32) float32 { return v })
		}
		if s.vars {
			std := float32(math.Sqrt(float64(column(b, func(v float32) float32 { return (v - mean) * (v - mean) }))))
			for i := b; i < len(out); i += bins {
				out[i] /= std
			}
		}
	}
	return out, []int{frames, bins}, nil
}

// mask is 1 for each frame: no batch of this class is padded.
func (s *speech2text) mask(samples int) []int64 {
	m := make([]int64, 1+(samples-s.size)/s.shift)
	for i := range m {
		m[i] = 1
	}
	return m
}

func scaled(x []float32) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = v * kaldiScale
	}
	return out
}
