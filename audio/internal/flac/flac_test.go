package flac

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// bitWriter writes what reader reads.
type bitWriter struct {
	b []byte
	n uint // bits of the last byte that are taken
}

func (w *bitWriter) put(v uint64, n uint) {
	for i := int(n) - 1; i >= 0; i-- {
		if w.n%8 == 0 {
			w.b, w.n = append(w.b, 0), 0
		}
		w.b[len(w.b)-1] |= byte(v>>i&1) << (7 - w.n)
		w.n++
	}
}

func TestReader(t *testing.T) {
	w := &bitWriter{}
	for i := uint(0); i <= 56; i++ {
		w.put(1<<i>>1|uint64(i&1), i)
		w.put(0, i)
		w.put(1, 1)
	}
	r := &reader{b: w.b}
	for i := uint(0); i <= 56; i++ {
		want := (1<<i>>1 | uint64(i&1)) & (1<<i - 1)
		if v := r.uint(i); v != want {
			t.Fatalf("%d bits: %#x, want %#x", i, v, want)
		}
		if v := r.unary(); v != uint64(i) {
			t.Fatalf("%d zeros: %d", i, v)
		}
	}
	r.align()
	if r.bad || r.offset() != len(w.b) {
		t.Fatalf("at byte %d of %d, bad %v", r.offset(), len(w.b), r.bad)
	}
	if r.uint(1); !r.bad {
		t.Error("reading past the end passes")
	}
}

func TestChecksums(t *testing.T) {
	// CRC-8/SMBUS and CRC-16/UMTS of the catalogues.
	if c := crc8([]byte("123456789")); c != 0xf4 {
		t.Errorf("crc8 %#x", c)
	}
	if c := crc16([]byte("123456789")); c != 0xfee8 {
		t.Errorf("crc16 %#x", c)
	}
}

// frame is a frame of 16 samples of one channel of 8 bits, which body codes.
type frame struct {
	sync               uint64
	size, rate         uint64
	assignment, bits   uint64
	number             uint64
	body               func(w *bitWriter)
	badHeader, badBody bool
}

func (f frame) bytes() []byte {
	w := &bitWriter{}
	w.put(f.sync, 16)
	w.put(f.size, 4)
	w.put(f.rate, 4)
	w.put(f.assignment, 4)
	w.put(f.bits, 4)
	w.put(f.number, 8)
	if f.size == 6 {
		w.put(15, 8)
	}
	sum := crc8(w.b)
	if f.badHeader {
		sum++
	}
	w.put(uint64(sum), 8)
	f.body(w)
	w.n = 0
	if c := crc16(w.b); f.badBody {
		w.put(uint64(c+1), 16)
	} else {
		w.put(uint64(c), 16)
	}
	return w.b
}

func stream(frames uint64, body ...byte) []byte {
	info := make([]byte, 34)
	binary.BigEndian.PutUint64(info[10:], 16000<<44|0<<41|7<<36|frames)
	return append(append([]byte("fLaC\x80\x00\x00\x22"), info...), body...)
}

// constant codes 16 samples of 5.
func constant(w *bitWriter) { w.put(0, 8); w.put(5, 8) }

// head returns a body that begins with a subframe header and goes on with zeros.
func head(kind uint64, then func(w *bitWriter)) func(w *bitWriter) {
	return func(w *bitWriter) { w.put(kind, 8); then(w); w.put(0, 50); w.put(0, 50) }
}

