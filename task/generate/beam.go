package generate

import (
	"context"
	"math"
	"slices"
)

// impossible is the score of a beam that does not count, as Hugging Face has
// it: low, but a number, so that beams without a better rival are kept.
const impossible = float32(-1e9)

// beam is a sequence and the sum of the logarithms of its probabilities.
type beam struct {
	sequence
	score    float32
	finished bool
}

// candidate is a running beam with one more token.
type candidate struct {
	from  int // the beam
	id    int32
	score float32
	ended bool
}

// beamSearch is the search for one prompt.
type beamSearch struct {
	row     int
	running []beam // best first; the first of the decoder's sequences is at
	at      int
	ends    []beam // the best finished ones, best first
	open    bool   // a better end is possible
}

// beams is beam search (Hugging Face's _beam_search): each step the best
// continuations of all beams of a prompt are found, the best that end are kept
// as results, the best that do not go on.
func (s *search) beams(ctx context.Context) (*Result, error) {
	n := s.Config.NumBeams
	var all []*beamSearch
	for row, ids := range s.ids {
		b := &beamSearch{row: row, open: true}
		for i := range n {
			q := beam{sequence: sequence{row: row, pad: s.pads[row], ids: slices.Clone(ids)}}
			b.ends = append(b.ends, beam{sequence: q.sequence, score: impossible})
			if i > 0 {
				q.score = impossible // of equal beams one counts
			}
			b.running = append(b.running, q)
		}
		all = append(all, b)
	}
	logits, err := s.decoder.Prefill(ctx, s.prompt)
	if err != nil {
		return s.beamResult(all), err
	}
	active := slices.Clone(all)
	var next, from []int32
	for first := true; ; first = false {
		next, from = next[:0], from[:0]
		kept := active[:0]
		for i, b := range active {
			scores := func(beam int) []float32 {
				row := b.at + beam
				if first {
					row = i
				}
				return logits.F32()[row*logits.LD():][:logits.Cols()]
			}
			top := s.continuations(b, scores, first)
			base := b.at
			chosen := s.advance(b, top)
			if b.done(s) {
				continue
			}
			kept = append(kept, b)
			b.at = len(next)
			for j, c := range chosen {
				next = append(next, b.running[j].ids[len(b.running[j].ids)-1])
				if first {
					from = append(from, int32(i))
				} else {
					from = append(from, int32(base+c.from))
				}
			}
		}
		if active = kept; len(active) == 0 {
			return s.beamResult(all), nil
		}
		s.decoder.Reorder(from)
		if logits, err = s.decoder.Step(ctx, next); err != nil {
			return s.beamResult(all), err
		}
	}
}

// continuations returns the best continuations of all beams of b, best first:
// so many that, whatever ends, num_beams of them go on.
func (s *search) continuations(b *beamSearch, scores func(beam int) []float32, first bool) []candidate {
	n := s.Config.NumBeams
	want := max(2, 1+len(s.Config.EOSTokenID)) * n
	top := make([]candidate, 0, want+1)
	var row []float32
	for i := range b.running {
		q := &b.running[i]
		if !first || i == 0 { // at first all beams are the same
			row = scores(i)
			logSoftmax(row)
			for _, p := range s.processors {
				p.process(row, &q.sequence)
			}
		}
		for id, v := range row {
			v += q.score
			if len(top) == want && !(v > top[want-1].score) {
				continue
			}
			at, _ := slices.BinarySearchFunc(top, v, func(c candidate, v float32) int {
				if c.score >= v {
					return -1
				}
				return 1
			})
			top = slices.Insert(top, at, candidate{from: i, id: int32(id), score: v})
			top = top[:min(len(top), want)]
		}
	}
	return top
}

// advance takes the best continuations: the best num_beams that go on become
// the running beams, and are returned, and ends better than the present ones
// replace them.
func (s *search) advance(b *beamSearch, top []candidate) []candidate {
	n := s.Config.NumBeams
	length := len(b.running[0].ids) + 1
	for i := range top {
		c := &top[i]
		c.ended = s.isEnd(append(b.running[c.from].ids, c.id))
	}
	grown := func(c candidate, score float32, finished bool) beam {
		q := b.running[c.from]
		q.ids = append(slices.Grow(slices.Clone(q.ids), 1), c.id)
		q.score, q.finished = score, finished
		return q
	}
	full := s.Config.EarlyStopping == StopWhenFull && !slices.ContainsFunc(b.ends, func(e beam) bool { return !e.finished })
	if b.open && !full {
		divisor := float32(math.Pow(float64(length-s.start), s.Config.LengthPenalty))
		for i, c := range top[:min(n, len(top))] {
			if !c.ended {
				continue
			}
			score := top[i].score / divisor
			at := slices.IndexFunc(b.ends, func(e beam) bool { return e.score < score })
			if at < 0 {
				continue
			}
			b.ends = slices.Insert(b.ends, at, grown(c, score, true))[:n]
		}
	}
	for i := range top {
		if top[i].ended {
			top[i].score += impossible
		}
	}
	slices.SortStableFunc(top, func(a, b candidate) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	chosen := top[:min(n, len(top))]
	running := make([]beam, len(chosen))
	for i, c := range chosen {
		running[i] = grown(c, c.score, false)
	}
	b.running = running
	b.open = b.open && s.canImprove(b, length)
	return chosen
}

// canImprove reports whether a running beam may still beat an end. length is
// that of the running beams.
func (s *search) canImprove(b *beamSearch, length int) bool {
	c := &s.Config
	best := length - s.start
	if c.EarlyStopping == StopNever && c.LengthPenalty > 0 {
		best = s.maxLength - s.start
	}
	possible := b.running[0].score / float32(math.Pow(float64(best), c.LengthPenalty))
	worst := b.ends[len(b.ends)-1].score
	for _, e := range b.ends {
		if !e.finished {
			worst = impossible
		}
	}
	return possible > worst
}

// done reports whether nothing can change any more.
func (b *beamSearch) done(s *search) bool {
	full := s.Config.EarlyStopping == StopWhenFull && !slices.ContainsFunc(b.ends, func(e beam) bool { return !e.finished })
	return !b.open || full || len(b.running[0].ids) >= s.maxLength ||
		!s.deadline.IsZero() && b.running[0].score <= impossible
}

// beamResult returns the best num_return_sequences of each prompt; of a search
// that was cut off, running ones where there are too few ends.
func (s *search) beamResult(all []*beamSearch) *Result {
	r := &Result{Prompt: s.start}
	for _, b := range all {
		best := slices.DeleteFunc(slices.Clone(b.ends), func(e beam) bool { return !e.finished })
		best = append(best, b.running...)
		for _, e := range best[:s.Config.NumReturnSequences] {
			r.add(e.ids)
			r.Scores = append(r.Scores, e.score)
		}
	}
	pad := -1
	if ends := s.Config.EOSTokenID; len(ends) > 0 {
		if pad = s.pad; pad <= 0 { // Hugging Face takes a 0 for none
			pad = ends[0]
		}
	}
	r.fill(pad)
	return r
}

// streamBeams yields the tokens of a beam search once it has ended.
func (s *search) streamBeams(ctx context.Context, yield func(Token, error) bool) error {
	r, err := s.beams(ctx)
	if r == nil {
		return err
	}
	for i, ids := range r.Sequences {
		q := sequence{index: i}
		for j := range r.Lengths[i] {
			q.ids = append(q.ids, int32(ids[j]))
			if j < s.start {
				continue
			}
			q.done = j == r.Lengths[i]-1
			if !yield(s.token(&q), nil) {
				return errStopped
			}
		}
	}
	return err
}
