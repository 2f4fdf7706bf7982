package kernels

import "time"

// PeakF32 measures how many float32 operations a second one core can do at
// most with the instruction set in use, a multiply-add counting as two: nothing
// but independent multiply-adds of registers. It takes a few milliseconds and
// returns 0 if the instruction set has no such loop.
func PeakF32() float64 {
	row := peakF32.active
	if row.run == nil {
		return 0
	}
	const rounds = 1000
	best := time.Duration(1 << 62)
	for range 500 {
		start := time.Now()
		row.run(rounds)
		best = min(best, time.Since(start))
	}
	return 2 * float64(row.ops) * rounds / best.Seconds()
}

// peakRow is a loop of ops independent multiply-adds.
type peakRow struct {
	run func(n int)
	ops int
}
