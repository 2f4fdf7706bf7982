// Package arm64 will hold the NEON kernels. Until then arm64 runs the exact Go
// of kernels/ref.
package arm64
