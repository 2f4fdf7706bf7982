package vision

import (
	"fmt"
	"math"
)

// Filter is a resampling filter, numbered as Pillow's Image.Resampling and so
// as "resample" in preprocessor_config.json.
type Filter int

// The filters of Pillow.
const (
	Nearest  Filter = 0
	Lanczos  Filter = 1
	Bilinear Filter = 2
	Bicubic  Filter = 3
	Box      Filter = 4
	Hamming  Filter = 5
	MKS2013  Filter = 6 // Magic Kernel Sharp 2013, https://johncostella.com/magic/
	MKS2021  Filter = 7 // Magic Kernel Sharp 2021
)

// String is the filter's name in lower case.
func (f Filter) String() string {
	if f >= 0 && int(f) < len(filterNames) {
		return filterNames[f]
	}
	return fmt.Sprintf("filter(%d)", int(f))
}

var filterNames = [...]string{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming", "mks2013", "mks2021"}

// A kernel is a filter's weight as a function of the distance from the centre,
// which is 0 beyond its support.
type kernel struct {
	support float64
	weight  func(x float64) float64
}

// The explicit float64 conversions keep the compiler from fusing a product and
// a sum into one rounding, which would give other weights on some machines.
var kernels = map[Filter]kernel{
	Box: {0.5, func(x float64) float64 {
		if x > -0.5 && x <= 0.5 {
			return 1
		}
		return 0
	}},
	Bilinear: {1, func(x float64) float64 {
		if x = math.Abs(x); x < 1 {
			return 1 - x
		}
		return 0
	}},
	Hamming: {1, func(x float64) float64 {
		x = math.Abs(x)
		if x == 0 {
			return 1
		}
		if x >= 1 {
			return 0
		}
		x *= math.Pi
		// Pillow has these two constants in single precision.
		const a, b = float32(0.54), float32(0.46)
		return math.Sin(x) / x * (float64(a) + float64(float64(b)*math.Cos(x)))
	}},
	Bicubic: {2, func(x float64) float64 {
		const a = -0.5
		x = math.Abs(x)
		if x < 1 {
			return float64(float64((float64((a+2)*x)-(a+3))*x)*x) + 1
		}
		if x < 2 {
			return (float64((float64((x-5)*x)+8)*x) - 4) * a
		}
		return 0
	}},
	Lanczos: {3, func(x float64) float64 {
		if -3 <= x && x < 3 {
			return sinc(x) * sinc(x/3)
		}
		return 0
	}},
	MKS2013: {2.5, func(x float64) float64 {
		switch x = math.Abs(x); {
		case x < 0.5:
			return 17.0/16.0 - float64(7.0/4.0*float64(x*x))
		case x < 1.5:
			return (1 - x) * (7.0/4.0 - x)
		case x < 2.5:
			x -= 5.0 / 2.0
			return -1.0 / 8.0 * float64(x*x)
		}
		return 0
	}},
	MKS2021: {4.5, func(x float64) float64 {
		switch x = math.Abs(x); {
		case x < 0.5:
			return 577.0/576.0 - float64(239.0/144.0*float64(x*x))
		case x < 1.5:
			return float64(35.0/36.0*(x-1)) * (x - 239.0/140.0)
		case x < 2.5:
			return float64(1.0/6.0*(x-2)) * (65.0/24.0 - x)
		case x < 3.5:
			return float64(1.0/36.0*(x-3)) * (x - 15.0/4.0)
		case x < 4.5:
			x -= 9.0 / 2.0
			return -1.0 / 288.0 * float64(x*x)
		}
		return 0
	}},
}

func sinc(x float64) float64 {
	if x == 0 {
		return 1
	}
	x *= math.Pi
	return math.Sin(x) / x
}

// precision is the number of fractional bits of a weight: 8-bit samples and two
// bits for weights beyond 0..1 leave 22 of 32.
const precision = 32 - 8 - 2

// maxTaps bounds the table of weights of a resize (entries of four bytes).
const maxTaps = 1 << 28

// taps holds, for each output sample, the range of input samples it sees and
// their weights in fixed point.
type taps struct {
	first, n []int32
	size     int // weights kept per output sample
	w        []int32
}

// newTaps computes the weights that turn in samples into out: the filter is
// stretched when shrinking, so that it averages (antialiasing).
func newTaps(in, out int, k kernel) (*taps, error) {
	scale := float64(in) / float64(out)
	stretch := max(scale, 1)
	support := k.support * stretch
	size := int(math.Ceil(support))*2 + 1
	if size > maxTaps/out {
		return nil, fmt.Errorf("vision: resize: %w: %d samples to %d", ErrTooLarge, in, out)
	}
	t := &taps{make([]int32, out), make([]int32, out), size, make([]int32, size*out)}
	inv := 1 / stretch
	buf := make([]float64, size)
	for i := range out {
		centre := float64((float64(i) + 0.5) * scale)
		first := max(int(centre-support+0.5), 0)
		n := min(int(centre+support+0.5), in) - first
		sum := 0.0
		for j := range n {
			w := k.weight((float64(j+first) - centre + 0.5) * inv)
			buf[j] = w
			sum += w
		}
		row := t.w[i*size : (i+1)*size]
		for j := range n {
			w := buf[j]
			if sum != 0 {
				w /= sum
			}
			if w < 0 {
				row[j] = int32(-0.5 + float64(w*(1<<precision)))
			} else {
				row[j] = int32(0.5 + float64(w*(1<<precision)))
			}
		}
		t.first[i], t.n[i] = int32(first), int32(n)
	}
	return t, nil
}

// Resize scales src to w×h pixels with filter f; every byte is the one that
// Pillow's Image.resize gives. Src is not changed; the result may share its
// pixels when the size is the same.
func Resize(src *Image, w, h int, f Filter) (*Image, error) {
	if err := src.check(); err != nil {
		return nil, err
	}
	if w <= 0 || h <= 0 {
		return nil, fmt.Errorf("vision: resize to %d×%d: height and width must be > 0", w, h)
	}
	if w > math.MaxInt32/3/h {
		return nil, fmt.Errorf("vision: resize: %w: %d×%d", ErrTooLarge, w, h)
	}
	k, ok := kernels[f]
	if !ok && f != Nearest {
		return nil, fmt.Errorf("vision: %w resampling filter %d", ErrUnsupported, int(f))
	}
	if w == src.W && h == src.H {
		return src, nil
	}
	if f == Nearest {
		return resizeNearest(src, w, h), nil
	}
	horizontal, err := newTaps(src.W, w, k)
	if err != nil {
		return nil, err
	}
	vertical, err := newTaps(src.H, h, k)
	if err != nil {
		return nil, err
	}
	// Each pass rounds to bytes, so their order shows: Pillow (13.0 and later)
	// goes along y first where that cuts more than twice as many rows off as
	// columns.
	if src.H-h > 0 && src.H-h > 2*(src.W-w) {
		im := resizeColumns(src, 0, vertical)
		if w == src.W {
			return im, nil
		}
		return resizeRows(im, 0, h, horizontal), nil
	}
	// Otherwise the horizontal pass makes only the rows that the vertical one
	// reads.
	im, top := src, 0
	if w != src.W {
		top = int(vertical.first[0])
		bottom := int(vertical.first[h-1] + vertical.n[h-1])
		if w > math.MaxInt32/3/(bottom-top) {
			return nil, fmt.Errorf("vision: resize: %w: %d×%d", ErrTooLarge, w, bottom-top)
		}
		im = resizeRows(src, top, bottom, horizontal)
	}
	if h != src.H {
		im = resizeColumns(im, top, vertical)
	}
	return im, nil
}

// clampFixed rounds a fixed-point sample that already carries its half.
func clampFixed(v int32) uint8 {
	v >>= precision
	if uint32(v) > 255 {
		if v < 0 {
			return 0
		}
		return 255
	}
	return uint8(v)
}

// resizeRows filters rows top to bottom-1 of src along x.
func resizeRows(src *Image, top, bottom int, t *taps) *Image {
	w := len(t.first)
	dst := &Image{W: w, H: bottom - top, Pix: make([]uint8, w*(bottom-top)*3)}
	for y := top; y < bottom; y++ {
		in := src.Pix[3*y*src.W:][:3*src.W]
		out := dst.Pix[3*(y-top)*w:][:3*w]
		for x := range w {
			n := int(t.n[x])
			ws := t.w[x*t.size:][:n]
			p := in[3*t.first[x]:][:3*n]
			r, g, b := int32(1<<(precision-1)), int32(1<<(precision-1)), int32(1<<(precision-1))
			for _, k := range ws {
				r += int32(p[0]) * k
				g += int32(p[1]) * k
				b += int32(p[2]) * k
				p = p[3:]
			}
			out[3*x], out[3*x+1], out[3*x+2] = clampFixed(r), clampFixed(g), clampFixed(b)
		}
	}
	return dst
}

// resizeColumns filters src, whose first row is row top of the picture that t
// was made for, along y.
func resizeColumns(src *Image, top int, t *taps) *Image {
	h := len(t.first)
	stride := 3 * src.W
	dst := &Image{W: src.W, H: h, Pix: make([]uint8, stride*h)}
	acc := make([]int32, stride)
	for y := range h {
		for i := range acc {
			acc[i] = 1 << (precision - 1)
		}
		for j := range int(t.n[y]) {
			k := t.w[y*t.size+j]
			in := src.Pix[(int(t.first[y])+j-top)*stride:][:len(acc)]
			for i, v := range in {
				acc[i] += int32(v) * k
			}
		}
		out := dst.Pix[y*stride:][:len(acc)]
		for i, v := range acc {
			out[i] = clampFixed(v)
		}
	}
	return dst
}

// resizeNearest takes the input pixel under each output pixel's centre. The
// positions are running sums, as in Pillow, whose rounding shows.
func resizeNearest(src *Image, w, h int) *Image {
	dst := &Image{W: w, H: h, Pix: make([]uint8, 3*w*h)}
	column := nearestPositions(src.W, w)
	for y, sy := range nearestPositions(src.H, h) {
		if sy < 0 {
			continue
		}
		in := src.Pix[3*sy*src.W:][:3*src.W]
		out := dst.Pix[3*y*w:][:3*w]
		for x, sx := range column {
			if sx >= 0 {
				copy(out[3*x:3*x+3], in[3*sx:3*sx+3])
			}
		}
	}
	return dst
}

// nearestPositions maps output to input positions; -1 is beyond the edge.
func nearestPositions(in, out int) []int {
	pos := make([]int, out)
	step := float64(in) / float64(out)
	at := float64(step * 0.5)
	for i := range pos {
		pos[i] = int(at)
		if pos[i] >= in {
			pos[i] = -1
		}
		at += step
	}
	return pos
}
