package text

import (
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// value is one JSON value with its place in the document, for errors. The
// document is checked as a whole when it is opened; after that a value's parts
// are found by scanning its bytes, so that a vocabulary of a quarter of a
// million entries costs no tree of nodes.
//
// encoding/json would do but for three things: it takes "Vocab" for "vocab",
// reads a lone surrogate as U+FFFD, and is several times slower on a map.
type value struct {
	raw    []byte
	parent *value
	name   string // the file's or a member's; of an element none
	index  int    // of an element
}

// path is the value's place, such as tokenizer.json.model.vocab[3].
func (v value) path() string {
	switch {
	case v.parent == nil:
		return v.name
	case v.name == "":
		return fmt.Sprintf("%s[%d]", v.parent.path(), v.index)
	}
	return v.parent.path() + "." + v.name
}

// maxJSONDepth bounds the nesting of a document.
const maxJSONDepth = 128

// parseJSON checks a document and returns its root; name is the file's.
func parseJSON(name string, b []byte) (value, error) {
	if !utf8.Valid(b) {
		return value{}, fmt.Errorf("%s: not UTF-8", name)
	}
	s := scanner{b: b}
	s.space()
	start := s.i
	if err := s.value(0); err != nil {
		return value{}, fmt.Errorf("%s: %w", name, err)
	}
	end := s.i
	if s.space(); s.i != len(b) {
		return value{}, fmt.Errorf("%s: data after the JSON value at byte %d", name, s.i)
	}
	return value{raw: b[start:end], name: name}, nil
}

// scanner checks JSON as RFC 8259 has it.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) fail(what string) error {
	return fmt.Errorf("malformed JSON at byte %d: %s", s.i, what)
}

func (s *scanner) space() {
	for s.i < len(s.b) && (s.b[s.i] == ' ' || s.b[s.i] == '\n' || s.b[s.i] == '\t' || s.b[s.i] == '\r') {
		s.i++
	}
}

func (s *scanner) peek() byte {
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// value passes over one value.
func (s *scanner) value(depth int) error {
	if depth > maxJSONDepth {
		return s.fail(fmt.Sprintf("nested deeper than %d", maxJSONDepth))
	}
	switch c := s.peek(); c {
	case '{', '[':
		return s.composite(depth, c)
	case '"':
		return s.str()
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	}
	return s.number()
}

func (s *scanner) composite(depth int, open byte) error {
	end := open + 2 // '}' or ']'
	s.i++
	s.space()
	if s.peek() == end {
		s.i++
		return nil
	}
	for {
		if open == '{' {
			if s.peek() != '"' {
				return s.fail("want a key")
			}
			if err := s.str(); err != nil {
				return err
			}
			s.space()
			if s.peek() != ':' {
				return s.fail("want a colon")
			}
			s.i++
			s.space()
		}
		if err := s.value(depth + 1); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.i++
			s.space()
		case end:
			s.i++
			return nil
		default:
			return s.fail("want a comma or the end")
		}
	}
}

func (s *scanner) word(w string) error {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return s.fail("unknown word")
	}
	s.i += len(w)
	return nil
}

func (s *scanner) digits() bool {
	start := s.i
	for c := s.peek(); '0' <= c && c <= '9'; c = s.peek() {
		s.i++
	}
	return s.i > start
}

func (s *scanner) number() error {
	if s.peek() == '-' {
		s.i++
	}
	if s.peek() == '0' {
		s.i++
	} else if !s.digits() {
		return s.fail("want a value")
	}
	if s.peek() == '.' {
		s.i++
		if !s.digits() {
			return s.fail("want digits")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.i++
		if c := s.peek(); c == '+' || c == '-' {
			s.i++
		}
		if !s.digits() {
			return s.fail("want digits")
		}
	}
	return nil
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(v), err == nil
}

func (s *scanner) str() error {
	for s.i++; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return nil
		case c < ' ':
			return s.fail("control character in a string")
		case c == '\\':
			s.i++
			switch s.peek() {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				r, ok := hex4(s.b[s.i+1:])
				if !ok {
					return s.fail(`\u wants four hexadecimal digits`)
				}
				s.i += 4
				if !utf16.IsSurrogate(r) {
					break
				}
				rest := s.b[s.i+1:]
				if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
					return s.fail("lone surrogate")
				}
				if r2, ok := hex4(rest[2:]); !ok || utf16.DecodeRune(r, r2) == utf8.RuneError {
					return s.fail("lone surrogate")
				}
				s.i += 6
			default:
				return s.fail("unknown escape")
			}
		}
	}
	return s.fail("unterminated string")
}

// unquote returns the text of a checked string.
func unquote(b []byte) string {
	b = b[1 : len(b)-1]
	plain := true
	for _, c := range b {
		plain = plain && c != '\\'
	}
	if plain {
		return string(b)
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '\\' {
			out = append(out, b[i])
			continue
		}
		i++
		switch b[i] {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, _ := hex4(b[i+1:])
			i += 4
			if utf16.IsSurrogate(r) {
				r2, _ := hex4(b[i+3:])
				r = utf16.DecodeRune(r, r2)
				i += 6
			}
			out = utf8.AppendRune(out, r)
		default:
			out = append(out, b[i])
		}
	}
	return string(out)
}

// errorf returns an error that begins with the value's place.
func (v value) errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", v.path(), fmt.Errorf(format, args...))
}

