package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Limits of the format.
const (
	maxHeader   = 100_000_000 // bytes
	lengthBytes = 8           // of the length field
	metadataKey = "__metadata__"
)

// header is a parsed and validated header.
type header struct {
	dataBegin int64    // offset of the data section in the file
	tensors   []Tensor // sorted by offset
	index     map[string]int
	metadata  map[string]string
}

// parseHeader validates a whole file. Nothing is allocated by a size that the
// file claims before the file is found to hold it.
func parseHeader(file []byte) (*header, error) {
	if len(file) < lengthBytes {
		return nil, &FormatError{Kind: HeaderTooSmall, Detail: fmt.Sprintf("%d bytes, want at least %d", len(file), lengthBytes)}
	}
	n := binary.LittleEndian.Uint64(file)
	if n > maxHeader {
		return nil, &FormatError{Kind: HeaderTooLarge, Detail: fmt.Sprintf("%d bytes, want at most %d", n, maxHeader)}
	}
	if n > uint64(len(file)-lengthBytes) {
		return nil, &FormatError{Kind: InvalidHeaderLength, Detail: fmt.Sprintf("%d bytes, but the file has %d after the length", n, len(file)-lengthBytes)}
	}
	text := file[lengthBytes : lengthBytes+int(n)]
	if !utf8.Valid(text) {
		return nil, &FormatError{Kind: InvalidHeader, Detail: "the header is not UTF-8"}
	}
	p := headerParser{scanner: scanner{b: text}}
	// A first guess of the number of tensors, bounded so that a hostile header
	// gains nothing: an entry takes some 50 bytes at least.
	p.tensors = make([]Tensor, 0, min(bytes.Count(text, []byte("data_offsets")), len(text)/48, 1<<18))
	if err := p.parse(); err != nil {
		return nil, &FormatError{Kind: InvalidHeaderDeserialization, Tensor: p.current, Detail: err.Error()}
	}
	h := &header{dataBegin: lengthBytes + int64(n), tensors: p.tensors}
	if err := h.validate(int64(len(file)) - h.dataBegin); err != nil {
		return nil, err
	}
	h.metadata = p.readMetadata()
	return h, nil
}

// validate sorts the tensors and checks that they tile the data section, in
// the reference's order of checks.
func (h *header) validate(dataLen int64) error {
	slices.SortFunc(h.tensors, func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(uint64(a.Begin), uint64(b.Begin)), cmp.Compare(uint64(a.End), uint64(b.End)), cmp.Compare(a.Name, b.Name))
	})
	h.index = make(map[string]int, len(h.tensors))
	for i, t := range h.tensors {
		if _, ok := h.index[t.Name]; ok {
			return &FormatError{Kind: DuplicateName, Tensor: t.Name, Detail: "the name is given twice"}
		}
		h.index[t.Name] = i
	}
	var end uint64
	for i := range h.tensors {
		t := &h.tensors[i]
		bad := func(kind Kind, format string, args ...any) error {
			return &FormatError{Kind: kind, Tensor: t.Name, Detail: fmt.Sprintf(format, args...)}
		}
		b, e := uint64(t.Begin), uint64(t.End)
		if b != end || e < b {
			return bad(InvalidOffset, "data_offsets [%d, %d], want a range that begins at %d", b, e, end)
		}
		end = e
		high, size := bits.Mul64(t.elems, uint64(t.DType.Bits()))
		if t.overflow || high != 0 {
			return bad(ValidationOverflow, "shape %v of %v is over 64 bits", t.Dims(), t.DType)
		}
		if size%8 != 0 {
			return bad(MisalignedSlice, "shape %v of %v is %d bits, no whole number of bytes", t.Dims(), t.DType, size)
		}
		if e-b != size/8 {
			return bad(TensorInvalidInfo, "shape %v of %v is %d bytes, but data_offsets [%d, %d] hold %d", t.Dims(), t.DType, size/8, b, e, e-b)
		}
	}
	if end != uint64(dataLen) {
		return &FormatError{Kind: MetadataIncompleteBuffer, Detail: fmt.Sprintf("%d bytes of data, want %d", dataLen, end)}
	}
	return nil
}

// headerParser reads the header as the reference library's data structures
// do, which allow more than the format's text: an entry may be an array of the
// fields' values, a dtype may be an object such as {"F32":null}, and unknown
// fields are passed over.
type headerParser struct {
	scanner
	tensors  []Tensor
	current  string // the tensor being read, for errors
	metaSeen bool
	metaAt   int // offset of the __metadata__ object, 0 if there is none
	dims     []int
	wide     []uint64 // dimensions of the current tensor
}

func (p *headerParser) parse() error {
	if err := p.object(p.member); err != nil {
		return err
	}
	p.current = ""
	if p.peek(); p.i < len(p.b) {
		return p.fail("data after the header's object")
	}
	return nil
}

