//go:build !unix

package ktest

import "testing"

// guardedPages returns size bytes with canaries on both sides only.
func guardedPages(tb testing.TB, size int) (b []byte, free func()) {
	return make([]byte, (size+127)/64*64), func() {}
}
