package text

import (
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text/internal/onig"
	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// preTokenizer splits pieces of text into the words that the model sees.
type preTokenizer interface {
	split(pieces []piece) []piece
}

func parsePreTokenizer(v value, depth int) (preTokenizer, error) {
	r := read(v)
	kind := r.kind()
	if r.err != nil {
		return nil, r.err
	}
	if depth > maxNesting {
		return nil, v.errorf("nested deeper than %d", maxNesting)
	}
	var p preTokenizer
	switch kind {
	case "BertPreTokenizer":
		p = preTokenizers{runeSplit{uni.IsWhitespace, removed}, runeSplit{uni.IsBertPunct, isolated}}
	case "ByteLevel":
		r.bool("trim_offsets") // of use to the post-processor alone
		p = byteLevel{addPrefixSpace: r.bool("add_prefix_space"), useRegex: r.boolOr("use_regex", true)}
	case "CharDelimiterSplit":
		c := r.char("delimiter")
		p = runeSplit{func(r rune) bool { return r == c }, removed}
	case "Whitespace":
		p = whitespace{}
	case "WhitespaceSplit":
		p = runeSplit{uni.IsWhitespace, removed}
	case "Metaspace":
		m := parseMetaspace(r)
		m.whole = !r.boolOr("split", true)
		p = m
	case "Punctuation":
		p = runeSplit{uni.IsPunctuation, fieldOr(r, "behavior", isolated, parseBehavior)}
	case "Digits":
		b := contiguous
		if r.bool("individual_digits") {
			b = isolated
		}
		p = runeSplit{uni.IsNumeric, b}
	case "Split":
		p = regexSplit{field(r, "pattern", parsePattern), field(r, "behavior", parseBehavior), r.bool("invert")}
	case "UnicodeScripts":
		p = unicodeScripts{}
	case "FixedLength":
		f := fixedLength{r.intOr("length", 5)}
		if r.err == nil && f.length == 0 {
			return nil, r.o.get("length").errorf("want at least 1")
		}
		p = f
	case "Sequence":
		seq, err := sequence(r, "pretokenizers", depth, parsePreTokenizer)
		return preTokenizers(seq), err
	default:
		return nil, unsupported(v, "pre_tokenizer", kind)
	}
	return p, r.err
}

func parseBehavior(v value) (behavior, error) {
	s, err := v.str()
	if err != nil {
		return 0, err
	}
	for b, name := range []string{"Isolated", "Removed", "Contiguous", "MergedWithPrevious", "MergedWithNext"} {
		if s == name {
			return behavior(b), nil
		}
	}
	return 0, unsupported(v, "behavior", s)
}

// preTokenizers is a Sequence.
type preTokenizers []preTokenizer

func (s preTokenizers) split(pieces []piece) []piece {
	for _, p := range s {
		pieces = p.split(pieces)
	}
	return pieces
}

// runeSplit splits at the characters that is accepts.
type runeSplit struct {
	is       func(rune) bool
	behavior behavior
}

func (s runeSplit) split(pieces []piece) []piece {
	var cs []chunk
	return splitEach(pieces, func(n *normalized, emit func(normalized)) {
		cs = s.behavior.arrange(runeChunks(n.text, s.is, cs[:0]))
		emitChunks(n, cs, emit)
	})
}

// regexSplit splits at the matches of an expression, or between them.
type regexSplit struct {
	re       *onig.Regexp
	behavior behavior
	invert   bool
}

func (s regexSplit) split(pieces []piece) []piece {
	var cs []chunk
	var matches [][2]int
	return splitEach(pieces, func(n *normalized, emit func(normalized)) {
		matches = s.re.FindAll(n.text, matches[:0])
		cs = chunks(n.text, matches, cs[:0])
		if s.invert {
			for i := range cs {
				cs[i].match = !cs[i].match
			}
		}
		cs = s.behavior.arrange(cs)
		emitChunks(n, cs, emit)
	})
}

// whitespace is \w+|[^\w\s]+: words and runs of what is neither.
type whitespace struct{}

func (whitespace) split(pieces []piece) []piece {
	class := func(r rune) int {
		switch {
		case uni.IsWord(r):
			return 1
		case uni.IsWhitespace(r):
			return 0
		}
		return 2
	}
	return splitEach(pieces, func(n *normalized, emit func(normalized)) {
		start, last := 0, 0
		for i, r := range n.text {
			c := class(r)
			if c == last {
				continue
			}
			if last != 0 {
				emit(n.slice(start, i))
			}
			start, last = i, c
		}
		if last != 0 {
			emit(n.slice(start, len(n.text)))
		}
	})
}

// gpt2Pattern is GPT-2's own splitting rule.
var gpt2Pattern = sync.OnceValue(func() *onig.Regexp {
	re, err := onig.Compile(`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`)
	if err != nil {
		panic(err) // a constant
	}
	return re
})

type byteLevel struct{ addPrefixSpace, useRegex bool }

func (b byteLevel) split(pieces []piece) []piece {
	var cs []chunk
	var matches [][2]int
	out := splitEach(pieces, func(n *normalized, emit func(normalized)) {
		if b.addPrefixSpace && !strings.HasPrefix(n.text, " ") {
			n.prepend(" ")
		}
		if !b.useRegex {
			emit(*n)
			return
		}
		matches = gpt2Pattern().FindAll(n.text, matches[:0])
		cs = chunks(n.text, matches, cs[:0])
		emitChunks(n, cs, emit)
	})
	for i := range out {
		if !out[i].added {
			toByteLevel(&out[i].normalized)
		}
	}
	return out
}

// Where Metaspace puts a replacement in front.
const (
	prependAlways = "always"
	prependFirst  = "first"
	prependNever  = "never"
)

// metaspace writes spaces as a visible character and splits before it.
type metaspace struct {
	replacement rune
	scheme      string
	whole       bool // do not split
}

func parseMetaspace(r *fieldReader) metaspace {
	m := metaspace{replacement: r.char("replacement"), scheme: r.strOr("prepend_scheme", prependAlways)}
	switch m.scheme {
	case prependAlways, prependFirst, prependNever:
	default:
		if r.err == nil {
			r.err = unsupported(r.o.value, "prepend_scheme", m.scheme)
		}
	}
	if !r.boolOr("add_prefix_space", true) && m.scheme != prependNever && r.err == nil {
		r.err = r.o.errorf("add_prefix_space is false but prepend_scheme is %q", m.scheme)
	}
	return m
}

func (m metaspace) split(pieces []piece) []piece {
	s := string(m.replacement)
	is := func(r rune) bool { return r == m.replacement }
	var cs []chunk
	return splitEach(pieces, func(n *normalized, emit func(normalized)) {
		var spaces [][2]int
		for i := 0; i < len(n.text); i++ {
			if n.text[i] == ' ' {
				spaces = append(spaces, [2]int{i, i + 1})
			}
		}
		first := n.shift == 0
		n.replaceAll(spaces, s)
		if !strings.HasPrefix(n.text, s) && (m.scheme == prependAlways || m.scheme == prependFirst && first) {
			n.prepend(s)
		}
		if m.whole {
			emit(*n)
			return
		}
		cs = mergedWithNext.arrange(runeChunks(n.text, is, cs[:0]))
		emitChunks(n, cs, emit)
	})
}

// unicodeScripts splits where the script changes.
type unicodeScripts struct{}

func (unicodeScripts) split(pieces []piece) []piece {
	return splitEach(pieces, func(n *normalized, emit func(normalized)) {
		start := -1
		last := -1 // no script seen yet
		for i, r := range n.text {
			script := uni.Script(r)
			if script == uni.ScriptAny {
				continue
			}
			if script != last {
				if start >= 0 {
					emit(n.slice(start, i))
				}
				start = i
			}
			last = script
		}
		// What stands before the first script is dropped, as the library drops it.
		if start >= 0 {
			emit(n.slice(start, len(n.text)))
		}
	})
}

// fixedLength cuts every so many characters.
type fixedLength struct{ length int }

func (f fixedLength) split(pieces []piece) []piece {
	return splitEach(pieces, func(n *normalized, emit func(normalized)) {
		start, count := 0, 0
		for i := range n.text {
			if count == f.length {
				emit(n.slice(start, i))
				start, count = i, 0
			}
			count++
		}
		emit(n.slice(start, len(n.text)))
	})
}

// runeLen is the number of characters in s.
func runeLen(s string) int { return utf8.RuneCountInString(s) }
