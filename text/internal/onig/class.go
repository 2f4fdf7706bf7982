package onig

import (
	"slices"
	"unicode/utf8"
)

const maxRune = utf8.MaxRune

// runeRange holds the code points lo to hi, both included.
type runeRange struct{ lo, hi rune }

// runeSet is a set of code points: sorted ranges that neither touch nor overlap.
type runeSet []runeRange

// has tells whether r is in the set.
func (s runeSet) has(r rune) bool {
	i, j := 0, len(s)
	for i < j {
		k := int(uint(i+j) >> 1)
		if s[k].hi < r {
			i = k + 1
		} else {
			j = k
		}
	}
	return i < len(s) && s[i].lo <= r
}

// normalize sorts and joins ranges in any order.
func normalize(s runeSet) runeSet {
	slices.SortFunc(s, func(a, b runeRange) int { return int(a.lo) - int(b.lo) })
	out := s[:0]
	for _, r := range s {
		if n := len(out); n > 0 && r.lo <= out[n-1].hi+1 {
			out[n-1].hi = max(out[n-1].hi, r.hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

func union(a, b runeSet) runeSet {
	return normalize(append(slices.Clone(a), b...))
}

func negate(s runeSet) runeSet {
	var out runeSet
	next := rune(0)
	for _, r := range s {
		if r.lo > next {
			out = append(out, runeRange{next, r.lo - 1})
		}
		next = r.hi + 1
	}
	if next <= maxRune {
		out = append(out, runeRange{next, maxRune})
	}
	return out
}

func intersect(a, b runeSet) runeSet {
	var out runeSet
	for i, j := 0, 0; i < len(a) && j < len(b); {
		lo, hi := max(a[i].lo, b[j].lo), min(a[i].hi, b[j].hi)
		if lo <= hi {
			out = append(out, runeRange{lo, hi})
		}
		if a[i].hi < b[j].hi {
			i++
		} else {
			j++
		}
	}
	return out
}

// byteSet is a set of bytes, for what a match can begin with.
type byteSet [4]uint64

func (b *byteSet) add(c byte)      { b[c>>6] |= 1 << (c & 63) }
func (b *byteSet) has(c byte) bool { return b[c>>6]&(1<<(c&63)) != 0 }
func (b *byteSet) or(o byteSet) {
	for i := range b {
		b[i] |= o[i]
	}
}

// leads returns the bytes that begin the UTF-8 form of a member. A byte that is
// not UTF-8 is read as U+FFFD.
func (s runeSet) leads() byteSet {
	var b byteSet
	for _, r := range s {
		for c := r.lo; c <= r.hi; {
			var buf [4]byte
			step := rune(1)
			switch {
			case c >= 0x10000:
				step = 0x40000
			case c >= 0x800:
				step = 0x1000
			case c >= 0x80:
				step = 0x40
			}
			if c >= 0xD800 && c < 0xE000 {
				b.add(0xED)
			} else {
				utf8.EncodeRune(buf[:], c)
				b.add(buf[0])
			}
			c = (c/step + 1) * step
		}
		for c := max(r.lo, 0x10000) &^ 0x3ffff; c <= r.hi; c += 0x40000 {
			b.add(0xF0 | byte(c>>18))
		}
	}
	if s.has(utf8.RuneError) {
		b[2], b[3] = ^uint64(0), ^uint64(0)
	}
	return b
}

// class is a runeSet made quick to ask: one bit for each ASCII character, and
// for the others pages of 256 bits, or a binary search where the set is small.
type class struct {
	ascii [128]bool
	set   runeSet
	index []uint16
	pages [][4]uint64
	full  bool // holds every code point
}

// smallSet is the number of ranges up to which a binary search does.
const smallSet = 6

func newClass(s runeSet, paged bool) *class {
	c := &class{set: s, full: len(s) == 1 && s[0] == runeRange{0, maxRune}}
	for _, r := range s {
		for i := r.lo; i <= r.hi && i < 128; i++ {
			c.ascii[i] = true
		}
	}
	if len(s) <= smallSet || !paged {
		return c
	}
	c.index = make([]uint16, (maxRune+1)>>8)
	seen := map[[4]uint64]uint16{}
	var page [4]uint64
	flush := func(k rune) {
		id, ok := seen[page]
		if !ok {
			id = uint16(len(c.pages))
			seen[page] = id
			c.pages = append(c.pages, page)
		}
		c.index[k] = id
	}
	i := 0
	for k := rune(0); k < (maxRune+1)>>8; k++ {
		lo, hi := k<<8, k<<8|255
		page = [4]uint64{}
		for ; i < len(s) && s[i].lo <= hi; i++ {
			for r := max(lo, s[i].lo); r <= min(hi, s[i].hi); r++ {
				page[r>>6&3] |= 1 << (r & 63)
			}
			if s[i].hi > hi {
				break
			}
		}
		flush(k)
	}
	return c
}

func (c *class) has(r rune) bool {
	if uint32(r) < 128 {
		return c.ascii[r]
	}
	if c.index == nil {
		return c.full || c.set.has(r)
	}
	return c.pages[c.index[r>>8]][r>>6&3]&(1<<(r&63)) != 0
}
