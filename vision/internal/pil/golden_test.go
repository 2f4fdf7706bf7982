package pil

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
)

// limits for pictures of tests.
var testLimits = Limits{Pixels: 178_956_970, Frames: 1000, Scans: 1000}

// picture is a file with Pillow's verdict (testdata/golden.py of package vision).
type picture struct {
	Name string
	File []byte
	W, H int
	Sum  string // of the RGB bytes
}

func pictures(t testing.TB) []picture {
	f, err := os.Open("testdata/pictures.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []picture
	if err := json.NewDecoder(z).Decode(&all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestPillow compares the pixels of every kind of file with Pillow's.
func TestPillow(t *testing.T) {
	all := pictures(t)
	refused := 0
	for _, p := range all {
		im, err := Decode(p.File, testLimits)
		if errors.Is(err, ErrUnsupported) && strings.HasPrefix(p.Name, "tiff ") {
			refused++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		if im.W != p.W || im.H != p.H {
			t.Errorf("%s: %d×%d pixels, want %d×%d", p.Name, im.W, im.H, p.W, p.H)
			continue
		}
		if sum := sha256.Sum256(im.Pix); hex.EncodeToString(sum[:8]) != p.Sum {
			t.Errorf("%s: pixels differ from Pillow's", p.Name)
		}
		cfg, err := DecodeConfig(p.File, testLimits)
		if err != nil || cfg.W*cfg.H != p.W*p.H {
			t.Errorf("%s: DecodeConfig gives %+v, %v; want %d×%d", p.Name, cfg, err, p.W, p.H)
		}
	}
	t.Logf("%d files; %d kinds of TIFF that Pillow reads are refused by name", len(all), refused)
}

// mustNotPanic decodes b without the guard of [Decode], so that a panic shows.
func mustNotPanic(t *testing.T, what string, b []byte, lim Limits) (*Image, error) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%s: panic: %v", what, r)
		}
	}()
	f, err := sniff(b)
	if err != nil {
		return nil, err
	}
	if _, _, err := f.config(b, lim); err != nil {
		return nil, err
	}
	im, o, err := f.decode(b, lim)
	if err != nil {
		return nil, err
	}
	return o.apply(im), nil
}

// TestTruncated cuts an eighth of the files off at every byte and the others at
// every seventh: no panic, and no picture from a header.
func TestTruncated(t *testing.T) {
	for i, p := range pictures(t) {
		step := 1
		if i%8 != 0 {
			step = 7
		}
		for n := 0; n < len(p.File); n += step {
			_, err := mustNotPanic(t, p.Name, p.File[:n], testLimits)
			if err == nil && n < 20 {
				t.Errorf("%s: read from %d bytes", p.Name, n)
			}
		}
	}
}

// TestDamaged changes single bytes of files: no panic, no great allocation.
func TestDamaged(t *testing.T) {
	lim := testLimits
	lim.Pixels = 1 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	runs := uint64(0)
	for i, p := range pictures(t) {
		b := make([]byte, len(p.File))
		for j := i % 5; j < len(b); j += 5 {
			copy(b, p.File)
			b[j] ^= 1 << (j % 8)
			if j%3 == 0 {
				b[j] = 0xFF
			}
			mustNotPanic(t, p.Name, b, lim)
			runs++
		}
	}
	runtime.ReadMemStats(&after)
	if per := (after.TotalAlloc - before.TotalAlloc) / runs; per > 1<<20 {
		t.Errorf("%d bytes allocated a file", per)
	}
}
