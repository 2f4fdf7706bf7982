package nn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/kernels/cuda"
	"github.com/seed-512d3d71/weft/tensor"
)

// GPU describes a device that [OpenCUDA] opens.
type GPU = cuda.Info

// GPUs lists the NVIDIA GPUs, or says why there are none.
func GPUs() ([]GPU, error) { return cuda.Devices() }

// CUDA is the backend over package kernels/cuda: weights and the tensors of a
// pass lie in a GPU's memory. What a pass computes is put on a list; when the
// host asks for a result the list goes to the GPU, as a CUDA graph if an earlier
// pass made the same one.
//
// Results are those of the CPU within rounding, not to the bit.
type CUDA struct {
	device cuda.Device
	typ    cuda.Type // of activations and weights
	pages  sync.Map  // *pageMemory: what caches hold

	mu     sync.Mutex
	slabs  *cuda.Slabs // weights
	load   loader
	consts map[*float32]constant
	idle   []*cudaPass
	begun  int
	closed bool
	broken error
}

// constant is host data that is always the same, and its copy. Holding on to
// the data keeps its address from standing for other data.
type constant struct {
	data []float32
	at   cuda.Ptr
}

var (
	errClosed    = errors.New("cuda: the model is closed")
	errNotHere   = errors.New("cuda: an operand that is not on this device")
	errWrongType = errors.New("cuda: a weight of another backend")
)

// Why there is no GPU to compute on.
var (
	ErrNoDriver = cuda.ErrNoDriver
	ErrNoDevice = cuda.ErrNoDevice
	ErrMemory   = cuda.ErrMemory
)

// OpenCUDA returns a backend on the GPU of an index. In a program built without
// the binding to the driver it is unsupported.
func OpenCUDA(index int) (*CUDA, error) {
	d, err := cuda.Open(index)
	if errors.Is(err, cuda.ErrNotBuilt) {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	if err != nil {
		return nil, err
	}
	c, err := NewCUDA(d)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return c, nil
}

// NewCUDA returns a backend on a device, which it closes when it is closed.
func NewCUDA(d cuda.Device) (*CUDA, error) {
	c := &CUDA{device: d, slabs: cuda.NewSlabs(d), consts: map[*float32]constant{}}
	if err := c.load.open(d); err != nil {
		return nil, err
	}
	return c, nil
}

// SetPrecision changes what is computed in, before a weight is bound.
func (c *CUDA) SetPrecision(p kernels.Precision) {
	c.typ = cuda.F32
	if p == kernels.PrecisionBF16 {
		c.typ = cuda.BF16
	}
}

// Name returns "cuda" and the device's index.
func (c *CUDA) Name() string { return fmt.Sprintf("cuda:%d", c.device.Info().Index) }

// Device describes the GPU.
func (c *CUDA) Device() GPU { return c.device.Info() }

// Bytes returns the device memory that weights hold.
func (c *CUDA) Bytes() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slabs.Bytes()
}

// Close gives the device and all memory on it back. No pass may be running.
func (c *CUDA) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	if c.begun > 0 {
		return fmt.Errorf("cuda: closed with %d passes running", c.begun)
	}
	c.closed = true
	for _, p := range c.idle {
		p.close()
	}
	c.idle, c.consts = nil, nil
	c.pages.Range(func(m, _ any) bool {
		m.(*pageMemory).free()
		return true
	})
	c.load.close(c.device)
	c.slabs.Close()
	return c.device.Close()
}

// cudaMatrix is a weight [Out, In], its rows one after the other.
type cudaMatrix struct {
	at      cuda.Ptr
	out, in int
	typ     cuda.Type
}

func (m *cudaMatrix) Out() int   { return m.out }
func (m *cudaMatrix) In() int    { return m.in }
func (m *cudaMatrix) Bytes() int { return m.out * m.in * m.typ.Size() }

