package text

import (
	"strings"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text/internal/onig"
)

// decoder turns tokens back into pieces of text.
type decoder interface {
	decode(tokens []string) []string
}

func parseDecoder(v value, depth int) (decoder, error) {
	r := read(v)
	kind := r.kind()
	if r.err != nil {
		return nil, r.err
	}
	if depth > maxNesting {
		return nil, v.errorf("nested deeper than %d", maxNesting)
	}
	if kind == "" {
		for _, guess := range [][2]string{{"word_delimiter_token", "CTC"}, {"cleanup", "WordPiece"}, {"start", "Strip"}, {"pattern", "Replace"}} {
			if kind == "" && r.o.has(guess[0]) {
				kind = guess[1]
			}
		}
	}
	var d decoder
	switch kind {
	case "ByteLevel":
		r.bool("add_prefix_space")
		r.bool("trim_offsets")
		d = byteLevelDecoder{}
	case "WordPiece":
		d = wordPieceDecoder{prefix: r.str("prefix"), cleanup: r.bool("cleanup")}
	case "BPEDecoder":
		d = bpeDecoder{r.str("suffix")}
	case "Metaspace":
		r.boolOr("split", true)
		d = metaspaceDecoder{parseMetaspace(r)}
	case "Replace":
		d = replaceDecoder{field(r, "pattern", parsePattern), r.str("content")}
	case "Fuse":
		d = fuseDecoder{}
	case "Strip":
		d = stripDecoder{r.char("content"), r.int("start"), r.int("stop")}
	case "ByteFallback":
		d = byteFallbackDecoder{}
	case "CTC":
		d = ctcDecoder{pad: r.str("pad_token"), delimiter: r.str("word_delimiter_token"), cleanup: r.bool("cleanup")}
	case "Sequence":
		seq, err := sequence(r, "decoders", depth, parseDecoder)
		return decoders(seq), err
	default:
		return nil, unsupported(v, "decoder", kind)
	}
	return d, r.err
}

// decoders is a Sequence.
type decoders []decoder

func (s decoders) decode(tokens []string) []string {
	for _, d := range s {
		tokens = d.decode(tokens)
	}
	return tokens
}

// each rewrites every token.
func each(tokens []string, f func(i int, t string) string) []string {
	out := make([]string, len(tokens))
	for i, t := range tokens {
		out[i] = f(i, t)
	}
	return out
}

type byteLevelDecoder struct{}

func (byteLevelDecoder) decode(tokens []string) []string {
	var b []byte
	for _, t := range tokens {
		start := len(b)
		for _, r := range t {
			c, ok := runeBytes[r]
			if !ok { // not a byte-level token: as it is
				b = append(b[:start], t...)
				break
			}
			b = append(b, c)
		}
	}
	return []string{validUTF8(b)}
}

// validUTF8 puts U+FFFD in place of every maximal part of a character that is
// not continued as UTF-8 asks (Unicode standard, table 3-8).
func validUTF8(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	var out strings.Builder
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && n == 1 {
			n = brokenLen(b[i:])
		}
		out.WriteRune(r)
		i += n
	}
	return out.String()
}

// brokenLen is the length of the maximal part of a character that b, which does
// not begin with a whole one, begins with.
func brokenLen(b []byte) int {
	lo, hi, want := byte(0x80), byte(0xBF), 0
	switch c := b[0]; {
	case 0xC2 <= c && c <= 0xDF:
		want = 1
	case 0xE0 <= c && c <= 0xEF:
		want = 2
		if c == 0xE0 {
			lo = 0xA0
		} else if c == 0xED {
			hi = 0x9F
		}
	case 0xF0 <= c && c <= 0xF4:
		want = 3
		if c == 0xF0 {
			lo = 0x90
		} else if c == 0xF4 {
			hi = 0x8F
		}
	}
	n := 1
	for ; n <= want && n < len(b) && lo <= b[n] && b[n] <= hi; n++ {
		lo, hi = 0x80, 0xBF
	}
	return n
}

