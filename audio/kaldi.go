package audio

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/seed-512d3d71/weft/audio/internal/fft"
)

// kaldi is torchaudio.compliance.kaldi.fbank with frames of 25 ms every 10 ms,
// pre-emphasis 0.97 and filters from 20 Hz to the Nyquist frequency, in
// torchaudio's order of float32 operations up to the transform.
type kaldi struct {
	size, shift int // of a frame, in samples
	window      []float32
	bank        *filterBank
	transform   *fft.Real
	nfft        int
}

const (
	preemphasis = 0.97
	epsilon     = 0x1p-23 // of float32; the floor of the energies
	kaldiScale  = 1 << 15 // brings samples to the 16-bit scale that Kaldi works on
)

// newKaldi reads num_mel_bins and sampling_rate.
func newKaldi(c *config, bins int, window func(n int) []float32) *kaldi {
	rate := c.int("sampling_rate", 16000, 1, math.MaxInt32)
	bins = c.int("num_mel_bins", bins, 4, maxMels)
	k := &kaldi{size: int(float64(rate) * 25 * 0.001), shift: int(float64(rate) * 10 * 0.001)}
	if k.size > maxFFT || k.shift < 1 || rate <= 40 {
		c.fail("sampling_rate", "%d Hz, out of range for frames of 25 ms", rate)
	}
	if c.err != nil {
		return nil
	}
	k.nfft = 1 << bits.Len(uint(k.size-1))
	k.window = window(k.size)
	k.bank = kaldiBank(bins, k.nfft, rate)
	k.transform = fft.NewReal(k.nfft)
	return k
}

// kaldiBank is torchaudio's get_mel_banks: triangles on Kaldi's mel scale, in
// float32.
func kaldiBank(n, nfft, rate int) *filterBank {
	mel := func(hz float64) float64 { return 1127 * math.Log(1+hz/700) }
	low := mel(20)
	delta := float32((mel(0.5*float64(rate)) - low) / float64(n+1))
	edge := func(i float32) float32 { return float32(low) + float32(i*delta) }
	width := float32(float64(rate) / float64(nfft))
	// The bin of the Nyquist frequency has no weight.
	return newFilterBank(n, nfft/2, func(m, b int) float64 {
		f := width * float32(b)
		at := 1127 * float32(math.Log(float64(1+f/700)))
		left, centre, right := edge(float32(m)), edge(float32(m)+1), edge(float32(m)+2)
		return float64(max(0, min((at-left)/(centre-left), (right-at)/(right-centre))))
	})
}

// povey is Kaldi's window, like Hann's but reaching zero at the ends.
func povey(n int) []float32 {
	w := hann(n, true)
	for i, v := range w {
		w[i] = float32(math.Pow(float64(v), float64(float32(0.85))))
	}
	return w
}

// frames returns how many whole frames x has.
func (k *kaldi) frames(x []float32) (int, error) {
	if len(x) < k.size {
		return 0, fmt.Errorf("%d samples are shorter than one frame of %d", len(x), k.size)
	}
	return 1 + (len(x)-k.size)/k.shift, nil
}

// run computes the log energies of the first len(dst)/bins frames of x into dst,
// a frame a row.
func (k *kaldi) run(dst, x []float32) {
	bins := len(k.bank.filters)
	s := newSpectrometer(k.transform, k.nfft)
	frame := make([]float32, k.size)
	for t := range len(dst) / bins {
		copy(frame, x[t*k.shift:])
		mean := 0.0
		for _, v := range frame {
			mean += float64(v)
		}
		m := float32(mean / float64(len(frame)))
		for i := range frame {
			frame[i] -= m
		}
		last := frame[0]
		for i, v := range frame {
			s.buf[i] = float64((v - float32(preemphasis*last)) * k.window[i])
			last = v
		}
		s.run()
		for b := range bins {
			e := float32(k.bank.apply(b, s.power))
			dst[t*bins+b] = float32(math.Log(float64(max(e, epsilon))))
		}
	}
}
