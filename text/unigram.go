package text

import (
	"math"
	"unicode/utf8"
)

// unigram takes the segmentation with the greatest sum of scores (Kudo 2018).
type unigram struct {
	vocab        *vocabulary
	scores       []float64
	trie         trie
	minScore     float64
	unkID        int // -1 for none
	byteFallback bool
	bytes        [256]int
	cache        wordCache
}

// unkPenalty is how far below the least score an unknown character counts.
const unkPenalty = 10

func parseUnigram(r *fieldReader) (model, error) {
	m := &unigram{
		unkID: fieldOr(r, "unk_id", -1, value.integer), byteFallback: r.boolOr("byte_fallback", false),
		minScore: math.Inf(1),
	}
	list := field(r, "vocab", func(v value) (value, error) { return v, nil })
	if r.err != nil {
		return nil, r.err
	}
	m.vocab = newVocabulary(len(list.raw) / 24)
	err := list.each(func(id int, e value) error {
		var piece string
		var score float64
		n := 0
		err := e.each(func(i int, e value) (err error) {
			switch n++; i {
			case 0:
				piece, err = e.str()
			case 1:
				score, err = e.float()
			}
			return err
		})
		if err != nil {
			return err
		}
		if n != 2 {
			return e.errorf("want a piece and its score")
		}
		m.vocab.set(piece, id)
		m.scores = append(m.scores, score)
		m.minScore = min(m.minScore, score)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if m.unkID >= len(m.scores) {
		return nil, r.o.get("unk_id").errorf("%d is not in the vocabulary of %d", m.unkID, len(m.scores))
	}
	for piece, id := range m.vocab.ids { // of equal pieces the last
		m.trie.insert(piece, id)
	}
	m.bytes = bytesTokens(m.vocab)
	return m, nil
}

func (m *unigram) vocabulary() *vocabulary { return m.vocab }

// viterbiNode is the best way to reach a position.
type viterbiNode struct {
	score float64
	start int32 // of the piece that ends here; -1 if none does
	id    int32
}

func (m *unigram) tokenize(s string, dst []token) ([]token, error) {
	if t, ok := m.cache.get(s); ok {
		return append(dst, t...), nil
	}
	base := len(dst)
	dst, err := m.segment(s, dst)
	if err == nil {
		m.cache.put(s, dst[base:])
	}
	return dst, err
}

// segment finds the best segmentation by Viterbi's algorithm.
func (m *unigram) segment(s string, dst []token) ([]token, error) {
	best := make([]viterbiNode, len(s)+1)
	for i := range best {
		best[i].start = -1
	}
	best[0].score = 0
	for at := 0; at < len(s); {
		here := best[at].score
		_, size := utf8.DecodeRuneInString(s[at:])
		single := false
		reach := func(end int, score float64, id int) {
			if n := &best[end]; n.start < 0 || score > n.score {
				*n = viterbiNode{score, int32(at), int32(id)}
			}
		}
		m.trie.prefixes(s[at:], func(n, id int) {
			reach(at+n, m.scores[id]+here, id)
			single = single || n == size
		})
		if !single {
			score := m.minScore - unkPenalty + here
			if n := best[at+size]; n.start < 0 || score > n.score {
				if m.unkID < 0 {
					return dst, errNoUnknown
				}
				reach(at+size, score, m.unkID)
			}
		}
		at += size
	}
	// Walk back; neighbouring unknowns become one token.
	base := len(dst)
	for end := len(s); end > 0; {
		n := best[end]
		start := int(n.start)
		if int(n.id) == m.unkID {
			for start > 0 && int(best[start].id) == m.unkID {
				start = int(best[start].start)
			}
		}
		dst = append(dst, token{start: start, end: end})
		end = start
	}
	pieces := dst[base:]
	for i, j := 0, len(pieces)-1; i < j; i, j = i+1, j-1 {
		pieces[i], pieces[j] = pieces[j], pieces[i]
	}
	return m.identify(s, dst, base)
}

// identify gives the pieces from base on their ids: a piece that is not in the
// vocabulary becomes bytes or the unknown token.
func (m *unigram) identify(s string, dst []token, base int) ([]token, error) {
	out := dst[:base]
	var tail []token // the pieces not yet read, once bytes have outgrown them
	pieces := dst[base:]
	for i := range pieces {
		t := pieces[i]
		text := s[t.start:t.end]
		if id, ok := m.vocab.ids[text]; ok {
			t.id, t.text = id, m.vocab.tokens[id]
		} else if m.byteFallback && m.allBytes(text) {
			if tail == nil {
				tail = append([]token(nil), pieces...)
				pieces = tail
			}
			for k := 0; k < len(text); k++ {
				out = append(out, token{m.bytes[text[k]], byteToken(text[k]), t.start, t.end})
			}
			continue
		} else if m.unkID < 0 {
			return out[:base], errNoUnknown
		} else {
			t.id, t.text = m.unkID, text
		}
		out = append(out, t)
	}
	return out, nil
}

func (m *unigram) allBytes(s string) bool {
	for i := 0; i < len(s); i++ {
		if m.bytes[s[i]] < 0 {
			return false
		}
	}
	return true
}