func (v value) isObject() bool { return len(v.raw) > 0 && v.raw[0] == '{' }
func (v value) isList() bool   { return len(v.raw) > 0 && v.raw[0] == '[' }
func (v value) isString() bool { return len(v.raw) > 0 && v.raw[0] == '"' }

// child returns a part of v.
func (v value) child(raw []byte, name string) value { return value{raw: raw, parent: &v, name: name} }

// members calls f with every key and raw value of an object, in order.
func (v value) members(f func(key string, raw []byte) error) error {
	if !v.isObject() {
		return v.errorf("want an object")
	}
	s := scanner{b: v.raw, i: 1}
	for {
		s.space()
		if s.peek() == ',' {
			s.i++
			s.space()
		}
		if s.peek() != '"' {
			return nil
		}
		start := s.i
		s.str()
		key := unquote(s.b[start:s.i])
		s.space()
		s.i++
		s.space()
		start = s.i
		s.value(0)
		if err := f(key, s.b[start:s.i]); err != nil {
			return err
		}
	}
}

// fields returns the members of an object; of equal keys the last counts.
func (v value) fields() (object, error) {
	o := object{v, map[string][]byte{}}
	err := v.members(func(key string, raw []byte) error {
		o.m[key] = raw
		return nil
	})
	return o, err
}

// each calls f with every element of a list.
func (v value) each(f func(i int, e value) error) error {
	if !v.isList() {
		return v.errorf("want a list")
	}
	s := scanner{b: v.raw, i: 1}
	for i := 0; ; i++ {
		s.space()
		if s.peek() == ',' {
			s.i++
			s.space()
		}
		if s.peek() == ']' {
			return nil
		}
		start := s.i
		s.value(0)
		if err := f(i, value{raw: s.b[start:s.i], parent: &v, index: i}); err != nil {
			return err
		}
	}
}

func (v value) str() (string, error) {
	if !v.isString() {
		return "", v.errorf("want a string")
	}
	return unquote(v.raw), nil
}

func (v value) boolean() (bool, error) {
	switch string(v.raw) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, v.errorf("want true or false")
}

// maxID bounds ids, lengths and counts.
const maxID = 1<<31 - 1

func (v value) integer() (int, error) {
	n, err := strconv.ParseUint(string(v.raw), 10, 31)
	if err != nil {
		return 0, v.errorf("want a whole number from 0 to %d", maxID)
	}
	return int(n), nil
}

func (v value) float() (float64, error) {
	if v.isString() || v.isObject() || v.isList() {
		return 0, v.errorf("want a number")
	}
	f, err := strconv.ParseFloat(string(v.raw), 64)
	if err != nil {
		return 0, v.errorf("want a number")
	}
	return f, nil
}

// char is a string of exactly one character.
func (v value) char() (rune, error) {
	s, err := v.str()
	if err != nil {
		return 0, err
	}
	r, n := utf8.DecodeRuneInString(s)
	if n == 0 || n != len(s) {
		return 0, v.errorf("want one character, not %q", s)
	}
	return r, nil
}

// object is a JSON object with its members at hand.
type object struct {
	value
	m map[string][]byte
}

func (o object) has(key string) bool {
	raw, ok := o.m[key]
	return ok && raw[0] != 'n'
}

func (o object) get(key string) value { return o.child(o.m[key], key) }

// fieldReader reads the fields of one object and keeps the first error.
type fieldReader struct {
	o   object
	err error
}

func read(v value) *fieldReader {
	o, err := v.fields()
	return &fieldReader{o, err}
}

func field[T any](r *fieldReader, key string, get func(value) (T, error)) (out T) {
	if r.err != nil {
		return out
	}
	if _, ok := r.o.m[key]; !ok {
		r.err = r.o.errorf("missing field %q", key)
		return out
	}
	out, r.err = get(r.o.get(key))
	return out
}

// fieldOr is field with a default for a field that is absent or null.
func fieldOr[T any](r *fieldReader, key string, def T, get func(value) (T, error)) T {
	if r.err != nil || !r.o.has(key) {
		return def
	}
	return field(r, key, get)
}

// sequence reads the field key of a component made of others: a list, each of
// which parse reads one level down.
func sequence[T any](r *fieldReader, key string, depth int, parse func(v value, depth int) (T, error)) (parts []T, err error) {
	list := field(r, key, func(v value) (value, error) { return v, nil })
	if r.err != nil {
		return nil, r.err
	}
	err = list.each(func(_ int, e value) error {
		part, err := parse(e, depth+1)
		parts = append(parts, part)
		return err
	})
	return parts, err
}

func (r *fieldReader) str(key string) string { return field(r, key, value.str) }
func (r *fieldReader) bool(key string) bool  { return field(r, key, value.boolean) }
func (r *fieldReader) int(key string) int    { return field(r, key, value.integer) }
func (r *fieldReader) char(key string) rune  { return field(r, key, value.char) }
func (r *fieldReader) strOr(key, d string) string {
	return fieldOr(r, key, d, value.str)
}
func (r *fieldReader) boolOr(key string, d bool) bool { return fieldOr(r, key, d, value.boolean) }
func (r *fieldReader) intOr(key string, d int) int    { return fieldOr(r, key, d, value.integer) }

// kind returns the "type" of a component, "" if it has none.
func (r *fieldReader) kind() string { return r.strOr("type", "") }
