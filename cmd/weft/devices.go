package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
)

// deviceInfo is one line of devices.
type deviceInfo struct {
	Device string `json:"device"` // as --device takes it
	Name   string `json:"name,omitempty"`
	Runs   bool   `json:"runs"`
	Why    string `json:"why,omitempty"` // why it does not
	Memory int64  `json:"memory,omitempty"`

	CPUs    int      `json:"cpus,omitempty"`    // logical ones of the machine
	Cores   int      `json:"cores,omitempty"`   // physical ones
	Threads int      `json:"threads,omitempty"` // that may compute
	ISA     string   `json:"isa,omitempty"`     // whose kernels run
	ISAs    []string `json:"isas,omitempty"`    // whose kernels could run

	Index           *int   `json:"index,omitempty"`
	Capability      string `json:"capability,omitempty"`
	Multiprocessors int    `json:"multiprocessors,omitempty"`
	PCI             string `json:"pci,omitempty"`
	CUDA            string `json:"cuda,omitempty"` // version of the driver's CUDA
	Driver          string `json:"driver,omitempty"`
}

func runDevices(ctx context.Context, c *call) error {
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := kernels.ISAError(); err != nil {
		return err
	}
	gpus, err := nn.GPUs()
	list := append([]deviceInfo{c.cpuInfo()}, gpuInfos(gpus, err)...)
	if c.json {
		return writeJSON(c.stdout, list)
	}
	for _, d := range list {
		fmt.Fprintf(c.stdout, "%-7s %s\n", d.Device, d)
	}
	return nil
}

func (c *call) cpuInfo() deviceInfo {
	m := kernels.ThisMachine()
	threads := runtime.GOMAXPROCS(0)
	if c.threads > 0 {
		threads = min(threads, c.threads)
	}
	return deviceInfo{Device: "cpu", Name: m.Name, Runs: true, Memory: m.Memory,
		CPUs: m.Logical, Cores: m.Cores, Threads: threads, ISA: kernels.ISA(), ISAs: kernels.ISAs()}
}

// gpuInfos describes the GPUs or, in their place, says why there are none.
func gpuInfos(gpus []nn.GPU, err error) []deviceInfo {
	if err == nil && len(gpus) == 0 {
		err = fmt.Errorf("the driver finds no GPU")
	}
	if err != nil {
		return []deviceInfo{{Device: "cuda", Why: strings.TrimPrefix(err.Error(), "cuda: ")}}
	}
	var list []deviceInfo
	for _, g := range gpus {
		d := deviceInfo{Device: fmt.Sprintf("cuda:%d", g.Index), Name: g.Name, Memory: g.Memory, Index: &g.Index,
			Capability: fmt.Sprintf("%d.%d", g.Major, g.Minor), Multiprocessors: g.SMs, PCI: g.PCI, CUDA: g.CUDAVersion(), Driver: g.Driver}
		if err := g.Check(); err != nil {
			d.Why = strings.TrimPrefix(err.Error(), "cuda: ")
		} else {
			d.Runs = true
		}
		list = append(list, d)
	}
	return list
}

// String describes the device in a line.
func (d deviceInfo) String() string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if d.Name != "" {
		add("%s", d.Name)
	}
	if d.Cores > 0 {
		add("%d cores", d.Cores)
	}
	if d.CPUs > 0 {
		add("%d logical CPUs, %d threads, %s kernels of %s", d.CPUs, d.Threads, d.ISA, strings.Join(d.ISAs, ", "))
	}
	if d.Capability != "" {
		add("compute capability %s, %d multiprocessors", d.Capability, d.Multiprocessors)
	}
	if d.Memory > 0 {
		add("%.1f GiB", float64(d.Memory)/(1<<30))
	}
	if d.PCI != "" {
		add("PCI %s", d.PCI)
	}
	if d.CUDA != "" {
		add("CUDA %s", d.CUDA)
	}
	if d.Driver != "" {
		add("driver %s", d.Driver)
	}
	if d.Why != "" {
		add("not available: %s", d.Why)
	}
	return strings.Join(parts, ", ")
}
