package pil

import (
	"errors"
	"fmt"
)

const huffLookahead = 8

// huffman decodes one table's codes: short ones by lookup, long ones by
// comparing with the largest code of each length (T.81, F.2.2.3).
type huffman struct {
	lookup  [1 << huffLookahead]uint16 // length<<8 | symbol, 0: longer code
	maxCode [18]int32                  // largest code of a length, -1: none; [17] ends the search
	offset  [17]int32                  // symbol index of a code is code + offset
	symbols [256]uint8
}

func (d *jpegDecoder) defineHuffman(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 {
			return errors.New("Huffman table is cut off")
		}
		class, t := s[0]>>4, s[0]&15
		n := 0
		for _, c := range s[1:17] {
			n += int(c)
		}
		if class > 1 || t > 3 || n > 256 || n > len(s)-17 {
			return errors.New("malformed Huffman table")
		}
		h, err := newHuffman([16]uint8(s[1:17]), s[17:17+n], class == 0)
		if err != nil {
			return err
		}
		if class == 0 {
			d.dc[t] = h
		} else {
			d.ac[t] = h
		}
		s = s[17+n:]
	}
	return nil
}

func newHuffman(counts [16]uint8, symbols []uint8, dc bool) (*huffman, error) {
	h := &huffman{}
	copy(h.symbols[:], symbols)
	code, k := int32(0), int32(0)
	for l := 1; l <= 16; l++ {
		n := int32(counts[l-1])
		h.maxCode[l] = -1
		if n > 0 {
			if code+n > 1<<l {
				return nil, errors.New("Huffman codes overflow")
			}
			h.offset[l] = k - code
			if l <= huffLookahead {
				for i := range n {
					first := (code + i) << (huffLookahead - l)
					for j := range int32(1) << (huffLookahead - l) {
						h.lookup[first+j] = uint16(l)<<8 | uint16(symbols[k+i])
					}
				}
			}
			code += n
			k += n
			h.maxCode[l] = code - 1
		}
		code <<= 1
	}
	h.maxCode[17] = 1<<31 - 1
	if dc {
		for _, s := range symbols {
			if s > 15 {
				return nil, fmt.Errorf("Huffman table: DC size %d", s)
			}
		}
	}
	return h, nil
}

// jpegBits reads the entropy-coded bits of a scan. When a marker stands in
// the way it gives zeros, as libjpeg does; at the end of the file it fails.
type jpegBits struct {
	d            *jpegDecoder
	acc          uint64
	n            int
	marker       byte // met, not yet used
	insufficient bool // zeros have been made up
	err          error
}

// fill tops up the accumulator; need is how many bits it must hold.
func (r *jpegBits) fill(need int) {
	b, pos := r.d.b, r.d.pos
	for r.marker == 0 && r.n <= 56 {
		if pos >= len(b) {
			r.stop()
			break
		}
		c := b[pos]
		pos++
		if c == 0xFF {
			for pos < len(b) && b[pos] == 0xFF {
				pos++
			}
			if pos >= len(b) {
				r.stop()
				break
			}
			m := b[pos]
			pos++
			if m != 0 {
				r.marker = m
				break
			}
		}
		r.acc = r.acc<<8 | uint64(c)
		r.n += 8
	}
	r.d.pos = pos
	if r.n < need {
		r.insufficient = true
		r.acc <<= 57 - r.n
		r.n = 57
	}
}

func (r *jpegBits) stop() {
	if r.err == nil {
		r.err = ErrTruncated
	}
}

func (r *jpegBits) bits(n int) int {
	if r.n < n {
		r.fill(n)
	}
	r.n -= n
	return int(r.acc>>r.n) & (1<<n - 1)
}

// symbol decodes a Huffman code; an impossible code counts as symbol 0.
func (r *jpegBits) symbol(h *huffman) int {
	if r.n < huffLookahead {
		r.fill(0)
	}
	l := 1
	if r.n >= huffLookahead {
		if e := h.lookup[r.acc>>(r.n-huffLookahead)&(1<<huffLookahead-1)]; e != 0 {
			r.n -= int(e >> 8)
			return int(e & 255)
		}
		l = huffLookahead + 1
	}
	code := int32(r.bits(l))
	for code > h.maxCode[l] {
		code = code<<1 | int32(r.bits(1))
		l++
	}
	if l > 16 {
		return 0
	}
	return int(h.symbols[uint8(code+h.offset[l])])
}

// receive reads an n-bit value in T.81's sign convention (F.2.2.1).
func (r *jpegBits) receive(n int) int {
	v := r.bits(n)
	if n > 0 && v < 1<<(n-1) {
		v += -1<<n + 1
	}
	return v
}

// jpegScan is the state of one scan.
type jpegScan struct {
	d              *jpegDecoder
	r              jpegBits
	comps          []scanComponent
	ss, se, ah, al int
	eobRun         int
	toGo           int  // MCUs until the next restart
	nextRST        byte // its number
}

