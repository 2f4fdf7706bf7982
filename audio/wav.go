package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// Format tags of a fmt chunk (RFC 2361).
const (
	formatPCM        = 0x0001
	formatFloat      = 0x0003
	formatALaw       = 0x0006
	formatMuLaw      = 0x0007
	formatExtensible = 0xfffe
)

// formatNames are those of tags that are refused.
var formatNames = map[uint16]string{
	0x0002: "Microsoft ADPCM", 0x0011: "IMA ADPCM", 0x0014: "G.723 ADPCM", 0x0031: "GSM 6.10",
	0x0040: "G.721 ADPCM", 0x0050: "MPEG", 0x0055: "MP3", 0x0064: "G.726 ADPCM", 0x0065: "G.722 ADPCM",
	0x0092: "AC-3", 0x00ff: "AAC", 0x0161: "WMA", 0x0162: "WMA", 0x0163: "WMA", 0x1610: "AAC",
	0x2000: "AC-3", 0x2001: "DTS", 0x566f: "Vorbis", 0x674f: "Vorbis", 0x6750: "Vorbis", 0x6751: "Vorbis", 0xf1ac: "FLAC",
}

// waveFormat is a fmt chunk.
type waveFormat struct {
	tag      uint16
	channels int
	rate     int
	bits     int // of a sample as stored: a multiple of 8
}

// decodeWAV reads a WAV file as libsndfile does:
//
//   - chunks before data are skipped, and nothing after data is looked at;
//   - the size of the whole in the first header is not looked at;
//   - a data chunk that claims more than the file holds, as a stream's
//     0xFFFFFFFF does, ends with the file; bytes that are no whole frame at its
//     end are dropped; a size of 0 is no samples;
//   - samples of b bits take ⌈b/8⌉ bytes and are scaled by those.
//
// It is stricter on a block align that is not that of whole samples, which
// libsndfile disregards.
func decodeWAV(b []byte, lim Limits) (*Clip, error) {
	var order binary.ByteOrder = binary.LittleEndian
	if string(b[:4]) == "RIFX" {
		order = binary.BigEndian
	}
	long := string(b[:4]) == "RF64" || string(b[:4]) == "BW64"
	var f *waveFormat
	var dataSize uint64 // of ds64
	for at := 12; ; {
		if len(b)-at < 8 {
			if f == nil {
				return nil, errors.New("wav: no fmt chunk")
			}
			return nil, errors.New("wav: no data chunk")
		}
		id := string(b[at : at+4])
		size := uint64(order.Uint32(b[at+4:]))
		at += 8
		rest := b[at:]
		if id == "data" && long && size == math.MaxUint32 {
			size = dataSize
		}
		whole := size <= uint64(len(rest))
		chunk := rest
		if whole {
			chunk = rest[:size]
		}
		switch id {
		case "data":
			if f == nil {
				return nil, errors.New("wav: data chunk before the fmt chunk")
			}
			return f.decode(chunk, order, lim)
		case "fmt ":
			if f != nil {
				return nil, errors.New("wav: second fmt chunk")
			}
			if !whole {
				return nil, fmt.Errorf("wav: fmt chunk of %d bytes, %d left in the file", size, len(rest))
			}
			var err error
			if f, err = parseFormat(chunk, order); err != nil {
				return nil, fmt.Errorf("wav: %w", err)
			}
		case "ds64":
			if len(chunk) < 24 {
				return nil, fmt.Errorf("wav: ds64 chunk of %d bytes", len(chunk))
			}
			dataSize = order.Uint64(chunk[8:])
		}
		if !whole {
			return nil, fmt.Errorf("wav: %q chunk of %d bytes, %d left in the file", id, size, len(rest))
		}
		at += int(size)
		at = min(at+at&1, len(b)) // chunks begin at even places
	}
}

// subFormat ends the GUID of every sub-format that is a format tag
// (KSDATAFORMAT_SUBTYPE_WAVEFORMATEX, xxxxxxxx-0000-0010-8000-00aa00389b71).
const subFormat = "\x80\x00\x00\xaa\x00\x38\x9b\x71"

