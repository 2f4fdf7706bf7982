package onig

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
)

// TestGolden checks the matches that Oniguruma found; see testdata/diff.py.
func TestGolden(t *testing.T) {
	b, err := os.ReadFile("testdata/matches.json")
	if err != nil {
		t.Fatal(err)
	}
	var rows []struct {
		Pattern string
		Refused bool
		Matches map[string][][2]int // by text, in bytes
	}
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	if len(rows) < 300 {
		t.Errorf("only %d patterns", len(rows))
	}
	for _, r := range rows {
		re, err := Compile(r.Pattern)
		if r.Refused {
			if err == nil {
				t.Errorf("%q: compiled", r.Pattern)
			}
			continue
		}
		if err != nil {
			t.Errorf("%v", err)
			continue
		}
		for s, want := range r.Matches {
			for _, memo := range []bool{false, true} {
				if got := find(re, s, memo); !reflect.DeepEqual(got, want) && len(got)+len(want) > 0 {
					t.Errorf("%q in %q, memo %v: %v, want %v", r.Pattern, s, memo, got, want)
				}
			}
		}
	}
}

// find is FindAll, with the memo from the first step or only when it is due.
func find(re *Regexp, s string, memo bool) [][2]int {
	if !memo || re.prog == nil {
		return re.FindAll(s, nil)
	}
	m := newMachine(re.prog)
	m.reset(s)
	m.memo = newMemo(re.prog)
	return m.findAll(nil)
}

func TestErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		`(a)\1`: "back-reference", `(?~a)`: "absent", `a\Kb`: `\K`, `\X`: `\X`, `(?<n>a)\k<n>`: "back-reference", `(?(1)a)`: "conditional",
	} {
		_, err := Compile(pattern)
		if !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want unsupported %s", pattern, err, want)
		}
	}
	for _, pattern := range []string{"(", ")", "[", "a**b)", "*", `\`, `\p{Nope}`, "[z-a]", strings.Repeat("(", 5000), "\xff"} {
		if _, err := Compile(pattern); err == nil || errors.Is(err, ErrUnsupported) {
			t.Errorf("%.20q: error %v, want malformed", pattern, err)
		}
	}
}

// FuzzFindAll checks that no pattern panics, that matches are in order and
// within the text, and that the memo changes nothing.
func FuzzFindAll(f *testing.F) {
	for _, p := range []string{`'s|'t| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`, `(?i:ss|ß)*?b`, `(a|aa)+?(?=b)|(?<!c)d`, `(?>a+)b|((a*)*)*c`, `[\w&&[^a-c]]{2,3}+`, `\b\R|^$`} {
		f.Add(p, "it's a  aab ß12\r\n\nabcd")
	}
	f.Fuzz(func(t *testing.T, pattern, s string) {
		if len(pattern) > 200 || len(s) > 200 {
			return
		}
		re, err := Compile(pattern)
		if err != nil {
			return
		}
		got := find(re, s, false)
		last := 0
		for _, m := range got {
			if m[0] < last || m[1] < m[0] || m[1] > len(s) {
				t.Fatalf("%q in %q: %v", pattern, s, got)
			}
			last = m[1]
		}
		if memo := find(re, s, true); !reflect.DeepEqual(got, memo) {
			t.Fatalf("%q in %q: %v, with the memo %v", pattern, s, got, memo)
		}
	})
}
