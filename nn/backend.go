package nn

import (
	"context"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

// Backend is a device that holds weights and runs passes. It is safe for
// concurrent use.
type Backend interface {
	// Name is "cpu" or a device name.
	Name() string
	// Matrix packs the weight of a linear layer: rows stacked in the order
	// given, so that query, key and value become one product.
	Matrix(name string, parts ...MatrixPart) (Matrix, error)
	// Conv1D packs w, [out, in/groups, width] as PyTorch stores it.
	Conv1D(name string, w []float32, out, in, width, groups int) (Conv, error)
	// Conv2D packs w, [out, in/groups, kh, kw] as PyTorch stores it.
	Conv2D(name string, w []float32, out, in, kh, kw, groups int) (Conv, error)
	// Vector places a bias, gain or table on the device. The backend may keep
	// data itself: it must not change.
	Vector(name string, data []float32, rows, cols int) (tensor.Tensor, error)
	// Pages returns the memory of a [Cache], of no pages yet.
	Pages(layers, keyCols, valueCols int) Pages
	// Begin starts a pass. Its End must be called.
	Begin(ctx context.Context) Pass
}

// MatrixPart is one stored weight of a [Backend.Matrix].
type MatrixPart struct {
	Data    []float32
	Out, In int
	// Transposed: Data is [In, Out] (GPT-2's Conv1D), not [Out, In].
	Transposed bool
	// Exact: the weight is not to be quantized.
	Exact bool
	// Stored is the weight as its checkpoint holds it, if that is quantized.
	// Data may be nil then: see [StoredWeight.Float32].
	Stored *StoredWeight

	keep bool // float32 by the rules of [KeptFloat32]
}

// Matrix is a weight [Out, In] packed for its backend.
type Matrix interface {
	Out() int
	In() int
	Bytes() int
}

// Conv is a convolution's weight packed for its backend.
type Conv interface {
	Out() int
	In() int
	Bytes() int
}

// Act is an activation function.
type Act = kernels.Act

// Epilogue is what happens to a product before it is stored: the bias is
// added, the activation applied, the residual added, in that order.
type Epilogue struct {
	Bias     tensor.Tensor // [Out], or zero
	Act      Act
	Residual tensor.Tensor // [rows, Out], or zero; may be dst
}

// AttentionArgs are the parameters of scaled dot-product attention.
type AttentionArgs struct {
	Heads   int // query heads
	KVHeads int // key and value heads; Heads is a multiple
	HeadDim int
	Scale   float32 // multiplies q·k
	// QOff and KOff: sequence s has query rows QOff[s]:QOff[s+1] and key rows
	// KOff[s]:KOff[s+1].
	QOff, KOff []int32
	// Causal: of nq queries and nk keys, query i sees keys j ≤ i+nk-nq.
	Causal bool
	// Window masks the keys Window or more before the one a query stands at and,
	// without Causal, after it. 0: none.
	Window int
	// Bias, if present, is added to the scaled scores: element
	// s*BiasSeq + h*BiasHead + i*BiasRow + j. -Inf masks a key.
	Bias                       tensor.Tensor
	BiasSeq, BiasHead, BiasRow int
	// Cache, if not nil, holds the keys and values, those of Layer; the operands
	// k and v are not used. See [Cache.Args].
	Cache *Cache
	Layer int
}

// Window1D is the geometry of a 1-d convolution.
type Window1D struct{ Stride, PadLeft, PadRight, Dilation int }

// Len returns the number of output steps for n input steps and a kernel of the
// given width; zero or less if the input is too short.
func (w Window1D) Len(n, width int) int {
	return floorDiv(n+w.PadLeft+w.PadRight-w.Dilation*(width-1)-1, w.Stride) + 1
}

// Window2D is the geometry of a 2-d convolution or pooling.
type Window2D struct {
	StrideH, StrideW       int
	PadT, PadL, PadB, PadR int
	DilationH, DilationW   int
}

// Pass is one forward pass: the op set, and the memory of its temporaries. It
// belongs to one goroutine. Matrices are row-major [rows, cols] float32; dst
// comes first and is overwritten. Ops do not return errors: shapes were
// checked when the weights were bound and when the inputs came in, and once
// the context is done they return at once, leaving dst unspecified (see Err).
type Pass interface {
	// New returns an uninitialised matrix that lives until Release or End.
	New(rows, cols int) tensor.Tensor
	// Mark and Release free in stack order what was allocated in between.
	Mark() tensor.Mark
	Release(tensor.Mark)
	// Ints and Floats copy host data to the device for the time of the pass. Every
	// operand of an operation comes from there, from New, or was bound.
	Ints(src []int32) tensor.Tensor
	Floats(src []float32, rows, cols int) tensor.Tensor
	// Const is Floats for data that is always the same: a device may keep its copy
	// as long as the backend lives.
	Const(src []float32, rows, cols int) tensor.Tensor
	// Host returns t's elements in host memory (t itself on the CPU), for the time
	// of the pass. Nothing else of a pass waits for a device.
	Host(t tensor.Tensor) tensor.Tensor

	// Linear: dst = act(x·Wᵀ + bias) + residual.
	Linear(dst, x tensor.Tensor, w Matrix, e Epilogue)
	// MatMul: dst = a·b, or a·bᵀ.
	MatMul(dst, a, b tensor.Tensor, transposeB bool)
	// Attention: softmax(scale·q·kᵀ + bias)·v, head by head, sequence by
	// sequence. dst may not alias q, k or v. A row that sees no key gives 0.
	Attention(dst, q, k, v tensor.Tensor, a AttentionArgs)
	// Append stores k and v, the keys and values of the rows that the cache's last
	// Extend made, in a layer of the cache.
	Append(c *Cache, layer int, k, v tensor.Tensor)
	// Rotary turns pairs of elements of each head of x [rows, heads·headDim], in
	// place: elements i and i+n of a head by the angle whose cosine is element i,
	// and whose sine is element n+i, of row positions[row] of table [P, 2n].
	Rotary(x, table, positions tensor.Tensor, headDim int)
	// RMSNorm: dst = x / √(mean(x²) + eps) · gain, row by row.
	RMSNorm(dst, x, gain tensor.Tensor, eps float32)
	// LayerNorm normalises each row of x (+ residual, if present).
	LayerNorm(dst, x, residual, gain, bias tensor.Tensor, eps float32)
	// GroupNorm normalises x [T, C] over time and each group's channels.
	GroupNorm(dst, x, gain, bias tensor.Tensor, groups int, eps float32, act Act)
	// Embedding: dst[i] = table[ids[i]], or += when accumulate.
	Embedding(dst, ids, table tensor.Tensor, accumulate bool)
	// Conv1D convolves x [T, C], channels last, with zero padding.
	Conv1D(dst, x tensor.Tensor, w Conv, g Window1D, e Epilogue)
	// Conv2D convolves x [H·W, C], channels last, with zero padding.
	Conv2D(dst, x tensor.Tensor, h, w int, k Conv, g Window2D, e Epilogue)
	// Patches unfolds pictures [B, C, H, W] into non-overlapping patches, one a
	// row: dst [B·(H/ph)·(W/pw), C·ph·pw]. What does not fill a patch is dropped.
	Patches(dst, pictures tensor.Tensor, ph, pw int)
	// Activate: dst = act(x). dst may be x.
	Activate(dst, x tensor.Tensor, act Act)
	// Add: dst = a + b, elementwise; both may be dst.
	Add(dst, a, b tensor.Tensor)
	// Scale: dst = s·x.
	Scale(dst, x tensor.Tensor, s float32)
	// Affine: dst = x·scale + shift, column by column (a batch norm).
	Affine(dst, x, scale, shift tensor.Tensor)
	// Gated: dst = act(gate)·up.
	Gated(dst, gate, up tensor.Tensor, act Act)
	// Softmax over each row.
	Softmax(dst, x tensor.Tensor)
	// Gather: dst[i] = x[rows[i]]; a negative row gives zeros.
	Gather(dst, x, rows tensor.Tensor)
	// Combine: dst[i] = Σ_j weights[j]·x[rows[j]] + residual[i], the terms j =
	// off[i] … off[i+1]-1 added in this order; residual may be zero. dst may not
	// be x or residual.
	Combine(dst, x, residual tensor.Tensor, off []int32, rows, weights tensor.Tensor)
	// MeanRows: dst[s] = mean of rows off[s]:off[s+1] of x.
	MeanRows(dst, x tensor.Tensor, off []int32)

	// Fail ends the pass early with an error found on the way (a weight that is
	// read at its first use and cannot be).
	Fail(err error)
	// Err returns the error of Fail, or the context's once it is done.
	Err() error
	// End gives the pass back to its backend; its tensors die.
	End()
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
