// Package ref states every operation of package kernels in plain Go, to the
// bit: it is the oracle of the tests and the fallback where no assembly runs.
package ref

import "math"

// FMA32 returns a·b + c rounded once, as a float32 fused multiply-add does.
//
// The product of two float32 is exact in float64, so only their sum is rounded
// twice: to float64, then to float32. The second rounding can go wrong only if
// the first landed on the midpoint of two float32, which for a normal result
// means that the 29 bits that are dropped read 100…0.
func FMA32(a, b, c float32) float32 {
	p := float64(a) * float64(b)
	s := p + float64(c)
	if math.Float64bits(s)&(1<<29-1) != 1<<28 && math.Abs(s) >= 0x1p-126 {
		return float32(s)
	}
	return fmaSlow(p, float64(c), s)
}

// fmaSlow rounds p+c to odd: of the two float64 around an inexact sum it takes
// the one whose last bit is set, from which any shorter format is rounded
// correctly (Boldo & Melquiond 2008, Emulation of a FMA). s is p+c rounded.
//
//go:noinline
func fmaSlow(p, c, s float64) float32 {
	v := s - p
	lost := (p - (s - v)) + (c - v) // Knuth's TwoSum: s+lost = p+c exactly
	if bits := math.Float64bits(s); bits&1 == 0 && (lost > 0 || lost < 0) && !math.IsInf(s, 0) {
		if (lost > 0) == (s > 0) {
			bits++
		} else {
			bits--
		}
		s = math.Float64frombits(bits)
	}
	return float32(s)
}
