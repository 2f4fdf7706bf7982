package pil

// orientation is the value of EXIF tag 0x0112, 1 to 8; any other value (0 when
// there is none) leaves the picture as it is stored.
type orientation int

// apply turns the picture upright, as Pillow's ImageOps.exif_transpose does.
func (o orientation) apply(im *Image) *Image {
	if o < 2 || o > 8 {
		return im
	}
	w, h := im.W, im.H
	if o >= 5 {
		w, h = h, w
	}
	out := &Image{W: w, H: h, Pix: make([]uint8, len(im.Pix)), Transparent: im.Transparent}
	// Destination pixel (x, y) comes from source offset base + x·dx + y·dy.
	row, col := im.W*3, 3
	last := len(im.Pix) - 3
	right, bottom := row-3, (im.H-1)*row
	var base, dx, dy int
	switch o {
	case 2: // mirrored left to right
		base, dx, dy = right, -col, row
	case 3: // upside down
		base, dx, dy = last, -col, -row
	case 4: // mirrored top to bottom
		base, dx, dy = bottom, col, -row
	case 5: // transposed
		base, dx, dy = 0, row, col
	case 6: // stored turned left
		base, dx, dy = bottom, -row, col
	case 7: // transposed along the other diagonal
		base, dx, dy = last, -row, -col
	case 8: // stored turned right
		base, dx, dy = right, row, -col
	}
	i := 0
	for y := range h {
		s := base + y*dy
		for range w {
			out.Pix[i], out.Pix[i+1], out.Pix[i+2] = im.Pix[s], im.Pix[s+1], im.Pix[s+2]
			i += 3
			s += dx
		}
	}
	return out
}
