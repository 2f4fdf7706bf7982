package mmap

import "unsafe"

// bounds returns the addresses of the first byte and of one past the last.
func bounds(b []byte) (begin, end uintptr) {
	begin = uintptr(unsafe.Pointer(unsafe.SliceData(b)))
	return begin, begin + uintptr(len(b))
}
