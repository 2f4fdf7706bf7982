package onig

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// fail leaves the parser with a malformed-pattern error.
func (p *parser) fail(at int, format string, args ...any) {
	panic(&Error{Pattern: p.src, Pos: at, Msg: fmt.Sprintf(format, args...)})
}

// unsupported leaves the parser with an error that wraps ErrUnsupported.
func (p *parser) unsupported(at int, what string) {
	panic(&Error{Pattern: p.src, Pos: at, Msg: what, Err: ErrUnsupported})
}

// group parses what follows a parenthesis. plain tells of (?:…), which leaves
// its body as it is; rest is set for an option without a colon, whose body is
// all that follows.
func (p *parser) group(at int) (n *node, plain bool, rest *options) {
	body := func() *node {
		b, _ := p.alternatives(p.next(), tokClose)
		return b
	}
	wrap := func(kind nodeKind, neg bool) *node {
		return &node{kind: kind, neg: neg, pos: at, subs: []*node{body()}}
	}
	if p.peek("*") {
		p.unsupported(at, "callout (*…)")
	}
	if !p.accept("?") {
		return wrap(nodeGroup, false), false, nil
	}
	if !p.more() {
		p.fail(at, "pattern ends in a group")
	}
	switch {
	case p.accept(":"):
		return body(), true, nil
	case p.accept("="):
		return wrap(nodeLook, false), false, nil
	case p.accept("!"):
		return wrap(nodeLook, true), false, nil
	case p.accept(">"):
		return wrap(nodeAtomic, false), false, nil
	case p.accept("<="):
		return wrap(nodeBehind, false), false, nil
	case p.accept("<!"):
		return wrap(nodeBehind, true), false, nil
	case p.accept("<"):
		p.groupName(at, ">")
		return wrap(nodeGroup, false), false, nil
	case p.accept("'"):
		p.groupName(at, "'")
		return wrap(nodeGroup, false), false, nil
	case p.peek("~"):
		p.unsupported(at, "absent function (?~…)")
	case p.peek("{"):
		p.unsupported(at, "callout (?{…})")
	case p.peek("("):
		p.unsupported(at, "conditional (?(…)…)")
	}
	opt, set := p.opt, true
	for {
		if !p.more() {
			p.fail(at, "pattern ends in a group")
		}
		c := p.rune()
		var bit options
		switch c {
		case ')':
			return nil, false, &opt
		case ':':
			outer := p.opt
			p.opt = opt
			n := wrap(nodeGroup, false)
			p.opt = outer
			return n, false, nil
		case '-':
			set = false
		case 'i':
			bit = optIgnoreCase
		case 'm':
			bit = optDotAll
		case 'x':
			bit = optExtended
		case 'W':
			bit = optWordASCII
		case 'D':
			bit = optDigitASCII
		case 'S':
			bit = optSpaceASCII
		case 'P':
			bit = optPosixASCII
		case 'C', 'I', 'L', 'y':
			p.unsupported(at, fmt.Sprintf("group option %q", c))
		default:
			p.fail(at, "unknown group option %q", c)
		}
		if set {
			opt |= bit
		} else {
			opt &^= bit
		}
	}
}

// groupName reads the name of a capturing group; nothing can refer to it.
func (p *parser) groupName(at int, end string) {
	i := strings.Index(p.src[p.pos:], end)
	if i <= 0 {
		p.fail(at, "group without a name")
	}
	name := p.src[p.pos : p.pos+i]
	word := mustProperty("word")
	for j, r := range name {
		if !word.has(r) || j == 0 && '0' <= r && r <= '9' {
			p.fail(at, "invalid group name %q", name)
		}
	}
	p.pos += i + len(end)
}

