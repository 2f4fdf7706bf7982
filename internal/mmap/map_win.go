//go:build windows

package mmap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// NonBlock is the open flag that keeps a pipe without a writer from blocking;
// a Windows path names no such pipe.
const NonBlock = 0

func mapFile(f *os.File, n int) (*Mapping, error) {
	h, err := windows.CreateFileMapping(windows.Handle(f.Fd()), nil, windows.PAGE_READONLY, 0, 0, nil)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(h) // the view keeps the mapping alive
	addr, err := windows.MapViewOfFile(h, windows.FILE_MAP_READ, 0, 0, uintptr(n))
	if err != nil {
		return nil, err
	}
	// The address is of memory outside the Go heap: read it as a pointer
	// without arithmetic.
	p := *(*unsafe.Pointer)(unsafe.Pointer(&addr))
	return &Mapping{data: unsafe.Slice((*byte)(p), n), mapped: true}, nil
}

func unmap(data []byte) error {
	begin, _ := bounds(data)
	return windows.UnmapViewOfFile(begin)
}
