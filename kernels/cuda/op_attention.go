package cuda

// Attention is scaled dot-product attention over ragged sequences, as
// kernels.Attention has it: sequence s has the queries QOff[s] … QOff[s+1]-1
// and the keys KOff[s] … KOff[s+1]-1, heads lie side by side in a row. A query
// that sees no key gives 0.
type Attention struct {
	Dst, Q, K, V Mat
	Type         Type // of these four
	Heads        int  // of queries
	KVHeads      int  // of keys and values; Heads is a multiple
	D            int  // of a head, at most MaxHeadDim
	Scale        float32

	Seqs       int
	QOff, KOff Ptr // Seqs+1 int32
	MaxQ, MaxK int // the most queries and keys of a sequence
	// Rows and Keys are those of Q and of K and V in all. 0: not known, which
	// rules out the kernels that copy by tensor maps.
	Rows, Keys int

	// Causal: of nq queries and nk keys, query i stands at key i+nk-nq and sees
	// no later one.
	Causal bool
	// Window masks the keys Window or more before the one at which the query
	// stands and, without Causal, after it. 0: none.
	Window int

	// Bias, floats, is added to the scaled scores: element
	// s·BiasSeq + h·BiasHead + i·BiasRow + j. -Inf masks a key.
	Bias                       Ptr
	BiasSeq, BiasHead, BiasRow int

	// PageRows, if not 0, says that keys and values come in pages of so many, a
	// power of two: page p starts p·Page elements behind K and V. Key j of
	// sequence s lies in page Pages[s·SeqPages + j/PageRows] (int32), j%PageRows
	// rows behind its start.
	PageRows, Page int
	Pages          Ptr
	SeqPages       int

	Scratch Ptr // Work() bytes, if that is not 0
}

// MaxHeadDim is the largest head.
const MaxHeadDim = 256

// attentionTile is a kernel for heads of up to d: a block computes q queries of
// a head with threads threads.
type attentionTile struct {
	d, q, threads int
	kernels       [numTypes]Kernel
}

var attentionTiles = [...]attentionTile{
	{16, 32, 128, byType("attention_sm75", "attention_d16")},
	{32, 32, 128, byType("attention_sm75", "attention_d32")},
	{64, 32, 128, byType("attention_sm75", "attention_d64")},
	{128, 32, 128, byType("attention_sm75", "attention_d128")},
	{256, 16, 128, byType("attention_sm75", "attention_d256")},
}

// decodeTiles are the kernels for one query a sequence.
var decodeTiles = [...]attentionTile{
	{d: 64, kernels: byType("attention_sm75", "decode_d64")},
	{d: 128, kernels: byType("attention_sm75", "decode_d128")},
	{d: 256, kernels: byType("attention_sm75", "decode_d256")},
}

var decodeMerge = byType("attention_sm75", "decode_merge")

const (
	// decodeKeys is the keys that a block of a decode step looks at; longer
	// sequences are split among blocks, whose results are merged.
	decodeKeys  = 256
	decodeWarps = 4
)

// Work returns the bytes of Scratch that a needs: where each sequence has one
// query, long sequences are split.
func (a *Attention) Work() int {
	if splits := ceil(a.MaxK, decodeKeys); a.MaxQ == 1 && splits > 1 {
		return 4 * splits * a.Seqs * a.Heads * (a.D + 2)
	}
	return 0
}

// Attend computes a.
func Attend(q Queue, a *Attention) {
	if a.Seqs <= 0 || a.MaxQ <= 0 {
		return
	}
	if a.MaxQ == 1 {
		splits := max(1, ceil(a.MaxK, decodeKeys))
		q.Launch(a.tile(decodeTiles[:]).kernels[a.Type], Dim{splits, a.Heads, a.Seqs}, Dim{32 * decodeWarps, 1, 1}, 0,
			a.args(q).Ptr(a.Scratch))
		if splits > 1 {
			q.Launch(decodeMerge[a.Type], Dim{1, a.Heads, a.Seqs}, Dim{32 * decodeWarps, 1, 1}, 0,
				q.Args().Mat(a.Dst).Ptr(a.Scratch).Ptr(a.QOff).I32(a.D).I32(splits))
		}
		return
	}
	if a.tensor(q) || a.matrix(q) {
		return
	}
	t := a.tile(attentionTiles[:])
	q.Launch(t.kernels[a.Type], Dim{ceil(a.MaxQ, t.q), a.Heads, a.Seqs}, Dim{t.threads, 1, 1}, 0, a.args(q))
}

// wgmmaAttention are the kernels by warp groups, for heads of 64 and of 128.
var wgmmaAttention = [...][numTypes]Kernel{
	byType("attention_wgmma_sm90a", "attention_d64"), byType("attention_wgmma_sm90a", "attention_d128"),
}

