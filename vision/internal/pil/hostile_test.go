package pil

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"runtime"
	"testing"
)

func pngFile(w, h uint32, depth, colour byte, chunks ...[]byte) []byte {
	header := binary.BigEndian.AppendUint32(nil, w)
	header = binary.BigEndian.AppendUint32(header, h)
	header = append(header, depth, colour, 0, 0, 0)
	b := append([]byte(pngMagic), pngChunk("IHDR", header)...)
	return append(b, bytes.Join(chunks, nil)...)
}

func pngChunk(id string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, id...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func jpegFile(w, h uint16, components ...byte) []byte {
	b := []byte{0xFF, mSOI, 0xFF, 0xC0}
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(components)))
	b = append(b, 8)
	b = binary.BigEndian.AppendUint16(b, h)
	b = binary.BigEndian.AppendUint16(b, w)
	b = append(b, byte(len(components)/3))
	b = append(b, components...)
	return append(b, 0xFF, mSOS, 0, 8, 1, 1, 0, 0, 63, 0)
}

func bmpFile(w, h int32, bits uint16, compression uint32) []byte {
	le := binary.LittleEndian
	b := make([]byte, 54)
	copy(b, "BM")
	le.PutUint32(b[10:], 54)
	le.PutUint32(b[14:], 40)
	le.PutUint32(b[18:], uint32(w))
	le.PutUint32(b[22:], uint32(h))
	le.PutUint16(b[26:], 1)
	le.PutUint16(b[28:], bits)
	le.PutUint32(b[30:], compression)
	return b
}

func gifFile(w, h uint16) []byte {
	le := binary.LittleEndian
	b := append([]byte("GIF89a"), 0, 0, 0, 0, 0, 0, 0)
	le.PutUint16(b[6:], w)
	le.PutUint16(b[8:], h)
	b = append(b, ',', 0, 0, 0, 0)
	b = le.AppendUint16(b, w)
	b = le.AppendUint16(b, h)
	return append(b, 0, 8, 2, 0, 1, 0, ';')
}

// tiffFile has 32-bit entries (tag, value) and a strip of one byte.
func tiffFile(entries ...uint32) []byte {
	le := binary.LittleEndian
	b := append([]byte("II*\x00"), 8, 0, 0, 0)
	b = le.AppendUint16(b, uint16(len(entries)/2))
	for i := 0; i < len(entries); i += 2 {
		b = le.AppendUint16(b, uint16(entries[i]))
		b = le.AppendUint16(b, 4)
		b = le.AppendUint32(b, 1)
		b = le.AppendUint32(b, entries[i+1])
	}
	return append(b, 0, 0, 0, 0, 0)
}

func riffFile(id string, data []byte) []byte {
	le := binary.LittleEndian
	b := append([]byte("RIFF"), 0, 0, 0, 0)
	b = append(b, "WEBP"+id...)
	b = le.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	le.PutUint32(b[4:], uint32(len(b)-8))
	return b
}

