package kernels

import (
	"math"
	"os"
	"strconv"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
)

// actOracles are the activations in float64 and how many ULP a float32 result
// may be off; 0 means only that abs bounds the difference.
var actOracles = map[Act]struct {
	f   func(x float64) float64
	ulp float64
	abs float64
}{
	ActNone:        {f: func(x float64) float64 { return x }},
	ActGELU:        {f: func(x float64) float64 { return limit(x, x*phi64(x)) }, ulp: 2.25},
	ActGELUTanh:    {f: func(x float64) float64 { return logistic64(x, 2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)) }, ulp: 2},
	ActReLU:        {f: func(x float64) float64 { return max(x, 0) }},
	ActSiLU:        {f: func(x float64) float64 { return logistic64(x, x) }, ulp: 2},
	ActQuickGELU:   {f: func(x float64) float64 { return logistic64(x, float64(float32(1.702))*x) }, ulp: 2},
	ActTanh:        {f: math.Tanh, ulp: 2},
	ActSigmoid:     {f: func(x float64) float64 { return logistic64(1, x) }, ulp: 2},
	ActGELU10:      {f: func(x float64) float64 { return min(max(limit(x, x*phi64(x)), -10), 10) }, ulp: 2.25},
	ActReLU2:       {f: func(x float64) float64 { return max(x, 0) * max(x, 0) }, ulp: 0.5},
	ActReLU6:       {f: func(x float64) float64 { return min(max(x, 0), 6) }},
	ActLeakyReLU:   {f: func(x float64) float64 { return max(x, float64(float32(0.01))*x) }, ulp: 0.5},
	ActHardsigmoid: {f: func(x float64) float64 { return min(max(x+3, 0), 6) / 6 }, abs: 0x1p-22},
	ActHardswish:   {f: func(x float64) float64 { return limit(x, x*min(max(x+3, 0), 6)/6) }, ulp: 1, abs: 0x1p-20},
	ActHardtanh:    {f: func(x float64) float64 { return min(max(x, -1), 1) }},
	ActELU: {f: func(x float64) float64 {
		if x < 0 {
			return math.Expm1(x)
		}
		return x
	}, ulp: 2},
	ActSoftplus:     {f: softplus64, ulp: 4},
	ActSqrtSoftplus: {f: func(x float64) float64 { return math.Sqrt(softplus64(x)) }, ulp: 3, abs: 0x1p-75},
	ActMish:         {f: mish64, ulp: 4},
	ActLaplace:      {f: func(x float64) float64 { return phi64((x - 0.707107) / 0.282095) }, abs: 0x1p-22},
	ActErf:          {f: math.Erf, ulp: 1.25},
	ActExp:          {f: math.Exp, ulp: 1},
}

func phi64(x float64) float64 { return math.Erfc(-x/math.Sqrt2) / 2 }

// limit is y, or what an activation tends to where its formula is -Inf·0.
func limit(x, y float64) float64 {
	if math.IsInf(x, -1) {
		return 0
	}
	return y
}

// logistic64 is a/(1+e^-v).
func logistic64(a, v float64) float64 {
	if math.IsInf(v, -1) {
		return 0
	}
	return a / (1 + math.Exp(-v))
}

func softplus64(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

func mish64(x float64) float64 {
	if x < -30 {
		return limit(x, x*math.Exp(x))
	}
	return x * math.Tanh(softplus64(x))
}

// TestActAccuracy compares every activation with float64 over all signs and
// exponents, and all rows with each other. WEFT_SWEEP=1 takes every float32
// (minutes each: choose one by -run TestActAccuracy/^gelu$), 61 every 61st.
func TestActAccuracy(t *testing.T) {
	step := uint64(4093)
	if testing.Short() {
		step = 65521
	}
	if s := os.Getenv("WEFT_SWEEP"); s != "" {
		var err error
		if step, err = strconv.ParseUint(s, 10, 32); err != nil || step == 0 {
			t.Fatalf("WEFT_SWEEP=%s", s)
		}
	}
	const block = 1 << 12
	x := make([]float32, block)
	got := map[string][]float32{}
	for _, isa := range isasF32() {
		got[isa] = make([]float32, block)
	}
	best := isasF32()[0]
	for _, a := range Acts() {
		t.Run(a.String(), func(t *testing.T) {
			o, worst, at, step := actOracles[a], 0.0, float32(0), step
			switch a {
			case ActGELU, ActGELUTanh, ActSiLU, ActTanh, ActSigmoid, ActErf, ActExp:
			default: // fewer of those that few models use
				step = 4*step - 3*(step&1)
			}
			for bits := uint64(0); bits < 1<<32; {
				n := 0
				for ; n < block && bits < 1<<32; n++ {
					x[n] = math.Float32frombits(uint32(bits))
					bits += step
				}
				want := got[best][:n]
				for _, isa := range isasF32() {
					runAct(isa, got[isa][:n], x[:n], a)
					if !ktest.SameBits(t, isa+" and "+best, got[isa][:n], want) {
						t.FailNow()
					}
				}
				for i, v := range x[:n] {
					w := o.f(float64(v))
					if o.abs != 0 && math.Abs(float64(want[i])-w) <= o.abs {
						continue
					}
					if d := ktest.ULP(want[i], w); d > worst {
						worst, at = d, v
					}
				}
			}
			if t.Logf("%.3f ULP at %v", worst, at); worst > o.ulp {
				t.Errorf("%.3f ULP at %v, over %v", worst, at, o.ulp)
			}
		})
	}
}

func runAct(isa string, dst, x []float32, a Act) {
	f := actF32[a].rows[actF32[a].best(isa)].impl
	if f == nil {
		for i, v := range x {
			dst[i] = actFuncs[a].f(v)
		}
		return
	}
	f(&dst[0], 0, &x[0], 0, nil, nil, 0, false, 1, len(x))
}
