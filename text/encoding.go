package text

import "fmt"

// NoWord is the WordIDs entry of a token that is not from the text.
const NoWord = -1

// Encoding is what a text became: parallel slices with one entry a token.
type Encoding struct {
	IDs               []int
	Tokens            []string
	Offsets           [][2]int // [start, end) in Unicode code points of the input; {0, 0} for special tokens
	TypeIDs           []int    // 0 for the first text, 1 for the second, or as the template says
	AttentionMask     []int    // 0 for padding
	SpecialTokensMask []int    // 1 for special tokens and padding
	WordIDs           []int    // which pre-tokenized word of its text; NoWord for special tokens and padding

	// Overflowing holds what truncation cut off, if EncodeOptions.Overflow asks
	// for it: windows that overlap by the stride, each finished like the Encoding
	// itself. Of two texts every window of one goes with every window of the other.
	Overflowing []Encoding
}

// Len returns the number of tokens.
func (e *Encoding) Len() int { return len(e.IDs) }

// grow makes room for n more tokens.
func (e *Encoding) grow(n int) {
	e.IDs = make([]int, 0, n)
	e.Tokens = make([]string, 0, n)
	e.Offsets = make([][2]int, 0, n)
	e.TypeIDs = make([]int, 0, n)
	e.AttentionMask = make([]int, 0, n)
	e.SpecialTokensMask = make([]int, 0, n)
	e.WordIDs = make([]int, 0, n)
}

func (e *Encoding) add(id int, token string, offsets [2]int, typeID, attention, special, word int) {
	e.IDs = append(e.IDs, id)
	e.Tokens = append(e.Tokens, token)
	e.Offsets = append(e.Offsets, offsets)
	e.TypeIDs = append(e.TypeIDs, typeID)
	e.AttentionMask = append(e.AttentionMask, attention)
	e.SpecialTokensMask = append(e.SpecialTokensMask, special)
	e.WordIDs = append(e.WordIDs, word)
}

// window copies the tokens [start, end).
func (e *Encoding) window(start, end int) Encoding {
	return Encoding{
		IDs:               append([]int{}, e.IDs[start:end]...),
		Tokens:            append([]string{}, e.Tokens[start:end]...),
		Offsets:           append([][2]int{}, e.Offsets[start:end]...),
		TypeIDs:           append([]int{}, e.TypeIDs[start:end]...),
		AttentionMask:     append([]int{}, e.AttentionMask[start:end]...),
		SpecialTokensMask: append([]int{}, e.SpecialTokensMask[start:end]...),
		WordIDs:           append([]int{}, e.WordIDs[start:end]...),
	}
}

// maxOverflow bounds the windows of two texts that were both cut.
const maxOverflow = 1 << 18

// append adds the tokens of other; every window that overflows here goes with
// every one there, and with other itself.
func (e *Encoding) append(other *Encoding) error {
	n, m := len(e.Overflowing), len(other.Overflowing)
	if n > 0 && m > 0 && n+1 > maxOverflow/(m+1) {
		return fmt.Errorf("text: %d by %d overflowing windows are more than %d", n, m, maxOverflow)
	}
	var over []Encoding
	join := func(a, b *Encoding) {
		w := a.window(0, a.Len())
		w.appendTokens(b)
		over = append(over, w)
	}
	for i := range e.Overflowing {
		join(&e.Overflowing[i], other)
		for j := range other.Overflowing {
			join(&e.Overflowing[i], &other.Overflowing[j])
		}
	}
	for j := range other.Overflowing {
		join(e, &other.Overflowing[j])
	}
	e.appendTokens(other)
	e.Overflowing = over
	return nil
}

func (e *Encoding) appendTokens(o *Encoding) {
	e.IDs = append(e.IDs, o.IDs...)
	e.Tokens = append(e.Tokens, o.Tokens...)
	e.Offsets = append(e.Offsets, o.Offsets...)
	e.TypeIDs = append(e.TypeIDs, o.TypeIDs...)
	e.AttentionMask = append(e.AttentionMask, o.AttentionMask...)
	e.SpecialTokensMask = append(e.SpecialTokensMask, o.SpecialTokensMask...)
	e.WordIDs = append(e.WordIDs, o.WordIDs...)
}

// direction is the end that truncation cuts or padding fills.
type direction uint8

const (
	right direction = iota
	left
)

func parseDirection(v value) (direction, error) {
	s, err := v.str()
	switch {
	case err != nil:
		return 0, err
	case s == "Right":
		return right, nil
	case s == "Left":
		return left, nil
	}
	return 0, v.errorf("unknown direction %q", s)
}

