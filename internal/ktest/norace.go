//go:build !race

package ktest

// Race reports whether the race detector is on: sync.Pool then forgets at
// random, so that allocations cannot be counted.
const Race = false
