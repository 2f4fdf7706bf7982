package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/nn"
)

func TestDevices(t *testing.T) {
	status, stdout, stderr := invoke("devices", "--json")
	var list []deviceInfo
	if err := json.Unmarshal([]byte(stdout), &list); err != nil || status != exitOK {
		t.Fatal(status, stderr, err)
	}
	if len(list) < 2 || list[0].Device != "cpu" || !list[0].Runs || list[0].Name == "" || list[0].CPUs < 1 || list[0].ISA == "" {
		t.Errorf("%+v", list)
	}
	for _, d := range list[1:] {
		if !strings.HasPrefix(d.Device, "cuda") || d.Runs == (d.Why != "") {
			t.Errorf("%+v", d)
		}
	}
	if _, stdout, _ = invoke("devices"); strings.Count(stdout, "\n") != len(list) {
		t.Errorf("%d devices in lines:\n%s", len(list), stdout)
	}
}

func TestGPUInfos(t *testing.T) {
	list := gpuInfos([]nn.GPU{
		{Index: 0, Name: "A", Major: 9, Memory: 80 << 30, PCI: "0000:01:00.0", CUDA: 12080, Driver: "570.1", SMs: 132},
		{Index: 1, Name: "B", Major: 6, Minor: 1, CUDA: 12080},
	}, nil)
	if len(list) != 2 || !list[0].Runs || list[1].Runs || *list[1].Index != 1 {
		t.Fatalf("%+v", list)
	}
	if got, want := list[0].String(), "A, compute capability 9.0, 132 multiprocessors, 80.0 GiB, PCI 0000:01:00.0, CUDA 12.8, driver 570.1"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if want := "not available: no usable GPU: B has compute capability 6.1, want 7.5 or later"; !strings.HasSuffix(list[1].String(), want) {
		t.Errorf("%s, want %s", list[1], want)
	}
	for _, err := range []error{nil, errors.New("cuda: some reason")} {
		if list := gpuInfos(nil, err); len(list) != 1 || list[0].Runs || list[0].Device != "cuda" || list[0].Why == "" {
			t.Errorf("%+v", list)
		}
	}
}
