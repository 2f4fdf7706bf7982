package audio

import (
	"math"

	"github.com/seed-512d3d71/weft/audio/internal/fft"
)

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
		mean, variance := meanVar(bin, 1)
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
