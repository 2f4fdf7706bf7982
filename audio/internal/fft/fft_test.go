package fft

import (
	"math"
	"math/rand/v2"
	"testing"
)

func TestReal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	lengths := []int{400, 512, 1024, 1000, 1001, 17 * 16, 1013, 2026, 4099}
	for n := 1; n <= 130; n++ {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		x := make([]float64, n)
		for i := range x {
			x[i] = rng.Float64()*2 - 1
		}
		r := NewReal(n)
		w := r.NewWork()
		got := make([]complex128, n/2+1)
		for range 2 { // the second run meets used memory
			r.Transform(got, x, w)
		}
		for k := range got {
			var re, im float64
			for i, v := range x {
				s, c := math.Sincos(2 * math.Pi * float64(k*i%n) / float64(n))
				re, im = re+v*c, im-v*s
			}
			if d := math.Hypot(real(got[k])-re, imag(got[k])-im); d > 1e-12*math.Sqrt(float64(n)) {
				t.Fatalf("n=%d: bin %d: %v, want (%v%+vi)", n, k, got[k], re, im)
			}
		}
	}
}

func BenchmarkReal(b *testing.B) {
	for _, n := range []int{400, 512, 401} {
		b.Run(map[int]string{400: "400", 512: "512", 401: "401"}[n], func(b *testing.B) {
			r := NewReal(n)
			w, x, dst := r.NewWork(), make([]float64, n), make([]complex128, n/2+1)
			for b.Loop() {
				r.Transform(dst, x, w)
			}
		})
	}
}
