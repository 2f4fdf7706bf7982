package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"reflect"
	"testing"
)

// tensorOf returns a tensor of the bytes, which lie misaligned by offset.
func tensorOf(t testing.TB, d DType, n int, data []byte, offset int) Tensor {
	t.Helper()
	header := fmt.Sprintf(`{"x":{"dtype":"%v","shape":[%d],"data_offsets":[0,%d]}}`, d, n, len(data))
	for (len(header)+lengthBytes)%8 != offset {
		header += " "
	}
	b := append(make([]byte, 0, len(header)+len(data)+8), file(header, string(data))...)
	f, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	x, _ := f.Lookup("x")
	return x
}

// TestNarrowFloats converts every value of the narrow types. The sums are
// those of testdata/convert.py (NumPy 2, ml_dtypes 0.5), NaNs made one.
func TestNarrowFloats(t *testing.T) {
	for _, c := range []struct {
		dtype DType
		crc   uint32
	}{
		{F16, 0x3020c7a7},
		{BF16, 0x28c5ed34},
		{F8_E4M3, 0x2fdee9ac},
		{F8_E5M2, 0x3d83fd11},
		{F8_E4M3FNUZ, 0xf2dfa052},
		{F8_E5M2FNUZ, 0x09c70b84},
		{F8_E8M0, 0x719979ba},
	} {
		width := c.dtype.Bits() / 8
		n := 1 << (8 * width)
		var data []byte
		for i := range n {
			data = append(data, byte(i), byte(i>>8))[:(i+1)*width]
		}
		for offset := range 2 {
			values, err := tensorOf(t, c.dtype, n, data, offset).Float32()
			if err != nil || len(values) != n {
				t.Fatal(c.dtype, len(values), err)
			}
			sum := crc32.NewIEEE()
			for _, v := range values {
				if v != v {
					v = math.Float32frombits(0x7fc00000)
				}
				binary.Write(sum, binary.LittleEndian, v)
			}
			if sum.Sum32() != c.crc {
				t.Errorf("%v: sum %#08x, want %#08x", c.dtype, sum.Sum32(), c.crc)
			}
		}
	}
}

// TestHalfNaN: a NaN keeps its payload, as the hardware's conversion has it.
func TestHalfNaN(t *testing.T) {
	x, err := tensorOf(t, F16, 2, []byte{0x01, 0x7e, 0xff, 0xff}, 0).Float32()
	if err != nil || math.Float32bits(x[0]) != 0x7fc02000 || math.Float32bits(x[1]) != 0xffffe000 {
		t.Errorf("%#x %#x %v", math.Float32bits(x[0]), math.Float32bits(x[1]), err)
	}
}

func TestWideTypes(t *testing.T) {
	le := binary.LittleEndian
	u64 := func(v ...uint64) (b []byte) {
		for _, x := range v {
			b = le.AppendUint64(b, x)
		}
		return b
	}
	u32 := func(v ...uint32) (b []byte) {
		for _, x := range v {
			b = le.AppendUint32(b, x)
		}
		return b
	}
	inf, denormal := float32(math.Inf(1)), math.Float32frombits(1)
	for _, c := range []struct {
		dtype DType
		data  []byte
		want  []float32
		ints  []int64 // nil: ErrDType
	}{
		{F32, u32(math.Float32bits(1.5), 1, 0x80000000, 0xff800000), []float32{1.5, denormal, float32(math.Copysign(0, -1)), -inf}, nil},
		// To nearest even; what is too large is infinite, what is too small 0.
		{F64, u64(math.Float64bits(1+0x1p-24), math.Float64bits(1+3*0x1p-24), math.Float64bits(1e39), math.Float64bits(0x1p-149), math.Float64bits(1e-60)),
			[]float32{1, 1 + 2*0x1p-23, inf, denormal, 0}, nil},
		{I64, u64(1<<24+1, 1<<24+3, 1<<63, math.MaxUint64), []float32{1 << 24, 1<<24 + 4, -0x1p63, -1}, []int64{1<<24 + 1, 1<<24 + 3, math.MinInt64, -1}},
		{U64, u64(math.MaxUint64, 1<<63+1), []float32{0x1p64, 0x1p63}, nil},
		{U64, u64(7, math.MaxInt64), []float32{7, 0x1p63}, []int64{7, math.MaxInt64}},
		{I32, u32(math.MaxUint32, 1<<31, 1<<24+1), []float32{-1, -0x1p31, 1 << 24}, []int64{-1, math.MinInt32, 1<<24 + 1}},
		{U32, u32(math.MaxUint32, 5), []float32{0x1p32, 5}, []int64{math.MaxUint32, 5}},
		{I16, []byte{0xff, 0xff, 0x00, 0x80}, []float32{-1, -32768}, []int64{-1, -32768}},
		{U16, []byte{0xff, 0xff, 0x00, 0x80}, []float32{65535, 32768}, []int64{65535, 32768}},
		{I8, []byte{0xff, 0x80, 0x7f}, []float32{-1, -128, 127}, []int64{-1, -128, 127}},
		{U8, []byte{0xff, 0x80}, []float32{255, 128}, []int64{255, 128}},
		{BOOL, []byte{0, 1, 255}, []float32{0, 1, 1}, []int64{0, 1, 1}},
	} {
		for offset := range 8 {
			x := tensorOf(t, c.dtype, len(c.want), c.data, offset)
			got, err := x.Float32()
			if err != nil || !sameBits(got, c.want) {
				t.Errorf("%v at %d: %v %v, want %v", c.dtype, offset, got, err, c.want)
			}
			ints, err := x.Int64()
			if c.ints == nil != errors.Is(err, ErrDType) || !reflect.DeepEqual(ints, c.ints) {
				t.Errorf("%v at %d: %v %v, want %v", c.dtype, offset, ints, err, c.ints)
			}
		}
	}
	for d, want := range map[DType]error{C64: ErrDType, F4: ErrUnsupported, F6_E2M3: ErrUnsupported, F6_E3M2: ErrUnsupported} {
		if _, err := tensorOf(t, d, 8, make([]byte, d.Bits()), 0).Float32(); !errors.Is(err, want) {
			t.Errorf("%v: %v, want %v", d, err, want)
		}
	}
}

func sameBits(a, b []float32) bool {
	for i := range b {
		if len(a) != len(b) || math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return true
}

// TestZeroCopy: aligned F32 data is used where it lies, other data is not.
func TestZeroCopy(t *testing.T) {
	if !littleEndian {
		t.Skip("on a big-endian machine all data is converted")
	}
	for offset := range 8 {
		x := tensorOf(t, F32, 2, make([]byte, 8), offset)
		v, err := x.Float32()
		if err != nil {
			t.Fatal(err)
		}
		x.Data()[3] = 0x40 // a test's own bytes
		if inPlace := v[0] == 2; inPlace != aligned(x.Data(), 4) {
			t.Errorf("offset %d: in place %v", offset, inPlace)
		}
	}
}

func BenchmarkFloat32(b *testing.B) {
	for _, d := range []DType{F16, BF16, F8_E4M3, F64, I8} {
		const n = 1 << 20
		data := make([]byte, n*d.Bits()/8)
		for i := range data {
			data[i] = byte(i*7) & 0x3f
		}
		x := tensorOf(b, d, n, data, 0)
		b.Run(d.String(), func(b *testing.B) {
			b.SetBytes(4 * n)
			for b.Loop() {
				if _, err := x.Float32(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
