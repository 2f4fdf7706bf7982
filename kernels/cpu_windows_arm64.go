//go:build !purego

package kernels

import (
	"github.com/klauspost/cpuid/v2"
	"golang.org/x/sys/windows"
)

// systemHas asks Windows, which answers no for what it does not know.
func systemHas(f cpuid.FeatureID) bool {
	code, ok := map[cpuid.FeatureID]uint32{
		cpuid.ASIMDDP: windows.PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE,
		cpuid.I8MM:    windows.PF_ARM_V82_I8MM_INSTRUCTIONS_AVAILABLE,
		cpuid.BF16:    windows.PF_ARM_V86_BF16_INSTRUCTIONS_AVAILABLE,
	}[f]
	return ok && windows.IsProcessorFeaturePresent(code)
}
