package quantize

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-512d3d71/weft/hub"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/safetensors"
)

const maxConfig = 16 << 20 // bytes of a configuration file

// writeWeights writes the weight files into dir.
func (j *job) writeWeights(dir string) error {
	var err error
	j.index, err = writeFiles(dir, j.dir, j.weights, j.entries)
	for _, l := range j.layers {
		j.report.Layers = append(j.report.Layers, l.result)
	}
	return err
}

// writeFiles writes a weight file for each of the model's into dir, with what
// entries has for every tensor, and an index if the model has one: its name is
// returned.
func writeFiles(dir string, model *hub.Dir, weights *safetensors.Set, entries func(safetensors.Tensor) ([]safetensors.Entry, error)) (string, error) {
	weightMap, total := map[string]string{}, int64(0)
	for _, file := range weights.Files() {
		f, err := safetensors.OpenFS(model.FS(), file)
		if err != nil {
			return "", err
		}
		names := f.Names()
		f.Close()
		var list []safetensors.Entry
		for _, name := range names {
			t, _ := weights.Lookup(name)
			some, err := entries(t)
			if err != nil {
				return "", err
			}
			for _, e := range some {
				weightMap[e.Name] = file
				total += size(e)
			}
			list = append(list, some...)
		}
		if err := safetensors.WriteFile(filepath.Join(dir, file), list, map[string]string{"format": "pt"}); err != nil {
			return "", err
		}
	}
	index := ""
	for _, stem := range []string{"model", "diffusion_pytorch_model"} {
		if name := stem + ".safetensors.index.json"; !model.Exists(stem+".safetensors") && model.Exists(name) {
			index = name
			break
		}
	}
	if index == "" {
		return "", nil
	}
	b, err := json.MarshalIndent(map[string]any{
		"metadata": map[string]any{"total_size": total}, "weight_map": weightMap,
	}, "", "  ")
	if err != nil {
		return "", err
	}
	return index, writeFile(filepath.Join(dir, index), bytes.NewReader(append(b, '\n')))
}

// size returns the bytes of an entry.
func size(e safetensors.Entry) int64 {
	n := int64(e.DType.Bits())
	for _, d := range e.Shape {
		n *= int64(d)
	}
	return n / 8
}

// unchanged returns the entry of a tensor, whose pages leave memory once they
// are written.
func unchanged(t safetensors.Tensor) safetensors.Entry {
	return safetensors.Entry{Name: t.Name, DType: t.DType, Shape: t.Shape, Stream: func(w io.Writer) error {
		_, err := w.Write(t.Data())
		t.Discard()
		return err
	}}
}

// entries returns a tensor as it is to be written.
func (j *job) entries(t safetensors.Tensor) ([]safetensors.Entry, error) {
	j.report.Before += t.End - t.Begin
	list := []safetensors.Entry{unchanged(t)}
	if l := j.byName[t.Name]; l != nil && l.bits > 0 {
		list = j.quantized(l)
	} else if l != nil {
		l.result = Layer{Name: trimWeight(t.Name), Shape: t.Shape, Why: l.why, Cosine: 1}
		j.tell(l.result)
	}
	for _, e := range list {
		j.report.After += size(e)
	}
	return list, nil
}

func (j *job) tell(l Layer) {
	if j.Progress != nil {
		j.Progress(l)
	}
}

