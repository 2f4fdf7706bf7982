package audio

// meanVar returns NumPy's mean and var(ddof=ddof) of contiguous float32, in its
// order of operations.
func meanVar(x []float32, ddof int) (mean, variance float32) {
	mean = pairwiseSum(x) / float32(len(x))
	squares := make([]float32, len(x))
	for i, v := range x {
		d := v - mean
		squares[i] = d * d
	}
	return mean, pairwiseSum(squares) / float32(max(0, len(x)-ddof))
}

// pairwiseSum adds in NumPy's order: eight partial sums in blocks of up to 128,
// and the blocks in pairs.
func pairwiseSum(x []float32) float32 {
	n := len(x)
	if n > 128 {
		half := n / 2
		half -= half % 8
		return pairwiseSum(x[:half]) + pairwiseSum(x[half:])
	}
	sum := float32(0)
	i := 0
	if n >= 8 {
		var r [8]float32
		copy(r[:], x)
		for i = 8; i+8 <= n; i += 8 {
			for j := range r {
				r[j] += x[i+j]
			}
		}
		sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
	}
	for ; i < n; i++ {
		sum += x[i]
	}
	return sum
}
