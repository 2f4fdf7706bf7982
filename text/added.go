package text

import (
	"strings"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// AddedToken is a token that is looked for in the text before the model sees it.
type AddedToken struct {
	Content    string
	SingleWord bool // only where no word character stands on either side
	LStrip     bool // takes the white space before it
	RStrip     bool // takes the white space after it
	Normalized bool // looked for in the normalized text
	Special    bool // left out by Decode if asked
}

// addedTokens is the set of added tokens by id.
type addedTokens struct {
	ids     map[string]int
	tokens  map[int]AddedToken
	written map[int]string // the normalized form, where it differs
	special map[string]bool
	next    int // id for a token that the model does not know

	raw, normal trie // to be found before and after normalization
}

func newAddedTokens(vocabSize int) *addedTokens {
	return &addedTokens{map[string]int{}, map[int]AddedToken{}, map[int]string{}, map[string]bool{}, vocabSize, trie{}, trie{}}
}

// add registers a token: under the model's id if the model has it, else the
// next free one. The ids that a file gives are not looked at, as in the library.
func (a *addedTokens) add(t AddedToken, m *vocabulary, norm normalizer) {
	if t.Content == "" {
		return
	}
	id, ok := a.ids[t.Content]
	if ok && a.tokens[id] == t {
		return
	}
	if !ok {
		if id, ok = m.ids[t.Content]; !ok {
			id = a.next
			a.next++
		}
	}
	if t.Normalized && norm != nil {
		n := normalized{text: t.Content}
		if norm.normalize(&n); n.text != t.Content {
			a.written[id] = n.text
		}
	}
	a.ids[t.Content] = id
	if t.Special {
		a.special[t.Content] = true
	}
	a.tokens[id] = t
}

// index builds the tries. Of two tokens with one form the lower id is found.
func (a *addedTokens) index() {
	a.raw, a.normal = trie{}, trie{}
	seen := map[string]int{}
	for id, t := range a.tokens {
		form, to := t.Content, &a.raw
		if t.Normalized {
			to = &a.normal
			if w, ok := a.written[id]; ok {
				form = w
			}
		}
		if form == "" {
			continue
		}
		key := form
		if t.Normalized {
			key += "\x00n"
		}
		if other, ok := seen[key]; ok && other < id {
			continue
		}
		seen[key] = id
		to.insert(form, id)
	}
}

// token returns the text of an added token.
func (a *addedTokens) token(id int) (string, bool) {
	t, ok := a.tokens[id]
	if !ok {
		return "", false
	}
	if w, ok := a.written[id]; ok {
		return w, true
	}
	return t.Content, true
}

// cut splits a text at the tokens of t: leftmost first, of those the longest.
func (a *addedTokens) cut(n *normalized, t *trie, emit func(piece)) {
	text := n.text
	if text == "" {
		return
	}
	if len(t.nodes) == 0 {
		emit(piece{normalized: n.slice(0, len(text))}) // a slice: where it begins is where its first character stood
		return
	}
	done := 0     // what is before this is emitted
	spaceEnd := 0 // where the white space ends that the last such token took
	for at := 0; at < len(text); {
		size, id, ok := t.longest(text[at:])
		if !ok {
			at++
			continue
		}
		start, end := at, at+size
		at = end
		tok := a.tokens[id]
		if tok.SingleWord && (wordBefore(text, start) || wordAfter(text, end)) {
			continue
		}
		if tok.LStrip {
			// A token that takes white space after it may have passed this one's beginning.
			before := text[min(done, start):start]
			start = max(done, start-len(before)+len(strings.TrimRightFunc(before, uni.IsWhitespace)))
		}
		if tok.RStrip {
			if end >= spaceEnd {
				spaceEnd = len(text) - len(strings.TrimLeftFunc(text[end:], uni.IsWhitespace))
			}
			end = spaceEnd
		}
		if done < start {
			emit(piece{normalized: n.slice(done, start)})
		}
		if start < end {
			emit(piece{normalized: n.slice(start, end), added: true, id: id})
		}
		done = end
	}
	if done < len(text) {
		emit(piece{normalized: n.slice(done, len(text))})
	}
}

func wordBefore(s string, i int) bool {
	r, size := utf8.DecodeLastRuneInString(s[:i])
	return size > 0 && uni.IsWord(r)
}

func wordAfter(s string, i int) bool {
	r, size := utf8.DecodeRuneInString(s[i:])
	return size > 0 && uni.IsWord(r)
}

// extract splits the input at the added tokens and normalizes what is between.
func (a *addedTokens) extract(input string, norm normalizer) []piece {
	var pieces, out []piece
	n := normalized{text: input}
	a.cut(&n, &a.raw, func(p piece) { pieces = append(pieces, p) })
	for _, p := range pieces {
		if p.added {
			out = append(out, p)
			continue
		}
		if norm != nil {
			norm.normalize(&p.normalized)
		}
		a.cut(&p.normalized, &a.normal, func(q piece) { out = append(out, q) })
	}
	return out
}

// parseAddedTokens reads the "added_tokens" of a tokenizer.json.
func parseAddedTokens(v value, each func(AddedToken)) error {
	return v.each(func(_ int, e value) error {
		r := read(e)
		r.int("id")
		t := AddedToken{
			Content: r.str("content"), SingleWord: r.bool("single_word"), LStrip: r.bool("lstrip"),
			RStrip: r.bool("rstrip"), Normalized: r.bool("normalized"), Special: r.bool("special"),
		}
		if r.err == nil {
			each(t)
		}
		return r.err
	})
}
