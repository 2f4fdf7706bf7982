package safetensors

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"testing"
)

// corpus is testdata/verdicts.json: small files, most of them malformed, with
// what the reference library makes of them (testdata/diff.py -corpus).
func corpus(t testing.TB) []corpusFile {
	b, err := os.ReadFile("testdata/verdicts.json")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Reference string
		Files     []corpusFile
	}
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Files) < 600 {
		t.Fatalf("%d files", len(c.Files))
	}
	return c.Files
}

type corpusFile struct {
	File    []byte
	Kind    Kind
	Tensors []struct {
		Name, DType string
		Shape       []uint64
	}
}

func TestVerdicts(t *testing.T) {
	for i, c := range corpus(t) {
		v := judge(c.File)
		if v.Kind != c.Kind {
			t.Errorf("file %d: %q, want %q: %q", i, v.Kind, c.Kind, c.File)
			continue
		}
		byName := map[string]verdictTensor{}
		for _, x := range v.Tensors {
			byName[x.Name] = x
		}
		if len(byName) != len(c.Tensors) {
			t.Errorf("file %d: %d tensors, want %d: %q", i, len(byName), len(c.Tensors), c.File)
		}
		for _, want := range c.Tensors {
			got := byName[want.Name]
			if got.DType != want.DType || len(got.Shape) != len(want.Shape) || len(want.Shape) > 0 && !reflect.DeepEqual(got.Shape, want.Shape) {
				t.Errorf("file %d: tensor %q: %s %v, want %s %v", i, want.Name, got.DType, got.Shape, want.DType, want.Shape)
			}
		}
	}
}

// FuzzParse: no file makes a reader panic, the tensors of a file that opens
// tile its data, and what the writer makes of them opens with the same contents.
func FuzzParse(f *testing.F) {
	for i, c := range corpus(f) {
		if i%8 == 0 {
			f.Add(c.File)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := Parse(b)
		if err != nil {
			return
		}
		defer file.Close()
		var total int64
		entries := make([]Entry, 0, file.Len())
		for _, x := range file.Tensors() {
			data := x.Data()
			if int64(len(data)) != x.End-x.Begin || x.Begin != total {
				t.Fatalf("%q: %d bytes at %d, want [%d, %d]", x.Name, len(data), x.Begin, total, x.End)
			}
			total = x.End
			if found, ok := file.Lookup(x.Name); !ok || found.Begin != x.Begin || found.End != x.End {
				t.Fatalf("%q: not found again", x.Name)
			}
			if v, err := x.Float32(); err == nil && len(v) != x.Len() {
				t.Fatalf("%q: %d values of %d", x.Name, len(v), x.Len())
			}
			if v, err := x.Int64(); err == nil && len(v) != x.Len() {
				t.Fatalf("%q: %d values of %d", x.Name, len(v), x.Len())
			}
			if x.wide == nil {
				entries = append(entries, Entry{Name: x.Name, DType: x.DType, Shape: x.Shape, Data: data})
			}
		}
		var out bytes.Buffer
		if err := Write(&out, entries, file.Metadata()); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(out.Bytes())
		if err != nil {
			t.Fatalf("written anew: %v", err)
		}
		for _, e := range entries {
			x, _ := again.Lookup(e.Name)
			if x.DType != e.DType || !bytes.Equal(x.Data(), e.Data) {
				t.Fatalf("%q: written anew with other contents", e.Name)
			}
		}
	})
}

// FuzzIndex: no index file makes the reader panic or names a file by more than
// a plain name.
func FuzzIndex(f *testing.F) {
	for _, s := range indexes {
		f.Add([]byte(s.json))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseIndex(b)
		if err != nil {
			return
		}
		if len(m) == 0 {
			t.Fatal("an index of nothing")
		}
		for _, file := range m {
			if !plainName(file) {
				t.Fatalf("file name %q", file)
			}
		}
	})
}
