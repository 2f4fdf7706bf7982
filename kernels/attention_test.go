package kernels

import (
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/seed-512d3d71/weft/internal/ktest"
)

// attnCase is a call whose operands lie between forbidden pages, and how its
// output looked before.
type attnCase struct {
	name string
	a    Attention
}

// offsets returns the offsets of sequences with the given lengths.
func offsets(lengths ...int) []int32 {
	off := make([]int32, len(lengths)+1)
	for i, n := range lengths {
		off[i+1] = off[i] + int32(n)
	}
	return off
}

// attnOperand makes an operand of rows rows and heads heads of d floats, as
// projections lay them out (layout 0), with room between rows and heads (1),
// or as [heads][rows][d] (2).
func attnOperand(tb testing.TB, r *rand.Rand, layout, rows, heads, d int) (x []float32, ld, head int) {
	ld, head = heads*d, d
	switch layout {
	case 1:
		head = d + r.IntN(5)
		ld = heads*head + r.IntN(7)
	case 2:
		ld = d
		head = rows * d
	}
	n := 0
	if rows > 0 {
		n = (rows-1)*ld + (heads-1)*head + d
	}
	x = ktest.Guard[float32](tb, n, ktest.Edges[r.IntN(2)])
	ktest.Fill(r, x)
	return x, ld, head
}

// randomAttention makes a random call.
func randomAttention(tb testing.TB, r *rand.Rand, most int) attnCase {
	length := func() int {
		switch r.IntN(8) {
		case 0:
			return 0
		case 1:
			return 1
		case 2:
			return r.IntN(most + 1)
		}
		return r.IntN(most/8 + 1)
	}
	var a Attention
	a.KVHeads = 1 + r.IntN(3)
	a.Heads = a.KVHeads * (1 + r.IntN(4))
	a.D, a.DV = 1+r.IntN(80), 1+r.IntN(80)
	if r.IntN(3) == 0 {
		a.D, a.DV = 4*(1+r.IntN(20)), 16*(1+r.IntN(6))
	}
	if r.IntN(3) == 0 {
		a.DV = a.D
	}
	if r.IntN(20) == 0 {
		a.D = 81 + r.IntN(200)
	}
	a.Scale = float32(math.Pow(2, 4*r.Float64()-4))
	if r.IntN(10) == 0 {
		a.Scale = -a.Scale
	}
	a.Causal = r.IntN(2) == 0
	if r.IntN(3) == 0 {
		a.Window = 1 + r.IntN(most)
	}
	var nq, nk []int
	// The reference takes about 5 ns a multiply-add.
	for work := 0; len(nq) < 3 && (len(nq) == 0 || r.IntN(3) > 0); {
		n := length()
		nk = append(nk, n)
		switch r.IntN(3) {
		case 0:
			nq = append(nq, length())
		case 1:
			nq = append(nq, n)
		default:
			nq = append(nq, min(n, 1+r.IntN(3)))
		}
		if work += nq[len(nq)-1] * n * a.Heads * (a.D + a.DV); work > 4e6 {
			nq, nk, work = nil, nil, 0
		}
	}
	a.QOff, a.KOff = offsets(nq...), offsets(nk...)
	seqs, rows, keys := len(nq), int(a.QOff[len(nq)]), int(a.KOff[len(nq)])
	a.Q, a.LDQ, a.HeadQ = attnOperand(tb, r, r.IntN(3), rows, a.Heads, a.D)
	a.Dst, a.LDD, a.HeadD = attnOperand(tb, r, r.IntN(3), rows, a.Heads, a.DV)
	if r.IntN(4) == 0 && keys > 0 {
		// Pages of the cache in random order.
		a.PageRows = 1 + r.IntN(40)
		for _, n := range nk {
			a.SeqPages = max(a.SeqPages, (n+a.PageRows-1)/a.PageRows)
		}
		pages := seqs * a.SeqPages // each sequence has as many; the last may be part full
		for _, p := range r.Perm(pages) {
			a.Pages = append(a.Pages, int32(p))
		}
		a.LDK, a.HeadK, a.PageK = a.D, a.PageRows*a.D, a.KVHeads*a.PageRows*a.D
		a.LDV, a.HeadV, a.PageV = a.KVHeads*a.DV, a.DV, a.KVHeads*a.PageRows*a.DV
		a.K, a.V = ktest.Guard[float32](tb, pages*a.PageK, ktest.Tail), ktest.Guard[float32](tb, pages*a.PageV, ktest.Tail)
		ktest.Fill(r, a.K)
		ktest.Fill(r, a.V)
	} else {
		a.K, a.LDK, a.HeadK = attnOperand(tb, r, r.IntN(3), keys, a.KVHeads, a.D)
		a.V, a.LDV, a.HeadV = attnOperand(tb, r, r.IntN(3), keys, a.KVHeads, a.DV)
	}
	if r.IntN(2) == 0 {
		wide, tall := 0, 0
		for s := range nk {
			wide, tall = max(wide, nk[s]), max(tall, nq[s])
		}
		if r.IntN(3) > 0 {
			a.BiasRow = wide + r.IntN(3)
		}
		if r.IntN(2) == 0 {
			a.BiasHead = tall*a.BiasRow + wide
		}
		if r.IntN(2) == 0 {
			a.BiasSeq = a.Heads*a.BiasHead + tall*a.BiasRow + wide
		}
		n := 0
		for s := range nq {
			if nq[s] > 0 && nk[s] > 0 {
				n = max(n, s*a.BiasSeq+(a.Heads-1)*a.BiasHead+(nq[s]-1)*a.BiasRow+nk[s])
			}
		}
		a.Bias = ktest.Guard[float32](tb, n, ktest.Edges[r.IntN(2)])
		ktest.Fill(r, a.Bias)
		masked := r.IntN(3)
		for i := range a.Bias {
			if masked > 0 && r.IntN(3) < masked {
				a.Bias[i] = negInf
			}
		}
	}
	return attnCase{fmt.Sprintf("heads=%d/%d d=%d dv=%d nq=%v nk=%v causal=%v window=%d bias=%v pages=%d scale=%g",
		a.Heads, a.KVHeads, a.D, a.DV, nq, nk, a.Causal, a.Window, a.Bias != nil, a.PageRows, a.Scale), a}
}

