// Package ktest is what the tests of kernels share: operands that lie between
// forbidden pages, values that break careless kernels, comparison by bits and
// by units in the last place, and oracles in float64.
package ktest

import (
	"math"
	"math/rand/v2"
	"testing"
)

// Specials are the values that a kernel must treat as IEEE 754 and its
// reference do: zeros, infinities, NaN, denormals and the ends of the range.
var Specials = []float32{
	0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()),
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-127, 0x1p-126, -0x1p-126,
	math.MaxFloat32, -math.MaxFloat32, 1 + 0x1p-23, 1 - 0x1p-24, 88.7, -87.3, -103.9, 0x1p23, 0x1p24 + 2,
}

// Rand returns a source of numbers that is the same in every run.
func Rand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

// Fill sets x to values of the standard normal distribution.
func Fill(r *rand.Rand, x []float32) {
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
}

// Sprinkle replaces about one element in every of x by a special value.
func Sprinkle(r *rand.Rand, x []float32, every int) {
	for i := range x {
		if r.IntN(every) == 0 {
			x[i] = Specials[r.IntN(len(Specials))]
		}
	}
}

// Same reports whether a and b are the same to the bit. All NaN are the same:
// their sign and payload differ between makers of CPUs.
func Same(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// SameBits reports an error for the first element of got that is not the same
// as in want; label says which case it is.
func SameBits(tb testing.TB, label string, got, want []float32) bool {
	tb.Helper()
	if len(got) != len(want) {
		tb.Errorf("%s: %d elements, want %d", label, len(got), len(want))
		return false
	}
	for i, w := range want {
		if !Same(got[i], w) {
			tb.Errorf("%s: element %d is %v (%#08x), want %v (%#08x)", label, i,
				got[i], math.Float32bits(got[i]), w, math.Float32bits(w))
			return false
		}
	}
	return true
}

// ULP returns the distance of got from the real number want in units in the
// last place of want rounded to float32: 0.5 or less is correctly rounded.
// Two NaN, and an infinity and what rounds to it, are 0 apart; a NaN and a
// number are +Inf apart.
func ULP(got float32, want float64) float64 {
	w := float32(want)
	switch {
	case Same(got, w) && (math.IsInf(float64(w), 0) || w != w):
		return 0
	case got != got || want != want || math.IsInf(float64(got), 0) || math.IsInf(float64(w), 0):
		return math.Inf(1)
	}
	unit := 0x1p-149
	if e := math.Ilogb(float64(w)); w != 0 && e > -126 {
		unit = math.Ldexp(1, e-23)
	}
	return math.Abs(float64(got)-want) / unit
}

// WithinULP reports an error if an element of got is more than bound units in
// the last place from want, and returns the largest distance.
func WithinULP(tb testing.TB, label string, got []float32, want []float64, bound float64) float64 {
	tb.Helper()
	worst := 0.0
	for i, w := range want {
		d := ULP(got[i], w)
		if d > bound && worst <= bound {
			tb.Errorf("%s: element %d is %v, want %v: %.2f ULP apart, over %.2f", label, i, got[i], w, d, bound)
		}
		worst = max(worst, d)
	}
	return worst
}

// Near reports an error for the first element of got that is further from
// want than bound[i].
func Near(tb testing.TB, label string, got []float32, want, bound []float64) bool {
	tb.Helper()
	for i, w := range want {
		d := math.Abs(float64(got[i]) - w)
		if !(d <= bound[i]) && !(got[i] != got[i] && w != w) && float64(got[i]) != w {
			tb.Errorf("%s: element %d is %v, want %v: %g apart, over %g", label, i, got[i], w, d, bound[i])
			return false
		}
	}
	return true
}
