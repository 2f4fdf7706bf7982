package safetensors

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"sync"

	"github.com/seed-512d3d71/weft/internal/mmap"
)

// File is an open safetensors file. It is safe for concurrent use.
type File struct {
	header
	mu      sync.RWMutex // held for reading while data is read
	bytes   []byte       // the whole file; nil once closed
	mapping *mmap.Mapping
}

// Tensor describes a tensor of a file and gives access to its data until the
// file is closed. Shape is not to be modified.
type Tensor struct {
	Name       string
	Shape      []int // rank 0 is a scalar; a size of 0 is allowed
	Begin, End int64 // of the data, in bytes from the start of the data section
	DType      DType

	overflow bool     // elems is over 64 bits (in a header not yet validated)
	elems    uint64   // product of the shape
	wide     []uint64 // the shape, where a dimension does not fit Shape
	file     *File
}

// Open maps a file and validates it. The errors are those of the system,
// ErrNotRegular, or a *FormatError.
func Open(path string) (*File, error) {
	f, err := mmap.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	return openFile(f, path)
}

// OpenFS opens the file name of fsys: it maps a file of the operating system,
// takes the bytes of one with a method Bytes() []byte where they lie, and reads
// any other into memory.
func OpenFS(fsys fs.FS, name string) (*File, error) {
	f, err := openRegularFS(fsys, name)
	if err != nil {
		return nil, err
	}
	if f, ok := f.(*os.File); ok {
		return openFile(f, name)
	}
	defer f.Close()
	var b []byte
	if held, ok := f.(interface{ Bytes() []byte }); ok {
		b = held.Bytes()
	} else if b, err = readAll(f); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	file, err := Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// readAll reads f into memory of the size that it says it has, if that is true.
func readAll(f fs.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	buf.Grow(int(min(max(st.Size(), 0), maxHeld)) + bytes.MinRead)
	_, err = buf.ReadFrom(f)
	return buf.Bytes(), err
}

// maxHeld bounds what a file's word on its size is trusted for, in bytes.
const maxHeld = 1 << 26

// openRegularFS looks before it opens, since opening a pipe can block.
func openRegularFS(fsys fs.FS, name string) (fs.File, error) {
	st, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	return fsys.Open(name)
}

// openFile maps f and closes it; errors call it name.
func openFile(f *os.File, name string) (*File, error) {
	defer f.Close()
	m, err := mmap.Map(f)
	if err != nil {
		return nil, err
	}
	file, err := parse(m.Bytes(), m)
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// Parse reads a file from memory. b must not be modified while the File or
// slices of its data are in use.
func Parse(b []byte) (*File, error) { return parse(b, nil) }

func parse(b []byte, m *mmap.Mapping) (*File, error) {
	f := &File{bytes: b, mapping: m}
	err := mmap.Guard(func() error {
		h, err := parseHeader(b)
		if err == nil {
			f.header = *h
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range f.tensors {
		f.tensors[i].file = f
	}
	return f, nil
}

// Close unmaps the file. Slices that Tensor.Data and Tensor.Float32 returned
// must not be used afterwards.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bytes = nil
	if f.mapping == nil {
		return nil
	}
	return f.mapping.Close()
}

// Len returns the number of tensors.
func (f *File) Len() int { return len(f.tensors) }

// Names returns the tensors' names in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Tensors returns the tensors in the order of their data.
func (f *File) Tensors() []Tensor { return slices.Clone(f.tensors) }

// Lookup returns the tensor name.
func (f *File) Lookup(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Metadata returns the header's __metadata__, nil if it has none. The map is
// not to be modified.
func (f *File) Metadata() map[string]string { return f.metadata }

// Dims returns the shape as the file has it. It differs from Shape only in a
// tensor without elements, whose other dimensions may exceed an int; Shape has
// the largest int there.
func (t Tensor) Dims() []uint64 {
	if t.wide != nil {
		return slices.Clone(t.wide)
	}
	dims := make([]uint64, len(t.Shape))
	for i, n := range t.Shape {
		dims[i] = uint64(n)
	}
	return dims
}

// Len returns the number of elements.
func (t Tensor) Len() int { return int(min(t.elems, math.MaxInt)) }

// Index returns element i of the first dimension: of [E, F, H] the i-th [F, H].
// It reads nothing. It panics if there is no such element, or if the elements
// do not begin at whole bytes.
func (t Tensor) Index(i int) Tensor {
	if len(t.Shape) == 0 || i < 0 || i >= t.Shape[0] || (t.End-t.Begin)%int64(t.Shape[0]) != 0 {
		panic(fmt.Sprintf("safetensors: %s: element %d of %v", t.Name, i, t.Shape))
	}
	n := t.Shape[0]
	size := (t.End - t.Begin) / int64(n)
	t.Begin += int64(i) * size
	t.End = t.Begin + size
	t.Shape, t.elems = t.Shape[1:], t.elems/uint64(n)
	return t
}

// FileRange returns the data's offsets from the start of the file, in bytes.
func (t Tensor) FileRange() (begin, end int64) {
	if t.file == nil {
		return t.Begin, t.End
	}
	return t.file.dataBegin + t.Begin, t.file.dataBegin + t.End
}

// Data returns the tensor's bytes where they lie, little-endian; nil once the
// file is closed. They must not be modified, nor used after Close. See
// [Guard] for a file that shrinks.
func (t Tensor) Data() []byte {
	if t.file == nil {
		return nil
	}
	t.file.mu.RLock()
	defer t.file.mu.RUnlock()
	return t.data()
}

// data is Data for a caller that holds the lock.
func (t Tensor) data() []byte {
	if t.file.bytes == nil {
		return nil
	}
	begin, end := t.FileRange()
	return t.file.bytes[begin:end:end]
}

// Discard says that the data will not be read soon, as when a copy of it has
// been made: where the system can, its pages leave resident memory. Reading it
// again is allowed, and fetches it from the file.
func (t Tensor) Discard() {
	if t.file == nil {
		return
	}
	t.file.mu.RLock()
	defer t.file.mu.RUnlock()
	if b := t.data(); b != nil && t.file.mapping != nil {
		t.file.mapping.Discard(b)
	}
}

// read calls fn with the tensor's bytes, holding off Close, and returns an
// error that names the tensor.
func (t Tensor) read(fn func(b []byte) error) error {
	if t.file == nil {
		return fmt.Errorf("%s: %w", t.Name, ErrClosed)
	}
	t.file.mu.RLock()
	defer t.file.mu.RUnlock()
	if t.file.bytes == nil {
		return fmt.Errorf("%s: %w", t.Name, ErrClosed)
	}
	if err := mmap.Guard(func() error { return fn(t.data()) }); err != nil {
		return fmt.Errorf("%s: %w", t.Name, err)
	}
	return nil
}

// Guard calls fn and returns its error. If fn reads a mapped file that another
// process has cut short, Guard returns an error wrapping [ErrFault] where the
// process would otherwise die. It covers the goroutine that calls it, not
// those that fn starts: each of these needs a Guard of its own.
func Guard(fn func() error) error { return mmap.Guard(fn) }
