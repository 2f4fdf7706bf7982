package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// Act is an activation function. The functions of package ref of the same
// names say what each computes, to the bit, and how far from the real value it
// is: within 1 ULP for exp, 2.25 for GELU, 2 for most. Where a formula with
// infinities in it would give NaN, as SiLU at -Inf, they give the limit.
type Act uint8

const (
	ActNone      Act = iota // x
	ActGELU                 // x·Φ(x)
	ActGELUTanh             // GELU by way of tanh
	ActReLU                 // max(x, 0)
	ActSiLU                 // x·sigmoid(x)
	ActQuickGELU            // x·sigmoid(1.702·x)
	ActTanh
	ActSigmoid
	ActGELU10      // GELU clipped to [-10, 10]
	ActReLU2       // max(x, 0)²
	ActReLU6       // min(max(x, 0), 6)
	ActLeakyReLU   // max(x, 0.01·x)
	ActHardsigmoid // min(max(x+3, 0), 6)/6
	ActHardswish   // x·hardsigmoid(x)
	ActHardtanh    // min(max(x, -1), 1)
	ActELU         // x, or e^x - 1 below 0
	ActSoftplus    // ln(1 + e^x)
	ActSqrtSoftplus
	ActMish    // x·tanh(softplus(x))
	ActLaplace // a normal distribution function
	ActErf
	ActExp
	numActs
)

// actFuncs are the activations: the name, that in the kernels' names, and the
// statement.
var actFuncs = [numActs]struct {
	name, kernel string
	f            func(x float32) float32
}{
	ActNone:         {"none", "None", ref.None},
	ActGELU:         {"gelu", "GELU", ref.GELU},
	ActGELUTanh:     {"gelu_tanh", "GELUTanh", ref.GELUTanh},
	ActReLU:         {"relu", "ReLU", ref.ReLU},
	ActSiLU:         {"silu", "SiLU", ref.SiLU},
	ActQuickGELU:    {"quick_gelu", "QuickGELU", ref.QuickGELU},
	ActTanh:         {"tanh", "Tanh", ref.Tanh},
	ActSigmoid:      {"sigmoid", "Sigmoid", ref.Sigmoid},
	ActGELU10:       {"gelu_10", "GELU10", ref.GELU10},
	ActReLU2:        {"relu2", "ReLU2", ref.ReLU2},
	ActReLU6:        {"relu6", "ReLU6", ref.ReLU6},
	ActLeakyReLU:    {"leaky_relu", "LeakyReLU", ref.LeakyReLU},
	ActHardsigmoid:  {"hardsigmoid", "Hardsigmoid", ref.Hardsigmoid},
	ActHardswish:    {"hardswish", "Hardswish", ref.Hardswish},
	ActHardtanh:     {"hardtanh", "Hardtanh", ref.Hardtanh},
	ActELU:          {"elu", "ELU", ref.ELU},
	ActSoftplus:     {"softplus", "Softplus", ref.Softplus},
	ActSqrtSoftplus: {"sqrtsoftplus", "SqrtSoftplus", ref.SqrtSoftplus},
	ActMish:         {"mish", "Mish", ref.Mish},
	ActLaplace:      {"laplace", "Laplace", ref.Laplace},
	ActErf:          {"erf", "Erf", ref.Erf},
	ActExp:          {"exp", "Exp", ref.Exp},
}

// String returns the name of a, such as gelu.
func (a Act) String() string {
	if a < numActs {
		return actFuncs[a].name
	}
	return "unknown"
}

// Acts returns all activation functions.
func Acts() []Act {
	list := make([]Act, numActs)
	for i := range list {
		list[i] = Act(i)
	}
	return list
}

// BiasActResidualF32 is what follows a matrix product, in place:
//
//	dst[i][j] = act(dst[i][j] + bias[j]) + residual[i][j]
//
// Shapes: dst [rows, cols] with row stride ldd, bias [cols], residual
// [rows, cols] with row stride ldr. bias and residual may be nil; residual may
// be dst.
func BiasActResidualF32(dst []float32, ldd int, bias []float32, a Act, residual []float32, ldr, rows, cols int) {
	if cols == 0 {
		return
	}
	for i, n := 0, callRows(cols); i < rows; i += n {
		with := residual
		if with != nil {
			with = with[i*ldr:]
		}
		biasAct(dst[i*ldd:], ldd, dst[i*ldd:], ldd, bias, with, ldr, false, a, min(n, rows-i), cols)
	}
}

// callElems bounds the elements of one call of assembly: the scheduler cannot
// interrupt it. It is some 50 µs of the slowest functions.
const callElems = 1 << 15

// callRows is the number of rows of a call.
func callRows(cols int) int { return max(1, callElems/cols) }

// biasAct computes y = act(x + bias) and stores y, y + with or y·with.
func biasAct(dst []float32, ldd int, x []float32, ldx int, bias, with []float32, ldw int, mul bool, a Act, rows, cols int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	check(dst, ldd, rows, cols)
	check(x, ldx, rows, cols)
	var b, w *float32
	if bias != nil {
		b = &bias[:cols][0]
	}
	if with == nil {
		ldw = 0
	} else {
		check(with, ldw, rows, cols)
		w = &with[0]
	}
	if f := actF32[a].active; f != nil {
		f(&dst[0], ldd, &x[0], ldx, b, w, ldw, mul, rows, cols)
		return
	}
	f := actFuncs[a].f
	for i := range rows {
		d := dst[i*ldd:][:cols]
		for j, y := range x[i*ldx:][:cols] {
			if bias != nil {
				y += bias[j]
			}
			y = f(y)
			switch {
			case with == nil:
			case mul:
				y *= with[i*ldw+j]
			default:
				y += with[i*ldw+j]
			}
			d[j] = y
		}
	}
}

// check panics if x does not hold rows of cols elements.
func check(x []float32, ld, rows, cols int) {
	if rows > 1 && ld < 0 || len(x) < (rows-1)*ld+cols {
		panic("kernels: short operand")
	}
}

// ActF32 applies an activation to each element: dst[i] = act(x[i]). Its error
// is that of the function in package ref. dst may be x.
func ActF32(t *par.Team, dst, x []float32, a Act) {
	runFlat(t, vecTask{run: actChunk, dst: dst, a: x, act: a}, len(dst))
}

// GatedActF32 is dst[i] = act(gate[i])·up[i]. gate and up may be dst.
func GatedActF32(t *par.Team, dst, gate, up []float32, a Act) {
	runFlat(t, vecTask{run: actChunk, dst: dst, a: gate, b: up[:len(dst)], mul: true, act: a}, len(dst))
}

// AddF32 is dst[i] = a[i] + b[i]. a and b may be dst.
func AddF32(t *par.Team, dst, a, b []float32) {
	runFlat(t, vecTask{run: actChunk, dst: dst, a: a, b: b[:len(dst)]}, len(dst))
}

// MulF32 is dst[i] = a[i]·b[i]. a and b may be dst.
func MulF32(t *par.Team, dst, a, b []float32) {
	runFlat(t, vecTask{run: actChunk, dst: dst, a: a, b: b[:len(dst)], mul: true}, len(dst))
}

func actChunk(v *vecTask, lo, hi int) {
	b := v.b
	if b != nil {
		b = b[lo:hi]
	}
	biasAct(v.dst[lo:hi], 0, v.a[lo:hi], 0, nil, b, 0, v.mul, v.act, 1, hi-lo)
}