func parseFormat(b []byte, order binary.ByteOrder) (*waveFormat, error) {
	if len(b) < 16 {
		return nil, fmt.Errorf("fmt chunk of %d bytes, want at least 16", len(b))
	}
	f := &waveFormat{tag: order.Uint16(b), channels: int(order.Uint16(b[2:])), bits: int(order.Uint16(b[14:]))}
	rate, align := order.Uint32(b[4:]), int(order.Uint16(b[12:]))
	if f.channels < 1 || f.channels > maxChannels {
		return nil, fmt.Errorf("fmt chunk: %d channels, want 1 … %d", f.channels, maxChannels)
	}
	if rate < 1 || rate > math.MaxInt32 {
		return nil, fmt.Errorf("fmt chunk: sample rate %d, want 1 … %d", rate, math.MaxInt32)
	}
	f.rate = int(rate)
	if f.tag == formatExtensible {
		if len(b) < 40 {
			return nil, fmt.Errorf("fmt chunk: %d bytes, want at least 40 of an extensible format", len(b))
		}
		guid := b[24:40] // a uint32, two uint16 and eight bytes
		if order.Uint16(guid[4:]) != 0 || order.Uint16(guid[6:]) != 0x10 || string(guid[8:]) != subFormat || order.Uint32(guid) > math.MaxUint16 {
			return nil, fmt.Errorf("%w: sub-format %x", ErrUnsupported, guid)
		}
		f.tag = uint16(order.Uint32(guid))
	}
	switch f.tag {
	case formatPCM:
		if f.bits < 1 || f.bits > 32 {
			return nil, fmt.Errorf("fmt chunk: %d bits a sample, want 1 … 32", f.bits)
		}
		f.bits = (f.bits + 7) / 8 * 8
	case formatFloat:
		if f.bits != 32 && f.bits != 64 {
			return nil, fmt.Errorf("%w: float samples of %d bits", ErrUnsupported, f.bits)
		}
	case formatALaw, formatMuLaw:
		f.bits = 8 // some writers put 16, the size of a decoded sample, or 0
	default:
		if name, ok := formatNames[f.tag]; ok {
			return nil, fmt.Errorf("%w: codec %s (0x%04x)", ErrUnsupported, name, f.tag)
		}
		return nil, fmt.Errorf("%w: codec 0x%04x", ErrUnsupported, f.tag)
	}
	if want := f.channels * f.bits / 8; align != want {
		return nil, fmt.Errorf("fmt chunk: block align %d, want %d for %d channels of %d bits", align, want, f.channels, f.bits)
	}
	return f, nil
}

// decode converts the samples of a data chunk.
func (f *waveFormat) decode(data []byte, order binary.ByteOrder, lim Limits) (*Clip, error) {
	width := f.bits / 8
	n := len(data) / (f.channels * width) * f.channels
	if n > lim.Samples {
		return nil, fmt.Errorf("wav: %w: %d samples, limit %d", ErrTooLarge, n, lim.Samples)
	}
	out := make([]float32, n)
	switch {
	case f.tag == formatFloat && width == 4:
		for i := range out {
			out[i] = math.Float32frombits(order.Uint32(data[i*4:]))
		}
	case f.tag == formatFloat:
		for i := range out {
			out[i] = float32(math.Float64frombits(order.Uint64(data[i*8:])))
		}
	case f.tag == formatALaw:
		for i := range out {
			out[i] = aLaw[data[i]]
		}
	case f.tag == formatMuLaw:
		for i := range out {
			out[i] = muLaw[data[i]]
		}
	case width == 1: // unsigned
		for i := range out {
			out[i] = float32(int(data[i])-128) / (1 << 7)
		}
	case width == 2:
		for i := range out {
			out[i] = float32(int16(order.Uint16(data[i*2:]))) / (1 << 15)
		}
	case width == 3:
		for i := range out {
			s := data[i*3:][:3]
			v := int32(s[0])<<8 | int32(s[1])<<16 | int32(s[2])<<24
			if order == binary.BigEndian {
				v = int32(s[2])<<8 | int32(s[1])<<16 | int32(s[0])<<24
			}
			out[i] = float32(v>>8) / (1 << 23)
		}
	default:
		for i := range out {
			out[i] = float32(int32(order.Uint32(data[i*4:]))) / (1 << 31)
		}
	}
	return &Clip{Samples: out, Channels: f.channels, Rate: f.rate}, nil
}

// aLaw and muLaw are the values of ITU-T G.711's codes.
var aLaw, muLaw = func() (a, mu [256]float32) {
	for code := range 256 {
		// A-law: even bits inverted, sign, 3 bits of exponent, 4 of mantissa;
		// 13-bit values on a 16-bit scale.
		c := code ^ 0x55
		exp, v := c>>4&7, (c&15)<<4+8
		if exp > 0 {
			v = (v + 256) << (exp - 1)
		}
		if c&0x80 == 0 {
			v = -v
		}
		a[code] = float32(v) / (1 << 15)

		// µ-law: all bits inverted, the same fields, a bias of 33.
		c = ^code
		v = ((c&15)<<3+132)<<(c>>4&7) - 132
		if c&0x80 != 0 {
			v = -v
		}
		mu[code] = float32(v) / (1 << 15)
	}
	return a, mu
}()
