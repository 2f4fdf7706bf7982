package generate

import (
	"testing"
	"testing/fstest"

	"github.com/seed-512d3d71/weft/text"
)

// bytesTokenizer is a byte-level tokenizer: é is two tokens, an end is special.
func bytesTokenizer(t *testing.T) *text.Tokenizer {
	t.Helper()
	tok, err := text.Open(fstest.MapFS{"tokenizer.json": {Data: []byte(`{
		"version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
		"added_tokens": [{"id": 7, "content": "<end>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false}],
		"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
		"model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false,
			"byte_fallback": false, "ignore_merges": false, "vocab": {"a": 0, "b": 1, "Ġ": 2, "Ã": 3, "©": 4, "ab": 5, "Ġb": 6, "<end>": 7}, "merges": [["a", "b"], ["Ġ", "b"]]}
	}`)}})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestStreamText: a character is given when it is whole, and what is given is
// the text.
func TestStreamText(t *testing.T) {
	tok := bytesTokenizer(t)
	var s streamText
	ids := []int32{5, 6} // a prompt
	all := ""
	for i, want := range []struct {
		id   int32
		text string
	}{{0, "a"}, {3, ""}, {4, "é"}, {6, " b"}, {7, ""}, {2, " "}, {5, "ab"}, {3, "�"}} {
		ids = append(ids, want.id)
		got := s.next(tok, ids, i == 7)
		if got != want.text {
			t.Errorf("token %d: %q, want %q", i, got, want.text)
		}
		all += got
	}
	if whole := decode32(tok, ids[2:]); all != whole {
		t.Errorf("%q, want %q", all, whole)
	}
}

func TestStopStrings(t *testing.T) {
	s := &search{Generator: &Generator{Tokenizer: bytesTokenizer(t), Config: Config{StopStrings: []string{"b ba", "é", ""}}}}
	for _, c := range []struct {
		ids  []int32
		want bool
	}{
		{[]int32{5}, false}, {[]int32{5, 6}, false}, {[]int32{5, 6, 0}, true}, {[]int32{5, 6, 5}, true}, // "ab b" + "ab": a match within the token
		{[]int32{5, 6, 0, 0}, false}, // the match was an earlier token's
		{[]int32{3}, false}, {[]int32{3, 4}, true}, {[]int32{3, 4, 1}, false},
	} {
		if got := s.stopString(c.ids); got != c.want {
			t.Errorf("%v (%q): %v", c.ids, decode32(s.Tokenizer, c.ids), got)
		}
	}
}

func TestPrompts(t *testing.T) {
	in, err := Prompts(bytesTokenizer(t), "ab b", "a")
	if err != nil {
		t.Fatal(err)
	}
	ids, mask := in["input_ids"].I64(), in["attention_mask"].I64()
	if in["input_ids"].Dim(1) != 2 || ids[0] != 5 || ids[1] != 6 || ids[3] != 0 || mask[2] != 0 || mask[3] != 1 {
		t.Error(ids, mask)
	}
	if _, err := Prompts(bytesTokenizer(t), "a", ""); err == nil {
		t.Error("an empty prompt was accepted")
	}
}
