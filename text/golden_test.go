package text_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"reflect"
	"testing"

	"github.com/seed-512d3d71/weft/text"
)

// goldenLine is a model, or a configuration round one of the models before it
// with requests and the library's answers; see testdata/diff.py.
type goldenLine struct {
	Model  json.RawMessage
	Name   string
	Use    int
	Config map[string]json.RawMessage
	Rows   [][2]json.RawMessage
}

type goldenRequest struct {
	Text, Pair *string
	Batch      []string
	IDs        []int
	Skip       bool
	NoSpecial  bool `json:"no_special"`
}

type goldenEncoding struct {
	IDs      []int
	Tokens   []string
	Offsets  [][2]int
	Types    []int
	Mask     []int
	Special  []int
	Words    []int
	Overflow []goldenEncoding
	Error    string
}

func goldenLines(t testing.TB) []goldenLine {
	t.Helper()
	f, err := os.Open("testdata/golden.jsonl.gz")
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
	var lines []goldenLine
	for s.Scan() {
		var l goldenLine
		if err := json.Unmarshal(s.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if s.Err() != nil {
		t.Fatal(s.Err())
	}
	return lines
}

// tokenizerJSON puts a configuration and its model together.
func (l *goldenLine) tokenizerJSON(model json.RawMessage) []byte {
	var b bytes.Buffer
	b.WriteString(`{"model":`)
	b.Write(model)
	for k, v := range l.Config {
		name, _ := json.Marshal(k)
		b.WriteByte(',')
		b.Write(name)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes()
}

func same[T any](a, b []T) bool { return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b) }

func checkEncoding(t *testing.T, e text.Encoding, want goldenEncoding) {
	t.Helper()
	if !same(e.IDs, want.IDs) || !same(e.Tokens, want.Tokens) {
		t.Errorf("ids %v %q, want %v %q", e.IDs, e.Tokens, want.IDs, want.Tokens)
		return
	}
	if !same(e.Offsets, want.Offsets) {
		t.Errorf("offsets %v, want %v", e.Offsets, want.Offsets)
	}
	if !same(e.TypeIDs, want.Types) || !same(e.AttentionMask, want.Mask) || !same(e.SpecialTokensMask, want.Special) || !same(e.WordIDs, want.Words) {
		t.Errorf("types %v, masks %v %v, words %v, want %v %v %v %v", e.TypeIDs, e.AttentionMask, e.SpecialTokensMask, e.WordIDs,
			want.Types, want.Mask, want.Special, want.Words)
	}
	if len(e.Overflowing) != len(want.Overflow) {
		t.Fatalf("%d overflowing windows, want %d", len(e.Overflowing), len(want.Overflow))
	}
	for i := range e.Overflowing {
		checkEncoding(t, e.Overflowing[i], want.Overflow[i])
	}
}

// TestGolden checks what the tokenizers library gave for every component.
func TestGolden(t *testing.T) {
	var models []json.RawMessage
	rows := 0
	for _, l := range goldenLines(t) {
		if l.Model != nil {
			models = append(models, l.Model)
			continue
		}
		tok, err := text.Parse(l.tokenizerJSON(models[l.Use]))
		if err != nil {
			t.Errorf("%s: %v", l.Name, err)
			continue
		}
		for _, row := range l.Rows {
			rows++
			if !t.Run(l.Name, func(t *testing.T) { goldenRow(t, tok, row) }) {
				t.Logf("request: %s", row[0])
			}
		}
	}
	if rows < 1000 {
		t.Errorf("only %d rows", rows)
	}
}

func goldenRow(t *testing.T, tok *text.Tokenizer, row [2]json.RawMessage) {
	var r goldenRequest
	if err := json.Unmarshal(row[0], &r); err != nil {
		t.Fatal(err)
	}
	unmarshal := func(v any) {
		if err := json.Unmarshal(row[1], v); err != nil {
			t.Fatal(err)
		}
	}
	o := text.EncodeOptions{NoSpecialTokens: r.NoSpecial, Overflow: true}
	switch {
	case r.Batch != nil:
		var want []goldenEncoding
		unmarshal(&want)
		got, err := tok.EncodeBatch(r.Batch, o)
		if err != nil || len(got) != len(want) {
			t.Fatal(len(got), err)
		}
		for i := range got {
			checkEncoding(t, got[i], want[i])
		}
	case r.IDs != nil:
		var want string
		unmarshal(&want)
		got, err := tok.Decode(r.IDs, r.Skip)
		if err != nil || got != want {
			t.Errorf("decoded %q, %v, want %q", got, err, want)
		}
	default:
		var want goldenEncoding
		unmarshal(&want)
		var e text.Encoding
		var err error
		if r.Pair != nil {
			e, err = tok.EncodePair(*r.Text, *r.Pair, o)
		} else {
			e, err = tok.Encode(*r.Text, o)
		}
		if (err != nil) != (want.Error != "") {
			t.Fatalf("error %v, the library's %q", err, want.Error)
		}
		if err == nil {
			checkEncoding(t, e, want)
		}
	}
}
