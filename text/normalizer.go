package text

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text/internal/onig"
	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// normalizer rewrites a text, keeping track of where it came from.
type normalizer interface {
	normalize(n *normalized)
}

// maxNesting bounds Sequences within Sequences.
const maxNesting = 32

// parseNormalizer reads a normalizer; files of old have no "type", and then
// the fields tell what it is.
func parseNormalizer(v value, depth int) (normalizer, error) {
	r := read(v)
	kind := r.kind()
	if r.err != nil {
		return nil, r.err
	}
	if depth > maxNesting {
		return nil, v.errorf("nested deeper than %d", maxNesting)
	}
	if kind == "" {
		for _, guess := range [][2]string{{"lowercase", "BertNormalizer"}, {"strip_left", "Strip"}, {"normalizers", "Sequence"},
			{"precompiled_charsmap", "Precompiled"}, {"pattern", "Replace"}, {"prepend", "Prepend"}} {
			if kind == "" && r.o.has(guess[0]) {
				kind = guess[1]
			}
		}
	}
	var n normalizer
	switch kind {
	case "BertNormalizer", "Bert":
		b := bertNormalizer{cleanText: r.bool("clean_text"), chineseChars: r.bool("handle_chinese_chars"), lowercase: r.bool("lowercase")}
		b.stripAccents = r.boolOr("strip_accents", b.lowercase)
		n = b
	case "NFC":
		n = normalForm{compose: true}
	case "NFD":
		n = normalForm{}
	case "NFKC":
		n = normalForm{compose: true, compat: true}
	case "NFKD":
		n = normalForm{compat: true}
	case "Nmt":
		n = nmt{}
	case "Precompiled":
		return parsePrecompiled(r)
	case "Lowercase":
		n = lowercase{}
	case "Strip":
		n = strip{left: r.bool("strip_left"), right: r.bool("strip_right")}
	case "StripAccents":
		n = stripAccents{}
	case "Replace":
		re := field(r, "pattern", parsePattern)
		n = replace{re, r.str("content")}
	case "Prepend":
		n = prepend{r.str("prepend")}
	case "ByteLevel":
		n = byteLevelNormalizer{}
	case "Sequence":
		seq, err := sequence(r, "normalizers", depth, parseNormalizer)
		return normalizers(seq), err
	default:
		return nil, unsupported(v, "normalizer", kind)
	}
	return n, r.err
}

// parsePattern reads {"String": s} or {"Regex": s}.
func parsePattern(v value) (*onig.Regexp, error) {
	o, err := v.fields()
	if err != nil {
		return nil, err
	}
	compile, key := onig.Compile, "Regex"
	if _, ok := o.m["String"]; ok {
		compile, key = onig.CompileLiteral, "String"
	}
	s, err := o.get(key).str()
	if err != nil {
		return nil, err
	}
	re, err := compile(s)
	if err != nil {
		if e, ok := err.(*onig.Error); ok && e.Err != nil {
			return nil, fmt.Errorf("%s: %w: %w", o.get(key).path(), ErrUnsupported, err)
		}
		return nil, o.get(key).errorf("%w", err)
	}
	return re, nil
}

// normalizers is a Sequence.
type normalizers []normalizer

