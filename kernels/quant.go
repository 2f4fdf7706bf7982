package kernels

import (
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

// Scheme is a way to store a weight in fewer bits and to multiply by it.
type Scheme uint8

const (
	// Float32 is no quantization.
	Float32 Scheme = iota
	// W8A8: weights of 8 bits with a scale for each output, activations of 8 bits
	// with a scale and a zero point for each row, taken from the row itself; the
	// sums are exact.
	// No row's result depends on another row.
	W8A8
	// W8: weights of 8 bits with a scale for each output, activations of float32:
	// for products of few rows, which wait for memory.
	W8
	// W4 is W8 with 4 bits and a scale for each group of inputs of an output.
	W4
)

var schemeNames = [...]string{Float32: "none", W8A8: "w8a8", W8: "w8", W4: "w4"}

// String returns the name that ParseScheme takes.
func (s Scheme) String() string {
	if int(s) < len(schemeNames) {
		return schemeNames[s]
	}
	return "unknown"
}

// ParseScheme returns the scheme called name: none, w8a8, w8 or w4.
func ParseScheme(name string) (Scheme, error) {
	for s, n := range schemeNames {
		if n == name {
			return Scheme(s), nil
		}
	}
	return Float32, fmt.Errorf("quantization scheme %q is none of w8a8, w8, w4", name)
}

const (
	// quad is the number of elements of k that lie side by side in a panel of
	// bytes, one of nibbles has twice as many: a lane of 32 bits is one column.
	quad = 4
	// pairWidth is the columns of a pair of panels; matrices of W8A8 are filled
	// up to it.
	pairWidth = 2 * panelWidth
	// sideBySide is the number of panels of W8 and W4 whose lines lie side by
	// side; matrices are filled up to as many.
	sideBySide = 4
)

// QMatrix is a quantized weight [Rows, Cols] (out features, in features), in
// panels of 16 rows as [Matrix]. A panel is lines of 64 bytes, the bytes of 4
// adjacent columns of one row side by side, as dot products read them. A byte of
// W4 holds columns p and p+4 of 8, the first in its low half, and 8 more than
// each. With W8A8 a panel's lines follow each other; with W8 and W4 those of 4
// panels take turns, so that one row reads the weight from front to back.
type QMatrix struct {
	scheme Scheme
	n, k   int
	group  int // columns that share a scale; k but for W4
	step   int // bytes of a panel
	data   []int8
	scale  []float32 // [panel][group][16]
	sums   []int32   // of each row, for activations with a zero point
	narrow bool
}

// Rows returns the number of out features.
func (m *QMatrix) Rows() int { return m.n }

// Cols returns the number of in features.
func (m *QMatrix) Cols() int { return m.k }

// Scheme returns how the weight is stored.
func (m *QMatrix) Scheme() Scheme { return m.scheme }

// Bytes returns the memory the packed weight takes.
func (m *QMatrix) Bytes() int { return len(m.data) + 4*len(m.scale) + 4*len(m.sums) }

// Quantized is a stored weight [n, k] before it is packed: one part of a
// QMatrix.
type Quantized struct {
	// Q is n rows of k elements of 8 bits. Those of W4 are in [-8, 7].
	Q []int8
	// Scale is n rows of ceil(k/group) scales.
	Scale []float32
	N     int
}

// MaxQuantK bounds the columns of a quantized weight: a sum of more products
// of bytes could leave an int32.
const MaxQuantK = 1 << 16

// QuantizeRows quantizes n rows of k by ref.QuantizeS8.
func QuantizeRows(w []float32, n, k int) Quantized { return QuantizeGroups(w, n, k, max(k, 1), 8, nil) }

// QuantizeGroups quantizes n rows of k to 8 or 4 bits, with a scale for each
// group of a row; group divides k. Groups of zeros get the scale 1. second, if
// not nil, is the mean square of each of the k inputs: the scales then minimize
// the error of the product rather than use the range to its ends.
func QuantizeGroups(w []float32, n, k, group, bits int, second []float32) Quantized {
	q := Quantized{Q: make([]int8, n*k), Scale: make([]float32, n*(k/group)), N: n}
	task := &groupTask{q: q, w: w, second: second, k: k, group: group, bits: bits}
	var t *par.Team
	if n*k > 1<<18 {
		t = par.Enter(0)
		defer t.Leave()
	}
	task.rows = max(1, 1<<14/max(1, k))
	t.Run(task, (n+task.rows-1)/task.rows)
	return q
}

// groupTask is one QuantizeGroups; a chunk is some rows.
type groupTask struct {
	q              Quantized
	w, second      []float32
	k, group, bits int
	rows           int
}

func (g *groupTask) Do(chunk int) {
	per := g.k / g.group
	for i := chunk * g.rows; i < min((chunk+1)*g.rows, g.q.N); i++ {
		for at := range per {
			lo := i*g.k + at*g.group
			x, q := g.w[lo:lo+g.group], g.q.Q[lo:lo+g.group]
			var scale float32
			if g.bits == 4 {
				scale = ref.QuantizeS4(q, x)
			} else {
				scale = ref.QuantizeS8(q, x)
			}
			if g.second != nil {
				scale = refine(q, x, g.second[at*g.group:][:g.group], scale, g.bits)
			}
			if scale == 0 {
				scale = 1
			}
			g.q.Scale[i*per+at] = scale
		}
	}
}

// refine looks for a smaller scale, which clips the largest weights, with a
// smaller mean square error of the product: Σ second[p]·(x[p]-scale·q[p])².
func refine(q []int8, x, second []float32, scale float32, bits int) float32 {
	lo, hi := float64(-int(1)<<(bits-1)), float64(int(1)<<(bits-1)-1)
	cost := func(s float32) float64 {
		sum := 0.0
		for p, v := range x {
			r := min(max(math.RoundToEven(float64(v/s)), lo), hi)
			d := float64(v) - r*float64(s)
			sum += float64(second[p]) * d * d
		}
		return sum
	}
	if !(scale > 0) {
		return scale
	}
	best, least := scale, cost(scale)
	for i := 1; i <= 16; i++ {
		s := scale * (1 - float32(i)/32)
		if c := cost(s); c < least {
			best, least = s, c
		}
	}
	for p, v := range x {
		q[p] = int8(min(max(math.RoundToEven(float64(v/best)), lo), hi))
	}
	return best
}

// QuantizeF32 quantizes weights [ns[i], k], stacked as one product, by a
// scheme. group is for W4, and for W8 if it is not 0: a multiple of 8; the last
// of a row may be shorter. If transposed, there is one weight,
// k rows of n.
func QuantizeF32(s Scheme, ws [][]float32, ns []int, k, group int, transposed bool) *QMatrix {
	total := 0
	for _, n := range ns {
		total += n
	}
	m := newQMatrix(s, total, k, group)
	task := &quantPack{m: m}
	at := 0
	for i, w := range ws {
		p := packPart{at: at, n: ns[i], w: w, ld: k}
		if transposed {
			p.ld, p.transposed = ns[i], true
		}
		task.parts = append(task.parts, p)
		at += ns[i]
	}
	task.run()
	return m
}

// PackQuantized packs weights that are quantized already.
func PackQuantized(s Scheme, parts []Quantized, k, group int) *QMatrix {
	total := 0
	for _, p := range parts {
		total += p.N
	}
	m := newQMatrix(s, total, k, group)
	task := &quantPack{m: m}
	at := 0
	for i := range parts {
		task.parts = append(task.parts, packPart{at: at, n: parts[i].N, ld: k, q: &parts[i]})
		at += parts[i].N
	}
	task.run()
	return m
}

func newQMatrix(s Scheme, n, k, group int) *QMatrix {
	if k > MaxQuantK {
		panic("kernels: too many columns for a quantized weight")
	}
	m := &QMatrix{scheme: s, n: n, k: k, group: max(k, 1)}
	if s != W8A8 {
		if group > 0 {
			m.group = group
		}
		m.group = (m.group + 7) &^ 7 // the kernels change scales between lanes
	}
	panels := (n + pairWidth - 1) / pairWidth * 2
	if s != W8A8 {
		panels = (panels + sideBySide - 1) / sideBySide * sideBySide
	}
	m.step = units(k) * unitCols * panelWidth
	switch s {
	case W8A8:
		m.step = (k + quad - 1) / quad * quad * panelWidth
	case W4:
		m.step /= 2
	}
	m.data = newBytes(panels * m.step)
	m.scale = newWeights(panels * panelWidth * m.groups())
	if s == W8A8 {
		m.sums = make([]int32, panels*panelWidth)
	}
	return m
}

// groups is the number of scales of a row.
func (m *QMatrix) groups() int { return max(1, (m.k+m.group-1)/m.group) }

// quantPack quantizes and packs one QMatrix; a chunk is packChunk panels.
type quantPack struct {
	m     *QMatrix
	parts []packPart
}

// packPart is rows [at, at+n) of the matrix: floats or bytes.
type packPart struct {
	at, n, ld  int
	w          []float32
	transposed bool
	q          *Quantized
}

func (p *quantPack) run() {
	var t *par.Team
	if len(p.m.data) > 1<<18 {
		t = par.Enter(0)
		defer t.Leave()
	}
	t.Run(p, (p.m.n+packChunk*panelWidth-1)/(packChunk*panelWidth))
	p.m.narrow = p.m.isNarrow()
}

// Do packs one chunk, row by row.
func (p *quantPack) Do(chunk int) {
	m := p.m
	row, q, scale := make([]float32, m.k), make([]int8, m.k), make([]float32, m.groups())
	for i := chunk * packChunk * panelWidth; i < min((chunk+1)*packChunk*panelWidth, m.n); i++ {
		part := &p.parts[0]
		for next := 1; i >= part.at+part.n; next++ {
			part = &p.parts[next]
		}
		at := i - part.at
		switch {
		case part.q != nil:
			m.place(i, part.q.Q[at*m.k:][:m.k], part.q.Scale[at*m.groups():][:m.groups()])
			continue
		case part.transposed:
			for j := range row {
				row[j] = part.w[j*part.ld+at]
			}
		default:
			copy(row, part.w[at*part.ld:][:m.k])
		}
		m.quantize(q, scale, row)
		m.place(i, q, scale)
	}
}

// quantize quantizes a row by the matrix's scheme.
func (m *QMatrix) quantize(q []int8, scale, row []float32) {
	for g := range scale {
		lo, hi := g*m.group, min((g+1)*m.group, m.k)
		if m.scheme == W4 {
			scale[g] = ref.QuantizeS4(q[lo:hi], row[lo:hi])
		} else {
			scale[g] = ref.QuantizeS8(q[lo:hi], row[lo:hi])
		}
	}
}

// place stores row i.
func (m *QMatrix) place(i int, q []int8, scale []float32) {
	panel, lane := i/panelWidth, i%panelWidth
	if m.scheme == W4 {
		for p, v := range q {
			m.data[m.index(i, p)] |= (v + 8) << (p / 4 % 2 * 4)
		}
	} else {
		for p := 0; p < len(q); p += quad {
			copy(m.data[m.index(i, p):][:quad], q[p:])
		}
	}
	for g, s := range scale {
		m.scale[(panel*len(scale)+g)*panelWidth+lane] = s
	}
	if m.sums != nil {
		m.sums[i] = 0
		for _, v := range q {
			m.sums[i] += int32(v)
		}
	}
}

// isNarrow reports whether the sum of two adjacent products of weights of W8A8
// with unsigned bytes always fits in 16 bits, as it does if no weight leaves
// [-64, 64].
func (m *QMatrix) isNarrow() bool {
	const most = 32767 / 255
	if m.scheme != W8A8 {
		return false
	}
	for i := 0; i < len(m.data); i += 2 {
		a, b := int(m.data[i]), int(m.data[i+1])
		if max(a, 0)+max(b, 0) > most || min(a, 0)+min(b, 0) < -most {
			return false
		}
	}
	return true
}

// Dequantize returns the weight [n, k] as float32.
func (m *QMatrix) Dequantize() []float32 {
	w := make([]float32, m.n*m.k)
	for i := range m.n {
		for p := range m.k {
			w[i*m.k+p] = float32(m.at(i, p)) * m.scale[(i/panelWidth*m.groups()+p/m.group)*panelWidth+i%panelWidth]
		}
	}
	return w
}

// panel returns where a panel begins, and line how far apart its lines are.
func (m *QMatrix) panel(i int) int {
	if m.scheme == W8A8 {
		return i * m.step
	}
	return i/sideBySide*sideBySide*m.step + i%sideBySide*64
}

func (m *QMatrix) line() int {
	if m.scheme == W8A8 {
		return 64
	}
	return sideBySide * 64
}

// index returns where row i, column p is stored.
func (m *QMatrix) index(i, p int) int {
	line := p / quad
	if m.scheme == W4 {
		line /= 2
	}
	return m.panel(i/panelWidth) + line*m.line() + i%panelWidth*quad + p%quad
}

// at returns the stored element of row i, column p.
func (m *QMatrix) at(i, p int) int8 {
	v := m.data[m.index(i, p)]
	if m.scheme == W4 {
		return int8(uint8(v)>>(p/4%2*4)&15) - 8
	}
	return v
}

// quantFamilies are the products by quantized weights.
var quantFamilies = []anyFamily{&igemm, &igemmNarrow, &weight8, &weight4}
