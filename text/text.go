// Package text is the tokenizers of Hugging Face checkpoints: the same ids,
// tokens and offsets as the tokenizers library gives, for every input.
//
// [Open] reads a tokenizer.json, or the older vocab.txt, or vocab.json with
// merges.txt, or the vocab.json of a CTC model. A text goes through these steps,
// each of which tokenizer.json describes by a component with a "type":
//
//   - added tokens are cut out of the text;
//   - a normalizer rewrites what is between them, keeping track of places;
//   - a pre-tokenizer splits it into words;
//   - a model (WordPiece, BPE, Unigram or WordLevel) splits words into tokens;
//   - truncation, a post-processor (special tokens, type ids) and padding finish.
//
// A component that this package does not know is an error which wraps
// [ErrUnsupported] and names it. The time that a text takes is linear in its
// length. A [Tokenizer] is safe for concurrent use.
package text

import (
	"errors"
	"fmt"
	"runtime"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// ErrUnsupported marks a tokenizer that asks for something this package lacks.
var ErrUnsupported = errors.New("unsupported")

var errTooManyParts = errors.New("text: a template after another one")

// maxText bounds a text, in bytes.
const maxText = 1 << 30

// Tokenizer turns text into ids and ids into text.
type Tokenizer struct {
	model         model
	added         *addedTokens
	normalizer    normalizer    // nil: none
	preTokenizer  preTokenizer  // nil: none
	postProcessor postProcessor // nil: none
	decoder       decoder       // nil: tokens joined by spaces
	truncation    *truncation
	padding       *padding
	special       map[string]int // by role: "cls_token" …
	maxLength     int            // of tokenizer_config.json; 0 for none
	missing       string         // what an unknown id decodes to, if not empty
}

// EncodeOptions changes how a text is encoded; the zero value is what the
// tokenizer's file says.
type EncodeOptions struct {
	NoSpecialTokens bool // leave out special tokens
	NoTruncation    bool // keep the whole text
	NoPadding       bool // do not pad

	Overflow bool // keep what truncation cuts off, in Encoding.Overflowing

	// MaxLength, if positive, truncates to so many tokens, special ones
	// included, instead of to the length in the file; Stride is then the overlap
	// of the overflowing windows.
	MaxLength, Stride int
}

// Encode encodes one text.
func (t *Tokenizer) Encode(s string, o EncodeOptions) (Encoding, error) {
	return t.encode([]string{s}, o)
}

// EncodePair encodes two texts that belong together, such as a question and a passage.
func (t *Tokenizer) EncodePair(a, b string, o EncodeOptions) (Encoding, error) {
	return t.encode([]string{a, b}, o)
}

func (t *Tokenizer) encode(texts []string, o EncodeOptions) (Encoding, error) {
	e, err := t.finish(texts, o)
	if err == nil && t.padding != nil && !o.NoPadding {
		t.padding.pad(&e, t.padding.target(e.Len()))
	}
	return e, err
}

// EncodeBatch encodes texts side by side. Unless o.NoPadding is set, they are
// padded to one length: as the tokenizer's file says, else to the longest with
// the padding token.
func (t *Tokenizer) EncodeBatch(texts []string, o EncodeOptions) ([]Encoding, error) {
	out := make([]Encoding, len(texts))
	errs := make([]error, len(texts))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(len(texts), runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(texts) {
					return
				}
				out[i], errs[i] = t.finish(texts[i:i+1], o)
			}
		})
	}
	wg.Wait()
	longest := 0
	for i, err := range errs {
		if err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
		longest = max(longest, out[i].Len())
	}
	if o.NoPadding {
		return out, nil
	}
	pad := t.padding
	if pad == nil {
		pad = &padding{length: -1}
		for _, role := range []string{"pad_token", "eos_token"} {
			if id, ok := t.SpecialID(role); ok {
				pad.id = id
				pad.token, _ = t.IDToToken(id)
				break
			}
		}
	}
	for i := range out {
		pad.pad(&out[i], pad.target(longest))
	}
	return out, nil
}

// finish does everything but padding.
func (t *Tokenizer) finish(texts []string, o EncodeOptions) (Encoding, error) {
	parts := make([]Encoding, len(texts))
	for i, s := range texts {
		var err error
		if parts[i], err = t.encodeText(s, i); err != nil {
			return Encoding{}, err
		}
	}
	if err := t.truncate(parts, o); err != nil {
		return Encoding{}, err
	}
	if t.postProcessor != nil {
		for i := range parts {
			for j := range parts[i].TypeIDs {
				parts[i].TypeIDs[j] = i
			}
		}
		var err error
		if parts, err = t.postProcessor.process(parts, !o.NoSpecialTokens); err != nil {
			return Encoding{}, err
		}
	}
	if len(parts) == 0 {
		return Encoding{}, nil
	}
	e := parts[0]
	for i := 1; i < len(parts); i++ {
		if err := e.append(&parts[i]); err != nil {
			return Encoding{}, err
		}
	}
	return e, nil
}

func (t *Tokenizer) truncate(parts []Encoding, o EncodeOptions) error {
	trunc := t.truncation
	if o.NoTruncation {
		return nil
	}
	if trunc == nil && o.MaxLength <= 0 {
		return nil
	}
	own := truncation{strategy: longestFirst}
	if trunc != nil {
		own = *trunc
	}
	if o.MaxLength > 0 {
		own.maxLength, own.stride = o.MaxLength, o.Stride
	}
	own.overflow = o.Overflow
	trunc = &own
	limit := trunc.maxLength
	if t.postProcessor != nil && !o.NoSpecialTokens {
		if limit -= t.postProcessor.added(len(parts) == 2); limit < 0 {
			if o.MaxLength > 0 {
				return fmt.Errorf("text: a length of %d has no room for the special tokens", o.MaxLength)
			}
			return nil // the library's unsigned length wraps round: no limit
		}
	}
	var second *Encoding
	if len(parts) == 2 {
		second = &parts[1]
	}
	return trunc.apply(&parts[0], second, limit)
}

