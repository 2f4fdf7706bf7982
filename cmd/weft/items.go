package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/demo"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/match"
)

// openMatcher opens --model, or the model that weft carries, for comparing items.
func (c *call) openMatcher() (*weft.Model, error) {
	if c.model == "" {
		return demo.Open(c.options()...)
	}
	m, err := c.open(c.model)
	if err != nil {
		return nil, err
	}
	kinds := 0
	for _, k := range []match.Kind{match.Text, match.Image, match.Sound} {
		if m.Has(k) {
			kinds++
		}
	}
	if kinds < 2 {
		m.Close()
		return nil, nn.Unsupported("%s: %s compares nothing of different kinds", c.model, m.Class())
	}
	return m, nil
}

// textFile is the ending of the files of a folder that are read as text, so
// that programs and settings are not.
const textFile = ".txt"

// walk calls f with the files that paths name and those of folders among them,
// in order of name; hidden ones of folders are passed over. What cannot be
// listed is given to skip.
func walk(ctx context.Context, paths []string, f func(path string, listed bool) error, skip func(error)) error {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if ctx.Err() != nil {
				return err
			}
			hidden := path != root && strings.HasPrefix(d.Name(), ".")
			switch {
			case err != nil:
				skip(err)
				return nil
			case d.IsDir() && hidden:
				return filepath.SkipDir
			case d.IsDir() || hidden:
				return nil
			case path == root:
				return f(path, true)
			}
			return f(path, false)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// readable reports whether a file of a folder is wanted: of texts those that
// are meant to be read.
func readable(path string, items []match.Item) error {
	if items[0].Kind() != match.Text || strings.EqualFold(filepath.Ext(path), textFile) {
		return nil
	}
	return fmt.Errorf("%s: %w", path, nn.Unsupported("text in a folder, unless its name ends in %s", textFile))
}

// skipper names on stderr what is passed over.
func (c *call) skipper() func(error) {
	return func(err error) {
		fmt.Fprintf(c.stderr, "weft: skipped: %s\n", strings.ReplaceAll(oneLine(err), "unsupported: ", ""))
	}
}

// fileOrText reads an argument: the file of that name or, if there is none, the
// sentence that it is.
func fileOrText(arg string) ([]match.Item, error) {
	if _, err := os.Stat(arg); err != nil {
		if strings.TrimSpace(arg) == "" {
			return nil, usagef("an empty sentence")
		}
		return []match.Item{{Name: arg, Text: arg}}, nil
	}
	return match.Open(arg)
}

// fits returns an error unless the model reads the item's kind.
func fits(m *weft.Model, item match.Item) error {
	if !m.Has(item.Kind()) {
		return fmt.Errorf("%s: %w", item.Name, nn.Unsupported("%s: %s does not read %s", item.Kind(), m.Class(), plural[item.Kind()]))
	}
	return nil
}

var plural = map[match.Kind]string{match.Text: "sentences", match.Image: "pictures", match.Sound: "sounds"}

// stopped reports whether err says that the call was interrupted.
func stopped(err error) bool { return errors.Is(err, context.Canceled) }
