package cuda

// Slabs hands out device memory that is given back all at once, as a model's
// weights are. Small pieces share slabs. It is not safe for concurrent use.
type Slabs struct {
	device Device
	slabs  []Ptr
	next   Ptr // in the last slab that is shared
	left   int
	bytes  int
}

const (
	alignment = 256
	slabBytes = 2 << 20
)

// NewSlabs returns an empty set of slabs.
func NewSlabs(d Device) *Slabs { return &Slabs{device: d} }

// Alloc returns the address, a multiple of 256, of so many bytes.
func (s *Slabs) Alloc(bytes int) (Ptr, error) {
	n := max(alignment, (bytes+alignment-1)&^(alignment-1))
	if n > slabBytes/4 {
		p, err := s.device.Alloc(n)
		if err == nil {
			s.slabs, s.bytes = append(s.slabs, p), s.bytes+n
		}
		return p, err
	}
	if n > s.left {
		p, err := s.device.Alloc(slabBytes)
		if err != nil {
			return 0, err
		}
		s.slabs, s.bytes = append(s.slabs, p), s.bytes+slabBytes
		s.next, s.left = p, slabBytes
	}
	p := s.next
	s.next, s.left = s.next+Ptr(n), s.left-n
	return p, nil
}

// Bytes returns the memory that the slabs hold.
func (s *Slabs) Bytes() int { return s.bytes }

// Close gives all memory back.
func (s *Slabs) Close() {
	for _, p := range s.slabs {
		s.device.Free(p)
	}
	*s = Slabs{device: s.device}
}
