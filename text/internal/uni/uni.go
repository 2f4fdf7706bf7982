// Package uni answers questions about characters as the tokenizers library
// does. That library mixes several editions of Unicode: its normal forms, its
// general categories, its scripts and Rust's own char methods each come from
// another crate of another year. Go's unicode tables match none of them, and
// change with the Go release, so this package carries its own, measured on the
// library by gen.py for every code point.
//
// All functions accept any rune; what is not a Unicode scalar value has no
// property and maps to itself.
package uni

import (
	_ "embed"
	"encoding/binary"
	"sync"
)

//go:generate python3 gen.py

//go:embed tables.bin
var packed []byte

// Bits of a flag vector, in the order of gen.py.
const (
	flagWhitespace = 1 << iota
	flagNumeric
	flagWord
	flagCombining
	flagMn
	flagPunct
	flagBertControl
	flagBertWhitespace
	flagChinese
)

const maxRune = 0x10FFFF

// trie maps a code point to a small number in two steps; equal pages are shared.
type trie struct {
	index [(maxRune + 1) >> 8]uint16
	pages [][256]uint8
}

func (t *trie) at(r rune) uint8 {
	if uint32(r) > maxRune {
		return 0
	}
	return t.pages[t.index[r>>8]][uint8(r)]
}

type tables struct {
	vectors        []uint16
	flags, scripts trie
	ccc            trie
	canon, compat  map[rune][]rune
	lower          map[rune][]rune
	pairs          map[[2]rune]rune
	latin          [256]uint16 // flags of U+0000 to U+00FF
}

var load = sync.OnceValue(func() *tables {
	d := decoder{packed}
	t := new(tables)
	t.vectors = make([]uint16, d.next())
	for i := range t.vectors {
		t.vectors[i] = uint16(d.next())
	}
	d.trie(&t.flags)
	d.trie(&t.scripts)
	d.trie(&t.ccc)
	t.canon = d.mapping()
	t.compat = d.mapping()
	t.lower = d.mapping()
	n := d.next()
	t.pairs = make(map[[2]rune]rune, n)
	a := rune(0)
	for range n {
		a += rune(d.next())
		b := rune(d.next())
		t.pairs[[2]rune{a, b}] = rune(d.next())
	}
	for i := range t.latin {
		t.latin[i] = t.vectors[t.flags.at(rune(i))]
	}
	return t
})

// decoder reads the varints of tables.bin, which is our own file: it is complete.
type decoder struct{ b []byte }

func (d *decoder) next() int {
	v, n := binary.Uvarint(d.b)
	d.b = d.b[n:]
	return int(v)
}

// trie reads a run-length encoded table.
func (d *decoder) trie(t *trie) {
	seen := map[[256]uint8]uint16{}
	var page [256]uint8
	at := 0
	for range d.next() {
		n, v := d.next(), uint8(d.next())
		for n > 0 {
			k := min(n, 256-at&255)
			for i := range k {
				page[at&255+i] = v
			}
			at, n = at+k, n-k
			if at&255 != 0 {
				continue
			}
			id, ok := seen[page]
			if !ok {
				id = uint16(len(t.pages))
				seen[page] = id
				t.pages = append(t.pages, page)
			}
			t.index[at>>8-1] = id
		}
	}
}

func (d *decoder) mapping() map[rune][]rune {
	n := d.next()
	m := make(map[rune][]rune, n)
	r := rune(0)
	for range n {
		r += rune(d.next())
		to := make([]rune, d.next())
		for i := range to {
			to[i] = rune(d.next())
		}
		m[r] = to
	}
	return m
}

func has(r rune, flag uint16) bool {
	t := load()
	if uint32(r) < 256 {
		return t.latin[r]&flag != 0
	}
	return t.vectors[t.flags.at(r)]&flag != 0
}

// IsWhitespace is Rust's char::is_whitespace (White_Space), which is also \s of
// the library's own Rust regexes.
func IsWhitespace(r rune) bool {
	if r < 0x80 {
		return r == ' ' || '\t' <= r && r <= '\r'
	}
	return has(r, flagWhitespace)
}

// IsNumeric is Rust's char::is_numeric: the general categories Nd, Nl and No.
func IsNumeric(r rune) bool {
	if r < 0x80 {
		return '0' <= r && r <= '9'
	}
	return has(r, flagNumeric)
}

// IsWord is \w of the library's own Rust regexes (the Whitespace pre-tokenizer
// and the single_word rule of added tokens): Alphabetic, M, Nd, Pc and Join_Control.
func IsWord(r rune) bool { return has(r, flagWord) }

// IsCombiningMark tells whether the StripAccents normalizer drops r: the
// general categories Mn, Mc and Me of its Unicode edition.
func IsCombiningMark(r rune) bool { return has(r, flagCombining) }

// IsMn tells whether BertNormalizer's strip_accents drops r, the category Mn of
// its Unicode edition. A character that decomposes counts as its decomposition
// does: BertNormalizer looks at NFD text only.
func IsMn(r rune) bool { return has(r, flagMn) }

// IsPunctuation is the rule of the Punctuation pre-tokenizer: ASCII
// punctuation and symbols, and the category P of an older Unicode.
func IsPunctuation(r rune) bool { return has(r, flagPunct) }

// IsBertPunct is the rule of BertPreTokenizer; gen.py checks that it is
// that of the Punctuation pre-tokenizer.
func IsBertPunct(r rune) bool { return has(r, flagPunct) }

// IsBertControl tells whether BertNormalizer's clean_text takes r for a control
// character: Cc, Cf and Co but tab, line feed and carriage return. clean_text
// drops these and U+FFFD.
func IsBertControl(r rune) bool { return has(r, flagBertControl) }

// IsBertWhitespace tells whether BertNormalizer's clean_text turns r into a space.
func IsBertWhitespace(r rune) bool { return has(r, flagBertWhitespace) }

// IsChinese tells whether BertNormalizer's handle_chinese_chars puts spaces round r.
func IsChinese(r rune) bool { return r >= 0x3400 && has(r, flagChinese) }

// ScriptAny is the script of a character that joins the one before it.
const ScriptAny = 0

// Script numbers the groups that the UnicodeScripts pre-tokenizer splits
// between: the Script property of its Unicode edition, where Hiragana, Katakana
// and U+30FC count as Han, and the space and unknown characters are ScriptAny.
// The numbers have no other meaning.
func Script(r rune) int { return int(load().scripts.at(r)) }
