// Package hub holds the rules of Hugging Face's model directories and of its
// local cache. Every file of a model is opened here, or by what [Dir.FS] gives:
// no name leaves the directory, symbolic links lead out of it only where the
// cache's layout has them (snapshots/REVISION to blobs), only regular files are
// opened, and what is read into memory has a limit.
//
// Nothing is downloaded: this package makes no network connection.
package hub

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/safetensors"
)

// Limits of JSON files.
const (
	maxJSON  = 16 << 20 // bytes
	maxDepth = 64       // arrays and objects open at once
)

// Errors of this package; those of the system keep their own (fs.ErrNotExist …).
var (
	// ErrTooLarge: a file over the limit that the caller set.
	ErrTooLarge = errors.New("file is too large")
	// ErrJSON: a file that is not JSON, is nested too deep, or does not fit
	// the value that it is read into.
	ErrJSON = errors.New("bad JSON")
	// ErrNotRegular: a file that is a directory, a pipe or a device.
	ErrNotRegular = safetensors.ErrNotRegular
)

// Dir is a model's directory. It is safe for concurrent use and holds nothing
// open.
type Dir struct{ fsys fs.FS }

// OpenDir opens a directory of the operating system.
func OpenDir(dir string) (*Dir, error) {
	fsys, err := safetensors.DirFS(dir)
	if err != nil {
		return nil, err
	}
	return &Dir{fsys}, nil
}

// OpenDirFS opens a file system whose root is a model's directory, such as an
// embed.FS. What its names may lead to is its own rule: for a folder on disk
// OpenDir is the one that keeps links inside.
func OpenDirFS(fsys fs.FS) (*Dir, error) {
	if fsys == nil {
		return nil, fmt.Errorf("no file system: %w", fs.ErrInvalid)
	}
	return &Dir{regularFS{fsys}}, nil
}

// FS returns the directory's files as a file system that follows this
// package's rules.
func (d *Dir) FS() fs.FS { return d.fsys }

// Sub returns a folder of the directory, such as diffusers' "unet".
func (d *Dir) Sub(name string) (*Dir, error) {
	fsys, err := fs.Sub(d.fsys, name)
	if err != nil {
		return nil, err
	}
	return &Dir{fsys}, nil
}

// Exists reports whether name is a file of the directory that can be opened.
func (d *Dir) Exists(name string) bool {
	_, err := fs.Stat(d.fsys, name)
	return err == nil
}

// ReadFile reads a file of at most maxBytes bytes; a larger one is ErrTooLarge
// and is not read.
func (d *Dir) ReadFile(name string, maxBytes int64) ([]byte, error) {
	f, err := d.fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tooLarge := fmt.Errorf("%s: %w: over %d bytes", name, ErrTooLarge, maxBytes)
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() > maxBytes {
		return nil, tooLarge
	}
	b, err := io.ReadAll(io.LimitReader(f, maxBytes+1)) // it may grow meanwhile
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if int64(len(b)) > maxBytes {
		return nil, tooLarge
	}
	return b, nil
}

// ReadJSON reads a JSON file of at most 16 MiB and 64 levels into v, by the
// rules of encoding/json. For configuration files see Config.
func (d *Dir) ReadJSON(name string, v any) error {
	b, err := d.ReadFile(name, maxJSON)
	if err != nil {
		return err
	}
	if depth(b) > maxDepth {
		return fmt.Errorf("%s: %w: nested deeper than %d", name, ErrJSON, maxDepth)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%s: %w: %w", name, ErrJSON, err)
	}
	return nil
}

// Config reads a configuration file, such as config.json.
func (d *Dir) Config(name string) (*hfconfig.Config, error) {
	b, err := d.ReadFile(name, maxJSON)
	if err != nil {
		return nil, err
	}
	c, err := hfconfig.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Weights opens the directory's tensors: see [safetensors.OpenDirFS]. The
// caller closes the set.
func (d *Dir) Weights() (*safetensors.Set, error) { return safetensors.OpenDirFS(d.fsys) }

// depth returns the greatest number of arrays and objects open at once.
func depth(b []byte) int {
	open, most := 0, 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			open++
			most = max(most, open)
		case '}', ']':
			open--
		}
	}
	return most
}

// regularFS opens regular files only.
type regularFS struct{ fsys fs.FS }

// Open opens a regular file. It looks first, since opening a pipe can block.
func (r regularFS) Open(name string) (fs.File, error) {
	if _, err := r.Stat(name); err != nil {
		return nil, err
	}
	return r.fsys.Open(name)
}

// Stat describes a regular file.
func (r regularFS) Stat(name string) (fs.FileInfo, error) {
	st, err := fs.Stat(r.fsys, name)
	if err == nil && !st.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: ErrNotRegular}
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

// Sub returns a folder.
func (r regularFS) Sub(name string) (fs.FS, error) {
	st, err := fs.Stat(r.fsys, name)
	if err == nil && !st.IsDir() {
		err = &fs.PathError{Op: "sub", Path: name, Err: errors.New("not a directory")}
	}
	if err != nil {
		return nil, err
	}
	sub, err := fs.Sub(r.fsys, name)
	if err != nil {
		return nil, err
	}
	return regularFS{sub}, nil
}
