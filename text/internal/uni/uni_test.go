package uni

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"sort"
	"testing"
)

// TestGolden compares every table with the library's answers for all code points.
func TestGolden(t *testing.T) {
	runes := func(f func(r rune) []rune) func(rune) []byte {
		return func(r rune) []byte {
			var b []byte
			for _, c := range f(r) {
				b = binary.BigEndian.AppendUint32(b, uint32(c))
			}
			return append(b, 0xff)
		}
	}
	is := func(f func(r rune) bool) func(rune) []byte {
		return func(r rune) []byte {
			if f(r) {
				return []byte{1}
			}
			return []byte{0}
		}
	}
	funcs := map[string]func(rune) []byte{
		"Decompose":        runes(func(r rune) []rune { return Decompose(r, false, nil) }),
		"DecomposeCompat":  runes(func(r rune) []rune { return Decompose(r, true, nil) }),
		"ToLower":          runes(func(r rune) []rune { return ToLower(r, nil) }),
		"CCC":              func(r rune) []byte { return []byte{CCC(r)} },
		"Script":           func(r rune) []byte { return []byte{byte(Script(r))} },
		"IsWhitespace":     is(IsWhitespace),
		"IsNumeric":        is(IsNumeric),
		"IsWord":           is(IsWord),
		"IsCombiningMark":  is(IsCombiningMark),
		"IsMn":             is(IsMn),
		"IsPunctuation":    is(IsPunctuation),
		"IsBertControl":    is(IsBertControl),
		"IsBertWhitespace": is(IsBertWhitespace),
		"IsChinese":        is(IsChinese),
	}
	for name, f := range funcs {
		h := sha256.New()
		for r := rune(0); r <= maxRune; r++ {
			if r < 0xD800 || r >= 0xE000 {
				h.Write(f(r))
			}
		}
		if got := hex.EncodeToString(h.Sum(nil)); got != golden[name] {
			t.Errorf("%s: sha256 %s, want %s", name, got, golden[name])
		}
	}
}

// TestCompose checks the composites, and that Compose undoes Decompose for Hangul.
func TestCompose(t *testing.T) {
	var keys [][2]rune
	for k := range load().pairs {
		keys = append(keys, k)
	}
	sort.Slice(keys, func(i, j int) bool {
		return keys[i][0] < keys[j][0] || keys[i][0] == keys[j][0] && keys[i][1] < keys[j][1]
	})
	h := sha256.New()
	for _, k := range keys {
		c, ok := Compose(k[0], k[1])
		if !ok {
			t.Errorf("Compose(%U, %U): none", k[0], k[1])
		}
		var b [12]byte
		binary.BigEndian.PutUint32(b[:], uint32(k[0]))
		binary.BigEndian.PutUint32(b[4:], uint32(k[1]))
		binary.BigEndian.PutUint32(b[8:], uint32(c))
		h.Write(b[:])
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != golden["Compose"] {
		t.Errorf("Compose: sha256 %s, want %s", got, golden["Compose"])
	}
	for s := rune(hangulS); s < hangulS+countS; s++ {
		d := Decompose(s, false, nil)
		c, ok := Compose(d[0], d[1])
		if ok && len(d) == 3 {
			c, ok = Compose(c, d[2])
		}
		if !ok || c != s {
			t.Errorf("Compose(Decompose(%U)) = %U, %v", s, c, ok)
		}
	}
	if c, ok := Compose(0xC8E0, hangulT); ok {
		t.Errorf("Compose(U+C8E0, U+11A7) = %U: the filler T does not compose", c)
	}
}

// TestOutside checks that what is no scalar value has no property.
func TestOutside(t *testing.T) {
	for _, r := range []rune{-1, -0x80000000, 0xD800, 0xDFFF, 0x110000, 0x7fffffff} {
		if IsWhitespace(r) || IsNumeric(r) || IsWord(r) || IsPunctuation(r) || IsBertControl(r) || Script(r) != 0 || CCC(r) != 0 {
			t.Errorf("%#x has a property", r)
		}
		for _, d := range [][]rune{Decompose(r, true, nil), ToLower(r, nil)} {
			if len(d) != 1 || d[0] != r {
				t.Errorf("%#x maps to %x", r, d)
			}
		}
	}
}
