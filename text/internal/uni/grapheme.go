package uni

import (
	_ "embed"
	"sync"
	"unicode/utf8"
)

//go:generate python3 gen_grapheme.py

//go:embed grapheme.bin
var packedGraphemes []byte

// Grapheme break classes, in the order of gen_grapheme.py.
const (
	breakOther = iota
	breakExtend
	breakPrepend
	breakControl
	breakPicto
	breakZWJ
	breakL
	breakV
	breakT
	breakLV
	breakLVT
	breakRegional
)

var loadGraphemes = sync.OnceValue(func() *trie {
	t := new(trie)
	d := decoder{packedGraphemes}
	d.trie(t)
	return t
})

// NextGrapheme returns the length in bytes of the extended grapheme cluster
// that s begins with (Unicode annex 29, without rule GB9c). It is 0 for an empty s.
func NextGrapheme(s string) int {
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return 0
	}
	if r < 0x80 && (len(s) == n || s[n] < 0x80) {
		if r == '\r' && len(s) > n && s[n] == '\n' {
			return 2
		}
		return n
	}
	t := loadGraphemes()
	before := t.at(r)
	picto := before == breakPicto // an emoji, perhaps with Extend after it
	joined := false               // … and a ZWJ after that
	regional := 0
	for n < len(s) {
		if before == breakRegional {
			regional++
		}
		r, size := utf8.DecodeRuneInString(s[n:])
		after := t.at(r)
		var join bool
		switch {
		case before == breakControl || after == breakControl:
		case after == breakExtend || after == breakZWJ || before == breakPrepend:
			join = true
		case before == breakL:
			join = after == breakL || after == breakV || after == breakLV || after == breakLVT
		case before == breakLV || before == breakV:
			join = after == breakV || after == breakT
		case before == breakLVT || before == breakT:
			join = after == breakT
		case after == breakPicto:
			join = joined
		case after == breakRegional:
			join = regional%2 == 1
		}
		if !join {
			break
		}
		joined = picto && after == breakZWJ
		picto = after == breakPicto || picto && (after == breakExtend || after == breakZWJ)
		before = after
		n += size
	}
	return n
}
