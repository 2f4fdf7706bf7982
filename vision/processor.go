package vision

import (
	"errors"
	"fmt"
	"math"
)

// Processor turns a picture into a model's pixel_values as one of Transformers'
// image processors does (its Pillow backend, image_processing_backends.py).
// It is safe for concurrent use. [ParseProcessor] makes one.
type Processor struct {
	class *class
	opt   options
}

// Class is the name of the image processor class, such as "ViTImageProcessor".
func (p *Processor) Class() string { return p.class.name }

// Integer reports whether the values that [Processor.Process] gives are whole
// numbers 0 to 255, because the configuration neither rescales nor normalises;
// Transformers then returns integers.
func (p *Processor) Integer() bool {
	return !p.opt.rescale && !p.opt.normalize && !p.opt.includeTop
}

// PixelMask reports whether the processor's output has a pixel_mask beside
// pixel_values; for one picture it is 1 everywhere, of shape [H, W].
func (p *Processor) PixelMask() bool { return p.class.pixelMask && p.opt.pad }

// Process gives the picture's pixel_values, channels first, and their shape
// [3, H, W]. The image is not changed.
func (p *Processor) Process(im *Image) (pixels []float32, shape [3]int, err error) {
	if err := im.check(); err != nil {
		return nil, shape, err
	}
	if p == nil || p.class == nil {
		return nil, shape, errors.New("vision: processor without a class")
	}
	o := &p.opt
	if o.resize {
		if im, err = p.resize(im); err != nil {
			return nil, shape, fmt.Errorf("%w (%s)", err, p.class.name)
		}
	}
	if o.centerCrop {
		if im, err = centerCrop(im, o.cropSize.height, o.cropSize.width); err != nil {
			return nil, shape, err
		}
	}
	h, w := im.H, im.W
	if o.pad && o.padSize != nil && !p.class.pixelMask {
		if h, w = o.padSize.height, o.padSize.width; h < im.H || w < im.W {
			return nil, shape, fmt.Errorf("vision: pad_size %d×%d is smaller than the picture, %d×%d (height × width)", h, w, im.H, im.W)
		}
	}
	if w > math.MaxInt32/3/h {
		return nil, shape, fmt.Errorf("vision: %w: %d×%d pixels", ErrTooLarge, w, h)
	}
	pixels = make([]float32, 3*h*w)
	for c := range 3 {
		lut := o.levels(c)
		for y := range im.H {
			row := pixels[(c*h+y)*w:][:im.W]
			in := im.Pix[3*y*im.W+c:]
			for x := range row {
				row[x] = lut[in[3*x]]
			}
		}
	}
	return pixels, [3]int{3, h, w}, nil
}

// levels gives the value of each of the 256 levels of channel c: rescaled in
// float64 and rounded to float32, then normalised in float32, as NumPy does.
func (o *options) levels(c int) *[256]float32 {
	var lut [256]float32
	for i := range lut {
		v := float32(i)
		if o.rescale {
			v = float32(float64(i) * *o.rescaleFactor)
			if o.rescaleOffset {
				v--
			}
		}
		if o.normalize {
			v = (v - float32(o.mean[c])) / float32(o.std[c])
		}
		if o.includeTop {
			v /= float32(o.std[c])
		}
		lut[i] = v
	}
	return &lut
}