// attend computes a into a fresh output of the same shape and returns it.
func attend(tb testing.TB, isa string, t *Team, a Attention) []float32 {
	use(tb, isa)
	for i := range a.Dst {
		a.Dst[i] = 77
	}
	AttentionF32(t, &a)
	return append([]float32(nil), a.Dst...)
}

// use is Use for a test that runs every instruction set on one case.
func use(tb testing.TB, isa string) {
	tb.Helper()
	if missing(isa) != "" {
		tb.Fatal("no " + isa)
	}
	install(isa)
}

func attnISAs(tb testing.TB) []string {
	tb.Cleanup(func() { install(chosen.isa) })
	for _, s := range isas {
		if lacks := lacking(s.needs); lacks != "" {
			tb.Logf("not run: %s, the CPU lacks %s", s.name, lacks)
		}
	}
	return isasF32()
}

// sameOnAll compares every instruction set with the reference and returns its
// output.
func sameOnAll(tb testing.TB, label string, a Attention, threads int) []float32 {
	tb.Helper()
	want := attend(tb, ISARef, nil, a)
	for _, isa := range isasF32() {
		team := Enter(threads)
		got := attend(tb, isa, team, a)
		team.Leave()
		ktest.SameBits(tb, isa+" "+label, got, want)
	}
	return want
}

func TestAttentionF32SameBits(t *testing.T) {
	attnISAs(t)
	n := 200
	if testing.Short() {
		n = 60
	}
	r := ktest.Rand(1)
	for i := range n {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := randomAttention(t, r, 600)
			if i%5 == 0 {
				for _, x := range [][]float32{c.a.Q, c.a.K, c.a.V, c.a.Bias} {
					if r.IntN(3) == 0 {
						ktest.Sprinkle(r, x, 1+len(x)/(1+r.IntN(8)))
					}
				}
			}
			sameOnAll(t, c.name, c.a, 1+r.IntN(4))
		})
	}
}

// Every length of a head, and key counts around the panels and the block.
func TestAttentionF32Sizes(t *testing.T) {
	attnISAs(t)
	for d := 1; d <= 80; d++ {
		a := newAttention(1, 1, 1+d%13, 1+d*7%50, d)
		sameOnAll(t, fmt.Sprint("d=", d), *a, 1)
	}
	for _, nk := range []int{15, 16, 17, 31, 32, 33, attnBlock - 1, attnBlock, attnBlock + 1, 2*attnBlock + 9} {
		for _, nq := range []int{1, 5, 7, 11, 13, 25} {
			a := newAttention(2, 1, nq, nk, 8)
			a.Causal = nk%2 == 0
			sameOnAll(t, fmt.Sprintf("nq=%d nk=%d", nq, nk), *a, 1)
		}
	}
	a := newAttention(300, 1, 1, 40, 8) // one query: its heads are rows
	sameOnAll(t, "300 heads", *a, 1)
}

