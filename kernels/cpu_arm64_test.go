//go:build !purego

package kernels

import (
	"slices"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// TestReported: what systems report decides the instruction set and whether
// there are products in bfloat16.
func TestReported(t *testing.T) {
	for _, c := range []struct {
		name       string
		dot, bytes bool                     // by x/sys
		has        map[cpuid.FeatureID]bool // by the system's own call
		isa        string
		bf16       bool
	}{
		{"nothing is reported", false, false, nil, ISANEON, false},
		{"x/sys: Armv8.2", true, false, nil, ISANEONDot, false},
		{"x/sys: Armv8.6", true, true, nil, ISANEONI8MM, false},
		{"bytes without dot products", false, true, nil, ISANEON, false},
		{"Windows, before it knew of matrices", true, false, map[cpuid.FeatureID]bool{cpuid.ASIMDDP: true}, ISANEONDot, false},
		{"Windows: matrices of bytes", true, false, map[cpuid.FeatureID]bool{cpuid.ASIMDDP: true, cpuid.I8MM: true}, ISANEONI8MM, false},
		{"Windows: all", true, false, map[cpuid.FeatureID]bool{cpuid.ASIMDDP: true, cpuid.I8MM: true, cpuid.BF16: true}, ISANEONI8MM, true},
	} {
		got := reported(c.dot, c.bytes, func(f cpuid.FeatureID) bool { return c.has[f] })
		all := func(needs []cpuid.FeatureID) bool {
			return !slices.ContainsFunc(needs, func(f cpuid.FeatureID) bool { return !slices.Contains(got, f) })
		}
		if best := isas[slices.IndexFunc(isas, func(s instructionSet) bool { return all(s.needs) })].name; best != c.isa {
			t.Errorf("%s: %s, want %s", c.name, best, c.isa)
		}
		if bf16 := all(gemmBF16.rows[0].allNeeds()); bf16 != c.bf16 {
			t.Errorf("%s: bfloat16 %v", c.name, bf16)
		}
	}
}
