package cuda

// Gemm is a matrix product
//
//	Dst[i][j] = act(Σ_p A[i][p]·B[j][p] + bias[j]) + residual[i][j]
//
// or with B[p][j] if B is not transposed. A is [M, K], B [N, K] (a weight as
// PyTorch stores it) or [K, N]; both are of type In, Dst and the residual of
// type Out: F32, or In. Sums are float32. Dst may not be A or B.
type Gemm struct {
	Dst, A, B Mat
	M, N, K   int
	// Plain: B is [K, N]. F32 only.
	Plain bool
	In    Type
	Out   Type
	Epilogue
}

// MatMul computes g.
func MatMul(q Queue, g *Gemm) {
	if g.M <= 0 || g.N <= 0 {
		return
	}
	if !g.few(q) && !g.tensor(q) && !g.matrix(q) {
		g.portable(q)
	}
}

// few computes the product of so few rows that reading B is what it takes.
func (g *Gemm) few(q Queue) bool {
	in := g.In.memory()
	if size := in.Size(); g.M > maxGemv || g.Plain || !g.A.rows16(size, g.M) || !g.B.rows16(size, g.N) || g.K*size%16 != 0 {
		return false
	}
	i := 0
	for 1<<i < g.M {
		i++
	}
	q.Launch(gemvKernels[i][in][flag(g.Out == F32)], Dim{ceil(g.N, gemvCols), 1, 1}, Dim{256, 1, 1}, 0, g.args(q))
	return true
}

// wgmmaTile is a tile of the products by warp groups: 128 rows by n columns.
type wgmmaTile struct {
	n, stages int
	kernels   [numTypes][2]Kernel // by type and whether the result is floats
}

var wgmmaTiles = [...]wgmmaTile{newWGMMATile(128, 6, "_128x128"), newWGMMATile(256, 4, "_128x256")}

func newWGMMATile(n, stages int, name string) wgmmaTile {
	return wgmmaTile{n, stages, byOut(func(in, out Type) Kernel {
		return Kernel{"gemm_wgmma_sm90a", "gemm_" + in.String() + "_" + out.String() + name}
	})}
}

const wgmmaRows, wgmmaDepth = 128, 64

// tensor computes the product by warp groups and tensor copies if the device and
// the operands allow it and there are enough tiles.
func (g *Gemm) tensor(q Queue) bool {
	mapper, ok := q.(TensorMapper)
	if !ok || q.Target() != 90 || g.In != BF16 && g.In != F16 || g.Plain || g.K == 0 ||
		!g.A.rows16(2, g.M) || !g.B.rows16(2, g.N) {
		return false
	}
	i := len(wgmmaTiles) - 1
	for i >= 0 && ceil(g.M, wgmmaRows)*ceil(g.N, wgmmaTiles[i].n) < fullGPU {
		i--
	}
	if i < 0 {
		return false
	}
	t := &wgmmaTiles[i]
	a, err := mapper.TensorMap(rowTiles(g.In, g.A, g.M, g.K, wgmmaRows))
	if err != nil {
		return false
	}
	b, err := mapper.TensorMap(rowTiles(g.In, g.B, g.N, g.K, t.n))
	if err != nil {
		return false
	}
	q.Launch(t.kernels[g.In][flag(g.Out == F32)], Dim{ceil(g.M, wgmmaRows) * ceil(g.N, t.n), 1, 1}, Dim{384, 1, 1},
		t.stages*((wgmmaRows+t.n)*2*wgmmaDepth+16), g.epilogue(q.Args().Bytes(a).Bytes(b).I32(g.M).I32(g.N).I32(g.K)))
	return true
}

// rowTiles describes a matrix by tiles of box rows and 128 bytes.
func rowTiles(t Type, m Mat, rows, cols, box int) *TensorMap {
	typ := MapBF16
	if t == F16 {
		typ = MapF16
	}
	ld := m.LD
	if rows == 1 { // its own is not used and may be anything
		ld = (cols + 7) &^ 7
	}
	const swizzle128, promote128 = 3, 2
	return &TensorMap{Type: typ, Base: m.P, Dims: []uint64{uint64(cols), uint64(rows)}, Strides: []uint64{uint64(2 * ld)},
		Box: []uint32{wgmmaDepth, uint32(box)}, Swizzle: swizzle128, L2: promote128}
}

// mmaTile is a tile of the products by matrix instructions.
type mmaTile struct {
	side, threads int
	kernels       [TF32 + 1][2]Kernel // by type and whether the result is floats
	bytes         [numTypes]Kernel    // of bytes, by the result's type
}

var mmaTiles = [...]mmaTile{newMMATile(64, 128, "_64x64"), newMMATile(128, 256, "_128x128")}

func newMMATile(side, threads int, name string) mmaTile {
	t := mmaTile{side: side, threads: threads}
	kernel := func(in, out Type) Kernel {
		return Kernel{"gemm_mma_sm80", "gemm_" + in.String() + "_" + out.String() + name}
	}
	for _, in := range [...]Type{BF16, F16, TF32} {
		t.kernels[in] = [2]Kernel{kernel(in, in), kernel(in, F32)}
	}
	for out := range numTypes {
		t.bytes[out] = Kernel{"gemm_mma_sm80", "gemm_u8s8_" + out.String() + name}
	}
	return t
}

