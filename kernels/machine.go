package kernels

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// Machine describes the CPU and the memory of this machine.
type Machine struct {
	Name    string // of the CPU, as it calls itself; or the architecture
	Cores   int    // physical; 0: unknown
	Logical int    // that this process may use
	Memory  int64  // bytes; 0: unknown
}

// ThisMachine describes the machine.
func ThisMachine() Machine {
	m := Machine{Name: cpuid.CPU.BrandName, Cores: cpuid.CPU.PhysicalCores, Logical: runtime.NumCPU(), Memory: memory()}
	if m.Name == "" {
		m.Name = runtime.GOARCH
	}
	return m
}
