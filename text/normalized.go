package text

import (
	"strings"
	"unicode/utf8"
)

// span is a byte range [start, end) of the original text.
type span struct{ start, end int32 }

// normalized is a text on its way through the normalizers, or a piece of one.
// Every byte knows the range of the original that it stands for.
type normalized struct {
	text  string
	align []span // one a byte; nil if text is the original from shift on
	shift int    // where in the original this piece begins
}

// at returns what byte i stands for.
func (n *normalized) at(i int) span {
	if n.align != nil {
		return n.align[i]
	}
	for i > 0 && !utf8.RuneStart(n.text[i]) {
		i--
	}
	_, size := utf8.DecodeRuneInString(n.text[i:])
	return span{int32(n.shift + i), int32(n.shift + i + size)}
}

// origin returns the original range of the bytes [start, end).
func (n *normalized) origin(start, end int) (int, int) {
	if start == end { // as the library has it: an index of the normalized text
		return n.shift + start, n.shift + end
	}
	return int(n.at(start).start), int(n.at(end - 1).end)
}

// slice returns the piece [start, end).
func (n *normalized) slice(start, end int) normalized {
	if n.align == nil {
		return normalized{n.text[start:end], nil, n.shift + start}
	}
	o, _ := n.origin(start, end)
	return normalized{n.text[start:end], n.align[start:end:end], o}
}

// edit is one character of a new text: in place of the next old one and -change
// more (change <= 0), or inserted (change 1).
type edit struct {
	r      rune
	change int32
}

// editor collects the new form of a text, character by character.
type editor struct {
	edits   []edit
	changed bool // differs from the old text
}

// newEditor returns an editor with room for a text like n's.
func newEditor(n *normalized) editor { return editor{edits: make([]edit, 0, len(n.text)+8)} }

func (e *editor) keep(r rune) { e.edits = append(e.edits, edit{r, 0}) }

func (e *editor) replace(old, r rune) {
	e.changed = e.changed || old != r
	e.edits = append(e.edits, edit{r, 0})
}

func (e *editor) add(r rune, change int) {
	e.changed = true
	e.edits = append(e.edits, edit{r, int32(change)})
}

// apply makes the edits, after dropping the first drop characters.
func (n *normalized) apply(e *editor, drop int) {
	if e.changed || drop > 0 {
		n.transform(0, len(n.text), e.edits, drop)
	}
}

// transform replaces the bytes [start, end) by edits.
func (n *normalized) transform(start, end int, edits []edit, drop int) {
	pos := start
	next := func() { // passes over one old character
		if pos < end {
			_, size := utf8.DecodeRuneInString(n.text[pos:end])
			pos += size
		}
	}
	for range drop {
		next()
	}
	var b strings.Builder
	b.Grow(end - start + 8)
	align := make([]span, 0, end-start+8)
	base := span{int32(n.shift), int32(n.shift)}
	for _, e := range edits {
		var a span
		switch {
		case e.change > 0 && pos > 0:
			a = n.at(pos - 1)
		case e.change > 0:
			a = base
		case pos < len(n.text):
			a = n.at(pos)
		case pos > 0:
			a = n.at(pos - 1)
		default:
			a = base
		}
		for k := e.change; k <= 0; k++ {
			next()
		}
		before := b.Len()
		b.WriteRune(e.r)
		for range b.Len() - before {
			align = append(align, a)
		}
	}
	if start == 0 && end == len(n.text) {
		n.text, n.align = b.String(), align
		return
	}
	all := make([]span, 0, len(n.text)-(end-start)+len(align))
	for i := range start {
		all = append(all, n.at(i))
	}
	all = append(all, align...)
	for i := end; i < len(n.text); i++ {
		all = append(all, n.at(i))
	}
	n.text, n.align = n.text[:start]+b.String()+n.text[end:], all
}

// filter keeps the characters that keep accepts.
func (n *normalized) filter(keep func(rune) bool) {
	if !strings.ContainsFunc(n.text, func(r rune) bool { return !keep(r) }) {
		return
	}
	e := newEditor(n)
	drop, removed := 0, 0
	for _, r := range n.text {
		if !keep(r) {
			removed++
			continue
		}
		if k := len(e.edits); k > 0 {
			e.edits[k-1].change = int32(-removed)
		} else {
			drop = removed
		}
		e.changed = e.changed || removed > 0
		removed = 0
		e.keep(r)
	}
	if k := len(e.edits); k > 0 {
		e.edits[k-1].change = int32(-removed)
	}
	e.changed = e.changed || removed > 0
	n.apply(&e, drop)
}

