package vision

import (
	"errors"
	"fmt"
	"math"
	"slices"
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
// pixel_values, of shape [H, W]: 1 where the picture is, 0 where pad_size pads it.
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
	o, c := &p.opt, p.class
	if o.convertRGB {
		im = onWhite(im)
	}
	if c.padFirst && o.pad {
		im = padSquare(im, o.mean)
	}
	if c.cropFirst && o.centerCrop {
		edge := float64(min(im.H, im.W))
		h := int(float64(o.size.height) / float64(o.cropSize.height) * edge)
		w := int(float64(o.size.width) / float64(o.cropSize.width) * edge)
		if im, err = centerCrop(im, h, w); err != nil {
			return nil, shape, err
		}
	}
	if o.resize {
		if im, err = p.resize(im); err != nil {
			return nil, shape, fmt.Errorf("%w (%s)", err, c.name)
		}
	}
	if o.centerCrop && !c.cropFirst {
		h, w := o.cropSize.height, o.cropSize.width
		if c.cropEdge {
			h, w = o.cropSize.shortestEdge, o.cropSize.shortestEdge
		}
		if im, err = centerCrop(im, h, w); err != nil {
			return nil, shape, err
		}
	}
	h, w, top, left := im.H, im.W, 0, 0
	switch {
	case !o.pad || c.padFirst || c.padBatch:
	case c.padMiddle:
		if d := o.sizeDivisor; d != nil {
			h, w = ceilMultiple(im.H, *d), ceilMultiple(im.W, *d)
			top, left = (h-im.H)/2, (w-im.W)/2
		}
	case o.padSize != nil:
		if h, w = o.padSize.height, o.padSize.width; h < im.H || w < im.W {
			return nil, shape, fmt.Errorf("vision: pad_size %d×%d is smaller than the picture, %d×%d (height × width)", h, w, im.H, im.W)
		}
	}
	if w > math.MaxInt32/3/h {
		return nil, shape, fmt.Errorf("vision: %w: %d×%d pixels", ErrTooLarge, w, h)
	}
	pixels = make([]float32, 3*h*w)
	for channel := range 3 {
		lut := o.levels(channel)
		plane := channel
		if o.flip {
			plane = 2 - channel
		}
		for y := range im.H {
			row := pixels[(plane*h+top+y)*w+left:][:im.W]
			in := im.Pix[3*y*im.W+channel:]
			for x := range row {
				row[x] = lut[in[3*x]]
			}
		}
	}
	return pixels, [3]int{3, h, w}, nil
}

// onWhite paints the transparent colour white (image_transforms.convert_to_rgb).
func onWhite(im *Image) *Image {
	if im.Transparent == nil {
		return im
	}
	out := &Image{W: im.W, H: im.H, Pix: slices.Clone(im.Pix)}
	for i := 0; i < len(out.Pix); i += 3 {
		if p := (*[3]uint8)(out.Pix[i:]); *p == *im.Transparent {
			*p = [3]uint8{255, 255, 255}
		}
	}
	return out
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
	f := Bilinear // GLPNImageProcessor's when there is none
	if p.opt.resample != nil {
		f = *p.opt.resample
	}
	h, w := p.outputSize(im)
	out, err := Resize(im, w, h, f)
	if edge := p.opt.shortestEdge(); err == nil && p.class.rule == resizeCropPct && edge < 384 {
		return centerCrop(out, edge, edge)
	}
	return out, err
}

// centerCrop cuts the middle h×w pixels out; where the picture is smaller it
// is surrounded with black first (image_transforms.center_crop).
func centerCrop(im *Image, h, w int) (*Image, error) {
	if h < 1 || w < 1 {
		return nil, fmt.Errorf("vision: crop of %d×%d pixels to %d×%d is empty", im.W, im.H, w, h)
	}
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

// padSquare puts the picture in the middle of a square of the mean colour.
func padSquare(im *Image, mean []float64) *Image {
	n := max(im.H, im.W)
	if im.H == im.W || n > math.MaxInt32/3/n {
		return im // if too large, the resize says so
	}
	var ground [3]uint8
	for c, v := range mean {
		ground[c] = uint8(min(max(v*255, 0), 255))
	}
	out := &Image{W: n, H: n, Pix: make([]uint8, 3*n*n)}
	for i := range n * n {
		copy(out.Pix[3*i:], ground[:])
	}
	top, left := (n-im.H)/2, (n-im.W)/2
	for y := range im.H {
		copy(out.Pix[3*((top+y)*n+left):], im.Pix[3*y*im.W:][:3*im.W])
	}
	return out
}

// cropStart is where a crop of n out of have begins; negative when the
// picture is smaller, and then rounded so that more padding comes first.
func cropStart(have, n int) int {
	if n <= have {
		return (have - n) / 2
	}
	return -((n - have + 1) / 2)
}