// quantized returns the tensors that stand for a layer. The scales come first
// in the file, since their type is wider: the weight is quantized for them, and
// again for the integers, so that one is in memory at a time.
func (j *job) quantized(l *layer) []safetensors.Entry {
	base, rows, cols := trimWeight(l.t.Name), l.t.Shape[0], l.t.Shape[1]
	scaleShape := []int{rows, cols / l.group}
	if l.use.Transposed {
		scaleShape = []int{1, cols}
	}
	scale := safetensors.Entry{Name: base + ".weight_scale", DType: safetensors.F32, Shape: scaleShape, Stream: func(w io.Writer) error {
		q, err := j.quantize(l)
		if err != nil {
			return err
		}
		l.scale = q.Scale
		_, err = w.Write(safetensors.F32Entry("", q.Scale, len(q.Scale)).Data)
		return err
	}}
	weight := safetensors.Entry{Name: base + ".weight", DType: safetensors.I8, Shape: []int{rows, cols}, Stream: func(w io.Writer) error {
		q, err := j.quantize(l)
		if err != nil {
			return err
		}
		_, err = w.Write(j.bytes(l, q))
		return err
	}}
	if !j.packed(l) {
		return []safetensors.Entry{scale, weight}
	}
	weight.Name, weight.DType, weight.Shape = base+".weight_packed", safetensors.I32, []int{rows, (cols*l.bits + 31) / 32}
	return []safetensors.Entry{scale, weight, safetensors.I64Entry(base+".weight_shape", []int64{int64(rows), int64(cols)}, 2)}
}

// packed reports whether a layer's integers lie in words of 32 bits, as the
// compressed-tensors package has it for linear layers whose activations are not
// quantized. It has no layout for transposed weights; they are bytes here.
func (j *job) packed(l *layer) bool {
	return j.Scheme != kernels.W8A8 && l.use.Kind == nn.UseLinear && !l.use.Transposed
}

// quantize quantizes a layer, as rows of outputs.
func (j *job) quantize(l *layer) (kernels.Quantized, error) {
	if err := j.ctx.Err(); err != nil {
		return kernels.Quantized{}, err
	}
	defer l.t.Discard()
	x, err := l.t.Float32()
	if err != nil {
		return kernels.Quantized{}, err
	}
	for i, v := range x {
		if v-v != 0 {
			return kernels.Quantized{}, fmt.Errorf("%s: element %d is %v: %w", l.t.Name, i, v, nn.ErrNotFinite)
		}
	}
	n, k := l.t.Shape[0], l.t.Shape[1]
	if l.use.Transposed {
		x, n, k = transpose(x, n, k), k, n
	}
	clipped, second := x, l.second // nil, but with samples
	switch m := j.Method; {
	case m == Max:
		second = nil
	case m == Percentile:
		clipped, second = clip(x, l.group, j.Percentile), nil
	case second == nil && (m == MSE || l.bits == 4): // so few levels pay for a search of their scale
		second = slices.Repeat([]float32{1}, k)
	}
	q := kernels.QuantizeGroups(clipped, n, k, l.group, l.bits, second)
	if l.result.Name == "" {
		rms, cos := distance(x, q, k, l.group)
		l.result = Layer{Name: trimWeight(l.t.Name), Shape: l.t.Shape, Bits: l.bits, RMS: rms, Cosine: cos}
		j.tell(l.result)
	}
	return q, nil
}

// clip returns x with the magnitudes of each group of it bounded by their
// percentile.
func clip(x []float32, group int, percentile float64) []float32 {
	out, sorted := slices.Clone(x), make([]float32, group)
	at := min(int(math.Ceil(percentile/100*float64(group))), group) - 1
	for ; len(x) >= group; x = x[group:] {
		part := out[len(out)-len(x):][:group]
		for i, v := range part {
			sorted[i] = max(v, -v)
		}
		slices.Sort(sorted)
		limit := sorted[max(0, at)]
		for i, v := range part {
			part[i] = min(max(v, -limit), limit)
		}
	}
	return out
}

func transpose[T any](x []T, rows, cols int) []T {
	t := make([]T, len(x))
	for i := range rows {
		for c := range cols {
			t[c*rows+i] = x[i*cols+c]
		}
	}
	return t
}

// distance compares a weight with what was stored of it.
func distance(x []float32, q kernels.Quantized, k, group int) (rms, cosine float64) {
	var d2, x2, y2, xy float64
	groups := k / group
	for i, v := range x {
		y := float64(float32(q.Q[i]) * q.Scale[i/k*groups+i%k/group])
		a := float64(v)
		d2, x2, y2, xy = d2+(a-y)*(a-y), x2+a*a, y2+y*y, xy+a*y
	}
	if x2 == 0 {
		return 0, 1
	}
	return math.Sqrt(d2 / x2), xy / math.Sqrt(x2*max(y2, math.SmallestNonzeroFloat64))
}

