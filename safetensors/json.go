package safetensors

import (
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
)

// maxDepth is the number of arrays and objects that may be open at once, as in
// the JSON library that the reference library uses (serde_json).
const maxDepth = 127

// scanner reads JSON with serde_json's verdicts. The input must be valid UTF-8.
// Go's own encoding/json will not do: it folds the case of field names, passes
// over extra array elements and takes null for zero.
type scanner struct {
	b       []byte
	i       int // of the next byte
	depth   int
	scratch []byte
}

func (s *scanner) fail(format string, args ...any) error {
	return fmt.Errorf("byte %d: %s", s.i, fmt.Sprintf(format, args...))
}

// peek returns the next byte that is not white space, 0 at the end.
func (s *scanner) peek() byte {
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; c {
		case ' ', '\n', '\t', '\r':
		default:
			return c
		}
	}
	return 0
}

// at returns the byte at i, 0 past the end.
func (s *scanner) at(i int) byte {
	if i < len(s.b) {
		return s.b[i]
	}
	return 0
}

// expect consumes c after white space.
func (s *scanner) expect(c byte, what string) error {
	if s.peek() != c || s.i >= len(s.b) {
		return s.fail("want %s", what)
	}
	s.i++
	return nil
}

// word consumes a literal such as null.
func (s *scanner) word(w string) error {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return s.fail("want a JSON value")
	}
	s.i += len(w)
	return nil
}

// object calls member for each member of an object, with the scanner at the
// member's value. The key is valid until the next string is read.
func (s *scanner) object(member func(key []byte) error) error {
	if err := s.open('{', "an object"); err != nil {
		return err
	}
	if s.peek() == '}' {
		return s.close()
	}
	for {
		if s.peek() != '"' {
			return s.fail("want a key in quotes")
		}
		key, err := s.str()
		if err != nil {
			return err
		}
		if err := s.expect(':', "a colon"); err != nil {
			return err
		}
		if err := member(key); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.i++
		case '}':
			return s.close()
		default:
			return s.fail("want a comma or the end of the object")
		}
	}
}

// array calls element for each element of an array, with the scanner at it.
func (s *scanner) array(element func(i int) error) error {
	if err := s.open('[', "an array"); err != nil {
		return err
	}
	if s.peek() == ']' {
		return s.close()
	}
	for i := 0; ; i++ {
		if err := element(i); err != nil {
			return err
		}
		switch s.peek() {
		case ',':
			s.i++
		case ']':
			return s.close()
		default:
			return s.fail("want a comma or the end of the array")
		}
	}
}

func (s *scanner) open(c byte, what string) error {
	if err := s.expect(c, what); err != nil {
		return err
	}
	if s.depth++; s.depth > maxDepth {
		return s.fail("nested deeper than %d", maxDepth)
	}
	return nil
}

func (s *scanner) close() error {
	s.i++
	s.depth--
	return nil
}

// skip reads any value.
func (s *scanner) skip() error {
	switch c := s.peek(); c {
	case '{':
		return s.object(func([]byte) error { return s.skip() })
	case '[':
		return s.array(func(int) error { return s.skip() })
	case '"':
		_, err := s.str()
		return err
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		if c == '-' || isDigit(c) {
			_, _, err := s.number()
			return err
		}
		return s.fail("want a JSON value")
	}
}

// str reads a string. The result is valid until the next string is read.
func (s *scanner) str() ([]byte, error) {
	if err := s.expect('"', "a string"); err != nil {
		return nil, err
	}
	begin := s.i
	for ; s.i < len(s.b); s.i++ {
		switch c := s.b[s.i]; {
		case c == '"':
			s.i++
			return s.b[begin : s.i-1], nil
		case c == '\\':
			s.scratch = append(s.scratch[:0], s.b[begin:s.i]...)
			return s.escaped()
		case c < ' ':
			return nil, s.fail("control character in a string")
		}
	}
	return nil, s.fail("string without end")
}

// escaped reads on from a string's first backslash.
func (s *scanner) escaped() ([]byte, error) {
	for s.i < len(s.b) {
		c := s.b[s.i]
		s.i++
		switch {
		case c == '"':
			return s.scratch, nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return nil, err
			}
		case c < ' ':
			return nil, s.fail("control character in a string")
		default:
			s.scratch = append(s.scratch, c)
		}
	}
	return nil, s.fail("string without end")
}

