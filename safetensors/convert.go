package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
	"sync"
	"unsafe"
)

// littleEndian says that the machine's numbers lie in memory as the file's do.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// Float32 returns the tensor's elements as float32. Aligned F32 data on a
// little-endian machine is returned where it lies, under the rules of
// [Tensor.Data]; other data is a converted copy. F64 and integers are rounded
// to nearest even; BOOL is 0 or 1. Of the floating-point types all of 8 bits and
// more are converted; C64 has no float32 value (ErrDType) and the packed types
// of 4 and 6 bits are refused (ErrUnsupported).
func (t Tensor) Float32() ([]float32, error) {
	var out []float32
	err := t.read(func(b []byte) error {
		if t.DType == F32 && littleEndian && aligned(b, 4) {
			out = view[float32](b, 4)
			return nil
		}
		put, err := t.toFloat32()
		if err != nil {
			return err
		}
		if t.elems > math.MaxInt/4 { // on 32-bit machines
			return fmt.Errorf("%d elements do not fit the address space: %w", t.elems, ErrUnsupported)
		}
		out = make([]float32, t.Len())
		put(out, b)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Int8 returns the elements of an I8 tensor where they lie: see [Tensor.Data].
func (t Tensor) Int8() ([]int8, error) {
	var out []int8
	err := t.read(func(b []byte) error {
		if t.DType != I8 {
			return fmt.Errorf("%v, not I8: %w", t.DType, ErrUnsupported)
		}
		out = view[int8](b, 1)
		return nil
	})
	return out, err
}

// toFloat32 returns the conversion of the tensor's type.
func (t Tensor) toFloat32() (func(dst []float32, b []byte), error) {
	switch t.DType {
	case F32:
		return func(dst []float32, b []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
			}
		}, nil
	case F64:
		return func(dst []float32, b []byte) {
			for i := range dst {
				dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:])))
			}
		}, nil
	case BF16:
		return func(dst []float32, b []byte) {
			for i := range dst {
				dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
			}
		}, nil
	case F16:
		return func(dst []float32, b []byte) {
			for i := range dst {
				h := binary.LittleEndian.Uint16(b[2*i:])
				rest := uint32(h & 0x7fff)
				if rest-minNormal16 < inf16-minNormal16 {
					dst[i] = math.Float32frombits(uint32(h&0x8000)<<16 | (rest<<13 + rebias16))
				} else {
					dst[i] = half(h)
				}
			}
		}, nil
	case F8_E4M3, F8_E5M2, F8_E8M0, F8_E4M3FNUZ, F8_E5M2FNUZ:
		table := float8()[t.DType]
		return func(dst []float32, b []byte) {
			for i := range dst {
				dst[i] = table[b[i]]
			}
		}, nil
	case F4, F6_E2M3, F6_E3M2:
		return nil, fmt.Errorf("%v to float32: %w", t.DType, ErrUnsupported)
	case U64:
		return func(dst []float32, b []byte) {
			for i := range dst {
				dst[i] = float32(binary.LittleEndian.Uint64(b[8*i:]))
			}
		}, nil
	}
	get := integer(t.DType)
	if get == nil {
		return nil, fmt.Errorf("%v to float32: %w", t.DType, ErrDType)
	}
	return func(dst []float32, b []byte) {
		for i := range dst {
			dst[i] = float32(get(b, i))
		}
	}, nil
}