func (p *headerParser) member(key []byte) error {
	if string(key) != metadataKey {
		p.current = string(key)
		t := Tensor{Name: p.current}
		if err := p.entry(&t); err != nil {
			return err
		}
		p.tensors = append(p.tensors, t)
		return nil
	}
	p.current = ""
	if p.metaSeen {
		return p.fail("%s is given twice", metadataKey)
	}
	p.metaSeen = true
	if p.peek() == 'n' {
		return p.word("null")
	}
	p.metaAt = p.i
	return p.object(func([]byte) error {
		_, err := p.str()
		return err
	})
}

// readMetadata returns the strings of __metadata__, whose syntax parse has
// checked, nil if there are none; of a key given twice the last counts. It
// comes after all checks, so that a bad file costs no memory for it.
func (p *headerParser) readMetadata() map[string]string {
	if p.metaAt == 0 {
		return nil
	}
	m := map[string]string{}
	s := scanner{b: p.b, i: p.metaAt}
	_ = s.object(func(key []byte) error {
		k := string(key)
		v, err := s.str()
		m[k] = string(v)
		return err
	})
	return m
}

// The fields of an entry.
const (
	fieldDType = 1 << iota
	fieldShape
	fieldOffsets
	allFields = fieldDType | fieldShape | fieldOffsets
)

func (p *headerParser) entry(t *Tensor) error {
	seen := 0
	field := func(f int) error {
		if seen&f != 0 {
			return p.fail("a field is given twice")
		}
		seen |= f
		switch f {
		case fieldDType:
			return p.dtype(t)
		case fieldShape:
			return p.shape(t)
		}
		return p.offsets(t)
	}
	var err error
	switch p.peek() {
	case '{':
		err = p.object(func(key []byte) error {
			switch string(key) {
			case "dtype":
				return field(fieldDType)
			case "shape":
				return field(fieldShape)
			case "data_offsets":
				return field(fieldOffsets)
			}
			return p.skip()
		})
	case '[':
		err = p.array(func(i int) error {
			if i > 2 {
				return p.fail("an entry of more than three elements")
			}
			return field(1 << i)
		})
	default:
		return p.fail("want an object for a tensor")
	}
	if err == nil && seen != allFields {
		err = p.fail("want the fields dtype, shape and data_offsets")
	}
	return err
}

func (p *headerParser) dtype(t *Tensor) error {
	name := func(s []byte) error {
		var ok bool
		if t.DType, ok = parseDType(s); !ok {
			return p.fail("unknown dtype %s", quote(string(s)))
		}
		return nil
	}
	if p.peek() != '{' {
		s, err := p.str()
		if err != nil {
			return err
		}
		return name(s)
	}
	members := 0
	err := p.object(func(key []byte) error {
		if members++; members > 1 {
			return p.fail("want one dtype")
		}
		if err := name(key); err != nil {
			return err
		}
		p.peek()
		return p.word("null")
	})
	if err == nil && members == 0 {
		err = p.fail("want a dtype")
	}
	return err
}

func (p *headerParser) shape(t *Tensor) error {
	p.wide = p.wide[:0]
	t.elems = 1
	fits := true
	err := p.array(func(int) error {
		n, err := p.unsigned()
		if err != nil {
			return err
		}
		p.wide = append(p.wide, n)
		fits = fits && n <= math.MaxInt
		// In the order of the shape: 2⁶³·4·0 overflows, 0·2⁶³·4 does not.
		high, low := bits.Mul64(t.elems, n)
		t.overflow = t.overflow || high != 0
		t.elems = low
		return nil
	})
	if err != nil {
		return err
	}
	t.Shape = p.keep(p.wide)
	if !fits {
		t.wide = slices.Clone(p.wide)
	}
	return nil
}

// keep copies dims into a shared block; one too long for an int becomes the
// largest int.
func (p *headerParser) keep(dims []uint64) []int {
	if len(dims) > cap(p.dims)-len(p.dims) {
		p.dims = make([]int, 0, max(len(dims), min(4096, 4*len(p.tensors)+4)))
	}
	begin := len(p.dims)
	for _, n := range dims {
		p.dims = append(p.dims, int(min(n, math.MaxInt)))
	}
	return p.dims[begin:len(p.dims):len(p.dims)]
}

func (p *headerParser) offsets(t *Tensor) error {
	count := 0
	err := p.array(func(i int) error {
		n, err := p.unsigned()
		switch count++; i {
		case 0:
			t.Begin = int64(n) // validate compares them as unsigned
		case 1:
			t.End = int64(n)
		default:
			return p.fail("data_offsets of more than two elements")
		}
		return err
	})
	if err == nil && count != 2 {
		err = p.fail("data_offsets of %d elements, want two", count)
	}
	return err
}
