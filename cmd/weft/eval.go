package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/metrics"
	"github.com/seed-512d3d71/weft/nn/align"
	"github.com/seed-512d3d71/weft/task/match"
	"github.com/seed-512d3d71/weft/tensor"
)

// evalDir is where the evaluation data of the carried model lies in weft's
// repository.
const evalDir = "train/demo/eval"

// manifest is manifest.json: the data of an evaluation. A set of items that is
// neither retrieval nor caption has labels, among which the model has to find
// that of each sound.
type manifest struct {
	Labels map[string][]string `json:"labels"` // by set
	Items  []evalItem          `json:"items"`
}

// The sets that have no labels.
const (
	setRetrieval = "retrieval" // sentence, picture and voice of each item find each other among all
	setCaption   = "caption"   // what the model says of the picture must be the caption
)

// evalItem is an entry of a manifest. Which fields it needs depends on its set.
type evalItem struct {
	ID          string   `json:"id"`
	Set         string   `json:"set"`
	Text        string   `json:"text"`
	Paraphrases []string `json:"paraphrases"` // other sentences of the same meaning
	Image       string   `json:"image"`       // a file of the folder
	Speech      string   `json:"speech"`      // likewise
	Caption     string   `json:"caption"`
	Label       string   `json:"label"`
	Source      string   `json:"source"` // who speaks
}

// Limits of a manifest.
const (
	maxManifest  = 16 << 20 // bytes
	maxEvalItems = 1 << 14
	maxLabels    = 1 << 12
	maxEvalFile  = 64 << 20 // bytes
)

// parseManifest reads and checks a manifest.
func parseManifest(b []byte) (*manifest, error) {
	var m manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	if n := len(m.Items); n == 0 || n > maxEvalItems {
		return nil, fmt.Errorf("items: %d, want 1 … %d", n, maxEvalItems)
	}
	for set, labels := range m.Labels {
		if n := len(labels); n < 2 || n > maxLabels || slices.Contains(labels, "") {
			return nil, fmt.Errorf("labels.%s: %d, want 2 … %d, none empty", set, n, maxLabels)
		}
	}
	for i, item := range m.Items {
		needs := [][2]string{{"text", item.Text}, {"image", item.Image}, {"speech", item.Speech}}
		labels := m.Labels[item.Set]
		switch {
		case item.Set == setRetrieval:
		case item.Set == setCaption:
			needs = [][2]string{{"image", item.Image}, {"caption", item.Caption}}
		case labels == nil:
			return nil, fmt.Errorf("item %d (%s): set: %q has no labels", i, item.ID, item.Set)
		case !slices.Contains(labels, item.Label):
			return nil, fmt.Errorf("item %d (%s): label: %q is none of set %s", i, item.ID, item.Label, item.Set)
		default:
			needs = [][2]string{{"speech", item.Speech}}
		}
		for _, part := range needs {
			if part[1] == "" {
				return nil, fmt.Errorf("item %d (%s): %s: missing", i, item.ID, part[0])
			}
		}
	}
	return &m, nil
}

// runEval measures a model on data that it was not trained on.
func runEval(ctx context.Context, c *call) error {
	data := c.String("data", "", "`directory` of the data, with a manifest.json; default "+evalDir)
	if err := c.parseNone(); err != nil {
		return err
	}
	if *data == "" {
		if _, err := os.Stat(evalDir); err != nil {
			return usagef("--data is missing, and there is no %s here", evalDir)
		}
		*data = evalDir
	}
	d, err := hub.OpenDir(*data)
	if err != nil {
		return err
	}
	b, err := d.ReadFile("manifest.json", maxManifest)
	if err != nil {
		return fmt.Errorf("%s: %w", *data, err)
	}
	man, err := parseManifest(b)
	if err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(*data, "manifest.json"), err)
	}
	m, err := c.openMatcher()
	if err != nil {
		return err
	}
	defer m.Close()
	show, clear := c.progress("vectors")
	defer clear()
	e := &evaluation{model: m, dir: d, show: show, total: 3 * len(man.Items)}
	if err = e.run(ctx, man); err != nil {
		return fmt.Errorf("%s: %w", *data, err)
	}
	clear()
	if c.json {
		return writeJSON(c.stdout, e.results)
	}
	return writeResults(c.stdout, e.results)
}

