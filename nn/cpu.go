package nn

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/tensor"
)

// CPU is the backend over package kernels.
type CPU struct {
	threads   atomic.Int32
	passes    sync.Pool
	quant     Quantization
	precision kernels.Precision
	room      sync.Pool // of *[]int8, for integers on their way into a Matrix
}

// NewCPU returns a CPU backend whose passes compute on up to threads threads;
// 0 means all of the process's. It returns an error if WEFT_ISA names an
// instruction set that this machine lacks.
func NewCPU(threads int) (*CPU, error) {
	if threads < 0 {
		return nil, InputError("threads", "%d is negative", threads)
	}
	if err := kernels.ISAError(); err != nil {
		return nil, err
	}
	c := &CPU{}
	c.SetThreads(threads)
	c.room.New = func() any { return new([]int8) }
	c.passes.New = func() any { return &cpuPass{backend: c} }
	return c, nil
}

// SetThreads changes the bound on threads for the passes that begin from now.
func (c *CPU) SetThreads(n int) { c.threads.Store(int32(max(0, n))) }

// SetPrecision changes what products by the weights that are bound from now on
// are computed in, those of quantized layers and of routers excepted. It returns
// an error that names what the CPU lacks for it.
func (c *CPU) SetPrecision(p kernels.Precision) error {
	if err := p.Check(); err != nil {
		return Unsupported("%v", err)
	}
	c.precision = p
	return nil
}

// Name returns "cpu".
func (c *CPU) Name() string { return "cpu" }

type cpuMatrix struct{ *kernels.Matrix }

func (m cpuMatrix) Out() int { return m.Rows() }
func (m cpuMatrix) In() int  { return m.Cols() }

// Matrix packs parts, stacked along their outputs.
func (c *CPU) Matrix(name string, parts ...MatrixPart) (Matrix, error) {
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s: no weight", name)
	}
	for _, q := range parts {
		if n, ok := tensor.Elems(q.Out, q.In); !ok || q.Stored == nil && n > len(q.Data) || q.In != parts[0].In || q.Transposed != parts[0].Transposed {
			return nil, fmt.Errorf("%s: parts of a stacked weight disagree: %w", name, tensor.ErrShape)
		}
	}
	if parts[0].Transposed && len(parts) > 1 {
		return nil, Unsupported("%s: stacked transposed weights", name)
	}
	if m, err := c.storedMatrix(name, parts); m != nil || err != nil {
		return m, err
	}
	m, ok := c.quantized(name, parts)
	if c.quant.Trial != nil {
		return cpuTrial{c.packed(parts), name, m}, nil
	}
	if ok {
		return m, nil
	}
	if c.precision == kernels.PrecisionBF16 && !parts[0].Exact && !isRouter(name) {
		rows, ns := rowsOf(parts)
		return cpuMatrix{kernels.PackBF16(rows, ns, parts[0].In, parts[0].Transposed)}, nil
	}
	return c.packed(parts), nil
}

// rowsOf returns the weights of parts and their outputs.
func rowsOf(parts []MatrixPart) (ws [][]float32, ns []int) {
	for _, q := range parts {
		ws, ns = append(ws, q.Data), append(ns, q.Out)
	}
	return ws, ns
}

// packed packs parts as float32.
func (c *CPU) packed(parts []MatrixPart) cpuMatrix {
	if parts[0].Transposed {
		q := parts[0]
		return cpuMatrix{kernels.PackF32T(q.Data, q.In, q.Out, q.Out)}
	}
	rows, ns := rowsOf(parts)
	return cpuMatrix{kernels.PackRowsF32(rows, ns, parts[0].In)}
}

// Conv1D packs w [out, in/groups, width].
func (c *CPU) Conv1D(name string, w []float32, out, in, width, groups int) (Conv, error) {
	return c.Conv2D(name, w, out, in, 1, width, groups)
}

// Conv2D packs w [out, in/groups, kh, kw].
func (c *CPU) Conv2D(name string, w []float32, out, in, kh, kw, groups int) (Conv, error) {
	if err := checkConv(name, len(w), out, in, groups, kh, kw); err != nil {
		return nil, err
	}
	if q := c.quant; q.Scheme == kernels.W8A8 && q.Trial == nil && (q.Keep == nil || !q.Keep(name)) {
		if k := kernels.QuantizeConvF32(w, out, in, kh, kw, groups); k != nil {
			return k, nil
		}
	}
	if c.precision == kernels.PrecisionBF16 {
		return kernels.PackConvBF16(w, out, in, kh, kw, groups), nil
	}
	return kernels.PackConvF32(w, out, in, kh, kw, groups), nil
}