type wordPieceDecoder struct {
	prefix  string
	cleanup bool
}

func (d wordPieceDecoder) decode(tokens []string) []string {
	return each(tokens, func(i int, t string) string {
		if i > 0 {
			if rest, ok := strings.CutPrefix(t, d.prefix); ok {
				t = rest
			} else {
				t = " " + t
			}
		}
		if d.cleanup {
			t = cleanUp(t)
		}
		return t
	})
}

// cleanUp undoes what tokenizing does to English punctuation, in this order.
func cleanUp(s string) string {
	for _, p := range [...][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"},
		{" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
		s = strings.ReplaceAll(s, p[0], p[1])
	}
	return s
}

type bpeDecoder struct{ suffix string }

func (d bpeDecoder) decode(tokens []string) []string {
	return each(tokens, func(i int, t string) string {
		with := " "
		if i == len(tokens)-1 {
			with = ""
		}
		return strings.ReplaceAll(t, d.suffix, with)
	})
}

type metaspaceDecoder struct{ m metaspace }

func (d metaspaceDecoder) decode(tokens []string) []string {
	return each(tokens, func(i int, t string) string {
		with := " "
		if i == 0 && d.m.scheme != prependNever {
			with = ""
		}
		return strings.ReplaceAll(t, string(d.m.replacement), with)
	})
}

type replaceDecoder struct {
	re      *onig.Regexp
	content string
}

func (d replaceDecoder) decode(tokens []string) []string {
	return each(tokens, func(_ int, t string) string {
		if t == "" {
			return t
		}
		var b strings.Builder
		last := 0
		for _, m := range d.re.FindAll(t, nil) {
			b.WriteString(t[last:m[0]])
			b.WriteString(d.content)
			last = m[1]
		}
		b.WriteString(t[last:])
		return b.String()
	})
}

type fuseDecoder struct{}

func (fuseDecoder) decode(tokens []string) []string { return []string{strings.Join(tokens, "")} }

// stripDecoder drops up to start and stop of a character at a token's ends.
type stripDecoder struct {
	content     rune
	start, stop int
}

func (d stripDecoder) decode(tokens []string) []string {
	c := string(d.content)
	return each(tokens, func(_ int, t string) string {
		for i := 0; i < d.start && strings.HasPrefix(t, c); i++ {
			t = t[len(c):]
		}
		for i := 0; i < d.stop && strings.HasSuffix(t, c); i++ {
			t = t[:len(t)-len(c)]
		}
		return t
	})
}

type byteFallbackDecoder struct{}

func (byteFallbackDecoder) decode(tokens []string) []string {
	out := make([]string, 0, len(tokens))
	var run []byte
	flush := func() {
		if utf8.Valid(run) && len(run) > 0 {
			out = append(out, string(run))
		} else {
			for range run {
				out = append(out, "\uFFFD")
			}
		}
		run = run[:0]
	}
	for _, t := range tokens {
		if b, ok := tokenByte(t); ok {
			run = append(run, b)
			continue
		}
		flush()
		out = append(out, t)
	}
	flush()
	return out
}

// tokenByte reads <0xHH>.
func tokenByte(t string) (byte, bool) {
	if len(t) != 6 || t[:3] != "<0x" || t[5] != '>' {
		return 0, false
	}
	var b byte
	for _, c := range []byte(t[3:5]) {
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		b = b<<4 | c
	}
	return b, true
}

// ctcDecoder joins repeated tokens and drops the blank (Graves et al. 2006).
type ctcDecoder struct {
	pad, delimiter string
	cleanup        bool
}

func (d ctcDecoder) decode(tokens []string) []string {
	var out []string
	for i, t := range tokens {
		if i > 0 && t == tokens[i-1] {
			continue
		}
		t = strings.ReplaceAll(t, d.pad, "")
		if d.cleanup {
			t = strings.ReplaceAll(cleanUp(t), d.delimiter, " ")
		}
		if t != "" {
			out = append(out, t)
		}
	}
	return out
}