// mmaStages is the steps of 64 bytes a row that are in shared memory.
const mmaStages = 4

// launch runs k on tiles of the m by n result.
func (t *mmaTile) launch(q Queue, k Kernel, m, n, groups int, a *Args) {
	q.Launch(k, Dim{ceil(m, t.side), ceil(n, t.side), groups}, Dim{t.threads, 1, 1}, mmaStages*64*2*t.side, a)
}

// chooseMMA returns the largest tile of which there are enough.
func chooseMMA(m, n int) *mmaTile {
	i := len(mmaTiles) - 1
	for i > 0 && ceil(m, mmaTiles[i].side)*ceil(n, mmaTiles[i].side) < fullGPU {
		i--
	}
	return &mmaTiles[i]
}

// matrix computes the product by matrix instructions if the device and the
// operands allow it.
func (g *Gemm) matrix(q Queue) bool {
	size := g.In.Size()
	if q.Target() < 80 || g.In == F32 || g.Plain || !g.A.rows16(size, g.M) || !g.B.rows16(size, g.N) {
		return false
	}
	t := chooseMMA(g.M, g.N)
	t.launch(q, t.kernels[g.In][flag(g.Out == F32)], g.M, g.N, 1, g.args(q))
	return true
}

func (g *Gemm) args(q Queue) *Args {
	return g.epilogue(q.Args().Mat(g.A).Mat(g.B).I32(g.M).I32(g.N).I32(g.K))
}

// simtTiles are the sides of the portable product's tiles, smallest first.
var simtTiles = [...]int{32, 64, 128}

// simtF32 are the portable products of floats by tile, without and with vector
// loads, simtPlain those with B [K, N]; simtHalf and gemvKernels have the other
// types, by type and whether the result is floats.
var (
	simtF32 = [len(simtTiles)][2]Kernel{
		simtKernels("f32_f32_nt_32x32"), simtKernels("f32_f32_nt_64x64"), simtKernels("f32_f32_nt_128x128"),
	}
	simtPlain = simtKernels("f32_f32_nn_64x64")
	simtHalf  = byOut(func(in, out Type) Kernel {
		return Kernel{simtModule, "gemm_" + in.String() + "_" + out.String() + "_nt_64x64_v1"}
	})
	gemvKernels = [4][numTypes][2]Kernel{gemvs("1"), gemvs("2"), gemvs("4"), gemvs("8")}
)

const simtModule = "gemm_simt_sm75"

func simtKernels(name string) [2]Kernel {
	return [2]Kernel{{simtModule, "gemm_" + name + "_v1"}, {simtModule, "gemm_" + name + "_v4"}}
}

func gemvs(rows string) [numTypes][2]Kernel {
	return byOut(func(in, out Type) Kernel {
		return Kernel{simtModule, "gemv_" + in.String() + "_" + out.String() + "_" + rows}
	})
}

// byOut makes a table of kernels by the type of the operands and whether the
// result is floats.
func byOut(f func(in, out Type) Kernel) (k [numTypes][2]Kernel) {
	for in := range numTypes {
		k[in] = [2]Kernel{f(in, in), f(in, F32)}
	}
	return k
}

// maxGemv is the most rows that are multiplied a column a warp, and gemvCols
// the columns of a block then.
const maxGemv, gemvCols = 8, 8

// fullGPU is the number of blocks from which a tile is preferred to a smaller
// one: about the multiprocessors of a large card.
var fullGPU = 108

// portable is the product in plain multiply-adds, 256 threads a block.
func (g *Gemm) portable(q Queue) {
	in := g.In.memory()
	i := len(simtTiles) - 1
	for i > 0 && ceil(g.M, simtTiles[i])*ceil(g.N, simtTiles[i]) < fullGPU {
		i--
	}
	k, side := Kernel{}, 64
	switch {
	case in != F32:
		k = simtHalf[in][flag(g.Out == F32)]
	case g.Plain:
		k = simtPlain[flag(g.A.whole(F32, g.K) && g.B.whole(F32, g.N))]
	default:
		k, side = simtF32[i][flag(g.A.whole(F32, g.K) && g.B.whole(F32, g.K))], simtTiles[i]
	}
	// x counts rows of tiles: neighbours in x share B, the weight.
	q.Launch(k, Dim{ceil(g.M, side), ceil(g.N, side), 1}, Dim{256, 1, 1}, 0, g.args(q))
}

// rows16 reports whether each of so many rows begins at a multiple of 16 bytes.
func (m Mat) rows16(size, rows int) bool {
	return m.P%16 == 0 && (rows == 1 || m.LD*size%16 == 0)
}

// epilogue appends what every product ends with.
func (g *Gemm) epilogue(a *Args) *Args {
	return a.Mat(g.Dst).Ptr(g.Bias).Mat(g.Residual).I32(int(g.Act))
}