// escape reads what follows a backslash.
func (s *scanner) escape() error {
	c := s.at(s.i)
	s.i++
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r, err := s.unicode()
		if err != nil {
			return err
		}
		s.scratch = utf8.AppendRune(s.scratch, r)
		return nil
	default:
		return s.fail("invalid escape")
	}
	s.scratch = append(s.scratch, c)
	return nil
}

// unicode reads the digits of \uXXXX, and a second \uXXXX after a leading
// surrogate.
func (s *scanner) unicode() (rune, error) {
	r, err := s.hex4()
	if err != nil || r < 0xD800 || r > 0xDFFF {
		return r, err
	}
	if r >= 0xDC00 || s.at(s.i) != '\\' || s.at(s.i+1) != 'u' {
		return 0, s.fail("lone surrogate")
	}
	s.i += 2
	low, err := s.hex4()
	if err != nil {
		return 0, err
	}
	if low < 0xDC00 || low > 0xDFFF {
		return 0, s.fail("lone surrogate")
	}
	return 0x10000 + (r-0xD800)<<10 + (low - 0xDC00), nil
}

func (s *scanner) hex4() (rune, error) {
	if len(s.b)-s.i < 4 {
		return 0, s.fail("string without end")
	}
	var r rune
	for _, c := range s.b[s.i : s.i+4] {
		switch {
		case isDigit(c):
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, s.fail("invalid escape")
		}
	}
	s.i += 4
	return r, nil
}

// unsigned reads an integer from 0 to 2⁶⁴−1, written as one: no sign, fraction
// or exponent.
func (s *scanner) unsigned() (uint64, error) {
	if !isDigit(s.peek()) {
		return 0, s.fail("want an unsigned integer")
	}
	n, ok, err := s.number()
	if err == nil && !ok {
		err = s.fail("want an unsigned integer of 64 bits")
	}
	return n, err
}

// number reads a number. ok says that it is an unsigned integer, n. A number
// whose float64 would be infinite is an error, by the reference's own method:
// digits beyond 64 bits are dropped and the power of ten is applied by one
// multiplication.
func (s *scanner) number() (n uint64, ok bool, err error) {
	negative := s.at(s.i) == '-'
	if negative {
		s.i++
	}
	exponent := 0
	switch c := s.at(s.i); {
	case !isDigit(c):
		return 0, false, s.fail("invalid number")
	case c == '0':
		if s.i++; isDigit(s.at(s.i)) {
			return 0, false, s.fail("invalid number: leading zero")
		}
	default:
		long := false
		for ; isDigit(s.at(s.i)); s.i++ {
			if long = long || overflows(n, s.b[s.i]); long {
				exponent++
			} else {
				n = 10*n + uint64(s.b[s.i]-'0')
			}
		}
	}
	integer := exponent == 0
	if s.at(s.i) == '.' {
		integer = false
		if s.i++; !isDigit(s.at(s.i)) {
			return 0, false, s.fail("invalid number: no digit after the point")
		}
		long := false
		for ; isDigit(s.at(s.i)); s.i++ {
			if long = long || overflows(n, s.b[s.i]); !long {
				n = 10*n + uint64(s.b[s.i]-'0')
				exponent--
			}
		}
	}
	if s.at(s.i)|0x20 == 'e' {
		integer = false
		e, err := s.exponent()
		if err != nil {
			return 0, false, err
		}
		exponent += e
	}
	if !integer && infinite(n, exponent) {
		return 0, false, s.fail("number out of range")
	}
	return n, integer && !negative, nil
}

// exponent reads e, a sign and digits. Its value is held below 2³¹.
func (s *scanner) exponent() (int, error) {
	s.i++
	negative := s.at(s.i) == '-'
	if negative || s.at(s.i) == '+' {
		s.i++
	}
	if !isDigit(s.at(s.i)) {
		return 0, s.fail("invalid number: no digit in the exponent")
	}
	e := 0
	for ; isDigit(s.at(s.i)); s.i++ {
		e = min(10*e+int(s.b[s.i]-'0'), math.MaxInt32/16)
	}
	if negative {
		e = -e
	}
	return e, nil
}

func infinite(n uint64, exponent int) bool {
	switch {
	case exponent <= 0 || n == 0:
		return false
	case exponent > 308:
		return true
	}
	pow, _ := strconv.ParseFloat("1e"+strconv.Itoa(exponent), 64)
	return math.IsInf(float64(n)*pow, 0)
}

// overflows reports whether 10n plus the digit c exceeds 64 bits.
func overflows(n uint64, c byte) bool {
	const most = math.MaxUint64
	return n > most/10 || n == most/10 && uint64(c-'0') > most%10
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
