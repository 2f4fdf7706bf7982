// Package onig is a regular expression engine that matches as Oniguruma 6.9.10
// does with its default syntax on UTF-8, which is what the patterns of a
// tokenizer.json are written for: leftmost matches, alternatives in the order
// written, Unicode 16 properties, and ^ and $ at every line.
//
// Unlike Oniguruma it works in time linear in the text. It backtracks, since
// that is fast on the short matches of a tokenizer; when a text costs far more
// steps than it has bytes, the engine starts to remember the (state, position)
// pairs that are known to fail and never enters one twice (memo.go).
//
// Not supported, and refused by Compile with an error that wraps
// [ErrUnsupported]: back-references, subexpression calls, conditionals, absent
// functions, callouts, \K, \X, \y and \Y, whole-pattern options (?C) (?I) (?L),
// and look-behind over more than 255 characters.
package onig

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

// ErrUnsupported marks a pattern that Oniguruma accepts and this package does not.
var ErrUnsupported = errors.New("unsupported regular expression")

// Error says where a pattern is wrong.
type Error struct {
	Pattern string // the whole pattern
	Pos     int    // byte offset of the construct
	Msg     string // what is wrong, naming the construct
	Err     error  // ErrUnsupported, or nil if the pattern is malformed
}

// Error describes the fault with its place.
func (e *Error) Error() string {
	pat := e.Pattern
	if len(pat) > 200 {
		pat = pat[:200] + "…"
	}
	kind := "malformed"
	if e.Err != nil {
		kind = "unsupported"
	}
	return fmt.Sprintf("onig: %s pattern %q at byte %d: %s", kind, pat, e.Pos, e.Msg)
}

// Unwrap returns ErrUnsupported for a construct that this package lacks.
func (e *Error) Unwrap() error { return e.Err }

// Regexp is a compiled pattern. It is safe for concurrent use.
type Regexp struct {
	pattern string
	literal string // the pattern matches exactly this text, if not empty
	prog    *program
	pool    sync.Pool // of *machine
}

// Compile parses a pattern. The error is an [*Error].
func Compile(pattern string) (*Regexp, error) {
	root, err := parse(pattern)
	if err != nil {
		return nil, err
	}
	re := &Regexp{pattern: pattern}
	if root.kind == nodeLiteral && !root.icase {
		re.literal = string(root.lit)
		return re, nil
	}
	re.prog, err = compile(pattern, root)
	if err != nil {
		return nil, err
	}
	return re, nil
}

// CompileLiteral returns the expression that matches exactly text. An empty
// text matches the empty string at every position.
func CompileLiteral(text string) (*Regexp, error) {
	if text == "" {
		return Compile("")
	}
	return &Regexp{pattern: Escape(text), literal: text}, nil
}

// Escape returns a pattern that matches exactly text.
func Escape(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if strings.IndexByte(`\.+*?()|[]{}^$#&-~ `, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// String returns the pattern.
func (re *Regexp) String() string { return re.pattern }

// FindAll appends the byte ranges [start, end) of the successive matches in s
// to dst. As in the tokenizers library an empty match directly after another
// match is passed over, and the search then goes on one character later.
func (re *Regexp) FindAll(s string, dst [][2]int) [][2]int {
	if re.literal != "" {
		for at := 0; ; {
			i := strings.Index(s[at:], re.literal)
			if i < 0 {
				return dst
			}
			end := at + i + len(re.literal)
			dst = append(dst, [2]int{at + i, end})
			at = end
		}
	}
	m, _ := re.pool.Get().(*machine)
	if m == nil {
		m = newMachine(re.prog)
	}
	m.reset(s)
	dst = m.findAll(dst)
	m.release()
	re.pool.Put(m)
	return dst
}

// findAll is FindAll on the text of m.
func (m *machine) findAll(dst [][2]int) [][2]int {
	s := m.text
	lastMatch := -1
	for at := 0; at <= len(s); {
		start, end, ok := m.search(at)
		if !ok {
			break
		}
		if start == end && end == lastMatch {
			// The search found nothing but the empty match here: try from the next character.
			if at >= len(s) {
				break
			}
			_, n := utf8.DecodeRuneInString(s[at:])
			at += n
			continue
		}
		dst = append(dst, [2]int{start, end})
		at, lastMatch = end, end
	}
	return dst
}
