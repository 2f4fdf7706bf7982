package generate

import (
	"fmt"
	"math"
	"slices"

	"github.com/seed-512d3d71/weft/nn"
)

var negInf = float32(math.Inf(-1))

// processor changes the scores [V] of what follows a sequence. It may keep
// scratch: a processor belongs to one search.
type processor interface {
	process(scores []float32, s *sequence)
}

// processorFunc is a processor without scratch.
type processorFunc func(scores []float32, s *sequence)

func (f processorFunc) process(scores []float32, s *sequence) { f(scores, s) }

// processors returns those that the settings ask for, in Hugging Face's order.
// prompt is the length of the prompts, padding included, and encoder the ids
// that the encoder read, nil if it read none.
func (c *Config) processors(vocab, prompt, maxLength int, encoder [][]int32) ([]processor, error) {
	var list []processor
	add := func(p processor) { list = append(list, p) }
	if c.SequenceBias != nil {
		b, err := newBias("sequence_bias", c.SequenceBias, vocab)
		if err != nil {
			return nil, err
		}
		add(b)
	}
	if c.EncoderRepetitionPenalty != 1 && encoder != nil {
		add(&repetition{penalty: float32(1 / c.EncoderRepetitionPenalty), encoder: encoder, seen: make([]int32, vocab)})
	}
	if c.RepetitionPenalty != 1 {
		add(&repetition{penalty: float32(c.RepetitionPenalty), seen: make([]int32, vocab)})
	}
	if n := c.NoRepeatNGramSize; n > 0 {
		add(processorFunc(func(scores []float32, s *sequence) { banNGrams(scores, s.ids, s.ids, n) }))
	}
	if n := c.EncoderNoRepeatNGramSize; n > 0 && encoder != nil {
		add(processorFunc(func(scores []float32, s *sequence) { banNGrams(scores, encoder[s.row], s.ids, n) }))
	}
	if c.BadWordsIDs != nil {
		var biases []Bias
		for _, ids := range c.BadWordsIDs {
			if len(ids) == 1 && slices.Contains(c.EOSTokenID, ids[0]) {
				continue // the end is never a bad word
			}
			biases = append(biases, Bias{ids, negInf})
		}
		b, err := newBias("bad_words_ids", biases, vocab)
		if err != nil {
			return nil, err
		}
		add(b)
	}
	for _, id := range c.ForcedEOSTokenID {
		if id < 0 || id >= vocab {
			return nil, nn.InputError("forced_eos_token_id", "%d, the vocabulary has %d tokens", id, vocab)
		}
	}
	least := c.MinLength
	if c.MinNewTokens >= 0 {
		least = prompt + c.MinNewTokens
	}
	if least > 0 && c.EOSTokenID != nil {
		add(processorFunc(func(scores []float32, s *sequence) {
			if len(s.ids) < least {
				ban(scores, c.EOSTokenID)
			}
		}))
	}
	if id := c.ForcedBOSTokenID; id >= 0 {
		if id >= vocab {
			return nil, nn.InputError("forced_bos_token_id", "%d, the vocabulary has %d tokens", id, vocab)
		}
		add(force(1, []int{id}))
	}
	if c.ForcedEOSTokenID != nil {
		add(force(maxLength-1, c.ForcedEOSTokenID))
	}
	if c.RemoveInvalidValues {
		add(processorFunc(removeInvalid))
	}
	if d := c.ExponentialDecayLengthPenalty; d != nil && c.EOSTokenID != nil {
		eos := slices.Clone(c.EOSTokenID)
		slices.Sort(eos)
		add(&decay{start: d.Start + prompt, factor: d.Factor, eos: slices.Compact(eos)})
	}
	if c.SuppressTokens != nil {
		add(processorFunc(func(scores []float32, s *sequence) { ban(scores, c.SuppressTokens) }))
	}
	if c.BeginSuppressTokens != nil {
		begin := prompt
		if prompt <= 1 && c.ForcedBOSTokenID >= 0 {
			begin++
		}
		add(processorFunc(func(scores []float32, s *sequence) {
			if len(s.ids) == begin {
				ban(scores, c.BeginSuppressTokens)
			}
		}))
	}
	if c.DoSample {
		list = append(list, c.warpers()...)
	}
	if c.RenormalizeLogits {
		add(processorFunc(func(scores []float32, s *sequence) { logSoftmax(scores) }))
	}
	return list, nil
}

// ban makes ids impossible; those outside the vocabulary do not matter.
func ban(scores []float32, ids []int) {
	for _, id := range ids {
		if id >= 0 && id < len(scores) {
			scores[id] = negInf
		}
	}
}

