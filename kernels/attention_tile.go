package kernels

import (
	"math"
	"slices"
	"sync"

	"github.com/seed-512d3d71/weft/kernels/ref"
)

// attnRow is one implementation of attention's inner loops. The stubs of
// kernels/amd64 say what each does. A row without product is ref.
type attnRow struct {
	rows    int // of the tallest tile
	product func(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool)
	// keys and values are the products of few rows with keys and values in place.
	keys       func(h int, q *float32, ldq int, k *float32, ldk int, s *float32, lds, d, groups int)
	values     func(h int, a *float32, lda int, b *float32, ldb int, c *float32, ldc, k, panels int, add bool)
	packKeys   func(dst, k *float32, ldk, d, groups int)
	packValues func(dst *float32, ldd int, v *float32, ldv, keys, panels int)
	scores     func(s *float32, lds int, bias *float32, ldbias int, m *float32, rows, n, grow, pad int, scale float32)
	exp        func(s *float32, lds int, m, sum *float32, rows, n int)
	scale      func(x *float32, n int, f float32)
	finish     func(dst *float32, ldd int, acc *float32, ldacc int, sum *float32, rows, n int) bool
}

const (
	attnBlock = ref.AttentionBlock
	// attnRows is the most rows of a unit: with their running sums and a block
	// of keys and values they fit the L2.
	attnRows = 256
	// attnFew is the most rows for which keys and values are read in place, and
	// attnFewTile how many of them at a time.
	attnFew     = 8
	attnFewTile = 4
	// attnStep is a multiple of every row's tile height.
	attnStep = 12
	// attnStride is the row stride of a tile's scores: 33 lines, so that its rows
	// do not fall into the same sets of the L1.
	attnStride = attnBlock + 16
)

// attnUnit is the work on some queries of a sequence with one head of keys and
// values, and with all query heads that share it.
type attnUnit struct{ seq, kv, from, to int32 }

// attnTask is a call. A chunk is a run of units that ends before ends[chunk].
type attnTask struct {
	Attention
	units []attnUnit
	ends  []int32
}

var attnTasks = sync.Pool{New: func() any { return new(attnTask) }}

// plan splits the call into units and chunks.
func (t *attnTask) plan(threads int) {
	t.units, t.ends = t.units[:0], t.ends[:0]
	group := t.Heads / t.KVHeads
	most := max(attnStep, attnRows/group/attnStep*attnStep)
	work, longest, seqs := 0, 0, len(t.QOff)-1
	for s := range seqs {
		work += t.work(s, t.queries(s))
		longest = max(longest, t.queries(s))
	}
	if threads > 1 && work > splitWork {
		// Split queries too where heads and sequences do not give each thread four
		// units; packing keys for fewer than 24 queries would show.
		for most > 2*attnStep && seqs*t.KVHeads*((longest+most-1)/most) < 4*threads {
			most = max(2*attnStep, most/2/attnStep*attnStep)
		}
	}
	target := max(splitWork/4, work/(8*threads)) // a claim costs 0.1 µs
	if threads == 1 {
		target = work
	}
	sum := 0
	for s := range seqs {
		nq := t.queries(s)
		if nq == 0 {
			continue
		}
		parts := (nq + most - 1) / most
		step := (nq + parts - 1) / parts
		if parts > 1 {
			step = (step + attnStep - 1) / attnStep * attnStep
		}
		// The last queries see most keys if Causal: they go first.
		for from := (nq - 1) / step * step; from >= 0; from -= step {
			to := min(from+step, nq)
			for kv := range t.KVHeads {
				t.units = append(t.units, attnUnit{int32(s), int32(kv), int32(from), int32(to)})
				if sum += t.work(s, to-from) / t.KVHeads; sum >= target {
					t.ends = append(t.ends, int32(len(t.units)))
					sum = 0
				}
			}
		}
	}
	if n := int32(len(t.units)); n > 0 && (len(t.ends) == 0 || t.ends[len(t.ends)-1] < n) {
		t.ends = append(t.ends, n)
	}
}

// work is the number of multiply-adds of n queries of sequence s; packing is as
// much as a few more queries.
func (t *attnTask) work(s, n int) int {
	return (n*t.Heads + 4*t.KVHeads) * t.keys(s) * (t.D + t.DV)
}

