package safetensors

// DType is the element type of a stored tensor. The zero value is no type.
type DType uint8

// The element types, in the reference library's order, by which the writer
// sorts.
const (
	BOOL        DType = iota + 1 // one byte, 0 or 1
	F4                           // 4 bits, OCP MX FP4 (E2M1)
	F6_E2M3                      // 6 bits, OCP MX
	F6_E3M2                      // 6 bits, OCP MX
	U8                           // unsigned integer
	I8                           // signed integer
	F8_E5M2                      // arXiv:2209.05433
	F8_E4M3                      // arXiv:2209.05433, finite and NaN only
	F8_E8M0                      // a power of two, OCP MX's scale
	F8_E4M3FNUZ                  // arXiv:2206.02915
	F8_E5M2FNUZ                  // arXiv:2206.02915
	I16                          // signed integer
	U16                          // unsigned integer
	F16                          // IEEE 754 binary16
	BF16                         // upper half of a float32
	I32                          // signed integer
	U32                          // unsigned integer
	F32                          // IEEE 754 binary32
	C64                          // two float32
	F64                          // IEEE 754 binary64
	I64                          // signed integer
	U64                          // unsigned integer
)

var dtypes = [...]struct {
	name string
	bits int
}{
	BOOL: {"BOOL", 8}, F4: {"F4", 4}, F6_E2M3: {"F6_E2M3", 6}, F6_E3M2: {"F6_E3M2", 6},
	U8: {"U8", 8}, I8: {"I8", 8}, F8_E5M2: {"F8_E5M2", 8}, F8_E4M3: {"F8_E4M3", 8},
	F8_E8M0: {"F8_E8M0", 8}, F8_E4M3FNUZ: {"F8_E4M3FNUZ", 8}, F8_E5M2FNUZ: {"F8_E5M2FNUZ", 8},
	I16: {"I16", 16}, U16: {"U16", 16}, F16: {"F16", 16}, BF16: {"BF16", 16},
	I32: {"I32", 32}, U32: {"U32", 32}, F32: {"F32", 32}, C64: {"C64", 64},
	F64: {"F64", 64}, I64: {"I64", 64}, U64: {"U64", 64},
}

// ParseDType returns the type that the format calls name.
func ParseDType(name string) (DType, bool) { return parseDType([]byte(name)) }

func parseDType(name []byte) (DType, bool) {
	for d := BOOL; d <= U64; d++ {
		if dtypes[d].name == string(name) {
			return d, true
		}
	}
	return 0, false
}

// String returns the format's name for the type.
func (d DType) String() string {
	if d.valid() {
		return dtypes[d].name
	}
	return "invalid"
}

// Bits returns the size of an element in bits, 0 for no type.
func (d DType) Bits() int {
	if d.valid() {
		return dtypes[d].bits
	}
	return 0
}

func (d DType) valid() bool { return d >= BOOL && d <= U64 }
