// Package metrics measures how well results agree with what is wanted.
package metrics

// Rank returns the place, from 0, of candidate want when scores are sorted from
// the greatest down; of equal scores the first given comes first. NaN comes last.
func Rank(scores []float32, want int) int {
	rank, s := 0, scores[want]
	for i, v := range scores {
		switch {
		case i == want:
		case s != s: // NaN
			if v == v || i < want {
				rank++
			}
		case v > s, v == s && i < want:
			rank++
		}
	}
	return rank
}

// RecallAtK returns the share of queries whose wanted candidate is among the k
// with the greatest scores: scores[q] are those of query q, and want[q] is its
// candidate. It is 0 if there are no queries.
func RecallAtK(scores [][]float32, want []int, k int) float64 {
	if len(scores) == 0 {
		return 0
	}
	found := 0
	for q, row := range scores {
		if Rank(row, want[q]) < k {
			found++
		}
	}
	return float64(found) / float64(len(scores))
}