// TestHostile has files that claim much and hold little: an error, at once, and
// little memory.
func TestHostile(t *testing.T) {
	const most = 1<<32 - 1
	idat := pngChunk("IDAT", []byte("x\x9c\x03\x00\x00\x00\x00\x01"))
	cases := []struct {
		name string
		file []byte
		want error // nil: any
	}{
		{"empty", nil, ErrFormat},
		{"text", []byte("not a picture"), ErrFormat},
		{"avif", []byte("\x00\x00\x00\x1cftypavif"), ErrUnsupported},
		{"png 0×1", pngFile(0, 1, 8, 2, idat), nil},
		{"png 1×0", pngFile(1, 0, 8, 2, idat), nil},
		{"png huge", pngFile(most, most, 8, 2, idat), ErrTooLarge},
		{"png 2³¹-1", pngFile(1<<31-1, 1<<31-1, 16, 6, idat), ErrTooLarge},
		{"png wide", pngFile(1<<31-1, 1, 1, 0, idat), ErrTooLarge},
		{"png over the limit", pngFile(13378, 13378, 8, 2, idat), ErrTooLarge},
		{"png at the limit, empty", pngFile(13377, 13377, 8, 2, idat), ErrTruncated},
		{"png 1×100000000", pngFile(1, 100_000_000, 8, 0, idat), ErrTruncated},
		{"png chunk beyond the end", append(pngFile(9, 9, 8, 2), 0xFF, 0xFF, 0xFF, 0xFF, 'I', 'D', 'A', 'T'), nil},
		{"png text bomb", pngFile(9, 9, 8, 2, pngChunk("zTXt", append([]byte("a\x00\x00"), deflatedZeros(4<<20)...)), idat), ErrTooLarge},
		{"png palette depth 16", pngFile(9, 9, 16, 3, idat), nil},
		{"jpeg 0×0", jpegFile(0, 0, 1, 0x11, 0), nil},
		{"jpeg huge", jpegFile(65535, 65535, 1, 0x11, 0), ErrTooLarge},
		{"jpeg large, empty", jpegFile(13000, 13000, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0), ErrTruncated},
		{"jpeg sampling 0", jpegFile(9, 9, 1, 0, 0), nil},
		{"jpeg sampling 15", jpegFile(9, 9, 1, 0xFF, 0), nil},
		{"bmp negative width", bmpFile(-5, 5, 24, 0), ErrTooLarge},
		{"bmp least height", bmpFile(5, -1<<31, 24, 0), ErrTooLarge},
		{"bmp huge", bmpFile(1<<31-1, 1<<31-1, 32, 0), ErrTooLarge},
		{"bmp large, empty", bmpFile(13000, 13000, 24, 0), ErrTruncated},
		{"bmp run-length, empty", bmpFile(13000, 13000, 8, bmpRLE8), nil},
		{"bmp 0×0", bmpFile(0, 0, 24, 0), nil},
		{"gif 0×0", gifFile(0, 0), nil},
		{"gif huge", gifFile(65535, 65535), ErrTooLarge},
		{"gif large, empty", gifFile(13000, 13000), ErrTruncated},
		{"tiff without pixels", tiffFile(256, 9, 257, 9), nil},
		{"tiff huge", tiffFile(256, most, 257, most, 273, 8, 279, 1), nil},
		{"tiff large, empty", tiffFile(256, 13000, 257, 13000, 262, 1, 258, 8, 273, 8, 279, 1), ErrTruncated},
		{"tiff large lzw", tiffFile(256, 13000, 257, 13000, 258, 8, 259, 5, 262, 1, 273, 8, 279, 1), ErrTruncated},
		{"tiff large jpeg", tiffFile(256, 13000, 257, 13000, 258, 8, 259, 7, 262, 1, 273, 8, 279, 1), nil},
		{"tiff tiles of 2³¹", tiffFile(256, 9, 257, 9, 258, 8, 262, 1, 322, 1<<31-1, 323, 1<<31-1, 324, 8, 325, 1), ErrTooLarge},
		{"tiff tiles of 0", tiffFile(256, 9, 257, 9, 258, 8, 262, 1, 322, 0, 323, 0, 324, 8, 325, 1), nil},
		{"tiff 2³¹ samples", tiffFile(256, 9, 257, 9, 258, 8, 277, 1<<31-1, 273, 8), nil},
		{"tiff directory at itself", []byte("II*\x00\x04\x00\x00\x00"), nil},
		{"webp canvas of 2²⁴", riffFile("VP8X", []byte{0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}), ErrTooLarge},
		{"webp lossy 16383²", riffFile("VP8 ", []byte{0x10, 0, 0, 0x9D, 1, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F}), ErrTooLarge},
		{"webp lossy large, empty", riffFile("VP8 ", []byte{0x10, 0, 0, 0x9D, 1, 0x2A, 0xFF, 0x2F, 0xFF, 0x2F, 0, 0, 0, 0}), nil},
		{"webp lossless 16384²", riffFile("VP8L", []byte{0x2F, 0xFF, 0xFF, 0xFF, 0x0F, 0}), ErrTooLarge},
	}
	for _, c := range cases {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := mustNotPanic(t, c.name, c.file, testLimits)
		runtime.ReadMemStats(&after)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 16<<20 {
			t.Errorf("%s: %d MB allocated", c.name, n>>20)
		}
	}
}

// TestPixelLimit holds for pictures that are sound.
func TestPixelLimit(t *testing.T) {
	for _, p := range pictures(t) {
		lim := testLimits
		lim.Pixels = p.W*p.H - 1
		if lim.Pixels < 1 {
			continue
		}
		if _, err := Decode(p.File, lim); !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: with a limit of %d pixels: %v, want %v", p.Name, lim.Pixels, err, ErrTooLarge)
		}
	}
}

// TestScanLimit bounds the work that a small progressive JPEG can ask for.
func TestScanLimit(t *testing.T) {
	lim := testLimits
	lim.Scans = 3
	found := false
	for _, p := range pictures(t) {
		if !bytes.Contains(p.File, []byte{0xFF, mSOF2}) || !isJPEG(p.File) {
			continue
		}
		found = true
		if _, err := Decode(p.File, lim); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: with a limit of %d scans: %v, want %v", p.Name, lim.Scans, err, ErrTooLarge)
		}
	}
	if !found {
		t.Error("no progressive JPEG")
	}
}

// TestThin reads pictures of a single row or column in every orientation.
func TestThin(t *testing.T) {
	for _, size := range [][2]int{{1, 1}, {1, 5000}, {5000, 1}} {
		im := newImage(size[0], size[1])
		for i := range im.Pix {
			im.Pix[i] = uint8(i * 7)
		}
		for o := orientation(0); o < 10; o++ {
			got := o.apply(im)
			if len(got.Pix) != len(im.Pix) || got.W*got.H != im.W*im.H {
				t.Fatalf("%v turned by %d: %d×%d", size, o, got.W, got.H)
			}
			if back := inverse(o).apply(got); !bytes.Equal(back.Pix, im.Pix) {
				t.Errorf("%v turned by %d and back differs", size, o)
			}
		}
	}
}

// inverse is the orientation that undoes o.
func inverse(o orientation) orientation {
	switch o {
	case 6:
		return 8
	case 8:
		return 6
	}
	return o
}