// result is one figure of an evaluation.
type result struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Chance float64 `json:"chance"` // the expectation of a random order or guess
	Count  int     `json:"count"`  // queries
	Of     int     `json:"of"`     // candidates
}

func writeResults(w io.Writer, results []result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "value\tchance\tqueries\tof\t ")
	for _, r := range results {
		fmt.Fprintf(tw, "%.3f\t%.3f\t%d\t%d\t %s\n", r.Value, r.Chance, r.Count, r.Of, r.Name)
	}
	return tw.Flush()
}

// evaluation is one run.
type evaluation struct {
	model       *weft.Model
	dir         *hub.Dir
	show        func(done, total int)
	done, total int
	results     []result
}

func (e *evaluation) run(ctx context.Context, m *manifest) error {
	by := map[string][]evalItem{}
	var sets []string
	for _, item := range m.Items {
		if by[item.Set] == nil && m.Labels[item.Set] != nil && item.Set != setRetrieval && item.Set != setCaption {
			sets = append(sets, item.Set)
		}
		by[item.Set] = append(by[item.Set], item)
	}
	if items := by[setRetrieval]; items != nil {
		if err := e.retrieval(ctx, items); err != nil {
			return err
		}
	}
	if items := by[setCaption]; items != nil && e.model.Has(match.Image) {
		pictures, err := e.embed(ctx, items, match.Image, imageOf)
		if err != nil {
			return err
		}
		captions := pick(items, func(i evalItem) string { return i.Caption })
		if err := e.captions(ctx, "captions of pictures", pictures, captions); err != nil {
			return err
		}
	}
	for _, set := range sets {
		if !e.model.Has(match.Sound) || !e.model.Has(match.Text) {
			continue
		}
		if err := e.recognition(ctx, set, by[set], m.Labels[set]); err != nil {
			return err
		}
	}
	if e.results == nil {
		return fmt.Errorf("nothing in it is for %s", e.model.Class())
	}
	return nil
}

func (e *evaluation) add(name string, value, chance float64, count, of int) {
	e.results = append(e.results, result{name, value, chance, count, of})
}

// embed embeds a part of each item, reading files some at a time.
func (e *evaluation) embed(ctx context.Context, items []evalItem, kind match.Kind, part func(evalItem) string) (weft.Tensor, error) {
	var all []float32
	dim := 0
	for at := 0; at < len(items); at += group {
		var batch []match.Item
		for _, item := range items[at:min(at+group, len(items))] {
			one, err := e.read(kind, part(item))
			if err != nil {
				return weft.Tensor{}, fmt.Errorf("item %s: %w", item.ID, err)
			}
			batch = append(batch, one)
		}
		v, err := match.Embed(ctx, e.model, batch...)
		if err != nil {
			return weft.Tensor{}, err
		}
		all, dim = append(all, v.F32()...), v.Cols()
		e.done += len(batch)
		e.show(e.done, e.total)
	}
	return tensor.FromF32(all, len(items), dim), nil
}

// read returns a sentence, or the picture or sound in a file.
func (e *evaluation) read(kind match.Kind, part string) (match.Item, error) {
	if kind == match.Text {
		return match.Item{Name: part, Text: part}, nil
	}
	b, err := e.dir.ReadFile(part, maxEvalFile)
	if err != nil {
		return match.Item{}, err
	}
	items, err := match.Decode(part, b)
	if err == nil && items[0].Kind() != kind {
		err = errors.New("not of kind " + string(kind))
	}
	if err != nil {
		return match.Item{}, fmt.Errorf("%s: %w", part, err)
	}
	return items[0], nil
}

func textOf(i evalItem) string   { return i.Text }
func imageOf(i evalItem) string  { return i.Image }
func speechOf(i evalItem) string { return i.Speech }

func pick[T, U any](list []T, part func(T) U) []U {
	out := make([]U, len(list))
	for i, x := range list {
		out[i] = part(x)
	}
	return out
}

// side is a kind of vector of the items of retrieval.
type side struct {
	name string
	kind match.Kind
	part func(evalItem) string
}

