package audio

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"strings"
	"testing"
)

// chunk returns a RIFF chunk whose header states size, padded to an even length.
func chunk(id string, size uint32, body []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte(id), size)
	b = append(b, body...)
	return append(b, make([]byte, len(body)&1)...)
}

// format returns a fmt chunk.
func format(tag, channels uint16, rate uint32, align, bits uint16, extra ...byte) []byte {
	var b []byte
	b = binary.LittleEndian.AppendUint16(b, tag)
	b = binary.LittleEndian.AppendUint16(b, channels)
	b = binary.LittleEndian.AppendUint32(b, rate)
	b = binary.LittleEndian.AppendUint32(b, rate*uint32(align))
	b = binary.LittleEndian.AppendUint16(b, align)
	b = binary.LittleEndian.AppendUint16(b, bits)
	b = append(b, extra...)
	return chunk("fmt ", uint32(len(b)), b)
}

func data(body ...byte) []byte { return chunk("data", uint32(len(body)), body) }

func riff(chunks ...[]byte) []byte {
	body := append([]byte("WAVE"), bytes.Join(chunks, nil)...)
	return chunk("RIFF", uint32(len(body)), body)
}

func TestWAV(t *testing.T) {
	pcm := format(formatPCM, 1, 8000, 2, 16)
	guid := append([]byte{22, 0, 16, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0x10, 0}, subFormat...)
	for _, c := range []struct {
		name string
		file []byte
		want []float32
	}{
		{"16 bits", riff(pcm, data(0, 0x40, 0, 0xc0, 0, 0x80, 0xff, 0x7f)), []float32{0.5, -0.5, -1, 32767. / 32768}},
		{"8 bits", riff(format(formatPCM, 1, 8000, 1, 8), data(0, 128, 255)), []float32{-1, 0, 127. / 128}},
		{"24 bits", riff(format(formatPCM, 1, 8000, 3, 24), data(0, 0, 0x80, 1, 0, 0)), []float32{-1, 1. / (1 << 23)}},
		{"32 bits", riff(format(formatPCM, 1, 8000, 4, 32), data(0, 0, 0, 0x80)), []float32{-1}},
		{"12 bits in 16", riff(format(formatPCM, 1, 8000, 2, 12), data(0, 0x40)), []float32{0.5}},
		{"float", riff(format(formatFloat, 1, 8000, 4, 32), data(0, 0, 0x80, 0x3f)), []float32{1}},
		{"A-law", riff(format(formatALaw, 1, 8000, 1, 8), data(0x2a, 0xaa)), []float32{-32256. / 32768, 32256. / 32768}},
		{"µ-law", riff(format(formatMuLaw, 1, 8000, 1, 8), data(0x00, 0x7f)), []float32{-32124. / 32768, 0}},
		{"extensible", riff(format(formatExtensible, 1, 8000, 2, 16, guid...), data(0, 0x40)), []float32{0.5}},
		{"odd chunk in front", riff(chunk("LIST", 3, []byte("abc")), pcm, chunk("JUNK", 1, []byte{0}), data(0, 0x40)), []float32{0.5}},
		{"chunk behind", riff(pcm, data(0, 0x40), chunk("LIST", 1<<31, nil)), []float32{0.5}},
		{"data of unknown size", riff(pcm, chunk("data", math.MaxUint32, []byte{0, 0x40})), []float32{0.5}},
		{"data past the end", riff(pcm, chunk("data", 1000, []byte{0, 0x40})), []float32{0.5}},
		{"half a sample more", riff(pcm, data(0, 0x40, 1)), []float32{0.5}},
		{"no samples", riff(pcm, data()), nil},
		{"ID3 in front", append([]byte("ID3\x04\x00\x00\x00\x00\x00\x02ab"), riff(pcm, data(0, 0x40))...), []float32{0.5}},
	} {
		got, err := DecodeBytes(c.file, Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got.Rate != 8000 || got.Channels != 1 || len(got.Samples) != len(c.want) {
			t.Errorf("%s: %+v, want %v", c.name, got, c.want)
			continue
		}
		for i, v := range c.want {
			if got.Samples[i] != v {
				t.Errorf("%s: sample %d is %v, want %v", c.name, i, got.Samples[i], v)
			}
		}
	}
}

// badWAVs are files that are refused, with a part of the error.
var badWAVs = []struct {
	file []byte
	want string
}{
	{riff(), "no fmt chunk"},
	{riff(data(0, 0)), "before the fmt chunk"},
	{riff(format(formatPCM, 1, 8000, 2, 16)), "no data chunk"},
	{riff(format(formatPCM, 1, 8000, 2, 16), format(formatPCM, 1, 8000, 2, 16)), "second fmt chunk"},
	{riff(format(formatPCM, 0, 8000, 2, 16), data(0, 0)), "0 channels"},
	{riff(format(formatPCM, 65535, 8000, 65534, 16), data(0, 0)), "65535 channels"},
	{riff(format(formatPCM, 1, 0, 2, 16), data(0, 0)), "sample rate 0"},
	{riff(format(formatPCM, 1, 1<<31, 2, 16), data(0, 0)), "sample rate 2147483648"},
	{riff(format(formatPCM, 1, 8000, 0, 16), data(0, 0)), "block align 0"},
	{riff(format(formatPCM, 2, 8000, 2, 16), data(0, 0)), "block align 2, want 4"},
	{riff(format(formatPCM, 1, 8000, 0, 0), data(0, 0)), "0 bits"},
	{riff(format(formatPCM, 1, 8000, 5, 40), data(0, 0)), "40 bits"},
	{riff(format(formatFloat, 1, 8000, 2, 16), data(0, 0)), "float samples of 16 bits"},
	{riff(format(2, 1, 8000, 2, 16), data(0, 0)), "Microsoft ADPCM"},
	{riff(format(0x1234, 1, 8000, 2, 16), data(0, 0)), "codec 0x1234"},
	{riff(format(formatExtensible, 1, 8000, 2, 16), data(0, 0)), "extensible"},
	{riff(format(formatExtensible, 1, 8000, 2, 16, make([]byte, 24)...), data(0, 0)), "sub-format"},
	{riff(chunk("fmt ", 15, make([]byte, 15)), data(0, 0)), "fmt chunk of 15 bytes"},
	{riff(chunk("fmt ", 1000, make([]byte, 16))), "fmt chunk of 1000 bytes"},
	{riff(chunk("LIST", math.MaxUint32, nil), format(formatPCM, 1, 8000, 2, 16), data(0, 0)), "\"LIST\" chunk of 4294967295 bytes"},
	{[]byte("RF64\xff\xff\xff\xffWAVEds64\x04\x00\x00\x00abcd"), "ds64 chunk of 4 bytes"},
	{[]byte("RIFF\x00\x00\x00\x00WAVE"), "no fmt chunk"},
	{[]byte("RIFF"), "not a sound file"},
	{nil, "not a sound file"},
	{[]byte("OggS\x00"), "Ogg"},
	{[]byte("ID3\x04\x00\x00\x00\x00\x00\x00\xff\xfb\x90\x00"), "MP3"},
}

func TestBadFiles(t *testing.T) {
	for _, c := range badWAVs {
		if _, err := DecodeBytes(c.file, Limits{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	pcm := riff(format(formatPCM, 1, 8000, 2, 16), data(make([]byte, 20)...))
	if _, err := DecodeBytes(pcm, Limits{Samples: 9}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("10 samples within a limit of 9: %v", err)
	}
	if _, err := Decode(bytes.NewReader(pcm), Limits{Bytes: int64(len(pcm)) - 1}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d bytes within a limit of one less: %v", len(pcm), err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("a folder: %v", err)
	}
	for _, c := range [][]byte{[]byte("OggS"), []byte("FORM\x00\x00\x00\x00AIFF"), riff(format(0x55, 1, 8000, 2, 16), data())} {
		if _, err := DecodeBytes(c, Limits{}); !errors.Is(err, ErrUnsupported) {
			t.Errorf("%.4q: %v, want ErrUnsupported", c, err)
		}
	}
}

// TestDamagedFLAC cuts the spoken sentence everywhere and damages every byte of
// its beginning: an error each time, as the checksums see to, or a change that
// the samples do not show.
func TestDamagedFLAC(t *testing.T) {
	voice, err := os.ReadFile("../testdata/demo/voice.flac")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(voice); n += 1 + n/20 {
		if _, err := DecodeBytes(voice[:n], Limits{}); err == nil {
			t.Fatalf("the first %d of %d bytes pass", n, len(voice))
		}
	}
	whole, err := DecodeBytes(voice, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for at := range 1000 {
		b := bytes.Clone(voice)
		b[at] ^= byte(1 + at%255)
		c, err := DecodeBytes(b, Limits{})
		// What is left are the metadata: the number of samples and text.
		if err == nil && at >= 42+8 && len(c.Samples) != len(whole.Samples) {
			t.Fatalf("byte %d damaged: %d samples, want %d", at, len(c.Samples), len(whole.Samples))
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range badWAVs {
		f.Add(c.file)
	}
	for _, name := range []string{"../testdata/demo/voice.flac", "testdata/golden/s1.wav", "testdata/golden/s8.wav", "testdata/golden/s20.flac", "testdata/golden/s30.flac"} {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:min(len(b), 5000)])
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		lim := Limits{Samples: 1 << 22}
		c, err := DecodeBytes(b, lim)
		if err != nil {
			if strings.Contains(err.Error(), "damaged file") {
				t.Fatalf("a panic was caught: %v", err)
			}
			return
		}
		if err := c.check(); err != nil {
			t.Fatal(err)
		}
		if len(c.Samples) > lim.Samples {
			t.Fatalf("%d samples", len(c.Samples))
		}
		if m := c.Mono(); len(m) != c.Frames() {
			t.Fatalf("%d samples of one channel, %d frames", len(m), c.Frames())
		}
	})
}
