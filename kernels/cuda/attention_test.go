package cuda_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// attend runs attention over sequences of nq queries and nk keys and compares
// it with the CPU's. Options: causal, window, bias, pages of 4 keys.
func (b *bench) attend(typ cuda.Type, nq, nk []int, heads, kvHeads, d int, causal bool, window int, bias, paged bool) {
	b.t.Helper()
	qOff, kOff := []int32{0}, []int32{0}
	maxQ, maxK := 0, 0
	for i := range nq {
		qOff, kOff = append(qOff, qOff[i]+int32(nq[i])), append(kOff, kOff[i]+int32(nk[i]))
		maxQ, maxK = max(maxQ, nq[i]), max(maxK, nk[i])
	}
	rows, keys := int(qOff[len(nq)]), int(kOff[len(nq)])
	ldq, ldk := heads*d+8, kvHeads*d
	q, k, v := b.random(typ, rows*heads*d), b.random(typ, keys*ldk), b.random(typ, keys*ldk)
	want := make([]float32, rows*heads*d)
	ref := kernels.Attention{Dst: want, Q: q, K: k, V: v, LDD: heads * d, LDQ: heads * d, LDK: ldk, LDV: ldk,
		Heads: heads, KVHeads: kvHeads, D: d, DV: d, Scale: 0.3, QOff: qOff, KOff: kOff, Causal: causal, Window: window}
	dst := b.empty(typ, rows, heads*d, ldq)
	a := cuda.Attention{Dst: dst, Q: b.matrix(typ, q, rows, heads*d, ldq), K: b.matrix(typ, k, keys, ldk, ldk), V: b.matrix(typ, v, keys, ldk, ldk),
		Type: typ, Heads: heads, KVHeads: kvHeads, D: d, Scale: 0.3, Seqs: len(nq), QOff: b.ints(qOff...), KOff: b.ints(kOff...),
		MaxQ: maxQ, MaxK: maxK, Rows: rows, Keys: keys, Causal: causal, Window: window}
	if bias {
		x := b.random(cuda.F32, len(nq)*heads*maxQ*maxK)
		for i := range x {
			if b.rng.IntN(5) == 0 {
				x[i] = float32(math.Inf(-1))
			}
		}
		ref.Bias, ref.BiasSeq, ref.BiasHead, ref.BiasRow = x, heads*maxQ*maxK, maxQ*maxK, maxK
		a.Bias, a.BiasSeq, a.BiasHead, a.BiasRow = b.vector(x), ref.BiasSeq, ref.BiasHead, ref.BiasRow
	}
	kernels.AttentionF32(nil, &ref)
	if paged {
		// The pages lie from the last to the first, keys before values.
		const pageRows = 4
		stride := (maxK + pageRows - 1) / pageRows
		table, n := make([]int32, len(nq)*stride), int32(0)
		page := 2*pageRows*ldk + 16
		cache := b.Alloc(len(table) * page * typ.Size())
		for s := range nq {
			var slots []int32
			for j := range nk[s] {
				if j%pageRows == 0 {
					table[s*stride+j/pageRows] = int32(len(table)) - 1 - n
					n++
				}
				slots = append(slots, table[s*stride+j/pageRows]*pageRows+int32(j%pageRows))
			}
			if nk[s] > 0 {
				at := int(kOff[s])
				for i, x := range [][]float32{k, v} {
					to := cuda.Mat{P: cache + cuda.Ptr(i*pageRows*ldk*typ.Size()), LD: ldk}
					cuda.Append(b, typ, to, page, pageRows, b.matrix(typ, x[at*ldk:], nk[s], ldk, ldk), b.ints(slots...), nk[s], ldk)
				}
			}
		}
		a.K, a.V = cuda.Mat{P: cache, LD: ldk}, cuda.Mat{P: cache + cuda.Ptr(pageRows*ldk*typ.Size()), LD: ldk}
		a.PageRows, a.Page, a.Pages, a.SeqPages = pageRows, page, b.ints(table...), stride
	}
	if n := a.Work(); n > 0 {
		a.Scratch = b.Alloc(n)
	}
	cuda.Attend(b, &a)
	what := fmt.Sprintf("%v, queries %v, keys %v, %d/%d heads of %d, causal %v, window %d, bias %v, paged %v", typ, nq, nk, heads, kvHeads, d, causal, window, bias, paged)
	tol := 2e-5
	if b.Target() >= 80 && typ != cuda.F32 {
		tol = map[cuda.Type]float64{cuda.BF16: 0x1p-8, cuda.F16: 0x1p-11}[typ] // the weights are rounded
	}
	b.check(what, typ, b.read(typ, dst, rows, heads*d), wide(want), tol)
}

