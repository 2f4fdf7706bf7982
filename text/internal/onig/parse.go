package onig

import (
	"strings"
	"unicode/utf8"
)

// Limits on a pattern. Oniguruma's own are 4096 levels and 100000 repeats.
const (
	maxPattern = 1 << 20 // bytes
	maxDepth   = 1000    // nesting of groups and classes
	maxRepeat  = 100000
)

// options are the letters of (?imxWDSP).
type options uint8

const (
	optIgnoreCase options = 1 << iota
	optDotAll
	optExtended
	optWordASCII
	optDigitASCII
	optSpaceASCII
	optPosixASCII
)

type parser struct {
	src   string
	pos   int
	opt   options
	depth int

	brackets int // bracket expressions round the present position
}

type tokenKind uint8

const (
	tokEnd tokenKind = iota
	tokChar
	tokByte  // \xHH or octal: a byte of a character
	tokCode  // \x{…}, \uHHHH, \n …
	tokNode  // a complete node
	tokOpen  // (
	tokClose // )
	tokBar   // |
	tokClass // [
	tokRepeat
)

type token struct {
	kind       tokenKind
	at         int // where it begins
	r          rune
	node       *node
	lo, hi     int
	lazy       bool
	possessive bool
	more       []rune // further characters of \x{1 2 3}
}

func parse(src string) (n *node, err error) {
	p := &parser{src: src}
	defer func() {
		// The parser descends by recursion and leaves it by one panic of its own.
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			n, err = nil, e
		}
	}()
	if len(src) > maxPattern {
		p.fail(0, "longer than %d bytes", maxPattern)
	}
	if !utf8.ValidString(src) {
		p.fail(0, "not UTF-8")
	}
	t := p.next()
	n, t = p.alternatives(t, tokEnd)
	if t.kind != tokEnd {
		p.fail(t.at, "unmatched )")
	}
	return n, nil
}

func (p *parser) enter(at int) {
	if p.depth++; p.depth > maxDepth {
		p.fail(at, "nested deeper than %d", maxDepth)
	}
}

func (p *parser) more() bool { return p.pos < len(p.src) }

// peek tells whether the rest begins with s.
func (p *parser) peek(s string) bool { return strings.HasPrefix(p.src[p.pos:], s) }

func (p *parser) accept(s string) bool {
	if p.peek(s) {
		p.pos += len(s)
		return true
	}
	return false
}

func (p *parser) rune() rune {
	r, n := utf8.DecodeRuneInString(p.src[p.pos:])
	p.pos += n
	return r
}

// next reads a token outside a character class.
func (p *parser) next() token {
	for {
		t := token{at: p.pos, kind: tokChar}
		if !p.more() {
			t.kind = tokEnd
			return t
		}
		c := p.rune()
		switch c {
		case '\\':
			return p.escape(t)
		case '.':
			set := negate(runeSet{{'\n', '\n'}})
			if p.opt&optDotAll != 0 {
				set = runeSet{{0, maxRune}}
			}
			return nodeToken(t, setNode(set))
		case '*':
			t.lo, t.hi = 0, -1
			return p.suffix(t, true, true)
		case '+':
			t.lo, t.hi = 1, -1
			return p.suffix(t, true, true)
		case '?':
			t.lo, t.hi = 0, 1
			return p.suffix(t, true, true)
		case '{':
			if fixed, ok := p.interval(&t); ok {
				return p.suffix(t, !fixed && !t.possessive, false)
			}
		case '|':
			t.kind = tokBar
		case '(':
			if p.accept("?#") {
				p.comment(t.at)
				continue
			}
			t.kind = tokOpen
		case ')':
			t.kind = tokClose
		case '^':
			return nodeToken(t, &node{kind: nodeAssert, assert: assertLineStart})
		case '$':
			return nodeToken(t, &node{kind: nodeAssert, assert: assertLineEnd})
		case '[':
			t.kind = tokClass
		case '#':
			if p.opt&optExtended != 0 {
				i := strings.IndexByte(p.src[p.pos:], '\n')
				if i < 0 {
					i = len(p.src) - p.pos - 1
				}
				p.pos += i + 1
				continue
			}
		case ' ', '\t', '\n', '\r', '\f':
			if p.opt&optExtended != 0 {
				continue
			}
		}
		t.r = c
		return t
	}
}

func nodeToken(t token, n *node) token {
	t.kind, t.node = tokNode, n
	n.pos = t.at
	return t
}

func (p *parser) comment(at int) {
	for p.more() {
		switch p.rune() {
		case '\\':
			if p.more() {
				p.rune()
			}
		case ')':
			return
		}
	}
	p.fail(at, "unterminated comment")
}

