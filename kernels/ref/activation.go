package ref

import "math"

// phi0 … phi7 and phiAt say what the normal distribution's tail is beside its
// density: with Q(t) = e^(t²/2)·Φ(-t), and t in the interval i,
//
//	Q(phiAt[i]+h) = phi0[i]·(1 + h·(phi1[i] + h·(phi2[i] + …)))
//
// The intervals are 0 … ½ … 1 … 2 … 3 … 5 … 7 … 11 … 15: the bits of 1+t below
// bit 22 of its float32 number them, cyclically. The points are those near the
// middle at which Q is all but a float32.
var (
	phiAt = [8]float32{0x1.7598p0, 0x1.3b14p1, 0x1.f518p1, 0x1.7decp2, 0x1.23bp3, 0x1.9e94p3, 0x1.03dp-2, 0x1.87ap-1}
	phi   = [8][8]float32{
		{0x1.ad132p-3, 0x1.251498p-3, 0x1.8a476ep-4, 0x1.0ab55ap-4, 0x1.625e14p-5, 0x1.f58f92p-6, 0x1.a6d84ep-2, 0x1.30cea8p-2},
		{-0x1.c78058p-2, -0x1.4e06d8p-2, -0x1.d652a2p-3, -0x1.462cd4p-3, -0x1.b723c8p-4, -0x1.387f74p-4, -0x1.6cbea4p-1, -0x1.2694cep-1},
		{0x1.6743b2p-3, 0x1.938df4p-4, 0x1.9d91e4p-5, 0x1.9629bp-6, 0x1.748d54p-7, 0x1.7b4e5cp-8, 0x1.a374bp-2, 0x1.1ead4ep-2},
		{-0x1.01ccdcp-4, -0x1.c8fc4p-6, -0x1.5da708p-7, -0x1.eef792p-9, -0x1.38c002p-10, -0x1.c9d652p-12, -0x1.9f60f6p-3, -0x1.ed31aap-4},
		{0x1.562ce4p-6, 0x1.e94138p-8, 0x1.1d00ap-9, 0x1.276768p-11, 0x1.034bbep-13, 0x1.12b8bap-15, 0x1.6ec06ep-4, 0x1.80bb74p-5},
		{-0x1.aa5ddep-8, -0x1.f2fbbp-10, -0x1.c4f0dep-12, -0x1.5a8bdcp-14, -0x1.a7fd58p-17, -0x1.476bf2p-19, -0x1.26c22ap-5, -0x1.132a46p-6},
		{0x1.0142b4p-9, 0x1.f0aa74p-12, 0x1.6dc348p-14, 0x1.9c83a4p-17, 0x1.77e4dep-20, 0x1.914f4ep-23, 0x1.bb6e8ap-7, 0x1.7674c2p-8},
		{-0x1.049cc6p-11, -0x1.ba7a48p-14, -0x1.e223fep-17, -0x1.bc00aap-20, -0x1.4c6026p-23, -0x1.0115f8p-26, -0x1.48aa42p-8, -0x1.62f9d8p-9},
	}
)

// None returns x.
func None(x float32) float32 { return x }

// halfPoly is expPoly for e^(-r/2), but for the last coefficient.
var halfPoly = [...]float32{0x1.6a4f28p-16, -0x1.12398p-12, 0x1.5558aep-9, -0x1.555492p-6, 0x1.fffffcp-4, -0.5}

// phiMax is so large that t·Φ(-t) rounds to 0 there.
const phiMax = 14.5

// phiTail returns a·Φ(-t) for 0 ≤ t ≤ phiMax.
func phiTail(a, t float32) float32 {
	s := t * t
	low := FMA32(t, t, -s)
	// Φ(-t) = e^(-(s+low)/2)·Q(t), with s+low = r - 2n·ln2.
	n := FMA32(s, -log2e/2, magic) - magic
	r := FMA32(n, 2*ln2Hi, s) + FMA32(n, 2*ln2Lo, low)
	e := float32(r * poly(r, halfPoly[:])) // e^(-r/2) - 1
	i := math.Float32bits(1+t) >> 22 & 7
	h := t - phiAt[i]
	q := phi[7][i]
	for k := 6; k >= 1; k-- {
		q = FMA32(q, h, phi[k][i])
	}
	q = float32(h * q) // Q(t)/phi0 - 1
	z := FMA32(e, q, e+q)
	m := a * phi[0][i]
	return scale(FMA32(m, z, m), n)
}

