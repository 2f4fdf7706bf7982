// Package align holds the losses that pull matching vectors of two encoders
// together and the others apart, with their gradients.
//
// InfoNCE is the loss of CLIP: van den Oord et al. 2018, arXiv:1807.03748;
// Radford et al. 2021, arXiv:2103.00020. Sigmoid is that of SigLIP: Zhai et al.
// 2023, arXiv:2303.15343.
//
// Vectors are float32 and lie in rows; sums are float64, and no product is fused
// with the sum after it, so that results do not depend on the compiler.
package align

import (
	"errors"
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/tensor"
)

// ErrInput is the error of operands that the loss is not defined for.
var ErrInput = errors.New("bad input")

// Gradient is the derivative of a loss by its operands.
type Gradient struct {
	A, B        tensor.Tensor // [N, D]
	Temperature float64
	Bias        float64 // of Sigmoid
}

// InfoNCE is the mean cross entropy of finding each row's partner among all:
// row i of a [N, D] belongs to row i of b. With the similarities
// S = a·bᵀ/temperature,
//
//	loss = -1/2N Σᵢ log softmax(S[i,:])[i] + log softmax(S[:,i])[i]
//
// Rows are taken as they are: see Normalize.
func InfoNCE(a, b tensor.Tensor, temperature float64) (loss float64, g Gradient, err error) {
	s, err := similarity(a, b, temperature)
	if err != nil {
		return 0, g, err
	}
	x := s.scaled(0)
	grad := make([]float64, len(x))
	loss = infoNCE(x, s.n, grad)
	return loss, s.gradient(grad), nil
}

// Sigmoid is the mean over rows of what each pair adds as a question of its
// own, whether row i of a [N, D] belongs to row j of b: with
// S = a·bᵀ/temperature + bias,
//
//	loss = -1/N Σᵢⱼ log σ(±S[i,j]), + where i = j
//
// Rows are taken as they are: see Normalize.
func Sigmoid(a, b tensor.Tensor, temperature, bias float64) (loss float64, g Gradient, err error) {
	s, err := similarity(a, b, temperature)
	if err != nil {
		return 0, g, err
	}
	x := s.scaled(bias)
	grad := make([]float64, len(x))
	loss = sigmoid(x, s.n, grad)
	g = s.gradient(grad)
	for _, v := range grad {
		g.Bias += v
	}
	return loss, g, nil
}

// InfoNCELogits is the loss of InfoNCE given the similarities [N, N], as a
// model's logits_per_text are.
func InfoNCELogits(logits tensor.Tensor) (float64, error) { return ofLogits(logits, infoNCE) }

// SigmoidLogits is the loss of Sigmoid given the similarities [N, N].
func SigmoidLogits(logits tensor.Tensor) (float64, error) { return ofLogits(logits, sigmoid) }

func ofLogits(logits tensor.Tensor, loss func(s []float64, n int, grad []float64) float64) (float64, error) {
	if logits.DType() != tensor.F32 || logits.Rank() != 2 || logits.Dim(0) != logits.Dim(1) || logits.Dim(0) == 0 {
		return 0, fmt.Errorf("%w: similarities %v, want as many rows as columns", ErrInput, logits)
	}
	return loss(rowsOf(logits), logits.Dim(0), nil), nil
}

// infoNCE returns the loss of the similarities s [N, N] and, if grad is not
// nil, writes its derivative by them.
func infoNCE(s []float64, n int, grad []float64) float64 {
	loss := 0.0
	side := func(start, step int) {
		largest := math.Inf(-1)
		for j := range n {
			largest = max(largest, s[start+j*step])
		}
		sum := 0.0
		for j := range n {
			sum += math.Exp(s[start+j*step] - largest)
		}
		total := largest + math.Log(sum)
		loss += total
		for j := range n {
			if grad != nil {
				grad[start+j*step] += math.Exp(s[start+j*step]-total) / float64(2*n)
			}
		}
	}
	clear(grad)
	for i := range n {
		side(i*n, 1) // row i
		side(i, n)   // column i
		loss -= float64(2 * s[i*n+i])
		if grad != nil {
			grad[i*n+i] -= 1 / float64(n)
		}
	}
	return loss / float64(2*n)
}

// sigmoid is infoNCE for the other loss.
func sigmoid(s []float64, n int, grad []float64) float64 {
	loss := 0.0
	for i := range n {
		for j := range n {
			z, sign := s[i*n+j], -1.0
			if i == j {
				sign = 1
			}
			z *= sign
			// -log σ(z), without overflow
			loss += math.Log1p(math.Exp(-math.Abs(z))) + max(-z, 0)
			if grad != nil {
				grad[i*n+j] = -sign / (1 + math.Exp(z)) / float64(n)
			}
		}
	}
	return loss / float64(n)
}