func checkConv(name string, n, out, in, groups int, kernel ...int) error {
	if groups < 1 || out%groups != 0 || in%groups != 0 {
		return fmt.Errorf("%s: %d groups do not divide %d inputs and %d outputs: %w", name, groups, in, out, tensor.ErrShape)
	}
	want, ok := tensor.Elems(append(kernel, out, in/groups)...)
	if !ok || want == 0 || n < want {
		return fmt.Errorf("%s: %d elements, want %d: %w", name, n, want, tensor.ErrShape)
	}
	return nil
}

// Vector keeps data as it is.
func (c *CPU) Vector(name string, data []float32, rows, cols int) (tensor.Tensor, error) {
	if n, ok := tensor.Elems(rows, cols); !ok || n > len(data) {
		return tensor.Tensor{}, fmt.Errorf("%s: %d elements for [%d %d]: %w", name, len(data), rows, cols, tensor.ErrShape)
	}
	if rows == 1 {
		return tensor.FromF32(data, cols), nil
	}
	return tensor.FromF32(data, rows, cols), nil
}

// Pages returns memory on the Go heap.
func (c *CPU) Pages(layers, keyCols, valueCols int) Pages {
	return &cpuPages{layers: layers, keyCols: keyCols, valueCols: valueCols}
}

// Begin takes a pass, with the arena it grew in earlier calls.
func (c *CPU) Begin(ctx context.Context) Pass {
	p := c.passes.Get().(*cpuPass)
	p.ctx, p.err = ctx, nil
	p.team = par.Enter(int(c.threads.Load()))
	return p
}

// cpuPass implements Pass. The attention arguments live in it because kernels
// takes them by pointer.
type cpuPass struct {
	backend *CPU
	ctx     context.Context
	err     error
	team    *par.Team
	arena   tensor.Arena
	att     kernels.Attention
	gated   gatedTask
	combine combineTask
}

func (p *cpuPass) New(rows, cols int) tensor.Tensor { return p.arena.F32(rows, cols) }
func (p *cpuPass) Mark() tensor.Mark                { return p.arena.Mark() }
func (p *cpuPass) Release(m tensor.Mark)            { p.arena.Release(m) }
func (p *cpuPass) Host(t tensor.Tensor) tensor.Tensor {
	return t
}

func (p *cpuPass) Ints(src []int32) tensor.Tensor { return tensor.FromI32(src, len(src)) }

func (p *cpuPass) Floats(src []float32, rows, cols int) tensor.Tensor {
	return tensor.FromF32(src, rows, cols)
}

func (p *cpuPass) Const(src []float32, rows, cols int) tensor.Tensor {
	return tensor.FromF32(src, rows, cols)
}

func (p *cpuPass) Err() error {
	if p.err == nil {
		p.err = p.ctx.Err()
	}
	return p.err
}

func (p *cpuPass) Fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

func (p *cpuPass) End() {
	p.team.Leave()
	p.team, p.ctx = nil, nil
	p.att = kernels.Attention{}
	p.arena.Reset()
	p.backend.passes.Put(p)
}

func (p *cpuPass) done() bool { return p.Err() != nil }

func optional(t tensor.Tensor) []float32 {
	if t.IsZero() {
		return nil
	}
	return t.F32()
}

func epilogue(e Epilogue) kernels.Epilogue {
	k := kernels.Epilogue{Bias: optional(e.Bias), Act: e.Act}
	if !e.Residual.IsZero() {
		k.Residual, k.LDR = e.Residual.F32(), e.Residual.LD()
	}
	return k
}

func (p *cpuPass) Linear(dst, x tensor.Tensor, w Matrix, e Epilogue) {
	if p.done() {
		return
	}
	p.linear(dst, x, w, epilogue(e))
}

func (p *cpuPass) MatMul(dst, a, b tensor.Tensor, transposeB bool) {
	if p.done() {
		return
	}
	kernels.MatMulF32(p.team, dst.F32(), dst.LD(), a.F32(), a.LD(), b.F32(), b.LD(), transposeB,
		dst.Rows(), dst.Cols(), a.Cols(), 1, 0, 0, 0)
}