// Int64 returns a copy of the elements of an integer or BOOL tensor (0 or 1)
// as int64. Other types are ErrDType, and so is a U64 element over 2⁶³−1.
func (t Tensor) Int64() ([]int64, error) {
	var out []int64
	err := t.read(func(b []byte) error {
		get := integer(t.DType)
		if get == nil {
			return fmt.Errorf("%v to int64: %w", t.DType, ErrDType)
		}
		if t.elems > math.MaxInt/8 { // on 32-bit machines
			return fmt.Errorf("%d elements do not fit the address space: %w", t.elems, ErrUnsupported)
		}
		out = make([]int64, t.Len())
		for i := range out {
			out[i] = get(b, i)
			if t.DType == U64 && out[i] < 0 {
				return fmt.Errorf("element %d is %d: %w", i, uint64(out[i]), ErrDType)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// integer returns the function that reads element i of an integer type, nil
// for any other type.
func integer(d DType) func(b []byte, i int) int64 {
	switch d {
	case BOOL:
		return func(b []byte, i int) int64 {
			if b[i] != 0 {
				return 1
			}
			return 0
		}
	case U8:
		return func(b []byte, i int) int64 { return int64(b[i]) }
	case I8:
		return func(b []byte, i int) int64 { return int64(int8(b[i])) }
	case U16:
		return func(b []byte, i int) int64 { return int64(binary.LittleEndian.Uint16(b[2*i:])) }
	case I16:
		return func(b []byte, i int) int64 { return int64(int16(binary.LittleEndian.Uint16(b[2*i:]))) }
	case U32:
		return func(b []byte, i int) int64 { return int64(binary.LittleEndian.Uint32(b[4*i:])) }
	case I32:
		return func(b []byte, i int) int64 { return int64(int32(binary.LittleEndian.Uint32(b[4*i:]))) }
	case U64, I64:
		return func(b []byte, i int) int64 { return int64(binary.LittleEndian.Uint64(b[8*i:])) }
	}
	return nil
}

// The bits of binary16, without the sign.
const (
	minNormal16 = 0x0400
	inf16       = 0x7c00           // and NaN above
	rebias16    = (127 - 15) << 23 // from its exponent's bias to float32's
)

// half converts binary16, exactly; NaN keeps its payload.
func half(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	rest := uint32(h & 0x7fff)
	switch {
	case rest >= inf16: // infinity, NaN
		return math.Float32frombits(sign | 0x7f800000 | rest<<13&0x7fffff)
	case rest >= minNormal16:
		return math.Float32frombits(sign | (rest<<13 + rebias16))
	}
	f := float32(rest) * (1.0 / (1 << 24)) // zero, subnormal
	return math.Float32frombits(sign | math.Float32bits(f))
}

// float8 returns the values of the 8-bit types by their bytes.
var float8 = sync.OnceValue(func() map[DType]*[256]float32 {
	nan := float32(math.NaN())
	tables := map[DType]*[256]float32{}
	fill := func(d DType, value func(b int) float32) {
		tables[d] = new([256]float32)
		for b := range tables[d] {
			tables[d][b] = value(b)
		}
	}
	// number reads sign, exponent and mantissa without special values.
	number := func(b, mantissaBits, bias int) float32 {
		one := 1 << mantissaBits
		mantissa, exponent := b&(one-1), b&0x7f>>mantissaBits
		if exponent == 0 {
			exponent = 1
		} else {
			mantissa |= one
		}
		f := math.Ldexp(float64(mantissa), exponent-bias-mantissaBits)
		if b&0x80 != 0 {
			f = math.Copysign(f, -1)
		}
		return float32(f)
	}
	fill(F8_E4M3, func(b int) float32 {
		if b&0x7f == 0x7f {
			return nan
		}
		return number(b, 3, 7)
	})
	fill(F8_E5M2, func(b int) float32 {
		switch {
		case b&0x7f == 0x7c:
			return float32(math.Inf(1 - b>>6)) // 0x7c +, 0xfc -
		case b&0x7f > 0x7c:
			return nan
		}
		return number(b, 2, 15)
	})
	fnuz := func(mantissaBits, bias int) func(int) float32 {
		return func(b int) float32 {
			if b == 0x80 {
				return nan
			}
			return number(b, mantissaBits, bias)
		}
	}
	fill(F8_E4M3FNUZ, fnuz(3, 8))
	fill(F8_E5M2FNUZ, fnuz(2, 16))
	fill(F8_E8M0, func(b int) float32 {
		if b == 0xff {
			return nan
		}
		return float32(math.Ldexp(1, b-127))
	})
	return tables
})

func aligned(b []byte, n uintptr) bool {
	return uintptr(unsafe.Pointer(unsafe.SliceData(b)))%n == 0
}

// view returns b, which is aligned, as elements of size bytes.
func view[T any](b []byte, size int) []T {
	if len(b) == 0 {
		return []T{}
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size)
}

// bytesOf returns the little-endian bytes of a slice, in place where it can.
func bytesOf[T float32 | int64](s []T) []byte {
	size := int(unsafe.Sizeof(*new(T)))
	if littleEndian {
		return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), len(s)*size)
	}
	b, _ := binary.Append(make([]byte, 0, len(s)*size), binary.LittleEndian, s)
	return b
}
