package ref

import (
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
)

func TestExp(t *testing.T) {
	worst := 0.0
	for bits := uint64(0); bits < 1<<32; bits += 10007 {
		x := math.Float32frombits(uint32(bits))
		worst = max(worst, ktest.ULP(Exp(x), math.Exp(float64(x))))
	}
	if worst > 1 {
		t.Errorf("%.3f ULP", worst)
	}
	if Exp(0) != 1 || math.Float32bits(Exp(float32(math.Inf(-1)))) != 0 {
		t.Errorf("Exp(0) = %v, Exp(-Inf) = %v", Exp(0), Exp(float32(math.Inf(-1))))
	}
}
