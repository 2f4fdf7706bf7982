package tensor

// DType is the element type of a Tensor.
type DType uint8

// The element types that weft computes with. Checkpoints may hold many more
// (see package safetensors); they are converted when weights are bound.
const (
	Invalid DType = iota
	F32           // float32: every activation
	I32           // int32: ids inside a pass
	I64           // int64: ids and integer results at the edges
	BF16          // bfloat16: activations in a device's memory, if it is asked for them
)

// String returns the name that safetensors uses for the type.
func (d DType) String() string {
	switch d {
	case F32:
		return "F32"
	case I32:
		return "I32"
	case I64:
		return "I64"
	case BF16:
		return "BF16"
	}
	return "invalid"
}

// Size returns the bytes of an element.
func (d DType) Size() int {
	switch d {
	case BF16:
		return 2
	case F32, I32:
		return 4
	case I64:
		return 8
	}
	return 0
}
