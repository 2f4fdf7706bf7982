package audio

// ast is ASTFeatureExtractor with torchaudio
// (transformers/models/audio_spectrogram_transformer; Gong et al. 2021,
// arXiv:2104.01778).
type ast struct {
	*kaldi
	maxLength int
	normalize bool
	mean, std float64
}

func parseAST(c *config) front {
	a := &ast{
		maxLength: c.int("max_length", 1024, 1, maxFeatures/maxMels),
		normalize: c.bool("do_normalize", true),
		mean:      c.float("mean", -4.2677393),
		std:       c.float("std", 4.5689974),
	}
	a.kaldi = newKaldi(c, 128, func(n int) []float32 { return hann(n, true) })
	if a.normalize && a.std == 0 {
		c.fail("std", "0, by which nothing can be divided")
	}
	return a
}

// features pads with zeros, or cuts, to maxLength frames before it normalises.
func (a *ast) features(x []float32) ([]float32, []int, error) {
	frames, err := a.frames(x)
	if err != nil {
		return nil, nil, err
	}
	bins := len(a.bank.filters)
	out := make([]float32, a.maxLength*bins)
	a.run(out[:min(frames, a.maxLength)*bins], x)
	if a.normalize {
		mean, std := float32(a.mean), float32(a.std*2)
		for i, v := range out {
			out[i] = (v - mean) / std
		}
	}
	return out, []int{a.maxLength, bins}, nil
}