// Matrix copies parts to the device, stacked along their outputs. Weights that
// are stored quantized are dequantized.
func (c *CUDA) Matrix(name string, parts ...MatrixPart) (Matrix, error) {
	m := &cudaMatrix{typ: c.typ}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s: no weight", name)
	}
	if isRouter(name) {
		m.typ = cuda.F32 // a choice jumps where a value only drifts
	}
	for _, q := range parts {
		n, ok := tensor.Elems(q.Out, q.In)
		if !ok || q.Stored == nil && n > len(q.Data) || q.In != parts[0].In {
			return nil, fmt.Errorf("%s: parts of a stacked weight disagree: %w", name, tensor.ErrShape)
		}
		m.out, m.in = m.out+q.Out, q.In
	}
	if _, ok := tensor.Elems(m.out, m.in, 4); !ok {
		return nil, fmt.Errorf("%s: %d outputs: %w", name, m.out, tensor.ErrShape)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var err error
	if m.at, err = c.alloc(m.Bytes()); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	at := m.at
	for _, q := range parts {
		data := q.Data
		if data == nil {
			if data, err = q.Stored.Float32(); err != nil {
				return nil, err
			}
		}
		data = data[:q.Out*q.In]
		if q.Transposed {
			err = c.transposed(at, data, q.In, q.Out, m.typ)
		} else {
			err = c.load.floats(at, data, m.typ)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		at += cuda.Ptr(len(data) * m.typ.Size())
	}
	return m, nil
}

// transposed copies data [rows, cols] to dst [cols, rows]. The device turns it.
func (c *CUDA) transposed(dst cuda.Ptr, data []float32, rows, cols int, typ cuda.Type) error {
	p, err := c.device.Alloc(len(data) * typ.Size())
	if err != nil {
		return err
	}
	defer c.device.Free(p)
	if err := c.load.floats(p, data, typ); err != nil {
		return err
	}
	cuda.Transpose(c.load.stream, typ, cuda.Mat{P: dst, LD: rows}, cuda.Mat{P: p, LD: cols}, rows, cols)
	return c.load.stream.Sync()
}

// cudaConv is a convolution's weight [out, kh, kw, in/groups].
type cudaConv struct {
	cudaMatrix
	ins, kh, kw, groups int
}

func (w *cudaConv) In() int { return w.ins }

// Conv1D copies w [out, in/groups, width] to the device.
func (c *CUDA) Conv1D(name string, w []float32, out, in, width, groups int) (Conv, error) {
	return c.Conv2D(name, w, out, in, 1, width, groups)
}

// Conv2D copies w [out, in/groups, kh, kw] to the device, channels last.
func (c *CUDA) Conv2D(name string, w []float32, out, in, kh, kw, groups int) (Conv, error) {
	if err := checkConv(name, len(w), out, in, groups, kh, kw); err != nil {
		return nil, err
	}
	taps, ins := kh*kw, in/groups
	last := make([]float32, out*ins*taps)
	for o := range out {
		from, to := w[o*ins*taps:][:ins*taps], last[o*ins*taps:][:ins*taps]
		for ch := range ins {
			for t := range taps {
				to[t*ins+ch] = from[ch*taps+t]
			}
		}
	}
	at, err := c.place(last, c.typ)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &cudaConv{cudaMatrix{at, out, ins * taps, c.typ}, in, kh, kw, groups}, nil
}

// Vector copies data to the device: biases and gains as floats, tables of rows
// as activations are.
func (c *CUDA) Vector(name string, data []float32, rows, cols int) (tensor.Tensor, error) {
	n, ok := tensor.Elems(rows, cols)
	if !ok || n > len(data) {
		return tensor.Tensor{}, fmt.Errorf("%s: %d elements for [%d %d]: %w", name, len(data), rows, cols, tensor.ErrShape)
	}
	typ := cuda.F32
	if rows > 1 {
		typ = c.typ
	}
	at, err := c.place(data[:n], typ)
	if err != nil {
		return tensor.Tensor{}, fmt.Errorf("%s: %w", name, err)
	}
	t := tensor.AtAddress(c, uint64(at), dtypeOf(typ), rows, cols)
	if rows == 1 {
		t = t.Reshape(cols)
	}
	return t, nil
}

func dtypeOf(t cuda.Type) tensor.DType {
	if t == cuda.BF16 {
		return tensor.BF16
	}
	return tensor.F32
}

func typeOf(t tensor.Tensor) cuda.Type {
	if t.DType() == tensor.BF16 {
		return cuda.BF16
	}
	return cuda.F32
}

// place copies data to new memory.
func (c *CUDA) place(data []float32, typ cuda.Type) (cuda.Ptr, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.alloc(len(data) * typ.Size())
	if err == nil {
		err = c.load.floats(p, data, typ)
	}
	return p, err
}

// alloc returns memory that lives as long as the backend.
func (c *CUDA) alloc(bytes int) (cuda.Ptr, error) {
	if c.closed {
		return 0, errClosed
	}
	return c.slabs.Alloc(bytes)
}

// constantOf returns where the device's copy of data is.
func (c *CUDA) constantOf(data []float32) (cuda.Ptr, error) {
	if len(data) == 0 {
		return cuda.Ptr(deviceNothing), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := &data[0]
	if k, ok := c.consts[key]; ok && len(k.data) >= len(data) {
		return k.at, nil
	}
	p, err := c.alloc(4 * len(data))
	if err == nil {
		err = c.load.floats(p, data, cuda.F32)
	}
	if err == nil {
		c.consts[key] = constant{data, p}
	}
	return p, err
}

// deviceNothing is the address of no elements.
const deviceNothing = 256

// loader copies weights to the device through pinned memory: a copy that the
// driver would make itself could not turn the fault of a mapped file that has
// shrunk into an error.
type loader struct {
	stream cuda.Stream
	buf    [2][]byte
}

const loadBytes = 1 << 20

func (l *loader) open(d cuda.Device) (err error) {
	for i := range l.buf {
		if l.buf[i], err = d.Pinned(loadBytes); err != nil {
			l.close(d)
			return err
		}
	}
	if l.stream, err = d.NewStream(); err != nil {
		l.close(d)
	}
	return err
}

func (l *loader) close(d cuda.Device) {
	if l.stream != nil {
		l.stream.Close()
	}
	for _, b := range l.buf {
		if b != nil {
			d.Unpin(b)
		}
	}
	*l = loader{}
}

// floats copies data to dst, rounded to a type: one buffer is filled while the
// other is copied.
func (l *loader) floats(dst cuda.Ptr, data []float32, typ cuda.Type) error {
	per := loadBytes / typ.Size()
	for i := 0; len(data) > 0; i++ {
		if i >= len(l.buf) {
			if err := l.stream.Sync(); err != nil {
				return err
			}
		}
		n := min(per, len(data))
		b := l.buf[i%len(l.buf)][:n*typ.Size()]
		encode(b, data[:n], typ)
		l.stream.Upload(dst, b)
		dst, data = dst+cuda.Ptr(len(b)), data[n:]
	}
	return l.stream.Sync()
}

// encode writes data as the device has it.
func encode(b []byte, data []float32, typ cuda.Type) {
	switch {
	case len(data) == 0:
	case typ == cuda.BF16:
		kernels.ConvertF32BF16(unsafe.Slice((*uint16)(unsafe.Pointer(&b[0])), len(data)), data)
	default:
		copy(unsafe.Slice((*float32)(unsafe.Pointer(&b[0])), len(data)), data)
	}
}

// Begin takes a pass, with the memory it grew in earlier calls. The pass that was
// given back last comes first: equal calls get equal addresses, and so graphs.
func (c *CUDA) Begin(ctx context.Context) Pass {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun++
	var p *cudaPass
	if n := len(c.idle); n > 0 {
		p, c.idle = c.idle[n-1], c.idle[:n-1]
	} else {
		p = newCUDAPass(c)
	}
	p.ctx = ctx
	if p.err == nil && c.closed {
		p.err = errClosed
	}
	if p.err == nil && c.broken != nil {
		p.err = c.broken
	}
	return p
}

// end takes a pass back. err is what the device said at its end.
func (c *CUDA) end(p *cudaPass, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun--
	if err != nil && !errors.Is(err, cuda.ErrMemory) && c.broken == nil {
		c.broken = err // an error of a kernel spoils the whole context
	}
	if p.stream == nil || c.closed {
		p.close()
		return
	}
	c.idle = append(c.idle, p)
}
