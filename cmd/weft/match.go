package main

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/seed-512d3d71/weft/task/match"
)

// runMatch searches files for what means the same as the query, any kind by any.
func runMatch(ctx context.Context, c *call) error {
	query := c.String("query", "", "a sentence, or a picture or sound `file`")
	top := c.Int("top", 10, "matches to print; 0: all")
	paths, err := c.parse()
	if err != nil {
		return err
	}
	if err := c.need("query"); err != nil {
		return err
	}
	if len(paths) == 0 {
		return usagef("give FILES or DIRS to search")
	}
	if *top < 0 {
		return usagef("--top %d is negative", *top)
	}
	asked, err := fileOrText(*query)
	if err != nil {
		return err
	}
	if len(asked) != 1 {
		return usagef("--query %s holds %d sentences, want one", *query, len(asked))
	}
	m, err := c.openMatcher()
	if err != nil {
		return err
	}
	defer m.Close()
	if err := fits(m, asked[0]); err != nil {
		return err
	}
	s := search{call: c, index: match.NewIndex(m), skip: c.skipper()}
	files, err := find(ctx, paths, s.skip)
	if err != nil {
		return err
	}
	show, clear := c.progress("files")
	defer clear()
	for i, f := range files {
		items, err := f.open()
		if err == nil {
			err = fits(m, items[0])
		}
		if err != nil {
			s.skip(err)
			continue
		}
		if err := s.add(ctx, items...); err != nil {
			return err
		}
		show(i+1, len(files))
	}
	if err := s.flush(ctx); err != nil {
		return err
	}
	clear()
	if s.index.Len() == 0 {
		return errors.New("nothing to search: no picture, sound or text that can be read")
	}
	hits, err := s.index.Search(ctx, asked[0], *top)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, hits)
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, h := range hits {
		fmt.Fprintf(w, "%6.3f\t%s\t%s\t%s\n", h.Score, h.Kind, h.Name, h.Text)
	}
	return w.Flush()
}

// search gathers items into batches.
type search struct {
	*call
	index   *match.Index
	pending []match.Item
	skip    func(error)
}

// group is the number of items that are encoded together.
const group = 32

func (s *search) add(ctx context.Context, items ...match.Item) error {
	for _, item := range items {
		if s.pending = append(s.pending, item); len(s.pending) == group {
			if err := s.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// flush encodes what is pending. If that fails it goes item by item, to pass
// over what is at fault.
func (s *search) flush(ctx context.Context) error {
	pending := s.pending
	s.pending = nil
	if len(pending) == 0 {
		return nil
	}
	err := s.index.Add(ctx, pending...)
	if err == nil || ctx.Err() != nil {
		return err
	}
	for _, item := range pending {
		if err := s.index.Add(ctx, item); err != nil {
			if ctx.Err() != nil {
				return err
			}
			s.skip(err)
		}
	}
	return nil
}
