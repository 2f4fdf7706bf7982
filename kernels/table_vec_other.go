//go:build (!amd64 && !arm64) || purego

package kernels

// vecRows are the instruction sets with kernels of their own: none here.
var vecRows []vecKernels
