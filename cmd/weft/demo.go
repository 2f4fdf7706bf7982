package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/demo"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/task/match"
)

// exhibit is a sentence, a picture or a sound that is shown, and what the model
// makes of it.
type exhibit struct {
	match.Item
	file    []byte // of a picture or a sound, as it is
	Caption string // of a picture or a sound, "" from a model that writes none
}

// similarity is a table of cosines between exhibits of two kinds.
type similarity struct {
	RowKind, ColKind match.Kind
	Rows, Cols       []*exhibit
	Cosines          [][]float32
}

// exhibition is what the command shows.
type exhibition struct {
	Exhibits []*exhibit
	Tables   []similarity
}

// maxExhibits bounds what is put side by side.
const maxExhibits = 64

// runDemo shows what the model that weft carries makes of its samples, or of
// what the user brings.
func runDemo(ctx context.Context, c *call) error {
	page := c.String("html", "", "`file` to write a report to, which holds the pictures and the sounds")
	args, err := c.parse()
	if err != nil {
		return err
	}
	start := time.Now()
	m, err := c.openMatcher()
	if err != nil {
		return err
	}
	defer m.Close()
	loaded := time.Now()
	x := &exhibition{}
	if len(args) == 0 {
		err = x.addSamples(demo.Samples())
	} else {
		err = x.addOwn(ctx, args, c.skipper())
	}
	if err != nil {
		return err
	}
	opened := time.Now()
	if err := x.understand(ctx, m); err != nil {
		return err
	}
	ms := func(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
	fmt.Fprintf(c.stderr, "model loaded in %v, %d items read in %v and understood in %v\n",
		ms(loaded.Sub(start)), len(x.Exhibits), ms(opened.Sub(loaded)), ms(time.Since(opened)))
	if *page != "" {
		if err := safetensors.ReplaceFile(*page, x.writePage); err != nil {
			return err
		}
	}
	if c.json {
		return x.writeJSON(c.stdout)
	}
	return x.write(c.stdout)
}

// addSamples adds the files of a file system.
func (x *exhibition) addSamples(fsys fs.FS) error {
	return fs.WalkDir(fsys, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(fsys, path)
		if err != nil {
			return err
		}
		items, err := match.Decode(path, b)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		return x.add(items, b)
	})
}

// addOwn adds the files and folders that arguments name; the others are
// sentences.
func (x *exhibition) addOwn(ctx context.Context, args []string, skip func(error)) error {
	for _, arg := range args {
		if _, err := os.Stat(arg); err != nil {
			items, err := fileOrText(arg)
			if err == nil {
				err = x.add(items, nil)
			}
			if err != nil {
				return err
			}
			continue
		}
		files, err := find(ctx, []string{arg}, skip)
		if err != nil {
			return err
		}
		for _, f := range files {
			items, err := f.open()
			if err != nil && !f.listed {
				skip(err)
				continue
			}
			var b []byte
			if err == nil && items[0].Kind() != match.Text {
				b, err = os.ReadFile(f.path)
			}
			if err == nil {
				err = x.add(items, b)
			}
			if err != nil {
				return err
			}
		}
	}
	if len(x.Exhibits) == 0 {
		return errors.New("nothing to show: no picture, sound or text that can be read")
	}
	return nil
}

func (x *exhibition) add(items []match.Item, file []byte) error {
	for _, item := range items {
		x.Exhibits = append(x.Exhibits, &exhibit{Item: item, file: file})
	}
	if n := len(x.Exhibits); n > maxExhibits {
		return fmt.Errorf("more than %d items; weft match searches any number", maxExhibits)
	}
	return nil
}

// of returns the exhibits of a kind.
func (x *exhibition) of(kind match.Kind) []*exhibit {
	var out []*exhibit
	for _, e := range x.Exhibits {
		if e.Kind() == kind {
			out = append(out, e)
		}
	}
	return out
}

