package text_test

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/seed-512d3d71/weft/text"
)

// TestLegacy checks directories without a tokenizer.json against what
// transformers makes of them; see testdata/legacy.py.
func TestLegacy(t *testing.T) {
	f, err := os.Open("testdata/legacy.jsonl.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(z)
	s.Buffer(nil, 1<<24)
	n := 0
	for ; s.Scan(); n++ {
		var c struct {
			Name  string
			Files map[string]string
			Size  int
			Rows  [][2]json.RawMessage
		}
		if err := json.Unmarshal(s.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		dir := fstest.MapFS{}
		for name, content := range c.Files {
			dir[name] = &fstest.MapFile{Data: []byte(content)}
		}
		tok, err := text.Open(dir)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		if tok.VocabSize() != c.Size {
			t.Errorf("%s: %d tokens, want %d", c.Name, tok.VocabSize(), c.Size)
		}
		for _, row := range c.Rows {
			ok := t.Run(c.Name, func(t *testing.T) {
				if !strings.HasPrefix(c.Name, "ctc") || strings.Contains(string(row[0]), `"ids"`) {
					goldenRow(t, tok, row)
					return
				}
				// A Python tokenizer gives ids alone.
				var r goldenRequest
				var want goldenEncoding
				if err := errors.Join(json.Unmarshal(row[0], &r), json.Unmarshal(row[1], &want)); err != nil {
					t.Fatal(err)
				}
				if e, err := tok.Encode(*r.Text, text.EncodeOptions{}); err != nil || !same(e.IDs, want.IDs) {
					t.Errorf("%v, %v, want %v", e.IDs, err, want.IDs)
				}
			})
			if !ok {
				t.Logf("request: %s", row[0])
			}
		}
	}
	if s.Err() != nil || n < 10 {
		t.Errorf("%d cases, %v", n, s.Err())
	}
}

func mapFS(files ...string) fstest.MapFS {
	dir := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		dir[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return dir
}

// TestOpenErrors checks that errors name the file and the field, and tell
// what is unsupported from what is malformed.
func TestOpenErrors(t *testing.T) {
	const model = `"model":{"type":"WordLevel","unk_token":"u","vocab":{"u":0}}`
	deep := strings.Repeat(`{"type":"Sequence","normalizers":[`, 50) + `{"type":"NFC"}` + strings.Repeat(`]}`, 50)
	for _, c := range []struct {
		file        string
		unsupported bool
		want        string // parts of the message, separated by |
	}{
		{`{` + model + `,"normalizer":{"type":"Frobnicate"}}`, true, `tokenizer.json.normalizer|normalizer "Frobnicate"`},
		{`{` + model + `,"normalizer":{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Nope"}]}}`, true, `normalizers[1]|"Nope"`},
		{`{` + model + `,"pre_tokenizer":{"type":"Nope"}}`, true, `pre_tokenizer "Nope"`},
		{`{` + model + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"(a)\\1"},"behavior":"Isolated","invert":false}}`, true, `pattern.Regex|back-reference`},
		{`{` + model + `,"pre_tokenizer":{"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false}}`, false, `pattern.Regex|malformed`},
		{`{` + model + `,"post_processor":{"type":"Nope"}}`, true, `post_processor "Nope"`},
		{`{` + model + `,"decoder":{"type":"Nope"}}`, true, `decoder "Nope"`},
		{`{"model":{"type":"Nope"}}`, true, `model "Nope"`},
		{`{"model":{"type":"BPE","dropout":0.5,"vocab":{},"merges":[]}}`, true, "dropout"},
		{`{"model":{"type":"BPE","vocab":{"a":0},"merges":["a b"]}}`, false, `model.merges|"b" is not in the vocabulary`},
		{`{"model":{"type":"BPE","vocab":{"a":0},"merges":["ab"]}}`, false, `merges[0]`},
		{`{"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}}`, false, `vocab."a"`},
		{`{"model":{"type":"BPE","vocab":{"a":4294967296},"merges":[]}}`, false, `vocab."a"`},
		{`{"model":{"type":"Unigram","unk_id":3,"vocab":[["a",0]]}}`, false, `unk_id|3 is not in the vocabulary`},
		{`{"model":{"type":"Unigram","vocab":[["a",0],["b"]]}}`, false, `vocab[1]`},
		{`{"model":{"type":"WordPiece","vocab":{}}}`, false, `missing field "unk_token"`},
		{`{` + model + `,"normalizer":{"type":"Strip","strip_left":1,"strip_right":true}}`, false, `strip_left: want true or false`},
		{`{` + model + `,"normalizer":{"type":"Precompiled","precompiled_charsmap":"////fw=="}}`, false, `precompiled_charsmap`},
		{`{` + model + `,"normalizer":` + deep + `}`, false, "nested deeper"},
		{`{` + model + `,"normalizer":` + strings.Repeat("[", 1000) + `}`, false, "nested deeper"},
		{`{` + model + `,"post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"x","type_id":0}}],"pair":[],"special_tokens":{}}}`, false, `single[0]|"x" is not among`},
		{`{` + model + `,"post_processor":{"type":"TemplateProcessing","single":[{"Sequence":{"id":"B","type_id":0}}],"pair":[],"special_tokens":{}}}`, false, `single[0]|second text`},
		{`{` + model + `,"padding":{"strategy":{"Fixed":1000000000},"direction":"Right","pad_id":0,"pad_type_id":0,"pad_token":"u"}}`, false, `padding|more than`},
		{`{` + model + `,"truncation":{"max_length":5,"stride":0,"strategy":"Nope"}}`, true, `truncation.strategy`},
		{`{` + model + `,"version":"2.0"}`, true, "version"},
		{`{}`, false, `missing field "model"`},
		{`{"model":{"type":"WordLevel","unk_token":"\ud800","vocab":{}}}`, false, "lone surrogate"},
		{`{"model":` + "\"\xff\"" + `}`, false, "not UTF-8"},
		{`{` + model + `} x`, false, "data after"},
		{``, false, "malformed JSON"},
	} {
		_, err := text.Open(mapFS("tokenizer.json", c.file))
		if err == nil {
			t.Errorf("%.80s: accepted", c.file)
			continue
		}
		if errors.Is(err, text.ErrUnsupported) != c.unsupported {
			t.Errorf("%.80s: unsupported %v: %v", c.file, !c.unsupported, err)
		}
		for _, part := range append(strings.Split(c.want, "|"), "tokenizer.json") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%.80s: error %q does not say %q", c.file, err, part)
			}
		}
	}
	if _, err := text.Open(mapFS()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("empty directory: %v", err)
	}
	if _, err := text.Open(mapFS("vocab.txt", "a\n", "tokenizer_config.json", `{"tokenizer_class":"MPNetTokenizer"}`)); !errors.Is(err, text.ErrUnsupported) || !strings.Contains(err.Error(), "MPNetTokenizer") {
		t.Errorf("MPNetTokenizer: %v", err)
	}
}

func TestOpenPrecedence(t *testing.T) {
	dir := mapFS("tokenizer.json", `{"model":{"type":"WordLevel","unk_token":"json","vocab":{"json":0}}}`,
		"vocab.txt", "[UNK]\ntxt\n[CLS]\n[SEP]\n[PAD]\n[MASK]\n", "vocab.json", `{"ctc":0,"<pad>":1,"<unk>":2}`, "merges.txt", "")
	for _, c := range [][2]string{{"tokenizer.json", "json"}, {"vocab.txt", "txt"}, {"merges.txt", "ctc"}} {
		tok, err := text.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := tok.TokenToID(c[1]); !ok {
			t.Errorf("before %s is gone: no token %q", c[0], c[1])
		}
		delete(dir, c[0])
	}
}

// TestOpenClass checks that config.json tells RoBERTa from GPT-2 where
// tokenizer_config.json does not.
func TestOpenClass(t *testing.T) {
	for model, want := range map[string]int{"roberta": 3, "gpt2": 1} {
		tok, err := text.Open(mapFS("vocab.json", `{"<s>":0,"</s>":1,"a":2}`, "merges.txt", "#version: 0.2\n", "config.json", `{"model_type":"`+model+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		if e, err := tok.Encode("a", text.EncodeOptions{}); err != nil || e.Len() != want {
			t.Errorf("%s: %v, %v, want %d tokens", model, e.IDs, err, want)
		}
	}
	_, err := text.Open(mapFS("vocab.txt", "a\n", "config.json", `{"model_type":"mpnet"}`))
	if !errors.Is(err, text.ErrUnsupported) || !strings.Contains(err.Error(), "MPNet") {
		t.Errorf("mpnet: %v", err)
	}
}

func TestSpecialTokens(t *testing.T) {
	tok, err := text.Open(mapFS("vocab.txt", "[UNK]\na\n[CLS]\n[SEP]\n[PAD]\n", "tokenizer_config.json", `{"model_max_length":8}`))
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := tok.SpecialID("cls_token"); id != 2 || !ok {
		t.Errorf("cls_token %d %v", id, ok)
	}
	if id, ok := tok.SpecialID("mask_token"); id != 5 || !ok {
		t.Errorf("mask_token %d %v: it joins the vocabulary", id, ok)
	}
	if tok.MaxLength() != 8 || tok.VocabSize() != 6 || tok.MaxID() != 5 {
		t.Errorf("length %d, size %d, greatest id %d", tok.MaxLength(), tok.VocabSize(), tok.MaxID())
	}
	if ids := tok.SpecialIDs(); !same(ids, []int{0, 2, 3, 4, 5}) {
		t.Errorf("special ids %v", ids)
	}
	batch, err := tok.EncodeBatch([]string{"a", "a a a", ""}, text.EncodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]int{{2, 1, 3, 4, 4}, {2, 1, 1, 1, 3}, {2, 3, 4, 4, 4}} {
		if !same(batch[i].IDs, want) {
			t.Errorf("text %d: %v, want %v", i, batch[i].IDs, want)
		}
	}
	e, err := tok.Encode("a a a a a a", text.EncodeOptions{MaxLength: 4, Stride: 1, Overflow: true})
	if err != nil || e.Len() != 4 || len(e.Overflowing) != 4 {
		t.Errorf("%d tokens, %d windows, %v", e.Len(), len(e.Overflowing), err)
	}
	if _, err := tok.Encode("a", text.EncodeOptions{MaxLength: 1}); err == nil {
		t.Error("a length of 1 holds two special tokens")
	}
}

func TestConcurrent(t *testing.T) {
	tok, err := text.Parse([]byte(smallTokenizers[1]))
	if err != nil {
		t.Fatal(err)
	}
	want, err := tok.Encode("a b ab ba", text.EncodeOptions{NoTruncation: true})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				if got, err := tok.Encode("a b ab ba", text.EncodeOptions{NoTruncation: true}); err != nil || !same(got.IDs, want.IDs) {
					t.Errorf("%v %v, want %v", got.IDs, err, want.IDs)
				}
			}
		})
	}
	wg.Wait()
}

func BenchmarkEncode(b *testing.B) {
	for _, l := range goldenLines(b) {
		if l.Name != "bpe_byte" && l.Name != "wordpiece" && l.Name != "unigram" {
			continue
		}
		b.Run(l.Name, func(b *testing.B) {
			var models []json.RawMessage
			for _, m := range goldenLines(b) {
				if m.Model != nil {
					models = append(models, m.Model)
				}
			}
			tok, err := text.Parse(l.tokenizerJSON(models[l.Use]))
			if err != nil {
				b.Fatal(err)
			}
			s := strings.Repeat("The earth was made of water, and we've read 12 books about it. ", 8)
			b.SetBytes(int64(len(s)))
			for b.Loop() {
				if err := encode(tok, s); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
