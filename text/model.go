package text

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

// token is a part of a piece: its id, its text as the vocabulary has it, and the
// bytes [start, end) of the piece.
type token struct {
	id         int
	text       string
	start, end int
}

// model turns a piece of text into tokens.
type model interface {
	// tokenize appends the tokens of s, which is not empty, to dst.
	tokenize(s string, dst []token) ([]token, error)
	vocabulary() *vocabulary
}

// vocabulary maps tokens to ids and back.
type vocabulary struct {
	ids    map[string]int
	tokens map[int]string
}

func newVocabulary(n int) *vocabulary {
	return &vocabulary{make(map[string]int, n), make(map[int]string, n)}
}

func (v *vocabulary) set(token string, id int) {
	v.ids[token] = id
	v.tokens[id] = token
}

// parseVocabulary reads {"token": id, …}.
func parseVocabulary(v value) (*vocabulary, error) {
	voc := newVocabulary(len(v.raw) / 16)
	err := v.members(func(key string, raw []byte) error {
		id, ok := parseID(raw)
		if !ok {
			_, err := v.child(raw, fmt.Sprintf("%q", key)).integer()
			return err
		}
		voc.set(key, id)
		return nil
	})
	return voc, err
}

// parseID is integer without its allocations.
func parseID(raw []byte) (int, bool) {
	n := 0
	for _, c := range raw {
		if n = n*10 + int(c-'0'); c < '0' || c > '9' || n > maxID {
			return 0, false
		}
	}
	return n, len(raw) > 0
}

func parseModel(v value) (model, error) {
	r := read(v)
	kind := r.kind()
	if r.err != nil {
		return nil, r.err
	}
	if kind == "" { // files of old: the fields tell
		switch {
		case r.o.has("merges"):
			kind = "BPE"
		case r.o.has("continuing_subword_prefix"):
			kind = "WordPiece"
		case r.o.get("vocab").isList():
			kind = "Unigram"
		default:
			kind = "WordLevel"
		}
	}
	switch kind {
	case "WordPiece":
		m := &wordPiece{unk: r.str("unk_token"), prefix: r.str("continuing_subword_prefix"), maxChars: r.int("max_input_chars_per_word")}
		m.vocab = field(r, "vocab", parseVocabulary)
		if r.err != nil {
			return nil, r.err
		}
		m.prepare()
		return m, nil
	case "WordLevel":
		m := &wordLevel{unk: r.str("unk_token")}
		m.vocab = field(r, "vocab", parseVocabulary)
		return m, r.err
	case "BPE":
		return parseBPE(r)
	case "Unigram":
		return parseUnigram(r)
	}
	return nil, unsupported(v, "model", kind)
}

// errNoUnknown is returned for text that the vocabulary cannot write when it
// has no token for the unknown either.
var errNoUnknown = errors.New("text outside the vocabulary, which has no unknown token")

// wordLevel looks up whole words.
type wordLevel struct {
	vocab *vocabulary
	unk   string
}

func (m *wordLevel) vocabulary() *vocabulary { return m.vocab }

func (m *wordLevel) tokenize(s string, dst []token) ([]token, error) {
	if id, ok := m.vocab.ids[s]; ok {
		return append(dst, token{id, s, 0, len(s)}), nil
	}
	return unknown(m.vocab, m.unk, s, dst)
}

func unknown(v *vocabulary, unk, s string, dst []token) ([]token, error) {
	id, ok := v.ids[unk]
	if !ok {
		return dst, errNoUnknown
	}
	return append(dst, token{id, unk, 0, len(s)}), nil
}

// wordPiece takes the longest known prefix of a word, then the longest known
// continuation of it, and so on (Schuster and Nakajima 2012; BERT).
type wordPiece struct {
	vocab       *vocabulary
	unk, prefix string
	maxChars    int
	longest     int // bytes of the longest token, so that long words cost no more than linear time
}

func (m *wordPiece) prepare() {
	for t := range m.vocab.ids {
		m.longest = max(m.longest, len(t))
	}
}

func (m *wordPiece) vocabulary() *vocabulary { return m.vocab }

func (m *wordPiece) tokenize(s string, dst []token) ([]token, error) {
	if len(s) > m.maxChars && runeLen(s) > m.maxChars {
		return unknown(m.vocab, m.unk, s, dst)
	}
	base := len(dst)
	var buf []byte
	for start := 0; start < len(s); {
		end := min(len(s), start+m.longest)
		for end < len(s) && !utf8.RuneStart(s[end]) {
			end--
		}
		if start > 0 {
			buf = append(append(buf[:0], m.prefix...), s[start:end]...)
		}
		found := false
		for ; start < end; end-- {
			if end < len(s) && !utf8.RuneStart(s[end]) {
				continue
			}
			var id int
			if start == 0 {
				id, found = m.vocab.ids[s[:end]]
			} else {
				id, found = m.vocab.ids[string(buf[:len(m.prefix)+end-start])]
			}
			if found {
				text := m.vocab.tokens[id]
				if start > 0 && text != string(buf[:len(m.prefix)+end-start]) || start == 0 && text != s[:end] {
					text = m.prefix + s[start:end] // two tokens share the id
					if start == 0 {
						text = s[:end]
					}
				}
				dst = append(dst, token{id, text, start, end})
				break
			}
		}
		if !found {
			return unknown(m.vocab, m.unk, s, dst[:base])
		}
		start = end
	}
	return dst, nil
}

// bytesTokens is the vocabulary's <0x00> to <0xFF>; -1 where it lacks one.
func bytesTokens(v *vocabulary) (ids [256]int) {
	for b := range ids {
		id, ok := v.ids[byteToken(byte(b))]
		if !ok {
			id = -1
		}
		ids[b] = id
	}
	return ids
}

func byteToken(b byte) string {
	const hex = "0123456789ABCDEF"
	return string([]byte{'<', '0', 'x', hex[b>>4], hex[b&15], '>'})
}

// unsupported returns the error for a component that this package lacks.
func unsupported(v value, what, name string) error {
	if name == "" {
		return v.errorf("%w: %s without a type", ErrUnsupported, what)
	}
	return v.errorf("%w: %s %q", ErrUnsupported, what, name)
}
