package ptx

import (
	"encoding/binary"

	"github.com/seed-512d3d71/weft/kernels/cuda"
)

// Encode returns numbers as they lie in device memory, rounded to nearest even.
func Encode(t cuda.Type, x []float32) []byte {
	out := make([]byte, 0, len(x)*t.Size())
	for _, v := range x {
		switch t {
		case cuda.BF16:
			out = binary.LittleEndian.AppendUint16(out, toBF16(v))
		case cuda.F16:
			out = binary.LittleEndian.AppendUint16(out, toF16(v))
		default:
			out = binary.LittleEndian.AppendUint32(out, bits32(v))
		}
	}
	return out
}

// Decode is the reverse of [Encode].
func Decode(t cuda.Type, b []byte) []float32 {
	x := make([]float32, len(b)/t.Size())
	for i := range x {
		switch t {
		case cuda.BF16:
			x[i] = f32(uint32(binary.LittleEndian.Uint16(b[2*i:])) << 16)
		case cuda.F16:
			x[i] = fromF16(binary.LittleEndian.Uint16(b[2*i:]))
		default:
			x[i] = f32(binary.LittleEndian.Uint32(b[4*i:]))
		}
	}
	return x
}

// Round returns the number of type t that is nearest to x.
func Round(t cuda.Type, x float32) float32 { return Decode(t, Encode(t, []float32{x}))[0] }
