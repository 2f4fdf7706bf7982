package generate

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
)

// Prompts tokenizes texts: input_ids and attention_mask [B, T], shorter ones
// padded on the left as a decoder wants it.
func Prompts(tok *text.Tokenizer, texts ...string) (nn.Inputs, error) {
	encodings := make([]text.Encoding, len(texts))
	longest := 0
	for i, s := range texts {
		var err error
		if encodings[i], err = tok.Encode(s, text.EncodeOptions{NoTruncation: true, NoPadding: true}); err != nil {
			return nil, fmt.Errorf("text %d: %w", i, err)
		}
		n := len(encodings[i].IDs)
		if n == 0 {
			return nil, nn.InputError("text", "prompt %d has no tokens", i)
		}
		longest = max(longest, n)
	}
	ids, mask := make([]int64, len(texts)*longest), make([]int64, len(texts)*longest)
	for i, e := range encodings {
		from := (i+1)*longest - len(e.IDs)
		for j, id := range e.IDs {
			ids[from+j], mask[from+j] = int64(id), 1
		}
	}
	return nn.Inputs{
		"input_ids":      tensor.FromI64(ids, len(texts), longest),
		"attention_mask": tensor.FromI64(mask, len(texts), longest),
	}, nil
}

// streamText turns a growing sequence of ids into the text that each adds. It
// decodes a short tail only, so that a long text costs no more a token.
type streamText struct {
	begin int // ids[begin:] are decoded again with each new token
	end   int // the text of ids[:end] has been given
	begun bool
}

// lookBack is the number of tokens before the new one that are decoded with it,
// for decoders in which a token's text depends on its neighbours.
const lookBack = 5

// next returns what the ids after the last call add to the text; "" if it ends
// within a character and is not the last.
func (t *streamText) next(tok *text.Tokenizer, ids []int32, last bool) string {
	if !t.begun {
		t.begun = true
		t.end = len(ids) - 1
		t.begin = max(0, t.end-lookBack)
	}
	before := decode32(tok, ids[t.begin:t.end])
	now := decode32(tok, ids[t.begin:])
	if !last && strings.HasSuffix(now, string(utf8.RuneError)) {
		return ""
	}
	t.begin, t.end = max(t.begin, t.end-lookBack), len(ids)
	return now[common(before, now):]
}

// common returns the length of what a and b begin with alike, in whole
// characters: a text that ends within a character changes its end.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	for n > 0 && n < len(b) && !utf8.RuneStart(b[n]) {
		n--
	}
	return n
}

// decode32 returns the text of ids without special tokens; "" if they have none.
func decode32(tok *text.Tokenizer, ids []int32) string {
	list := make([]int, len(ids))
	for i, id := range ids {
		list[i] = int(id)
	}
	s, err := tok.Decode(list, true)
	if err != nil {
		return ""
	}
	return s
}

// stopTail bounds the tokens that are searched for a stop string.
const stopTail = 64

// stopString reports whether the last token completes a stop string.
func (s *search) stopString(ids []int32) bool {
	tail := ids[max(0, len(ids)-stopTail):]
	now, before := decode32(s.Tokenizer, tail), decode32(s.Tokenizer, tail[:len(tail)-1])
	for _, stop := range s.Config.StopStrings {
		if stop == "" {
			continue
		}
		// A match that the text before had is not this token's.
		from := max(0, common(before, now)-len(stop)+1)
		if from < len(now) && strings.Contains(now[from:], stop) {
			return true
		}
	}
	return false
}
