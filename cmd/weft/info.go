package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"sort"
	"strings"
	"text/tabwriter"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/safetensors"
)

func runInfo(ctx context.Context, c *call) error {
	rest, err := c.parse()
	if err != nil {
		return err
	}
	if len(rest) == 0 && c.model != "" {
		rest = []string{c.model}
	}
	if len(rest) != 1 {
		return usagef("give one PATH: a model directory or a safetensors file")
	}
	st, err := os.Stat(rest[0])
	if err != nil {
		return err
	}
	if st.IsDir() {
		return c.infoDir(rest[0])
	}
	return c.infoFile(rest[0])
}

// tensorInfo is one tensor of a file; Begin and End are offsets in the file.
type tensorInfo struct {
	Name  string `json:"name"`
	DType string `json:"dtype"`
	Shape []int  `json:"shape"`
	Begin int64  `json:"begin"`
	End   int64  `json:"end"`
}

func (c *call) infoFile(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	list := []tensorInfo{}
	for _, name := range f.Names() {
		t, _ := f.Lookup(name)
		begin, end := t.FileRange()
		list = append(list, tensorInfo{t.Name, t.DType.String(), orEmpty(t.Shape), begin, end})
	}
	if c.json {
		return writeJSON(c.stdout, map[string]any{"tensors": list, "metadata": f.Metadata()})
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	for _, t := range list {
		fmt.Fprintf(w, "%s\t%s\t%v\t%d…%d\n", t.Name, t.DType, t.Shape, t.Begin, t.End)
	}
	return w.Flush()
}

func (c *call) infoDir(dir string) error {
	info, err := weft.Inspect(dir, c.options()...)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, info)
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "model type\t%s\n", info.ModelType)
	fmt.Fprintf(w, "class\t%s\n", info.Class)
	for _, name := range slices.Sorted(maps.Keys(info.Parts)) {
		p := info.Parts[name]
		fmt.Fprintf(w, "  %s\t%s, %s parameters\n", name, p.Class, count(p.Parameters))
	}
	fmt.Fprintf(w, "parameters\t%s\n", count(info.Parameters))
	types := make([]string, 0, len(info.DTypes))
	for d, n := range info.DTypes {
		types = append(types, fmt.Sprintf("%s %s", d, count(n)))
	}
	sort.Strings(types)
	fmt.Fprintf(w, "stored as\t%s\n", strings.Join(types, ", "))
	if len(info.Quantized) > 0 {
		var kinds []string
		for kind, n := range info.Quantized {
			kinds = append(kinds, fmt.Sprintf("%s: %d", kind, n))
		}
		sort.Strings(kinds)
		fmt.Fprintf(w, "quantized weights\t%s\n", strings.Join(kinds, ", "))
	}
	fmt.Fprintf(w, "weights on disk\t%s\n", size(info.WeightBytes))
	fmt.Fprintf(w, "memory as float32\t%s\n", size(4*info.Parameters))
	fmt.Fprintf(w, "tokenizer\t%s\n", orNone(info.Tokenizer))
	fmt.Fprintf(w, "preprocessor\t%s\n", orNone(info.Preprocessor))
	if info.Runs {
		fmt.Fprintf(w, "runs\tyes, with the %s kernels\n", info.Kernels)
	} else {
		fmt.Fprintf(w, "runs\tno: %s\n", info.Why)
	}
	if len(info.Unused) > 0 {
		fmt.Fprintf(w, "unused tensors\t%s\n", strings.Join(info.Unused, ", "))
	}
	return w.Flush()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func count(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.2f G", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	case n >= 1e4:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	}
	return fmt.Sprint(n)
}

func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

func runKernels(ctx context.Context, c *call) error {
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := kernels.ISAError(); err != nil {
		return err
	}
	rows := kernels.Rows()
	if c.json {
		return writeJSON(c.stdout, rows)
	}
	w := tabwriter.NewWriter(c.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "OP\tKERNEL\tISA\tNEEDS\tCHOSEN\tWHY")
	for _, r := range rows {
		chosen := ""
		if r.Chosen {
			chosen = "yes"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", r.Op, r.Name, r.ISA, strings.Join(r.Needs, "+"), chosen, r.Why)
	}
	return w.Flush()
}

func runVersion(ctx context.Context, c *call) error {
	if err := c.parseNone(); err != nil {
		return err
	}
	version, revision := "(devel)", ""
	if b, ok := debug.ReadBuildInfo(); ok {
		if v := b.Main.Version; v != "" {
			version = v
		}
		for _, s := range b.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	fmt.Fprintf(c.stdout, "weft %s%s\n", version, revision)
	return nil
}
