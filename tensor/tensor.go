package tensor

import "fmt"

// Tensor is a shaped view of host memory or of another device's. The zero Tensor
// is "absent": see [Tensor.IsZero].
type Tensor struct {
	dtype DType
	rank  int8
	shape [MaxRank]int
	ld    int // elements from one row (last dimension) to the next
	f32   []float32
	i32   []int32
	i64   []int64
	dev   any    // a device backend's own handle; nil on the host
	addr  uint64 // in the device's memory; 0 where the handle says it all
}

// FromF32 returns a tensor over data, without copying. It panics if data is
// shorter than the shape: callers check sizes that come from outside first.
func FromF32(data []float32, shape ...int) Tensor {
	t := header(F32, shape)
	t.f32 = data[:t.Len()]
	return t
}

// FromI32 is FromF32 for int32 elements.
func FromI32(data []int32, shape ...int) Tensor {
	t := header(I32, shape)
	t.i32 = data[:t.Len()]
	return t
}

// FromI64 is FromF32 for int64 elements.
func FromI64(data []int64, shape ...int) Tensor {
	t := header(I64, shape)
	t.i64 = data[:t.Len()]
	return t
}

// OnDevice returns a tensor whose elements only the device's backend knows where
// to find. It cannot be sliced.
func OnDevice(dev any, dtype DType, shape ...int) Tensor {
	t := header(dtype, shape)
	t.dev = dev
	return t
}

// AtAddress returns a tensor whose elements lie at an address, not 0, of a
// device's memory. dev should be a pointer: every view carries it.
func AtAddress(dev any, addr uint64, dtype DType, shape ...int) Tensor {
	t := header(dtype, shape)
	t.dev, t.addr = dev, addr
	return t
}

func header(dtype DType, shape []int) Tensor {
	if len(shape) > MaxRank {
		panic("tensor: rank above MaxRank")
	}
	if _, ok := Elems(shape...); !ok {
		panic("tensor: negative dimension, or more elements than an int counts")
	}
	t := Tensor{dtype: dtype, rank: int8(len(shape))}
	t.ld = 1
	for i, d := range shape {
		t.shape[i] = d
		t.ld = d
	}
	return t
}

// IsZero reports whether t is the zero Tensor, which stands for "absent".
func (t Tensor) IsZero() bool { return t.dtype == Invalid }

// DType returns the element type.
func (t Tensor) DType() DType { return t.dtype }

// Rank returns the number of dimensions.
func (t Tensor) Rank() int { return int(t.rank) }

// Dim returns the length of dimension i; negative i counts from the end.
func (t Tensor) Dim(i int) int {
	if i < 0 {
		i += int(t.rank)
	}
	if i < 0 || i >= int(t.rank) {
		panic("tensor: no such dimension")
	}
	return t.shape[i]
}

// Shape returns a copy of the dimensions.
func (t Tensor) Shape() []int { return append([]int(nil), t.shape[:t.rank]...) }

// Len returns the number of elements.
func (t Tensor) Len() int {
	n := 1
	for _, d := range t.shape[:t.rank] {
		n *= d
	}
	return n
}

// Rows returns the product of all dimensions but the last: t seen as a matrix
// [Rows, Cols].
func (t Tensor) Rows() int {
	n := 1
	for i := 0; i < int(t.rank)-1; i++ {
		n *= t.shape[i]
	}
	return n
}

// Cols returns the last dimension (1 for a scalar).
func (t Tensor) Cols() int {
	if t.rank == 0 {
		return 1
	}
	return t.shape[t.rank-1]
}

// LD returns the distance, in elements, between the starts of two rows.
func (t Tensor) LD() int { return t.ld }

// Contiguous reports whether the rows follow one another without a gap.
func (t Tensor) Contiguous() bool { return t.ld == t.Cols() || t.Rows() <= 1 }

// F32 returns the elements of a float32 tensor; element (r, c) of its matrix
// view lies at r*LD()+c. It panics on another type.
func (t Tensor) F32() []float32 {
	if t.dtype != F32 {
		panic("tensor: not F32")
	}
	return t.f32
}

