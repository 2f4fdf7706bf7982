package tensor

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
)

// MaxRank is the largest number of dimensions of a Tensor.
const MaxRank = 6

// ErrShape is the error of a tensor whose shape, rank or element type is not
// what an operation wants. Every such error wraps it.
var ErrShape = errors.New("wrong shape")

// ShapeError says which tensor has which shape and what was wanted.
type ShapeError struct {
	Name string // the tensor, by its full name
	Got  []int
	Want []int // -1 stands for any length
}

// Error returns "NAME: shape [768 512], want [768 768]".
func (e *ShapeError) Error() string {
	return fmt.Sprintf("%s: shape %v, want %s", e.Name, e.Got, wantString(e.Want))
}

// Is makes errors.Is(err, ErrShape) true.
func (e *ShapeError) Is(target error) bool { return target == ErrShape }

func wantString(want []int) string {
	s := "["
	for i, d := range want {
		if i > 0 {
			s += " "
		}
		if d < 0 {
			s += "?"
		} else {
			s += fmt.Sprint(d)
		}
	}
	return s + "]"
}

// CheckShape returns a *ShapeError unless got equals want, in which -1 matches
// any length.
func CheckShape(name string, got, want []int) error {
	ok := len(got) == len(want)
	for i := 0; ok && i < len(want); i++ {
		ok = want[i] < 0 || got[i] == want[i]
	}
	if ok {
		return nil
	}
	return &ShapeError{Name: name, Got: append([]int(nil), got...), Want: append([]int(nil), want...)}
}

// Elems returns the number of elements of a shape. It returns false for a
// negative dimension and for a product that does not fit an int (taken from the
// left, so [2⁶² 4 0] does not): every size that comes from outside goes through
// it.
func Elems(shape ...int) (int, bool) {
	n := uint64(1)
	for _, d := range shape {
		if d < 0 {
			return 0, false
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt {
			return 0, false
		}
		n = lo
	}
	return int(n), true
}
