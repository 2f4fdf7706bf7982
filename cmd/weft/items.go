package main

import (
	"context"
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

// found is a file that an argument names, or one of a folder that it names.
type found struct {
	path   string
	listed bool // it is the argument itself
}

// find returns the files that paths name and those of folders among them, in
// order of name; hidden ones of folders are passed over. What cannot be listed
// is given to skip.
func find(ctx context.Context, paths []string, skip func(error)) (files []found, err error) {
	for _, root := range paths {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err == nil {
				err = ctx.Err()
			}
			if ctx.Err() != nil {
				return err
			}
			switch hidden := path != root && strings.HasPrefix(filepath.Base(path), "."); {
			case err != nil:
				skip(err)
			case d.IsDir() && hidden:
				return filepath.SkipDir
			case !d.IsDir() && !hidden:
				files = append(files, found{path, path == root})
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// open reads the file. Of the texts of a folder it takes those that are meant to
// be read.
func (f found) open() ([]match.Item, error) {
	items, err := match.Open(f.path)
	if err != nil {
		return nil, err
	}
	if !f.listed && items[0].Kind() == match.Text && !strings.EqualFold(filepath.Ext(f.path), textFile) {
		return nil, fmt.Errorf("%s: %w", f.path, nn.Unsupported("text in a folder, unless its name ends in %s", textFile))
	}
	return items, nil
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