func (s normalizers) normalize(n *normalized) {
	for _, m := range s {
		m.normalize(n)
	}
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

type bertNormalizer struct {
	cleanText, chineseChars, stripAccents, lowercase bool
}

func (b bertNormalizer) normalize(n *normalized) {
	if b.cleanText {
		n.filter(func(r rune) bool { return r != 0 && r != utf8.RuneError && !uni.IsBertControl(r) })
		n.mapRunes(func(r rune) rune {
			if uni.IsBertWhitespace(r) {
				return ' '
			}
			return r
		})
	}
	if b.chineseChars && !isASCII(n.text) {
		e := newEditor(n)
		for _, r := range n.text {
			if uni.IsChinese(r) {
				e.changed = true
				e.keep(' ')
				e.add(r, 1)
				e.add(' ', 1)
				continue
			}
			e.keep(r)
		}
		n.apply(&e, 0)
	}
	if b.stripAccents {
		normalForm{}.normalize(n)
		if !isASCII(n.text) {
			n.filter(func(r rune) bool { return !uni.IsMn(r) })
		}
	}
	if b.lowercase {
		lowercase{}.normalize(n)
	}
}

type lowercase struct{}

func (lowercase) normalize(n *normalized) {
	if isASCII(n.text) {
		n.text = strings.ToLower(n.text) // the places stay
		return
	}
	e := newEditor(n)
	var buf [4]rune
	for _, r := range n.text {
		to := uni.ToLower(r, buf[:0])
		e.replace(r, to[0])
		for _, c := range to[1:] {
			e.add(c, 1)
		}
	}
	n.apply(&e, 0)
}

// normalForm is one of NFC, NFD, NFKC and NFKD (Unicode annex 15).
type normalForm struct{ compose, compat bool }

func (f normalForm) normalize(n *normalized) {
	if isASCII(n.text) {
		return
	}
	e := decompose(n.text, f.compat)
	if f.compose {
		e.edits = compose(e.edits)
	}
	// The same characters in the same places need no work.
	i := 0
	for _, d := range e.edits {
		r, size := utf8.DecodeRuneInString(n.text[i:])
		if d.r != r || d.change != 0 {
			n.transform(0, len(n.text), e.edits, 0)
			return
		}
		i += size
	}
	if i != len(n.text) {
		n.transform(0, len(n.text), e.edits, 0)
	}
}

type strip struct{ left, right bool }

func (s strip) normalize(n *normalized) {
	t := n.text
	if s.left {
		t = strings.TrimLeftFunc(t, uni.IsWhitespace)
	}
	start := len(n.text) - len(t)
	if s.right {
		t = strings.TrimRightFunc(t, uni.IsWhitespace)
	}
	if len(t) == len(n.text) {
		return
	}
	if n.align == nil {
		// The piece still begins where it did: only its text is shorter.
		n.align = make([]span, len(t))
		for i := range t {
			for k := i; k == i || k < len(t) && !utf8.RuneStart(t[k]); k++ {
				_, size := utf8.DecodeRuneInString(t[i:])
				n.align[k] = span{int32(n.shift + start + i), int32(n.shift + start + i + size)}
			}
		}
	} else {
		n.align = n.align[start : start+len(t)]
	}
	n.text = t
}

type stripAccents struct{}

func (stripAccents) normalize(n *normalized) {
	if !isASCII(n.text) {
		n.filter(func(r rune) bool { return !uni.IsCombiningMark(r) })
	}
}

type replace struct {
	re      *onig.Regexp
	content string
}

func (p replace) normalize(n *normalized) {
	if n.text != "" {
		n.replaceAll(p.re.FindAll(n.text, nil), p.content)
	}
}

type prepend struct{ s string }

func (p prepend) normalize(n *normalized) { n.prepend(p.s) }

// nmt is the clean-up of Google's neural machine translation vocabularies.
type nmt struct{}

func (nmt) normalize(n *normalized) {
	n.filter(func(r rune) bool {
		return !(1 <= r && r <= 8 || r == 0x0B || 0x0E <= r && r <= 0x1F || r == 0x7F || r == 0x8F || r == 0x9F)
	})
	n.mapRunes(func(r rune) rune {
		switch {
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200B <= r && r <= 0x200F,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xFEFF, r == 0xFFFD:
			return ' '
		}
		return r
	})
}

type byteLevelNormalizer struct{}

func (byteLevelNormalizer) normalize(n *normalized) { toByteLevel(n) }

// byteRunes is GPT-2's bytes_to_unicode: printable bytes stand for themselves,
// the others for the characters from U+0100 on.
var byteRunes, runeBytes = func() (to [256]rune, from map[rune]byte) {
	from = make(map[rune]byte, 256)
	next := rune(256)
	for b := range to {
		r := rune(b)
		if !('!' <= r && r <= '~' || 0xA1 <= r && r <= 0xAC || 0xAE <= r && r <= 0xFF) {
			r, next = next, next+1
		}
		to[b], from[r] = r, byte(b)
	}
	return to, from
}()

// toByteLevel writes each byte as the character that stands for it.
func toByteLevel(n *normalized) {
	plain := true
	for i := 0; i < len(n.text); i++ {
		plain = plain && '!' <= n.text[i] && n.text[i] <= '~'
	}
	if plain {
		return
	}
	var b strings.Builder
	b.Grow(len(n.text) + 8)
	align := make([]span, 0, len(n.text)+8)
	for i := 0; i < len(n.text); i++ {
		a := n.at(i)
		if i > 0 && !utf8.RuneStart(n.text[i]) {
			// Inserted after the whole character: its last byte's place.
			j := i + 1
			for j < len(n.text) && !utf8.RuneStart(n.text[j]) {
				j++
			}
			a = n.at(j - 1)
		}
		before := b.Len()
		b.WriteRune(byteRunes[n.text[i]])
		for range b.Len() - before {
			align = append(align, a)
		}
	}
	n.text, n.align = b.String(), align
}