func TestFrames(t *testing.T) {
	good := frame{sync: 0xfff8, size: 6, bits: 2, body: constant}
	s, err := Decode(stream(16, good.bytes()...), 100)
	if err != nil || len(s.Samples) != 16 || s.Samples[15] != 5./128 || s.Rate != 16000 || s.Bits != 8 {
		t.Fatalf("%+v, %v", s, err)
	}
	with := func(change func(f *frame)) []byte {
		f := good
		change(&f)
		return stream(16, f.bytes()...)
	}
	for _, c := range []struct {
		file []byte
		want string
	}{
		{with(func(f *frame) { f.sync = 0xfffa }), "no sync code"},
		{with(func(f *frame) { f.size = 0 }), "block size code 0"},
		{with(func(f *frame) { f.rate = 15 }), "sample rate code 15"},
		{with(func(f *frame) { f.rate = 4 }), "8000 Hz"},
		{with(func(f *frame) { f.assignment = 11 }), "channel assignment 11"},
		{with(func(f *frame) { f.assignment = 1 }), "2 channels"},
		{with(func(f *frame) { f.bits = 6 }), "reserved bits"},
		{with(func(f *frame) { f.bits = 8 }), "16 bits"},
		{with(func(f *frame) { f.bits = 3 }), "reserved bits"},
		{with(func(f *frame) { f.number = 0x80 }), "coded number"},
		{with(func(f *frame) { f.number = 0xff }), "coded number"},
		{with(func(f *frame) { f.badHeader = true }), "header: checksum"},
		{with(func(f *frame) { f.badBody = true }), "checksum"},
		{with(func(f *frame) { f.body = head(0x80, constant) }), "padding bit"},
		{with(func(f *frame) { f.body = head(2<<1, constant) }), "reserved type 2"},
		{with(func(f *frame) { f.body = head(13<<1, constant) }), "reserved type 13"},
		{with(func(f *frame) { f.body = head(1, func(w *bitWriter) { w.put(1, 8) }) }), "8 wasted bits of 8"},
		{with(func(f *frame) { f.body = head(8<<1, func(w *bitWriter) { w.put(2, 2) }) }), "coding method 2"},
		{with(func(f *frame) { f.body = head(8<<1, func(w *bitWriter) { w.put(0, 2); w.put(5, 4) }) }), "32 partitions"},
		{with(func(f *frame) { f.body = head(12<<1, func(w *bitWriter) { w.put(0, 32); w.put(0, 2); w.put(3, 4) }) }), "8 partitions"},
		{with(func(f *frame) { f.body = head(48<<1, func(w *bitWriter) {}) }), "order 17"},
		{with(func(f *frame) { f.body = head(47<<1, func(w *bitWriter) {}) }), "order 16"},
		{with(func(f *frame) { f.body = head(32<<1, func(w *bitWriter) { w.put(0, 8); w.put(15, 4) }) }), "precision"},
		{with(func(f *frame) { f.body = head(32<<1, func(w *bitWriter) { w.put(0, 8); w.put(3, 4); w.put(16, 5) }) }), "shift"},
		{with(func(f *frame) { f.body = head(8<<1, func(w *bitWriter) { w.put(0, 10); w.put(1, 9) }) }), "ends in the frame"},
		{stream(17, good.bytes()...), "ends in the frame"},
		{stream(16, good.bytes()[:10]...), "ends in the frame"},
		{stream(16), "ends in the frame"},
		{stream(16)[:20], "left in the file"},
		{[]byte("fLaC"), "ends in the metadata"},
		{[]byte("fLaC\xff\x00\x00\x00"), "first metadata block"},
		{[]byte("fLaC\x80\x00\x00\x01a"), "want 34"},
	} {
		if _, err := Decode(c.file, 100); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
	for _, frames := range []uint64{0, 16, 1 << 35} {
		if _, err := Decode(stream(frames, good.bytes()...), 15); !errors.Is(err, ErrTooLarge) {
			t.Errorf("16 samples of %d within a limit of 15: %v", frames, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	names, err := filepath.Glob("../../testdata/golden/*.flac")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 20
		s, err := Decode(b, limit)
		if err == nil && (len(s.Samples) > limit || len(s.Samples)%s.Channels != 0) {
			t.Fatalf("%d samples of %d channels", len(s.Samples), s.Channels)
		}
	})
}