// Do computes the units of a chunk.
func (t *attnTask) Do(chunk int) {
	from := int32(0)
	if chunk > 0 {
		from = t.ends[chunk-1]
	}
	row := &attentionF32.active
	if row.product == nil {
		for _, u := range t.units[from:t.ends[chunk]] {
			t.unitRef(u)
		}
		return
	}
	sc := attnScratches.Get().(*attnScratch)
	for _, u := range t.units[from:t.ends[chunk]] {
		c := attnCall{Attention: &t.Attention, row: row, attnScratch: sc}
		c.unit(u)
	}
	attnScratches.Put(sc)
}

func (t *attnTask) unitRef(u attnUnit) {
	group := t.Heads / t.KVHeads
	for g := range group {
		for i := u.from; i < u.to; i++ {
			t.rowRef(int(u.seq), int(i), int(u.kv)*group+g)
		}
	}
}

// attnScratch is what a thread needs beside its operands.
type attnScratch struct {
	slab   []float32
	k      []float32 // panels of 16 keys: D by 16
	v      []float32 // panels of 16 columns: attnBlock by 16
	scores []float32 // of a tile
	acc    []float32 // a row's running output, dv wide
	sum    []float32 // 32 lanes a row
	m      []float32 // the largest score yet
	begun  []bool    // a tile, by its first row
	dv     int       // DV rounded up to whole panels
	fix    [2][32]float32
}

var attnScratches = sync.Pool{New: func() any { return new(attnScratch) }}

// size cuts the slab up for rows queries over keys keys.
func (sc *attnScratch) size(a *Attention, rows, keys int) {
	sc.dv = (a.DV + panelWidth - 1) / panelWidth * panelWidth
	cut := [...]struct {
		to *[]float32
		n  int
	}{
		{&sc.k, (min(keys, attnBlock) + panelWidth - 1) / panelWidth * panelWidth * a.D},
		{&sc.v, attnBlock * sc.dv},
		{&sc.scores, attnStep * attnStride},
		{&sc.acc, rows * sc.dv},
		{&sc.sum, rows * 32},
		{&sc.m, rows},
	}
	sc.begun = append(sc.begun[:0], make([]bool, rows)...)
	total := 0
	for i := range cut {
		total += (cut[i].n + 31) / 32 * 32
	}
	if total > len(sc.slab) {
		sc.slab = make([]float32, total)
	}
	at := 0
	for i := range cut {
		*cut[i].to = sc.slab[at : at+cut[i].n]
		at += (cut[i].n + 31) / 32 * 32
	}
}

// attnCall is the work on one unit. Its rows are the queries of each head of
// the group, or, if there is one query, the heads.
type attnCall struct {
	*Attention
	*attnScratch
	row *attnRow

	seq, kv       int
	query0, head0 int
	single        bool // the rows are heads
	heads, rows   int  // heads of rows rows
	most          int  // rows of a tile
	ldq, ldd, ldb int  // from row to row

	from, to                   int  // keys of the block that some row sees
	keysInPlace, valuesInPlace bool // how the block is read
}

// place returns the query and the head of row r of head g.
func (c *attnCall) place(g, r int) (query, head int) {
	if c.single {
		return c.query0, c.head0 + r
	}
	return c.query0 + r, c.head0 + g
}

// unit computes u: block by block of keys, tile by tile of rows.
func (c *attnCall) unit(u attnUnit) {
	group := c.Heads / c.KVHeads
	c.seq, c.kv, c.query0, c.head0 = int(u.seq), int(u.kv), int(u.from), int(u.kv)*group
	c.heads, c.rows, c.ldq, c.ldd, c.ldb = group, int(u.to-u.from), c.LDQ, c.LDD, c.BiasRow
	if c.single = c.rows == 1; c.single {
		c.heads, c.rows, c.ldq, c.ldd, c.ldb = 1, group, c.HeadQ, c.HeadD, c.BiasHead
	}
	lo, _ := c.visible(c.seq, int(u.from))
	_, hi := c.visible(c.seq, int(u.to)-1)
	c.size(c.Attention, c.heads*c.rows, hi)
	c.most = c.row.rows
	few := c.heads*c.rows <= attnFew
	if few {
		c.most = attnFewTile
	}
	for b := lo / attnBlock * attnBlock; b < hi; b += attnBlock {
		c.from, c.to = max(lo-b, 0)&^31, min(attnBlock, hi-b)
		c.keysInPlace = few && c.D%4 == 0 && c.inRuns(b)
		c.valuesInPlace = few && c.DV%panelWidth == 0
		if !c.keysInPlace {
			c.keyPanels(b)
		}
		if !c.valuesInPlace {
			c.valuePanels(b)
		}
		c.tiles(func(g, r, h int) { c.tile(g, r, h, b) })
	}
	c.tiles(c.end)
}

