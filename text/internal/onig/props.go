package onig

import (
	_ "embed"
	"encoding/binary"
	"strings"
	"sync"
)

//go:generate python3 gen.py

// props.bin: the properties of properties.txt and the case foldings; see gen.py.
//
//go:embed props.bin
var packedProps []byte

type propTable struct {
	sets  []runeSet
	names map[string]int // lower case, without spaces, hyphens and underscores
	// Case folding (CaseFolding.txt, C and F): fold maps a character to one,
	// two or three; unfold maps a folding to all that fold to it.
	fold   map[rune][]rune
	unfold map[[3]rune][]rune
	keys   [][3]rune // of unfold: foldings to one character, then two, then three
}

var loadProps = sync.OnceValue(func() *propTable {
	b := packedProps
	next := func() int { // the file is ours: it is complete
		v, n := binary.Uvarint(b)
		b = b[n:]
		return int(v)
	}
	t := &propTable{names: map[string]int{}, fold: map[rune][]rune{}, unfold: map[[3]rune][]rune{}}
	t.sets = make([]runeSet, next())
	for i := range t.sets {
		s := make(runeSet, next())
		last := rune(0)
		for j := range s {
			lo := last + rune(next())
			last = lo + rune(next())
			s[j] = runeRange{lo, last}
		}
		t.sets[i] = s
	}
	for range next() {
		n := next()
		name := string(b[:n])
		b = b[n:]
		t.names[name] = next()
	}
	last := rune(0)
	var keys [4][][3]rune
	for range next() {
		last += rune(next())
		to := make([]rune, next())
		for i := range to {
			to[i] = rune(next())
		}
		t.fold[last] = to
		k := foldKey(to)
		if t.unfold[k] == nil {
			keys[len(to)] = append(keys[len(to)], k)
		}
		t.unfold[k] = append(t.unfold[k], last)
	}
	for _, k := range keys {
		t.keys = append(t.keys, k...)
	}
	return t
})

func foldKey(s []rune) (k [3]rune) {
	copy(k[:], s)
	return k
}

// property returns the set that \p{name} matches.
func property(name string) (runeSet, bool) {
	clean := func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '_':
			return -1
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}
	t := loadProps()
	i, ok := t.names[strings.Map(clean, name)]
	if !ok {
		return nil, false
	}
	return t.sets[i], true
}

// mustProperty returns a property that properties.txt is known to hold.
func mustProperty(name string) runeSet {
	s, _ := property(name)
	return s
}

// foldSingle returns the characters that fold to the single character c, c among them.
func (t *propTable) foldSingle(c rune) []rune {
	return append([]rune{c}, t.unfold[[3]rune{c}]...)
}

// closeFold adds to s every character that is a case variant of a member.
// It also returns the foldings of two and three characters that a member has,
// which a class that is not negated matches as well.
func closeFold(s runeSet) (runeSet, [][3]rune) {
	t := loadProps()
	var add runeSet
	var multi [][3]rune
	for _, k := range t.keys {
		in := k[1] == 0 && s.has(k[0])
		for _, c := range t.unfold[k] {
			in = in || s.has(c)
		}
		if !in {
			continue
		}
		if k[1] == 0 {
			add = append(add, runeRange{k[0], k[0]})
		} else {
			multi = append(multi, k)
		}
		for _, c := range t.unfold[k] {
			add = append(add, runeRange{c, c})
		}
	}
	return union(s, add), multi
}
