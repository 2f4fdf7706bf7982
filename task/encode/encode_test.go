package encode_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/vision"
)

const encoders = "../../testdata/demo/encoders/"

// TestTextBatch: a sentence comes out of a batch as it does alone.
func TestTextBatch(t *testing.T) {
	m, err := weft.Open(encoders + "text")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	sentences := []string{"the cat looks at the camera", "two dogs", "where is the nearest station ?"}
	batch, err := m.EncodeText(context.Background(), sentences...)
	if err != nil {
		t.Fatal(err)
	}
	both := batch.Get("last_hidden_state")
	for i, s := range sentences {
		alone, err := m.EncodeText(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		at := i * both.Dim(1) * both.Dim(2)
		for j, v := range alone.Get("last_hidden_state").F32() {
			if w := both.F32()[at+j]; v != w {
				t.Fatalf("%q: element %d is %v alone, %v in the batch", s, j, v, w)
			}
		}
	}
}

func TestTooLong(t *testing.T) {
	m, err := weft.Open(encoders + "text")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, err = m.EncodeText(context.Background(), strings.Repeat("cat ", 100))
	if !errors.Is(err, weft.ErrInput) || !strings.Contains(err.Error(), "102 tokens need position 64") {
		t.Errorf("%v", err)
	}
}

func TestNoEncoder(t *testing.T) {
	m, err := weft.Open(encoders + "text")
	if err != nil {
		t.Fatal(err)
	}
	e := weft.MultiModalEncoder{Text: m}
	defer e.Close()
	picture := &vision.Image{W: 1, H: 1, Pix: make([]uint8, 3)}
	if _, err := e.Encode(context.Background(), weft.MultiModalInput{Image: picture}); !errors.Is(err, weft.ErrInput) || !strings.Contains(err.Error(), "image") {
		t.Errorf("%v", err)
	}
}
