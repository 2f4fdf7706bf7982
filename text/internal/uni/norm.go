package uni

// Hangul syllables are composed by arithmetic (Unicode standard, section 3.12).
const (
	hangulS, hangulL, hangulV, hangulT = 0xAC00, 0x1100, 0x1161, 0x11A7
	countL, countV, countT             = 19, 21, 28
	countS                             = countL * countV * countT
)

// Decompose appends the full decomposition of r to dst, in the order of the
// character database: canonical, or with compat the compatibility one. A
// character that does not decompose is appended itself.
func Decompose(r rune, compat bool, dst []rune) []rune {
	switch {
	case r < 0xA0:
		return append(dst, r)
	case hangulS <= r && r < hangulS+countS:
		s := r - hangulS
		dst = append(dst, hangulL+s/(countV*countT), hangulV+s%(countV*countT)/countT)
		if t := s % countT; t != 0 {
			dst = append(dst, hangulT+t)
		}
		return dst
	}
	t := load()
	if compat {
		if d, ok := t.compat[r]; ok {
			return append(dst, d...)
		}
	}
	if d, ok := t.canon[r]; ok {
		return append(dst, d...)
	}
	return append(dst, r)
}

// Compose returns the primary composite of a followed by b.
func Compose(a, b rune) (rune, bool) {
	switch {
	case b < 0x300: // no composite ends in an earlier character
		return 0, false
	case hangulL <= a && a < hangulL+countL && hangulV <= b && b < hangulV+countV:
		return hangulS + ((a-hangulL)*countV+(b-hangulV))*countT, true
	case hangulS <= a && a < hangulS+countS && (a-hangulS)%countT == 0 && hangulT < b && b < hangulT+countT:
		return a + b - hangulT, true
	}
	c, ok := load().pairs[[2]rune{a, b}]
	return c, ok
}

// CCC returns the canonical combining class of r.
func CCC(r rune) uint8 {
	if r < 0x300 {
		return 0
	}
	return load().ccc.at(r)
}

// ToLower appends the lower case of r to dst: Rust's char::to_lowercase, which
// knows no context and maps one character (U+0130) to two.
func ToLower(r rune, dst []rune) []rune {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return append(dst, r)
	}
	if to, ok := load().lower[r]; ok {
		return append(dst, to...)
	}
	return append(dst, r)
}
