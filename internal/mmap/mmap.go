// Package mmap opens regular files and maps them read-only into memory.
package mmap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync"
)

// Errors of this package.
var (
	// ErrNotRegular: the path names a directory, a pipe, a socket or a device.
	ErrNotRegular = errors.New("not a regular file")
	// ErrFault: mapped memory could not be read, as when another process has
	// cut the file short since it was mapped.
	ErrFault = errors.New("mapped file cannot be read: it has been truncated or its disk fails")
)

// OpenRegular opens a regular file for reading. It does not wait for the other
// end of a pipe.
func OpenRegular(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|NonBlock, 0)
	if err != nil {
		return nil, err
	}
	return CheckRegular(f)
}

// CheckRegular returns f, or closes it and returns an error wrapping
// ErrNotRegular if it is no regular file.
func CheckRegular(f *os.File) (*os.File, error) {
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: ErrNotRegular}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Mapping is the contents of a file as memory that must not be written to.
type Mapping struct {
	data   []byte
	mapped bool // data lies in a mapping of the file, not on the heap
}

// Map maps the whole of f, which may be closed afterwards. Systems that have
// no mappings read the file instead.
func Map(f *os.File) (*Mapping, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	n := st.Size()
	if int64(int(n)) != n {
		return nil, fmt.Errorf("%s: %d bytes do not fit the address space", f.Name(), n)
	}
	if n == 0 {
		return &Mapping{}, nil
	}
	m, err := mapFile(f, int(n))
	if err != nil {
		return nil, &fs.PathError{Op: "map", Path: f.Name(), Err: err}
	}
	if m.mapped {
		registry.add(m)
	}
	return m, nil
}

// Bytes returns the contents; nil after Close.
func (m *Mapping) Bytes() []byte { return m.data }

// Close unmaps the file. Slices of Bytes must not be used afterwards.
func (m *Mapping) Close() error {
	data := m.data
	m.data = nil
	if !m.mapped {
		return nil
	}
	m.mapped = false
	registry.remove(data)
	return unmap(data)
}

// Guard calls fn and returns its error. If fn, in this goroutine, reads mapped
// memory whose file has shrunk, Guard returns an error wrapping ErrFault where
// the process would otherwise die. Other panics pass through.
func Guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if fault, ok := r.(interface{ Addr() uintptr }); ok && registry.holds(fault.Addr()) {
			err = ErrFault
			return
		}
		panic(r)
	}()
	return fn()
}

// registry knows the live mappings, so that Guard mistakes no other fault for
// one of theirs.
var registry mappings

type mappings struct {
	mu   sync.RWMutex
	live map[uintptr]uintptr // first byte: one past the last
}

func (r *mappings) add(m *Mapping) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.live == nil {
		r.live = map[uintptr]uintptr{}
	}
	begin, end := bounds(m.data)
	r.live[begin] = end
}

func (r *mappings) remove(data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	begin, _ := bounds(data)
	delete(r.live, begin)
}

func (r *mappings) holds(addr uintptr) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for begin, end := range r.live {
		if begin <= addr && addr < end {
			return true
		}
	}
	return false
}
