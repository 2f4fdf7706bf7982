package onig

import (
	"strings"
	"unicode/utf8"
)

// classState is where a bracket expression stands between its items.
type classState uint8

const (
	classStart    classState = iota
	classValue               // after a character or type, which a range may follow
	classRange               // after the hyphen of a range
	classComplete            // after a range or a nested class
)

type classToken uint8

const (
	classEnd classToken = iota
	classChar
	classSet // \w, \p{…} …
	classClose
	classHyphen
	classOpen
	classPosix
	classAnd
)

// classReader gathers the items of one bracket expression.
type classReader struct {
	p       *parser
	at      int
	set     runeSet
	state   classState
	from    rune // the last character, not yet in set
	pending bool // from is a character, not a type
}

// class parses a bracket expression after its [; the caller applies neg.
func (p *parser) class(at int) (set runeSet, neg bool) {
	p.enter(at)
	p.brackets++
	defer func() { p.depth--; p.brackets-- }()
	c := classReader{p: p, at: at}
	tok, r, s := c.next()
	if tok == classChar && r == '^' && p.src[p.pos-1] == '^' && p.src[p.pos-2] != '\\' {
		neg = true
		tok, r, s = c.next()
	}
	if tok == classClose {
		// []…] holds a bracket, if another one closes it.
		if !closingBracket(p.src[p.pos:]) {
			p.fail(at, "empty character class")
		}
		tok, r = classChar, ']'
	}
	var and runeSet
	haveAnd := false
	for tok != classClose {
		fetched := false
		switch tok {
		case classEnd:
			p.fail(at, "missing ]")
		case classChar:
			c.char(r)
		case classPosix:
			if s, ok := p.posix(at); ok {
				c.typ(s)
			} else {
				p.fail(p.pos, "unknown POSIX bracket")
			}
		case classSet:
			c.typ(s)
		case classHyphen:
			switch c.state {
			case classValue:
				tok, r, s = c.next()
				fetched = true
				if tok == classClose || tok == classAnd {
					c.char('-')
					break
				}
				if !c.pending {
					p.fail(p.pos, "range that begins with a character type")
				}
				c.state = classRange
			case classRange:
				c.char('-')
			default:
				c.char('-')
			}
		case classOpen:
			c.flush()
			c.state = classComplete
			sub, subNeg := p.class(p.pos - 1)
			if subNeg {
				sub = negate(sub)
			}
			c.set = append(c.set, sub...)
		case classAnd:
			c.flush()
			c.state = classStart
			part := normalize(c.set)
			if haveAnd {
				part = intersect(and, part)
			}
			and, haveAnd, c.set = part, true, nil
		}
		if !fetched {
			tok, r, s = c.next()
		}
	}
	c.flush()
	set = normalize(c.set)
	if haveAnd {
		set = intersect(and, set)
	}
	return set, neg
}

// closingBracket tells whether an unescaped ] follows.
func closingBracket(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case ']':
			return true
		}
	}
	return false
}

// char takes one character, which may end a range.
func (c *classReader) char(r rune) {
	if c.state == classRange {
		if c.from > r {
			c.p.fail(c.at, "empty range %q-%q", c.from, r)
		}
		c.set = append(c.set, runeRange{c.from, r})
		c.pending = false
		c.state = classComplete
		return
	}
	c.flush()
	c.from, c.pending, c.state = r, true, classValue
}

// typ takes a set.
func (c *classReader) typ(s runeSet) {
	if c.state == classRange {
		c.p.fail(c.at, "range that ends with a character type")
	}
	c.flush()
	c.set = append(c.set, s...)
	c.state = classValue
}

// flush puts a character that begins no range into the set.
func (c *classReader) flush() {
	if c.pending && c.state == classValue {
		c.set = append(c.set, runeRange{c.from, c.from})
	}
	c.pending = false
}

// next reads a token of the bracket expression.
func (c *classReader) next() (classToken, rune, runeSet) {
	p := c.p
	if !p.more() {
		return classEnd, 0, nil
	}
	at := p.pos
	r := p.rune()
	switch r {
	case ']':
		return classClose, r, nil
	case '-':
		return classHyphen, r, nil
	case '&':
		if p.accept("&") {
			return classAnd, r, nil
		}
	case '[':
		if p.peek(":") && posixBracket(p.src[p.pos+1:]) {
			p.pos++
			return classPosix, r, nil
		}
		return classOpen, r, nil
	case '\\':
		return c.escape(at)
	}
	return classChar, r, nil
}

func (c *classReader) escape(at int) (classToken, rune, runeSet) {
	p := c.p
	if !p.more() {
		p.fail(at, "pattern ends in a backslash")
	}
	start := p.pos
	r := p.rune()
	if s, ok := p.shorthand(r); ok {
		return classSet, 0, s
	}
	if (r == 'p' || r == 'P') && p.peek("{") {
		return classSet, 0, p.propertySet(at, r == 'P')
	}
	var t token
	if '0' <= r && r <= '7' {
		p.pos = start
		v, _ := p.digits(3, 8)
		if v > 255 {
			p.fail(at, "octal escape above 377")
		}
		t = token{kind: tokByte, r: v}
	} else {
		t = p.numeric(token{at: at, kind: tokChar}, r, start, true)
	}
	if t.kind != tokByte || t.r < 0x80 {
		return classChar, t.r, nil
	}
	// Bytes of a longer character follow as escapes of their own.
	buf := []byte{byte(t.r)}
	for len(buf) < encodedLen(buf[0]) && p.peek(`\x`) && !p.peek(`\x{`) {
		p.pos += 2
		v, _ := p.digits(2, 16)
		buf = append(buf, byte(v))
	}
	r, n := utf8.DecodeRune(buf)
	if r == utf8.RuneError && n < 3 || n != len(buf) {
		p.fail(at, "bytes % x are no character", buf)
	}
	return classChar, r, nil
}

// posixBracket tells whether s, after "[:", is a word and ":]".
func posixBracket(s string) bool {
	alpha := mustProperty("alpha")
	for i, r := range s {
		switch {
		case r == ':':
			return i > 0 && strings.HasPrefix(s[i:], ":]")
		case r == '^' && i == 0:
		case !alpha.has(r):
			return false
		}
	}
	return false
}

// posix reads the name of a POSIX bracket and its end.
func (p *parser) posix(at int) (runeSet, bool) {
	neg := p.accept("^")
	for _, name := range []string{"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit", "ascii", "word"} {
		if !p.accept(name + ":]") {
			continue
		}
		if name == "punct" {
			name = "posixpunct"
		}
		s := p.ctype(name)
		if neg {
			s = negate(s)
		}
		return s, true
	}
	return nil, false
}
