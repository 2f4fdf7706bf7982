package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// FuzzName: no name of a file leads out of the directory, and no reference
// resolves to a folder that is not a snapshot in the cache.
func FuzzName(f *testing.F) {
	for _, s := range []string{"config.json", "unet/config.json", "../secret", "/etc/passwd", "unet/../../secret", "./config.json", "link", "up/secret",
		"", ".", "..", "a\\..\\..\\secret", "C:secret", "config.json\x00", "o/n", "o/n@main", "n@../../x", "o/n@refs/../../..", "\xff", "con", "unet//config.json"} {
		f.Add(s)
	}
	top := f.TempDir()
	for path, content := range map[string]string{"secret": "secret", "model/config.json": "inside", "model/unet/config.json": "inside",
		"models--o--n/refs/main": "r1", "models--o--n/snapshots/r1/config.json": "inside"} {
		path = filepath.Join(top, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			f.Fatal(err)
		}
	}
	if os.Symlink(filepath.Join(top, "secret"), filepath.Join(top, "model", "link")) != nil || os.Symlink(top, filepath.Join(top, "model", "up")) != nil {
		f.Skip("no symbolic links here")
	}
	d, err := OpenDir(filepath.Join(top, "model"))
	if err != nil {
		f.Fatal(err)
	}
	f.Setenv("HF_HUB_CACHE", top)
	f.Fuzz(func(t *testing.T, name string) {
		b, err := d.ReadFile(name, 100)
		if err == nil && string(b) != "inside" {
			t.Errorf("%q: read %q", name, b)
		}
		if (err == nil) != d.Exists(name) {
			t.Errorf("%q: Exists says %v, ReadFile %v", name, err != nil, err)
		}
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), name, ""), top) {
			t.Errorf("%q: the error tells a folder of the machine: %v", name, err)
		}
		if sub, err := d.Sub(name); err == nil && sub.Exists("secret") {
			t.Errorf("Sub(%q) leads out", name)
		}
		if dir, err := Resolve(name); err == nil && filepath.Dir(dir) != filepath.Join(top, "models--o--n", "snapshots") {
			t.Errorf("Resolve(%q) = %s", name, dir)
		}
	})
}
