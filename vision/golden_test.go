package vision

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"math"
	"os"
	"testing"
)

// golden holds verdicts of Pillow and Transformers (testdata/golden.py).
type golden struct {
	Resize []struct {
		From, To [2]int // width, height
		Filter   Filter
		Sum      string
	}
	Process []processCase
}

type processCase struct {
	Config, Model json.RawMessage
	Size          [2]int
	Shape         []int // nil: Transformers refuses
	Integer       bool
	Sum           string // of the float32 values
}

func readGolden(t testing.TB) golden {
	f, err := os.Open("testdata/golden.json.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.NewDecoder(z).Decode(&g); err != nil {
		t.Fatal(err)
	}
	return g
}

// noise is the picture that golden.py has under the same name.
func noise(w, h int) *Image {
	im := &Image{W: w, H: h, Pix: make([]uint8, 3*w*h)}
	v := uint32(1)
	for i := range im.Pix {
		v = v*1664525 + 1013904223
		im.Pix[i] = uint8(v >> 24)
	}
	return im
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8])
}

func TestResizePillow(t *testing.T) {
	for _, c := range readGolden(t).Resize {
		im, err := Resize(noise(c.From[0], c.From[1]), c.To[0], c.To[1], c.Filter)
		if err != nil {
			t.Errorf("%v to %v, %v: %v", c.From, c.To, c.Filter, err)
		} else if digest(im.Pix) != c.Sum {
			t.Errorf("%v to %v, %v: bytes differ from Pillow's", c.From, c.To, c.Filter)
		}
	}
}

func TestProcessTransformers(t *testing.T) {
	for _, c := range readGolden(t).Process {
		model := c.Model
		if string(model) == "{}" {
			model = nil
		}
		var v []float32
		var shape [3]int
		p, err := ParseProcessor(c.Config, model)
		if err == nil {
			v, shape, err = p.Process(noise(c.Size[0], c.Size[1]))
		}
		switch {
		case c.Shape == nil && err == nil:
			t.Errorf("%s %s: accepted, which Transformers refuses", c.Config, c.Model)
		case c.Shape == nil:
		case err != nil:
			t.Errorf("%s %s: %v", c.Config, c.Model, err)
		case shape != [3]int(c.Shape):
			t.Errorf("%s %s: shape %v, want %v", c.Config, c.Model, shape, c.Shape)
		case p.Integer() != c.Integer:
			t.Errorf("%s %s: integer %t", c.Config, c.Model, p.Integer())
		default:
			var b []byte
			for _, f := range v {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
			}
			if digest(b) != c.Sum {
				t.Errorf("%s %s: values differ from those of Transformers", c.Config, c.Model)
			}
		}
	}
}
