package pil

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// tiffReader reads the directories of a TIFF file or an EXIF block.
type tiffReader struct {
	b     []byte
	order binary.ByteOrder
	big   bool // BigTIFF
}

// tiffEntry is a directory entry with its values' bytes.
type tiffEntry struct {
	typ   uint16
	count int
	data  []byte
}

// tiffTypeSize is the size in bytes of a value of each TIFF type.
var tiffTypeSize = [...]int{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

// directory reads the image file directory at offset off. A directory that is
// cut off gives the entries before the cut and ErrTruncated. Entries of unknown
// type or whose values lie outside the file are left out.
func (t tiffReader) directory(off uint64) (dir map[uint16]tiffEntry, next uint64, err error) {
	dir = map[uint16]tiffEntry{}
	head, size, word := 2, 12, 4
	if t.big {
		head, size, word = 8, 20, 8
	}
	if off > uint64(len(t.b)) || len(t.b)-int(off) < head {
		return dir, 0, ErrTruncated
	}
	b := t.b[off:]
	n := uint64(t.order.Uint16(b))
	if t.big {
		n = t.order.Uint64(b)
	}
	b = b[head:]
	for ; n > 0; n-- {
		if len(b) < size {
			return dir, 0, ErrTruncated
		}
		e := b[:size]
		b = b[size:]
		tag, typ := t.order.Uint16(e), t.order.Uint16(e[2:])
		if _, dup := dir[tag]; dup || int(typ) >= len(tiffTypeSize) || tiffTypeSize[typ] == 0 {
			continue
		}
		count, value := uint64(t.order.Uint32(e[4:])), e[8:]
		if t.big {
			count, value = t.order.Uint64(e[4:]), e[12:]
		}
		unit := uint64(tiffTypeSize[typ])
		if count == 0 || count > uint64(len(t.b))/unit {
			continue
		}
		if total := count * unit; total <= uint64(word) {
			value = value[:total]
		} else {
			at := t.word(value)
			if at > uint64(len(t.b)) || total > uint64(len(t.b))-at {
				continue
			}
			value = t.b[at : at+total]
		}
		dir[tag] = tiffEntry{typ, int(count), value}
	}
	if len(b) < word {
		return dir, 0, nil
	}
	return dir, t.word(b), nil
}

// word reads an offset.
func (t tiffReader) word(b []byte) uint64 {
	if t.big {
		return t.order.Uint64(b)
	}
	return uint64(t.order.Uint32(b))
}

var errNotInteger = errors.New("not an integer")

// ints reads an entry's values as unsigned integers.
func (t tiffReader) ints(e tiffEntry) ([]uint64, error) {
	v := make([]uint64, e.count)
	for i := range v {
		b := e.data[i*tiffTypeSize[e.typ]:]
		switch e.typ {
		case 1, 6:
			v[i] = uint64(b[0])
		case 3, 8:
			v[i] = uint64(t.order.Uint16(b))
		case 4, 9, 13:
			v[i] = uint64(t.order.Uint32(b))
		case 16, 17, 18:
			v[i] = t.order.Uint64(b)
		default:
			return nil, fmt.Errorf("type %d: %w", e.typ, errNotInteger)
		}
	}
	return v, nil
}
