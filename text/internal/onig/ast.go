package onig

type nodeKind uint8

const (
	nodeEmpty   nodeKind = iota
	nodeLiteral          // lit, case-insensitively if icase
	nodeClass            // one character of set
	nodeConcat           // subs in order
	nodeAlt              // subs in order of preference
	nodeRepeat           // subs[0], lo to hi times (hi < 0: no limit)
	nodeGroup            // subs[0]; apart from a neighbour's literal
	nodeAtomic           // subs[0] without backtracking into it
	nodeLook             // look-ahead at subs[0], negative if neg
	nodeBehind           // look-behind at subs[0], negative if neg
	nodeAssert           // an anchor
)

type assertion uint8

const (
	assertLineStart    assertion = iota // ^
	assertLineEnd                       // $
	assertTextStart                     // \A
	assertTextEnd                       // \z
	assertTextEndLine                   // \Z
	assertWord                          // \b
	assertNotWord                       // \B
	assertWordASCII                     // \b under (?W)
	assertNotWordASCII                  // \B under (?W)
	assertSearchStart                   // \G
)

type node struct {
	kind   nodeKind
	icase  bool
	lazy   bool
	neg    bool
	assert assertion
	lo, hi int
	pos    int // byte offset in the pattern
	lit    []rune
	set    runeSet
	subs   []*node
}

// isAnchor tells whether Oniguruma refuses to repeat n.
func (n *node) isAnchor() bool {
	switch n.kind {
	case nodeLook, nodeBehind, nodeAssert:
		return true
	case nodeAlt:
		for _, s := range n.subs {
			if s.isAnchor() {
				return true
			}
		}
	}
	return false
}

// unlimited is a length without bound.
const unlimited = 1 << 30

// length returns the least and greatest number of characters that n matches.
func (n *node) length() (lo, hi int) {
	switch n.kind {
	case nodeLiteral:
		return len(n.lit), len(n.lit)
	case nodeClass:
		return 1, 1
	case nodeConcat:
		for _, s := range n.subs {
			l, h := s.length()
			lo, hi = min(lo+l, unlimited), min(hi+h, unlimited)
		}
	case nodeAlt:
		for i, s := range n.subs {
			l, h := s.length()
			if i == 0 {
				lo, hi = l, h
			}
			lo, hi = min(lo, l), max(hi, h)
		}
	case nodeRepeat:
		l, h := n.subs[0].length()
		lo = mulLimited(l, n.lo)
		switch {
		case n.hi < 0 && h > 0:
			hi = unlimited
		case n.hi >= 0:
			hi = mulLimited(h, n.hi)
		}
	case nodeGroup, nodeAtomic:
		return n.subs[0].length()
	}
	return lo, hi
}

func mulLimited(a, b int) int {
	if a > 0 && b > unlimited/a {
		return unlimited
	}
	return a * b
}

// concat joins nodes, flattening and merging neighbouring literals as
// Oniguruma does: that decides where "ss" may match "ß".
func concat(nodes []*node) *node {
	var out []*node
	var add func(n *node)
	add = func(n *node) {
		switch {
		case n.kind == nodeEmpty:
		case n.kind == nodeConcat:
			for _, s := range n.subs {
				add(s)
			}
		case n.kind == nodeLiteral && len(out) > 0 && out[len(out)-1].kind == nodeLiteral && out[len(out)-1].icase == n.icase:
			last := *out[len(out)-1]
			last.lit = append(last.lit[:len(last.lit):len(last.lit)], n.lit...)
			out[len(out)-1] = &last
		default:
			out = append(out, n)
		}
	}
	for _, n := range nodes {
		add(n)
	}
	switch len(out) {
	case 0:
		return &node{kind: nodeEmpty}
	case 1:
		return out[0]
	}
	return &node{kind: nodeConcat, subs: out}
}

// expandFold returns a node that matches the literal with its case variants.
// Within look-behind only variants of the same length in bytes count, as in Oniguruma.
func expandFold(lit []rune, behind bool) *node {
	t := loadProps()
	single := func(c rune) rune {
		if f := t.fold[c]; len(f) == 1 {
			return f[0]
		}
		return c
	}
	var out []*node
	for i := 0; i < len(lit); {
		c := lit[i]
		if behind {
			set := runeSet{{c, c}}
			for _, v := range append(t.foldSingle(single(c)), t.unfold[foldKey(t.fold[c])]...) {
				if runeLen(v) == runeLen(c) {
					set = append(set, runeRange{v, v})
				}
			}
			out = append(out, setNode(normalize(set)))
			i++
			continue
		}
		// Two or three characters that together are the folding of another.
		taken := false
		for n := min(3, len(lit)-i); n > 1 && !taken; n-- {
			var k [3]rune
			for j := range n {
				k[j] = single(lit[i+j])
			}
			if u := t.unfold[k]; u != nil {
				alts := []*node{literal(lit[i : i+n])}
				for _, v := range u {
					alts = append(alts, literal([]rune{v}))
				}
				alts = append(alts, t.variants(k))
				out = append(out, &node{kind: nodeAlt, subs: alts})
				i += n
				taken = true
			}
		}
		if taken {
			continue
		}
		i++
		if f := t.fold[c]; len(f) > 1 {
			alts := []*node{literal([]rune{c})}
			for _, v := range t.unfold[foldKey(f)] {
				alts = append(alts, literal([]rune{v}))
			}
			out = append(out, &node{kind: nodeAlt, subs: append(alts, t.variants(foldKey(f)))})
			continue
		}
		var set runeSet
		for _, v := range t.foldSingle(single(c)) {
			set = append(set, runeRange{v, v})
		}
		out = append(out, setNode(normalize(set)))
	}
	return concat(out)
}

// variants matches a folding of several characters, each in any case.
func (t *propTable) variants(k [3]rune) *node {
	var seq []*node
	for _, c := range k {
		if c == 0 {
			break
		}
		var set runeSet
		for _, v := range t.foldSingle(c) {
			set = append(set, runeRange{v, v})
		}
		seq = append(seq, setNode(normalize(set)))
	}
	return &node{kind: nodeConcat, subs: seq}
}

func literal(s []rune) *node { return &node{kind: nodeLiteral, lit: s} }

// setNode matches one character of s.
func setNode(s runeSet) *node {
	if len(s) == 1 && s[0].lo == s[0].hi {
		return literal([]rune{s[0].lo})
	}
	return &node{kind: nodeClass, set: s}
}

func runeLen(r rune) int { return len(string(r)) }