// resize applies the class's resize step.
func (p *Processor) resize(im *Image) (*Image, error) {
	o, f := &p.opt, *p.opt.resample
	to := *o.size
	switch p.class.rule {
	case resizeCropPct:
		edge := to.shortestEdge
		if edge >= 384 {
			return Resize(im, edge, edge, f) // warped, not cropped
		}
		h, w := edgeToSize(im, int(float64(edge) / *o.cropPct))
		big, err := Resize(im, w, h, f)
		if err != nil {
			return nil, err
		}
		return centerCrop(big, edge, edge)
	case resizeScalePct:
		if o.cropPct == nil {
			break
		}
		scale := func(n int) int { return int(float64(n) / *o.cropPct) }
		switch {
		case to.shortestEdge != 0:
			to.height, to.width = edgeToSize(im, scale(to.shortestEdge))
		case to.height == to.width:
			to.height, to.width = edgeToSize(im, scale(to.height))
		default:
			to.height, to.width = scale(to.height), scale(to.width)
		}
		return Resize(im, to.width, to.height, f)
	case resizeLevit:
		if to.shortestEdge != 0 {
			ratio := 256.0 / 224
			to.height, to.width = edgeToSize(im, int(ratio*float64(to.shortestEdge)))
			return Resize(im, to.width, to.height, f)
		}
	case resizeDivisible:
		h, w := divisibleSize(im, to.shortestEdge, *o.sizeDivisor)
		return Resize(im, w, h, f)
	}
	switch {
	case to.shortestEdge != 0 && to.longestEdge != 0:
		to.height, to.width = aspectSize(im, to.shortestEdge, to.longestEdge)
	case to.shortestEdge != 0:
		to.height, to.width = edgeToSize(im, to.shortestEdge)
	case to.maxHeight != 0:
		scale := min(float64(to.maxHeight)/float64(im.H), float64(to.maxWidth)/float64(im.W))
		to.height, to.width = int(float64(im.H)*scale), int(float64(im.W)*scale)
	}
	return Resize(im, to.width, to.height, f)
}

// edgeToSize scales the shortest edge to n, keeping the aspect ratio and
// rounding the other edge down (get_resize_output_image_size).
func edgeToSize(im *Image, n int) (h, w int) {
	if im.W <= im.H {
		return int(float64(n*im.H) / float64(im.W)), n
	}
	return n, int(float64(n*im.W) / float64(im.H))
}

// aspectSize scales the shortest edge to n, or the longest to limit if it
// would be longer (get_size_with_aspect_ratio).
func aspectSize(im *Image, n, limit int) (h, w int) {
	short, long := float64(min(im.H, im.W)), float64(max(im.H, im.W))
	exact := float64(n)
	if long/short*exact > float64(limit) {
		exact = float64(limit) * short / long
		n = int(math.RoundToEven(exact))
	}
	switch {
	case im.H <= im.W && im.H == n, im.W <= im.H && im.W == n:
		return im.H, im.W
	case im.W < im.H:
		return int(exact * float64(im.H) / float64(im.W)), n
	}
	return n, int(exact * float64(im.W) / float64(im.H))
}

// divisibleSize scales the shortest edge to n, limits the longest to 1333/800
// of that, and rounds both down to multiples of div
// (models/vilt, get_resize_output_image_size).
func divisibleSize(im *Image, n, div int) (h, w int) {
	ratio := 1333.0 / 800
	limit := float64(int(ratio * float64(n)))
	scale := float64(n) / float64(min(im.H, im.W))
	fh, fw := float64(n), float64(n)
	if im.H < im.W {
		fw = scale * float64(im.W)
	} else {
		fh = scale * float64(im.H)
	}
	if m := max(fh, fw); m > limit {
		scale = limit / m
		fh, fw = scale*fh, scale*fw
	}
	return int(fh+0.5) / div * div, int(fw+0.5) / div * div
}

// centerCrop cuts the middle h×w pixels out; where the picture is smaller it
// is surrounded with black first (image_transforms.center_crop).
func centerCrop(im *Image, h, w int) (*Image, error) {
	if w > math.MaxInt32/3/h {
		return nil, fmt.Errorf("vision: crop: %w: %d×%d", ErrTooLarge, w, h)
	}
	if h == im.H && w == im.W {
		return im, nil
	}
	out := &Image{W: w, H: h, Pix: make([]uint8, 3*w*h)}
	// Row y of the crop is row y+top of the picture.
	top, left := cropStart(im.H, h), cropStart(im.W, w)
	x0, x1 := max(0, -left), min(w, im.W-left)
	if x0 >= x1 {
		return out, nil
	}
	for y := max(0, -top); y < min(h, im.H-top); y++ {
		copy(out.Pix[3*(y*w+x0):3*(y*w+x1)], im.Pix[3*((y+top)*im.W+left+x0):])
	}
	return out, nil
}

// cropStart is where a crop of n out of have begins; negative when the
// picture is smaller, and then rounded so that more padding comes first.
func cropStart(have, n int) int {
	if n <= have {
		return (have - n) / 2
	}
	return -((n - have + 1) / 2)
}