// bytes lays the integers out as the tensor has them.
func (j *job) bytes(l *layer, q kernels.Quantized) []byte {
	ints := q.Q
	rows, cols := l.t.Shape[0], l.t.Shape[1]
	if l.use.Transposed {
		ints = transpose(ints, cols, rows)
	}
	if !j.packed(l) {
		b := make([]byte, len(ints))
		for i, v := range ints {
			b[i] = byte(v)
		}
		return b
	}
	stride := (cols*l.bits + 31) / 32 * 4
	b := make([]byte, rows*stride)
	for i, v := range ints {
		at := b[i/cols*stride:]
		if p := i % cols; l.bits == 4 {
			at[p/2] |= byte(v+8) << (p % 2 * 4)
		} else {
			at[p] = byte(v) ^ 0x80
		}
	}
	return b
}

// writeConfig writes config.json with a quantization_config, all else as it was.
func (j *job) writeConfig(dir string) error {
	b, err := json.MarshalIndent(j.quantizationConfig(), "  ", "  ")
	if err != nil {
		return err
	}
	at := bytes.IndexByte(j.config, '{') + 1
	rest := bytes.TrimLeft(j.config[at:], " \t\r\n")
	comma := ","
	if len(rest) > 0 && rest[0] == '}' {
		comma = ""
	}
	text := fmt.Sprintf("%s\n  \"quantization_config\": %s%s\n  %s", j.config[:at], b, comma, rest)
	return writeFile(filepath.Join(dir, "config.json"), strings.NewReader(text))
}

// quantizationConfig is what the compressed-tensors package reads.
func (j *job) quantizationConfig() map[string]any {
	weights := func(bits, group int) map[string]any {
		w := map[string]any{"num_bits": bits, "type": "int", "symmetric": true, "dynamic": false, "strategy": "channel"}
		if group > 0 {
			w["strategy"], w["group_size"] = "group", group
		}
		return w
	}
	const ints, words = "int-quantized", "pack-quantized"
	format := words
	linear := map[string]any{"targets": []string{"Linear"}, "weights": weights(8, 0)}
	var floats []string // layers with weights of 8 bits whose activations are float32
	switch j.Scheme {
	case kernels.W4:
		linear["weights"] = weights(4, j.report.Group)
	case kernels.W8A8:
		format = ints
		linear["input_activations"] = map[string]any{"num_bits": 8, "type": "int", "symmetric": true, "dynamic": true, "strategy": "token"}
		for _, l := range j.layers {
			if l.bits > 0 && l.use.Kind == nn.UseLinear && nn.SchemeOf(j.Scheme, l.use.Layer) != j.Scheme {
				floats = append(floats, trimWeight(l.t.Name))
			}
		}
	}
	linear["format"] = format
	groups := map[string]any{"group_0": linear}
	if len(floats) > 0 {
		groups["group_1"] = map[string]any{"targets": floats, "weights": weights(8, 0), "format": ints}
	}
	if j.Embeddings {
		groups["group_2"] = map[string]any{"targets": []string{"Embedding"}, "weights": weights(8, 0), "format": ints}
		if format == words {
			format = "mixed-precision"
		}
	}
	// Every other matrix might be a module of these classes.
	ignore := slices.Clone(j.tied)
	for _, name := range j.weights.Names() {
		t, _ := j.weights.Lookup(name)
		if l := j.byName[name]; len(t.Shape) == 2 && (l == nil || l.bits == 0) && trimWeight(name) != name {
			ignore = append(ignore, trimWeight(name))
		}
	}
	slices.Sort(ignore)
	return map[string]any{
		"quant_method": "compressed-tensors", "format": format, "quantization_status": "compressed",
		"config_groups": groups, "ignore": append([]string{}, slices.Compact(ignore)...),
	}
}

// writeFile writes a file of a directory that is not there yet.
func writeFile(path string, r io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}