func TestAttend(t *testing.T) {
	for _, typ := range types {
		b := newBench(t, 75)
		b.attend(typ, []int{3, 40}, []int{3, 40}, 2, 2, 8, false, 0, false, false)
		b.attend(typ, []int{70, 0, 5}, []int{70, 0, 9}, 4, 2, 20, true, 0, false, false)
		b.attend(typ, []int{33}, []int{130}, 2, 1, 64, true, 0, true, false)
		b.attend(typ, []int{9, 2}, []int{7, 0}, 1, 1, 33, false, 0, false, false) // no keys
		b.attend(typ, []int{9}, []int{4}, 1, 1, 16, true, 0, false, false)        // queries that see none
		b.attend(typ, []int{40}, []int{40}, 1, 1, 16, false, 6, false, false)
		b.attend(typ, []int{80}, []int{100}, 2, 1, 12, true, 10, true, false)
		b.attend(typ, []int{5, 34}, []int{50, 34}, 2, 2, 100, true, 0, false, true)
		b.attend(typ, []int{18, 3}, []int{20, 45}, 1, 1, 200, false, 0, true, false)
	}
}

func TestAttendOneQuery(t *testing.T) {
	for _, typ := range types {
		b := newBench(t, 75)
		b.attend(typ, []int{1}, []int{1}, 1, 1, 8, true, 0, false, false)
		b.attend(typ, []int{1, 1, 0, 1}, []int{7, 64, 3, 0}, 4, 2, 64, true, 0, true, false)
		b.attend(typ, []int{1, 1}, []int{33, 18}, 2, 2, 96, true, 0, false, true)
		b.attend(typ, []int{1, 1}, []int{600, 20}, 2, 1, 20, true, 0, true, true) // in parts, one with none
		b.attend(typ, []int{1}, []int{700}, 1, 1, 16, true, 100, false, false)
		b.attend(typ, []int{1}, []int{300}, 1, 1, 160, false, 0, false, false)
	}
}

// Attention by matrix instructions.
func TestAttendSM80(t *testing.T) {
	for _, queries := range []int{64, 128} {
		if queries == 128 {
			largeTiles(t)
		}
		for _, typ := range types[1:] {
			b := newBench(t, 80)
			b.attend(typ, []int{3, 40}, []int{3, 40}, 2, 2, 8, false, 0, false, false)
			b.attend(typ, []int{70, 0, 5}, []int{70, 0, 9}, 4, 2, 24, true, 0, false, false)
			b.attend(typ, []int{133}, []int{180}, 2, 1, 64, true, 0, true, false)
			b.attend(typ, []int{9, 2}, []int{7, 0}, 1, 1, 40, false, 0, false, false)
			b.attend(typ, []int{90}, []int{40}, 1, 1, 16, true, 0, false, false)
			b.attend(typ, []int{140}, []int{140}, 1, 1, 16, false, 70, false, false)
			b.attend(typ, []int{80}, []int{300}, 2, 1, 72, true, 70, true, false)
			b.attend(typ, []int{5, 34}, []int{150, 34}, 2, 2, 128, true, 0, false, true)
			for _, d := range []int{64, 128} {
				b.used(fmt.Sprintf("attention_d%d_q%d_%v", d, queries, typ))
			}
		}
	}
}

// Attention by warp groups.
func TestAttendSM90(t *testing.T) {
	for _, typ := range types[1:] {
		for _, d := range []int{64, 128} {
			b := newBench(t, 90)
			b.attend(typ, []int{70, 0, 5}, []int{70, 0, 9}, 2, 1, d, true, 0, false, false)
			b.attend(typ, []int{133}, []int{300}, 1, 1, d, true, 0, true, false)
			b.attend(typ, []int{90, 1}, []int{40, 290}, 1, 1, d, true, 0, false, false) // queries that see none
			b.attend(typ, []int{140}, []int{140}, 1, 1, d, false, 70, false, false)
			b.attend(typ, []int{65, 65}, []int{0, 7}, 1, 1, d, false, 0, false, false)
			b.attend(typ, []int{129}, []int{128}, 1, 1, d, false, 0, false, false)
			b.used(fmt.Sprintf("attention_d%d_%v", d, typ))
			if b.Launches[fmt.Sprintf("attention_d%d_%v", d, typ)] != 6 {
				t.Errorf("%v", b.Launches)
			}
		}
	}
}

// What is no number in one sequence stays there.
func TestAttendSM90Apart(t *testing.T) {
	const d, n = 64, 100
	b := newBench(t, 90)
	q, v := b.random(cuda.BF16, 2*n*d), b.random(cuda.BF16, 2*n*d)
	for i := n * d; i < len(v); i++ {
		v[i] = float32(math.NaN())
	}
	m := b.matrix(cuda.BF16, q, 2*n, d, d)
	dst := b.empty(cuda.BF16, 2*n, d, d)
	cuda.Attend(b, &cuda.Attention{Dst: dst, Q: m, K: m, V: b.matrix(cuda.BF16, v, 2*n, d, d), Type: cuda.BF16, Heads: 1, KVHeads: 1, D: d, Scale: 1,
		Seqs: 2, QOff: b.ints(0, n, 2*n), KOff: b.ints(0, n, 2*n), MaxQ: n, MaxK: n, Rows: 2 * n, Keys: 2 * n})
	for i, y := range b.read(cuda.BF16, dst, 2*n, d) {
		if (y != y) != (i >= n*d) {
			t.Fatalf("element %d is %v", i, y)
		}
	}
}
