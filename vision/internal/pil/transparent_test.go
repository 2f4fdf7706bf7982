package pil

import "testing"

// What Pillow 13.0 leaves in info["transparency"] after convert("RGB"), as the
// colour that a conversion to RGBA then makes transparent.
func TestTransparent(t *testing.T) {
	palette := pngChunk("PLTE", []byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	none := [3]uint8{}
	for _, tt := range []struct {
		name          string
		depth, colour byte
		trns          string
		want          [3]uint8
		has           bool
	}{
		{"one palette entry", 8, pngPalette, "\xff\x00\xff", [3]uint8{4, 5, 6}, true},
		{"several alphas", 8, pngPalette, "\x80\x00", none, false},
		{"opaque palette", 8, pngPalette, "\xff\xff", none, false},
		{"two palette entries", 8, pngPalette, "\x00\x00", none, false},
		{"RGB", 8, pngRGB, "\x00\x01\x00\x02\x00\x03", [3]uint8{1, 2, 3}, true},
		{"RGB of 16 bits", 16, pngRGB, "\x0a\x01\x0b\x02\x0c\x03", [3]uint8{1, 2, 3}, true},
		{"grey", 8, pngGrey, "\x00\x07", [3]uint8{7, 7, 7}, true},
		{"grey of 2 bits", 2, pngGrey, "\x00\x03", [3]uint8{3, 3, 3}, true},
		{"white of 1 bit", 1, pngGrey, "\x00\x01", [3]uint8{255, 0, 0}, true},
		{"grey of 16 bits", 16, pngGrey, "\x01\x07", [3]uint8{7, 0, 0}, true},
		{"alpha channel", 8, pngGreyAlpha, "\x00\x07", none, false},
	} {
		data := pngChunk("IDAT", deflatedZeros(64))
		im, err := Decode(pngFile(1, 1, tt.depth, tt.colour, palette, pngChunk("tRNS", []byte(tt.trns)), data), testLimits)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := im.Transparent
		if (got != nil) != tt.has || got != nil && *got != tt.want {
			t.Errorf("%s: %v, want %v %v", tt.name, got, tt.has, tt.want)
		}
	}
	short := pngFile(1, 1, 8, pngRGB, pngChunk("tRNS", []byte{0, 1}), pngChunk("IDAT", deflatedZeros(64)))
	if _, err := Decode(short, testLimits); err == nil {
		t.Error("a tRNS chunk that is cut off is taken")
	}
}