// GELU returns x·Φ(x), with Φ the normal distribution function, within 2.5 ULP
// (Hendrycks & Gimpel 2016, arXiv:1606.08415). It is x - x·Φ(-x) where that
// loses nothing.
func GELU(x float32) float32 {
	t := min(abs(x), phiMax)
	return atLeast(x, 0) - phiTail(t, t)
}

// GELU10 is GELU clipped to [-10, 10].
func GELU10(x float32) float32 { return atMost(atLeast(GELU(x), -10), 10) }

// Erf returns the error function within 2.5 ULP.
func Erf(x float32) float32 {
	t := min(abs(x), 4) // erf(4) rounds to 1
	y := 1 - phiTail(2, t*sqrt2)
	if t < 1 {
		y = t * poly(t*t, erfPoly[:])
	}
	if x != x {
		return x
	}
	return copySign(y, x)
}

const sqrt2 = 0x1.6a09e6p0

// erfPoly is erf(x)/x in x², for |x| < 1.
var erfPoly = [...]float32{-0x1.a95626p-12, 0x1.8dc852p-10, -0x1.7067c8p-9, 0x1.af8264p-8, -0x1.c0296p-6, 0x1.ce86dep-4, -0x1.8128b4p-2, 0x1.20dd76p0}

// Laplace returns the normal distribution function with mean 0.707107 and
// deviation 0.282095 (Ma et al. 2022, arXiv:2209.10655), within 2^-22.
func Laplace(x float32) float32 {
	z := (x - 0.707107) / 0.282095
	y := phiTail(1, min(abs(z), phiMax))
	if !math.Signbit(float64(z)) {
		y = 1 - y
	}
	if z != z {
		return z
	}
	return y
}

// quotient returns a/(d+low) for |low| far below d: the rounded quotient and
// one step from it, by what its product with the divisor leaves.
func quotient(a, d, low float32) float32 {
	inv := 1 / d
	q := a * inv
	rest := FMA32(-q, low, FMA32(-q, d, a))
	return FMA32(rest, inv, q)
}

// logisticTail returns a/(1+e^(v+low)) for 0 ≤ v ≤ 120.
func logisticTail(a, v, low float32) float32 {
	r, n := reduce(-v)
	r -= low
	p := poly(r, expPoly[:])
	e := scale(p, n)
	d := 1 + e
	return scale(quotient(a*p, d, e-(d-1)), n)
}

// logisticMax is an argument beyond which the tail and 100 times it are 0.
const logisticMax = 110

// Sigmoid returns 1/(1+e^-x) within 2 ULP.
func Sigmoid(x float32) float32 {
	y := logisticTail(1, atMost(abs(x), logisticMax), 0)
	if math.Signbit(float64(x)) {
		return y
	}
	return 1 - y
}

// SiLU returns x/(1+e^-x) within 2.5 ULP, -0 at -Inf (Elfwing et al. 2017,
// arXiv:1702.03118).
func SiLU(x float32) float32 {
	t := min(abs(x), logisticMax)
	return atLeast(x, 0) - logisticTail(t, t, 0)
}

// QuickGELU returns x/(1+e^(-1.702·x)) within 2.5 ULP.
func QuickGELU(x float32) float32 {
	const slope float32 = 1.702
	t := min(abs(x), 64.5)
	v := t * slope
	return atLeast(x, 0) - logisticTail(t, v, FMA32(t, slope, -v))
}

