package kernels

import (
	"github.com/seed-512d3d71/weft/internal/par"
	"github.com/seed-512d3d71/weft/kernels/ref"
)

type Conv1D struct {
	w                     []float32
	cout, cin, kw, groups int
}

func (c *Conv1D) Bytes() int { return 4 * len(c.w) }

func PackConv1D(w []float32, cout, cin, kw, groups int) *Conv1D {
	return &Conv1D{w, cout, cin, kw, groups}
}

func Conv1DF32(t *par.Team, dst []float32, x []float32, tIn int, c *Conv1D, stride, padL, padR, dil int, ep Epilogue) {
	tOut := (tIn+padL+padR-dil*(c.kw-1)-1)/stride + 1
	ci, co := c.cin/c.groups, c.cout/c.groups
	for i := range tOut {
		for o := range c.cout {
			g := o / co
			s := float32(0)
			for k := range c.kw {
				r := i*stride + k*dil - padL
				if r < 0 || r >= tIn {
					continue
				}
				for q := range ci {
					s = ref.FMA32(x[r*c.cin+g*ci+q], c.w[(o*ci+q)*c.kw+k], s)
				}
			}
			if ep.Bias != nil {
				s += ep.Bias[o]
			}
			s = act(ep.Act, s)
			if ep.Residual != nil {
				s += ep.Residual[i*ep.LDR+o]
			}
			dst[i*c.cout+o] = s
		}
	}
}

type Conv2D struct{}

func (c *Conv2D) Bytes() int                                        { return 0 }
func PackConv2D(w []float32, cout, cin, kh, kw, groups int) *Conv2D { return nil }
func Conv2DF32(t *par.Team, dst, x []float32, h, w int, c *Conv2D, a1, a2, a3, a4, a5, a6, a7, a8 int, ep Epilogue) {
}
