//go:build linux

package moe_test

import (
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"github.com/seed-512d3d71/weft/nn/moe"
)

// TestResidency: the pages of experts that no token reached have not been read.
// The kernel's page table has none of them, but for the few that the fault of a
// neighbour's page brings along.
func TestResidency(t *testing.T) {
	c := newCheckpoint(t, 8, 64, 2048) // 512 KiB a weight
	l, b := c.layer(t, 1, moe.Router{TopK: 2}, false)
	run(t, l, b, random(c.width), c.width, nil)
	table, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skip(err)
	}
	defer table.Close()
	unbound, present, pages := 0, 0, 0
	for e, expert := range l.Experts {
		if expert.Bound() {
			continue
		}
		unbound++
		for _, w := range []string{"w1", "w2", "w3"} {
			weight, _ := c.file.Lookup(fmt.Sprintf("experts.%d.%s.weight", e, w))
			n, of, err := resident(table, weight.Data())
			if err != nil {
				t.Skip(err)
			}
			present, pages = present+n, pages+of
		}
	}
	if present*10 > pages {
		t.Errorf("%d of %d pages of unbound experts are in memory", present, pages)
	}
	if unbound != 6 {
		t.Errorf("%d experts unbound by one token, want 6", unbound)
	}
}

// resident counts the pages of b that are mapped, without its first and last
// 64 KiB: a fault nearby brings these along.
func resident(table *os.File, b []byte) (present, pages int, err error) {
	const around = 64 << 10
	page := uintptr(os.Getpagesize())
	first := (uintptr(unsafe.Pointer(&b[around])) + page - 1) / page
	last := uintptr(unsafe.Pointer(&b[len(b)-around])) / page
	entries := make([]byte, 8*(last-first))
	if _, err := table.ReadAt(entries, int64(8*first)); err != nil {
		return 0, 0, err
	}
	for i := 0; i < len(entries); i += 8 {
		if binary.LittleEndian.Uint64(entries[i:])>>63 != 0 {
			present++
		}
	}
	return present, len(entries) / 8, nil
}
