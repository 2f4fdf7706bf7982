//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"
	syscpu "golang.org/x/sys/cpu"
)

// cpuid asks Linux, macOS and FreeBSD; x/sys asks NetBSD and OpenBSD too.
var _ = cpuid.CPU.Enable(reported(syscpu.ARM64.HasASIMDDP, syscpu.ARM64.HasI8MM, systemHas)...)

// reported returns the features that rows need of those that x/sys and the
// system's own call report: dot products of bytes, products of matrices of
// bytes, and of bfloat16.
func reported(dot, bytes bool, has func(f cpuid.FeatureID) bool) (list []cpuid.FeatureID) {
	known := map[cpuid.FeatureID]bool{cpuid.ASIMDDP: dot, cpuid.I8MM: bytes}
	for _, f := range []cpuid.FeatureID{cpuid.ASIMDDP, cpuid.I8MM, cpuid.BF16} {
		if known[f] || has(f) {
			list = append(list, f)
		}
	}
	return list
}
