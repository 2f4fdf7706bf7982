package flac

import (
	"encoding/binary"
	"math/bits"
)

// reader reads big-endian bit fields. Reading past the end gives zeros and sets
// bad.
type reader struct {
	b    []byte
	at   int    // the next byte to load
	word uint64 // loaded bits, the first in the highest place, zeros below
	n    uint   // how many
	bad  bool
}

// fill loads bytes until more than 56 bits are there or the input ends.
func (r *reader) fill() {
	if r.at+8 <= len(r.b) {
		take := (64 - r.n) / 8
		v := binary.BigEndian.Uint64(r.b[r.at:])
		if take < 8 {
			v &^= 1<<(64-8*take) - 1
		}
		r.word |= v >> r.n
		r.at += int(take)
		r.n += 8 * take
		return
	}
	for r.n <= 56 && r.at < len(r.b) {
		r.word |= uint64(r.b[r.at]) << (56 - r.n)
		r.at++
		r.n += 8
	}
}

// uint reads n ≤ 56 bits.
func (r *reader) uint(n uint) uint64 {
	if r.n < n {
		if r.fill(); r.n < n {
			r.bad, r.word, r.n = true, 0, 0
			return 0
		}
	}
	v := r.word >> (64 - n) // 0 for n = 0
	r.word <<= n
	r.n -= n
	return v
}

// int reads n ≤ 56 bits in two's complement.
func (r *reader) int(n uint) int64 {
	if n == 0 {
		return 0
	}
	return int64(r.uint(n)<<(64-n)) >> (64 - n)
}

// unary counts zeros up to the next one, which it takes too.
func (r *reader) unary() uint64 {
	zeros := uint64(0)
	for {
		if r.word != 0 {
			z := uint(bits.LeadingZeros64(r.word))
			r.word <<= z + 1
			r.n -= z + 1
			return zeros + uint64(z)
		}
		zeros += uint64(r.n)
		r.word, r.n = 0, 0
		if r.fill(); r.n == 0 {
			r.bad = true
			return 0
		}
	}
}

// align drops the bits up to the next whole byte.
func (r *reader) align() {
	r.word <<= r.n % 8
	r.n -= r.n % 8
}

// offset returns how many bytes of b have been read, a begun one counted.
func (r *reader) offset() int { return r.at - int(r.n/8) }
