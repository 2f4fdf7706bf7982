package quantize

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/safetensors"
)

// vacant returns an error unless dir can become the new directory.
func vacant(dir string) error {
	list, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil || len(list) > 0 {
		return fmt.Errorf("%s: %w", dir, ErrExists)
	}
	return nil
}

// replace makes the directory dir by fill, which is given another name for it:
// dir appears when all is on disk, by one rename.
func replace(dir string, fill func(tmp string) error) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return err
	}
	parent := filepath.Dir(dir)
	tmp := filepath.Join(parent, "."+filepath.Base(dir)+".tmp-"+rand.Text())
	if err := os.Mkdir(tmp, 0o777); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	if err := fill(tmp); err != nil {
		return err
	}
	if err := syncTree(tmp); err != nil {
		return err
	}
	if err := vacant(dir); err != nil {
		return err
	}
	os.Remove(dir) // if it is there it is empty
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return safetensors.SyncDir(parent)
}

// syncTree makes the entries of a directory and of those below it last.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return safetensors.SyncDir(p)
	})
}

// otherWeights reports whether a file holds the weights once more, for another
// program.
func otherWeights(name string) bool {
	ext := path.Ext(name)
	base := path.Base(name)
	return slices.Contains([]string{".h5", ".msgpack", ".ot", ".onnx", ".onnx_data", ".gguf", ".tflite"}, ext) ||
		ext == ".bin" && strings.HasPrefix(base, "pytorch_model") ||
		ext == ".json" && strings.HasPrefix(base, "pytorch_model")
}

// copyFiles copies every file of the directory src, opened as d, that has not
// been written, those below it too. Hidden ones and weights for other programs
// are left.
func (j *job) copyFiles(src string, d *hub.Dir, dst string) error {
	written := append(j.weights.Files(), "config.json", j.index)
	root, err := filepath.EvalSymlinks(src)
	if err != nil {
		return err
	}
	return filepath.WalkDir(root, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := j.ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil || rel == "." {
			return err
		}
		name := filepath.ToSlash(rel)
		switch hidden := strings.HasPrefix(e.Name(), "."); {
		case hidden && e.IsDir():
			return fs.SkipDir
		case e.IsDir():
			return os.Mkdir(filepath.Join(dst, rel), 0o777)
		case slices.Contains(written, name):
			return nil
		case hidden || otherWeights(name) || !d.Exists(name): // or not a regular file of the directory
			j.report.Left = append(j.report.Left, name)
			return nil
		}
		f, err := d.FS().Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		return writeFile(filepath.Join(dst, rel), f)
	})
}
