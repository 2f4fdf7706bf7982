package text

import (
	"io/fs"
	"strings"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text/internal/uni"
)

// openCTC builds the tokenizer of a speech model (Wav2Vec2CTCTokenizer) from
// vocab.json: every character is a token, a delimiter stands for the space, and
// the padding token is the blank of CTC. With target_lang in
// tokenizer_config.json, vocab.json holds a vocabulary a language.
func openCTC(dir fs.FS, c *config) (*Tokenizer, error) {
	if !c.isClass("", "Wav2Vec2CTC", "Wav2Vec2") {
		return nil, c.unsupportedClass("vocab.json")
	}
	v, err := readVocabJSON(dir)
	if err != nil {
		return nil, err
	}
	r := fieldReader{o: c.o}
	if lang := r.strOr("target_lang", ""); lang != "" {
		o, err := v.fields()
		if err != nil {
			return nil, err
		}
		if !o.has(lang) {
			return nil, v.errorf("no vocabulary for target_lang %q", lang)
		}
		v = o.get(lang)
	}
	lower := r.boolOr("do_lower_case", false)
	delimiter := r.strOr("word_delimiter_token", "|")
	d := ctcTextDecoder{
		delimiter: delimiter, space: r.strOr("replace_word_delimiter_char", " "), lower: lower,
		cleanup: r.boolOr("clean_up_tokenization_spaces", false),
	}
	if r.err != nil {
		return nil, r.err
	}
	m := &characters{delimiter: delimiter, upper: lower}
	if m.vocab, err = parseVocabulary(v); err != nil {
		return nil, err
	}
	m.unk = c.role("unk_token", "<unk>")
	d.pad = c.role("pad_token", "<pad>")
	c.role("bos_token", "<s>")
	c.role("eos_token", "</s>")
	t := &Tokenizer{model: m, decoder: d, missing: m.unk}
	c.register(t)
	// Tokens of several characters are not to be split.
	var whole []AddedToken
	for tok := range m.vocab.ids {
		if utf8.RuneCountInString(tok) > 1 {
			whole = append(whole, AddedToken{Content: tok, LStrip: true, RStrip: true, Special: t.added.special[tok]})
		}
	}
	t.setAdded(whole)
	return t, nil
}

// characters is the model whose tokens are single characters.
type characters struct {
	vocab     *vocabulary
	unk       string
	delimiter string // for the space
	upper     bool
}

func (m *characters) vocabulary() *vocabulary { return m.vocab }

func (m *characters) tokenize(s string, dst []token) ([]token, error) {
	for i, r := range s {
		end := i + utf8.RuneLen(r)
		text := string(r)
		if m.upper {
			text = upper(text)
		}
		text = strings.ReplaceAll(text, " ", m.delimiter)
		for _, c := range text {
			id, ok := m.vocab.ids[string(c)]
			if !ok {
				if id, ok = m.vocab.ids[m.unk]; !ok {
					return dst, errNoUnknown
				}
			}
			dst = append(dst, token{id, string(c), i, end})
		}
	}
	return dst, nil
}

// upper is Python's str.upper for one character.
func upper(s string) string {
	if u, ok := fullUpper[s]; ok {
		return u
	}
	return strings.ToUpper(s)
}

// ctcTextDecoder joins repeated tokens, drops the blank and makes spaces of
// delimiters. Unlike the library's CTC component it takes tokens whole.
type ctcTextDecoder struct {
	pad, delimiter, space string
	lower, cleanup        bool
}

func (d ctcTextDecoder) decode(tokens []string) []string {
	var b strings.Builder
	for i, t := range tokens {
		switch {
		case i > 0 && t == tokens[i-1], t == d.pad:
		case t == d.delimiter:
			b.WriteString(d.space)
		default:
			b.WriteString(t)
		}
	}
	s := strings.TrimFunc(b.String(), isPythonSpace)
	if d.lower {
		var low []rune
		for _, r := range s {
			low = uni.ToLower(r, low)
		}
		s = string(low)
	}
	if d.cleanup {
		for _, p := range [...][2]string{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"},
			{" n't", "n't"}, {" 'm", "'m"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}} {
			s = strings.ReplaceAll(s, p[0], p[1])
		}
	}
	return []string{s}
}
