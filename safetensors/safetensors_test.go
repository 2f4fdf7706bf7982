package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// file builds a file of a header's text and data.
func file(header, data string) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), data...)
}

func TestParse(t *testing.T) {
	f, err := Parse(file(`{"__metadata__":{"k":"v"},"b":{"dtype":"I64","shape":[],"data_offsets":[8,16]},"a":["F32",[2,1],[0,8]]} `,
		"\x00\x00\x80\x3f\x00\x00\x00\xc0\x07\x00\x00\x00\x00\x00\x00\x00"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Names(); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Error(got)
	}
	if f.Metadata()["k"] != "v" || len(f.Metadata()) != 1 {
		t.Error(f.Metadata())
	}
	a, _ := f.Lookup("a")
	if x, err := a.Float32(); err != nil || !reflect.DeepEqual(x, []float32{1, -2}) {
		t.Error(x, err)
	}
	if !reflect.DeepEqual(a.Shape, []int{2, 1}) || a.Len() != 2 {
		t.Error(a.Shape)
	}
	b, ok := f.Lookup("b")
	if x, err := b.Int64(); err != nil || !ok || len(x) != 1 || x[0] != 7 || len(b.Shape) != 0 {
		t.Error(x, err)
	}
	if begin, end := b.FileRange(); end-begin != 8 || end != int64(len(f.bytes)) {
		t.Error(begin, end)
	}
	if _, ok := f.Lookup("c"); ok {
		t.Error("c was found")
	}
	f.Close()
	if _, err := a.Float32(); !errors.Is(err, ErrClosed) || a.Data() != nil {
		t.Error("after Close:", err)
	}
}

func TestKinds(t *testing.T) {
	const entry = `{"dtype":"U8","shape":[2],"data_offsets":[0,2]}`
	for _, tc := range []struct {
		name string
		b    []byte
		want Kind
	}{
		{"empty", nil, HeaderTooSmall},
		{"too large", []byte("\x01\xe1\xf5\x05\x00\x00\x00\x00"), HeaderTooLarge},
		{"largest", []byte("\x00\xe1\xf5\x05\x00\x00\x00\x00"), InvalidHeaderLength},
		{"not UTF-8", file("{\"\xff\":0}", ""), InvalidHeader},
		{"depth", file(strings.Repeat("[", 1<<20), ""), InvalidHeaderDeserialization},
		{"twice", file(`{"a":`+entry+`,"\u0061":`+entry+`}`, "xx"), DuplicateName},
		{"hole", file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "xxx"), InvalidOffset},
		{"overlap", file(`{"a":`+entry+`,"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}`, "xxx"), InvalidOffset},
		{"backwards", file(`{"a":`+entry+`,"b":{"dtype":"U8","shape":[2],"data_offsets":[2,1]}}`, "xx"), InvalidOffset},
		{"two low surrogates", file(`{"\udc00\udc00":`+entry+`}`, "xx"), InvalidHeaderDeserialization},
		{"overflow", file(`{"a":{"dtype":"U8","shape":[9223372036854775808,4,0],"data_offsets":[0,0]}}`, ""), ValidationOverflow},
		{"bits", file(`{"a":{"dtype":"F6_E2M3","shape":[3],"data_offsets":[0,2]}}`, "xx"), MisalignedSlice},
		{"short", file(`{"a":{"dtype":"U8","shape":[3],"data_offsets":[0,2]}}`, "xx"), TensorInvalidInfo},
		{"wraps to the right size", file(`{"a":{"dtype":"U8","shape":[4194305,4194305,211106198978564],"data_offsets":[0,4]}}`, "xxxx"), ValidationOverflow},
		{"trailing", file(`{"a":`+entry+`}`, "xxx"), MetadataIncompleteBuffer},
	} {
		_, err := Parse(tc.b)
		if !errors.Is(err, tc.want) || !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
	}
}

func TestHugeDims(t *testing.T) {
	f, err := Parse(file(`{"a":["F32",[0,18446744073709551615],[0,0]]}`, ""))
	if err != nil {
		t.Fatal(err)
	}
	a, _ := f.Lookup("a")
	if !reflect.DeepEqual(a.Dims(), []uint64{0, math.MaxUint64}) || !reflect.DeepEqual(a.Shape, []int{0, math.MaxInt}) || a.Len() != 0 {
		t.Error(a.Dims(), a.Shape)
	}
}

func TestWriteFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	entries := []Entry{I64Entry("ids", []int64{-1, 2}, 2), F32Entry("z", []float32{1, 2, 3, 4}, 2, 2), F32Entry("a\n", nil, 0, 3), {Name: "s", DType: BOOL, Data: []byte{1}}}
	meta := map[string]string{"format": "pt", "é\"\x01": "\t"}
	if err := WriteFile(path, entries, meta); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if !reflect.DeepEqual(f.Metadata(), meta) {
		t.Error(f.Metadata())
	}
	if got := f.Names(); !reflect.DeepEqual(got, []string{"ids", "a\n", "z", "s"}) {
		t.Errorf("%q", got)
	}
	for _, e := range entries {
		x, _ := f.Lookup(e.Name)
		if !bytes.Equal(x.Data(), e.Data) || x.DType != e.DType {
			t.Error(e.Name)
		}
	}
	if list, _ := os.ReadDir(filepath.Dir(path)); len(list) != 1 {
		t.Error("a temporary file is left")
	}
}

func TestWriteRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, entries := range map[string][]Entry{
		"twice":    {F32Entry("a", nil, 0), F32Entry("a", nil, 0)},
		"metadata": {F32Entry("__metadata__", nil, 0)},
		"utf-8":    {F32Entry("\xff", nil, 0)},
		"shape":    {F32Entry("a", []float32{1}, 2)},
		"negative": {F32Entry("a", []float32{1}, -1, -1)},
		"type":     {{Name: "a"}},
		"bits":     {{Name: "a", DType: F4, Shape: []int{3}, Data: []byte{0}}},
		"wraps":    {{Name: "a", DType: U8, Shape: []int{math.MaxInt, math.MaxInt, 4}}},
	} {
		path := filepath.Join(dir, "f")
		if err := WriteFile(path, entries, nil); !errors.Is(err, ErrEntry) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, _ := os.ReadDir(dir); len(list) != 0 {
		t.Error("a file is left")
	}
	if err := WriteFile(dir, nil, nil); !errors.Is(err, ErrNotRegular) {
		t.Error(err)
	}
}