// suffix reads the ? or + that makes a quantifier lazy or possessive.
func (p *parser) suffix(t token, lazy, possessive bool) token {
	t.kind = tokRepeat
	switch {
	case lazy && p.accept("?"):
		t.lazy = true
	case possessive && p.accept("+"):
		t.possessive = true
	}
	return t
}

// interval reads {n,m} after its brace. What does not look like one is
// literal text; {m,n} with m > n is a possessive {n,m}.
func (p *parser) interval(t *token) (fixed, ok bool) {
	start := p.pos
	defer func() {
		if !ok {
			p.pos = start
		}
	}()
	lo, haveLo := p.number()
	hi := lo
	if p.accept(",") {
		var haveHi bool
		hi, haveHi = p.number()
		if !haveHi {
			if !haveLo {
				return false, false
			}
			hi = -1
		}
	} else {
		if !haveLo {
			return false, false
		}
		fixed = true
	}
	if !p.accept("}") {
		return false, false
	}
	if hi >= 0 && lo > hi {
		lo, hi = hi, lo
		t.possessive = true
	}
	t.lo, t.hi = lo, hi
	return fixed, true
}

// number reads a decimal repeat count; none reads as 0.
func (p *parser) number() (int, bool) {
	start, v := p.pos, 0
	for p.more() && '0' <= p.src[p.pos] && p.src[p.pos] <= '9' {
		v = v*10 + int(p.src[p.pos]-'0')
		if v > maxRepeat {
			p.fail(start, "repeat count above %d", maxRepeat)
		}
		p.pos++
	}
	return v, p.pos > start
}

// digits reads up to n digits of base 8 or 16.
func (p *parser) digits(n int, base rune) (v rune, count int) {
	for count < n && p.more() {
		c := p.src[p.pos]
		var d rune
		switch {
		case '0' <= c && c <= '9':
			d = rune(c - '0')
		case 'a' <= c && c <= 'f':
			d = rune(c-'a') + 10
		case 'A' <= c && c <= 'F':
			d = rune(c-'A') + 10
		default:
			return v, count
		}
		if d >= base {
			return v, count
		}
		if v > maxRune {
			p.fail(p.pos, "code point too large")
		}
		v = v*base + d
		p.pos++
		count++
	}
	return v, count
}

// codePoint checks the value of a numeric escape.
func (p *parser) codePoint(at int, v rune) rune {
	if v > maxRune || v >= 0xD800 && v < 0xE000 {
		p.fail(at, "code point %#x is no character", v)
	}
	return v
}

// alternatives parses up to the token end and returns it.
func (p *parser) alternatives(t token, end tokenKind) (*node, token) {
	p.enter(t.at)
	defer func(o options) { p.opt = o; p.depth-- }(p.opt)
	var alts []*node
	for {
		var n *node
		n, t = p.branch(t, end)
		alts = append(alts, n)
		if t.kind != tokBar {
			break
		}
		t = p.next()
	}
	if t.kind != end {
		if end == tokClose {
			p.fail(t.at, "missing )")
		}
		p.fail(t.at, "unmatched )")
	}
	if len(alts) == 1 {
		return alts[0], t
	}
	return &node{kind: nodeAlt, subs: alts, pos: alts[0].pos}, t
}

// branch parses one alternative.
func (p *parser) branch(t token, end tokenKind) (*node, token) {
	var list []*node
	for t.kind != end && t.kind != tokBar && t.kind != tokEnd {
		var items []*node
		items, t = p.item(t, end)
		list = append(list, items...)
	}
	return concat(list), t
}

// item parses an atom and its quantifiers. A quantifier after several literal
// characters belongs to the last, so an item may be two nodes.
func (p *parser) item(t token, end tokenKind) ([]*node, token) {
	var n *node
	grouped := false // (?:…), whose literal is repeated whole
	at := t.at
	switch t.kind {
	case tokClose:
		p.fail(t.at, "unmatched )")
	case tokRepeat:
		p.fail(t.at, "nothing to repeat")
	case tokOpen:
		var rest *options
		n, grouped, rest = p.group(at)
		if rest != nil {
			// An option that holds to the end of the enclosing group.
			outer := p.opt
			p.opt = *rest
			body, t := p.alternatives(p.next(), end)
			p.opt = outer
			return []*node{{kind: nodeGroup, subs: []*node{body}, pos: at}}, t
		}
		t = p.next()
	case tokChar:
		n = &node{kind: nodeLiteral, icase: p.opt&optIgnoreCase != 0, pos: at}
		for t.kind == tokChar {
			n.lit = append(n.lit, t.r)
			t = p.next()
		}
	case tokByte:
		n = &node{kind: nodeLiteral, icase: p.opt&optIgnoreCase != 0, pos: at}
		buf := []byte{byte(t.r)}
		for t = p.next(); t.kind == tokByte && len(buf) < encodedLen(buf[0]); t = p.next() {
			buf = append(buf, byte(t.r))
		}
		r, size := utf8.DecodeRune(buf)
		if r == utf8.RuneError && size < 3 || size != len(buf) {
			p.fail(at, "bytes % x are no character", buf)
		}
		n.lit = []rune{r}
	case tokCode:
		n = &node{kind: nodeLiteral, icase: p.opt&optIgnoreCase != 0, pos: at, lit: append([]rune{t.r}, t.more...)}
		if k := len(t.more); k > 0 {
			head := *n
			head.lit = n.lit[:k]
			items, t := p.quantify(&node{kind: nodeLiteral, icase: n.icase, pos: at, lit: n.lit[k:]}, true, p.next())
			return append([]*node{&head}, items...), t
		}
		t = p.next()
	case tokClass:
		set, neg := p.class(at)
		n = p.classNode(set, neg)
		n.pos = at
		t = p.next()
	case tokNode:
		n = t.node
		t = p.next()
	}
	return p.quantify(n, grouped, t)
}

