// Package embed turns sentences into vectors with a sentence-transformers
// directory: modules.json lists a transformer, a pooling, and after it any of
// dense layers, layer norms and normalisation (Reimers & Gurevych 2019,
// arXiv:1908.10084; reference: sentence-transformers 6.2).
package embed

import (
	"context"
	"fmt"
	"sort"
	"strings"

	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
)

// Embedder embeds sentences. It is safe for concurrent use.
type Embedder struct {
	transformer nn.Model
	tokenizer   *text.Tokenizer
	backend     nn.Backend
	maxTokens   int // sentences are cut to this many tokens
	lower       bool
	prompt      string
	promptLen   int // tokens of prompt that pooling leaves out
	pooling     []string
	width       int // of a token's vector
	after       []module
	dim         int
}

// module is a step after pooling, on [B, C] rows.
type module interface {
	forward(p nn.Pass, x tensor.Tensor) tensor.Tensor
}

// Loader opens the transformer that a directory holds.
type Loader func(dir *hub.Dir) (nn.Model, error)

// Open reads a sentence-transformers directory. load opens its transformer. A
// directory without a modules.json is a transformer with mean pooling.
func Open(dir *hub.Dir, backend nn.Backend, load Loader) (*Embedder, error) {
	if !dir.Exists("modules.json") {
		e := &Embedder{backend: backend, pooling: []string{"mean"}}
		if err := e.addTransformer(dir, load); err != nil {
			return nil, err
		}
		c, err := config(dir, "config.json")
		if err != nil {
			return nil, err
		}
		width := "hidden_size"
		for _, other := range []string{"dim", "d_model"} { // DistilBERT, T5
			if c.Has(other) && !c.Has(width) {
				width = other
			}
		}
		e.width = c.Dim(width, 768)
		e.dim = e.width
		return e, c.Err()
	}
	var list []struct{ Path, Type string }
	if err := dir.ReadJSON("modules.json", &list); err != nil {
		return nil, err
	}
	e := &Embedder{backend: backend}
	for i, m := range list {
		if err := e.add(dir, m.Path, m.Type, load); err != nil {
			return nil, fmt.Errorf("modules.json: entry %d (%s): %w", i, m.Type, err)
		}
	}
	if e.transformer == nil || e.pooling == nil {
		return nil, nn.Unsupported("modules.json without a Transformer followed by a Pooling")
	}
	return e, e.readSettings(dir)
}

func (e *Embedder) add(dir *hub.Dir, path, kind string, load Loader) error {
	name := kind[strings.LastIndexByte(kind, '.')+1:]
	if (e.transformer == nil) != (name == "Transformer") || (e.transformer != nil && e.pooling == nil) != (name == "Pooling") {
		return nn.Unsupported("this order of modules")
	}
	switch name {
	case "Normalize":
		e.after = append(e.after, normalize{})
		return nil
	case "Dropout":
		return nil
	}
	sub := dir
	if path != "" {
		var err error
		if sub, err = dir.Sub(path); err != nil {
			return err
		}
	}
	switch name {
	case "Transformer":
		return e.addTransformer(sub, load)
	case "Pooling":
		return e.addPooling(sub)
	case "Dense":
		return e.addDense(sub)
	case "LayerNorm":
		return e.addNorm(sub)
	}
	return nn.Unsupported("sentence-transformers module %q", kind)
}

func (e *Embedder) addTransformer(sub *hub.Dir, load Loader) error {
	var err error
	if e.transformer, err = load(sub); err != nil {
		return err
	}
	if e.tokenizer, err = text.Open(sub.FS()); err != nil {
		return err
	}
	cfg, err := config(sub, "config.json")
	if err != nil {
		return err
	}
	limit := cfg.IntRange("max_position_embeddings", 1<<30, -1, 1<<30)
	if sub.Exists("tokenizer_config.json") {
		tc, err := config(sub, "tokenizer_config.json")
		if err != nil {
			return err
		}
		if n := tc.Float("model_max_length", 1e30); n >= 1 && n < float64(limit) {
			limit = int(n)
		}
	}
	for _, name := range []string{"sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json"} {
		if !sub.Exists(name) {
			continue
		}
		sc, err := config(sub, name)
		if err != nil {
			return err
		}
		if sc.Has("max_seq_length") && !sc.Null("max_seq_length") {
			limit = sc.IntRange("max_seq_length", limit, 1, 1<<30)
		}
		e.lower = sc.Bool("do_lower_case", false)
		if err := sc.Err(); err != nil {
			return err
		}
		break
	}
	e.maxTokens = limit
	return cfg.Err()
}

// poolingModes are the modes in the order in which their vectors are joined,
// with the keys that older files use.
var poolingModes = []struct{ mode, legacy string }{
	{"cls", "pooling_mode_cls_token"},
	{"max", "pooling_mode_max_tokens"},
	{"mean", "pooling_mode_mean_tokens"},
	{"mean_sqrt_len_tokens", "pooling_mode_mean_sqrt_len_tokens"},
	{"weightedmean", "pooling_mode_weightedmean_tokens"},
	{"lasttoken", "pooling_mode_lasttoken"},
}

func (e *Embedder) addPooling(sub *hub.Dir) error {
	c, err := config(sub, "config.json")
	if err != nil {
		return err
	}
	width := "embedding_dimension"
	if !c.Has(width) {
		width = "word_embedding_dimension"
	}
	e.width = c.Dim(width, 0)
	switch {
	case c.Has("pooling_mode"):
		if e.pooling = c.Strs("pooling_mode"); len(e.pooling) == 0 {
			e.pooling = []string{c.Str("pooling_mode", "mean")}
		}
	default:
		for _, m := range poolingModes {
			if c.Bool(m.legacy, false) {
				e.pooling = append(e.pooling, m.mode)
			}
		}
		if e.pooling == nil {
			e.pooling = []string{"mean"}
		}
	}
	for _, m := range e.pooling {
		known := false
		for _, k := range poolingModes {
			known = known || k.mode == m
		}
		if !known {
			return nn.Unsupported("pooling mode %q", m)
		}
	}
	if !c.Bool("include_prompt", true) {
		e.promptLen = -1 // counted once the prompt is known
	}
	e.dim = e.width * len(e.pooling)
	return c.Err()
}

