package nn

import (
	"fmt"
	"slices"

	"github.com/seed-512d3d71/weft/tensor"
)

// CachePage is the number of tokens of a [Cache]'s page.
const CachePage = 32

// Pages is a backend's memory for a [Cache]: pages of CachePage rows, each row
// a key and a value for every layer.
type Pages interface {
	// Grow makes room for so many pages, keeping what the present ones hold.
	Grow(pages int)
	// Copy copies a page.
	Copy(dst, src int32)
}

// Cache holds the keys and values of a batch of sequences in pages that belong
// to one sequence or are shared by several, as PagedAttention does (Kwon et al.
// 2023, arXiv:2309.06180): a sequence grows without moving, and beams that
// start alike share their start. A shared page is copied when a sequence
// writes to it. In a steady state nothing is allocated on the Go heap.
type Cache struct {
	pages Pages
	refs  []int32 // how many sequences use a page
	free  []int32

	n      int     // sequences
	rows   []int32 // of each sequence
	table  []int32 // page j of sequence s at s*stride+j
	stride int
	// The rows that the last Extend made, as attention wants them.
	qOff, kOff, positions, last, ones []int32
	slots                             []int32 // page*CachePage + row within it

	nextRows, nextTable []int32 // of Reorder
}

// NewCache returns a cache without sequences for a decoder with so many
// layers, whose keys and values are keyCols and valueCols floats a token (all
// heads together).
func NewCache(b Backend, layers, keyCols, valueCols int) *Cache {
	return &Cache{pages: b.Pages(layers, keyCols, valueCols)}
}

// Reset leaves n empty sequences. room tokens in all are given memory at once.
func (c *Cache) Reset(n, room int) {
	c.n, c.stride = n, max(c.stride, 1)
	c.rows = resize(c.rows, n)
	c.table = resize(c.table, n*c.stride)
	clear(c.rows)
	c.free = c.free[:0]
	for i := range c.refs {
		c.refs[i] = 0
		c.free = append(c.free, int32(len(c.refs)-1-i))
	}
	c.reserve((room + CachePage - 1) / CachePage)
}

// reserve makes room for so many pages in all.
func (c *Cache) reserve(pages int) {
	have := len(c.refs)
	if pages <= have {
		return
	}
	c.pages.Grow(pages)
	c.refs = append(c.refs, make([]int32, pages-have)...)
	for i := pages - 1; i >= have; i-- {
		c.free = append(c.free, int32(i))
	}
}

// Sequences returns the number of sequences.
func (c *Cache) Sequences() int { return c.n }

// Rows returns the number of tokens of sequence s.
func (c *Cache) Rows(s int) int { return int(c.rows[s]) }

// Extend makes room for n(s) more tokens of each sequence s. Until the next call
// [Pass.Append] fills exactly these rows, layer by layer.
func (c *Cache) Extend(n func(s int) int) {
	c.qOff, c.kOff, c.positions = append(c.qOff[:0], 0), append(c.kOff[:0], 0), c.positions[:0]
	c.slots = c.slots[:0]
	for s := range c.n {
		from := int(c.rows[s])
		to := from + n(s)
		c.grow(s, from, to)
		c.rows[s] = int32(to)
		c.qOff = append(c.qOff, c.qOff[s]+int32(to-from))
		c.kOff = append(c.kOff, c.kOff[s]+int32(to))
		for i := from; i < to; i++ {
			c.positions = append(c.positions, int32(i))
			c.slots = append(c.slots, c.table[s*c.stride+i/CachePage]*CachePage+int32(i%CachePage))
		}
	}
}

// grow gives sequence s pages of its own for its rows from … to-1.
func (c *Cache) grow(s, from, to int) {
	if want := (to + CachePage - 1) / CachePage; want > c.stride {
		c.widen(max(want, 2*c.stride))
	}
	pages := c.table[s*c.stride:][:c.stride]
	if last := from / CachePage; to > from && from%CachePage > 0 && c.refs[pages[last]] > 1 {
		shared := pages[last]
		pages[last] = c.take()
		c.pages.Copy(pages[last], shared)
		c.refs[shared]--
	}
	for j := (from + CachePage - 1) / CachePage; j*CachePage < to; j++ {
		pages[j] = c.take()
	}
}

// take returns a page that no sequence uses.
func (c *Cache) take() int32 {
	if len(c.free) == 0 {
		c.reserve(max(4, 2*len(c.refs)))
	}
	page := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	c.refs[page] = 1
	return page
}

// widen makes room for stride pages a sequence in the table.
func (c *Cache) widen(stride int) {
	table := make([]int32, c.n*stride)
	for s := range c.n {
		copy(table[s*stride:], c.table[s*c.stride:(s+1)*c.stride])
	}
	c.table, c.stride = table, stride
}

