package generate

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/seed-512d3d71/weft/nn"
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
// input_ids [B, T], or inputs_embeds [B, T, C], and attention_mask [B, T] of a
// decoder; what the encoder reads, and
// decoder_input_ids if not only the start token, of an encoder-decoder model.
//
// When ctx is done Generate returns what it has, with ctx's error.
func (g *Generator) Generate(ctx context.Context, in nn.Inputs) (*Result, error) {
	s, err := g.start(in)
	if err != nil {
		return nil, err
	}
	var r *Result
	if g.Config.NumBeams > 1 {
		r, err = s.beams(ctx)
	} else {
		err = s.sample(ctx, nil)
		r = s.result()
	}
	if err != nil && ctx.Err() == nil {
		return nil, err
	}
	return r, err
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
	given      int // length of a prompt of vectors, which ids do not hold
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
	settings := *c
	settings.MinLength = max(0, c.MinLength-s.given)
	if s.processors, err = settings.processors(s.info.VocabSize, s.start, s.maxLength, encoder); err != nil {
		return nil, err
	}
	if c.MaxTime > 0 {
		s.deadline = time.Now().Add(c.MaxTime)
	}
	// What is missing is added as sequences grow.
	s.prompt.Room = min(len(s.ids)*max(c.NumBeams, c.NumReturnSequences)*(s.maxLength+nn.CachePage), maxRoom)
	return s, nil
}

var errStopped = errors.New("generate: the caller has stopped")

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
	if len(active) != s.prompt.Sequences() {
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
			if first && len(active) != s.prompt.Sequences() {
				scores = slices.Clone(scores)
			}
			id := s.choose(q, scores)
			next = append(next, int32(id))
		}
		for i, q := range active {
			q.ids = append(q.ids, next[i])
			q.done = q.done || s.isEnd(q.ids)
			if yield != nil && !yield(s.token(q), nil) {
				return errStopped
			}
		}
		if !slices.ContainsFunc(active, func(q *sequence) bool { return !q.done }) {
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
	var raw []float32
	if s.LogProbs {
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
		q.probs = append(q.probs, float32(float64(raw[id])-logSumExp(raw)))
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

// isEnd reports whether a sequence ends with its last token.
func (s *search) isEnd(ids []int32) bool {
	return len(ids) >= s.maxLength || slices.Contains(s.Config.EOSTokenID, int(ids[len(ids)-1])) ||
		len(s.Config.StopStrings) > 0 && s.stopString(ids) ||
		!s.deadline.IsZero() && time.Now().After(s.deadline)
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