// wgmmaKeys is the keys of a tile of theirs, as many as the queries of a block,
// and wgmmaRing the tiles in shared memory.
const wgmmaKeys, wgmmaRing = 128, 2

// tensor computes a by warp groups and tensor copies if the device and the
// operands allow it.
func (a *Attention) tensor(q Queue) bool {
	mapper, ok := q.(TensorMapper)
	aligned := func(m Mat) bool { return m.P%16 == 0 && m.LD%8 == 0 }
	if !ok || q.Target() != 90 || a.Type == F32 || a.D != 64 && a.D != 128 || a.PageRows != 0 || a.Rows <= 0 || a.Keys <= 0 ||
		a.MaxQ <= wgmmaKeys/2 || a.Dst.P%4 != 0 || a.Dst.LD%2 != 0 || !aligned(a.Q) || !aligned(a.K) || !aligned(a.V) {
		return false
	}
	operands := [...]struct {
		Mat
		rows, heads int
	}{{a.Q, a.Rows, a.Heads}, {a.K, a.Keys, a.KVHeads}, {a.V, a.Keys, a.KVHeads}}
	var maps [len(operands)][]byte
	for i, o := range operands {
		var err error
		if maps[i], err = mapper.TensorMap(rowTiles(a.Type, o.Mat, o.rows, o.heads*a.D, wgmmaKeys)); err != nil {
			return false
		}
	}
	args := q.Args()
	for _, m := range maps {
		args.Bytes(m)
	}
	tile := 2 * wgmmaKeys * a.D // bytes of keys, of values and of queries
	q.Launch(wgmmaAttention[a.D/128][a.Type], Dim{ceil(a.MaxQ, wgmmaKeys), a.Heads, a.Seqs}, Dim{384, 1, 1},
		tile+wgmmaRing*2*tile+8*(1+3*wgmmaRing), a.append(args))
	return true
}

// mmaAttention are the kernels by matrix instructions, for heads of up to d:
// of 64 and 128 queries a block, by type.
var mmaAttention = [...]struct {
	d       int
	kernels [2][numTypes]Kernel
}{
	{64, [2][numTypes]Kernel{byType("attention_mma_sm80", "attention_d64_q64"), byType("attention_mma_sm80", "attention_d64_q128")}},
	{128, [2][numTypes]Kernel{byType("attention_mma_sm80", "attention_d128_q64"), byType("attention_mma_sm80", "attention_d128_q128")}},
}

const mmaKeys = 64 // of a tile

// matrix computes a by matrix instructions if the device and the operands allow
// it.
func (a *Attention) matrix(q Queue) bool {
	aligned := func(m Mat) bool { return m.P%16 == 0 && m.LD%8 == 0 }
	if q.Target() < 80 || a.Type == F32 || a.D > 128 || a.D%8 != 0 || a.Page%8 != 0 || a.Dst.P%4 != 0 || a.Dst.LD%2 != 0 ||
		!aligned(a.Q) || !aligned(a.K) || !aligned(a.V) {
		return false
	}
	t := &mmaAttention[0]
	if a.D > t.d {
		t = &mmaAttention[1]
	}
	queries := 64
	if ceil(a.MaxQ, 128)*a.Heads*a.Seqs >= fullGPU {
		queries = 128
	}
	q.Launch(t.kernels[queries/128][a.Type], Dim{ceil(a.MaxQ, queries), a.Heads, a.Seqs}, Dim{2 * queries, 1, 1},
		(queries+4*mmaKeys)*2*t.d, a.args(q))
	return true
}

// tile returns the smallest tile that holds a head.
func (a *Attention) tile(tiles []attentionTile) *attentionTile {
	for i := range tiles {
		if a.D <= tiles[i].d {
			return &tiles[i]
		}
	}
	return &tiles[len(tiles)-1]
}

func (a *Attention) args(q Queue) *Args { return a.append(q.Args()) }

func (a *Attention) append(to *Args) *Args {
	shift := 0
	for 1<<shift < a.PageRows {
		shift++
	}
	table := a.Pages
	if a.PageRows == 0 {
		table = 0
	}
	return to.Mat(a.Dst).Mat(a.Q).Mat(a.K).Mat(a.V).Ptr(a.QOff).Ptr(a.KOff).
		Ptr(a.Bias).I64(a.BiasSeq).I64(a.BiasHead).I64(a.BiasRow).Ptr(table).I64(a.Page).I32(a.SeqPages).I32(shift).
		I32(a.D).I32(a.Heads / a.KVHeads).F32(a.Scale).I32(flag(a.Causal)).I32(a.Window)
}
