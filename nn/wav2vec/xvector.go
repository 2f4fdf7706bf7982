package wav2vec

import (
	"math"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/tensor"
)

// XVector is the speaker embedding head: time-delay layers over the frames,
// then the mean and standard deviation of each channel over time (Snyder et al.
// 2018, "X-vectors: robust DNN embeddings for speaker recognition").
type XVector struct {
	Projector nn.Linear
	TDNN      []TDNN
	Features  nn.Linear // [mean, std] → embedding
}

// TDNN is a dilated convolution with a ReLU.
type TDNN struct {
	Conv
	Dilation int
}

func bindXVector(p nn.Params, c Config) *XVector {
	m := &XVector{Projector: p.Linear("projector", c.HiddenSize, c.TDNNDim[0], true)}
	in := c.TDNNDim[0]
	for i, out := range c.TDNNDim {
		l, width := p.Sub("tdnn.%d", i), c.TDNNKernel[i]
		w, _ := l.F32("kernel.weight", out, width*in) // tap by tap; a convolution has them last
		b, _ := l.F32("kernel.bias", out)
		if p.Err() != nil {
			return m
		}
		taps := make([]float32, len(w))
		for o := range out {
			for k := range width {
				for ch := range in {
					taps[(o*in+ch)*width+k] = w[(o*width+k)*in+ch]
				}
			}
		}
		m.TDNN = append(m.TDNN, TDNN{packConv(l, "kernel", taps, b, in, out, width, 1), c.TDNNDilation[i]})
		in = out
	}
	m.Features = p.Linear("feature_extractor", 2*in, c.XVectorOutputDim, true)
	return m
}

// frames returns what the layers leave of t frames; zero or less if they are
// too few.
func (m *XVector) frames(t int) int {
	for _, l := range m.TDNN {
		t -= l.Dilation * (l.Width - 1)
	}
	return t
}

// pooled returns how many of the layers' frames count for a sound of t real
// ones. Hugging Face leaves the dilation out of this sum.
func (m *XVector) pooled(t int) int {
	for _, l := range m.TDNN {
		t -= l.Width - 1
	}
	return t
}

// Forward returns the embeddings [B, C] of the hidden states x [B·T, C].
func (m *XVector) Forward(p nn.Pass, x tensor.Tensor, r *nn.Ragged) tensor.Tensor {
	x = m.Projector.Forward(p, x, kernels.ActNone)
	width := m.TDNN[len(m.TDNN)-1].W.Out()
	stats := make([]float32, r.B*2*width)
	for s := range r.B {
		y := x.SliceRows(s*r.T, (s+1)*r.T)
		for _, l := range m.TDNN {
			z := p.New(y.Rows()-l.Dilation*(l.Width-1), l.W.Out())
			p.Conv1D(z, y, l.W, nn.Window1D{Stride: 1, Dilation: l.Dilation}, nn.Epilogue{Bias: l.B, Act: kernels.ActReLU})
			y = z
		}
		n := y.Rows()
		if r.Hidden != nil {
			n = min(n, m.pooled(visible(r, s)))
		}
		poolStats(stats[s*2*width:][:2*width], p.Host(y), n)
	}
	return m.Features.Forward(p, p.Floats(stats, r.B, 2*width), kernels.ActNone)
}

// visible returns the number of frames of sequence s that are not masked.
func visible(r *nn.Ragged, s int) int {
	n := 0
	for _, v := range r.Hidden[s*r.T : (s+1)*r.T] {
		if v == 0 {
			n++
		}
	}
	return n
}

// poolStats writes the mean and the unbiased standard deviation of each column
// over the first n rows of x.
func poolStats(dst []float32, x tensor.Tensor, n int) {
	c := x.Cols()
	for j := range c {
		sum, squares := 0.0, 0.0
		for i := range n {
			sum += float64(x.F32()[i*x.LD()+j])
		}
		mean := sum / float64(n)
		for i := range n {
			d := float64(x.F32()[i*x.LD()+j]) - mean
			squares += float64(d * d)
		}
		dst[j], dst[c+j] = float32(mean), float32(math.Sqrt(squares/float64(n-1)))
	}
}