// truncate cuts e to n tokens; what is cut off becomes overflowing windows, if
// they are wanted.
func (e *Encoding) truncate(n int, t *truncation) error {
	stride := t.stride
	size := e.Len()
	if n >= size {
		return nil
	}
	if n == 0 {
		all := *e
		*e = Encoding{}
		if t.overflow {
			e.Overflowing = []Encoding{all}
		}
		return nil
	}
	if stride >= n {
		return fmt.Errorf("text: stride %d is not below the length %d that truncation leaves", stride, n)
	}
	var windows []Encoding
	step := n - stride
	if t.direction == right {
		for start := 0; ; start += step {
			end := min(start+n, size)
			if windows = append(windows, e.window(start, end)); end == size || !t.overflow {
				break
			}
		}
	} else {
		for end := size; ; end -= step {
			start := max(0, end-n)
			if windows = append(windows, e.window(start, end)); start == 0 || !t.overflow {
				break
			}
		}
	}
	*e = windows[0]
	e.Overflowing = windows[1:]
	return nil
}

// Truncation strategies: which of two texts gives way.
const (
	longestFirst = "LongestFirst"
	onlyFirst    = "OnlyFirst"
	onlySecond   = "OnlySecond"
)

type truncation struct {
	maxLength, stride int
	strategy          string
	direction         direction
	overflow          bool // keep what is cut off
}

func parseTruncation(v value) (*truncation, error) {
	r := read(v)
	t := &truncation{
		maxLength: r.int("max_length"), stride: r.int("stride"), strategy: r.str("strategy"),
		direction: fieldOr(r, "direction", right, parseDirection),
	}
	if r.err != nil {
		return nil, r.err
	}
	switch t.strategy {
	case longestFirst, onlyFirst, onlySecond:
		return t, nil
	}
	return nil, unsupported(r.o.get("strategy"), "truncation strategy", t.strategy)
}

// apply truncates a and, if it is not nil, b to limit tokens together.
func (t *truncation) apply(a, b *Encoding, limit int) error {
	if limit == 0 {
		err := a.truncate(0, t)
		if err == nil && b != nil {
			err = b.truncate(0, t)
		}
		return err
	}
	total := a.Len()
	if b != nil {
		total += b.Len()
	}
	excess := total - limit
	if excess <= 0 {
		return nil
	}
	if t.strategy == longestFirst {
		if b == nil {
			return a.truncate(limit, t)
		}
		// The shorter keeps its length while it is below half.
		n1, n2 := a.Len(), b.Len()
		swap := n1 > n2
		if swap {
			n1, n2 = n2, n1
		}
		if n1 > limit {
			n2 = n1
		} else {
			n2 = max(n1, limit-n1)
		}
		if n1+n2 > limit {
			n1 = limit / 2
			n2 = n1 + limit%2
		}
		if swap {
			n1, n2 = n2, n1
		}
		if err := a.truncate(n1, t); err != nil {
			return err
		}
		return b.truncate(n2, t)
	}
	target := a
	if t.strategy == onlySecond {
		if target = b; b == nil {
			return fmt.Errorf("text: truncation of the second text only, and there is none")
		}
	}
	if target.Len() <= excess {
		return fmt.Errorf("text: %s truncation: a text of %d tokens is too short to lose %d", t.strategy, target.Len(), excess)
	}
	return target.truncate(target.Len()-excess, t)
}

type padding struct {
	length     int // -1: the longest of the batch
	multiple   int // 0: any length
	id, typeID int
	token      string
	direction  direction
}

// maxPadded bounds the length that a file may ask texts to be padded to.
const maxPadded = 1 << 20

func parsePadding(v value) (*padding, error) {
	r := read(v)
	p := &padding{
		length:    field(r, "strategy", parsePadStrategy),
		direction: field(r, "direction", parseDirection),
		multiple:  r.intOr("pad_to_multiple_of", 0),
		id:        r.int("pad_id"), typeID: r.int("pad_type_id"), token: r.str("pad_token"),
	}
	if r.err == nil && (p.length > maxPadded || p.multiple > maxPadded) {
		return nil, v.errorf("more than %d tokens", maxPadded)
	}
	return p, r.err
}

func parsePadStrategy(v value) (int, error) {
	if v.isObject() {
		r := read(v)
		n := r.int("Fixed")
		return n, r.err
	}
	s, err := v.str()
	if err == nil && s != "BatchLongest" {
		err = unsupported(v, "padding strategy", s)
	}
	return -1, err
}

// target is the length to pad to, given the longest of the batch.
func (p *padding) target(longest int) int {
	n := longest
	if p.length >= 0 {
		n = p.length
	}
	if p.multiple > 0 && n%p.multiple > 0 {
		n += p.multiple - n%p.multiple
	}
	return n
}

// pad fills e and its overflowing windows up to n tokens.
func (p *padding) pad(e *Encoding, n int) {
	for i := range e.Overflowing {
		p.pad(&e.Overflowing[i], n)
	}
	size := n - e.Len()
	if size <= 0 {
		return
	}
	var fill Encoding
	fill.grow(n)
	for range size {
		fill.add(p.id, p.token, [2]int{}, p.typeID, 0, 1, NoWord)
	}
	if p.direction == right {
		e.appendTokens(&fill)
		return
	}
	over := e.Overflowing
	fill.appendTokens(e)
	*e = fill
	e.Overflowing = over
}
