package generate

import (
	"context"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
)

// Generator writes with one model and one set of settings.
type Generator struct {
	Model  nn.Generator
	Config Config
	// Tokenizer is needed for StopStrings and for Token.Text; else it may be nil.
	Tokenizer *text.Tokenizer
	// LogProbs asks for Result.LogProbs and Token.LogProb.
	LogProbs bool
}

// Result is what was generated.
type Result struct {
	// Sequences are the ids, prompt and padding included, NumReturnSequences a
	// prompt, brought to one length with padding on the right.
	Sequences [][]int
	// Lengths are the lengths without the padding on the right.
	Lengths []int
	Prompt  int // tokens of the prompt, padding included
	// Scores are the beams' scores; nil without beams.
	Scores []float32
	// LogProbs are the logarithms of the probabilities that the model gave each
	// new token, before any setting changed them; nil if not asked for and with
	// beams.
	LogProbs [][]float32
}

// Token is one new token of a stream.
type Token struct {
	Sequence int // as in Result.Sequences
	ID       int
	// Text is what the token adds to its sequence's text. It is empty while the
	// text ends within a character, and without a tokenizer.
	Text    string
	LogProb float32
	Last    bool // its sequence ends here
}

// Generate writes until every sequence has ended. in holds the prompts:
// input_ids and attention_mask [B, T] of a decoder; what the encoder reads, and
// decoder_input_ids if not only the start token, of an encoder-decoder model.
//
// When ctx is done Generate returns what it has, with ctx's error.
func (g *Generator) Generate(ctx context.Context, in nn.Inputs) (*Result, error) {
	s, err := g.start(in)
	if err != nil {
		return nil, err
	}
	if g.Config.NumBeams > 1 {
		return s.beams(ctx)
	}
	err = s.sample(ctx, nil)
	return s.result(), err
}

// Stream writes like Generate and yields each token as it comes; those of a
// beam search come when it ends. An error ends the stream.
func (g *Generator) Stream(ctx context.Context, in nn.Inputs) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		s, err := g.start(in)
		if err == nil && g.Config.NumBeams > 1 {
			err = s.streamBeams(ctx, yield)
		} else if err == nil {
			err = s.sample(ctx, yield)
		}
		if err != nil && err != errStopped {
			yield(Token{}, err)
		}
	}
}

// maxRoom bounds the tokens for which memory is asked ahead.
const maxRoom = 2048

// sequence is one sequence under way.
type sequence struct {
	index int     // in the result
	row   int     // of the prompts
	pad   int     // padding on the left
	ids   []int32 // padding and prompt included
	text  streamText
	probs []float32
	rng   *rand.Rand
	done  bool
}

// search is one call.
type search struct {
	*Generator
	info       nn.DecoderInfo
	decoder    nn.Decoder
	prompt     nn.Prompt
	ids        [][]int32 // of the prompts, padding included
	pads       []int
	start      int // length of ids
	maxLength  int
	deadline   time.Time
	pad        int
	processors []processor
	sequences  []*sequence
}

// start checks a call and prepares it.
func (g *Generator) start(in nn.Inputs) (*search, error) {
	c := &g.Config
	if err := c.Check(); err != nil {
		return nil, err
	}
	s := &search{Generator: g, info: g.Model.DecoderInfo(), pad: c.PadTokenID}
	if s.decoder = g.Model.NewDecoder(); s.decoder == nil {
		return nil, nn.Unsupported("generation with this class")
	}
	if s.pad < 0 && len(c.EOSTokenID) > 0 {
		s.pad = c.EOSTokenID[0]
	}
	if len(c.StopStrings) > 0 && g.Tokenizer == nil {
		return nil, nn.InputError("stop_strings", "the model's directory has no tokenizer")
	}
	var encoder [][]int32
	var err error
	if s.info.Encoder {
		encoder, err = s.encoderPrompts(in)
	} else {
		err = s.prompts(in)
		encoder = s.ids
	}
	if err != nil {
		return nil, err
	}
	if err := s.limits(); err != nil {
		return nil, err
	}
	if s.processors, err = c.processors(s.info.VocabSize, s.start, s.maxLength, encoder); err != nil {
		return nil, err
	}
	if c.MaxTime > 0 {
		s.deadline = time.Now().Add(c.MaxTime)
	}
	// What is missing is added as sequences grow.
	s.prompt.Room = min(len(s.ids)*max(c.NumBeams, c.NumReturnSequences)*(s.maxLength+nn.CachePage), maxRoom)
	return s, nil
}

