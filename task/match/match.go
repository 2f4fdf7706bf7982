// Package match finds what means the same among sentences, pictures and sounds,
// with a model that encodes them into one space (CLIP, Radford et al. 2021,
// arXiv:2103.00020, and its like): what belongs together has a high cosine.
package match

import (
	"context"
	"fmt"
	"slices"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/nn/align"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

// Encoder encodes into one space: each method returns a vector an item [N, D],
// of any length but 0, or an nn.ErrUnsupported for a kind that it does not read.
type Encoder interface {
	TextFeatures(ctx context.Context, sentences ...string) (tensor.Tensor, error)
	ImageFeatures(ctx context.Context, pictures ...*vision.Image) (tensor.Tensor, error)
	SpeechFeatures(ctx context.Context, clips ...*audio.Clip) (tensor.Tensor, error)
}

// Bounds of one forward pass.
const (
	batchItems   = 32
	batchSamples = 1 << 22 // of sounds, padded
)

// Embed returns the vectors of items [N, D], each of length 1, so that the
// products of rows are cosines. The result does not depend on what else is in
// the call.
func Embed(ctx context.Context, e Encoder, items ...Item) (tensor.Tensor, error) {
	if len(items) == 0 {
		return tensor.Tensor{}, nn.InputError("items", "there are none")
	}
	var out []float32
	dim := 0
	for _, batch := range batches(items) {
		x, err := encode(ctx, e, items, batch)
		if err == nil {
			x, _, err = align.Normalize(x)
		}
		if err != nil {
			if len(batch) == 1 {
				err = fmt.Errorf("%s: %w", label(items[batch[0]]), err)
			}
			return tensor.Tensor{}, err
		}
		if out == nil {
			dim = x.Cols()
			out = make([]float32, len(items)*dim)
		}
		if x.Cols() != dim || x.Rows() != len(batch) {
			return tensor.Tensor{}, nn.Unsupported("vectors %v of %d items beside others of %d numbers", x, len(batch), dim)
		}
		for r, i := range batch {
			copy(out[i*dim:], x.F32()[r*dim:][:dim])
		}
	}
	return tensor.FromF32(out, len(items), dim), nil
}

// label names an item in an error.
func label(i Item) string {
	if i.Name != "" {
		return i.Name
	}
	if kind := i.Kind(); kind != Text {
		return "a " + string(kind)
	}
	return fmt.Sprintf("%.60q", i.Text)
}

// batches groups the items' indices by kind, sounds of like length together.
func batches(items []Item) [][]int {
	by := map[Kind][]int{}
	for i, item := range items {
		by[item.Kind()] = append(by[item.Kind()], i)
	}
	length := func(i int) int { return len(items[i].Sound.Samples) }
	slices.SortStableFunc(by[Sound], func(a, b int) int { return length(a) - length(b) })
	var out [][]int
	for _, kind := range []Kind{Text, Image, Sound, ""} {
		var batch []int
		for _, i := range by[kind] {
			full := len(batch) == batchItems || kind == Sound && (len(batch)+1)*length(i) > batchSamples
			if full && len(batch) > 0 {
				out, batch = append(out, batch), nil
			}
			batch = append(batch, i)
		}
		if batch != nil {
			out = append(out, batch)
		}
	}
	return out
}

// encode encodes items of one kind.
func encode(ctx context.Context, e Encoder, items []Item, batch []int) (tensor.Tensor, error) {
	switch items[batch[0]].Kind() {
	case Text:
		return e.TextFeatures(ctx, pick(items, batch, func(i Item) string { return i.Text })...)
	case Image:
		return e.ImageFeatures(ctx, pick(items, batch, func(i Item) *vision.Image { return i.Image })...)
	case Sound:
		return e.SpeechFeatures(ctx, pick(items, batch, func(i Item) *audio.Clip { return i.Sound })...)
	}
	return tensor.Tensor{}, nn.InputError("item", "%q is not one sentence, picture or sound", items[batch[0]].Name)
}

func pick[T any](items []Item, batch []int, part func(Item) T) []T {
	out := make([]T, len(batch))
	for j, i := range batch {
		out[j] = part(items[i])
	}
	return out
}

// Cosines returns the products of the rows of a [N, D] with those of b [M, D] as
// [N, M]: cosines, where all have length 1. Sums are float64.
func Cosines(a, b tensor.Tensor) (tensor.Tensor, error) {
	for _, x := range []tensor.Tensor{a, b} {
		if x.DType() != tensor.F32 || x.Rank() != 2 || x.Cols() != a.Cols() {
			return tensor.Tensor{}, nn.InputError("vectors", "%v and %v, want rows of one length", a, b)
		}
	}
	out := make([]float32, 0, a.Rows()*b.Rows())
	for i := range a.Rows() {
		x := a.F32()[i*a.LD():][:a.Cols()]
		for j := range b.Rows() {
			y, sum := b.F32()[j*b.LD():][:a.Cols()], 0.0
			for k, v := range x {
				sum += float64(v) * float64(y[k])
			}
			out = append(out, float32(sum))
		}
	}
	return tensor.FromF32(out, a.Rows(), b.Rows()), nil
}

// Index is a set of items to search. It keeps names and vectors, not the
// pictures and sounds. It is not safe for concurrent use.
type Index struct {
	encoder Encoder
	entries []Hit
	vectors []float32
	dim     int
}

// NewIndex returns an empty index.
func NewIndex(e Encoder) *Index { return &Index{encoder: e} }

// Len returns the number of items.
func (x *Index) Len() int { return len(x.entries) }

// Add adds items, all or, with an error, none.
func (x *Index) Add(ctx context.Context, items ...Item) error {
	v, err := Embed(ctx, x.encoder, items...)
	if err != nil {
		return err
	}
	if x.dim == 0 {
		x.dim = v.Cols()
	}
	x.vectors = append(x.vectors, v.F32()...)
	for _, item := range items {
		x.entries = append(x.entries, Hit{Name: item.Name, Kind: item.Kind(), Text: item.Text, Index: len(x.entries)})
	}
	return nil
}

// Hit is an item that was found.
type Hit struct {
	Name  string  `json:"name"`
	Kind  Kind    `json:"kind"`
	Text  string  `json:"text,omitempty"`
	Score float32 `json:"score"` // cosine with the query
	Index int     `json:"-"`     // in the order of Add
}

// Search returns the items nearest to query, at most top of them (all, if top is
// 0 or less), best first; of equal ones the first added.
func (x *Index) Search(ctx context.Context, query Item, top int) ([]Hit, error) {
	if len(x.entries) == 0 {
		return nil, nn.InputError("index", "it is empty")
	}
	q, err := Embed(ctx, x.encoder, query)
	if err != nil {
		return nil, err
	}
	scores, err := Cosines(q, tensor.FromF32(x.vectors, len(x.entries), x.dim))
	if err != nil {
		return nil, err
	}
	hits := slices.Clone(x.entries)
	for i := range hits {
		hits[i].Score = scores.F32()[i]
	}
	slices.SortStableFunc(hits, func(a, b Hit) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	if top > 0 && top < len(hits) {
		hits = hits[:top]
	}
	return hits, nil
}
