package audio

import (
	"math"

	"github.com/seed-512d3d71/weft/audio/internal/fft"
)

// kaldiScale brings samples to the 16-bit scale that Kaldi works on.
const kaldiScale = 1 << 15

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

// seamlessM4T is SeamlessM4TFeatureExtractor (transformers/models/seamless_m4t),
// which computes in NumPy's float64: filter banks of frames of 400 samples every
// 160, each bin normalised over the utterance, stride frames side by side.
type seamlessM4T struct {
	stride int
	padding
	window    []float64
	bank      *filterBank
	transform *fft.Real
}

const (
	seamlessFrame = 400
	seamlessShift = 160
	seamlessFFT   = 512
)

func parseSeamlessM4T(c *config) front {
	rate := c.int("sampling_rate", 16000, 1, math.MaxInt32)
	mels := c.int("num_mel_bins", 80, 1, maxMels)
	c.int("feature_size", 80, 2, math.MaxInt32)
	s := &seamlessM4T{stride: c.int("stride", 2, 1, 1<<12), padding: parsePadding(c)}
	if rate/2 <= 20 {
		c.fail("sampling_rate", "%d Hz, want more than 40", rate)
	}
	if c.err != nil {
		return nil
	}
	s.window = make([]float64, seamlessFrame)
	for i := range s.window {
		s.window[i] = math.Pow(0.5-0.5*math.Cos(2*math.Pi*float64(i)/(seamlessFrame-1)), 0.85)
	}
	mel := func(hz float64) float64 { return 1127 * math.Log(1+hz/700) }
	edges := linspace(mel(20), mel(float64(rate/2)), mels+2)
	width := float64(rate) / seamlessFFT
	s.bank = newFilterBank(mels, seamlessFFT/2+1, func(m, b int) float64 {
		at := mel(width * float64(b))
		left, centre, right := edges[m], edges[m+1], edges[m+2]
		return max(0, min((at-left)/(centre-left), (right-at)/(right-centre)))
	})
	s.transform = fft.NewReal(seamlessFFT)
	return s
}

func (s *seamlessM4T) features(x []float32) ([]float32, []int, error) {
	k := &kaldi{size: seamlessFrame, shift: seamlessShift}
	frames, err := k.frames(x)
	if err != nil {
		return nil, nil, err
	}
	mels := len(s.bank.filters)
	columns := make([]float32, mels*frames) // a bin a row
	sp := newSpectrometer(s.transform, seamlessFFT)
	for t := range frames {
		frame := x[t*seamlessShift:][:seamlessFrame]
		mean := 0.0
		for _, v := range frame {
			mean += float64(v * kaldiScale)
		}
		mean /= seamlessFrame
		last := float64(frame[0]*kaldiScale) - mean
		for i, v := range frame {
			d := float64(v*kaldiScale) - mean
			sp.buf[i] = (d - float64(preemphasis*last)) * s.window[i]
			last = d
		}
		s.transform.Transform(sp.freq, sp.buf, sp.work)
		for i, v := range sp.freq {
			re, im := float64(float32(real(v))), float64(float32(imag(v)))
			sp.power[i] = float64(re*re) + float64(im*im)
		}
		for m := range mels {
			columns[m*frames+t] = float32(math.Log(max(epsilon, s.bank.apply(m, sp.power))))
		}
	}
	rows := s.rows(frames)
	out := make([]float32, rows*mels)
	pad := 0
	if s.left {
		pad = frames % 2
	}
	for i := range out {
		out[i] = s.value
	}
	for m := range mels {
		bin := columns[m*frames:][:frames]
		mean, variance := meanVar(bin)
		std := float32(math.Sqrt(float64(variance + 1e-7)))
		for t, v := range bin {
			if t+pad < rows {
				out[(t+pad)*mels+m] = (v - mean) / std
			}
		}
	}
	return out, []int{rows / s.stride, mels * s.stride}, nil
}

// rows returns how many frames are kept of so many, padded to an even number.
func (s *seamlessM4T) rows(frames int) int {
	n := frames + frames%2
	return n - n%s.stride
}

// mask takes the second of each stride of frames.
func (s *seamlessM4T) mask(samples int) []int64 {
	frames := 1 + (samples-seamlessFrame)/seamlessShift
	all := make([]int64, frames+frames%2)
	s.mark(all, frames)
	m := []int64{}
	for i := range s.rows(frames) {
		if i%s.stride == 1 {
			m = append(m, all[i])
		}
	}
	return m
}

// meanVar returns NumPy's mean and var(ddof=1) of contiguous float32.
func meanVar(x []float32) (mean, variance float32) {
	mean = pairwiseSum(x) / float32(len(x))
	squares := make([]float32, len(x))
	for i, v := range x {
		squares[i] = (v - mean) * (v - mean)
	}
	return mean, pairwiseSum(squares) / float32(max(0, len(x)-1))
}