type scanComponent struct {
	*jpegComponent
	dcTable, acTable *huffman
	pred             int
}

// scan decodes the scan whose header is at d.pos. single is true when it
// holds the whole picture.
func (d *jpegDecoder) scan() (single bool, err error) {
	if d.scans++; d.scans > d.lim.Scans {
		return false, fmt.Errorf("%w: more than %d scans", ErrTooLarge, d.lim.Scans)
	}
	n := int(d.b[d.pos])<<8 | int(d.b[d.pos+1])
	h := d.b[d.pos+2 : d.pos+n]
	d.pos += n
	s := &jpegScan{d: d}
	s.r.d = d
	if err := s.header(h); err != nil {
		return false, fmt.Errorf("scan %d: %w", d.scans, err)
	}
	single = !d.progressive && len(s.comps) == len(d.comps)
	d.allocate(!single)
	if err := s.decode(); err != nil {
		return false, fmt.Errorf("scan %d: %w", d.scans, err)
	}
	if m := s.r.marker; m != 0 {
		d.pos -= 2 // the marker belongs to what follows
	}
	return single, nil
}

func (s *jpegScan) header(h []byte) error {
	d := s.d
	if len(h) < 1 || h[0] < 1 || h[0] > 4 || len(h) != 4+2*int(h[0]) {
		return errors.New("malformed header")
	}
	n := int(h[0])
	s.comps = make([]scanComponent, n)
	tail := h[1+2*n:]
	s.ss, s.se, s.ah, s.al = int(tail[0]), int(tail[1]), int(tail[2]>>4), int(tail[2]&15)
	if d.progressive {
		if s.ss > s.se || s.se > 63 || s.ss == 0 && s.se != 0 || s.ss != 0 && n != 1 ||
			s.al > 13 || s.ah != 0 && s.ah-1 != s.al {
			return fmt.Errorf("progression %d-%d, %d-%d", s.ss, s.se, s.ah, s.al)
		}
	} else {
		s.ss, s.se, s.ah, s.al = 0, 63, 0, 0
		if err := d.defaultHuffman(); err != nil {
			return err
		}
	}
	blocks := 0
	for i := range s.comps {
		id, t := int(h[1+2*i]), h[2+2*i]
		c := &s.comps[i]
		for j := range d.comps {
			if d.comps[j].id == id && c.jpegComponent == nil && !s.uses(&d.comps[j]) {
				c.jpegComponent = &d.comps[j]
			}
		}
		if c.jpegComponent == nil {
			return fmt.Errorf("no component %d", id)
		}
		blocks += c.h * c.v
		if t>>4 > 3 || t&15 > 3 {
			return fmt.Errorf("Huffman table %02x", t)
		}
		c.dcTable, c.acTable = d.dc[t>>4], d.ac[t&15]
		if s.ss == 0 && s.ah == 0 && c.dcTable == nil {
			return fmt.Errorf("Huffman table %d is not defined", t>>4)
		}
		if s.se > 0 && c.acTable == nil {
			return fmt.Errorf("Huffman table %d is not defined", t&15)
		}
		if c.quant == nil {
			if c.tq > 3 || d.quant[c.tq] == nil {
				return fmt.Errorf("quantisation table %d is not defined", c.tq)
			}
			c.quant = d.quant[c.tq]
		}
		c.seen = true
		for k := s.ss; k <= s.se; k++ {
			c.coefBits[zigzag[k]] = int8(s.al)
		}
	}
	if n > 1 && blocks > 10 {
		return fmt.Errorf("%d blocks in an MCU", blocks)
	}
	return nil
}

// uses reports whether the scan already has component c.
func (s *jpegScan) uses(c *jpegComponent) bool {
	for i := range s.comps {
		if s.comps[i].jpegComponent == c {
			return true
		}
	}
	return false
}

func (s *jpegScan) decode() error {
	d := s.d
	s.toGo = d.restart
	if len(s.comps) == 1 { // not interleaved: the component's own blocks
		c := &s.comps[0]
		for by := range c.bh {
			for bx := range c.bw {
				if err := s.restart(); err != nil {
					return err
				}
				s.block(c, bx, by)
			}
			if s.r.err != nil {
				return s.r.err
			}
		}
		return s.r.err
	}
	for my := range d.mcusY {
		for mx := range d.mcusX {
			if err := s.restart(); err != nil {
				return err
			}
			for i := range s.comps {
				c := &s.comps[i]
				for v := range c.v {
					for h := range c.h {
						s.block(c, mx*c.h+h, my*c.v+v)
					}
				}
			}
		}
		if s.r.err != nil {
			return s.r.err
		}
	}
	return s.r.err
}

// restart runs before each MCU and handles the restart marker when it is due.
func (s *jpegScan) restart() error {
	if s.d.restart == 0 {
		return nil
	}
	if s.toGo == 0 {
		if err := s.resync(); err != nil {
			return err
		}
		for i := range s.comps {
			s.comps[i].pred = 0
		}
		s.eobRun = 0
		s.toGo = s.d.restart
		if s.r.marker == 0 {
			s.r.insufficient = false
		}
	}
	s.toGo--
	return nil
}

