package transcribe

import (
	"errors"
	"slices"
	"testing"

	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

func TestFrames(t *testing.T) {
	logits := tensor.FromF32([]float32{
		0, 1, 0, // 1
		2, 2, 0, // 0: of equal ones the first
		-3, -2, -1, // 2
		0, 0, 5, // 2
	}, 2, 2, 3)
	ids, err := Frames(logits)
	if err != nil || !slices.Equal(ids[0], []int{1, 0}) || !slices.Equal(ids[1], []int{2, 2}) {
		t.Errorf("%v, %v", ids, err)
	}
	if _, err := Frames(tensor.Tensor{}); !errors.Is(err, nn.ErrUnsupported) {
		t.Errorf("no logits: %v", err)
	}
}