// oracle computes one row in float64 and bounds the error of float32: half an
// ULP for each step of the chains and for the weights.
func attnOracle(a *Attention, s, i, h int) (dst, bound []float64) {
	lo, hi := a.visible(s, i)
	q := a.Q[a.query(s, i, h):][:a.D]
	scores, wrong := make([]float64, hi), 0.0
	top := math.Inf(-1)
	for j := lo; j < hi; j++ {
		k, _, _ := a.key(s, j, h*a.KVHeads/a.Heads)
		x, abs := 0.0, 0.0
		for d, v := range q {
			x += float64(v) * float64(a.K[k+d])
			abs += math.Abs(float64(v) * float64(a.K[k+d]))
		}
		x *= float64(a.Scale)
		if a.Bias != nil {
			x += float64(a.Bias[a.biasAt(s, i, h)+j])
		}
		scores[j], top = x, max(top, x)
		if !math.IsInf(x, 0) {
			wrong = max(wrong, (float64(a.D+2)*abs*math.Abs(float64(a.Scale))+2*math.Abs(x))*0x1p-24)
		}
	}
	dst, bound = make([]float64, a.DV), make([]float64, a.DV)
	if hi <= lo || math.IsInf(top, -1) {
		return dst, bound
	}
	sum := 0.0
	for j := lo; j < hi; j++ {
		sum += math.Exp(scores[j] - top)
	}
	for j := lo; j < hi; j++ {
		_, v, _ := a.key(s, j, h*a.KVHeads/a.Heads)
		p := math.Exp(scores[j]-top) / sum
		for d := range dst {
			dst[d] += p * float64(a.V[v+d])
			bound[d] += math.Abs(p * float64(a.V[v+d]))
		}
	}
	for d := range bound {
		bound[d] = bound[d]*(4*wrong+float64(hi-lo+8)*0x1p-23) + 1e-30
	}
	return dst, bound
}

func TestAttentionF32Oracle(t *testing.T) {
	attnISAs(t)
	r := ktest.Rand(2)
	for range 60 {
		c := randomAttention(t, r, 600)
		c.a.defaults()
		attend(t, isasF32()[0], nil, c.a)
		for s := range len(c.a.QOff) - 1 {
			for i := range c.a.queries(s) {
				h := r.IntN(c.a.Heads)
				want, bound := attnOracle(&c.a, s, i, h)
				if !ktest.Near(t, c.name, c.a.Dst[c.a.output(s, i, h):][:c.a.DV], want, bound) {
					return
				}
			}
		}
	}
}

// A query gives the same bits alone with its keys from a cache as in a batch,
// and as within a causal pass over everything.
func TestAttentionF32Alone(t *testing.T) {
	attnISAs(t)
	const n, heads, d = attnBlock + 70, 2, 24
	for _, isa := range isasF32() {
		if isa == ISARef {
			continue
		}
		for _, window := range []int{0, 40} {
			a := newAttention(heads, heads, n, n, d)
			a.Causal, a.Window = true, window
			all := attend(t, isa, nil, *a)
			for _, step := range []int{1, 3, 17} {
				for i := step - 1; i < n; i += 61 {
					b := *a
					first := i - step + 1
					b.Q, b.Dst = a.Q[first*a.LDQ:], make([]float32, step*a.LDD)
					b.QOff, b.KOff = offsets(step), offsets(i+1)
					ktest.SameBits(t, fmt.Sprintf("%s: queries up to %d, %d at a time", isa, i, step),
						attend(t, isa, nil, b), all[first*a.LDD:(i+1)*a.LDD])
				}
			}
		}
		// Three sequences in a batch and alone.
		a := newAttention(heads, heads, 90, 90, d)
		a.QOff, a.KOff = offsets(40, 17, 33), offsets(40, 17, 33)
		all := attend(t, isa, nil, *a)
		for s := range 3 {
			b := *a
			from, to := int(a.QOff[s]), int(a.QOff[s+1])
			b.Q, b.K, b.V = a.Q[from*a.LDQ:], a.K[from*a.LDK:], a.V[from*a.LDV:]
			b.Dst = make([]float32, (to-from)*a.LDD)
			b.QOff, b.KOff = offsets(to-from), offsets(to-from)
			ktest.SameBits(t, fmt.Sprint(isa, ": sequence ", s), attend(t, isa, nil, b), all[from*a.LDD:to*a.LDD])
		}
	}
}