// resync finds the restart marker that is due; of damaged data it gives up
// as much as libjpeg does (jpeg_resync_to_restart).
func (s *jpegScan) resync() error {
	r := &s.r
	r.acc, r.n = 0, 0
	if r.err != nil {
		return r.err
	}
	next := func() (err error) {
		r.marker, err = s.d.marker()
		return err
	}
	if r.marker == 0 {
		if err := next(); err != nil {
			return err
		}
	}
	want := s.nextRST
	s.nextRST = (want + 1) & 7
	for {
		m := r.marker
		switch {
		case m == mRST0+want:
			r.marker = 0
			return nil
		case m < mSOF0, m == mRST0+(want-1)&7, m == mRST0+(want-2)&7:
			// Not a real marker, or an earlier one: look further.
			if err := next(); err != nil {
				return err
			}
		case m < mRST0 || m > mRST7, m == mRST0+(want+1)&7, m == mRST0+(want+2)&7:
			return nil // leave it; the data up to here are lost
		default:
			r.marker = 0 // too far away to tell: take it for the one due
			return nil
		}
	}
}

// block decodes block (bx, by) of a component. Past a marker in the wrong
// place nothing is read and coefficients stay as they are.
func (s *jpegScan) block(c *scanComponent, bx, by int) {
	if !s.d.progressive {
		var b [64]int16
		if !s.r.insufficient {
			s.sequential(c, &b)
		}
		idct(&b, c.quant, c.pix[(by*c.stride*8+bx)*8:], c.stride*8)
		return
	}
	if s.r.insufficient {
		return
	}
	b := &c.coefs[by*c.stride+bx]
	switch {
	case s.ss == 0 && s.ah == 0:
		c.pred += s.r.receive(s.r.symbol(c.dcTable))
		b[0] = int16(c.pred << s.al)
	case s.ss == 0:
		if s.r.bits(1) != 0 {
			b[0] |= 1 << s.al
		}
	case s.ah == 0:
		s.acFirst(c, b)
	default:
		s.acRefine(c, b)
	}
}

func (s *jpegScan) sequential(c *scanComponent, b *[64]int16) {
	r := &s.r
	c.pred += r.receive(r.symbol(c.dcTable))
	b[0] = int16(c.pred)
	for k := 1; k < 64; k++ {
		v := r.symbol(c.acTable)
		if n := v & 15; n != 0 {
			k += v >> 4
			b[zigzag[k]] = int16(r.receive(n))
		} else if v>>4 == 15 {
			k += 15
		} else {
			break
		}
	}
}

// acFirst is the first scan of a band (T.81, G.1.2.2).
func (s *jpegScan) acFirst(c *scanComponent, b *[64]int16) {
	if s.eobRun > 0 {
		s.eobRun--
		return
	}
	r := &s.r
	for k := s.ss; k <= s.se; k++ {
		v := r.symbol(c.acTable)
		run, n := v>>4, v&15
		switch {
		case n != 0:
			k += run
			b[zigzag[k]] = int16(r.receive(n) << s.al)
		case run == 15:
			k += 15
		default:
			s.eobRun = 1<<run - 1
			if run > 0 {
				s.eobRun += r.bits(run)
			}
			return
		}
	}
}

// acRefine is a later scan of a band: one more bit for the coefficients that
// are not zero, and new ones (T.81, G.1.2.3).
func (s *jpegScan) acRefine(c *scanComponent, b *[64]int16) {
	r := &s.r
	plus, minus := int16(1)<<s.al, int16(-1)<<s.al
	refine := func(p *int16) {
		if r.bits(1) != 0 && *p&plus == 0 {
			if *p >= 0 {
				*p += plus
			} else {
				*p += minus
			}
		}
	}
	k := s.ss
	if s.eobRun == 0 {
		for ; k <= s.se; k++ {
			v := r.symbol(c.acTable)
			run, n := v>>4, v&15
			var fresh int16
			if n != 0 { // always 1 in a sound file
				fresh = minus
				if r.bits(1) != 0 {
					fresh = plus
				}
			} else if run != 15 {
				s.eobRun = 1 << run
				if run > 0 {
					s.eobRun += r.bits(run)
				}
				break
			}
			for ; k <= s.se; k++ {
				p := &b[zigzag[k]]
				if *p != 0 {
					refine(p)
					continue
				}
				if run == 0 {
					break
				}
				run--
			}
			if fresh != 0 {
				b[zigzag[min(k, 79)]] = fresh
			}
		}
	}
	if s.eobRun > 0 {
		for ; k <= s.se; k++ {
			if p := &b[zigzag[k]]; *p != 0 {
				refine(p)
			}
		}
		s.eobRun--
	}
}