// tiles calls f for every tile: rows r … r+h-1 of head g.
func (c *attnCall) tiles(f func(g, r, h int)) {
	for g := range c.heads {
		left := (c.rows + c.most - 1) / c.most
		for r := 0; r < c.rows; left-- {
			h := (c.rows - r + left - 1) / left
			f(g, r, h)
			r += h
		}
	}
}

// readable8 reports whether 8 keys from where k points can be read, be they
// keys of this sequence or not.
func (c *attnCall) readable8(k int) bool { return k+7*c.LDK+c.D <= len(c.K) }

// inRuns reports whether keyProduct can read the block's keys in place.
func (c *attnCall) inRuns(b int) bool {
	for j := c.from; j < c.to; {
		k, _, run := c.key(c.seq, b+j, c.kv)
		if run = min(run, c.to-j); run < 8 && !c.readable8(k) {
			return false
		}
		j += run
	}
	return true
}

// keyPanels transposes the block's keys into panels.
func (c *attnCall) keyPanels(b int) {
	for j := c.from; j < c.to; {
		at, _, run := c.key(c.seq, b+j, c.kv)
		run = min(run, c.to-j)
		panel := c.k[j/panelWidth*panelWidth*c.D:]
		lane := j % panelWidth
		if run >= 8 && lane%8 == 0 && c.D >= 8 {
			groups := run / 8
			if lane == 8 {
				groups = 1
			}
			c.row.packKeys(&panel[lane], &c.K[at], c.LDK, c.D, groups)
			j += 8 * groups
			continue
		}
		for p, x := range c.K[at : at+c.D] {
			panel[p*panelWidth+lane] = x
		}
		j++
	}
}

// valuePanels copies the block's values into panels.
func (c *attnCall) valuePanels(b int) {
	const ld = attnBlock * panelWidth
	whole := c.DV / panelWidth
	for j := c.from; j < c.to; {
		_, at, run := c.key(c.seq, b+j, c.kv)
		run = min(run, c.to-j)
		if whole > 0 {
			c.row.packValues(&c.v[j*panelWidth], ld, &c.V[at], c.LDV, run, whole)
		}
		if w := c.DV % panelWidth; w > 0 {
			for i := range run {
				copy(c.v[whole*ld+(j+i)*panelWidth:][:w], c.V[at+i*c.LDV+whole*panelWidth:])
			}
		}
		j += run
	}
}

// tile takes rows r … r+h-1 of head g through the block that begins at key b.
// Keys are counted from there.
func (c *attnCall) tile(g, r, h, b int) {
	query, head := c.place(g, r)
	lastQuery, _ := c.place(g, r+h-1)
	lo, _ := c.visible(c.seq, query)
	_, hi := c.visible(c.seq, lastQuery)
	from, to := max(lo-b, 0)&^31, min(hi-b, c.to)
	if from >= to {
		return
	}
	n := (to - from + 31) &^ 31 // of whole groups of lanes

	row := g*c.rows + r
	m, sum, acc := c.m[row:row+h], c.sum[row*32:(row+h)*32], c.acc[row*c.dv:(row+h)*c.dv]
	begun := c.begun[row]
	if !begun {
		c.begun[row] = true
		for i := range m {
			m[i] = -math.MaxFloat32
		}
		clear(sum)
	}
	before := c.fix[0][:h]
	copy(before, m)

	s, q := &c.scores[from], &c.Q[c.query(c.seq, query, head)]
	if c.keysInPlace {
		c.keyProduct(h, q, b)
	} else {
		panel := from / panelWidth
		c.row.product(h, q, c.ldq, &c.k[panel*panelWidth*c.D], panelWidth*c.D,
			s, attnStride, c.D, (to+panelWidth-1)/panelWidth-panel, false)
	}
	c.mask(g, r, m, b, from, to, n)
	if begun {
		c.correct(before, m, sum, acc)
	}
	c.row.exp(s, attnStride, &m[0], &sum[0], h, n)
	if c.valuesInPlace {
		c.valueProduct(h, acc, b, from, to, begun)
	} else {
		c.row.product(h, s, attnStride, &c.v[from*panelWidth], attnBlock*panelWidth,
			&acc[0], c.dv, to-from, c.dv/panelWidth, begun)
	}
}