// prompts takes the input of a decoder and strips its padding.
func (s *search) prompts(in nn.Inputs) error {
	if in.Has("inputs_embeds") || in.Has("position_ids") || in.Has("token_type_ids") {
		return nn.Unsupported("generation from inputs_embeds, position_ids or token_type_ids")
	}
	if err := in.Known("input_ids", "attention_mask"); err != nil {
		return err
	}
	b, t, err := s.takeIDs(in, "input_ids")
	if err != nil {
		return err
	}
	mask, err := in.Mask("attention_mask", b, t)
	if err != nil {
		return err
	}
	given := mask != nil
	if !given {
		mask = s.maskOfPadding()
	}
	s.pads = make([]int, b)
	for i, ids := range s.ids {
		if mask == nil {
			s.prompt.IDs = append(s.prompt.IDs, ids)
			continue
		}
		visible := mask[i*t : (i+1)*t]
		s.pads[i] = max(0, slices.Index(visible, 1))
		var kept []int32
		for j, id := range ids {
			if visible[j] != 0 {
				kept = append(kept, id)
			}
		}
		if len(kept) == 0 {
			return nn.InputError("attention_mask", "prompt %d is empty", i)
		}
		if visible[t-1] == 0 {
			return nn.InputError("attention_mask", "prompt %d is padded on the right; a decoder wants padding on the left", i)
		}
		s.prompt.IDs = append(s.prompt.IDs, kept)
	}
	return nil
}

// takeIDs reads the prompts' ids [B, T].
func (s *search) takeIDs(in nn.Inputs, name string) (b, t int, err error) {
	ids, err := in.IDs(name, s.info.VocabSize, -1, -1)
	if err != nil {
		return 0, 0, err
	}
	b, t = in[name].Dim(0), in[name].Dim(1)
	if b == 0 || t == 0 {
		return 0, 0, nn.InputError(name, "shape %v: an empty prompt", in[name].Shape())
	}
	s.start = t
	for i := range b {
		s.ids = append(s.ids, ids[i*t:(i+1)*t:(i+1)*t])
	}
	return b, t, nil
}

// maskOfPadding hides the padding tokens in prompts that came without a mask,
// if they cannot be taken for ends; nil if there are none.
func (s *search) maskOfPadding() []int64 {
	if s.pad < 0 || slices.Contains(s.Config.EOSTokenID, s.pad) {
		return nil
	}
	found := false
	mask := make([]int64, 0, len(s.ids)*s.start)
	for _, ids := range s.ids {
		for _, id := range ids {
			if int(id) == s.pad {
				mask, found = append(mask, 0), true
			} else {
				mask = append(mask, 1)
			}
		}
	}
	if !found {
		return nil
	}
	return mask
}

// encoderPrompts takes the input of an encoder-decoder model and returns the
// ids that the encoder reads, if it reads ids.
func (s *search) encoderPrompts(in nn.Inputs) ([][]int32, error) {
	main, ok := in[s.info.Input]
	if !ok || main.Rank() == 0 {
		return nil, nn.InputError(s.info.Input, "missing")
	}
	s.prompt.Inputs = nn.Inputs{}
	for k, v := range in {
		if k != "decoder_input_ids" {
			s.prompt.Inputs[k] = v
		}
	}
	b := main.Dim(0)
	start := s.Config.DecoderStartTokenID
	if start < 0 {
		start = s.Config.BOSTokenID
	}
	if start < 0 || start >= s.info.VocabSize {
		return nil, nn.InputError("decoder_start_token_id", "%d, want 0 … %d", start, s.info.VocabSize-1)
	}
	if in.Has("decoder_input_ids") {
		if n, _, err := s.takeIDs(in, "decoder_input_ids"); err != nil {
			return nil, err
		} else if n != b {
			return nil, nn.InputError("decoder_input_ids", "%d rows, want %d", n, b)
		}
		begun := slices.ContainsFunc(s.ids, func(ids []int32) bool { return int(ids[0]) == start })
		if !begun {
			for i, ids := range s.ids {
				s.ids[i] = append([]int32{int32(start)}, ids...)
			}
			s.start++
		}
	} else {
		s.start = 1
		for range b {
			s.ids = append(s.ids, []int32{int32(start)})
		}
	}
	s.prompt.IDs, s.pads = s.ids, make([]int, b)
	if main.DType() != tensor.I64 || main.Rank() != 2 {
		return nil, nil
	}
	var encoder [][]int32
	n := main.Dim(1)
	for i := range b {
		ids := make([]int32, n)
		for j := range ids {
			ids[j] = int32(main.I64()[i*n+j])
		}
		encoder = append(encoder, ids)
	}
	return encoder, nil
}

