package tensor

import (
	"errors"
	"testing"
)

// TestDeviceViews: views of device memory are addresses.
func TestDeviceViews(t *testing.T) {
	dev := new(int)
	x := AtAddress(dev, 0x1000, F32, 3, 8)
	cols := x.SliceCols(2, 5)
	if cols.Address() != 0x1008 || cols.Device() != dev || cols.LD() != 8 || cols.Cols() != 3 || cols.Rows() != 3 {
		t.Errorf("%v at %#x", cols, cols.Address())
	}
	if r := cols.SliceRows(1, 3); r.Address() != 0x1028 || r.Rows() != 2 {
		t.Errorf("%v at %#x", r, r.Address())
	}
	if r := AtAddress(dev, 0x1000, I64, 4).Reshape(2, 2).SliceRows(1, 2); r.Address() != 0x1010 || r.DType() != I64 {
		t.Errorf("%v at %#x", r, r.Address())
	}
	if x.F32() != nil {
		t.Error("elements on the host")
	}
	mustPanic(t, "rows of device memory", func() { x.SliceRows(2, 4) })
}

// fakeMemory hands out addresses and knows which are in use.
type fakeMemory struct {
	next  uint64
	limit int // bytes
	used  map[uint64]int
}

func (m *fakeMemory) Alloc(bytes int) (uint64, error) {
	for _, n := range m.used {
		bytes += n
	}
	if bytes > m.limit {
		return 0, errors.New("no memory left")
	}
	for _, n := range m.used {
		bytes -= n
	}
	m.next += 1 << 32
	m.used[m.next] = bytes
	return m.next, nil
}

func (m *fakeMemory) Free(addr uint64) { delete(m.used, addr) }

func TestDeviceArena(t *testing.T) {
	m := &fakeMemory{limit: 64 << 20, used: map[uint64]int{}}
	a := NewDeviceArena("gpu", m)
	var addrs []uint64
	pass := func() {
		addrs = addrs[:0]
		add := func(x Tensor) {
			if x.Address()%deviceAlign != 0 || x.Device() != "gpu" {
				t.Fatalf("%v at %#x", x, x.Address())
			}
			addrs = append(addrs, x.Address())
		}
		add(a.New(F32, 3))
		for range 3 {
			mark := a.Mark()
			add(a.New(F32, 100, 1000))
			add(a.New(F32, 1000, 1000))
			add(a.New(BF16, 7))
			if n := len(addrs); addrs[n-3] == addrs[n-2] || addrs[n-2] == addrs[n-1] {
				t.Fatal("tensors overlap")
			}
			a.Release(mark)
		}
		if err := a.Err(); err != nil {
			t.Fatal(err)
		}
		a.Reset()
	}
	pass()
	pass()
	first := append([]uint64(nil), addrs...)
	bytes := a.Bytes()
	pass()
	for i, addr := range addrs {
		if addr != first[i] {
			t.Errorf("address %d is %#x, was %#x", i, addr, first[i])
		}
	}
	if len(m.used) != 1 || a.Bytes() != bytes {
		t.Errorf("%d blocks, %d bytes, were %d", len(m.used), a.Bytes(), bytes)
	}
	if n := testing.AllocsPerRun(10, pass); n > 0 {
		t.Errorf("%v allocations in a steady state", n)
	}
	if x := a.New(F32, 1<<20, 64); a.Err() == nil || x.Address() == 0 {
		t.Error("no error without memory")
	}
	a.Reset()
	if a.New(F32, 4); a.Err() != nil {
		t.Error(a.Err())
	}
	a.Close()
	if len(m.used) != 0 {
		t.Errorf("%d blocks left", len(m.used))
	}
}
