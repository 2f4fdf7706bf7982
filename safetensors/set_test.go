package safetensors

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
)

// indexes are index files; wrong is a part of the error, "" for a good one.
var indexes = []struct{ json, wrong string }{
	{`{"metadata":{"total_size":8},"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}`, ""},
	{`{"weight_map":{"a":"1.safetensors"}}`, ""}, // b is not listed but in no listed file either
	{`{"weight_map":{"b":"2.safetensors"}, "x":[1,{}]} `, ""},
	{`{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}`, `tensor "b" is not in 1.safetensors`},
	{`{"weight_map":{"a":"1.safetensors","c":"1.safetensors"}}`, `tensor "c" is not in 1.safetensors`},
	{`{"weight_map":{"a":"1.safetensors","b":"3.safetensors"}}`, "3.safetensors"},
	{`{"weight_map":{"a":"1.safetensors","b":"twin.safetensors"}}`, `tensor "a" is in both 1.safetensors and twin.safetensors`},
	{`{"weight_map":{"a":"1.safetensors","b":"broken.safetensors"}}`, "broken.safetensors"},
	{`{"weight_map":{"a":"../1.safetensors"}}`, "not a plain file name"},
	{`{"weight_map":{"a":"/etc/passwd"}}`, "not a plain file name"},
	{`{"weight_map":{"a":"sub/1.safetensors"}}`, "not a plain file name"},
	{`{"weight_map":{"a":"./1.safetensors"}}`, "not a plain file name"},
	{`{"weight_map":{"a":"..\\1.safetensors"}}`, "not a plain file name"},
	{`{"weight_map":{"a":"C:1.safetensors"}}`, "not a plain file name"},
	{`{"weight_map":{"a":"1.safetensors\u0000"}}`, "not a plain file name"},
	{`{"weight_map":{"a":"\u002e\u002e"}}`, "not a plain file name"},
	{`{"weight_map":{"a":""}}`, "not a plain file name"},
	{`{"weight_map":{"a":"sub"}}`, "sub"},
	{`{"weight_map":{"a":1}}`, `tensor "a"`},
	{`{"weight_map":{"a":null}}`, `tensor "a"`},
	{`{"weight_map":{"a":"1.safetensors","a":"1.safetensors"}}`, `tensor "a" is given twice`},
	{`{"weight_map":{"a":"1.safetensors"},"weight_map":{}}`, "weight_map is given twice"},
	{`{"weight_map":{}}`, "no weight_map"},
	{`{"weight_map":null}`, "want an object"},
	{`{"weight_map":[]}`, "want an object"},
	{`{"Weight_Map":{"a":"1.safetensors"}}`, "no weight_map"},
	{`{}`, "no weight_map"},
	{`[]`, "want an object"},
	{``, "want an object"},
	{`{"weight_map":{"a":"1.safetensors"}}x`, "data after"},
	{`{"weight_map":{"a":"1.safetensors"}`, "comma"},
	{"{\"weight_map\":{\"a\":\"1\xff.safetensors\"}}", "not UTF-8"},
	{`{"x":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `,"weight_map":{"a":"1.safetensors"}}`, "nested deeper"},
}

// shards writes a directory of shards without an index.
func shards(t testing.TB) string {
	dir := t.TempDir()
	for name, tensors := range map[string][]string{"1": {"a"}, "2": {"b"}, "twin": {"a", "b"}} {
		var entries []Entry
		for _, n := range tensors {
			entries = append(entries, F32Entry(n, []float32{1}, 1))
		}
		if err := WriteFile(filepath.Join(dir, name+".safetensors"), entries, map[string]string{"file": name}); err != nil {
			t.Fatal(err)
		}
	}
	for name, b := range map[string][]byte{"broken.safetensors": file(`{"b":["U8",[2],[0,2]]}`, "x"), "sub/1.safetensors": nil} {
		path := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(path), 0o777)
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestIndex(t *testing.T) {
	dir := shards(t)
	mem := fstest.MapFS{}
	for _, name := range []string{"1", "2", "twin", "broken"} {
		b, err := os.ReadFile(filepath.Join(dir, name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		mem[name+".safetensors"] = &fstest.MapFile{Data: b}
	}
	const name = "model.safetensors.index.json"
	for _, c := range indexes {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(c.json), 0o666); err != nil {
			t.Fatal(err)
		}
		mem[name] = &fstest.MapFile{Data: []byte(c.json)}
		for i, open := range []func() (*Set, error){func() (*Set, error) { return OpenDir(dir) }, func() (*Set, error) { return OpenDirFS(mem) }} {
			s, err := open()
			if c.wrong == "" {
				if err != nil {
					t.Errorf("%s: %v", c.json, err)
					continue
				}
				if s.Len() == 0 || s.Len() != len(s.Names()) || s.Metadata()["file"]+".safetensors" != s.Files()[0] {
					t.Errorf("%s: %v %v %v", c.json, s.Names(), s.Metadata(), s.Files())
				}
				for _, n := range s.Names() {
					x, ok := s.Lookup(n)
					if v, err := x.Float32(); !ok || err != nil || v[0] != 1 {
						t.Error(n, v, err)
					}
				}
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				continue
			}
			if err == nil {
				s.Close()
				t.Errorf("%s: opened, want an error with %q", c.json, c.wrong)
			} else if !strings.Contains(err.Error(), c.wrong) || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), dir) {
				t.Errorf("file system %d: %s: %v, want %q and the index's name, not its folder", i, c.json, err, c.wrong)
			} else if !errors.Is(err, ErrIndex) && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrNotRegular) {
				t.Errorf("%s: %v wraps no error of the package", c.json, err)
			}
		}
	}
}

// TestUnlisted: a tensor that a shard holds and the index does not name is in
// the set.
func TestUnlisted(t *testing.T) {
	dir := shards(t)
	if err := os.WriteFile(filepath.Join(dir, "model.safetensors.index.json"), []byte(`{"weight_map":{"a":"twin.safetensors"}}`), 0o666); err != nil {
		t.Fatal(err)
	}
	s, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got := s.Names(); !reflect.DeepEqual(got, []string{"a", "b"}) {
		t.Error(got)
	}
	if _, ok := s.Lookup("c"); ok {
		t.Error("c was found")
	}
}

// TestPrecedence: one whole file goes before an index, and transformers' names
// before diffusers'.
func TestPrecedence(t *testing.T) {
	dir := shards(t)
	if _, err := OpenDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, step := range []struct {
		name, from string
		want       []string
	}{
		{"diffusion_pytorch_model.safetensors", "2", []string{"b"}},
		{"model.safetensors.index.json", "", []string{"a"}},
		{"model.safetensors", "twin", []string{"a", "b"}},
	} {
		b := []byte(`{"weight_map":{"a":"1.safetensors"}}`)
		if step.from != "" {
			b, _ = os.ReadFile(filepath.Join(dir, step.from+".safetensors"))
		}
		if err := os.WriteFile(filepath.Join(dir, step.name), b, 0o666); err != nil {
			t.Fatal(err)
		}
		s, err := OpenDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(slices.Values(s.Names())); !reflect.DeepEqual(got, step.want) {
			t.Errorf("%s: %v, want %v", step.name, got, step.want)
		}
		s.Close()
	}
}

// TestLargeIndex: an index over the limit is refused without being read.
func TestLargeIndex(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "model.safetensors.index.json")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip("no sparse files here:", err)
	}
	if _, err := OpenDir(dir); !errors.Is(err, ErrIndex) {
		t.Error(err)
	}
}

// failFS fails at its n-th call (Open, Stat, Read).
type failFS struct {
	fs.FS
	left *int
}

var errFail = errors.New("the disk fails")

func (f failFS) Open(name string) (fs.File, error) {
	if *f.left--; *f.left == 0 {
		return nil, errFail
	}
	file, err := f.FS.Open(name)
	return failFile{file, f.left}, err
}

type failFile struct {
	fs.File
	left *int
}

func (f failFile) Stat() (fs.FileInfo, error) {
	if *f.left--; *f.left == 0 {
		return nil, errFail
	}
	return f.File.Stat()
}

func (f failFile) Read(b []byte) (int, error) {
	if *f.left--; *f.left == 0 {
		return 0, errFail
	}
	return f.File.Read(b[:min(len(b), 7)]) // short reads
}

// TestEveryCallFails: an error of any call of the file system is the error of
// the whole.
func TestEveryCallFails(t *testing.T) {
	mem := fstest.MapFS{"model.safetensors.index.json": {Data: []byte(`{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}`)}}
	for i, n := range []string{"a", "b"} {
		mem[fmt.Sprint(i+1, ".safetensors")] = &fstest.MapFile{Data: file(`{"`+n+`":["U8",[1],[0,1]]}`, "x")}
	}
	for n := 1; ; n++ {
		left := n
		s, err := OpenDirFS(failFS{mem, &left})
		if left > 0 { // fewer than n calls
			if err != nil || s.Len() != 2 || n < 10 {
				t.Error(n, err)
			}
			return
		}
		if !errors.Is(err, errFail) {
			t.Fatalf("call %d fails: %v", n, err)
		}
	}
}