// Reorder makes sequence i what sequence from[i] was; len(from) sequences are
// left.
func (c *Cache) Reorder(from []int32) {
	c.nextRows = resize(c.nextRows, len(from))
	c.nextTable = resize(c.nextTable, len(from)*c.stride)
	for i, s := range from {
		c.nextRows[i] = c.rows[s]
		used := c.pagesOf(int(s))
		copy(c.nextTable[i*c.stride:], used)
		for _, page := range used {
			c.refs[page]++
		}
	}
	for s := range c.n {
		for _, page := range c.pagesOf(s) {
			c.drop(page)
		}
	}
	c.rows, c.nextRows = c.nextRows, c.rows
	c.table, c.nextTable = c.nextTable, c.table
	c.n = len(from)
}

// Cut leaves the first rows tokens of every sequence.
func (c *Cache) Cut(rows int) {
	rows = max(rows, 0)
	for s := range c.n {
		used := c.pagesOf(s)
		if int(c.rows[s]) <= rows {
			continue
		}
		c.rows[s] = int32(rows)
		for _, page := range used[len(c.pagesOf(s)):] {
			c.drop(page)
		}
	}
}

// drop ends one sequence's use of a page.
func (c *Cache) drop(page int32) {
	if c.refs[page]--; c.refs[page] == 0 {
		c.free = append(c.free, page)
	}
}

// Fill makes the cache hold past: keys and values, [B, heads, T, D] each, of
// every layer in turn.
func (c *Cache) Fill(p Pass, past []tensor.Tensor) error {
	if len(past) == 0 || len(past)%2 != 0 {
		return InputError("past_key_values", "%d tensors, want two a layer", len(past))
	}
	want := past[0].Shape()
	for i, x := range past {
		if x.DType() != tensor.F32 || len(want) != 4 {
			return InputError("past_key_values", "element %d: %v, want F32[B heads T D]", i, x)
		}
		if err := tensor.CheckShape("past_key_values", x.Shape(), want); err != nil {
			return fmt.Errorf("%w: %w", ErrInput, err)
		}
	}
	b, heads, t, d := want[0], want[1], want[2], want[3]
	c.Reset(b, b*t)
	c.Extend(func(int) int { return t })
	for i := 0; i < len(past); i += 2 {
		mark := p.Mark()
		var rows [2]tensor.Tensor
		for j := range rows {
			from, to := past[i+j].F32(), make([]float32, b*t*heads*d)
			for n := range b * heads * t {
				s, h, row := n/(heads*t), n/t%heads, n%t
				copy(to[((s*t+row)*heads+h)*d:][:d], from[n*d:])
			}
			rows[j] = p.Floats(to, b*t, heads*d)
		}
		p.Append(c, i/2, rows[0], rows[1])
		p.Release(mark)
	}
	return p.Err()
}

func (c *Cache) pagesOf(s int) []int32 {
	return c.table[s*c.stride:][:(int(c.rows[s])+CachePage-1)/CachePage]
}

// Positions returns the position of each row that the last Extend made, counted
// from 0 within its sequence.
func (c *Cache) Positions() []int32 { return c.positions }

// Args returns attention arguments with which the rows that the last Extend
// made attend to all rows of their sequences, each to itself and what came
// before.
func (c *Cache) Args() AttentionArgs {
	return AttentionArgs{QOff: c.qOff, KOff: c.kOff, Causal: true, Cache: c}
}

// LastRows returns, of the rows that the last Extend made, the last of each
// sequence.
func (c *Cache) LastRows() []int32 {
	c.last = c.last[:0]
	for _, end := range c.qOff[1:] {
		c.last = append(c.last, end-1)
	}
	return c.last
}

// OneEach returns the offsets of one query a sequence.
func (c *Cache) OneEach() []int32 {
	c.ones = c.ones[:0]
	for s := range c.n + 1 {
		c.ones = append(c.ones, int32(s))
	}
	return c.ones
}

// CrossArgs returns attention arguments with which queries with the offsets
// qOff, one group a sequence, attend to all rows of the sequences: the cache
// holds an encoder's output.
func (c *Cache) CrossArgs(qOff []int32) AttentionArgs {
	c.kOff = append(c.kOff[:0], 0)
	for s, rows := range c.rows[:c.n] {
		c.kOff = append(c.kOff, c.kOff[s]+rows)
	}
	return AttentionArgs{QOff: qOff, KOff: c.kOff, Cache: c}
}

// resize returns x with n elements, of which the first keep their values.
func resize(x []int32, n int) []int32 { return slices.Grow(x, max(0, n-len(x)))[:n] }

// cpuPages is one slab: page p of layer l has its keys at
// ((p*layers+l)*CachePage)*(keyCols+valueCols), its values behind them.
type cpuPages struct {
	data                       []float32
	layers, keyCols, valueCols int
}

// page returns the floats of a page.
func (m *cpuPages) page() int { return m.layers * CachePage * (m.keyCols + m.valueCols) }

// at returns where the keys and values of a layer begin in page 0.
func (m *cpuPages) at(layer int) (k, v int) {
	k = layer * CachePage * (m.keyCols + m.valueCols)
	return k, k + CachePage*m.keyCols
}

func (m *cpuPages) Grow(pages int) {
	data := make([]float32, pages*m.page())
	copy(data, m.data)
	m.data = data
}

func (m *cpuPages) Copy(dst, src int32) {
	n := m.page()
	copy(m.data[int(dst)*n:][:n], m.data[int(src)*n:])
}