// encodeText does the steps from added tokens to the model.
func (t *Tokenizer) encodeText(s string, typeID int) (Encoding, error) {
	if len(s) > maxText {
		return Encoding{}, fmt.Errorf("text: %d bytes, more than %d", len(s), maxText)
	}
	if !utf8.ValidString(s) {
		return Encoding{}, errors.New("text: not UTF-8")
	}
	pieces := t.added.extract(s, t.normalizer)
	if t.preTokenizer != nil {
		pieces = t.preTokenizer.split(pieces)
	}
	var e Encoding
	e.grow(len(s)/4 + 4)
	chars := newCharIndex(s)
	var tokens []token
	word := 0
	for i := range pieces {
		p := &pieces[i]
		if p.added {
			start, end := p.origin(0, len(p.text))
			e.add(p.id, p.text, chars.convert(start, end), typeID, 1, 0, word)
			word++
			continue
		}
		if p.text == "" {
			continue
		}
		var err error
		if tokens, err = t.model.tokenize(p.text, tokens[:0]); err != nil {
			return Encoding{}, fmt.Errorf("text: %w", err)
		}
		for _, tok := range tokens {
			start, end := tok.start, tok.end
			if end <= len(p.text) { // else byte fallback wrote out a suffix, which stands nowhere
				start, end = p.origin(start, end)
			}
			e.add(tok.id, tok.text, chars.convert(start, end), typeID, 1, 0, word)
		}
		word++
	}
	return e, nil
}

// charIndex turns byte offsets of a text into counts of characters.
type charIndex struct {
	size int
	of   []int32 // by byte: the number of the character that it belongs to; nil if all are ASCII
}

func newCharIndex(s string) charIndex {
	c := charIndex{size: len(s)}
	if isASCII(s) {
		return c
	}
	c.of = make([]int32, len(s))
	n := int32(-1)
	for i := 0; i < len(s); i++ {
		if utf8.RuneStart(s[i]) {
			n++
		}
		c.of[i] = n
	}
	return c
}

// convert keeps the library's exceptions: a range that begins at the end of the
// text stays in bytes, and one that goes beyond it is two characters.
func (c charIndex) convert(start, end int) [2]int {
	if start >= c.size || start < 0 {
		return [2]int{start, end}
	}
	if c.of == nil {
		if end > c.size {
			end = start + 2
		}
		return [2]int{start, end}
	}
	first := int(c.of[start])
	switch {
	case end < c.size:
		return [2]int{first, int(c.of[end])}
	case end == c.size:
		return [2]int{first, int(c.of[c.size-1]) + 1}
	}
	return [2]int{first, first + 2}
}

// Decode turns ids into text. Ids outside the vocabulary are left out; a CTC
// tokenizer writes them as its unknown token.
func (t *Tokenizer) Decode(ids []int, skipSpecial bool) (string, error) {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		tok, ok := t.IDToToken(id)
		if !ok {
			tok, ok = t.missing, t.missing != ""
		}
		if ok && !(skipSpecial && t.added.special[tok]) {
			tokens = append(tokens, tok)
		}
	}
	if t.decoder == nil {
		return strings.Join(tokens, " "), nil
	}
	return strings.Join(t.decoder.decode(tokens), ""), nil
}

// IDToToken returns the token of an id.
func (t *Tokenizer) IDToToken(id int) (string, bool) {
	if tok, ok := t.added.token(id); ok {
		return tok, true
	}
	tok, ok := t.model.vocabulary().tokens[id]
	return tok, ok
}

// TokenToID returns the id of a token.
func (t *Tokenizer) TokenToID(token string) (int, bool) {
	if id, ok := t.added.ids[token]; ok {
		return id, true
	}
	id, ok := t.model.vocabulary().ids[token]
	return id, ok
}

// VocabSize returns the number of tokens, added ones included.
func (t *Tokenizer) VocabSize() int {
	n := len(t.model.vocabulary().ids)
	for tok := range t.added.ids {
		if _, ok := t.model.vocabulary().ids[tok]; !ok {
			n++
		}
	}
	return n
}

// MaxID returns the greatest id, -1 for an empty vocabulary. A model's embedding
// has at least one row more.
func (t *Tokenizer) MaxID() int {
	most := -1
	for id := range t.model.vocabulary().tokens {
		most = max(most, id)
	}
	for id := range t.added.tokens {
		most = max(most, id)
	}
	return most
}

// AddedTokens returns the added tokens by id.
func (t *Tokenizer) AddedTokens() map[int]AddedToken {
	out := make(map[int]AddedToken, len(t.added.tokens))
	for id, tok := range t.added.tokens {
		out[id] = tok
	}
	return out
}

// SpecialIDs returns the ids of the tokens that Decode can leave out, in order.
func (t *Tokenizer) SpecialIDs() []int {
	var ids []int
	for tok := range t.added.special {
		ids = append(ids, t.added.ids[tok])
	}
	sort.Ints(ids)
	return ids
}

// SpecialID returns the id of the token with a role in tokenizer_config.json or
// special_tokens_map.json: "cls_token", "sep_token", "pad_token", "mask_token",
// "unk_token", "bos_token" or "eos_token".
func (t *Tokenizer) SpecialID(role string) (int, bool) {
	id, ok := t.special[role]
	return id, ok
}

// MaxLength returns model_max_length of tokenizer_config.json, 0 if there is none.
func (t *Tokenizer) MaxLength() int { return t.maxLength }
