package nn

import (
	"errors"
	"fmt"
)

// The errors of package nn. The root package re-exports them.
var (
	// ErrUnsupported: the checkpoint or the call asks for something that exists
	// in Hugging Face's libraries and not in weft. The message names it.
	ErrUnsupported = errors.New("unsupported")
	// ErrMissingWeight: the checkpoint lacks a tensor that the class needs.
	ErrMissingWeight = errors.New("missing from the checkpoint")
	// ErrInput: an input tensor is absent, unknown or holds a value out of range.
	ErrInput = errors.New("bad input")
	// ErrNotFinite: an output holds NaN or an infinity.
	ErrNotFinite = errors.New("not finite")
)

// Unsupported returns an error that wraps [ErrUnsupported] and says what.
func Unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// InputError returns an error that wraps [ErrInput] and names the input.
func InputError(name, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrInput, name, fmt.Sprintf(format, args...))
}