// ctype returns the set of a character type under the options in force.
func (p *parser) ctype(name string) runeSet {
	ascii := optPosixASCII
	switch name {
	case "word":
		ascii |= optWordASCII
	case "digit":
		ascii |= optDigitASCII
	case "space":
		ascii |= optSpaceASCII
	case "alnum", "alpha", "blank", "cntrl", "graph", "lower", "print", "posixpunct", "punct", "upper", "xdigit":
	default:
		ascii = 0
	}
	s := mustProperty(name)
	if name == "word" && p.brackets > 0 {
		// Alone \w takes in the superscript digits and fractions of Latin-1; in
		// brackets Oniguruma uses another table, which does not.
		s = intersect(s, negate(runeSet{{0xB2, 0xB3}, {0xB9, 0xB9}, {0xBC, 0xBE}}))
	}
	if p.opt&ascii != 0 {
		s = intersect(s, runeSet{{0, 127}})
	}
	return s
}

// shorthand returns the set of \w, \d, \s, \h and their negations.
func (p *parser) shorthand(c rune) (runeSet, bool) {
	var s runeSet
	switch c {
	case 'w', 'W':
		s = p.ctype("word")
	case 'd', 'D':
		s = p.ctype("digit")
	case 's', 'S':
		s = p.ctype("space")
	case 'h', 'H':
		s = p.ctype("xdigit")
	default:
		return nil, false
	}
	if c < 'a' {
		s = negate(s)
	}
	return s, true
}

// propertySet reads {name} or {^name} after \p or \P.
func (p *parser) propertySet(at int, neg bool) runeSet {
	p.accept("{")
	if p.accept("^") {
		neg = !neg
	}
	i := strings.IndexAny(p.src[p.pos:], "}(){|")
	if i < 0 || p.src[p.pos+i] != '}' {
		p.fail(at, "unterminated property name")
	}
	name := p.src[p.pos : p.pos+i]
	p.pos += i + 1
	s, ok := property(name)
	if !ok {
		if k := cleanName(name); strings.HasPrefix(k, "age=") || strings.HasPrefix(k, "graphemeclusterbreak=") {
			p.unsupported(at, fmt.Sprintf("property %q", name))
		}
		p.fail(at, "unknown property %q", name)
	}
	switch k := cleanName(name); k {
	case "word", "digit", "space", "alnum", "alpha", "blank", "cntrl", "graph", "lower", "print", "posixpunct", "upper", "xdigit":
		s = p.ctype(k)
	}
	if neg {
		s = negate(s)
	}
	return s
}

