package text_test

import (
	"strings"
	"testing"
	"time"

	"github.com/seed-512d3d71/weft/text"
)

func encode(t *text.Tokenizer, s string) error {
	_, err := t.Encode(s, text.EncodeOptions{})
	return err
}

// TestLinear checks that long runs of anything cost time in proportion to their
// length, for every pre-tokenizer and model.
func TestLinear(t *testing.T) {
	const size, factor = 1 << 12, 16
	models := map[string]string{
		"bpe":       `{"type":"BPE","unk_token":"u","vocab":{"a":0,"u":1,"aa":2,"aaaa":3," ":4,"  ":5},"merges":["a a","aa aa"]}`,
		"unigram":   `{"type":"Unigram","unk_id":0,"vocab":[["u",0],["a",-1],["aa",-1.5],["aaaa",-2],[" ",-1]]}`,
		"wordpiece": `{"type":"WordPiece","unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":1000000000,"vocab":{"u":0,"a":1,"##a":2,"##aaa":3}}`,
		"wordlevel": `{"type":"WordLevel","unk_token":"u","vocab":{"u":0}}`,
	}
	split := func(re string) string {
		return `{"type":"Split","pattern":{"Regex":"` + re + `"},"behavior":"Isolated","invert":false}`
	}
	pres := map[string]string{
		"none": "null", "bert": `{"type":"BertPreTokenizer"}`, "whitespace": `{"type":"Whitespace"}`, "scripts": `{"type":"UnicodeScripts"}`,
		"bytelevel": `{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true}`, "metaspace": `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"}`,
		"lookahead": split(`\\s+(?!\\S)|\\s+|\\w+x`), "nested": split(`(a|aa)+b`), "lazy": split(`a*?a*?c`), "behind": split(`(?<=a)b|\\S`), "possessive": split(`(?>a+)a`),
	}
	norms := map[string]string{
		"none": "null", "bert": `{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":true,"lowercase":true}`,
		"forms": `{"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"NFC"},{"type":"StripAccents"},{"type":"Strip","strip_left":true,"strip_right":true}]}`,
	}
	added := `[{"id":0,"content":"aaab","single_word":false,"lstrip":true,"rstrip":true,"normalized":true,"special":false},{"id":0,"content":"\n","single_word":false,"lstrip":true,"rstrip":true,"normalized":false,"special":false}]`
	check := func(name, norm, pre, model string, units []string) {
		tok, err := text.Parse([]byte(`{"normalizer":` + norm + `,"pre_tokenizer":` + pre + `,"added_tokens":` + added + `,"model":` + model + `}`))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, unit := range units {
			measure := func(n int) time.Duration {
				s := strings.Repeat(unit, n/len(unit))
				start := time.Now()
				if err := encode(tok, s); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return time.Since(start)
			}
			// Quadratic time would take 256 times as long; a busy machine alone does
			// not make 128 of the fastest of several.
			short, long := measure(size), measure(factor*size)
			for try := 0; long > 8*factor*max(short, 100*time.Microsecond); try++ {
				if try == 9 {
					t.Errorf("%s, %q: %v for %d bytes, %v for %d times as many", name, unit, short, size, long, factor)
					break
				}
				long = min(long, measure(factor*size))
			}
		}
	}
	units := []string{"a", " ", "\u0301", "a ", "中", "a\n", "\n"}
	for p, pre := range pres {
		check("pre-tokenizer "+p, "null", pre, models["wordlevel"], units)
	}
	for m, model := range models {
		check("model "+m, "null", "null", model, []string{"a", " ", "\u0301"})
	}
	for n, norm := range norms {
		check("normalizer "+n, norm, "null", models["wordlevel"], units)
	}
}