// I32 returns the elements of an int32 tensor.
func (t Tensor) I32() []int32 {
	if t.dtype != I32 {
		panic("tensor: not I32")
	}
	return t.i32
}

// I64 returns the elements of an int64 tensor.
func (t Tensor) I64() []int64 {
	if t.dtype != I64 {
		panic("tensor: not I64")
	}
	return t.i64
}

// Device returns the handle given to OnDevice or AtAddress, nil for host memory.
func (t Tensor) Device() any { return t.dev }

// Address returns where the first element lies in the device's memory, 0 for
// host memory and for what OnDevice made.
func (t Tensor) Address() uint64 { return t.addr }

// Reshape returns the same elements under another shape of the same size.
// Rows with gaps can be regrouped, but not split or joined.
func (t Tensor) Reshape(shape ...int) Tensor {
	u := header(t.dtype, shape)
	if u.Len() != t.Len() {
		panic("tensor: reshape changes the number of elements")
	}
	if !t.Contiguous() {
		if u.Cols() != t.Cols() {
			panic("tensor: reshape of strided rows")
		}
		u.ld = t.ld
	}
	u.f32, u.i32, u.i64, u.dev, u.addr = t.f32, t.i32, t.i64, t.dev, t.addr
	return u
}

// ReshapeAs is Reshape to the shape of like.
func (t Tensor) ReshapeAs(like Tensor) Tensor { return t.Reshape(like.shape[:like.rank]...) }

// SliceRows returns rows lo to hi of the matrix view, as a [hi-lo, Cols] tensor.
func (t Tensor) SliceRows(lo, hi int) Tensor {
	if lo < 0 || hi < lo || hi > t.Rows() {
		panic("tensor: row slice out of range")
	}
	return t.window(lo*t.ld, hi-lo, t.Cols())
}

// SliceCols returns columns lo to hi of the matrix view, as a [Rows, hi-lo]
// tensor with t's row stride.
func (t Tensor) SliceCols(lo, hi int) Tensor {
	if lo < 0 || hi < lo || hi > t.Cols() {
		panic("tensor: column slice out of range")
	}
	return t.window(lo, t.Rows(), hi-lo)
}

func (t Tensor) window(off, rows, cols int) Tensor {
	u := Tensor{dtype: t.dtype, rank: 2, ld: t.ld}
	u.shape[0], u.shape[1] = rows, cols
	if t.dev != nil {
		if t.addr == 0 {
			panic("tensor: slice of device memory without an address")
		}
		u.dev, u.addr = t.dev, t.addr+uint64(off*t.dtype.Size())
		return u
	}
	n := 0
	if rows > 0 && cols > 0 {
		n = (rows-1)*t.ld + cols
	}
	if n == 0 {
		off = 0
	}
	switch t.dtype {
	case F32:
		u.f32 = t.f32[off : off+n]
	case I32:
		u.i32 = t.i32[off : off+n]
	case I64:
		u.i64 = t.i64[off : off+n]
	}
	return u
}

// Clone returns a contiguous copy of a host tensor on the Go heap.
func (t Tensor) Clone() Tensor {
	u := header(t.dtype, t.shape[:t.rank])
	rows, cols := t.Rows(), t.Cols()
	switch t.dtype {
	case F32:
		u.f32 = make([]float32, t.Len())
		copyRows(u.f32, t.f32, rows, cols, t.ld)
	case I32:
		u.i32 = make([]int32, t.Len())
		copyRows(u.i32, t.i32, rows, cols, t.ld)
	case I64:
		u.i64 = make([]int64, t.Len())
		copyRows(u.i64, t.i64, rows, cols, t.ld)
	}
	return u
}

func copyRows[T any](dst, src []T, rows, cols, ld int) {
	if cols == 0 {
		return
	}
	for r := range rows {
		copy(dst[r*cols:(r+1)*cols], src[r*ld:])
	}
}

// String returns the type and shape, such as "F32[2 16 768]".
func (t Tensor) String() string { return fmt.Sprintf("%s%v", t.dtype, t.shape[:t.rank]) }