// Keys masked by a bias of -Inf add nothing, whatever stands there; every other
// NaN reaches the outputs that it is part of.
func TestAttentionF32NotNumbers(t *testing.T) {
	attnISAs(t)
	nan := float32(math.NaN())
	inf := float32(math.Inf(1))
	const nq, nk, d = 14, 45, 24
	for _, bad := range []float32{nan, inf, negInf} {
		a := newAttention(1, 1, nq, nk, d)
		a.Bias, a.BiasRow = make([]float32, nk), 0
		a.Bias[20] = negInf
		want := sameOnAll(t, "mask", *a, 1)
		for i := range d {
			a.K[20*a.LDK+i], a.V[20*a.LDV+i] = bad, bad
		}
		ktest.SameBits(t, "masked key", sameOnAll(t, "mask", *a, 1), want)
	}
	for name, spoil := range map[string]func(a *Attention){
		"q":     func(a *Attention) { a.Q[3*a.LDQ+5] = nan },
		"k":     func(a *Attention) { a.K[44*a.LDK+5] = nan },
		"v":     func(a *Attention) { a.V[44*a.LDV+5] = nan },
		"bias":  func(a *Attention) { a.Bias[44] = nan },
		"bias+": func(a *Attention) { a.Bias[44] = inf },
	} {
		a := newAttention(1, 1, nq, nk, d)
		a.Bias = make([]float32, nk)
		spoil(a)
		got := sameOnAll(t, name, *a, 1)
		for at, x := range got {
			row, col := at/a.LDD, at%a.LDD
			want := name != "q" && name != "v" || name == "q" && row == 3 || name == "v" && col == 5
			if (x != x) != want {
				t.Fatalf("a NaN in %s: row %d column %d is %v", name, row, col, x)
			}
		}
	}
	// Nothing but NaN, and nothing at all.
	a := newAttention(1, 1, nq, nk, d)
	for i := range a.Q {
		a.Q[i] = nan
	}
	if got := sameOnAll(t, "all NaN", *a, 1); !hasNaN(got[:1]) {
		t.Errorf("all NaN: %v", got[0])
	}
	for _, keys := range []int{0, nk} {
		a := newAttention(1, 1, nq, nk, d)
		a.KOff = offsets(keys)
		a.Bias = make([]float32, nk)
		for i := range a.Bias {
			a.Bias[i] = negInf
		}
		for i, x := range sameOnAll(t, "no key", *a, 1) {
			if math.Float32bits(x) != 0 {
				t.Fatalf("no key of %d: element %d is %v", keys, i, x)
			}
		}
	}
}

// The bits are the same on every architecture, not only between the rows of one.
func TestAttentionF32Hash(t *testing.T) {
	attnISAs(t)
	a := newAttention(2, 1, 40, attnBlock+40, 20)
	r := ktest.Rand(3)
	for i := range a.Q {
		a.Q[i] = float32(r.IntN(4096)-2048) / 1024 // no arithmetic that an architecture may fuse
	}
	a.Causal = true
	h := fnv.New64a()
	for _, x := range sameOnAll(t, "hash", *a, 1) {
		binary.Write(h, binary.LittleEndian, x)
	}
	if got, want := h.Sum64(), uint64(0x71ca97a239b02441); got != want {
		t.Errorf("hash %#x, want %#x", got, want)
	}
}

func TestAttentionF32Threads(t *testing.T) {
	attnISAs(t)
	a := newAttention(4, 2, 150, 300, 32)
	a.Causal = true
	want := attend(t, isasF32()[0], nil, *a)
	for _, threads := range []int{1, 2, 3, 8} {
		team := Enter(threads)
		ktest.SameBits(t, fmt.Sprint(threads, " threads"), attend(t, isasF32()[0], team, *a), want)
		team.Leave()
	}
}

func TestAttentionF32Allocations(t *testing.T) {
	a := newAttention(4, 2, 150, 300, 32)
	a.Causal = true
	team := Enter(2)
	defer team.Leave()
	if n := testing.AllocsPerRun(20, func() { AttentionF32(team, a) }); n > 0 && ISA() != ISARef {
		t.Errorf("%v allocations a call", n)
	}
}

func TestAttentionF32Short(t *testing.T) {
	for name, spoil := range map[string]func(a *Attention){
		"q":      func(a *Attention) { a.Q = a.Q[:len(a.Q)-3*4*8] },
		"k":      func(a *Attention) { a.K = a.K[:100] },
		"v":      func(a *Attention) { a.V = nil },
		"dst":    func(a *Attention) { a.Dst = a.Dst[:len(a.Dst)-1] },
		"bias":   func(a *Attention) { a.Bias = make([]float32, 8) },
		"heads":  func(a *Attention) { a.KVHeads = 3 },
		"koff":   func(a *Attention) { a.KOff = nil },
		"offset": func(a *Attention) { a.KOff = []int32{5, 2} },
		"stride": func(a *Attention) { a.LDQ = -1 },
		"pages":  func(a *Attention) { a.PageRows, a.PageK, a.PageV, a.Pages = 4, 64, 64, []int32{0, 1} },
		"page":   func(a *Attention) { a.PageRows, a.Pages = 9, []int32{-1} },
	} {
		t.Run(name, func(t *testing.T) {
			a := newAttention(4, 4, 9, 9, 8)
			spoil(a)
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			AttentionF32(nil, a)
		})
	}
}

func FuzzAttentionF32(f *testing.F) {
	attnISAs(f)
	for seed := range uint64(8) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := ktest.Rand(seed)
		c := randomAttention(t, r, 600)
		sameOnAll(t, c.name, c.a, 1+r.IntN(3))
	})
}
