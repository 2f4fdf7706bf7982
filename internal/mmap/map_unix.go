//go:build unix

package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

// NonBlock is the open flag that keeps a pipe without a writer from blocking.
const NonBlock = unix.O_NONBLOCK

func mapFile(f *os.File, n int) (*Mapping, error) {
	data, err := unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	return &Mapping{data: data, mapped: true}, nil
}

func unmap(data []byte) error { return unix.Munmap(data) }
