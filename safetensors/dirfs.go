package safetensors

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-512d3d71/weft/internal/mmap"
)

// DirFS returns the files of a model's directory as a file system. It opens
// regular files only, without waiting for a pipe, and no name or symbolic link
// leads out of the directory, save the links of the Hugging Face cache: a
// directory …/snapshots/REVISION may link to files of …/blobs. Every file of a
// model is opened through it.
func DirFS(dir string) (fs.FS, error) {
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	if real, err = filepath.Abs(real); err != nil {
		return nil, err
	}
	st, err := os.Stat(real)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, &fs.PathError{Op: "open", Path: dir, Err: errors.New("not a directory")}
	}
	d := dirFS{dir: real}
	if snapshots := filepath.Dir(real); filepath.Base(snapshots) == "snapshots" {
		d.blobs = filepath.Join(filepath.Dir(snapshots), "blobs")
	}
	return d, nil
}

// dirFS implements DirFS. It holds no descriptor open.
type dirFS struct {
	dir   string // absolute, without symbolic links
	blobs string // the cache's folder of files, "" outside a cache
}

// Open opens a regular file.
func (d dirFS) Open(name string) (fs.File, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err // not a typed nil
	}
	return f, nil
}

// Stat describes a file as Open would open it.
func (d dirFS) Stat(name string) (fs.FileInfo, error) {
	f, err := d.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return f.Stat()
}

// Sub returns a folder of the directory as a file system with the same rules.
func (d dirFS) Sub(name string) (fs.FS, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "sub", Path: name, Err: fs.ErrInvalid}
	}
	if name == "." {
		return d, nil
	}
	root, err := os.OpenRoot(d.dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	st, err := root.Stat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return nil, &fs.PathError{Op: "sub", Path: name, Err: errors.New("not a directory")}
	}
	return subFS{d, name}, nil
}

func (d dirFS) open(name string) (*os.File, error) {
	local, err := filepath.Localize(name)
	if err != nil || !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := openIn(d.dir, local)
	if err == nil || d.blobs == "" || errors.Is(err, fs.ErrNotExist) {
		return f, pathError(name, err)
	}
	target, linkErr := filepath.EvalSymlinks(filepath.Join(d.dir, local))
	if linkErr != nil || filepath.Dir(target) != d.blobs {
		return nil, pathError(name, err)
	}
	f, err = openIn(d.blobs, filepath.Base(target))
	return f, pathError(name, err)
}

// openIn opens a regular file below dir, following links that stay below it.
func openIn(dir, local string) (*os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	f, err := root.OpenFile(local, os.O_RDONLY|mmap.NonBlock, 0)
	if err != nil {
		return nil, err
	}
	return mmap.CheckRegular(f)
}

// pathError names the file as the caller did, which keeps the machine's own
// folders out of errors.
func pathError(name string, err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return &fs.PathError{Op: "open", Path: name, Err: p.Err}
	}
	return err
}

// subFS is a folder of a dirFS: names are below it, links may lead anywhere
// that the whole directory allows.
type subFS struct {
	dirFS
	prefix string
}

func (s subFS) full(name string) string {
	if !fs.ValidPath(name) {
		return name // which dirFS refuses
	}
	return s.prefix + "/" + name
}

// Open opens a regular file of the folder.
func (s subFS) Open(name string) (fs.File, error) { return s.dirFS.Open(s.full(name)) }

// Stat describes a file of the folder.
func (s subFS) Stat(name string) (fs.FileInfo, error) { return s.dirFS.Stat(s.full(name)) }

// Sub returns a folder of the folder.
func (s subFS) Sub(name string) (fs.FS, error) { return s.dirFS.Sub(s.full(name)) }
