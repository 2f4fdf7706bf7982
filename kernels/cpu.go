package kernels

import "github.com/klauspost/cpuid/v2"

// cpu is what blocking needs to know of the machine: the sizes in bytes of
// the caches that belong to one core. Where they are unknown, common ones.
var cpu = struct{ l1, l2 int }{
	l1: bounded(cpuid.CPU.Cache.L1D, 16<<10, 32<<10, 128<<10),
	l2: bounded(cpuid.CPU.Cache.L2, 128<<10, 512<<10, 4<<20),
}

// bounded returns v if it is between low and high, else usual.
func bounded(v, low, usual, high int) int {
	if v < low || v > high {
		return usual
	}
	return v
}