// mask turns the products of the rows from r on with the keys from … from+n-1
// into scores, -Inf where a row does not see a key, and raises m.
func (c *attnCall) mask(g, r int, m []float32, b, from, to, n int) {
	query, head := c.place(g, r)
	lastQuery, _ := c.place(g, r+len(m)-1)
	_, hi := c.visible(c.seq, query)
	lastLo, lastHi := c.visible(c.seq, lastQuery)
	sees := min(hi-b, to) - from // keys of the first row, if its first is from
	more := lastHi - hi          // keys that the last row sees besides
	switch {
	case lastLo <= b && sees == to-from: // all rows see the same
		c.row.scores(&c.scores[from], attnStride, c.biasOf(query, head, b+from), c.ldb, &m[0], len(m), sees, 0, n-sees, c.Scale)
	case lastLo <= b && sees >= 0 && more == len(m)-1 && sees+more == to-from: // each one more
		c.row.scores(&c.scores[from], attnStride, c.biasOf(query, head, b+from), c.ldb, &m[0], len(m), sees, 1, n-sees, c.Scale)
	default:
		for i := range m {
			query, head := c.place(g, r+i)
			lo, hi := c.visible(c.seq, query)
			lo = min(max(lo-b-from, 0), to-from)
			hi = max(min(hi-b, to)-from, lo)
			row := c.scores[i*attnStride+from:]
			for j := range lo {
				row[j] = negInf
			}
			c.row.scores(&row[lo], attnStride, c.biasOf(query, head, b+from+lo), 0, &m[i], 1, hi-lo, 0, n-hi, c.Scale)
		}
	}
}

// keyProduct multiplies h rows from q on by the block's keys in place, also by
// those that these rows do not see, 8 at a time. What it writes behind a run of
// keys the next run or the mask replaces.
func (c *attnCall) keyProduct(h int, q *float32, b int) {
	for j := c.from; j < c.to; {
		k, _, run := c.key(c.seq, b+j, c.kv)
		run = min(run, c.to-j)
		if n := run / 8; n > 0 {
			c.row.keys(h, q, c.ldq, &c.K[k], c.LDK, &c.scores[j], attnStride, c.D, n)
		}
		if rest := run % 8; rest > 0 {
			at := run - rest
			if !c.readable8(k + at*c.LDK) {
				at = run - 8 // at the end of K: again with those before
			}
			c.row.keys(h, q, c.ldq, &c.K[k+at*c.LDK], c.LDK, &c.scores[j+at], attnStride, c.D, 1)
		}
		j += run
	}
}

// valueProduct adds h rows of weights times the values b+from … b+to-1 in place
// to acc.
func (c *attnCall) valueProduct(h int, acc []float32, b, from, to int, add bool) {
	for j := from; j < to; {
		_, v, run := c.key(c.seq, b+j, c.kv)
		run = min(run, to-j)
		c.row.values(h, &c.scores[j], attnStride, &c.V[v], c.LDV, &acc[0], c.dv, run, c.dv/panelWidth, add)
		j, add = j+run, true
	}
}

// biasOf points at the bias of a row from key j on.
func (c *attnCall) biasOf(query, head, j int) *float32 {
	if c.Bias == nil || j >= c.keys(c.seq) {
		return nil
	}
	return &c.Bias[c.biasAt(c.seq, query, head)+j]
}

// correct multiplies the sums and outputs of rows whose maximum has grown by
// exp(before - m).
func (c *attnCall) correct(before, m, sum, acc []float32) {
	if slices.Equal(before, m) {
		return
	}
	f, rest := &c.fix[0], &c.fix[1]
	for i := range f {
		if i < len(m) {
			f[i] = before[i] - m[i]
		} else {
			f[i] = negInf
		}
	}
	c.row.exp(&f[0], 0, &zero, &rest[0], 1, len(f))
	for i, x := range f[:len(m)] {
		if x != 1 {
			c.row.scale(&acc[i*c.dv], c.dv, x)
			c.row.scale(&sum[i*32], 32, x)
		}
	}
}

var zero float32

// end divides the outputs of a tile by their sums. A NaN may come from a masked
// key's value: 0·NaN is NaN. The definition skips such keys, so it decides.
func (c *attnCall) end(g, r, h int) {
	query, head := c.place(g, r)
	row := g*c.rows + r
	if !c.begun[row] {
		for i := range h {
			clear(c.Dst[c.output(c.seq, query, head)+i*c.ldd:][:c.DV])
		}
		return
	}
	dst := c.Dst[c.output(c.seq, query, head):]
	if !c.row.finish(&dst[0], c.ldd, &c.acc[row*c.dv], c.dv, &c.sum[row*32], h, c.DV) {
		return
	}
	for i := range h {
		if hasNaN(dst[i*c.ldd:][:c.DV]) {
			query, head := c.place(g, r+i)
			c.rowRef(c.seq, query, head)
		}
	}
}