// mapRunes replaces each character by another.
func (n *normalized) mapRunes(f func(rune) rune) {
	if !strings.ContainsFunc(n.text, func(r rune) bool { return f(r) != r }) {
		return
	}
	e := newEditor(n)
	for _, r := range n.text {
		e.replace(r, f(r))
	}
	n.apply(&e, 0)
}

// prepend puts s before a text that is not empty.
func (n *normalized) prepend(s string) {
	if n.text == "" || s == "" {
		return
	}
	first, size := utf8.DecodeRuneInString(n.text)
	edits := make([]edit, 0, len(s)+1)
	for _, r := range s {
		change := int32(1)
		if len(edits) == 0 {
			change = 0
		}
		edits = append(edits, edit{r, change})
	}
	n.transform(0, size, append(edits, edit{first, 1}), 0)
}

// replaceAll puts content in place of every match.
func (n *normalized) replaceAll(matches [][2]int, content string) {
	if len(matches) == 0 {
		return
	}
	var b strings.Builder
	align := make([]span, 0, len(n.text))
	last := 0
	copyTo := func(end int) {
		b.WriteString(n.text[last:end])
		for i := last; i < end; i++ {
			align = append(align, n.at(i))
		}
	}
	for _, m := range matches {
		copyTo(m[0])
		a := span{int32(n.shift), int32(n.shift)}
		if m[1] > 0 {
			a = n.at(m[1] - 1)
		}
		b.WriteString(content)
		for range len(content) {
			align = append(align, a)
		}
		last = m[1]
	}
	copyTo(len(n.text))
	n.text, n.align = b.String(), align
}

// piece is a part of the input: still text, or an added token that was found in it.
type piece struct {
	normalized
	added bool
	id    int // of the added token
}

// splitEach replaces every piece of text by what split makes of it; empty pieces go.
func splitEach(pieces []piece, split func(n *normalized, emit func(normalized))) []piece {
	out := make([]piece, 0, len(pieces)+8)
	emit := func(n normalized) {
		if n.text != "" {
			out = append(out, piece{normalized: n})
		}
	}
	for i := range pieces {
		if pieces[i].added {
			out = append(out, pieces[i])
			continue
		}
		split(&pieces[i].normalized, emit)
	}
	return out
}

// chunk is a range of a text and whether it is a match of the pattern.
type chunk struct {
	start, end int
	match      bool
}

// chunks fills the gaps between matches.
func chunks(text string, matches [][2]int, dst []chunk) []chunk {
	if text == "" {
		return append(dst, chunk{0, 0, false})
	}
	last := 0
	for _, m := range matches {
		if m[0] != last {
			dst = append(dst, chunk{last, m[0], false})
		}
		dst = append(dst, chunk{m[0], m[1], true})
		last = m[1]
	}
	if last != len(text) {
		dst = append(dst, chunk{last, len(text), false})
	}
	return dst
}

// runeChunks finds the characters that is accepts, each a match of its own.
func runeChunks(text string, is func(rune) bool, dst []chunk) []chunk {
	last := 0
	for i, r := range text {
		if !is(r) {
			continue
		}
		if last < i {
			dst = append(dst, chunk{last, i, false})
		}
		last = i + utf8.RuneLen(r)
		dst = append(dst, chunk{i, last, true})
	}
	if last < len(text) {
		dst = append(dst, chunk{last, len(text), false})
	}
	return dst
}

// behavior says what becomes of the matches that a text is split at.
type behavior uint8

const (
	isolated behavior = iota
	removed
	contiguous
	mergedWithPrevious
	mergedWithNext
)

// arrange merges or drops chunks in place.
func (b behavior) arrange(cs []chunk) []chunk {
	out := cs[:0]
	previous := false
	switch b {
	case isolated:
		return cs
	case removed:
		for _, c := range cs {
			if !c.match {
				out = append(out, c)
			}
		}
	case contiguous, mergedWithPrevious:
		for _, c := range cs {
			join := c.match == previous
			if b == mergedWithPrevious {
				join = c.match && !previous
			}
			if previous = c.match; join && len(out) > 0 {
				out[len(out)-1].end = c.end
			} else {
				out = append(out, c)
			}
		}
	case mergedWithNext:
		at := len(cs) // the result grows downwards from the end
		for i := len(cs) - 1; i >= 0; i-- {
			c := cs[i]
			if c.match && !previous && at < len(cs) {
				cs[at].start = c.start
			} else {
				at--
				cs[at] = c
			}
			previous = c.match
		}
		return cs[at:]
	}
	return out
}

// emitChunks slices n.
func emitChunks(n *normalized, cs []chunk, emit func(normalized)) {
	for _, c := range cs {
		if c.start < c.end {
			emit(n.slice(c.start, c.end))
		}
	}
}
