package pil

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

const tagOrientation = 0x0112

var errExif = errors.New("malformed EXIF data")

// metadata collects what a container says about orientation.
type metadata struct {
	exif       []byte // EXIF block (nil: none), with or without its "Exif\0\0" prefix
	rawProfile string // PNG's "Raw profile type exif" text, used when exif is nil
	hasProfile bool
	xmp        []byte // XMP packet, looked at when EXIF gives no orientation
}

// orientation follows Pillow's Image.getexif: EXIF first, then XMP's
// tiff:Orientation. An EXIF block too broken to open is an error, as in
// Pillow; one whose entries are broken counts as far as it can be read.
func (m metadata) orientation() (orientation, error) {
	data := m.exif
	if data == nil && m.hasProfile {
		lines := strings.Split(m.rawProfile, "\n")
		if len(lines) > 3 {
			raw, err := hex.DecodeString(strings.Join(strings.Fields(strings.Join(lines[3:], "")), ""))
			if err != nil {
				return 0, fmt.Errorf("%w: raw profile: %w", errExif, err)
			}
			data = raw
		}
	}
	if data != nil {
		o, found, err := exifOrientation(data)
		if err != nil || found {
			return o, err
		}
	}
	return xmpOrientation(m.xmp), nil
}

// exifOrientation reads tag 0x0112 of the first directory.
func exifOrientation(b []byte) (o orientation, found bool, err error) {
	for range 2 {
		b = bytes.TrimPrefix(b, []byte("Exif\x00\x00"))
	}
	if len(b) == 0 {
		return 0, false, nil
	}
	if len(b) < 8 {
		return 0, false, fmt.Errorf("%w: header cut off", errExif)
	}
	order, big, ok := tiffHeader(b)
	if !ok {
		return 0, false, fmt.Errorf("%w: not a TIFF header", errExif)
	}
	t := tiffReader{b: b, order: order, big: big}
	// Pillow reads the offset of the directory from the first eight bytes,
	// BigTIFF or not, when the block is EXIF.
	off := uint64(order.Uint32(b[4:]))
	if big {
		if len(b) < 16 {
			return 0, false, fmt.Errorf("%w: header cut off", errExif)
		}
		off = order.Uint64(b[8:])
	}
	dir, _, err := t.directory(off)
	if err != nil {
		// A directory cut short yields the entries before the cut.
		if !errors.Is(err, ErrTruncated) {
			return 0, false, nil
		}
	}
	e, ok := dir[tagOrientation]
	if !ok {
		return 0, false, nil
	}
	v, err := t.ints(e)
	if err != nil || len(v) != 1 {
		return 0, ok && err == nil, nil
	}
	if v[0] > 8 {
		return 0, true, nil
	}
	return orientation(v[0]), true, nil
}

// xmpOrientation finds tiff:Orientation="6" or tiff:Orientation>6.
func xmpOrientation(xmp []byte) orientation {
	key := []byte("tiff:Orientation")
	for {
		i := bytes.Index(xmp, key)
		if i < 0 {
			return 0
		}
		xmp = xmp[i+len(key):]
		v := xmp
		if bytes.HasPrefix(v, []byte(`="`)) {
			v = v[2:]
		} else if bytes.HasPrefix(v, []byte(">")) {
			v = v[1:]
		} else {
			continue
		}
		if len(v) > 0 && v[0] >= '0' && v[0] <= '9' {
			return orientation(v[0] - '0')
		}
	}
}

// tiffHeader reads the byte order and the flavour of a TIFF header.
func tiffHeader(b []byte) (order binary.ByteOrder, big, ok bool) {
	if len(b) < 8 {
		return nil, false, false
	}
	switch string(b[:4]) {
	case "II*\x00", "MM*\x00", "II\x00*": // Pillow takes both crossed forms
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	case "II+\x00":
		order, big = binary.LittleEndian, true
	case "MM\x00+":
		order, big = binary.BigEndian, true
	default:
		return nil, false, false
	}
	if b[0] == 'M' {
		order = binary.BigEndian
	}
	return order, big, true
}
