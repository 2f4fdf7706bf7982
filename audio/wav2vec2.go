package audio

import (
	"fmt"
	"math"
)

// padding is what SequenceFeatureExtractor pads with.
type padding struct {
	value float32
	left  bool
}

func parsePadding(c *config) padding {
	p := padding{value: float32(c.float("padding_value", 0))}
	switch side := c.str("padding_side", "right"); side {
	case "right":
	case "left":
		p.left = true
	default:
		c.fail("padding_side", "%q, want right or left", side)
	}
	return p
}

// put copies rows of x into dst, which may be longer, and pads it.
func (p padding) put(dst, x []float32) {
	at := 0
	if p.left {
		at = len(dst) - len(x)
	}
	for i := range dst {
		dst[i] = p.value
	}
	copy(dst[at:], x)
}

// mark sets the elements of mask that [padding.put] fills with n samples.
func (p padding) mark(mask []int64, n int) {
	at := 0
	if p.left {
		at = len(mask) - n
	}
	for i := range n {
		mask[at+i] = 1
	}
}

// wav2vec2 is Wav2Vec2FeatureExtractor
// (transformers/models/wav2vec2/feature_extraction_wav2vec2.py).
type wav2vec2 struct {
	normalize, masked bool
	featureSize       int
	padding
}

func parseWav2Vec2(c *config) front {
	return &wav2vec2{
		normalize:   c.bool("do_normalize", true),
		masked:      c.bool("return_attention_mask", false),
		featureSize: c.int("feature_size", 1, 0, math.MaxInt32),
		padding:     parsePadding(c),
	}
}

func (w *wav2vec2) features(x []float32) ([]float32, []int, error) {
	out := append([]float32(nil), x...)
	if w.normalize {
		zeroMeanUnitVar(out, len(out))
	}
	return out, []int{len(out)}, nil
}

// batch pads to the longest sound. Hugging Face normalises each row over its
// first samples, as many as it has real ones, which with padding on the left are
// not the real ones; without attention masks, over the whole row.
func (w *wav2vec2) batch(sounds [][]float32) (data []float32, shape []int, mask []int64, err error) {
	longest := 0
	for _, s := range sounds {
		longest = max(longest, len(s))
	}
	if longest > maxSamples/len(sounds) {
		return nil, nil, nil, fmt.Errorf("%w: %d × %d samples", ErrTooLarge, len(sounds), longest)
	}
	data = make([]float32, len(sounds)*longest)
	if w.masked {
		mask = make([]int64, len(data))
	}
	for i, s := range sounds {
		row := data[i*longest:][:longest]
		if w.featureSize > 1 && len(s) < longest {
			return nil, nil, nil, fmt.Errorf("%w: feature_size %d, want 1 to pad samples", ErrUnsupported, w.featureSize)
		}
		w.put(row, s)
		n := longest
		if w.masked {
			n = len(s)
			w.mark(mask[i*longest:][:longest], n)
		}
		if w.normalize {
			zeroMeanUnitVar(row, n)
			for j := n; j < longest; j++ {
				row[j] = w.value
			}
		}
	}
	return data, []int{len(sounds), longest}, mask, nil
}

// zeroMeanUnitVar brings x to mean 0 and variance 1 as measured over its first n
// elements, in NumPy's order of float32 operations:
//
//	x[i] = (x[i] - mean) / sqrt(var + 1e-7)
func zeroMeanUnitVar(x []float32, n int) {
	mean, variance := meanVar(x[:n], 0)
	std := float32(math.Sqrt(float64(variance + 1e-7)))
	for i, v := range x {
		x[i] = (v - mean) / std
	}
}