// escape reads what follows a backslash outside a class.
func (p *parser) escape(t token) token {
	if !p.more() {
		p.fail(t.at, "pattern ends in a backslash")
	}
	start := p.pos
	c := p.rune()
	if s, ok := p.shorthand(c); ok {
		return nodeToken(t, setNode(s))
	}
	anchor := func(a assertion) token { return nodeToken(t, &node{kind: nodeAssert, assert: a}) }
	switch c {
	case 'b', 'B':
		a := assertWord
		if p.opt&(optWordASCII|optPosixASCII) != 0 {
			a = assertWordASCII
		}
		if c == 'B' {
			a++
		}
		return anchor(a)
	case 'A':
		return anchor(assertTextStart)
	case 'Z':
		return anchor(assertTextEndLine)
	case 'z':
		return anchor(assertTextEnd)
	case 'G':
		return anchor(assertSearchStart)
	case 'R':
		nl := &node{kind: nodeClass, set: runeSet{{'\n', '\r'}, {0x85, 0x85}, {0x2028, 0x2029}}}
		crlf := literal([]rune("\r\n"))
		return nodeToken(t, &node{kind: nodeAtomic, subs: []*node{{kind: nodeAlt, subs: []*node{crlf, nl}}}})
	case 'N':
		return nodeToken(t, setNode(negate(runeSet{{'\n', '\n'}})))
	case 'O':
		return nodeToken(t, setNode(runeSet{{0, maxRune}}))
	case 'K', 'X', 'y', 'Y':
		p.unsupported(t.at, `\`+string(c))
	case 'k', 'g':
		if p.peek("<") || p.peek("'") {
			p.unsupported(t.at, map[rune]string{'k': "back-reference", 'g': "subexpression call"}[c])
		}
	case 'p', 'P':
		if p.peek("{") {
			return nodeToken(t, setNode(p.propertySet(t.at, c == 'P')))
		}
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		p.unsupported(t.at, "back-reference or octal escape "+p.src[t.at:p.pos])
	case '0':
		v, _ := p.digits(2, 8)
		t.kind, t.r = tokByte, v
		return t
	case '(', ')', '[', ']', '{', '}', '|', '*', '+', '?', '.', '^', '$', '#':
		t.r = c
		return t
	}
	return p.numeric(t, c, start, false)
}

// numeric reads \x, \u, \o, \c, \C-, \M- and the one-letter control characters;
// any other character stands for itself.
func (p *parser) numeric(t token, c rune, start int, inClass bool) token {
	switch c {
	case 'x':
		if !p.more() {
			break
		}
		if p.peek("{") {
			return p.braced(t, 8, 16, inClass)
		}
		v, _ := p.digits(2, 16)
		t.kind, t.r = tokByte, v
		return t
	case 'o':
		if p.peek("{") {
			return p.braced(t, 11, 8, inClass)
		}
	case 'u':
		if !p.more() {
			break
		}
		v, n := p.digits(4, 16)
		if n != 4 {
			p.fail(t.at, `\u wants four hexadecimal digits`)
		}
		t.kind, t.r = tokCode, p.codePoint(t.at, v)
		return t
	case 'c', 'C', 'M':
		p.pos = start
		v := p.control(t.at)
		t.kind, t.r = tokCode, p.codePoint(t.at, v)
		return t
	}
	if v := controlChar(c); v != c {
		t.kind, t.r = tokCode, v
		return t
	}
	t.r = c
	return t
}

// controlChar maps the letter of \n, \t … to its character.
func controlChar(c rune) rune {
	if i := strings.IndexRune("ntrfabev", c); i >= 0 {
		return rune("\n\t\r\f\a\b\x1b\v"[i])
	}
	return c
}

// control reads \cx, \C-x and \M-x from its letter on.
func (p *parser) control(at int) rune {
	if !p.more() {
		p.fail(at, "pattern ends in an escape")
	}
	c := p.rune()
	if c != 'c' && c != 'C' && c != 'M' {
		return controlChar(c)
	}
	if c != 'c' && !p.accept("-") {
		p.fail(at, `\%c wants a hyphen`, c)
	}
	if !p.more() {
		p.fail(at, "pattern ends in an escape")
	}
	v := p.rune()
	if c != 'M' && v == '?' {
		return 0x7f
	}
	if v == '\\' {
		p.enter(at)
		v = p.control(at)
		p.depth--
	}
	if c == 'M' {
		return v&0xff | 0x80
	}
	return v & 0x9f
}

// braced reads {…} of \x or \o: one code point, or several between spaces.
// An opening brace without a digit after it makes the escape a plain letter.
func (p *parser) braced(t token, n int, base rune, inClass bool) token {
	start := p.pos
	p.pos++
	v, count := p.digits(n, base)
	if count == 0 {
		p.pos = start
		t.r = rune(p.src[start-1])
		return t
	}
	t.kind, t.r = tokCode, p.codePoint(t.at, v)
	for !p.accept("}") {
		if !p.peek(" ") && !p.peek("\n") {
			p.fail(t.at, "malformed code point")
		}
		for p.peek(" ") || p.peek("\n") {
			p.pos++
		}
		if p.accept("}") {
			break
		}
		if inClass {
			p.unsupported(t.at, "sequence of code points in a character class")
		}
		v, count := p.digits(n, base)
		if count == 0 {
			p.fail(t.at, "malformed code point")
		}
		t.more = append(t.more, p.codePoint(t.at, v))
	}
	return t
}

// classNode makes the node of a bracket expression, which alone of all
// character types is subject to (?i).
func (p *parser) classNode(set runeSet, neg bool) *node {
	if p.opt&optIgnoreCase == 0 {
		if neg {
			set = negate(set)
		}
		return setNode(set)
	}
	set, multi := closeFold(set)
	if neg {
		return setNode(negate(set))
	}
	if len(multi) == 0 {
		return setNode(set)
	}
	alts := []*node{setNode(set)}
	for _, k := range multi {
		alts = append(alts, loadProps().variants(k))
	}
	return &node{kind: nodeAlt, subs: alts}
}

func cleanName(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '_':
			return -1
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case r == utf8.RuneError:
			return 0xFFFD
		}
		return r
	}, name)
}