// limits sets maxLength as Hugging Face does, and checks it.
func (s *search) limits() error {
	c := &s.Config
	key := "max_length"
	switch {
	case c.MaxNewTokens >= 0:
		key, s.maxLength = "max_new_tokens", s.start+c.MaxNewTokens
	case c.MaxLength >= 0:
		s.maxLength = c.MaxLength
	default: // 20 new tokens
		s.maxLength = s.start + 20
		if limit := s.info.MaxPositions; limit > 0 {
			s.maxLength = min(s.maxLength, limit)
		}
	}
	longest := 0
	for _, ids := range s.prompt.IDs {
		longest = max(longest, len(ids))
	}
	limit := s.info.MaxPositions
	if limit > 0 && longest > limit {
		return nn.InputError("input_ids", "a prompt of %d tokens; the model has %d positions", longest, limit)
	}
	if s.start >= s.maxLength {
		return nn.InputError(key, "%d, and the prompt has %d tokens already", s.maxLength, s.start)
	}
	// The last token is not fed back, so it needs no position.
	if need := longest + s.maxLength - s.start - 1; limit > 0 && need > limit {
		return nn.InputError(key, "%d new tokens after a prompt of %d need %d positions; the model has %d",
			s.maxLength-s.start, longest, need, limit)
	}
	return nil
}

var errStopped = fmt.Errorf("generate: the caller has stopped")

// sample is greedy search and sampling. yield, if not nil, is given each token.
func (s *search) sample(ctx context.Context, yield func(Token, error) bool) error {
	s.begin()
	logits, err := s.decoder.Prefill(ctx, s.prompt)
	if err != nil {
		return err
	}
	active := make([]*sequence, len(s.sequences))
	copy(active, s.sequences)
	from := make([]int32, len(active)) // the decoder's sequence of each
	for i, q := range active {
		from[i] = int32(q.row)
	}
	if len(active) != len(s.prompt.IDs) {
		s.decoder.Reorder(from)
	}
	next := make([]int32, 0, len(active))
	for first := true; ; first = false {
		next = next[:0]
		for i, q := range active {
			row := i
			if first {
				row = q.row // several sequences begin with one prompt
			}
			scores := logits.F32()[row*logits.LD():][:logits.Cols()]
			if first && len(active) != len(s.prompt.IDs) {
				scores = slices.Clone(scores)
			}
			id := s.choose(q, scores)
			next = append(next, int32(id))
		}
		for i, q := range active {
			q.ids = append(q.ids, next[i])
			s.ends(q)
			if yield != nil && !yield(s.token(q), nil) {
				return errStopped
			}
		}
		if s.finished(active) {
			return nil
		}
		// Sequences that have ended leave the batch.
		if len(s.Config.EOSTokenID) > 0 {
			n := 0
			from = from[:0]
			for i, q := range active {
				if !q.done {
					active[n], next[n] = q, next[i]
					from = append(from, int32(i))
					n++
				}
			}
			if n < len(active) {
				active, next = active[:n], next[:n]
				s.decoder.Reorder(from)
			}
		}
		if logits, err = s.decoder.Step(ctx, next); err != nil {
			return err
		}
	}
}

