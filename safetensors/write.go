package safetensors

import (
	"bufio"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"unicode/utf8"
)

// ErrEntry: an entry that cannot be written.
var ErrEntry = errors.New("bad entry")

// Entry is a tensor to be written.
type Entry struct {
	Name  string
	DType DType
	Shape []int
	Data  []byte // little-endian

	// Stream, if not nil, writes the data when its turn comes, in place of
	// Data: so a file larger than memory can be written.
	Stream func(w io.Writer) error
}

// F32Entry returns an entry of float32 data, which must not be modified until
// it is written.
func F32Entry(name string, data []float32, shape ...int) Entry {
	return Entry{Name: name, DType: F32, Shape: shape, Data: bytesOf(data)}
}

// I64Entry returns an entry of int64 data, which must not be modified until it
// is written.
func I64Entry(name string, data []int64, shape ...int) Entry {
	return Entry{Name: name, DType: I64, Shape: shape, Data: bytesOf(data)}
}

// Write writes a file in the reference library's layout: entries by falling
// alignment of their type, then by name; the header padded with spaces to 8
// bytes. Metadata is sorted by key. A name given twice, bad UTF-8 or data that
// is not as long as its shape says are ErrEntry, before anything is written.
func Write(w io.Writer, entries []Entry, meta map[string]string) error {
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(b.DType, a.DType), cmp.Compare(a.Name, b.Name))
	})
	h, err := writeHeader(entries, meta)
	if err != nil {
		return err
	}
	out := &counter{w: bufio.NewWriterSize(w, 1<<16)}
	if _, err := out.Write(h); err != nil {
		return err
	}
	for _, e := range entries {
		before := out.n
		if e.Stream == nil {
			_, err = out.Write(e.Data)
		} else if err = e.Stream(out); err != nil {
			err = fmt.Errorf("%s: %w", quote(e.Name), err)
		}
		if err != nil {
			return err
		}
		size, _ := e.size()
		if n := out.n - before; n != size {
			return fmt.Errorf("%w: %s: the stream wrote %d bytes, want %d", ErrEntry, quote(e.Name), n, size)
		}
	}
	return out.w.Flush()
}

// counter counts the bytes written through it.
type counter struct {
	w *bufio.Writer
	n uint64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += uint64(n)
	return n, err
}

// writeHeader returns the length field and the header.
func writeHeader(entries []Entry, meta map[string]string) ([]byte, error) {
	b := append(make([]byte, lengthBytes, 1024), '{')
	if meta != nil {
		b = append(appendString(b, metadataKey), ':', '{')
		for i, k := range slices.Sorted(maps.Keys(meta)) {
			if !utf8.ValidString(k) || !utf8.ValidString(meta[k]) {
				return nil, fmt.Errorf("%w: metadata %s: not UTF-8", ErrEntry, quote(k))
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, k), ':')
			b = appendString(b, meta[k])
		}
		b = append(b, '}')
	}
	seen := make(map[string]bool, len(entries))
	offset := uint64(0)
	for _, e := range entries {
		size, err := e.check()
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrEntry, quote(e.Name), err)
		}
		if seen[e.Name] {
			return nil, fmt.Errorf("%w: %s: the name is given twice", ErrEntry, quote(e.Name))
		}
		seen[e.Name] = true
		if len(b) > lengthBytes+1 {
			b = append(b, ',')
		}
		b = append(appendString(b, e.Name), `:{"dtype":"`...)
		b = append(append(b, e.DType.String()...), `","shape":[`...)
		for i, n := range e.Shape {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendInt(b, int64(n), 10)
		}
		b = append(b, `],"data_offsets":[`...)
		b = append(strconv.AppendUint(b, offset, 10), ',')
		if offset += size; offset > math.MaxInt64 {
			return nil, fmt.Errorf("%w: %s: the file would be over 2⁶³ bytes", ErrEntry, quote(e.Name))
		}
		b = append(strconv.AppendUint(b, offset, 10), ']', '}')
	}
	b = append(b, '}')
	for len(b)%lengthBytes != 0 {
		b = append(b, ' ')
	}
	if len(b)-lengthBytes > maxHeader {
		return nil, fmt.Errorf("header of %d bytes: %w", len(b)-lengthBytes, HeaderTooLarge)
	}
	binary.LittleEndian.PutUint64(b, uint64(len(b)-lengthBytes))
	return b, nil
}

// check returns the length of the entry's data.
func (e Entry) check() (uint64, error) {
	if e.Name == metadataKey {
		return 0, errors.New("the name is the format's own")
	}
	if !utf8.ValidString(e.Name) {
		return 0, errors.New("the name is not UTF-8")
	}
	if !e.DType.valid() {
		return 0, errors.New("no element type")
	}
	size, ok := e.size()
	if !ok {
		return 0, fmt.Errorf("shape %v of %v has no size in bytes", e.Shape, e.DType)
	}
	if e.Stream == nil && size != uint64(len(e.Data)) {
		return 0, fmt.Errorf("%d bytes of data do not fit shape %v of %v", len(e.Data), e.Shape, e.DType)
	}
	return size, nil
}

// size returns the length of the data that the shape asks for; false if that
// is no whole number of bytes below 2⁶³.
func (e Entry) size() (uint64, bool) {
	size := uint64(1)
	for _, n := range append(e.Shape[:len(e.Shape):len(e.Shape)], e.DType.Bits()) {
		high, low := bits.Mul64(size, uint64(n))
		if n < 0 || high != 0 {
			return 0, false
		}
		size = low
	}
	return size / 8, size%8 == 0 && size/8 <= math.MaxInt64
}

// appendString appends a JSON string, escaped as the reference library does.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\b':
			b = append(b, '\\', 'b')
		case '\f':
			b = append(b, '\\', 'f')
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			if c < ' ' {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			} else {
				b = append(b, c)
			}
		}
	}
	return append(b, '"')
}

// WriteFile writes a safetensors file whole or not at all: see [ReplaceFile].
func WriteFile(path string, entries []Entry, meta map[string]string) error {
	return ReplaceFile(path, func(w io.Writer) error { return Write(w, entries, meta) })
}

// ReplaceFile writes a file of any kind whole or not at all: under a temporary
// name in the same folder, synced to disk, then renamed to path, whose folder is
// synced too. A file already there is replaced in one step, so that those who
// have it mapped keep the old one. A path that names something other than a
// regular file is ErrNotRegular.
func ReplaceFile(path string, write func(w io.Writer) error) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if st, err := os.Stat(path); err == nil && !st.Mode().IsRegular() {
		return ErrNotRegular
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // replace the file that a link names, not the link
	}
	tmp := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".tmp-"+rand.Text())
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(tmp)
		}
	}()
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in dir last, such as that of a file just renamed.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" || runtime.GOOS == "plan9" {
		return nil // a folder cannot be synced there
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, fs.ErrInvalid) {
		return err
	}
	return nil
}
