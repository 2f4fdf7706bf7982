package nn

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed-512d3d71/weft/tensor"
)

// cacheModel is what a Cache does, with a copy of every row.
type cacheModel [][]float32

func (m cacheModel) clone(s int32) []float32 { return slices.Clone(m[s]) }

// TestCache does random things to a cache and checks that it holds what was
// appended, and that every page is either free or counted.
func TestCache(t *testing.T) {
	cpu, err := NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	const layers, cols = 2, 3
	p := cpu.Begin(t.Context())
	defer p.End()
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		c := NewCache(cpu, layers, cols, cols)
		c.Reset(1+r.IntN(3), r.IntN(100))
		model := make(cacheModel, c.Sequences())
		next := float32(0)
		for range 60 {
			switch r.IntN(6) {
			case 0:
				from := make([]int32, 1+r.IntN(5))
				now := make(cacheModel, len(from))
				for i := range from {
					from[i] = r.Int32N(int32(len(model)))
					now[i] = model.clone(from[i])
				}
				c.Reorder(from)
				model = now
			case 1:
				n := r.IntN(100)
				c.Cut(n)
				for s := range model {
					model[s] = model[s][:min(len(model[s]), n)]
				}
			default:
				n := make([]int, len(model))
				total := 0
				for s := range n {
					if n[s] = r.IntN(3); r.IntN(4) == 0 {
						n[s] = r.IntN(70)
					}
					total += n[s]
				}
				c.Extend(func(s int) int { return n[s] })
				k, v := tensor.FromF32(make([]float32, total*cols), total, cols), tensor.FromF32(make([]float32, total*cols), total, cols)
				row := 0
				for s := range n {
					for range n[s] {
						next++
						for j := range cols {
							k.F32()[row*cols+j], v.F32()[row*cols+j] = next, -next
						}
						model[s] = append(model[s], next)
						row++
					}
				}
				for l := range layers {
					p.Append(c, l, k, v)
				}
			}
			checkCache(t, c, model, layers, cols)
		}
	}
}

func checkCache(t *testing.T, c *Cache, model cacheModel, layers, cols int) {
	t.Helper()
	m := c.pages.(*cpuPages)
	uses := make([]int32, len(c.refs))
	for s, want := range model {
		if c.Rows(s) != len(want) {
			t.Fatalf("sequence %d has %d rows, want %d", s, c.Rows(s), len(want))
		}
		for _, page := range c.pagesOf(s) {
			uses[page]++
		}
		for i, x := range want {
			for l := range layers {
				k, v := m.at(l)
				at := int(c.table[s*c.stride+i/CachePage]) * m.page()
				if m.data[at+k+i%CachePage*cols] != x || m.data[at+v+i%CachePage*cols+cols-1] != -x {
					t.Fatalf("sequence %d, row %d, layer %d: not what was appended", s, i, l)
				}
			}
		}
	}
	for _, page := range c.free {
		if uses[page] != 0 {
			t.Fatalf("page %d is free and used", page)
		}
		uses[page] = -1
	}
	for page, n := range uses {
		if n >= 0 && (n == 0 || n != c.refs[page]) {
			t.Fatalf("page %d: %d uses, counted %d", page, n, c.refs[page])
		}
	}
}

// TestRotary compares with the definition, over a growing table.
func TestRotary(t *testing.T) {
	cpu, err := NewCPU(1)
	if err != nil {
		t.Fatal(err)
	}
	const dim, heads = 8, 3
	r := NewRotary(dim, 10000)
	for _, last := range []int32{3, 70, 1000} {
		p := cpu.Begin(context.Background())
		positions := []int32{0, last, 1}
		x := tensor.FromF32(make([]float32, 3*dim*heads), 3, dim*heads)
		for i := range x.F32() {
			x.F32()[i] = float32(i%7) - 3
		}
		want := slices.Clone(x.F32())
		for row, at := range positions {
			for h := range heads {
				head := want[(row*heads+h)*dim:][:dim]
				for i := range dim / 2 {
					sin, cos := math.Sincos(float64(at) * math.Pow(10000, -2*float64(i)/dim))
					a, b := float64(head[i]), float64(head[i+dim/2])
					head[i], head[i+dim/2] = float32(a*cos-b*sin), float32(b*cos+a*sin)
				}
			}
		}
		r.Apply(p, x, positions, dim)
		p.End()
		for i, v := range want {
			if math.Abs(float64(v-x.F32()[i])) > 1e-6*float64(1+last) {
				t.Fatalf("up to %d: element %d is %v, want %v", last, i, x.F32()[i], v)
			}
		}
	}
}
