//go:build !windows && !purego

package kernels

import "github.com/klauspost/cpuid/v2"

// systemHas has nothing to ask that cpuid and x/sys do not.
func systemHas(cpuid.FeatureID) bool { return false }