// readSettings reads the prompt that goes before every sentence, and the length
// that embeddings are cut to.
func (e *Embedder) readSettings(dir *hub.Dir) error {
	const name = "config_sentence_transformers.json"
	exclude := e.promptLen < 0
	e.promptLen = 0
	if !dir.Exists(name) {
		return nil
	}
	var c struct {
		Prompts       map[string]string `json:"prompts"`
		DefaultPrompt *string           `json:"default_prompt_name"`
		TruncateDim   *int              `json:"truncate_dim"`
	}
	if err := dir.ReadJSON(name, &c); err != nil {
		return err
	}
	if n := c.TruncateDim; n != nil {
		if *n < 1 {
			return fmt.Errorf("%s: truncate_dim %d, want a positive number", name, *n)
		}
		e.dim = min(e.dim, *n)
	}
	if c.DefaultPrompt == nil {
		return nil
	}
	prompt, ok := c.Prompts[*c.DefaultPrompt]
	if !ok {
		return fmt.Errorf("%s: default_prompt_name %q is not among the prompts", name, *c.DefaultPrompt)
	}
	e.prompt = prompt
	if exclude && prompt != "" {
		enc, err := e.tokenizer.Encode(prompt, text.EncodeOptions{NoPadding: true})
		if err != nil {
			return err
		}
		e.promptLen = len(enc.IDs)
		if n := e.promptLen; n > 0 && len(enc.SpecialTokensMask) == n && enc.SpecialTokensMask[n-1] == 1 {
			e.promptLen-- // the closing token follows the sentence, not the prompt
		}
	}
	return nil
}

func config(d *hub.Dir, name string) (*hfconfig.Config, error) {
	b, err := d.ReadFile(name, 1<<24)
	if err != nil {
		return nil, err
	}
	c, err := hfconfig.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// Dim returns the length of an embedding.
func (e *Embedder) Dim() int { return e.dim }

// batchTokens bounds the padded size of one forward pass.
const batchTokens = 8192

// Embed returns one vector a sentence [N, Dim]. Sentences longer than the
// model's limit are cut, as sentence-transformers cuts them.
func (e *Embedder) Embed(ctx context.Context, sentences []string) (tensor.Tensor, error) {
	ids := make([][]int, len(sentences))
	order := make([]int, len(sentences))
	for i, s := range sentences {
		s = e.prompt + s
		if e.lower {
			s = strings.ToLower(s)
		}
		enc, err := e.tokenizer.Encode(s, text.EncodeOptions{NoPadding: true, MaxLength: e.maxTokens})
		if err != nil {
			return tensor.Tensor{}, fmt.Errorf("embed: sentence %d: %w", i, err)
		}
		if len(enc.IDs) == 0 {
			return tensor.Tensor{}, fmt.Errorf("embed: sentence %d has no tokens: %w", i, nn.ErrInput)
		}
		ids[i], order[i] = enc.IDs, i
	}
	// Sentences of like length share a pass; the result does not depend on it.
	sort.SliceStable(order, func(a, b int) bool { return len(ids[order[a]]) < len(ids[order[b]]) })
	out := make([]float32, len(sentences)*e.dim)
	for lo := 0; lo < len(order); {
		hi := lo + 1
		for hi < len(order) && (hi+1-lo)*len(ids[order[hi]]) <= batchTokens {
			hi++
		}
		if err := e.batch(ctx, out, ids, order[lo:hi]); err != nil {
			return tensor.Tensor{}, fmt.Errorf("embed: %w", err)
		}
		lo = hi
	}
	return tensor.FromF32(out, len(sentences), e.dim), nil
}

func (e *Embedder) batch(ctx context.Context, out []float32, ids [][]int, rows []int) error {
	t := len(ids[rows[len(rows)-1]])
	grid, mask := make([]int64, len(rows)*t), make([]int64, len(rows)*t)
	for b, r := range rows {
		for j, id := range ids[r] {
			grid[b*t+j], mask[b*t+j] = int64(id), 1
		}
	}
	got, err := e.transformer.Run(ctx, nn.Inputs{
		"input_ids":      tensor.FromI64(grid, len(rows), t),
		"attention_mask": tensor.FromI64(mask, len(rows), t),
	}, nn.RunOptions{})
	if err != nil {
		return err
	}
	h := got.Get("last_hidden_state")
	if h.IsZero() || h.Cols() != e.width {
		return nn.Unsupported("a transformer whose token vectors are %v, with a pooling over %d", h, e.width)
	}
	pooled := make([]float32, 0, len(rows)*len(e.pooling)*e.width)
	for b, r := range rows {
		tokens := h.F32()[b*t*e.width : (b*t+len(ids[r]))*e.width]
		for _, mode := range e.pooling {
			pooled = append(pooled, pool(mode, tokens, e.width, e.promptLen)...)
		}
	}
	p := e.backend.Begin(ctx)
	defer p.End()
	x := p.Floats(pooled, len(rows), len(pooled)/len(rows))
	for _, m := range e.after {
		x = m.forward(p, x)
	}
	x = p.Host(x)
	for b, r := range rows {
		copy(out[r*e.dim:(r+1)*e.dim], x.F32()[b*x.LD():])
	}
	return p.Err()
}
