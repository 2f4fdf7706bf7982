//go:build unix

package ktest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// guardedPages returns whole pages for size bytes (at least one) with a
// forbidden page before and after them.
func guardedPages(tb testing.TB, size int) (b []byte, free func()) {
	tb.Helper()
	page := unix.Getpagesize()
	n := max(1, (size+page-1)/page) * page
	all, err := unix.Mmap(-1, 0, n+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		err = unix.Mprotect(all[:page], unix.PROT_NONE)
	}
	if err == nil {
		err = unix.Mprotect(all[page+n:], unix.PROT_NONE)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return all[page : page+n : page+n], func() {
		if err := unix.Munmap(all); err != nil {
			tb.Error(err)
		}
	}
}
