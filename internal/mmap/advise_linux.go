package mmap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Discard tells the system that b, a part of the mapping, will not be read
// soon: its whole pages leave the process's resident memory. Reading them
// again is allowed and fetches them from the file.
func (m *Mapping) Discard(b []byte) {
	if !m.mapped {
		return
	}
	if b = wholePages(b); len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_DONTNEED) // advice: nothing is lost if it is not taken
	}
}

// AdviseHuge asks for huge pages behind b, memory that has not been written to
// yet: the system then clears it in a fraction of the page faults.
func AdviseHuge(b []byte) {
	if b = wholePages(b); len(b) > 0 {
		_ = unix.Madvise(b, unix.MADV_HUGEPAGE)
	}
}

// wholePages returns the pages that lie in b to their full length.
func wholePages(b []byte) []byte {
	page := uintptr(os.Getpagesize())
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	skip := (page - begin%page) % page
	if uintptr(len(b)) < skip+page {
		return nil
	}
	return b[skip:][:(uintptr(len(b))-skip)/page*page]
}
