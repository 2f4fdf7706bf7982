package cuda

// FullGPU changes from how many blocks on a tile is preferred to a smaller one,
// so that tests of the larger ones need not be large.
func FullGPU(n int) { fullGPU = n }
