package safetensors

import (
	"errors"
	"strconv"

	"github.com/seed-512d3d71/weft/internal/mmap"
)

// Errors that callers may want to tell apart.
var (
	// ErrFormat: a file that is not a valid safetensors file. The error is a
	// *FormatError too, and wraps its Kind.
	ErrFormat = errors.New("bad safetensors file")
	// ErrIndex: an index file that is malformed or disagrees with its shards.
	ErrIndex = errors.New("bad safetensors index")
	// ErrDType: a tensor whose elements cannot be converted as asked.
	ErrDType = errors.New("element type cannot be converted")
	// ErrUnsupported: a conversion that makes sense but that weft lacks.
	ErrUnsupported = errors.New("not supported")
	// ErrClosed: use of a tensor after its file was closed.
	ErrClosed = errors.New("file is closed")
	// ErrNotRegular: a file that is a directory, a pipe or a device.
	ErrNotRegular = mmap.ErrNotRegular
	// ErrFault: a mapped file that was cut short after it was opened.
	ErrFault = mmap.ErrFault
)

// Kind says which rule a file breaks. It is an error, so that
// errors.Is(err, safetensors.HeaderTooLarge) holds; the values are the names
// that the reference library gives to its errors.
type Kind string

// The kinds of [FormatError].
const (
	HeaderTooSmall               Kind = "HeaderTooSmall"               // fewer than 8 bytes
	HeaderTooLarge               Kind = "HeaderTooLarge"               // over 100,000,000 bytes claimed
	InvalidHeaderLength          Kind = "InvalidHeaderLength"          // the header does not fit the file
	InvalidHeader                Kind = "InvalidHeader"                // not UTF-8
	InvalidHeaderDeserialization Kind = "InvalidHeaderDeserialization" // not the JSON that the format wants
	DuplicateName                Kind = "DuplicateName"                // a tensor name given twice (weft's own kind)
	InvalidOffset                Kind = "InvalidOffset"                // a hole or an overlap before a tensor
	ValidationOverflow           Kind = "ValidationOverflow"           // a size over 64 bits
	MisalignedSlice              Kind = "MisalignedSlice"              // a tensor that is no whole number of bytes
	TensorInvalidInfo            Kind = "TensorInvalidInfo"            // a range that is not as long as the shape says
	MetadataIncompleteBuffer     Kind = "MetadataIncompleteBuffer"     // data missing at the end, or left over
)

// Error returns the kind's name.
func (k Kind) Error() string { return string(k) }

// FormatError is the error of a file that breaks a rule of the format.
type FormatError struct {
	Kind   Kind
	Tensor string // the tensor's name, "" where none is to blame
	Detail string
}

// Error describes the fault: "bad safetensors file: InvalidOffset: tensor "a": …".
func (e *FormatError) Error() string {
	s := ErrFormat.Error() + ": " + string(e.Kind) + ": "
	if e.Tensor != "" {
		s += "tensor " + quote(e.Tensor) + ": "
	}
	return s + e.Detail
}

// Unwrap returns ErrFormat and the kind.
func (e *FormatError) Unwrap() []error { return []error{ErrFormat, e.Kind} }

// quote quotes a name from a file, shortened if it is very long.
func quote(name string) string {
	const limit = 200
	if len(name) > limit {
		return strconv.Quote(name[:limit]) + "…"
	}
	return strconv.Quote(name)
}