// force leaves ids alone possible after length tokens.
func force(length int, ids []int) processorFunc {
	return func(scores []float32, s *sequence) {
		if len(s.ids) != length {
			return
		}
		for i := range scores {
			scores[i] = negInf
		}
		for _, id := range ids {
			scores[id] = 0
		}
	}
}

func removeInvalid(scores []float32, _ *sequence) {
	for i, v := range scores {
		switch {
		case v != v:
			scores[i] = 0
		case v > math.MaxFloat32:
			scores[i] = math.MaxFloat32
		case v < -math.MaxFloat32:
			scores[i] = -math.MaxFloat32
		}
	}
}

// repetition makes tokens that came before less likely (Keskar et al. 2019,
// arXiv:1909.05858): those of the sequence without its padding or, if encoder is
// not nil, those that the encoder read.
type repetition struct {
	penalty float32
	encoder [][]int32
	seen    []int32 // the last call that met an id
	call    int32
}

func (r *repetition) process(scores []float32, s *sequence) {
	ids := s.ids[s.pad:]
	if r.encoder != nil {
		ids = r.encoder[s.row]
	}
	if r.call == math.MaxInt32 {
		clear(r.seen)
		r.call = 0
	}
	r.call++
	for _, id := range ids {
		if int(id) >= len(scores) || r.seen[id] == r.call {
			continue
		}
		r.seen[id] = r.call
		if v := scores[id]; v < 0 {
			scores[id] = v * r.penalty
		} else {
			scores[id] = v / r.penalty
		}
	}
}

// banNGrams makes every token impossible that would repeat, after the last n-1
// tokens of ids, an n-gram of source.
func banNGrams(scores []float32, source, ids []int32, n int) {
	if len(ids) < n-1 || len(source) < n {
		return
	}
	tail := ids[len(ids)-(n-1):]
	for i := 0; i+n <= len(source); i++ {
		if slices.Equal(source[i:i+n-1], tail) {
			if next := int(source[i+n-1]); next < len(scores) {
				scores[next] = negInf
			}
		}
	}
}

// bias adds to the scores of tokens and of the ends of sequences of tokens.
type bias struct {
	single []float32
	longer []Bias
	sum    []float32
}

func newBias(key string, biases []Bias, vocab int) (*bias, error) {
	b := &bias{single: make([]float32, vocab), sum: make([]float32, vocab)}
	seen := map[string]int{}
	for _, x := range biases {
		if len(x.IDs) == 0 {
			return nil, nn.InputError(key, "a sequence without ids")
		}
		for _, id := range x.IDs {
			if id < 0 || id >= vocab {
				return nil, nn.InputError(key, "%d, the vocabulary has %d tokens", id, vocab)
			}
		}
		name := fmt.Sprint(x.IDs)
		if len(x.IDs) == 1 {
			b.single[x.IDs[0]] = x.Value
		} else if at, again := seen[name]; again {
			b.longer[at] = x // of a sequence given twice the last counts
		} else {
			seen[name] = len(b.longer)
			b.longer = append(b.longer, x)
		}
	}
	return b, nil
}

func (b *bias) process(scores []float32, s *sequence) {
	copy(b.sum, b.single)
	for _, x := range b.longer {
		n := len(x.IDs) - 1
		if n <= len(s.ids) && endsWith(s.ids, x.IDs[:n]) {
			b.sum[x.IDs[n]] += x.Value
		}
	}
	for i, v := range b.sum {
		scores[i] += v
	}
}

func endsWith(ids []int32, tail []int) bool {
	ids = ids[len(ids)-len(tail):]
	for i, id := range tail {
		if int(ids[i]) != id {
			return false
		}
	}
	return true
}

// decay makes the end more likely with every token after start.
type decay struct {
	start  int
	factor float64
	eos    []int
}

func (d *decay) process(scores []float32, s *sequence) {
	n := len(s.ids) - d.start
	if n <= 0 {
		return
	}
	f := float32(math.Pow(d.factor, float64(n)) - 1)
	for _, id := range d.eos {
		if id < 0 || id >= len(scores) {
			continue
		}
		if v := scores[id]; v-v == 0 {
			scores[id] = v + float32(math.Abs(float64(v)))*f
		}
	}
}

// logSoftmax replaces scores by the logarithms of their probabilities.
func logSoftmax(scores []float32) {
	most := scores[0]
	for _, v := range scores {
		most = max(most, v)
	}
	sum := 0.0
	for _, v := range scores {
		sum += math.Exp(float64(v - most))
	}
	log := float32(math.Log(sum))
	for i, v := range scores {
		scores[i] = v - most - log
	}
}
