package ref

import "math"

// lanes is the number of partial results of a reduction along a row: lane i
// takes the elements j with j mod 32 = i, in order.
const lanes = 32

// tree reduces the lanes: lane i takes lane i+16, i+8, i+4, i+2, i+1.
func tree(l *[lanes]float32, f func(a, b float32) float32) float32 {
	for n := lanes / 2; n > 0; n /= 2 {
		for i := range n {
			l[i] = f(l[i], l[i+n])
		}
	}
	return l[0]
}

func add(a, b float32) float32 { return a + b }

// SumF32 returns the sum of x in lanes from +0.
func SumF32(x []float32) float32 {
	var l [lanes]float32
	for j, v := range x {
		l[j%lanes] += v
	}
	return tree(&l, add)
}

// SumSquaresF32 returns the sum of the squares of x in lanes from +0.
func SumSquaresF32(x []float32) float32 {
	var l [lanes]float32
	for j, v := range x {
		l[j%lanes] = FMA32(v, v, l[j%lanes])
	}
	return tree(&l, add)
}

// MaxF32 returns the largest number in x, -Inf if there is none.
func MaxF32(x []float32) float32 {
	m := float32(math.Inf(-1))
	for _, v := range x {
		if v > m {
			m = v
		}
	}
	return m
}
