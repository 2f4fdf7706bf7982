package hub

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/seed-512d3d71/weft/safetensors"
)

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Skip("no symbolic links here:", err)
	}
}

func open(t *testing.T, dir string) *Dir {
	t.Helper()
	d, err := OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDir(t *testing.T) {
	root := t.TempDir()
	put(t, root+"/config.json", `{"hidden_size":3,"eps":NaN}`)
	put(t, root+"/plain.json", `{"a":[1]}`)
	put(t, root+"/unet/config.json", `{}`)
	mem := fstest.MapFS{
		"config.json":      {Data: []byte(`{"hidden_size":3,"eps":NaN}`)},
		"plain.json":       {Data: []byte(`{"a":[1]}`)},
		"unet/config.json": {Data: []byte(`{}`)},
	}
	memDir, err := OpenDirFS(mem)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []*Dir{open(t, root), memDir} {
		c, err := d.Config("config.json")
		if err != nil || c.Dim("hidden_size", 0) != 3 {
			t.Error(err)
		}
		var v struct{ A []int }
		if err := d.ReadJSON("plain.json", &v); err != nil || len(v.A) != 1 {
			t.Error(v, err)
		}
		if err := d.ReadJSON("config.json", &v); !errors.Is(err, ErrJSON) || !strings.Contains(err.Error(), "config.json") {
			t.Error(err)
		}
		if !d.Exists("unet/config.json") || d.Exists("unet") || d.Exists("none") || d.Exists("../x") || d.Exists("") {
			t.Error("Exists")
		}
		if _, err := d.ReadFile("plain.json", 8); !errors.Is(err, ErrTooLarge) {
			t.Error(err)
		}
		if b, err := d.ReadFile("plain.json", 9); err != nil || len(b) != 9 {
			t.Error(err)
		}
		for _, bad := range []string{"../" + filepath.Base(root) + "/plain.json", "/etc/passwd", "./plain.json", "unet/../plain.json", ""} {
			if _, err := d.ReadFile(bad, 100); !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%q: %v", bad, err)
			}
		}
		if _, err := d.ReadFile("unet", 100); !errors.Is(err, ErrNotRegular) {
			t.Error(err)
		}
		sub, err := d.Sub("unet")
		if err != nil {
			t.Fatal(err)
		}
		if !sub.Exists("config.json") || sub.Exists("../plain.json") || sub.Exists("plain.json") {
			t.Error("Sub")
		}
		for _, bad := range []string{"none", "..", "plain.json"} {
			if _, err := d.Sub(bad); err == nil {
				t.Errorf("Sub(%q)", bad)
			}
		}
		if _, err := d.Weights(); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
	}
	if _, err := OpenDir(root + "/none"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if _, err := OpenDir(root + "/plain.json"); err == nil {
		t.Error("a file was opened as a directory")
	}
}

func TestReadJSONDepth(t *testing.T) {
	d, _ := OpenDirFS(fstest.MapFS{
		"64": {Data: []byte(strings.Repeat("[", 64) + `"[[[\"[["` + strings.Repeat("]", 64))},
		"65": {Data: []byte(strings.Repeat("[", 65) + strings.Repeat("]", 65))},
	})
	var v any
	if err := d.ReadJSON("64", &v); err != nil {
		t.Error(err)
	}
	if err := d.ReadJSON("65", &v); !errors.Is(err, ErrJSON) {
		t.Error(err)
	}
}

func TestLinks(t *testing.T) {
	top := t.TempDir()
	put(t, top+"/secret", "s")
	put(t, top+"/models--o--n/blobs/abc", "blob")
	put(t, top+"/models--o--n/refs/main", "r1\n")
	put(t, top+"/models--o--n/other", "o")
	put(t, top+"/models--x/blobs/abc", "another model's")
	rev := top + "/models--o--n/snapshots/r1"
	put(t, rev+"/own", "own")
	link(t, "own", rev+"/inside")
	link(t, "../../blobs/abc", rev+"/config.json")
	link(t, "../../../blobs/abc", rev+"/unet/config.json")
	link(t, filepath.Join(top, "models--o--n", "blobs", "abc"), rev+"/absolute")
	link(t, "../../other", rev+"/up")
	link(t, "../../../secret", rev+"/out")
	link(t, "../../../models--x/blobs/abc", rev+"/neighbour")
	link(t, "../../blobs", rev+"/folder")
	link(t, "../../blobs/none", rev+"/dangling")
	link(t, top+"/secret", top+"/models--o--n/blobs/evil")
	link(t, "../../blobs/evil", rev+"/through")
	link(t, "loop", rev+"/loop")
	link(t, "r1", top+"/models--o--n/snapshots/alias")

	for _, dir := range []string{rev, top + "/models--o--n/snapshots/alias"} {
		d := open(t, dir)
		for _, good := range []string{"own", "inside", "config.json", "unet/config.json", "absolute"} {
			if _, err := d.ReadFile(good, 10); err != nil {
				t.Error(good, err)
			}
		}
		for _, bad := range []string{"up", "out", "neighbour", "folder", "folder/abc", "dangling", "through", "loop"} {
			if b, err := d.ReadFile(bad, 100); err == nil && bad != "folder/abc" {
				t.Errorf("%s: read %q", bad, b)
			} else if err != nil && strings.Contains(err.Error(), top) {
				t.Errorf("%s: the error tells a path of the machine: %v", bad, err)
			}
			if d.Exists(bad) && bad != "folder/abc" {
				t.Error(bad, "exists")
			}
		}
		sub, err := d.Sub("unet")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sub.ReadFile("config.json", 10); err != nil {
			t.Error(err)
		}
	}

	// Outside the cache's layout the same links lead out.
	link(t, "../models--o--n/blobs/abc", top+"/model/config.json")
	if open(t, top+"/model").Exists("config.json") {
		t.Error("a link out of a plain directory was followed")
	}

	t.Setenv("HF_HUB_CACHE", top)
	for _, ref := range []string{"o/n", "o/n@main", "o/n@r1"} {
		dir, err := Resolve(ref)
		if err != nil || !open(t, dir).Exists("config.json") {
			t.Error(ref, dir, err)
		}
	}
	for _, ref := range []string{"o/m", "o/n@none", "n"} {
		if _, err := Resolve(ref); !errors.Is(err, fs.ErrNotExist) {
			t.Error(ref, err)
		}
	}
	for _, ref := range []string{"", "..", "o/..", "../n", "o/n/x", "o--n", "/n", "o/n@../x", "o/n@", `o\n`, "o/n@.", "o/n.git", "-n", "n.", strings.Repeat("n", 97)} {
		if dir, err := Resolve(ref); !errors.Is(err, ErrReference) {
			t.Errorf("%q: %s %v", ref, dir, err)
		}
	}
	for _, evil := range []string{"../..", "", ".", "..", "/etc", "r1/../r1", `..\..`, "r1\x00"} {
		put(t, top+"/models--o--n/refs/evil", evil)
		if dir, err := Resolve("o/n@evil"); err == nil {
			t.Errorf("%q: %s", evil, dir)
		}
	}
	put(t, top+"/models--o--n/refs/long", strings.Repeat("x", 1000))
	if _, err := Resolve("o/n@long"); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	put(t, top+"/models--o--n/refs/pr/1", "r1")
	if _, err := Resolve("o/n@pr/1"); err != nil {
		t.Error(err)
	}
}

func TestCacheDir(t *testing.T) {
	for _, k := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(k, "")
	}
	t.Setenv("WEFT_TEST", "v")
	home, err := os.UserHomeDir()
	if err != nil {
		t.Skip(err)
	}
	want := filepath.Join(home, ".cache", "huggingface", "hub")
	for _, step := range []struct{ key, value, want string }{
		{"", "", want},
		{"XDG_CACHE_HOME", "/x", filepath.Join("/x", "huggingface", "hub")},
		{"HF_HOME", "~/h", filepath.Join(home, "h", "hub")},
		{"HUGGINGFACE_HUB_CACHE", "/old", "/old"},
		{"HF_HUB_CACHE", "/c/$WEFT_TEST/${WEFT_TEST}x/$WEFT_NONE", filepath.Join("/c", "v", "vx", "$WEFT_NONE")},
		{"HF_HUB_CACHE", "~x/y", "~x/y"}, // another user's home is not looked up
	} {
		if step.key != "" {
			t.Setenv(step.key, step.value)
		}
		if dir, err := CacheDir(); err != nil || filepath.Clean(dir) != step.want {
			t.Error(step.key, dir, err)
		}
	}
}

func TestWeights(t *testing.T) {
	root := t.TempDir()
	if err := safetensors.WriteFile(root+"/model.safetensors", []safetensors.Entry{safetensors.F32Entry("a", []float32{1}, 1)}, nil); err != nil {
		t.Fatal(err)
	}
	set, err := open(t, root).Weights()
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if _, ok := set.Lookup("a"); !ok {
		t.Error("a is missing")
	}
}
