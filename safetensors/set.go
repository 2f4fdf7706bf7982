package safetensors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxIndex bounds an index file, in bytes: the largest published ones (of
// models with 10⁵ tensors) are near 10 MB.
const maxIndex = 32 << 20

// stems are the names that Hugging Face gives to weight files.
var stems = []string{
	"model",                   // transformers
	"diffusion_pytorch_model", // diffusers
}

// Set is the tensors of a checkpoint, which lie in one file or several
// (shards), as one name space. It is safe for concurrent use.
type Set struct {
	files []*File
	names []string // of files, parallel
	index map[string]*File
}

// OpenDir opens the weights of a model's directory: model.safetensors, else
// the shards that model.safetensors.index.json lists (diffusers'
// diffusion_pytorch_model.* likewise). See [OpenDirFS].
func OpenDir(dir string) (*Set, error) {
	fsys, err := DirFS(dir)
	if err != nil {
		return nil, err
	}
	return OpenDirFS(fsys)
}

// OpenDirFS opens the weights at the root of fsys. The error wraps
// fs.ErrNotExist if there are none, and ErrIndex if the index is malformed,
// names a file by anything but a plain name, maps a tensor to a shard that
// lacks it, or if two shards hold a tensor of the same name. A tensor that a
// shard holds and the index does not name belongs to the set, as it does for
// Hugging Face.
func OpenDirFS(fsys fs.FS) (*Set, error) {
	for _, stem := range stems {
		single, index := stem+".safetensors", stem+".safetensors.index.json"
		f, err := OpenFS(fsys, single)
		if err == nil {
			return newSet([]*File{f}, []string{single})
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		s, err := openIndex(fsys, index)
		if err == nil || !errors.Is(err, errNoIndex) {
			return s, err
		}
	}
	return nil, fmt.Errorf("no weights: %s.safetensors: %w", stems[0], fs.ErrNotExist)
}

// errNoIndex: there is no index file, as opposed to no shard.
var errNoIndex = errors.New("no index file")

func openIndex(fsys fs.FS, name string) (*Set, error) {
	b, err := readIndex(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoIndex
	}
	if err != nil {
		return nil, err
	}
	weightMap, err := ParseIndex(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var shards []string
	for _, file := range weightMap {
		shards = append(shards, file)
	}
	slices.Sort(shards)
	shards = slices.Compact(shards)

	var files []*File
	closeAll := func() {
		for _, f := range files {
			f.Close()
		}
	}
	for _, shard := range shards {
		f, err := OpenFS(fsys, shard)
		if err != nil {
			closeAll()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		files = append(files, f)
	}
	s, err := newSet(files, shards)
	if err == nil {
		err = s.agree(weightMap)
	}
	if err != nil {
		closeAll()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func readIndex(fsys fs.FS, name string) ([]byte, error) {
	f, err := openRegularFS(fsys, name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	tooLarge := fmt.Errorf("%s: %w: over %d bytes", name, ErrIndex, maxIndex)
	if st.Size() > maxIndex {
		return nil, tooLarge
	}
	b, err := io.ReadAll(io.LimitReader(f, maxIndex+1)) // it may grow meanwhile
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(b) > maxIndex {
		return nil, tooLarge
	}
	return b, nil
}

// ParseIndex reads an index file and returns its weight_map: for each tensor
// the name of the file that holds it, which is a plain name. Errors wrap
// ErrIndex.
func ParseIndex(b []byte) (map[string]string, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: not UTF-8", ErrIndex)
	}
	var weightMap map[string]string
	s := scanner{b: b}
	err := s.object(func(key []byte) error {
		if string(key) != "weight_map" {
			return s.skip()
		}
		if weightMap != nil {
			return s.fail("weight_map is given twice")
		}
		weightMap = map[string]string{}
		return s.object(func(key []byte) error {
			tensor := string(key)
			file, err := s.str()
			if err != nil {
				return fmt.Errorf("tensor %s: %w", quote(tensor), err)
			}
			if !plainName(string(file)) {
				return fmt.Errorf("tensor %s: file %s is not a plain file name", quote(tensor), quote(string(file)))
			}
			if _, ok := weightMap[tensor]; ok {
				return fmt.Errorf("tensor %s is given twice", quote(tensor))
			}
			weightMap[tensor] = string(file)
			return nil
		})
	})
	if err == nil {
		if s.peek(); s.i < len(s.b) {
			err = s.fail("data after the index's object")
		}
	}
	if err == nil && len(weightMap) == 0 {
		err = errors.New("no weight_map, or one that names no file")
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	return weightMap, nil
}

// plainName reports whether name is that of a file in the same folder, on any
// system.
func plainName(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\\:\x00")
}

func newSet(files []*File, names []string) (*Set, error) {
	s := &Set{files: files, names: names, index: map[string]*File{}}
	for i, f := range files {
		for _, t := range f.tensors {
			if other, ok := s.index[t.Name]; ok {
				return nil, fmt.Errorf("%w: tensor %s is in both %s and %s", ErrIndex, quote(t.Name), names[slices.Index(files, other)], names[i])
			}
			s.index[t.Name] = f
		}
	}
	return s, nil
}

// agree checks that each tensor is where the index says.
func (s *Set) agree(weightMap map[string]string) error {
	byName := make(map[string]*File, len(s.files))
	for i, n := range s.names {
		byName[n] = s.files[i]
	}
	missing := ""
	for tensor, file := range weightMap {
		if s.index[tensor] != byName[file] && (missing == "" || tensor < missing) {
			missing = tensor
		}
	}
	if missing != "" {
		return fmt.Errorf("%w: tensor %s is not in %s", ErrIndex, quote(missing), weightMap[missing])
	}
	return nil
}

// Names returns the tensors' names, file after file, in the order of their data.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.index))
	for _, f := range s.files {
		names = append(names, f.Names()...)
	}
	return names
}

// Len returns the number of tensors.
func (s *Set) Len() int { return len(s.index) }

// Lookup returns the tensor name.
func (s *Set) Lookup(name string) (Tensor, bool) {
	f, ok := s.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.Lookup(name)
}

// Files returns the names of the set's files, sorted.
func (s *Set) Files() []string { return slices.Clone(s.names) }

// Metadata returns the __metadata__ of the set's first file.
func (s *Set) Metadata() map[string]string { return s.files[0].Metadata() }

// Close closes the files: see [File.Close].
func (s *Set) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}
