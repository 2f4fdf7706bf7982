package text

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// bpe merges neighbouring symbols in the order that the merges were learnt in
// (Sennrich et al. 2016).
type bpe struct {
	vocab          *vocabulary
	merges         map[uint64]merged // by the ids of the two symbols
	unk            string
	hasUnk         bool
	prefix, suffix string // of a symbol within a word, and of its last
	fuseUnk        bool
	byteFallback   bool
	ignoreMerges   bool
	bytes          [256]int
	cache          wordCache
}

type merged struct{ rank, id uint32 }

func pairKey(a, b uint32) uint64 { return uint64(a)<<32 | uint64(b) }

func parseBPE(r *fieldReader) (model, error) {
	m := &bpe{
		unk: r.strOr("unk_token", ""), hasUnk: r.o.has("unk_token"),
		prefix: r.strOr("continuing_subword_prefix", ""), suffix: r.strOr("end_of_word_suffix", ""),
		fuseUnk: r.boolOr("fuse_unk", false), byteFallback: r.boolOr("byte_fallback", false), ignoreMerges: r.boolOr("ignore_merges", false),
	}
	if d := fieldOr(r, "dropout", 0, value.float); d != 0 && r.err == nil {
		return nil, r.o.get("dropout").errorf("%w: dropout %g makes the result random", ErrUnsupported, d)
	}
	m.vocab = field(r, "vocab", parseVocabulary)
	list := field(r, "merges", func(v value) (value, error) { return v, nil })
	if r.err != nil {
		return nil, r.err
	}
	var merges [][2]string
	err := list.each(func(_ int, e value) error {
		if e.isList() {
			var pair []string
			err := e.each(func(_ int, e value) error {
				s, err := e.str()
				pair = append(pair, s)
				return err
			})
			if err == nil && len(pair) != 2 {
				err = e.errorf("want two strings")
			}
			if err == nil {
				merges = append(merges, [2]string(pair))
			}
			return err
		}
		line, err := e.str()
		if err != nil || strings.HasPrefix(line, "#version") {
			return err
		}
		a, b, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(b, " ") {
			return e.errorf("want two symbols with one space between, not %q", line)
		}
		merges = append(merges, [2]string{a, b})
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := m.prepare(merges); err != nil {
		return nil, list.errorf("%w", err)
	}
	return m, nil
}

// prepare indexes the merges.
func (m *bpe) prepare(merges [][2]string) error {
	m.merges = make(map[uint64]merged, len(merges))
	var buf []byte
	for rank, pair := range merges {
		a, okA := m.vocab.ids[pair[0]]
		b, okB := m.vocab.ids[pair[1]]
		switch {
		case !okA:
			return fmt.Errorf("merge %d: %q is not in the vocabulary", rank, pair[0])
		case !okB:
			return fmt.Errorf("merge %d: %q is not in the vocabulary", rank, pair[1])
		case len(pair[1]) < len(m.prefix):
			return fmt.Errorf("merge %d: %q is shorter than continuing_subword_prefix", rank, pair[1])
		}
		buf = append(append(buf[:0], pair[0]...), pair[1][len(m.prefix):]...)
		id, ok := m.vocab.ids[string(buf)]
		if !ok {
			return fmt.Errorf("merge %d: %q is not in the vocabulary", rank, buf)
		}
		m.merges[pairKey(uint32(a), uint32(b))] = merged{uint32(rank), uint32(id)}
	}
	m.bytes = bytesTokens(m.vocab)
	return nil
}

func (m *bpe) vocabulary() *vocabulary { return m.vocab }

// wordCache remembers the tokens of words: text repeats itself.
type wordCache struct {
	mu    sync.RWMutex
	words map[string][]token
}

const (
	maxCached     = 1 << 14 // words
	maxCachedWord = 64      // bytes
)

func (c *wordCache) get(s string) ([]token, bool) {
	if len(s) > maxCachedWord {
		return nil, false
	}
	c.mu.RLock()
	t, ok := c.words[s]
	c.mu.RUnlock()
	return t, ok
}

func (c *wordCache) put(s string, t []token) {
	if len(s) > maxCachedWord {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.words == nil {
		c.words = map[string][]token{}
	}
	if len(c.words) >= maxCached {
		return
	}
	// The copies let go of the text that s is a part of.
	s, t = strings.Clone(s), slices.Clone(t)
	for i, k := range t {
		if k.end <= len(s) && k.text == s[k.start:k.end] {
			t[i].text = s[k.start:k.end]
		}
	}
	c.words[s] = t
}

func (m *bpe) tokenize(s string, dst []token) ([]token, error) {
	if m.ignoreMerges {
		if id, ok := m.vocab.ids[s]; ok {
			return append(dst, token{id, m.vocab.tokens[id], 0, len(s)}), nil
		}
	}
	if t, ok := m.cache.get(s); ok {
		return append(dst, t...), nil
	}
	w, err := m.symbols(s)
	if err != nil {
		return dst, err
	}
	m.merge(w)
	base, pos := len(dst), 0
	for _, sym := range w {
		if sym.size != 0 {
			dst = append(dst, token{int(sym.id), m.vocab.tokens[int(sym.id)], pos, pos + int(sym.size)})
			pos += int(sym.size)
		}
	}
	m.cache.put(s, dst[base:])
	return dst, nil
}

// symbol is a node of a word's doubly linked list; size 0 marks one that was
// merged into the symbol before it.
type symbol struct {
	id         uint32
	prev, next int32 // -1 at the ends
	size       int32 // bytes
}

// symbols splits a word into its characters.
func (m *bpe) symbols(s string) ([]symbol, error) {
	w := make([]symbol, 0, len(s))
	add := func(id, size int) {
		n := int32(len(w))
		if n > 0 {
			w[n-1].next = n
		}
		w = append(w, symbol{uint32(id), n - 1, -1, int32(size)})
	}
	unkID, unkSize := 0, 0
	flush := func() {
		if unkSize > 0 {
			add(unkID, unkSize)
			unkSize = 0
		}
	}
	var buf []byte
	for i := 0; i < len(s); {
		_, size := utf8.DecodeRuneInString(s[i:])
		buf = buf[:0]
		if i > 0 {
			buf = append(buf, m.prefix...)
		}
		buf = append(buf, s[i:i+size]...)
		if i += size; i == len(s) {
			buf = append(buf, m.suffix...)
		}
		if id, ok := m.vocab.ids[string(buf)]; ok {
			flush()
			add(id, size)
			continue
		}
		if m.byteFallback {
			all := true
			for _, b := range buf {
				all = all && m.bytes[b] >= 0
			}
			if all {
				// An unknown before this stays pending, and so moves behind the bytes: as in the library.
				for _, b := range buf {
					add(m.bytes[b], 1)
				}
				continue
			}
		}
		if !m.hasUnk {
			continue
		}
		id, ok := m.vocab.ids[m.unk]
		if !ok {
			return nil, errNoUnknown
		}
		if !m.fuseUnk {
			flush()
		}
		unkID = id
		unkSize += size
	}
	flush()
	return w, nil
}

// candidate is a merge that may be due.
type candidate struct {
	rank, pos, id uint32
}

func (a candidate) before(b candidate) bool {
	return a.rank < b.rank || a.rank == b.rank && a.pos < b.pos
}

// candidates is a binary heap, best first.
type candidates []candidate

func (h *candidates) push(c candidate) {
	q := append(*h, c)
	i := len(q) - 1
	for i > 0 {
		p := (i - 1) / 2
		if !q[i].before(q[p]) {
			break
		}
		q[i], q[p] = q[p], q[i]
		i = p
	}
	*h = q
}

func (h *candidates) pop() candidate {
	q := *h
	top := q[0]
	n := len(q) - 1
	q[0] = q[n]
	q = q[:n]
	for i := 0; ; {
		k := 2*i + 1
		if k >= n {
			break
		}
		if k+1 < n && q[k+1].before(q[k]) {
			k++
		}
		if !q[k].before(q[i]) {
			break
		}
		q[i], q[k] = q[k], q[i]
		i = k
	}
	*h = q
	return top
}

// merge does all merges of a word in order of rank, then of place.
func (m *bpe) merge(w []symbol) {
	var h candidates
	consider := func(pos int32) {
		if pos < 0 || w[pos].next < 0 {
			return
		}
		if c, ok := m.merges[pairKey(w[pos].id, w[w[pos].next].id)]; ok {
			h.push(candidate{c.rank, uint32(pos), c.id})
		}
	}
	for i := range w {
		consider(int32(i))
	}
	for len(h) > 0 {
		top := h.pop()
		left := &w[top.pos]
		if left.size == 0 || left.next < 0 {
			continue
		}
		right := &w[left.next]
		if c, ok := m.merges[pairKey(left.id, right.id)]; !ok || c.id != top.id {
			continue // the neighbours have changed since
		}
		left.id = top.id
		left.size += right.size
		right.size = 0
		left.next = right.next
		if left.next >= 0 {
			w[left.next].prev = int32(top.pos)
		}
		consider(left.prev)
		consider(int32(top.pos))
	}
}
