package ref

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// fmaBig rounds a·b + c once, by exact arithmetic.
func fmaBig(a, b, c float32) float32 {
	s := float64(a)*float64(b) + float64(c)
	if math.IsNaN(s) || math.IsInf(s, 0) || s == 0 {
		return float32(s)
	}
	x := new(big.Float).SetPrec(2000).SetFloat64(float64(a) * float64(b))
	x.Add(x, big.NewFloat(float64(c)))
	f, _ := x.Float32()
	return f
}

func TestFMA32(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	negZero := float32(math.Copysign(0, -1))
	special := []float32{0, negZero, 1, -1, inf, -inf, nan, math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32,
		math.MaxFloat32, -math.MaxFloat32, 0x1p-126, 0x1p-127 + 0x1p-149, 1 + 0x1p-23, 1 - 0x1p-24, 0x1p-63, 0x1p-75, 0x1p-75 * (1 + 0x1p-23), 0x1p-75 * (1 - 0x1p-23)}
	check := func(a, b, c float32) {
		got, want := FMA32(a, b, c), fmaBig(a, b, c)
		if math.Float32bits(got) != math.Float32bits(want) && !(got != got && want != want) {
			t.Fatalf("FMA32(%x, %x, %x) = %x, want %x", a, b, c, got, want)
		}
	}
	for _, a := range special {
		for _, b := range special {
			for _, c := range special {
				check(a, b, c)
			}
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	n := 300000
	if testing.Short() {
		n = 30000
	}
	for i := range n {
		a, b, c := math.Float32frombits(r.Uint32()), math.Float32frombits(r.Uint32()), math.Float32frombits(r.Uint32())
		switch i % 3 {
		case 1: // c within 2^±40 of the product: most bits overlap
			e := math.Ilogb(float64(a)*float64(b)) + r.IntN(81) - 40
			c = float32(math.Ldexp(float64(1+r.Uint32N(1<<24)), e-23))
		case 2: // few significant bits: many midpoints, and denormal results
			a, b = float32(r.IntN(1<<13)-1<<12), float32(r.IntN(1<<13)-1<<12)
			e := r.IntN(300) - 149
			a = float32(math.Ldexp(float64(a), e/2))
			b = float32(math.Ldexp(float64(b), (e - e/2)))
			c = float32(math.Ldexp(float64(r.IntN(1<<24)), max(e-r.IntN(30), -149)))
		}
		check(a, b, c)
	}
}
