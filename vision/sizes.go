package vision

import "math"

// outputSize is the size that the class's rule gives for a picture; zeros where
// there is none.
func (p *Processor) outputSize(im *Image) (h, w int) {
	o := &p.opt
	if p.class.rule == resizeRoundDown {
		return im.H / *o.sizeDivisor * *o.sizeDivisor, im.W / *o.sizeDivisor * *o.sizeDivisor
	}
	to := *o.size
	switch p.class.rule {
	case resizeCropPct:
		if to.shortestEdge >= 384 {
			return to.shortestEdge, to.shortestEdge // warped, not cropped
		}
		return edgeToSize(im, int(float64(to.shortestEdge) / *o.cropPct))
	case resizeScalePct:
		if o.cropPct == nil {
			break
		}
		scale := func(n int) int { return int(float64(n) / *o.cropPct) }
		switch {
		case to.shortestEdge != 0:
			return edgeToSize(im, scale(to.shortestEdge))
		case to.height == to.width:
			return edgeToSize(im, scale(to.height))
		}
		return scale(to.height), scale(to.width)
	case resizeLevit:
		if to.shortestEdge != 0 {
			ratio := 256.0 / 224
			return edgeToSize(im, int(ratio*float64(to.shortestEdge)))
		}
	case resizeDivisible:
		return divisibleSize(im, to.shortestEdge, *o.sizeDivisor)
	case resizeRoundUp:
		h, w := edgeToSize(im, to.shortestEdge)
		return ceilMultiple(h, *o.sizeDivisor), ceilMultiple(w, *o.sizeDivisor)
	case resizeMultiple:
		return multipleSize(im, to.height, to.width, o.multiple, o.keepAspect)
	}
	switch {
	case to.shortestEdge != 0 && to.longestEdge != 0:
		h, w := aspectSize(im, to.shortestEdge, to.longestEdge)
		if p.class.rule == resizeYolos {
			h, w = h/16*16, w/16*16
		}
		return h, w
	case to.shortestEdge != 0:
		return edgeToSize(im, to.shortestEdge)
	case to.maxHeight != 0:
		scale := min(float64(to.maxHeight)/float64(im.H), float64(to.maxWidth)/float64(im.W))
		return int(float64(im.H) * scale), int(float64(im.W) * scale)
	}
	return to.height, to.width
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

// multipleSize gives h×w rounded to multiples of div; with aspect, the edge
// that is to change less sets the scale of both (models/dpt,
// get_resize_output_image_size).
func multipleSize(im *Image, h, w, div int, aspect bool) (int, int) {
	sh, sw := float64(h)/float64(im.H), float64(w)/float64(im.W)
	if aspect {
		if math.Abs(1-sw) < math.Abs(1-sh) {
			sh = sw
		} else {
			sw = sh
		}
	}
	round := func(v float64) int { return int(math.RoundToEven(v/float64(div))) * div }
	return round(sh * float64(im.H)), round(sw * float64(im.W))
}

// ceilMultiple rounds n up to a multiple of div.
func ceilMultiple(n, div int) int { return (n + div - 1) / div * div }
