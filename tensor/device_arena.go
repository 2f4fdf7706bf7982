package tensor

// DeviceArena is an [Arena] in a device's memory. In a steady state it asks for
// no memory, and equal passes get equal addresses.
type DeviceArena struct {
	dev    any
	memory DeviceMemory
	blocks []deviceBlock
	pos    position // off counts bytes
	err    error
}

// DeviceMemory is where a DeviceArena takes its blocks from.
type DeviceMemory interface {
	Alloc(bytes int) (addr uint64, err error)
	Free(addr uint64)
}

type deviceBlock struct {
	addr  uint64
	bytes int
}

const (
	deviceAlign    = 256     // bytes: what one access of a group of threads spans, and more
	minDeviceBlock = 1 << 21 // bytes of a first block
)

// NewDeviceArena returns an arena of tensors with the handle dev.
func NewDeviceArena(dev any, m DeviceMemory) *DeviceArena {
	return &DeviceArena{dev: dev, memory: m}
}

// New returns a tensor that lives until its mark is released. If there is no
// memory left its address must not be used: see Err.
func (a *DeviceArena) New(dtype DType, shape ...int) Tensor {
	t := header(dtype, shape)
	t.dev, t.addr = a.dev, a.Take(dtype.Size()*t.Len())
	return t
}

// Take returns the address of so many bytes, one that must not be used if there
// is no memory left.
func (a *DeviceArena) Take(bytes int) uint64 {
	need := max(deviceAlign, (bytes+deviceAlign-1)&^(deviceAlign-1))
	for a.pos.block < len(a.blocks) {
		if b := a.blocks[a.pos.block]; a.pos.off+need <= b.bytes {
			addr := b.addr + uint64(a.pos.off)
			a.pos.off += need
			return addr
		}
		a.pos = position{block: a.pos.block + 1}
	}
	n := max(need, minDeviceBlock, a.Bytes())
	addr, err := a.memory.Alloc(n)
	if err != nil && n > need {
		n = need
		addr, err = a.memory.Alloc(n)
	}
	if err != nil {
		a.err = err
		return deviceAlign
	}
	a.blocks = append(a.blocks, deviceBlock{addr, n})
	a.pos = position{block: len(a.blocks) - 1, off: need}
	return addr
}

// Err returns why there was no memory, since the last Reset.
func (a *DeviceArena) Err() error { return a.err }

// Mark returns the present position.
func (a *DeviceArena) Mark() Mark { return Mark{f32: a.pos} }

// Release frees everything allocated since m.
func (a *DeviceArena) Release(m Mark) { a.pos = m.f32 }

// Reset frees everything and joins the blocks of a grown arena into one. The
// device must have finished what used it.
func (a *DeviceArena) Reset() {
	if len(a.blocks) > 1 {
		n := a.Bytes()
		a.Close()
		if addr, err := a.memory.Alloc(n); err == nil {
			a.blocks = append(a.blocks, deviceBlock{addr, n})
		}
	}
	a.pos, a.err = position{}, nil
}

// Bytes returns the memory the arena holds.
func (a *DeviceArena) Bytes() int {
	n := 0
	for _, b := range a.blocks {
		n += b.bytes
	}
	return n
}

// Close gives the memory back.
func (a *DeviceArena) Close() {
	for _, b := range a.blocks {
		a.memory.Free(b.addr)
	}
	a.blocks, a.pos = a.blocks[:0], position{}
}
