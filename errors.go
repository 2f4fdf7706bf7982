package weft

import (
	"errors"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
	"github.com/seed-512d3d71/weft/vision"
)

// The errors that a caller may want to tell apart; each is the sentinel of the
// package that returns it. See also [IsUnsupported].
var (
	// ErrUnsupported: an architecture, option or component that weft does not have.
	ErrUnsupported = nn.ErrUnsupported
	// ErrMissingWeight: the checkpoint lacks a tensor that the class needs.
	ErrMissingWeight = nn.ErrMissingWeight
	// ErrShape: a tensor of the wrong shape.
	ErrShape = tensor.ErrShape
	// ErrInput: an input that is absent, unknown or out of range.
	ErrInput = nn.ErrInput
	// ErrNotFinite: NaN or an infinity in an output.
	ErrNotFinite = nn.ErrNotFinite
)

// IsUnsupported reports whether err says that weft lacks something which the
// checkpoint, the file or the call asks for, as opposed to bad input.
func IsUnsupported(err error) bool {
	for _, target := range []error{nn.ErrUnsupported, text.ErrUnsupported, vision.ErrUnsupported, audio.ErrUnsupported} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
