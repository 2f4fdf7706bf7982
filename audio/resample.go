package audio

import (
	"fmt"
	"math"
)

// Resample changes the rate of x from from to to Hz as
// torchaudio.functional.resample does by default: windowed-sinc interpolation
// (https://ccrma.stanford.edu/~jos/resample/) with a Hann window of six zero
// crossings a side and a cutoff at 0.99 of the lower Nyquist frequency. x itself
// is returned if the rates are equal. The result has ⌈len(x)·to/from⌉ samples,
// the quotient rounded to float32 first, as torchaudio does.
//
// Output j, with from and to reduced by their common divisor, is
//
//	y[j] = Σ_i x[i] h(i/from − j/to)
//
// so all outputs of one j mod to share their taps. The taps are computed in
// float32 as in torchaudio, which for that reason is only accurate to 1e-5 or so,
// and only where h is not zero. Sums are float64.
//
// Returns [ErrTooLarge] for rates too far apart to be of a sound: the result may
// have 2²⁸ samples, but no more than 2²⁴ if that is over 16 times those of x, and
// the rate may fall by 2¹⁶ at most.
func Resample(x []float32, from, to int) ([]float32, error) {
	if from < 1 || to < 1 {
		return nil, fmt.Errorf("audio: resample from %d to %d Hz", from, to)
	}
	if from == to {
		return x, nil
	}
	g := gcd(from, to)
	from, to = from/g, to/g
	length := math.Ceil(float64(float32(float64(to) * float64(len(x)) / float64(from))))
	limit := min(maxSamples, max(1<<24, 16*len(x)))
	if length > float64(limit) {
		return nil, fmt.Errorf("audio: resample from %d to %d Hz: %w: %.0f samples, limit %d", from*g, to*g, ErrTooLarge, length, limit)
	}
	if from/to > 1<<16 {
		return nil, fmt.Errorf("audio: resample from %d to %d Hz: %w: the rate may fall by %d", from*g, to*g, ErrTooLarge, 1<<16)
	}
	// The convolution of torchaudio gives to values for each from, and one more.
	n := int(min(length, float64(to)*float64(len(x)/from+1)))
	y := make([]float32, n)
	k := newSincKernel(from, to)
	for phase := range min(to, n) {
		first, taps := k.taps(phase)
		for step := range (n-1-phase)/to + 1 {
			at := first + step*from
			lo, hi := max(0, -at), min(len(taps), len(x)-at)
			if lo >= hi {
				continue
			}
			y[phase+step*to] = float32(dot(taps[lo:hi], x[at+lo:at+hi]))
		}
	}
	return y, nil
}

// dot returns Σ a[i] b[i], in four partial sums so that they need not wait for
// each other.
func dot(a []float64, b []float32) float64 {
	var s0, s1, s2, s3 float64
	for len(a) >= 4 && len(b) >= 4 {
		s0 += float64(a[0] * float64(b[0]))
		s1 += float64(a[1] * float64(b[1]))
		s2 += float64(a[2] * float64(b[2]))
		s3 += float64(a[3] * float64(b[3]))
		a, b = a[4:], b[4:]
	}
	for i, v := range a {
		s0 += float64(v * float64(b[i]))
	}
	return (s0 + s1) + (s2 + s3)
}

const (
	zeroCrossings = 6
	rolloff       = 0.99
)

// sincKernel computes the taps of one phase after the other, so that its memory
// is that of one phase however odd the ratio.
type sincKernel struct {
	from, to, width int
	base            float64 // the cutoff, in units of the reduced rates
	buf             []float64
}

func newSincKernel(from, to int) *sincKernel {
	k := &sincKernel{from: from, to: to, base: float64(min(from, to)) * rolloff}
	k.width = int(math.Ceil(zeroCrossings * float64(from) / k.base))
	return k
}

// taps returns the taps of outputs j ≡ phase (mod to), and which sample the
// first of them takes for j = phase.
func (k *sincKernel) taps(phase int) (first int, taps []float64) {
	from, to, base := float32(k.from), float32(k.to), float32(k.base)
	offset := float32(-phase) / to
	scale := float32(k.base / float64(k.from))
	// The window is open for |i/from − phase/to|·base < 6, about phase·from/to.
	centre := int(int64(phase) * int64(k.from) / int64(k.to))
	first = max(-k.width, centre-k.width-1)
	last := min(k.width+k.from-1, centre+k.width+2)
	if size := last - first + 1; cap(k.buf) < size {
		k.buf = make([]float64, size)
	}
	taps = k.buf[:last-first+1]
	for n := range taps {
		t := float32(float32(offset+float32(first+n)/from) * base)
		t = max(-zeroCrossings, min(t, zeroCrossings))
		w := cos32(t * math.Pi / zeroCrossings / 2)
		w *= w
		h := float32(1)
		if t != 0 {
			t *= math.Pi
			h = sin32(t) / t
		}
		taps[n] = float64(h * float32(w*scale))
	}
	return first, taps
}

func sin32(x float32) float32 { return float32(math.Sin(float64(x))) }
func cos32(x float32) float32 { return float32(math.Cos(float64(x))) }

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
