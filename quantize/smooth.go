package quantize

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/safetensors"
)

// Xiao et al. 2023, SmoothQuant, arXiv:2211.10438: where the inputs of a layer
// have a few channels far larger than the rest, they are divided by s and the
// weights' columns multiplied by it,
//
//	s[j] = max|x[j]|^α / max|w[j]|^(1-α),
//
// the division folded into the norm that makes the inputs. Here s is rounded to
// a power of two, so that the float32 model stays the same to the bit.

// smoothed writes a copy of the model with its scales migrated into a temporary
// directory beside dst, and returns its name and the number of norms changed.
func smoothed(ctx context.Context, src *hub.Dir, dst string, o Options) (tmp string, norms int, err error) {
	folds, err := findFolds(ctx, src, o)
	if err != nil {
		return "", 0, err
	}
	dst, err = filepath.Abs(dst)
	if err != nil {
		return "", 0, err
	}
	if tmp, err = os.MkdirTemp(filepath.Dir(dst), "."+filepath.Base(dst)+".smooth-"); err != nil {
		return "", 0, err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(tmp)
		}
	}()
	weights, err := src.Weights()
	if err != nil {
		return "", 0, err
	}
	defer weights.Close()
	shifts := map[string]shift{}
	for _, f := range folds {
		if err := f.fit(weights); err != nil {
			return "", 0, err
		}
		norms++
		for _, s := range f.tensors {
			shifts[s.name] = s
		}
	}
	_, err = writeFiles(tmp, src, weights, func(t safetensors.Tensor) ([]safetensors.Entry, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		e := unchanged(t)
		if s, ok := shifts[t.Name]; ok {
			e.Stream = func(w io.Writer) error {
				b, _, err := s.apply(t)
				t.Discard()
				if err != nil {
					return err
				}
				_, err = w.Write(b)
				return err
			}
		}
		return []safetensors.Entry{e}, nil
	})
	if err != nil {
		return "", 0, err
	}
	config, err := src.ReadFile("config.json", maxConfig)
	if err != nil {
		return "", 0, err
	}
	return tmp, norms, os.WriteFile(filepath.Join(tmp, "config.json"), config, 0o666)
}

// fold is a norm with the linear layers that read it.
type fold struct{ tensors []shift }

// shift multiplies a tensor by powers of two, channel by channel: those are its
// columns, or its rows.
type shift struct {
	name string
	exp  []int
	rows bool
}

// findFolds runs the model on samples and chooses the powers.
func findFolds(ctx context.Context, src *hub.Dir, o Options) ([]fold, error) {
	var trace *nn.Tracer
	m, err := weft.OpenDir(src, weft.WithBackend(func(b nn.Backend) nn.Backend {
		trace = nn.NewTracer(b)
		return trace
	}))
	if err != nil {
		return nil, err
	}
	defer m.Close()
	samples := o.Samples
	if len(samples) == 0 {
		if samples, err = madeUp(m); err != nil {
			return nil, err
		}
	}
	if _, err := run(ctx, m, samples, weft.RunOptions{HiddenStates: true}); err != nil {
		return nil, err
	}
	uses, err := weft.Uses(src)
	if err != nil {
		return nil, err
	}
	weights, err := src.Weights()
	if err != nil {
		return nil, err
	}
	defer weights.Close()
	var folds []fold
	for _, n := range trace.Norms() {
		// What the last norm makes is an output of the model's other classes.
		if !n.Alone || len(n.Layers) == 0 || !nn.InBlock(n.Gain) {
			continue
		}
		f, err := newFold(n, uses, weights, o.Smooth)
		if err != nil {
			return nil, err
		}
		if f != nil {
			folds = append(folds, *f)
		}
	}
	return folds, nil
}

