package audio

import (
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/audio/internal/fft"
)

// whisper is WhisperFeatureExtractor with PyTorch
// (transformers/models/whisper/feature_extraction_whisper.py; Radford et al.
// 2022, arXiv:2212.04356): a log-mel spectrum of the sound padded or cut to
// chunk_length seconds.
type whisper struct {
	samples, nfft, hop int
	padding
	masked    bool
	window    []float32
	bank      *filterBank
	transform *fft.Real
}

// Bounds of what a configuration may ask for, far above what models have.
const (
	maxFFT      = 1 << 16
	maxMels     = 1 << 10
	maxChunk    = 1 << 25 // samples; 35 minutes at 16 kHz
	maxFeatures = 1 << 26
	maxWork     = 1 << 30 // samples in all frames, as they overlap
)

func parseWhisper(c *config) front {
	rate := c.int("sampling_rate", 16000, 1, math.MaxInt32)
	seconds := c.int("chunk_length", 30, 1, math.MaxInt32)
	w := &whisper{
		nfft:    c.int("n_fft", 400, 2, maxFFT),
		hop:     c.int("hop_length", 160, 1, math.MaxInt32),
		padding: parsePadding(c),
		masked:  c.bool("return_attention_mask", false),
	}
	mels := c.int("feature_size", 80, 1, maxMels)
	noDither(c)
	if seconds > maxChunk/rate {
		c.fail("chunk_length", "%d s at %d Hz are more than %d samples", seconds, rate, maxChunk)
	} else if w.samples = seconds * rate; w.samples/w.hop > maxFeatures/mels {
		c.fail("hop_length", "%d gives more than %d features", w.hop, maxFeatures)
	} else if w.samples/w.hop > maxWork/w.nfft {
		c.fail("hop_length", "%d is too small for transforms of %d in chunks of %d samples", w.hop, w.nfft, w.samples)
	} else if w.samples/w.hop < 1 {
		c.fail("hop_length", "%d, and a chunk of only %d samples", w.hop, w.samples)
	} else if w.samples <= w.nfft/2 {
		c.fail("n_fft", "%d, and a chunk of only %d samples", w.nfft, w.samples)
	}
	if c.err != nil {
		return nil
	}
	w.window = hann(w.nfft, false)
	w.bank = slaneyBank(mels, 1+w.nfft/2, 0, 8000, rate)
	w.transform = fft.NewReal(w.nfft)
	return w
}

// noDither refuses random noise, with which no two results would be equal.
func noDither(c *config) {
	if d := c.float("dither", 0); d != 0 && c.err == nil {
		c.err = fmt.Errorf("%w: dither %v", ErrUnsupported, d)
	}
}

// mask counts samples: Hugging Face turns them into frames only for a call that
// asks for the mask itself.
func (w *whisper) mask(samples int) []int64 {
	if !w.masked {
		return nil
	}
	m := make([]int64, w.samples)
	w.mark(m, min(samples, w.samples))
	return m
}

func (w *whisper) features(x []float32) ([]float32, []int, error) {
	chunk := make([]float32, w.samples)
	w.put(chunk, x[:min(len(x), w.samples)])
	// Frames are centred on multiples of hop, the ends reflected; the last one
	// is dropped.
	half := w.nfft / 2
	frames := (w.samples + 2*half - w.nfft) / w.hop
	mels := len(w.bank.filters)
	out := make([]float32, mels*frames)
	s := newSpectrometer(w.transform, w.nfft)
	top := float32(math.Inf(-1))
	for t := range frames {
		at := t*w.hop - half
		for i := range s.buf {
			j := at + i
			if j < 0 {
				j = -j
			} else if j >= len(chunk) {
				j = 2*(len(chunk)-1) - j
			}
			s.buf[i] = float64(chunk[j] * w.window[i])
		}
		s.run()
		for m := range mels {
			v := float32(math.Log10(max(1e-10, float64(float32(w.bank.apply(m, s.power))))))
			out[m*frames+t] = v
			top = max(top, v)
		}
	}
	for i, v := range out {
		out[i] = (max(v, top-8) + 4) / 4
	}
	return out, []int{mels, frames}, nil
}
