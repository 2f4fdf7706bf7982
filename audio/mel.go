package audio

import (
	"math"

	"github.com/seed-512d3d71/weft/audio/internal/fft"
)

// filterBank turns spectra into mel spectra. Each filter is a triangle, so only
// its bins that are not zero are kept.
type filterBank struct {
	bins    int
	filters []filter
}

type filter struct {
	first   int
	weights []float64
}

// newFilterBank makes a bank of n filters from weight(filter, bin).
func newFilterBank(n, bins int, weight func(m, bin int) float64) *filterBank {
	fb := &filterBank{bins: bins, filters: make([]filter, n)}
	row := make([]float64, bins)
	for m := range fb.filters {
		first, last := bins, -1
		for b := range row {
			row[b] = weight(m, b)
			if row[b] != 0 {
				first, last = min(first, b), b
			}
		}
		if last >= 0 {
			fb.filters[m] = filter{first, append([]float64(nil), row[first:last+1]...)}
		}
	}
	return fb
}

// apply returns filter m's part of a spectrum.
func (fb *filterBank) apply(m int, spectrum []float64) float64 {
	f := &fb.filters[m]
	sum := 0.0
	s := spectrum[f.first:][:len(f.weights)]
	for i, w := range f.weights {
		sum += float64(w * s[i])
	}
	return sum
}

// spectrometer computes power spectra of windowed frames.
type spectrometer struct {
	transform *fft.Real
	work      *fft.Work
	freq      []complex128
	buf       []float64 // the frame, of the transform's length
	power     []float64
}

func newSpectrometer(r *fft.Real, n int) *spectrometer {
	return &spectrometer{r, r.NewWork(), make([]complex128, n/2+1), make([]float64, n), make([]float64, n/2+1)}
}

// run transforms buf and leaves |X|² in power, through float32 magnitudes as
// PyTorch has them.
func (s *spectrometer) run() {
	s.transform.Transform(s.freq, s.buf, s.work)
	for i, v := range s.freq {
		a := float32(math.Sqrt(float64(real(v)*real(v)) + float64(imag(v)*imag(v))))
		s.power[i] = float64(a * a)
	}
}

// slaneyBank is mel_filter_bank(norm="slaney", mel_scale="slaney") of
// transformers/audio_utils.py in float32: Slaney's Auditory Toolbox (1998),
// linear below 1 kHz and logarithmic above, each filter of unit area.
func slaneyBank(n, bins int, low, high float64, rate int) *filterBank {
	const breakHz, breakMel = 1000.0, 15.0
	step := math.Log(6.4) / 27
	toMel := func(hz float64) float64 {
		if hz >= breakHz {
			return breakMel + math.Log(hz/breakHz)*(27/math.Log(6.4))
		}
		return 3 * hz / 200
	}
	edges := linspace(toMel(low), toMel(high), n+2)
	for i, mel := range edges {
		if mel >= breakMel {
			edges[i] = breakHz * math.Exp(step*(mel-breakMel))
		} else {
			edges[i] = 200 * mel / 3
		}
	}
	freqs := linspace(0, float64(rate/2), bins)
	return newFilterBank(n, bins, func(m, b int) float64 {
		left, centre, right := edges[m], edges[m+1], edges[m+2]
		up := (freqs[b] - left) / (centre - left)
		down := (right - freqs[b]) / (right - centre)
		return float64(float32(max(0, min(up, down)) * (2 / (right - left))))
	})
}

// linspace is numpy.linspace.
func linspace(lo, hi float64, n int) []float64 {
	out := make([]float64, n)
	step := (hi - lo) / float64(n-1)
	for i := range out {
		out[i] = float64(float64(i)*step) + lo
	}
	out[n-1] = hi
	return out
}

// hann returns a Hann window of n values in PyTorch's float32 operations, of
// period n or, if symmetric, n-1.
func hann(n int, symmetric bool) []float32 {
	w := make([]float32, n)
	period := n
	if symmetric {
		period = n - 1
	}
	step := float32(math.Pi * 2 / float64(period))
	for i := range w {
		w[i] = float32(cos32(float32(i)*step)*-0.5) + 0.5
	}
	return w
}