// similarities are those of two sets of N vectors, before the bias.
type similarities struct {
	a, b        []float64 // [N, D]
	dot         []float64 // a·bᵀ [N, N]
	n, d        int
	temperature float64
}

func similarity(a, b tensor.Tensor, temperature float64) (*similarities, error) {
	for _, x := range []tensor.Tensor{a, b} {
		if x.DType() != tensor.F32 || x.Rank() != 2 {
			return nil, fmt.Errorf("%w: vectors %v, want float32 rows", ErrInput, x)
		}
	}
	n, d := a.Dim(0), a.Dim(1)
	if n == 0 || d == 0 || b.Dim(0) != n || b.Dim(1) != d {
		return nil, fmt.Errorf("%w: %v and %v vectors, want as many of one length", ErrInput, a.Shape(), b.Shape())
	}
	if !(temperature > 0) || math.IsInf(temperature, 1) {
		return nil, fmt.Errorf("%w: temperature %v, want a positive number", ErrInput, temperature)
	}
	s := &similarities{a: rowsOf(a), b: rowsOf(b), dot: make([]float64, n*n), n: n, d: d, temperature: temperature}
	for i := range n {
		for j := range n {
			s.dot[i*n+j] = dot(s.a[i*d:(i+1)*d], s.b[j*d:(j+1)*d])
		}
	}
	return s, nil
}

// scaled returns a·bᵀ/temperature + bias.
func (s *similarities) scaled(bias float64) []float64 {
	out := make([]float64, len(s.dot))
	for i, v := range s.dot {
		out[i] = v/s.temperature + bias
	}
	return out
}

// gradient carries the derivative by the scaled similarities back to the
// operands.
func (s *similarities) gradient(grad []float64) Gradient {
	n, d := s.n, s.d
	a, b := make([]float64, n*d), make([]float64, n*d)
	var g Gradient
	for i := range n {
		for j := range n {
			v := grad[i*n+j] / s.temperature
			g.Temperature -= float64(v*s.dot[i*n+j]) / s.temperature
			for k := range d {
				a[i*d+k] += float64(v * s.b[j*d+k])
				b[j*d+k] += float64(v * s.a[i*d+k])
			}
		}
	}
	g.A, g.B = tensorOf(a, n, d), tensorOf(b, n, d)
	return g
}

// Normalize returns the rows of x [N, D] at length 1, which makes their dot
// products cosines, and the function that carries a gradient by them back to
// one by x. A row of zeros is an error.
func Normalize(x tensor.Tensor) (unit tensor.Tensor, back func(grad tensor.Tensor) (tensor.Tensor, error), err error) {
	if x.DType() != tensor.F32 || x.Rank() != 2 {
		return unit, nil, fmt.Errorf("%w: vectors %v, want float32 rows", ErrInput, x)
	}
	n, d := x.Dim(0), x.Dim(1)
	u, length := rowsOf(x), make([]float64, n)
	for i := range n {
		row := u[i*d : (i+1)*d]
		length[i] = math.Sqrt(dot(row, row))
		if !(length[i] > 0) || math.IsInf(length[i], 1) {
			return unit, nil, fmt.Errorf("%w: row %d has length %v", ErrInput, i, length[i])
		}
		for k := range row {
			row[k] /= length[i]
		}
	}
	back = func(grad tensor.Tensor) (tensor.Tensor, error) {
		if grad.DType() != tensor.F32 || grad.Rank() != 2 || grad.Dim(0) != n || grad.Dim(1) != d {
			return tensor.Tensor{}, fmt.Errorf("%w: gradient %v of rows [%d %d]", ErrInput, grad, n, d)
		}
		g := rowsOf(grad)
		for i := range n {
			row, by := u[i*d:(i+1)*d], g[i*d:(i+1)*d]
			along := dot(row, by)
			for k := range row {
				by[k] = (by[k] - float64(along*row[k])) / length[i]
			}
		}
		return tensorOf(g, n, d), nil
	}
	return tensorOf(u, n, d), back, nil
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for k, v := range a {
		sum += float64(v * b[k])
	}
	return sum
}

// rowsOf returns the elements of a matrix as float64.
func rowsOf(x tensor.Tensor) []float64 {
	n, d := x.Rows(), x.Cols()
	out := make([]float64, 0, n*d)
	for i := range n {
		for _, v := range x.F32()[i*x.LD() : i*x.LD()+d] {
			out = append(out, float64(v))
		}
	}
	return out
}

func tensorOf(x []float64, n, d int) tensor.Tensor {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return tensor.FromF32(out, n, d)
}