func (p *cpuPass) Attention(dst, q, k, v tensor.Tensor, a AttentionArgs) {
	if p.done() {
		return
	}
	p.att = kernels.Attention{
		Dst: dst.F32(), Q: q.F32(), LDD: dst.LD(), LDQ: q.LD(),
		Heads: a.Heads, KVHeads: a.KVHeads, D: a.HeadDim, DV: a.HeadDim, Scale: a.Scale,
		QOff: a.QOff, KOff: a.KOff, Causal: a.Causal, Window: a.Window,
		Bias: optional(a.Bias), BiasSeq: a.BiasSeq, BiasHead: a.BiasHead, BiasRow: a.BiasRow,
	}
	if c := a.Cache; c != nil {
		m := c.pages.(*cpuPages)
		k, v := m.at(a.Layer)
		p.att.K, p.att.V, p.att.LDK, p.att.LDV = m.data[min(k, len(m.data)):], m.data[min(v, len(m.data)):], m.keyCols, m.valueCols
		p.att.PageRows, p.att.PageK, p.att.PageV = CachePage, m.page(), m.page()
		p.att.Pages, p.att.SeqPages = c.table, c.stride
	} else {
		p.att.K, p.att.V, p.att.LDK, p.att.LDV = k.F32(), v.F32(), k.LD(), v.LD()
	}
	kernels.AttentionF32(p.team, &p.att)
}

func (p *cpuPass) Append(c *Cache, layer int, k, v tensor.Tensor) {
	if p.done() {
		return
	}
	m := c.pages.(*cpuPages)
	atK, atV := m.at(layer)
	for i, slot := range c.slots {
		page, row := int(slot/CachePage)*m.page(), int(slot%CachePage)
		copy(m.data[page+atK+row*m.keyCols:][:m.keyCols], k.F32()[i*k.LD():])
		copy(m.data[page+atV+row*m.valueCols:][:m.valueCols], v.F32()[i*v.LD():])
	}
}

func (p *cpuPass) Rotary(x, table, positions tensor.Tensor, headDim int) {
	if p.done() {
		return
	}
	kernels.RotaryF32(p.team, x.F32(), x.LD(), table.F32(), table.LD(), positions.I32(), x.Cols(), headDim, table.Cols()/2)
}

func (p *cpuPass) RMSNorm(dst, x, gain tensor.Tensor, eps float32) {
	if p.done() {
		return
	}
	kernels.RMSNormF32(p.team, dst.F32(), dst.LD(), x.F32(), x.LD(), gain.F32(), eps, x.Rows(), x.Cols())
}

func (p *cpuPass) LayerNorm(dst, x, residual, gain, bias tensor.Tensor, eps float32) {
	if p.done() {
		return
	}
	ldr := 0
	if !residual.IsZero() {
		ldr = residual.LD()
	}
	kernels.LayerNormF32(p.team, dst.F32(), dst.LD(), x.F32(), x.LD(), optional(residual), ldr, nil, 0,
		gain.F32(), optional(bias), eps, x.Rows(), x.Cols())
}

func (p *cpuPass) GroupNorm(dst, x, gain, bias tensor.Tensor, groups int, eps float32, act Act) {
	if p.done() {
		return
	}
	kernels.GroupNormF32(p.team, dst.F32(), x.F32(), x.Rows(), x.Cols(), groups, gain.F32(), bias.F32(), eps, act)
}

func (p *cpuPass) Embedding(dst, ids, table tensor.Tensor, accumulate bool) {
	if p.done() {
		return
	}
	if t, ok := table.Device().(*table8); ok {
		t.lookup(p, dst, ids.I32(), accumulate)
		return
	}
	kernels.EmbeddingF32(p.team, dst.F32(), dst.Cols(), ids.I32(), table.F32(), accumulate)
}

func (p *cpuPass) Conv1D(dst, x tensor.Tensor, w Conv, g Window1D, e Epilogue) {
	p.Conv2D(dst, x, 1, x.Rows(), w, Window2D{StrideH: 1, StrideW: g.Stride,
		PadL: g.PadLeft, PadR: g.PadRight, DilationH: 1, DilationW: g.Dilation}, e)
}

func (p *cpuPass) Conv2D(dst, x tensor.Tensor, h, w int, k Conv, g Window2D, e Epilogue) {
	if p.done() {
		return
	}
	win := kernels.Window{StrideH: g.StrideH, StrideW: g.StrideW, PadT: g.PadT, PadL: g.PadL, PadB: g.PadB, PadR: g.PadR,
		DilH: g.DilationH, DilW: g.DilationW}
	switch k := k.(type) {
	case *kernels.Conv:
		kernels.ConvF32(p.team, dst.F32(), x.F32(), h, w, k, win, epilogue(e))
	case *kernels.QConv:
		kernels.ConvQ(p.team, dst.F32(), x.F32(), h, w, k, win, epilogue(e))
	default:
		panic(fmt.Sprintf("nn: a weight of another backend: %T", k))
	}
}

