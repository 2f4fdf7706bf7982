package cuda

import (
	"bytes"
	"errors"
	"hash/maphash"
	"slices"
)

// Commands is a list of launches. It is a [Queue] that only remembers: what it
// holds is put on a [Stream] together.
type Commands struct {
	target int
	mapper TensorMapper
	args   Args
	list   []command
	params []byte // of all launches, each from a multiple of 64 on
}

// command is one launch; its parameters are params[offset:offset+size].
type command struct {
	kernel       Kernel
	grid, block  Dim
	shared       int
	offset, size int
}

// NewCommands returns an empty list for a device of the stream's kind.
func NewCommands(s Stream) *Commands {
	m, _ := s.(TensorMapper)
	return &Commands{target: s.Target(), mapper: m}
}

// Args returns the parameter buffer, emptied.
func (c *Commands) Args() *Args {
	c.args.Reset()
	return &c.args
}

// Launch adds a launch to the list.
func (c *Commands) Launch(k Kernel, grid, block Dim, shared int, args *Args) {
	offset := (len(c.params) + 63) &^ 63
	c.params = append(c.params, zeros[:offset-len(c.params)]...)
	c.params = append(c.params, args.Buffer()...)
	c.list = append(c.list, command{k, grid, block, shared, offset, len(c.params) - offset})
}

var zeros [64]byte

// Target is the device's compute capability times ten.
func (c *Commands) Target() int { return c.target }

// TensorMap returns the stream's description of m.
func (c *Commands) TensorMap(m *TensorMap) ([]byte, error) {
	if c.mapper == nil {
		return nil, errNoMaps
	}
	return c.mapper.TensorMap(m)
}

var errNoMaps = errors.New("cuda: no tensor maps")

// Len returns the number of launches.
func (c *Commands) Len() int { return len(c.list) }

// Reset empties the list.
func (c *Commands) Reset() { c.list, c.params = c.list[:0], c.params[:0] }

// Replay launches the list on q.
func (c *Commands) Replay(q Queue) {
	for i := range c.list {
		l := &c.list[i]
		args := q.Args()
		args.n = copy(args.buf[:], c.params[l.offset:l.offset+l.size])
		q.Launch(l.kernel, l.grid, l.block, l.shared, args)
	}
}

func (c *Commands) clone() *Commands {
	return &Commands{target: c.target, mapper: c.mapper, list: slices.Clone(c.list), params: slices.Clone(c.params)}
}

func (c *Commands) equal(d *Commands) bool {
	return slices.Equal(c.list, d.list) && bytes.Equal(c.params, d.params)
}

var seed = maphash.MakeSeed()

func (c *Commands) hash() uint64 {
	h := maphash.Bytes(seed, c.params)
	for i := range c.list {
		l := &c.list[i]
		h = (h^uint64(l.grid.X)^uint64(l.grid.Y)<<24^uint64(l.grid.Z)<<40)*1099511628211 + maphash.String(seed, l.kernel.Entry)
	}
	return h
}

const (
	minGraph  = 4  // launches
	maxGraphs = 64 // lists that are remembered
)

// Graphs puts lists of launches on a stream, by a graph where it has seen the
// same list before: a pass over inputs of the same shapes makes the same list,
// addresses included. The least recently used are forgotten.
type Graphs struct {
	stream Stream
	seen   []*seenList // the last used last
	off    bool        // the driver makes no graphs
	made   int
}

type seenList struct {
	hash  uint64
	list  *Commands
	graph Graph // nil: seen once
}

// NewGraphs returns a cache for one stream.
func NewGraphs(s Stream) *Graphs { return &Graphs{stream: s} }

// Run queues the list.
func (g *Graphs) Run(c *Commands) {
	if g.off || c.Len() < minGraph {
		g.stream.Run(c)
		return
	}
	h := c.hash()
	at := slices.IndexFunc(g.seen, func(s *seenList) bool { return s.hash == h && s.list.equal(c) })
	if at < 0 {
		if len(g.seen) == maxGraphs {
			g.seen[0].close()
			g.seen = slices.Delete(g.seen, 0, 1)
		}
		g.seen = append(g.seen, &seenList{hash: h, list: c.clone()})
		g.stream.Run(c)
		return
	}
	s := g.seen[at]
	copy(g.seen[at:], g.seen[at+1:])
	g.seen[len(g.seen)-1] = s
	if s.graph == nil {
		graph, err := g.stream.Graph(s.list)
		if err != nil {
			g.off = true // as drivers of before version 11.4 do: launches work all the same
			g.stream.Run(c)
			return
		}
		s.graph = graph
		g.made++
	}
	s.graph.Launch()
}

// Made returns how many graphs have been made.
func (g *Graphs) Made() int { return g.made }

func (s *seenList) close() {
	if s.graph != nil {
		s.graph.Close()
	}
}

// Close gives the graphs back. They must be done.
func (g *Graphs) Close() {
	for _, s := range g.seen {
		s.close()
	}
	g.seen = nil
}