// retrieval asks, from each side to each other, for each item's partner among
// all items, and for the loss of training over them.
func (e *evaluation) retrieval(ctx context.Context, items []evalItem) error {
	sides := []side{{"text", match.Text, textOf}, {"image", match.Image, imageOf}, {"speech", match.Sound, speechOf}}
	if !slices.ContainsFunc(items, func(i evalItem) bool { return len(i.Paraphrases) == 0 || i.Paraphrases[0] == "" }) {
		sides = append(sides, side{"paraphrase", match.Text, func(i evalItem) string { return i.Paraphrases[0] }})
	}
	vectors := map[string]weft.Tensor{}
	for _, s := range sides {
		if !e.model.Has(s.kind) {
			continue
		}
		var err error
		if vectors[s.name], err = e.embed(ctx, items, s.kind, s.part); err != nil {
			return err
		}
	}
	n := len(items)
	own := make([]int, n)
	for i := range own {
		own[i] = i
	}
	for _, way := range [][2]string{{"text", "image"}, {"image", "text"}, {"speech", "image"}, {"image", "speech"},
		{"speech", "text"}, {"text", "speech"}, {"paraphrase", "image"}, {"paraphrase", "text"}} {
		a, b := vectors[way[0]], vectors[way[1]]
		if a.IsZero() || b.IsZero() {
			continue
		}
		cos, err := match.Cosines(a, b)
		if err != nil {
			return err
		}
		for _, k := range []int{1, 5} {
			e.add(fmt.Sprintf("%s → %s recall@%d", way[0], way[1], k), metrics.RecallAtK(rowsOf(cos), own, k), min(1, float64(k)/float64(n)), n, n)
		}
	}
	for _, pair := range [][2]string{{"text", "image"}, {"speech", "image"}, {"speech", "text"}} {
		a, b := vectors[pair[0]], vectors[pair[1]]
		if a.IsZero() || b.IsZero() {
			continue
		}
		loss, _, err := align.InfoNCE(a, b, 1/e.model.LogitScale())
		if err != nil {
			return err
		}
		e.add(fmt.Sprintf("%s and %s InfoNCE", pair[0], pair[1]), loss, math.Log(float64(n)), n, n)
	}
	if voices := vectors["speech"]; !voices.IsZero() {
		return e.captions(ctx, "captions of voices", voices, pick(items, textOf))
	}
	return nil
}

// captions asks the model to say what vectors mean in the very words that are
// wanted.
func (e *evaluation) captions(ctx context.Context, name string, vectors weft.Tensor, want []string) error {
	said, err := e.model.CaptionsOf(ctx, vectors)
	if weft.IsUnsupported(err) {
		return nil // a model without decoder
	}
	if err != nil {
		return err
	}
	right := 0
	for i, s := range said {
		if s == want[i] {
			right++
		}
	}
	distinct := len(slices.Compact(slices.Sorted(slices.Values(want))))
	e.add(name, float64(right)/float64(len(want)), 1/float64(distinct), len(want), distinct)
	return nil
}

// recognition asks for the label that is nearest to each sound, over all and by
// speaker.
func (e *evaluation) recognition(ctx context.Context, set string, items []evalItem, labels []string) error {
	sounds, err := e.embed(ctx, items, match.Sound, speechOf)
	if err != nil {
		return err
	}
	words, err := match.Embed(ctx, e.model, pick(labels, func(s string) match.Item { return match.Item{Text: s} })...)
	if err != nil {
		return err
	}
	cos, err := match.Cosines(sounds, words)
	if err != nil {
		return err
	}
	rows, want := rowsOf(cos), pick(items, func(i evalItem) int { return slices.Index(labels, i.Label) })
	sources := slices.Compact(slices.Sorted(slices.Values(pick(items, func(i evalItem) string { return i.Source }))))
	accuracy := func(name string, of func(evalItem) bool) {
		var some [][]float32
		var right []int
		for i, item := range items {
			if of(item) {
				some, right = append(some, rows[i]), append(right, want[i])
			}
		}
		e.add(name, metrics.RecallAtK(some, right, 1), 1/float64(len(labels)), len(some), len(labels))
	}
	accuracy(set, func(evalItem) bool { return true })
	for _, source := range sources {
		if len(sources) > 1 {
			accuracy(set+" "+source, func(i evalItem) bool { return i.Source == source })
		}
	}
	return nil
}
