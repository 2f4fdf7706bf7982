package pil

import "math"

// grey stores a level, clipped to 0..255.
func grey(dst []byte, v int) {
	l := uint8(min(max(v, 0), 255))
	dst[0], dst[1], dst[2] = l, l, l
}

// floatLevel truncates a 32-bit float to a level; NaN is black.
func floatLevel(bits uint32) int {
	v := math.Float32frombits(bits)
	switch {
	case v >= 255:
		return 255
	case v > 0:
		return int(v)
	}
	return 0
}

// lutUnpacker looks samples up; only the first of a pixel counts.
func lutUnpacker(lut *[256][3]uint8, bits, samples int) unpacker {
	return func(dst, src []byte, w int) {
		if samples == 1 {
			unpackLUT(dst, src, w, bits, lut)
			return
		}
		for x := range w {
			c := &lut[src[x*samples]]
			dst[3*x], dst[3*x+1], dst[3*x+2] = c[0], c[1], c[2]
		}
	}
}

// rgbUnpacker takes the first three samples of size bytes, at their high
// byte; premultiplied colours are divided by the fourth sample.
func rgbUnpacker(samples, size, high int, premultiplied bool) unpacker {
	step := samples * size
	return func(dst, src []byte, w int) {
		for x := range w {
			s := src[x*step+high:]
			r, g, b := s[0], s[size], s[2*size]
			if premultiplied {
				a := int(s[3*size])
				r, g, b = undoAlpha(r, a), undoAlpha(g, a), undoAlpha(b, a)
			}
			dst[3*x], dst[3*x+1], dst[3*x+2] = r, g, b
		}
	}
}

func undoAlpha(v uint8, a int) uint8 {
	switch a {
	case 0:
		return 0
	case 255:
		return v
	}
	return uint8(min(255*int(v)/a, 255))
}

// pillowYCC is Pillow's own conversion of mode YCbCr, with 6 fractional bits.
func pillowYCC(y, cb, cr uint8) (r, g, b uint8) {
	const scale = 6
	l := int32(y)
	return clamp8(l + pillowTables.r[cr]>>scale),
		clamp8(l + (pillowTables.gb[cb]+pillowTables.gr[cr])>>scale),
		clamp8(l + pillowTables.b[cb]>>scale)
}

var pillowTables = func() (t struct{ r, gb, gr, b [256]int32 }) {
	for i := range 256 {
		x := float64(i - 128)
		// Pillow's tables round this way, below zero too.
		fix := func(f float64) int32 { return int32(float64(f*x*64) + 0.5) }
		t.r[i], t.gb[i], t.gr[i], t.b[i] = fix(1.40200), fix(-0.34414), fix(-0.71414), fix(1.77200)
	}
	return
}()