// newFold chooses the powers for one norm, nil if it cannot be folded.
func newFold(n nn.Norm, uses []nn.Use, weights *safetensors.Set, alpha float64) (*fold, error) {
	channels := len(n.Max)
	largest := make([]float32, channels) // of the weights
	f := &fold{}
	for _, layer := range n.Layers {
		found := false
		for _, u := range uses {
			if u.Layer != layer {
				continue
			}
			t, ok := weights.Lookup(u.Name)
			if u.Kind != nn.UseLinear || !ok || len(t.Shape) != 2 {
				return nil, nil
			}
			rows, cols := t.Shape[0], t.Shape[1]
			if u.Transposed && rows != channels || !u.Transposed && cols != channels {
				return nil, nil
			}
			x, err := t.Float32()
			if err != nil {
				return nil, err
			}
			for i, v := range x {
				c := i % cols
				if u.Transposed {
					c = i / cols
				}
				largest[c] = max(largest[c], v, -v)
			}
			t.Discard()
			f.tensors = append(f.tensors, shift{name: u.Name, rows: u.Transposed})
			found = true
		}
		if !found {
			return nil, nil
		}
	}
	logs, mean, count := make([]float64, channels), 0.0, 0
	for c, w := range largest {
		if x := n.Max[c]; x > 0 && w > 0 {
			logs[c] = alpha*math.Log2(float64(x)) - (1-alpha)*math.Log2(float64(w))
			mean, count = mean+logs[c], count+1
		}
	}
	if count == 0 {
		return nil, nil
	}
	mean /= float64(count)
	exp, back, changed := make([]int, channels), make([]int, channels), false
	for c, w := range largest {
		if n.Max[c] > 0 && w > 0 {
			exp[c] = int(math.RoundToEven(logs[c] - mean))
			back[c] = -exp[c]
			changed = changed || exp[c] != 0
		}
	}
	if !changed {
		return nil, nil
	}
	for i := range f.tensors {
		f.tensors[i].exp = exp
	}
	f.tensors = append(f.tensors, shift{name: n.Gain, exp: back})
	if n.Bias != "" {
		f.tensors = append(f.tensors, shift{name: n.Bias, exp: back})
	}
	return f, nil
}

// fit leaves alone the channels of which a product does not fit its tensor's
// type.
func (f fold) fit(weights *safetensors.Set) error {
	for _, s := range f.tensors {
		t, ok := weights.Lookup(s.name)
		if !ok {
			return fmt.Errorf("%s: %w", s.name, nn.ErrMissingWeight)
		}
		_, inexact, err := s.apply(t)
		t.Discard()
		if err != nil {
			return err
		}
		for _, c := range inexact {
			for _, s := range f.tensors {
				s.exp[c] = 0
			}
		}
	}
	return nil
}

// apply returns the tensor's data multiplied, and channels in which a product
// is not exact.
func (s shift) apply(t safetensors.Tensor) (b []byte, inexact []int, err error) {
	var exponent, mantissa int // bits
	switch t.DType {
	case safetensors.F64:
		exponent, mantissa = 11, 52
	case safetensors.F32:
		exponent, mantissa = 8, 23
	case safetensors.BF16:
		exponent, mantissa = 8, 7
	case safetensors.F16:
		exponent, mantissa = 5, 10
	default:
		return nil, nil, fmt.Errorf("%s: stored as %v: %w", t.Name, t.DType, ErrWeight)
	}
	data := t.Data()
	if int64(len(data)) != t.End-t.Begin {
		return nil, nil, fmt.Errorf("%s: %w", t.Name, safetensors.ErrClosed)
	}
	b = slices.Clone(data)
	size, cols := t.DType.Bits()/8, t.Shape[len(t.Shape)-1]
	var word [8]byte
	for i := range t.Len() {
		c := i % cols
		if s.rows {
			c = i / cols
		}
		if s.exp[c] == 0 {
			continue
		}
		clear(word[:])
		copy(word[:], b[i*size:][:size])
		v, ok := scaleBits(binary.LittleEndian.Uint64(word[:]), s.exp[c], exponent, mantissa)
		if !ok {
			inexact = append(inexact, c)
		}
		binary.LittleEndian.PutUint64(word[:], v)
		copy(b[i*size:][:size], word[:])
	}
	return b, inexact, nil
}

// scaleBits multiplies a number of so many bits of exponent and mantissa by
// 2^k; false if the result is not a normal number, and v neither 0 nor, as it
// stays then, an infinity or NaN.
func scaleBits(v uint64, k, exponent, mantissa int) (uint64, bool) {
	top := 1<<exponent - 1
	e := int(v>>mantissa) & top
	if e == top || v&(1<<(exponent+mantissa)-1) == 0 {
		return v, true
	}
	if e == 0 || e+k < 1 || e+k >= top {
		return v, false
	}
	return v + uint64(int64(k))<<mantissa, true
}
