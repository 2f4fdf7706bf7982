package kernels

import (
	"fmt"
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

// sharedOperand makes an operand of rows rows and heads heads of d floats, as
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
	if r.IntN(2) == 0 {
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
		pages := seqs * a.SeqPages
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
	for _, isa := range []string{ISAAVX512, ISAAVX2} {
		if _, built := isaNeeds[isa]; built && missing(isa) != "" {
			tb.Logf("not run: %s, the CPU lacks %s", isa, missing(isa))
		}
	}
	return ISAs()
}

func TestAttentionF32SameBits(t *testing.T) {
	isas := attnISAs(t)
	n := 250
	if testing.Short() {
		n = 60
	}
	r := ktest.Rand(1)
	for i := range n {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := randomAttention(t, r, 600)
			if i%5 == 0 { // special values
				for _, x := range [][]float32{c.a.Q, c.a.K, c.a.V, c.a.Bias} {
					if r.IntN(3) == 0 {
						ktest.Sprinkle(r, x, 1+len(x)/(1+r.IntN(8)))
					}
				}
			}
			want := attend(t, ISARef, nil, c.a)
			for _, isa := range isas {
				team := Enter(1 + r.IntN(4))
				got := attend(t, isa, team, c.a)
				team.Leave()
				ktest.SameBits(t, isa+" "+c.name, got, want)
			}
		})
	}
}
