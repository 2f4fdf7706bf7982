// Package flac decodes the Free Lossless Audio Codec (RFC 9639): every stream
// that the format allows, 4 to 32 bits and 1 to 8 channels, of constant or
// variable block size.
package flac

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrTooLarge is the error of a stream of more samples than the limit.
var ErrTooLarge = errors.New("too many samples")

// Sound is a decoded stream.
type Sound struct {
	// Samples are interleaved and scaled to [-1, 1) by 2^(Bits-1).
	Samples        []float32
	Rate           int // Hz
	Channels, Bits int
}

// streamInfo is the metadata block that begins every stream.
type streamInfo struct {
	rate, channels, bits int
	total                uint64 // frames; 0 if unknown
}

// Decode decodes a stream that begins with fLaC and has at most limit samples,
// all channels together. Every frame's checksums are checked, the MD5 sum of the
// whole is not. Frames past the number that the stream's header states are not
// looked at; fewer are an error.
//
// Memory follows what is decoded, not what the header claims.
func Decode(b []byte, limit int) (*Sound, error) {
	info, at, err := parseMetadata(b)
	if err != nil {
		return nil, fmt.Errorf("flac: %w", err)
	}
	if info.total > uint64(limit)/uint64(info.channels) {
		return nil, ErrTooLarge
	}
	d := decoder{info: info, limit: limit}
	// A header may claim much; a file of n bytes seldom holds more than this.
	d.out = make([]float32, 0, min(int(info.total)*info.channels, 8*min(len(b), limit/8)))
	for info.total == 0 || uint64(d.frames()) < info.total {
		rest := b[at:]
		if info.total == 0 && (len(rest) == 0 || len(rest) == 128 && string(rest[:3]) == "TAG") {
			break // the end, or an ID3v1 tag
		}
		n, err := d.frame(rest)
		if err == ErrTooLarge {
			return nil, err
		}
		if err != nil {
			return nil, fmt.Errorf("flac: frame at byte %d, after %d samples: %w", at, d.frames(), err)
		}
		at += n
	}
	if info.total != 0 {
		d.out = d.out[:int(info.total)*info.channels]
	}
	return &Sound{Samples: d.out, Rate: info.rate, Channels: info.channels, Bits: info.bits}, nil
}

// parseMetadata returns the stream's properties and where its frames begin.
// Blocks other than STREAMINFO (seek tables, tags, pictures) are skipped.
func parseMetadata(b []byte) (info streamInfo, at int, err error) {
	if len(b) < 4 || string(b[:4]) != "fLaC" {
		return info, 0, errors.New("no fLaC marker")
	}
	at = 4
	for first := true; ; first = false {
		if len(b)-at < 4 {
			return info, 0, errors.New("file ends in the metadata")
		}
		head := binary.BigEndian.Uint32(b[at:])
		kind, size := head>>24&0x7f, int(head&0xffffff)
		at += 4
		if len(b)-at < size {
			return info, 0, fmt.Errorf("metadata block of %d bytes, %d left in the file", size, len(b)-at)
		}
		switch {
		case first != (kind == 0):
			return info, 0, errors.New("STREAMINFO is not the first metadata block, or there are two")
		case kind == 127:
			return info, 0, errors.New("metadata block of type 127, which is invalid")
		case first:
			if size != 34 {
				return info, 0, fmt.Errorf("STREAMINFO of %d bytes, want 34", size)
			}
			v := binary.BigEndian.Uint64(b[at+10:])
			info = streamInfo{rate: int(v >> 44), channels: int(v>>41&7) + 1, bits: int(v>>36&31) + 1, total: v & (1<<36 - 1)}
			if info.rate == 0 {
				return info, 0, errors.New("sample rate 0")
			}
			if info.bits < 4 {
				return info, 0, fmt.Errorf("%d bits a sample, want 4 … 32", info.bits)
			}
		}
		at += size
		if head>>31 != 0 {
			return info, at, nil
		}
	}
}

// crc8 is the checksum of frame headers, x⁸+x²+x+1.
func crc8(b []byte) (c uint8) {
	for _, v := range b {
		c = crc8Table[c^v]
	}
	return c
}

// crc16 is the checksum of frames, x¹⁶+x¹⁵+x²+1.
func crc16(b []byte) (c uint16) {
	for _, v := range b {
		c = c<<8 ^ crc16Table[byte(c>>8)^v]
	}
	return c
}

var crc8Table, crc16Table = func() (t8 [256]uint8, t16 [256]uint16) {
	for i := range 256 {
		a, b := uint8(i), uint16(i)<<8
		for range 8 {
			a = a<<1 ^ a>>7*0x07
			b = b<<1 ^ b>>15*0x8005
		}
		t8[i], t16[i] = a, b
	}
	return t8, t16
}()
