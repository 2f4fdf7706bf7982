package text_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/text"
)

// smallTokenizers are complete files of every model type, small enough to mutate.
var smallTokenizers = []string{
	`{"version":"1.0","normalizer":{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true},"pre_tokenizer":{"type":"BertPreTokenizer"},"post_processor":{"type":"BertProcessing","sep":["[SEP]",1],"cls":["[CLS]",0]},"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},"added_tokens":[{"id":0,"content":"[CLS]","single_word":false,"lstrip":true,"rstrip":true,"normalized":false,"special":true}],"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{"[CLS]":0,"[SEP]":1,"[UNK]":2,"a":3,"##b":4}}}`,
	`{"normalizer":{"type":"Sequence","normalizers":[{"type":"NFKC"},{"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "},{"type":"Strip","strip_left":true,"strip_right":false}]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true},"post_processor":{"type":"RobertaProcessing","sep":["a",0],"cls":["b",1],"trim_offsets":true,"add_prefix_space":true},"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true},"truncation":{"direction":"Left","max_length":5,"strategy":"LongestFirst","stride":1},"padding":{"strategy":{"Fixed":7},"direction":"Left","pad_to_multiple_of":4,"pad_id":0,"pad_type_id":1,"pad_token":"a"},"model":{"type":"BPE","unk_token":"a","fuse_unk":true,"vocab":{"a":0,"b":1,"ab":2,"Ġ":3},"merges":["a b"]}}`,
	`{"normalizer":{"type":"Nmt"},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true},"decoder":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true},"model":{"type":"Unigram","unk_id":0,"byte_fallback":true,"vocab":[["<unk>",0],["▁",-1.5],["a",-2],["▁a",-2.5]]}}`,
	`{"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{N}{1,3}(?=a)|[^\\s]+?"},"behavior":"MergedWithNext","invert":true},{"type":"Digits","individual_digits":true},{"type":"UnicodeScripts"},{"type":"FixedLength","length":3}]},"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"a","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],"pair":[{"Sequence":{"id":"A","type_id":0}},{"Sequence":{"id":"B","type_id":1}}],"special_tokens":{"a":{"id":"a","ids":[0],"tokens":["a"]}}},"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":"a","start":1,"stop":1},{"type":"CTC","pad_token":"a","word_delimiter_token":"|","cleanup":true},{"type":"BPEDecoder","suffix":"</w>"}]},"model":{"type":"WordLevel","unk_token":"u","vocab":{"a":0,"u":1}}}`,
}

// FuzzParse reads mutated files and, if they are accepted, encodes with them.
func FuzzParse(f *testing.F) {
	for _, s := range smallTokenizers {
		f.Add([]byte(s), "a b ab 12\u0301 é中 [CLS] <0x41>")
	}
	f.Fuzz(func(t *testing.T, file []byte, s string) {
		tok, err := text.Parse(file)
		if err != nil {
			return
		}
		e, err := tok.EncodePair(s, s, text.EncodeOptions{Overflow: true})
		if err != nil {
			return
		}
		n := e.Len()
		if len(e.Tokens) != n || len(e.Offsets) != n || len(e.TypeIDs) != n || len(e.AttentionMask) != n || len(e.SpecialTokensMask) != n || len(e.WordIDs) != n {
			t.Fatalf("%d ids, %d tokens, %d offsets", n, len(e.Tokens), len(e.Offsets))
		}
		if _, err := tok.Decode(e.IDs, true); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzRoundTrip checks that a byte-level tokenizer gives every text back, and
// that its offsets stay within the text.
func FuzzRoundTrip(f *testing.F) {
	vocab := map[string]int{}
	for b := range 256 {
		r := rune(b)
		if !('!' <= r && r <= '~' || 0xA1 <= r && r <= 0xAC || 0xAE <= r && r <= 0xFF) {
			continue
		}
		vocab[string(r)] = len(vocab)
	}
	for r := rune(256); len(vocab) < 256; r++ {
		vocab[string(r)] = len(vocab)
	}
	for _, m := range []string{"ab", "Ġa", "Ġab"} {
		vocab[m] = len(vocab)
	}
	v, err := json.Marshal(vocab)
	if err != nil {
		f.Fatal(err)
	}
	tok, err := text.Parse([]byte(`{"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true},"decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true},"model":{"type":"BPE","vocab":` + string(v) + `,"merges":["a b","Ġ a","Ġa b"]}}`))
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{"", "a b", "Hello  world\n\n", "é\u0301 中文 👨‍👩‍👧", strings.Repeat("ab", 40)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := tok.Encode(s, text.EncodeOptions{})
		if !utf8.ValidString(s) {
			if err == nil {
				t.Fatal("accepted text that is not UTF-8")
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if back, err := tok.Decode(e.IDs, false); err != nil || back != s {
			t.Fatalf("%q came back as %q, %v", s, back, err)
		}
		n, last := utf8.RuneCountInString(s), 0
		for _, o := range e.Offsets {
			if o[0] < 0 || o[0] > o[1] || o[1] > n || o[0] < last-1 {
				t.Fatalf("offsets %v in %d characters", e.Offsets, n)
			}
			last = o[1]
		}
	})
}
