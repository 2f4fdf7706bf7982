package metrics

import (
	"math"
	"testing"
)

func TestRank(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		scores []float32
		want   []int // of each candidate
	}{
		{[]float32{3, 1, 2}, []int{0, 2, 1}},
		{[]float32{1, 1, 1}, []int{0, 1, 2}},
		{[]float32{nan, 1, nan, 5}, []int{2, 1, 3, 0}},
		{[]float32{float32(math.Inf(-1)), nan}, []int{0, 1}},
	} {
		for i, want := range c.want {
			if got := Rank(c.scores, i); got != want {
				t.Errorf("%v: candidate %d has rank %d, want %d", c.scores, i, got, want)
			}
		}
	}
}

func TestRecallAtK(t *testing.T) {
	scores := [][]float32{{9, 1, 1}, {5, 7, 9}, {1, 2, 3}, {1, 2, 3}}
	want := []int{0, 1, 2, 0}
	for k, r := range map[int]float64{0: 0, 1: 0.5, 2: 0.75, 3: 1, 10: 1} {
		if got := RecallAtK(scores, want, k); got != r {
			t.Errorf("recall@%d is %v, want %v", k, got, r)
		}
	}
	if RecallAtK(nil, nil, 1) != 0 {
		t.Error("no queries")
	}
}
