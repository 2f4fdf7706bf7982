package flac

import (
	"errors"
	"fmt"
)

var errTruncated = errors.New("file ends in the frame")

// Channel assignments that are not independent channels.
const (
	leftSide  = 8
	sideRight = 9
	midSide   = 10
)

type decoder struct {
	info   streamInfo
	limit  int
	out    []float32
	planes [8][]int64 // the channels of one frame; 33 bits at most
}

func (d *decoder) frames() int { return len(d.out) / d.info.channels }

// frame decodes the frame that b begins with and returns its size in bytes.
func (d *decoder) frame(b []byte) (size int, err error) {
	r := &reader{b: b}
	n, assignment, err := d.header(r)
	if err != nil {
		return 0, err
	}
	if n > (d.limit-len(d.out))/d.info.channels {
		return 0, ErrTooLarge
	}
	for c := range d.info.channels {
		if cap(d.planes[c]) < n {
			d.planes[c] = make([]int64, n)
		}
		d.planes[c] = d.planes[c][:n]
		bits := uint(d.info.bits)
		if c == 1 && (assignment == leftSide || assignment == midSide) || c == 0 && assignment == sideRight {
			bits++
		}
		if err := subframe(r, d.planes[c], bits); err != nil {
			return 0, fmt.Errorf("channel %d: %w", c, err)
		}
	}
	r.align()
	at := r.offset()
	sum := r.uint(16)
	if r.bad {
		return 0, errTruncated
	}
	if got := crc16(b[:at]); uint64(got) != sum {
		return 0, fmt.Errorf("checksum %#04x, the frame says %#04x", got, sum)
	}
	d.decorrelate(assignment)
	return at + 2, d.emit(n)
}

// header reads a frame's header and returns the number of samples of each
// channel and the channel assignment.
func (d *decoder) header(r *reader) (n, assignment int, err error) {
	sync := r.uint(16)
	if r.bad {
		return 0, 0, errTruncated
	}
	if sync>>1 != 0x7ffc { // 14 bits of sync code and a reserved bit
		return 0, 0, fmt.Errorf("no sync code: %#04x", sync)
	}
	sizeCode, rateCode := r.uint(4), r.uint(4)
	assignment = int(r.uint(4))
	bitsCode, reserved := r.uint(3), r.uint(1)
	// The frame's or sample's number, coded as UTF-8 codes up to 36 bits. The
	// order of the frames is theirs in the file.
	lead := r.uint(8)
	more := 0
	for lead<<more&0x80 != 0 {
		more++
	}
	if more == 1 || more == 8 {
		return 0, 0, errors.New("header: bad coded number")
	}
	for i := 1; i < more; i++ {
		if r.uint(8)>>6 != 2 {
			return 0, 0, errors.New("header: bad coded number")
		}
	}
	switch {
	case sizeCode == 0:
		return 0, 0, errors.New("header: reserved block size code 0")
	case sizeCode == 1:
		n = 192
	case sizeCode <= 5:
		n = 576 << (sizeCode - 2)
	case sizeCode == 6:
		n = int(r.uint(8)) + 1
	case sizeCode == 7:
		n = int(r.uint(16)) + 1
	default:
		n = 256 << (sizeCode - 8)
	}
	rate := d.info.rate
	switch {
	case rateCode == 0:
	case rateCode == 12:
		rate = int(r.uint(8)) * 1000
	case rateCode == 13:
		rate = int(r.uint(16))
	case rateCode == 14:
		rate = int(r.uint(16)) * 10
	case rateCode == 15:
		return 0, 0, errors.New("header: reserved sample rate code 15")
	default:
		rate = [...]int{88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000}[rateCode-1]
	}
	at := r.offset()
	sum := r.uint(8)
	if r.bad {
		return 0, 0, errTruncated
	}
	if got := crc8(r.b[:at]); uint64(got) != sum {
		return 0, 0, fmt.Errorf("header: checksum %#02x, the header says %#02x", got, sum)
	}
	channels := assignment + 1
	if assignment >= leftSide {
		channels = 2
	}
	bits := [...]int{d.info.bits, 8, 12, -1, 16, 20, 24, 32}[bitsCode]
	switch {
	case assignment > midSide:
		err = fmt.Errorf("header: reserved channel assignment %d", assignment)
	case bits < 0 || reserved != 0:
		err = errors.New("header: reserved bits are set")
	case n > 65535:
		err = errors.New("header: block size 65536")
	case rate != d.info.rate || channels != d.info.channels || bits != d.info.bits:
		err = fmt.Errorf("header: %d Hz, %d channels, %d bits; the stream has %d, %d, %d",
			rate, channels, bits, d.info.rate, d.info.channels, d.info.bits)
	}
	return n, assignment, err
}

// decorrelate turns a difference channel back into left and right.
func (d *decoder) decorrelate(assignment int) {
	a, b := d.planes[0], d.planes[1]
	switch assignment {
	case leftSide:
		for i, left := range a {
			b[i] = left - b[i]
		}
	case sideRight:
		for i, side := range a {
			a[i] = side + b[i]
		}
	case midSide:
		for i, mid := range a {
			side := b[i]
			sum := mid<<1 | side&1 // left + right, whose last bit mid has lost
			a[i], b[i] = (sum+side)>>1, (sum-side)>>1
		}
	}
}

// emit appends n samples of each channel. The values of a valid stream fit the
// stream's bits.
func (d *decoder) emit(n int) error {
	channels, top := d.info.channels, int64(1)<<(d.info.bits-1)
	at := len(d.out)
	d.out = append(d.out, make([]float32, n*channels)...)
	out := d.out[at:]
	// The value is rounded to float32 before it is scaled, which is exact.
	scale := 1 / float32(top)
	for c := range channels {
		for i, v := range d.planes[c] {
			if v < -top || v >= top {
				return fmt.Errorf("channel %d: sample %d does not fit %d bits", c, v, d.info.bits)
			}
			out[i*channels+c] = float32(v) * scale
		}
	}
	return nil
}
