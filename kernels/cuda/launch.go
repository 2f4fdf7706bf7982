package cuda

import (
	"embed"
	"encoding/binary"
	"math"
)

// Ptr is an address in device memory; 0 is none.
type Ptr uint64

// Dim is the size of a grid in blocks or of a block in threads.
type Dim struct{ X, Y, Z int }

// Kernel names an entry of a file under ptx/, by the file's stem.
type Kernel struct{ Module, Entry string }

// Queue is a stream of a device: what is launched runs in order. A queue
// belongs to one goroutine and keeps the first error.
type Queue interface {
	// Args returns the queue's parameter buffer, emptied.
	Args() *Args
	// Launch puts a kernel on the queue. shared is the dynamic shared memory of a
	// block in bytes; what a kernel declares itself is not in it. Above 48 KiB the
	// queue raises the kernel's limit first. args may be used again on return.
	Launch(k Kernel, grid, block Dim, shared int, args *Args)
	// Target is the device's compute capability times ten: 75, 80, 90.
	Target() int
}

// Args are the parameters of a kernel, laid out as PTX does: each at a multiple
// of its size.
type Args struct {
	buf [maxArgs]byte
	n   int
}

const maxArgs = 1024

// Reset empties a.
func (a *Args) Reset() { a.n = 0 }

// Buffer returns the parameters; it is good until the next change of a.
func (a *Args) Buffer() []byte { return a.buf[:a.n] }

func (a *Args) take(size, align int) []byte {
	from := (a.n + align - 1) &^ (align - 1)
	clear(a.buf[a.n:from])
	a.n = from + size
	return a.buf[from:a.n]
}

// Ptr appends an address.
func (a *Args) Ptr(p Ptr) *Args { return a.I64(int(p)) }

// I32 appends a 32-bit integer.
func (a *Args) I32(v int) *Args {
	binary.LittleEndian.PutUint32(a.take(4, 4), uint32(v))
	return a
}

// I64 appends a 64-bit integer.
func (a *Args) I64(v int) *Args {
	binary.LittleEndian.PutUint64(a.take(8, 8), uint64(v))
	return a
}

// F32 appends a float.
func (a *Args) F32(v float32) *Args {
	binary.LittleEndian.PutUint32(a.take(4, 4), math.Float32bits(v))
	return a
}

// Bytes appends a tensor map, at a multiple of 64 bytes.
func (a *Args) Bytes(b []byte) *Args {
	copy(a.take(len(b), 64), b)
	return a
}

// Mat appends a matrix: its address and the distance of its rows.
func (a *Args) Mat(m Mat) *Args { return a.Ptr(m.P).I64(m.LD) }

// Type is the type of the elements of an operand.
type Type uint8

const (
	F32 Type = iota
	BF16
	F16
	numTypes
	// TF32: floats in memory, multiplied with ten bits of fraction. Products only.
	TF32
)

// Size returns the bytes of an element.
func (t Type) Size() int {
	if t == BF16 || t == F16 {
		return 2
	}
	return 4
}

// memory returns the type as which elements of t lie in memory.
func (t Type) memory() Type {
	if t == TF32 {
		return F32
	}
	return t
}

func (t Type) String() string {
	return [...]string{F32: "f32", BF16: "bf16", F16: "f16", TF32: "tf32"}[t]
}

// Act is an activation function, numbered as kernels.Act.
type Act int32

// ActNone leaves a value as it is.
const ActNone Act = 0

// Mat is a matrix in row-major order, LD elements from one row to the next. The
// zero Mat is none.
type Mat struct {
	P  Ptr
	LD int
}

// Epilogue is what happens to a product before it is stored: the bias is added,
// the activation applied, the residual added, in that order.
type Epilogue struct {
	Bias     Ptr // floats, one a column, or none
	Act      Act
	Residual Mat // of the product's type and shape, or none; may be the product
}

//go:embed ptx/*.ptx
var ptx embed.FS

// PTX returns the text of a module.
func PTX(module string) ([]byte, error) { return ptx.ReadFile("ptx/" + module + ".ptx") }

// byType is the kernels of a family that has one entry a type, entry_type.
func byType(module, entry string) (k [numTypes]Kernel) {
	for t := range numTypes {
		k[t] = Kernel{module, entry + "_" + t.String()}
	}
	return k
}

// vectors is the kernels of a family that come with and without vector loads:
// entry_type_v4 and entry_type_v1.
type vectors [numTypes][2]Kernel

func byVector(module, entry string) (k vectors) {
	for t := range numTypes {
		k[t] = [2]Kernel{{module, entry + "_" + t.String() + "_v1"}, {module, entry + "_" + t.String() + "_v4"}}
	}
	return k
}

func (v *vectors) choose(t Type, four bool) Kernel {
	if four {
		return v[t][1]
	}
	return v[t][0]
}

// whole reports whether four elements of m of type t at a time may be read from
// any row of cols elements.
func (m Mat) whole(t Type, cols int) bool {
	return m.P == 0 || int(m.P)%(4*t.Size()) == 0 && m.LD%4 == 0 && cols%4 == 0
}

func ceil(a, b int) int { return (a + b - 1) / b }

// maxGrid is the most blocks of a grid in y and z.
const maxGrid = 65535
