package ktest

import (
	"testing"
	"unsafe"
)

// Edge is the side of an operand on which a forbidden page begins.
type Edge int

const (
	// Tail: the byte after the operand cannot be touched.
	Tail Edge = iota
	// Head: the byte before the operand cannot be touched.
	Head
)

func (e Edge) String() string { return [...]string{"tail", "head"}[e] }

// Edges are both, for tests that range over them.
var Edges = []Edge{Tail, Head}

// canary fills what is mapped around an operand: a quiet NaN as float32.
const canary = 0xff

// Guard returns n elements whose Edge touches a page that may be neither read
// nor written, so that a kernel that goes beyond it by one byte crashes (where
// the system has no such pages, a write is still noticed). What lies on the
// other side is checked for writes when the test ends. The elements are zero.
func Guard[T any](tb testing.TB, n int, edge Edge) []T {
	tb.Helper()
	var t T
	size := n * int(unsafe.Sizeof(t))
	page, free := guardedPages(tb, size)
	for i := range page {
		page[i] = canary
	}
	at := 0
	if edge == Tail {
		at = len(page) - size
	}
	clear(page[at : at+size])
	tb.Cleanup(func() {
		defer free()
		before, after := page[:at], page[at+size:]
		if i := touched(before); i >= 0 {
			tb.Errorf("a kernel wrote %d bytes before its operand", at-i)
		}
		if i := touched(after); i >= 0 {
			tb.Errorf("a kernel wrote %d bytes after its operand", i+1)
		}
	})
	if n == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&page[at])), n)
}

// GuardCopy is Guard with the elements of x.
func GuardCopy[T any](tb testing.TB, x []T, edge Edge) []T {
	tb.Helper()
	g := Guard[T](tb, len(x), edge)
	copy(g, x)
	return g
}

// touched returns where b first is not the canary, or -1.
func touched(b []byte) int {
	for i, v := range b {
		if v != canary {
			return i
		}
	}
	return -1
}