// GELUTanh returns 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), which is
// x/(1 + e^-v) with v twice the argument, within 2.5 ULP. v is carried in two
// floats: e^v would multiply its error.
func GELUTanh(x float32) float32 {
	const (
		a    = 0x1.9884p0 // 2√(2/π), so short that w-a is exact
		aLow = 0x1.4cf50ep-18
		b    = 0x1.2444f2p-4 // 0.044715 times that
		bLow = 0x1.49b16ap-29
	)
	t := min(abs(x), 10.9)
	s := t * t
	low := FMA32(t, t, -s)
	w := FMA32(s, b, a)
	wLow := FMA32(low, b, FMA32(s, bLow, FMA32(s, b, a-w))) + aLow
	v := t * w
	return atLeast(x, 0) - logisticTail(t, v, FMA32(t, wLow, FMA32(t, w, -v)))
}

// expm1 returns e^x - 1 for x in [-30, 80].
func expm1(x float32) float32 {
	r, n := reduce(x)
	p := FMA32(r*r, poly(r, expPoly[:5]), r)
	s := scale(1, n)
	return FMA32(s, p, s-1)
}

// Tanh returns the hyperbolic tangent within 2 ULP.
func Tanh(x float32) float32 {
	t := min(abs(x), 10) // tanh(10) rounds to 1
	e := expm1(t + t)
	d := e + 2
	y := quotient(e, d, e-(d-2))
	if x != x {
		return x
	}
	return copySign(y, x)
}

// ELU returns x, or e^x - 1 below 0, within 2 ULP.
func ELU(x float32) float32 {
	if math.Signbit(float64(x)) {
		return expm1(atLeast(x, -30))
	}
	return x
}

// Softplus returns ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|) within 4 ULP. The
// logarithm is 2·artanh(e/(2+e)).
func Softplus(x float32) float32 {
	r, n := reduce(-atMost(abs(x), logisticMax))
	p := poly(r, expPoly[:])
	e := scale(p, n)
	q := p / (2 + e)
	s := scale(q, n)
	return atLeast(x, 0) + scale(q*poly(s*s, artanhPoly[:]), n)
}

// artanhPoly is 2·artanh(s)/s in s², for |s| ≤ 1/3.
var artanhPoly = [...]float32{0x1.f08af8p-3, 0x1.b72bb8p-3, 0x1.25051p-2, 0x1.9996d8p-2, 0x1.555558p-1, 2}

// SqrtSoftplus returns √ln(1 + e^x), within 3 ULP for x > -87 and 2^-75 below.
func SqrtSoftplus(x float32) float32 { return float32(math.Sqrt(float64(Softplus(x)))) }

// Mish returns x·tanh(ln(1 + e^x)) = x·w/(w+2) with w = e^x·(e^x+2), within
// 4 ULP (Misra 2019, arXiv:1908.08681).
func Mish(x float32) float32 {
	x = atLeast(x, -logisticMax)
	r, n := reduce(atMost(x, 20)) // the quotient is 1 from there on
	p := poly(r, expPoly[:])
	e := scale(p, n)
	f := e + 2
	return scale(x*(p*f/FMA32(e, f, 2)), n)
}

// ReLU returns max(x, 0).
func ReLU(x float32) float32 { return atLeast(x, 0) }

// ReLU2 returns max(x, 0)².
func ReLU2(x float32) float32 { x = atLeast(x, 0); return x * x }

// ReLU6 returns min(max(x, 0), 6).
func ReLU6(x float32) float32 { return atMost(atLeast(x, 0), 6) }

// LeakyReLU returns max(x, 0.01·x).
func LeakyReLU(x float32) float32 { return atLeast(x, 0.01*x) }

// Hardsigmoid returns min(max(x+3, 0), 6)/6.
func Hardsigmoid(x float32) float32 { return ReLU6(x+3) / 6 }

// Hardswish returns x·(min(max(x+3, 0), 6)/6).
func Hardswish(x float32) float32 { return x * Hardsigmoid(x) }

// Hardtanh returns min(max(x, -1), 1).
func Hardtanh(x float32) float32 { return atMost(atLeast(x, -1), 1) }

func abs(x float32) float32 { return math.Float32frombits(math.Float32bits(x) &^ (1 << 31)) }

func copySign(x, sign float32) float32 {
	const bit = 1 << 31
	return math.Float32frombits(math.Float32bits(x)&^bit | math.Float32bits(sign)&bit)
}