// begin makes the sequences: num_return_sequences a prompt.
func (s *search) begin() {
	room := s.start + min(s.maxLength-s.start, 1<<12)
	for row, ids := range s.ids {
		for range s.Config.NumReturnSequences {
			q := &sequence{index: len(s.sequences), row: row, pad: s.pads[row], ids: append(make([]int32, 0, room), ids...)}
			if s.Config.DoSample {
				q.rng = rand.New(rand.NewPCG(s.Config.Seed, uint64(q.index)))
			}
			if s.LogProbs {
				q.probs = make([]float32, 0, room-s.start)
			}
			s.sequences = append(s.sequences, q)
		}
	}
}

// choose picks the token that follows q. It changes scores.
func (s *search) choose(q *sequence, scores []float32) int {
	var chosen float64
	if s.LogProbs {
		chosen = logSumExp(scores)
	}
	raw := scores
	if s.LogProbs && len(s.processors) > 0 {
		raw = slices.Clone(scores)
	}
	for _, p := range s.processors {
		p.process(scores, q)
	}
	id := 0
	if s.Config.DoSample {
		id = draw(q.rng, scores)
	} else {
		for i, v := range scores {
			if v > scores[id] {
				id = i
			}
		}
	}
	if s.LogProbs {
		q.probs = append(q.probs, float32(float64(raw[id])-chosen))
	}
	return id
}

// logSumExp returns log Σ e^score.
func logSumExp(scores []float32) float64 {
	most, sum := slices.Max(scores), 0.0
	for _, v := range scores {
		sum += math.Exp(float64(v - most))
	}
	return float64(most) + math.Log(sum)
}

// draw picks a token with the probabilities that scores stand for.
func draw(rng *rand.Rand, scores []float32) int {
	most, sum := slices.Max(scores), 0.0
	for _, v := range scores {
		sum += math.Exp(float64(v) - float64(most))
	}
	u, at, last := rng.Float64()*sum, 0.0, 0
	for i, v := range scores {
		if p := math.Exp(float64(v) - float64(most)); p > 0 {
			last = i
			if at += p; at > u {
				return i
			}
		}
	}
	return last
}

// ends says whether q, which has just grown, has ended.
func (s *search) ends(q *sequence) {
	if q.done {
		return
	}
	q.done = s.isEnd(q.ids)
}

// isEnd reports whether a sequence ends with its last token.
func (s *search) isEnd(ids []int32) bool {
	return len(ids) >= s.maxLength || slices.Contains(s.Config.EOSTokenID, int(ids[len(ids)-1])) ||
		len(s.Config.StopStrings) > 0 && s.stopString(ids) ||
		!s.deadline.IsZero() && time.Now().After(s.deadline)
}

func (s *search) finished(active []*sequence) bool {
	for _, q := range active {
		if !q.done {
			return false
		}
	}
	return true
}

func (s *search) token(q *sequence) Token {
	t := Token{Sequence: q.index, ID: int(q.ids[len(q.ids)-1]), Last: q.done}
	if s.Tokenizer != nil {
		t.Text = q.text.next(s.Tokenizer, q.ids, q.done)
	}
	if s.LogProbs {
		t.LogProb = q.probs[len(q.probs)-1]
	}
	return t
}

// result pads the sequences to one length.
func (s *search) result() *Result {
	r := &Result{Prompt: s.start}
	for _, q := range s.sequences {
		r.add(q.ids)
		if s.LogProbs {
			r.LogProbs = append(r.LogProbs, q.probs)
		}
	}
	r.fill(max(s.pad, 0))
	return r
}

func (r *Result) add(ids []int32) {
	out := make([]int, len(ids))
	for i, id := range ids {
		out[i] = int(id)
	}
	r.Sequences, r.Lengths = append(r.Sequences, out), append(r.Lengths, len(out))
}

// fill brings the sequences to one length.
func (r *Result) fill(pad int) {
	longest := 0
	for _, n := range r.Lengths {
		longest = max(longest, n)
	}
	for i, ids := range r.Sequences {
		for len(ids) < longest {
			ids = append(ids, pad)
		}
		r.Sequences[i] = ids
	}
}
