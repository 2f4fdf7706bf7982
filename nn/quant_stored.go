package nn

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// ErrQuantized: a quantized checkpoint that is malformed.
var ErrQuantized = errors.New("bad quantized weight")

// StoredQuantization is what config.json says of a checkpoint that is quantized
// in the compressed-tensors convention.
type StoredQuantization struct {
	// Quantized: there is a quantization_config.
	Quantized bool
	groups    []storedGroup
	ignore    []target
}

// storedGroup is one of the config_groups: which layers it is for, and whether
// the activations of those with 8-bit weights are quantized too.
type storedGroup struct {
	targets     []target
	activations bool
}

// target names layers: one, those that a pattern matches, or a class.
type target struct {
	name    string // of a layer, or of a class of modules
	pattern *regexp.Regexp
}

func targets(list []string) ([]target, error) {
	var out []target
	for _, s := range list {
		t := target{name: s}
		if expr, ok := strings.CutPrefix(s, "re:"); ok {
			var err error
			if t.pattern, err = regexp.Compile("^(?:" + expr + ")"); err != nil {
				return nil, Unsupported("quantization_config: pattern %q: %v", expr, err)
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// names reports whether a target is the layer itself.
func (t target) names(layer string) bool {
	return t.pattern != nil && t.pattern.MatchString(layer) || t.name == layer
}

// Activations reports whether the activations of a linear layer are quantized.
// A group that names the layer comes before one that names its class.
func (s StoredQuantization) Activations(layer string) bool {
	is := func(t target) bool { return t.names(layer) }
	if slices.ContainsFunc(s.ignore, is) {
		return false
	}
	for _, g := range s.groups {
		if slices.ContainsFunc(g.targets, is) {
			return g.activations
		}
	}
	for _, g := range s.groups {
		if slices.ContainsFunc(g.targets, func(t target) bool { return t.pattern == nil && t.name == "Linear" }) {
			return g.activations
		}
	}
	return false
}

// ParseStoredQuantization reads the quantization_config of config.json. A
// method, format or option that cannot be run is [ErrUnsupported].
func ParseStoredQuantization(c *hfconfig.Config) (StoredQuantization, error) {
	var s StoredQuantization
	q := c.Sub("quantization_config")
	if err := c.Err(); err != nil {
		return s, fmt.Errorf("config.json: %w", err)
	}
	if q.Len() == 0 {
		return s, nil
	}
	s.Quantized = true
	if m := q.Str("quant_method", ""); m != "compressed-tensors" {
		return s, Unsupported("quantization_config: quant_method %q", m)
	}
	checkFormat := func(format string) error {
		switch format {
		case "int-quantized", "naive-quantized", "pack-quantized", "dense", "":
			return nil
		}
		return Unsupported("quantization_config: format %q", format)
	}
	if f := q.Str("format", ""); f != "mixed-precision" {
		if err := checkFormat(f); err != nil {
			return s, err
		}
	}
	for _, key := range []string{"kv_cache_scheme", "sparsity_config", "moe_sparsity_config", "transform_config"} {
		if q.Sub(key).Len() > 0 && q.Sub(key).Str("format", "") != "dense" {
			return s, Unsupported("quantization_config: %s", key)
		}
	}
	groups := q.Sub("config_groups")
	for _, name := range groups.Keys() {
		g := groups.Sub(name)
		if err := checkFormat(g.Str("format", "")); err != nil {
			return s, err
		}
		w := g.Sub("weights")
		if w.Len() > 0 {
			if t := w.Str("type", "int"); t != "int" {
				return s, Unsupported("quantization_config: weights of type %q", t)
			}
			if b := w.IntRange("num_bits", 8, 1, 64); b != 8 && b != 4 {
				return s, Unsupported("quantization_config: weights of %d bits", b)
			}
			if a := w.Str("actorder", ""); a == "group" {
				return s, Unsupported("quantization_config: actorder %q", a)
			}
			switch st := w.Str("strategy", "channel"); st {
			case "channel", "group", "tensor":
			default:
				return s, Unsupported("quantization_config: weights by %s", st)
			}
		}
		if g.Sub("output_activations").Len() > 0 {
			return s, Unsupported("quantization_config: output_activations")
		}
		var group storedGroup
		if in := g.Sub("input_activations"); in.Len() > 0 {
			// A static scale gives way to each row's own, which is closer.
			group.activations = in.Str("type", "int") == "int" && in.IntRange("num_bits", 8, 1, 64) == 8
		}
		var err error
		if group.targets, err = targets(g.Strs("targets")); err != nil {
			return s, err
		}
		s.groups = append(s.groups, group)
	}
	var err error
	if s.ignore, err = targets(q.Strs("ignore")); err != nil {
		return s, err
	}
	if err := q.Err(); err != nil {
		return s, fmt.Errorf("config.json: %w", err)
	}
	return s, nil
}

// StoredWeight is a weight as a quantized checkpoint holds it: integers Q with
// scales, and zero points if it is not symmetric:
//
//	w[i][p] = (q[i][p] - zero[i][p/group]) · scale[i][p/group]
type StoredWeight struct {
	name       string // of the layer
	rows, cols int    // as stored
	bits       int
	packed     bool // integers lie in int32, and count from 0
	groups     int  // scales of a row
	columns    bool // a scale for each column instead: the weight is transposed
	acts       bool

	data, scale, zero safetensors.Tensor
}

// findStored returns the quantized weight of the layer name, nil if the
// checkpoint holds none or holds it as floats.
func findStored(src Source, name string, acts bool) (*StoredWeight, error) {
	w := &StoredWeight{name: name, bits: 8, acts: acts}
	fail := func(tensor, format string, a ...any) error {
		return fmt.Errorf("%s.%s: %w: %s", name, tensor, ErrQuantized, fmt.Sprintf(format, a...))
	}
	var ok bool
	if w.data, ok = src.Lookup(name + ".weight_packed"); ok {
		w.packed = true
		shape, ok := src.Lookup(name + ".weight_shape")
		if !ok {
			return nil, fmt.Errorf("%s.weight_shape: %w", name, ErrMissingWeight)
		}
		dims, err := shape.Int64()
		if err != nil {
			return nil, err
		}
		if w.data.DType != safetensors.I32 || len(w.data.Shape) != 2 || len(dims) != 2 || dims[0] != int64(w.data.Shape[0]) || dims[1] < 1 || dims[1] > 1<<31 {
			return nil, fail("weight_packed", "%v%v for a weight of %v", w.data.DType, w.data.Shape, dims)
		}
		w.rows, w.cols = int(dims[0]), int(dims[1])
		switch w.data.Shape[1] {
		case (w.cols + 7) / 8:
			w.bits = 4
		case (w.cols + 3) / 4:
		default:
			return nil, fail("weight_packed", "%d words a row hold %d elements of neither 4 nor 8 bits", w.data.Shape[1], w.cols)
		}
	} else {
		w.data, ok = src.Lookup(name + ".weight")
		if !ok || w.data.DType != safetensors.I8 {
			return nil, nil
		}
		if len(w.data.Shape) != 2 {
			return nil, fail("weight", "shape %v", w.data.Shape)
		}
		w.rows, w.cols = w.data.Shape[0], w.data.Shape[1]
	}
	if w.rows == 0 || w.cols == 0 {
		return nil, fail("weight", "shape [%d %d]", w.rows, w.cols)
	}
	if w.scale, ok = src.Lookup(name + ".weight_scale"); !ok {
		return nil, fmt.Errorf("%s.weight_scale: %w", name, ErrMissingWeight)
	}
	switch n, s := w.scale.Len(), w.scale.Shape; {
	case n == 1:
		w.groups = 1
	case len(s) == 2 && s[0] == 1 && s[1] == w.cols && !w.packed:
		w.columns, w.groups = true, 1
	case len(s) == 2 && s[0] == w.rows && s[1] > 0 && w.cols%s[1] == 0, len(s) == 1 && s[0] == w.rows:
		w.groups = n / w.rows
	default:
		return nil, fail("weight_scale", "shape %v does not divide a weight of [%d %d]", s, w.rows, w.cols)
	}
	if w.zero, ok = src.Lookup(name + ".weight_zero_point"); ok && !w.packed && w.zero.Len() != w.scale.Len() ||
		ok && w.packed && (w.zero.DType != safetensors.I32 || w.zero.Len() != (w.rows*w.bits+31)/32*w.groups) {
		return nil, fail("weight_zero_point", "shape %v for scales of %v", w.zero.Shape, w.scale.Shape)
	}
	if _, ok := src.Lookup(name + ".weight_g_idx"); ok {
		return nil, Unsupported("%s.weight_g_idx", name)
	}
	return w, nil
}

// shape returns the shape as stored.
func (w *StoredWeight) shape() []int { return []int{w.rows, w.cols} }

// names are the tensors that the weight is made of.
func (w *StoredWeight) names() []string {
	list := []string{w.data.Name, w.scale.Name, w.name + ".weight_shape"}
	return append(list, w.name+".weight_zero_point", w.name+".input_scale", w.name+".input_zero_point")
}

// scheme returns what the weight can be multiplied by as it is stored;
// Float32 if it has to be dequantized.
func (w *StoredWeight) scheme() kernels.Scheme {
	switch {
	case w.zero.Name != "" && !w.zeroless() || w.cols > kernels.MaxQuantK || w.groups > 1 && w.cols/w.groups%8 != 0:
		return kernels.Float32
	case w.bits == 4 && !w.columns:
		return kernels.W4
	case w.acts && w.groups == 1:
		return kernels.W8A8
	}
	return kernels.W8
}

// kind says in words how the weight is stored.
func (w *StoredWeight) kind() string {
	switch s := w.scheme(); {
	case s != kernels.Float32:
		return s.String()
	case w.zero.Name != "" && !w.zeroless():
		return fmt.Sprintf("w%d with zero points", w.bits)
	}
	return fmt.Sprintf("w%d", w.bits)
}

// StoredKinds returns how many of the weights that have been bound are stored
// quantized, by scheme; tables of embeddings are apart.
func (p Params) StoredKinds() map[string]int {
	count := map[string]int{}
	for name, kind := range p.b.kinds {
		if p.b.uses[name].Kind == UseTable {
			kind = "embeddings of 8 bits"
		}
		count[kind]++
	}
	return count
}

// StoredElements returns the number of parameters that a tensor of a checkpoint
// stands for: words of packed integers hold several, and scales and zero points
// of quantized weights are none.
func StoredElements(src Source, t safetensors.Tensor) int64 {
	if base, ok := strings.CutSuffix(t.Name, ".weight_packed"); ok {
		if shape, ok := src.Lookup(base + ".weight_shape"); ok {
			if dims, err := shape.Int64(); err == nil && len(dims) == 2 && min(dims[0], dims[1]) >= 0 && max(dims[0], dims[1]) < 1<<31 {
				return dims[0] * dims[1]
			}
		}
	}
	for _, end := range []string{".weight_scale", ".weight_zero_point", ".weight_shape", ".weight_g_idx", ".input_scale", ".input_zero_point"} {
		if base, ok := strings.CutSuffix(t.Name, end); ok {
			w, ok := src.Lookup(base + ".weight")
			if _, packed := src.Lookup(base + ".weight_packed"); packed || ok && w.DType == safetensors.I8 {
				return 0
			}
		}
	}
	return int64(t.Len())
}

// zeroless reports whether all zero points are 0.
func (w *StoredWeight) zeroless() bool {
	if w.packed {
		return false
	}
	z, err := w.zero.Int64()
	for _, v := range z {
		if v != 0 {
			return false
		}
	}
	return err == nil
}

// quantized returns the integers as [out, in], and the scales. The integers
// stay where they lie in the file if they can, and go to room if that is large
// enough and they cannot.
func (w *StoredWeight) quantized(room []int8) (kernels.Quantized, error) {
	q := kernels.Quantized{N: w.rows}
	var err error
	if q.Scale, err = w.scales(); err != nil {
		return q, err
	}
	n := w.rows * w.cols
	if (w.packed || w.columns) && len(room) < n {
		room = make([]int8, n)
	}
	if w.packed {
		data := w.data.Data()
		if int64(len(data)) != w.data.End-w.data.Begin {
			return q, fmt.Errorf("%s: %w", w.data.Name, safetensors.ErrClosed)
		}
		q.Q = room[:n]
		w.integers(q.Q, data, w.rows, w.cols)
		return q, nil
	}
	if q.Q, err = w.data.Int8(); err != nil || !w.columns {
		return q, err
	}
	for i := range w.rows {
		for j := range w.cols {
			room[j*w.rows+i] = q.Q[i*w.cols+j]
		}
	}
	q.Q, q.N = room[:n], w.cols
	return q, nil
}

// discard lets the integers, which have been packed, leave memory.
func (w *StoredWeight) discard() { w.data.Discard() }

// integers reads rows of cols integers.
func (w *StoredWeight) integers(dst []int8, data []byte, rows, cols int) {
	if !w.packed {
		for i := range dst {
			dst[i] = int8(data[i])
		}
		return
	}
	words := (cols*w.bits + 31) / 32
	for i := range rows {
		row := data[i*words*4:]
		for p := range cols {
			if w.bits == 4 {
				dst[i*cols+p] = int8(row[p/2]>>(p%2*4)&15) - 8
			} else {
				dst[i*cols+p] = int8(row[p] ^ 0x80)
			}
		}
	}
}

// scales returns the scales, one or more a row, or one a column.
func (w *StoredWeight) scales() ([]float32, error) {
	raw, err := w.scale.Float32()
	if err != nil {
		return nil, err
	}
	for i, v := range raw {
		if !(v > 0) || math.IsInf(float64(v), 0) {
			return nil, fmt.Errorf("%s: %w: scale %d is %v", w.scale.Name, ErrQuantized, i, v)
		}
	}
	want := w.rows * w.groups
	if w.columns {
		want = w.cols
	}
	if len(raw) == want {
		return raw, nil
	}
	all := make([]float32, want) // one for the whole tensor
	for i := range all {
		all[i] = raw[0]
	}
	return all, nil
}

// zeros returns the zero points, nil if there are none.
func (w *StoredWeight) zeros() ([]int64, error) {
	if w.zero.Name == "" {
		return nil, nil
	}
	var z []int64
	if !w.packed {
		var err error
		if z, err = w.zero.Int64(); err != nil {
			return nil, err
		}
		if len(z) == 1 && w.rows*w.groups > 1 {
			one := z[0]
			z = make([]int64, w.rows*w.groups)
			for i := range z {
				z[i] = one
			}
		}
	} else { // packed along the rows
		data := w.zero.Data()
		if int64(len(data)) != w.zero.End-w.zero.Begin {
			return nil, fmt.Errorf("%s: %w", w.zero.Name, safetensors.ErrClosed)
		}
		z = make([]int64, w.rows*w.groups)
		for i := range w.rows {
			for g := range w.groups {
				at := i * w.bits
				word := binary.LittleEndian.Uint32(data[(at/32*w.groups+g)*4:])
				z[i*w.groups+g] = int64(word>>(at%32)&(1<<w.bits-1)) - 1<<(w.bits-1)
			}
		}
	}
	for i, v := range z {
		if limit := int64(1) << (w.bits - 1); v < -limit || v >= limit {
			return nil, fmt.Errorf("%s: %w: zero point %d is %d, not of %d bits", w.zero.Name, ErrQuantized, i, v, w.bits)
		}
	}
	return z, nil
}

// Float32 returns the weight dequantized, in the shape in which it is stored.
func (w *StoredWeight) Float32() ([]float32, error) {
	data := w.data.Data()
	if int64(len(data)) != w.data.End-w.data.Begin {
		return nil, fmt.Errorf("%s: %w", w.data.Name, safetensors.ErrClosed)
	}
	q := make([]int8, w.rows*w.cols)
	w.integers(q, data, w.rows, w.cols)
	scale, err := w.scales()
	if err != nil {
		return nil, err
	}
	zero, err := w.zeros()
	if err != nil {
		return nil, err
	}
	x := make([]float32, len(q))
	group := w.cols / w.groups
	for i := range w.rows {
		for p := range w.cols {
			at := i*w.groups + p/group
			if w.columns {
				at = p
			}
			v := float32(q[i*w.cols+p])
			if zero != nil {
				v -= float32(zero[at])
			}
			x[i*w.cols+p] = v * scale[at]
		}
	}
	return x, nil
}

// storedMatrix packs parts as they are stored, if all are of one kind; if not,
// it dequantizes those that are.
func (c *CPU) storedMatrix(name string, parts []MatrixPart) (Matrix, error) {
	scheme, group := kernels.Float32, 0
	for i, p := range parts {
		s, g := kernels.Float32, 0
		if p.Stored != nil && p.Transposed == p.Stored.columns {
			s = p.Stored.scheme()
			if g = p.In / p.Stored.groups; s == kernels.W8 && p.Stored.groups == 1 && c.quant.Scheme == kernels.W8A8 {
				s = SchemeOf(kernels.W8A8, name)
			} else if s == kernels.W8A8 && c.quant.Scheme == kernels.W8 {
				s = kernels.W8
			}
		}
		if i > 0 && (s != scheme || g != group) {
			s = kernels.Float32
		}
		if scheme, group = s, g; s == kernels.Float32 {
			break
		}
	}
	if asked := c.quant.Scheme; scheme != kernels.Float32 && asked != kernels.Float32 && (asked == kernels.W4) != (scheme == kernels.W4) {
		return nil, InputError("quantization", "%v: %s is quantized already, as %v", asked, name, scheme)
	}
	if scheme != kernels.Float32 {
		list := make([]kernels.Quantized, len(parts))
		n := 0
		for _, p := range parts {
			n += p.Out * p.In
		}
		room := c.room.Get().(*[]int8) // so that a model's layers leave no heap behind
		defer c.room.Put(room)
		if len(*room) < n && (parts[0].Stored.packed || parts[0].Transposed) {
			*room = make([]int8, n)
		}
		rest := *room
		for i, p := range parts {
			var err error
			if list[i], err = p.Stored.quantized(rest); err != nil {
				return nil, err
			}
			rest = rest[min(len(rest), p.Out*p.In):]
		}
		m := cpuQMatrix{kernels.PackQuantized(scheme, list, parts[0].In, group)}
		for _, p := range parts {
			p.Stored.discard()
		}
		return m, nil
	}
	for i, p := range parts {
		if p.Stored != nil && p.Data == nil {
			data, err := p.Stored.Float32()
			if err != nil {
				return nil, err
			}
			parts[i].Data = data
		}
	}
	return nil, nil
}

// SetStored says how the checkpoint is quantized.
func (p Params) SetStored(s StoredQuantization) { p.b.stored = s }

// storedWeight returns the quantized weight whose tensor would be called name
// if it were not quantized, and checks its shape.
func (p Params) storedWeight(name string, want []int) (*StoredWeight, bool) {
	layer, ok := strings.CutSuffix(p.full(name), ".weight")
	if !ok {
		return nil, false
	}
	w, err := findStored(p.b.src, layer, p.b.stored.Activations(layer))
	if err != nil {
		if !p.b.stored.Quantized {
			err = fmt.Errorf("%s: stored as I8, and config.json has no quantization_config: %w", p.full(name), err)
		}
		p.failAs(err)
		return nil, true
	}
	if w == nil {
		return nil, false
	}
	p.b.kinds[p.full(name)] = w.kind()
	for _, n := range w.names() {
		p.b.used[n] = true
	}
	if err := tensor.CheckShape(p.full(name), w.shape(), want); err != nil {
		p.failAs(err)
		return nil, true
	}
	return w, true
}
