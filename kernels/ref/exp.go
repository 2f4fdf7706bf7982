package ref

import "math"

// e^x = 2ⁿ·e^r with n = x/ln2 rounded and |r| ≤ ln(2)/2 (Cody & Waite 1980).
const (
	log2e = 0x1.715476p0
	// ln2Hi has so few bits that n·ln2Hi is exact.
	ln2Hi = 0x1.63p-1
	ln2Lo = -0x1.bd0106p-13
	// magic is so large that adding it rounds to an integer, which its lowest
	// bits then hold.
	magic = 0x1.8p23
	// e^expMin rounds to 0 and e^expMax to +Inf.
	expMin = -104
	expMax = 89
)

// expPoly is the polynomial of degree 6 that is closest to e^r relative to it,
// highest coefficient first: within 2^-28.2.
var expPoly = [...]float32{0x1.6a4f28p-10, 0x1.12398p-7, 0x1.5558aep-5, 0x1.555492p-3, 0x1.fffffcp-2, 1, 1}

// Exp returns e^x within 1 ULP; e^0 is 1, e^-Inf is +0.
func Exp(x float32) float32 {
	x = atMost(atLeast(x, expMin), expMax)
	r, n := reduce(x)
	return scale(poly(r, expPoly[:]), n)
}

// reduce splits x = n·ln2 + r.
func reduce(x float32) (r, n float32) {
	n = FMA32(x, log2e, magic) - magic
	return FMA32(n, -ln2Lo, FMA32(n, -ln2Hi, x)), n
}

// scale returns x·2ⁿ, rounded once, for an integer n in [-256, 255].
func scale(x, n float32) float32 {
	return float32(float64(x) * math.Float64frombits(uint64(1023+int(n))<<52))
}

// poly is Horner's rule in fused multiply-adds, highest coefficient first.
func poly(x float32, c []float32) float32 {
	p := c[0]
	for _, c := range c[1:] {
		p = FMA32(p, x, c)
	}
	return p
}

// atMost is min with a NaN of x kept and c not looked at otherwise.
func atMost(x, c float32) float32 {
	if c < x {
		return c
	}
	return x
}

func atLeast(x, c float32) float32 {
	if c > x {
		return c
	}
	return x
}
