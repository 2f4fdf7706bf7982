package flac

import (
	"errors"
	"fmt"
)

// fixed are the coefficients of the fixed predictors of orders 0 to 4, of the
// sample before first.
var fixed = [5][]int64{{}, {1}, {2, -1}, {3, -3, 1}, {4, -6, 4, -1}}

// subframe decodes one channel of a frame, of so many bits a sample, into x.
func subframe(r *reader, x []int64, bits uint) error {
	head := r.uint(8)
	if head>>7 != 0 {
		return errors.New("subframe: padding bit is set")
	}
	wasted := uint(0)
	if head&1 != 0 {
		k := r.unary() + 1
		if r.bad {
			return errTruncated
		}
		if k >= uint64(bits) {
			return fmt.Errorf("subframe: %d wasted bits of %d", k, bits)
		}
		wasted = uint(k)
		bits -= wasted
	}
	var err error
	switch kind := int(head >> 1); {
	case kind == 0: // constant
		v := r.int(bits)
		for i := range x {
			x[i] = v
		}
	case kind == 1: // verbatim
		for i := range x {
			x[i] = r.int(bits)
		}
	case kind >= 8 && kind <= 12:
		err = predicted(r, x, bits, kind-8, func([]int64) ([]int64, uint) { return fixed[kind-8], 0 })
	case kind >= 32:
		err = predicted(r, x, bits, kind-31, func(coefs []int64) ([]int64, uint) {
			precision, shift := uint(r.uint(4))+1, r.int(5)
			if precision == 16 || shift < 0 {
				return nil, 0
			}
			for i := range coefs {
				coefs[i] = r.int(precision)
			}
			return coefs, uint(shift)
		})
	default:
		err = fmt.Errorf("subframe: reserved type %d", kind)
	}
	if err != nil {
		return err
	}
	if r.bad {
		return errTruncated
	}
	if wasted > 0 {
		for i := range x {
			x[i] <<= wasted
		}
	}
	return nil
}

// predicted decodes a subframe of warm-up samples, the predictor that read
// takes from the stream, and residuals.
func predicted(r *reader, x []int64, bits uint, order int, read func([]int64) ([]int64, uint)) error {
	// As libFLAC has it. RFC 9639 wants each partition to be longer than order.
	if order >= len(x) {
		return fmt.Errorf("subframe: predictor of order %d in a block of %d samples", order, len(x))
	}
	for i := range order {
		x[i] = r.int(bits)
	}
	var buf [32]int64
	coefs, shift := read(buf[:order])
	if coefs == nil {
		return errors.New("subframe: bad precision or shift of the predictor")
	}
	if err := residuals(r, x, order); err != nil {
		return err
	}
	// x holds the residuals from order on. A damaged stream may overflow here,
	// which the range check of the samples or the checksum finds.
	for i := order; i < len(x); i++ {
		sum, past := int64(0), x[i-order:i]
		for j, c := range coefs {
			sum += c * past[order-1-j]
		}
		x[i] += sum >> shift
	}
	return nil
}

// residuals decodes Rice-coded residuals into x[order:].
func residuals(r *reader, x []int64, order int) error {
	method := r.uint(2)
	if method > 1 {
		return fmt.Errorf("residual: reserved coding method %d", method)
	}
	paramBits := uint(4 + method)
	escape := uint64(1)<<paramBits - 1
	partitions := 1 << r.uint(4)
	if len(x)%partitions != 0 || len(x)/partitions < order {
		return fmt.Errorf("residual: %d partitions in a block of %d samples with a predictor of order %d", partitions, len(x), order)
	}
	size := len(x) / partitions
	for p := range partitions {
		part := x[p*size : (p+1)*size]
		if p == 0 {
			part = part[order:]
		}
		if r.bad {
			return errTruncated
		}
		if k := r.uint(paramBits); k == escape {
			n := uint(r.uint(5))
			for i := range part {
				part[i] = r.int(n)
			}
		} else if !rice(r, part, uint(k)) {
			return errors.New("residual: more than 32 bits")
		}
	}
	return nil
}

// rice decodes Rice codes of parameter k, and reports whether all fit 32 bits.
func rice(r *reader, x []int64, k uint) bool {
	for i := range x {
		q := r.unary()
		if r.bad {
			return true // the caller looks
		}
		v := q<<k | r.uint(k)
		if v>>32 != 0 || q>>32 != 0 {
			return false
		}
		x[i] = int64(v>>1) ^ -int64(v&1)
	}
	return true
}
