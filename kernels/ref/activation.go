package ref

import "math"

// phi0 … phi7 and phiAt say what the normal distribution's tail is beside its
// density: with Q(t) = e^(t²/2)·Φ(-t), and t in the interval i,
//
//	Q(phiAt[i]+h) = phi0[i]·(1 + h·(phi1[i] + h·(phi2[i] + …)))
//
// The intervals are 0 … 8 … 19 … 35 … 57 … 89 … 133 … 197 … sixteenths: wider
// where Q is flatter. The bits from 22 up of the float32 t+19/16, less 3/16 of
// its leading one, number them cyclically. The points are those near the middle
// at which Q is all but a float32.
var (
	phiAt = [8]float32{0x1.b898p0, 0x1.6b8d8p1, 0x1.1e04p2, 0x1.b4548p2, 0x1.4d2p3, 0x1.b000bep3, 0x1.03dp-2, 0x1.bb37p-1}
	phi   = [8][8]float32{
		{0x1.7fd526p-3, 0x1.049d0cp-3, 0x1.5d919ap-4, 0x1.d5a73cp-5, 0x1.371df6p-5, 0x1.e18d0ap-6, 0x1.a6d84ep-2, 0x1.1ff77ep-2},
		{-0x1.a154f8p-2, -0x1.2ddc16p-2, -0x1.a4ececp-3, -0x1.20ad2ep-3, -0x1.8283b4p-4, -0x1.2c29e8p-4, -0x1.6cbea4p-1, -0x1.1b1f08p-1},
		{0x1.31be48p-3, 0x1.4d4892p-4, 0x1.4dc678p-5, 0x1.3f9d12p-6, 0x1.214bcp-7, 0x1.5e1ad8p-8, 0x1.a374bp-2, 0x1.0aea3cp-2},
		{-0x1.9b493cp-5, -0x1.5bc49ep-6, -0x1.001356p-7, -0x1.5bba42p-9, -0x1.ad78a6p-11, -0x1.963abap-12, -0x1.9f60f6p-3, -0x1.beebep-4},
		{0x1.0178d2p-6, 0x1.5928d4p-8, 0x1.7cf126p-10, 0x1.73cb4cp-12, 0x1.3bc5fcp-14, 0x1.d4f918p-16, 0x1.6ec06ep-4, 0x1.545decp-5},
		{-0x1.2ec536p-8, -0x1.48a94p-10, -0x1.152044p-12, -0x1.899d74p-15, -0x1.cb94c4p-18, -0x1.1156ecp-19, -0x1.26c22ap-5, -0x1.de77dep-7},
		{0x1.5d656p-10, 0x1.37ebd4p-12, 0x1.9843fcp-15, 0x1.ac0e6ap-18, 0x1.63d36p-21, 0x1.38defp-23, 0x1.bb6e8ap-7, 0x1.4094d2p-8},
		{-0x1.8c2378p-12, -0x1.01c35p-14, -0x1.f0bbccp-18, -0x1.849f1p-21, -0x1.1294d2p-24, 0x1.fa8ed2p-30, -0x1.48aa42p-8, -0x1.b0e9ccp-10},
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
	// Φ(-t) = e^(-t²/2)·Q(t), with t² = r - 2n·ln2; n·2ln2Hi is exact.
	n := FMA32(t*t, -log2e/2, magic) - magic
	r := FMA32(n, 2*ln2Lo, FMA32(t, t, n*(2*ln2Hi)))
	e := float32(r * poly(r, halfPoly[:])) // e^(-r/2) - 1
	i := (math.Float32bits(t+19./16) - 3<<19) >> 22 & 7
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

// GELU returns x·Φ(x), with Φ the normal distribution function, within 2.25 ULP
// (Hendrycks & Gimpel 2016, arXiv:1606.08415). It is x - x·Φ(-x) where that
// loses nothing.
func GELU(x float32) float32 {
	t := min(abs(x), phiMax)
	return atLeast(x, 0) - phiTail(t, t)
}

// GELU10 is GELU clipped to [-10, 10].
func GELU10(x float32) float32 { return atMost(atLeast(GELU(x), -10), 10) }

// Erf returns the error function within 1.25 ULP.
func Erf(x float32) float32 {
	t := min(abs(x), 4) // erf(4) rounds to 1
	y := 1 - phiTail(2, t*sqrt2)
	if t < 1 {
		y = FMA32(t, poly(t*t, erfPoly[:]), t)
	}
	if x != x {
		return x
	}
	return copySign(y, x)
}

const sqrt2 = 0x1.6a09e6p0

// erfPoly is erf(x)/x - 1 in x², for |x| < 1.
var erfPoly = [...]float32{-0x1.238cdap-19, 0x1.69b1b2p-14, -0x1.a998eep-11, 0x1.5482fep-8, -0x1.b8044ep-6, 0x1.ce2d74p-4, -0x1.81274p-2, 0x1.06eba8p-3}

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
	p := poly(r, expPoly[:6]) // e^r = r·p + 1
	e := scale(FMA32(p, r, 1), n)
	d := 1 + e
	return scale(quotient(FMA32(p, r*a, a), d, e-(d-1)), n)
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

// SiLU returns x/(1+e^-x) within 2 ULP, 0 at -Inf (Elfwing et al. 2017,
// arXiv:1702.03118).
func SiLU(x float32) float32 {
	t := min(abs(x), logisticMax)
	return atLeast(x, 0) - logisticTail(t, t, 0)
}

// QuickGELU returns x/(1+e^(-1.702·x)) within 2 ULP.
func QuickGELU(x float32) float32 {
	const slope float32 = 1.702
	t := min(abs(x), 64.5)
	v := t * slope
	return atLeast(x, 0) - logisticTail(t, v, FMA32(t, slope, -v))
}

// GELUTanh returns 0.5·x·(1 + tanh(√(2/π)·(x + 0.044715·x³))), which is
// x/(1 + e^-v) with v twice the argument, within 2 ULP. v is carried in two
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