// encodedLen is the length of the UTF-8 form that begins with b.
func encodedLen(b byte) int {
	switch {
	case b < 0xC0:
		return 1
	case b < 0xE0:
		return 2
	case b < 0xF0:
		return 3
	}
	return 4
}

// quantify applies the quantifiers that follow n.
func (p *parser) quantify(n *node, grouped bool, t token) ([]*node, token) {
	var head []*node
	for ; t.kind == tokRepeat; t = p.next() {
		p.enter(t.at)
		defer func() { p.depth-- }()
		if n.isAnchor() {
			p.fail(t.at, "repeated anchor or look-around")
		}
		if t.lo == 1 && t.hi == 1 {
			grouped = false
			continue
		}
		q := &node{kind: nodeRepeat, lo: t.lo, hi: t.hi, lazy: t.lazy, pos: t.at}
		if n.kind == nodeLiteral && !grouped && len(n.lit) > 1 {
			first := *n
			first.lit = n.lit[:len(n.lit)-1]
			head = append(head, &first)
			n = &node{kind: nodeLiteral, icase: n.icase, lit: n.lit[len(n.lit)-1:], pos: n.pos}
		}
		q.subs = []*node{n}
		if n.kind == nodeRepeat {
			q = nestRepeat(q, n)
		}
		if t.possessive {
			q = &node{kind: nodeAtomic, subs: []*node{q}, pos: t.at}
		}
		n, grouped = q, false
	}
	return append(head, n), t
}

// repeatType numbers ? * + ?? *? +?; -1 is any other repeat.
func repeatType(n *node) int {
	k := -1
	switch {
	case n.lo == 0 && n.hi == 1:
		k = 0
	case n.lo == 0 && n.hi < 0:
		k = 1
	case n.lo == 1 && n.hi < 0:
		k = 2
	}
	if k >= 0 && n.lazy {
		k += 3
	}
	return k
}

// nestRepeat is Oniguruma's reduction of a repeat of a repeat, which does not
// always keep the meaning and so is part of it. The table's row is the inner one.
func nestRepeat(outer, inner *node) *node {
	const (
		asIs     = iota
		drop     // the inner alone
		star     // *
		plus     // +
		lazyStar // *?
		lazyOpt  // ??
		plusOpt  // (?:+)??
	)
	table := [6][6]int{
		{drop, star, star, lazyOpt, lazyStar, asIs},
		{drop, drop, drop, plusOpt, plusOpt, drop},
		{star, star, drop, asIs, plusOpt, drop},
		{drop, lazyStar, lazyStar, drop, lazyStar, lazyStar},
		{drop, drop, drop, drop, drop, drop},
		{asIs, star, plus, lazyStar, lazyStar, drop},
	}
	o, i := repeatType(outer), repeatType(inner)
	switch {
	case i >= 0 && o < 0:
		if (i == 1 || i == 2) && outer.hi > 1 && !outer.lazy {
			outer.hi = max(outer.lo, 1)
		}
		return outer
	case i < 0 || o < 0:
		// {n}{m} is {n*m}.
		if i < 0 && o < 0 && inner.lo == inner.hi && outer.lo == outer.hi && inner.lo*outer.lo <= maxRepeat {
			outer.lo *= inner.lo
			outer.hi = outer.lo
			outer.subs = inner.subs
		}
		return outer
	}
	n := &node{kind: nodeRepeat, subs: inner.subs, pos: outer.pos, hi: -1}
	switch table[i][o] {
	case asIs:
		return outer
	case drop:
		return inner
	case plus:
		n.lo = 1
	case lazyStar:
		n.lazy = true
	case lazyOpt:
		n.hi, n.lazy = 1, true
	case plusOpt:
		n.lo = 1
		return &node{kind: nodeRepeat, subs: []*node{n}, hi: 1, lazy: true, pos: outer.pos}
	}
	return n
}
