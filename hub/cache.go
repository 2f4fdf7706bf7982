package hub

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrReference: a name that cannot be that of a model on the Hugging Face Hub.
var ErrReference = errors.New("bad model reference")

// CacheDir returns the folder of Hugging Face's cache, as its Python library
// finds it: $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub, else
// $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
func CacheDir() (string, error) {
	for _, key := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if dir := os.Getenv(key); dir != "" {
			return expand(dir)
		}
	}
	if dir := os.Getenv("HF_HOME"); dir != "" {
		return expand(filepath.Join(dir, "hub"))
	}
	if dir := os.Getenv("XDG_CACHE_HOME"); dir != "" {
		return expand(filepath.Join(dir, "huggingface", "hub"))
	}
	return expand(filepath.Join("~", ".cache", "huggingface", "hub"))
}

// expand replaces a leading ~ by the home folder, then $NAME and ${NAME} by the
// environment's values, where it has them.
func expand(dir string) (string, error) {
	if rest, ok := strings.CutPrefix(dir, "~"); ok && (rest == "" || os.IsPathSeparator(rest[0])) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", err
		}
		dir = home + rest
	}
	return os.Expand(dir, func(key string) string {
		if value, ok := os.LookupEnv(key); ok {
			return value
		}
		return "$" + key
	}), nil
}

// Resolve returns the directory of a model in the cache: "org/name", or
// "org/name@revision" with a branch, a tag or a commit; the branch is main if
// none is given. The error wraps fs.ErrNotExist if the cache does not hold it:
// nothing is downloaded.
func Resolve(reference string) (string, error) {
	id, revision, ok := strings.Cut(reference, "@")
	if !ok {
		revision = "main"
	}
	if !validID(id) || !fs.ValidPath(revision) || revision == "." {
		return "", fmt.Errorf("%w: %q, want org/name or org/name@revision", ErrReference, reference)
	}
	cache, err := CacheDir()
	if err != nil {
		return "", err
	}
	repo := filepath.Join(cache, "models--"+strings.ReplaceAll(id, "/", "--"))
	commit := revision
	refs, err := OpenDir(repo)
	if err == nil {
		var b []byte
		b, err = refs.ReadFile("refs/"+revision, 256)
		if err == nil {
			commit = strings.TrimSpace(string(b))
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if fs.ValidPath(commit) && commit != "." && !strings.ContainsAny(commit, `/\:`) {
		dir := filepath.Join(repo, "snapshots", commit)
		if st, err := os.Stat(dir); err == nil && st.IsDir() {
			return dir, nil
		}
	}
	return "", fmt.Errorf("%s is not in the local Hugging Face cache: %w", reference, fs.ErrNotExist)
}

// validID reports whether id is a repository's name with or without its
// owner, by the Hub's own rule.
func validID(id string) bool {
	parts := strings.Split(id, "/")
	if len(parts) > 2 || strings.Contains(id, "--") || strings.Contains(id, "..") || strings.HasSuffix(id, ".git") {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 96 || strings.ContainsAny(p[:1]+p[len(p)-1:], "-.") {
			return false
		}
		for _, c := range p {
			if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-_.", c)) {
				return false
			}
		}
	}
	return true
}