// understand embeds the exhibits, compares them and says what they show.
func (x *exhibition) understand(ctx context.Context, m *weft.Model) error {
	vectors := map[match.Kind]weft.Tensor{}
	for _, kind := range []match.Kind{match.Text, match.Image, match.Sound} {
		list := x.of(kind)
		if len(list) == 0 {
			continue
		}
		if err := fits(m, list[0].Item); err != nil {
			return err
		}
		items := make([]match.Item, len(list))
		for i, e := range list {
			items[i] = e.Item
		}
		v, err := match.Embed(ctx, m, items...)
		if err != nil {
			return err
		}
		vectors[kind] = v
		if kind == match.Text {
			continue
		}
		captions, err := m.CaptionsOf(ctx, v)
		if weft.IsUnsupported(err) {
			continue // a model without decoder
		}
		if err != nil {
			return err
		}
		for i, e := range list {
			e.Caption = captions[i]
		}
	}
	for _, pair := range [][2]match.Kind{{match.Text, match.Image}, {match.Sound, match.Image}, {match.Sound, match.Text}} {
		a, b := vectors[pair[0]], vectors[pair[1]]
		if a.IsZero() || b.IsZero() {
			continue
		}
		cos, err := match.Cosines(a, b)
		if err != nil {
			return err
		}
		x.Tables = append(x.Tables, similarity{pair[0], pair[1], x.of(pair[0]), x.of(pair[1]), rowsOf(cos)})
	}
	return nil
}

// Best returns the column of the greatest cosine of row i.
func (s similarity) Best(i int) int {
	best := 0
	for j, v := range s.Cosines[i] {
		if v > s.Cosines[i][best] {
			best = j
		}
	}
	return best
}

// Title names the table.
func (s similarity) Title() string {
	return plural[s.RowKind] + " and " + plural[s.ColKind]
}

// cut shortens a label.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// Label is what a table calls the exhibit.
func (e *exhibit) Label() string {
	if e.Kind() == match.Text {
		return e.Text
	}
	return e.Name
}

// write prints the tables, the best of each row marked, and the captions.
func (x *exhibition) write(w io.Writer) error {
	const width = 36
	for _, t := range x.Tables {
		fmt.Fprintf(w, "%s%s by cosine; * marks the nearest of each row\n", strings.ToUpper(t.Title()[:1]), t.Title()[1:])
		for j, col := range t.Cols {
			fmt.Fprintf(w, "%5d  %s\n", j+1, cut(col.Label(), 2*width))
		}
		fmt.Fprintf(w, "%-*s", width, "")
		for j := range t.Cols {
			fmt.Fprintf(w, "%6d ", j+1)
		}
		fmt.Fprintln(w)
		for i, row := range t.Rows {
			label := cut(row.Label(), width-2)
			fmt.Fprint(w, label, strings.Repeat(" ", width-len([]rune(label))))
			for j, v := range t.Cosines[i] {
				mark := " "
				if j == t.Best(i) {
					mark = "*"
				}
				fmt.Fprintf(w, "%6.2f%s", v, mark)
			}
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w)
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range x.Exhibits {
		if e.Kind() != match.Text {
			fmt.Fprintf(tw, "%s\t%s\t%s\n", e.Kind(), cut(e.Name, 2*width), e.Caption)
		}
	}
	return tw.Flush()
}

// writeJSON prints the items and the tables, whose rows and columns are the
// items of a kind in order.
func (x *exhibition) writeJSON(w io.Writer) error {
	type item struct {
		Kind    match.Kind `json:"kind"`
		Name    string     `json:"name"`
		Text    string     `json:"text,omitempty"`
		Caption string     `json:"caption,omitempty"`
	}
	type table struct {
		Rows    match.Kind  `json:"rows"`
		Columns match.Kind  `json:"columns"`
		Cosines [][]float32 `json:"cosines"`
	}
	out := struct {
		Items  []item  `json:"items"`
		Tables []table `json:"tables"`
	}{[]item{}, []table{}}
	for _, e := range x.Exhibits {
		out.Items = append(out.Items, item{e.Kind(), e.Name, e.Text, e.Caption})
	}
	for _, t := range x.Tables {
		out.Tables = append(out.Tables, table{t.RowKind, t.ColKind, t.Cosines})
	}
	return writeJSON(w, out)
}