func (p *cpuPass) Patches(dst, pictures tensor.Tensor, ph, pw int) {
	if p.done() {
		return
	}
	kernels.PatchesF32(p.team, dst.F32(), dst.LD(), pictures.F32(),
		pictures.Dim(0), pictures.Dim(1), pictures.Dim(2), pictures.Dim(3), ph, pw)
}

func (p *cpuPass) Activate(dst, x tensor.Tensor, act Act) {
	if p.done() {
		return
	}
	kernels.ActF32(p.team, dst.F32(), x.F32(), act)
}

func (p *cpuPass) Add(dst, a, b tensor.Tensor) {
	if p.done() {
		return
	}
	kernels.AddF32(p.team, dst.F32(), a.F32(), b.F32())
}

func (p *cpuPass) Scale(dst, x tensor.Tensor, s float32) {
	if p.done() {
		return
	}
	kernels.ScaleF32(p.team, dst.F32(), x.F32(), s)
}

func (p *cpuPass) Affine(dst, x, scale, shift tensor.Tensor) {
	if p.done() {
		return
	}
	kernels.AffineF32(p.team, dst.F32(), dst.LD(), x.F32(), x.LD(), scale.F32(), shift.F32(), x.Rows(), x.Cols())
}

func (p *cpuPass) Gated(dst, gate, up tensor.Tensor, act Act) {
	if p.done() {
		return
	}
	if dst.Contiguous() && gate.Contiguous() && up.Contiguous() {
		kernels.GatedActF32(p.team, dst.F32(), gate.F32(), up.F32(), act)
		return
	}
	p.gated = gatedTask{dst, gate, up, act}
	p.team.Run(&p.gated, (dst.Rows()+gatedRows-1)/gatedRows)
	p.gated = gatedTask{}
}

// gatedTask is one Gated of operands whose rows lie apart; a chunk is gatedRows
// rows.
type gatedTask struct {
	dst, gate, up tensor.Tensor
	act           Act
}

const gatedRows = 8

func (t *gatedTask) Do(chunk int) {
	c := t.dst.Cols()
	for r := chunk * gatedRows; r < min((chunk+1)*gatedRows, t.dst.Rows()); r++ {
		kernels.GatedActF32(nil, t.dst.F32()[r*t.dst.LD():][:c], t.gate.F32()[r*t.gate.LD():][:c], t.up.F32()[r*t.up.LD():][:c], t.act)
	}
}

func (p *cpuPass) Softmax(dst, x tensor.Tensor) {
	if p.done() {
		return
	}
	kernels.SoftmaxF32(p.team, dst.F32(), x.F32(), x.Rows(), x.Cols(), x.LD())
}

func (p *cpuPass) Gather(dst, x, rows tensor.Tensor) {
	if p.done() {
		return
	}
	kernels.GatherF32(p.team, dst.F32(), dst.LD(), x.F32(), x.LD(), rows.I32(), dst.Cols())
}

func (p *cpuPass) Combine(dst, x, residual tensor.Tensor, off []int32, rows, weights tensor.Tensor) {
	if p.done() {
		return
	}
	p.combine = combineTask{dst, x, residual, off, rows.I32(), weights.F32()}
	p.team.Run(&p.combine, (dst.Rows()+combineRows-1)/combineRows)
	p.combine = combineTask{}
}

// combineTask is one Combine; a chunk is combineRows rows.
type combineTask struct {
	dst, x, residual tensor.Tensor
	off, rows        []int32
	weights          []float32
}

const combineRows = 32

func (t *combineTask) Do(chunk int) {
	cols := t.dst.Cols()
	for i := chunk * combineRows; i < min((chunk+1)*combineRows, t.dst.Rows()); i++ {
		out := t.dst.F32()[i*t.dst.LD():][:cols]
		lo, hi := t.off[i], t.off[i+1]
		if lo == hi {
			clear(out)
		}
		for j := lo; j < hi; j++ {
			in := t.x.F32()[int(t.rows[j])*t.x.LD():][:cols]
			if j == lo {
				kernels.ScaleF32(nil, out, in, t.weights[j])
			} else {
				kernels.AxpyF32(nil, out, in, t.weights[j])
			}
		}
		if !t.residual.IsZero() {
			kernels.AddF32(nil, out, out, t.residual.F32()[i*t.residual.LD():][:cols])
		}
	}
}

func (p *cpuPass) MeanRows(dst, x tensor.Tensor, off []int32) {
	if p.done() {
		return
	}
	cols := x.Cols()
	for s := range len(off) - 1 {
		lo, hi := int(off[s]), int(off[s+1])
		kernels.MeanRowsF32(dst.F32()[s*dst.LD():s*dst.LD()+cols], x.F32()[lo*x.LD():], x.LD(), hi-lo, cols)
	}
}
