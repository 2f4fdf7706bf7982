package quantize_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-512d3d71/weft"
	goldens "github.com/seed-512d3d71/weft/internal/golden"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/quantize"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

const golden = "../testdata/golden/"

// inputs reads named tensors of a file.
func inputs(t testing.TB, path string) weft.Inputs {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := weft.Inputs{}
	for _, name := range f.Names() {
		x, _ := f.Lookup(name)
		if data, err := x.Int64(); err == nil {
			in[name] = tensor.FromI64(data, x.Shape...)
		} else if data, err := x.Float32(); err == nil {
			in[name] = tensor.FromF32(data, x.Shape...).Clone()
		} else {
			t.Fatal(err)
		}
	}
	return in
}

// outputs runs a model on inputs.
func outputs(t testing.TB, dir string, in weft.Inputs, opts ...weft.Option) weft.Outputs {
	t.Helper()
	m, err := weft.Open(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out, err := m.Run(context.Background(), in, weft.RunOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func cosine(a, b []float32) float64 {
	var aa, bb, ab float64
	for i, x := range a {
		y := float64(b[i])
		aa, bb, ab = aa+float64(x)*float64(x), bb+y*y, ab+float64(x)*y
	}
	return ab / math.Sqrt(aa*bb)
}

// TestReadCompressedTensors reads what the compressed-tensors package writes
// (internal/golden/py/quant.py). Its outputs are those of activations in float32.
func TestReadCompressedTensors(t *testing.T) {
	dirs, _ := filepath.Glob("testdata/compressed_tensors/*")
	if len(dirs) < 8 {
		t.Fatalf("%d checkpoints", len(dirs))
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			in := inputs(t, dir+"/case.safetensors")
			want := in["last_hidden_state"].F32()
			delete(in, "last_hidden_state")
			got := outputs(t, dir, in).Get("last_hidden_state").F32()
			worst := 0.0
			for i, w := range want {
				worst = math.Max(worst, math.Abs(float64(got[i]-w)))
			}
			bound := 1e-5
			if strings.HasSuffix(dir, "w8a8") || strings.HasSuffix(dir, "tensor") {
				bound = 0.1 // the activations have 8 bits
			}
			if c := cosine(got, want); worst > bound || c < 0.9998 {
				t.Errorf("off by %g, cosine %v", worst, c)
			}
		})
	}
}

// TestDir quantizes models of several families and compares their outputs with
// the float32 ones, and with those of quantizing on load, to the bit.
func TestDir(t *testing.T) {
	for _, c := range []struct {
		model  string
		scheme kernels.Scheme
		o      quantize.Options
		same   bool // as on load
		least  float64
	}{
		{"bert.model", kernels.W8A8, quantize.Options{}, true, 0.999},
		{"bert.model", kernels.W8, quantize.Options{}, true, 0.999},
		{"bert.model", kernels.W8A8, quantize.Options{Embeddings: true}, false, 0.999},
		{"bert.model", kernels.W4, quantize.Options{Group: 8}, false, 0.9},
		{"bert.sharded", kernels.W8A8, quantize.Options{}, true, 0.999},
		{"bert.sharded", kernels.W4, quantize.Options{Embeddings: true, Group: 8}, false, 0.9},
		{"bert.pretraining", kernels.W8A8, quantize.Options{Embeddings: true}, false, 0.99},
		{"deit.model", kernels.W8A8, quantize.Options{}, true, 0.999},
		{"gpt2.lm", kernels.W8A8, quantize.Options{}, false, 0.99},
		{"gpt2.lm", kernels.W8, quantize.Options{Embeddings: true}, false, 0.99},
		{"gpt2.lm", kernels.W4, quantize.Options{}, false, 0.9},
	} {
		t.Run(fmt.Sprintf("%s/%v/embeddings=%v", c.model, c.scheme, c.o.Embeddings), func(t *testing.T) {
			src, dst := golden+c.model, filepath.Join(t.TempDir(), "new")
			o := c.o
			o.Scheme = c.scheme
			r, err := quantize.Dir(context.Background(), src, dst, o)
			if err != nil {
				t.Fatal(err)
			}
			if r.After >= r.Before || len(r.Layers) == 0 {
				t.Errorf("%d bytes after, %d before, %d layers", r.After, r.Before, len(r.Layers))
			}
			in := inputs(t, src+"/in.safetensors")
			want, got := outputs(t, src, in), outputs(t, dst, in)
			loaded := outputs(t, src, in, weft.WithQuantization(weft.Quantization{Scheme: c.scheme}))
			for i, w := range want {
				if w.DType() != tensor.F32 {
					continue
				}
				if x := cosine(got[i].F32(), w.F32()); x < c.least {
					t.Errorf("%s: cosine %v", w.Name, x)
				}
				if c.same && !slices.Equal(got[i].F32(), loaded[i].F32()) {
					t.Errorf("%s: not what quantizing on load gives", w.Name)
				}
			}
			if _, err := quantize.Dir(context.Background(), dst, filepath.Join(t.TempDir(), "again"), o); !errors.Is(err, quantize.ErrQuantized) {
				t.Errorf("quantizing it again: %v", err)
			}
		})
	}
}

// TestReport: what the report and config.json say of layers that are kept.
func TestReport(t *testing.T) {
	dst := filepath.Join(t.TempDir(), "new")
	var seen []quantize.Layer
	r, err := quantize.Dir(context.Background(), golden+"bert.model", dst, quantize.Options{
		Scheme: kernels.W8A8, Keep: regexp.MustCompile(`layer\.0\.output`), Progress: func(l quantize.Layer) { seen = append(seen, l) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(seen) != len(r.Layers) {
		t.Errorf("told about %d layers of %d", len(seen), len(r.Layers))
	}
	kept := 0
	for _, l := range r.Layers {
		switch {
		case l.Bits == 0:
			kept++
			if l.Why == "" || !strings.Contains(l.Name, "embeddings") && !strings.Contains(l.Name, "layer.0.output") {
				t.Errorf("%+v", l)
			}
		case l.RMS <= 0 || l.RMS > 0.02 || l.Cosine < 0.9998:
			t.Errorf("%+v", l)
		}
	}
	if kept == 0 {
		t.Error("nothing was kept")
	}
	var config struct {
		Quant struct {
			Ignore []string `json:"ignore"`
		} `json:"quantization_config"`
		ModelType string `json:"model_type"`
	}
	b, err := os.ReadFile(dst + "/config.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &config); err != nil {
		t.Fatal(err)
	}
	if config.ModelType != "bert" || !slices.ContainsFunc(config.Quant.Ignore, func(s string) bool { return strings.HasSuffix(s, "layer.0.output.dense") }) {
		t.Errorf("%+v", config)
	}
}

// TestCosine: with an asked-for cosine a few layers stay float32, and what is
// written reaches it.
func TestCosine(t *testing.T) {
	src, dst := golden+"bert.model", filepath.Join(t.TempDir(), "new")
	in := inputs(t, src+"/in.safetensors")
	for _, samples := range [][]weft.Inputs{{in}, nil} {
		os.RemoveAll(dst)
		r, err := quantize.Dir(context.Background(), src, dst, quantize.Options{Scheme: kernels.W4, Group: 8, Cosine: 0.997, Samples: samples})
		if err != nil {
			t.Fatal(err)
		}
		kept, low := 0, 0
		for _, l := range r.Layers {
			if l.Why == "for the sake of the cosine" {
				kept++
			} else if l.Bits == 4 {
				low++
			}
		}
		if kept == 0 || low == 0 || r.Cosine < 0.997 {
			t.Errorf("%d kept, %d of 4 bits, cosine %v", kept, low, r.Cosine)
		}
		want, got := outputs(t, src, in), outputs(t, dst, in)
		if c := cosine(got[0].F32(), want[0].F32()); samples != nil && c < 0.99 {
			t.Errorf("cosine %v", c)
		}
	}
}

// TestCalibration: samples change how weights are rounded, and the model still
// answers alike.
func TestCalibration(t *testing.T) {
	src := golden + "bert.model"
	in := inputs(t, src+"/in.safetensors")
	want := outputs(t, src, in)[0].F32()
	var got [2][]float32
	for i, samples := range [][]weft.Inputs{nil, {in}} {
		dst := filepath.Join(t.TempDir(), "new")
		if _, err := quantize.Dir(context.Background(), src, dst, quantize.Options{Scheme: kernels.W4, Group: 8, Samples: samples}); err != nil {
			t.Fatal(err)
		}
		got[i] = outputs(t, dst, in)[0].F32()
		if c := cosine(got[i], want); c < 0.97 {
			t.Errorf("cosine %v", c)
		}
	}
	if slices.Equal(got[0], got[1]) {
		t.Error("samples change nothing")
	}
}

// TestMethods: each method chooses scales of its own; percentile 100 is max.
func TestMethods(t *testing.T) {
	src := golden + "bert.model"
	in := inputs(t, src+"/in.safetensors")
	want := outputs(t, src, in)[0].F32()
	got := map[string][]float32{}
	for name, o := range map[string]quantize.Options{
		"auto": {}, "max": {Method: quantize.Max}, "mse": {Method: quantize.MSE},
		"percentile 80":  {Method: quantize.Percentile, Percentile: 80},
		"percentile 100": {Method: quantize.Percentile, Percentile: 100},
	} {
		o.Scheme, o.Group = kernels.W4, 8
		dst := filepath.Join(t.TempDir(), "new")
		if _, err := quantize.Dir(context.Background(), src, dst, o); err != nil {
			t.Fatal(err)
		}
		got[name] = outputs(t, dst, in)[0].F32()
		if c := cosine(got[name], want); c < 0.85 {
			t.Errorf("%s: cosine %v", name, c)
		}
	}
	for _, c := range []struct {
		a, b string
		same bool
	}{{"auto", "mse", true}, {"auto", "max", false}, {"max", "percentile 100", true}, {"max", "percentile 80", false}} {
		if slices.Equal(got[c.a], got[c.b]) != c.same {
			t.Errorf("%s and %s: alike is %v", c.a, c.b, !c.same)
		}
	}
	if _, err := quantize.Dir(context.Background(), src, filepath.Join(t.TempDir(), "new"), quantize.Options{Scheme: kernels.W8, Method: quantize.Percentile}); !errors.Is(err, weft.ErrInput) {
		t.Errorf("percentile 0: %v", err)
	}
}

// files returns a directory's files for changing.
func files(t testing.TB, dir string) fstest.MapFS {
	m := fstest.MapFS{}
	for _, name := range []string{"config.json", "model.safetensors"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		m[name] = &fstest.MapFile{Data: b}
	}
	return m
}

// rewrite changes the tensors of a weight file; edit returns nil to drop one.
func rewrite(t *testing.T, b []byte, edit func(e *safetensors.Entry) *safetensors.Entry) []byte {
	f, err := safetensors.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	var list []safetensors.Entry
	for _, x := range f.Tensors() {
		e := edit(&safetensors.Entry{Name: x.Name, DType: x.DType, Shape: x.Shape, Data: bytes.Clone(x.Data())})
		if e != nil {
			list = append(list, *e)
		}
	}
	var out bytes.Buffer
	if err := safetensors.Write(&out, list, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestBadCheckpoints: quantized checkpoints that are malformed are errors that
// name the tensor.
func TestBadCheckpoints(t *testing.T) {
	const layer = "encoder.layer.0.attention.self.key"
	scale := func(v float32) func(*safetensors.Entry) *safetensors.Entry {
		return func(e *safetensors.Entry) *safetensors.Entry {
			if e.Name == layer+".weight_scale" {
				x := make([]float32, len(e.Data)/4)
				for i := range x {
					x[i] = 0.01
				}
				x[len(x)-1] = v
				*e = safetensors.F32Entry(e.Name, x, e.Shape...)
			}
			return e
		}
	}
	drop := func(suffix string) func(*safetensors.Entry) *safetensors.Entry {
		return func(e *safetensors.Entry) *safetensors.Entry {
			if e.Name == layer+suffix {
				return nil
			}
			return e
		}
	}
	replace := func(suffix string, with safetensors.Entry) func(*safetensors.Entry) *safetensors.Entry {
		return func(e *safetensors.Entry) *safetensors.Entry {
			if e.Name == layer+suffix {
				with.Name = e.Name
				return &with
			}
			return e
		}
	}
	for _, c := range []struct {
		name, dir string
		edit      func(*safetensors.Entry) *safetensors.Entry
		want      string
		is        error
	}{
		{"scale 0", "w8a8", scale(0), layer + ".weight_scale", nn.ErrQuantized},
		{"scale NaN", "w8a8", scale(float32(math.NaN())), layer + ".weight_scale", nn.ErrQuantized},
		{"scale Inf", "w4_group", scale(float32(math.Inf(1))), layer + ".weight_scale", nn.ErrQuantized},
		{"scale below 0", "w8", scale(-1), layer + ".weight_scale", nn.ErrQuantized},
		{"no scale", "w8a8", drop(".weight_scale"), layer + ".weight_scale", weft.ErrMissingWeight},
		{"no shape", "w4_group", drop(".weight_shape"), layer + ".weight_shape", weft.ErrMissingWeight},
		{"no integers", "w4_group", drop(".weight_packed"), layer + ".weight", weft.ErrMissingWeight},
		{"wrong shape", "w4_group", replace(".weight_shape", safetensors.I64Entry("", []int64{32, 64}, 2)), layer + ".weight_packed", nn.ErrQuantized},
		{"huge shape", "w4_group", replace(".weight_shape", safetensors.I64Entry("", []int64{32, 1 << 40}, 2)), layer + ".weight_packed", nn.ErrQuantized},
		{"groups that do not divide", "w8", replace(".weight_scale", safetensors.F32Entry("", make([]float32, 96), 32, 3)), layer + ".weight_scale", nn.ErrQuantized},
		{"zero point out of range", "w8a8_asymmetric", replace(".weight_zero_point", safetensors.I64Entry("", append(make([]int64, 31), 128), 32, 1)), layer + ".weight_zero_point", nn.ErrQuantized},
		{"too few zero points", "w8a8_asymmetric", replace(".weight_zero_point", safetensors.I64Entry("", make([]int64, 7), 7)), layer + ".weight_zero_point", nn.ErrQuantized},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := files(t, "testdata/compressed_tensors/"+c.dir)
			m["model.safetensors"].Data = rewrite(t, m["model.safetensors"].Data, c.edit)
			_, err := weft.OpenFS(m)
			if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("%v; want %v that names %s", err, c.is, c.want)
			}
		})
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"method", `"quant_method": "compressed-tensors"`, `"quant_method": "gptq"`, "gptq"},
		{"format", `"format": "pack-quantized"`, `"format": "marlin-24"`, "marlin-24"},
		{"bits", `"num_bits": 4`, `"num_bits": 3`, "3 bits"},
		{"type", `"type": "int"`, `"type": "float"`, "float"},
		{"strategy", `"strategy": "group"`, `"strategy": "block"`, "block"},
		{"order", `"strategy": "group"`, `"strategy": "group", "actorder": "group"`, "actorder"},
		{"cache", `"kv_cache_scheme": null`, `"kv_cache_scheme": {"num_bits": 8}`, "kv_cache_scheme"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := files(t, "testdata/compressed_tensors/w4_group")
			if !bytes.Contains(m["config.json"].Data, []byte(c.old)) {
				t.Fatalf("config.json has no %s", c.old)
			}
			m["config.json"].Data = bytes.ReplaceAll(m["config.json"].Data, []byte(c.old), []byte(c.new))
			if _, err := weft.OpenFS(m); !weft.IsUnsupported(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want unsupported %s", err, c.want)
			}
		})
	}
}

// TestAskedAgain: a quantized checkpoint runs by another scheme of as many
// bits, and is refused with other bits.
func TestAskedAgain(t *testing.T) {
	for _, c := range []struct {
		dir  string
		s    kernels.Scheme
		fine bool
	}{{"w8a8", kernels.W8, true}, {"w8", kernels.W8A8, true}, {"w4_group", kernels.W4, true}, {"w4_group", kernels.W8, false}, {"w8", kernels.W4, false}} {
		m, err := weft.Open("testdata/compressed_tensors/"+c.dir, weft.WithQuantization(weft.Quantization{Scheme: c.s}))
		if err == nil {
			m.Close()
		}
		if c.fine != (err == nil) || err != nil && (!errors.Is(err, weft.ErrInput) || !strings.Contains(err.Error(), "already")) {
			t.Errorf("%s as %v: %v", c.dir, c.s, err)
		}
	}
}

// list returns the names in a directory.
func list(t *testing.T, dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// copyDir copies a flat directory, its weights changed by edit.
func copyDir(t *testing.T, src string, edit func(e *safetensors.Entry) *safetensors.Entry) string {
	dst := t.TempDir()
	for _, name := range list(t, src) {
		b, err := os.ReadFile(filepath.Join(src, name))
		if err != nil {
			t.Fatal(err)
		}
		if name == "model.safetensors" && edit != nil {
			b = rewrite(t, b, edit)
		}
		if err := os.WriteFile(filepath.Join(dst, name), b, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dst
}

// TestNothingWritten: after an error there is no new directory, and nothing
// beside it.
func TestNothingWritten(t *testing.T) {
	nan := copyDir(t, golden+"bert.model", func(e *safetensors.Entry) *safetensors.Entry {
		if strings.Contains(e.Name, "layer.1.output.dense.weight") {
			copy(e.Data, []byte{0, 0, 0xc0, 0x7f})
		}
		return e
	})
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	w8 := quantize.Options{Scheme: kernels.W8}
	for _, c := range []struct {
		name string
		ctx  context.Context
		src  string
		o    quantize.Options
		want string
	}{
		{"NaN in a weight", context.Background(), nan, w8, "layer.1.output.dense.weight"},
		{"canceled", canceled, golden + "bert.model", w8, "canceled"},
		{"a group that does not divide", context.Background(), golden + "bert.model", quantize.Options{Scheme: kernels.W4, Group: 24}, "groups of 24"},
		{"no scheme", context.Background(), golden + "bert.model", quantize.Options{}, "none"},
		{"a group of 7", context.Background(), golden + "bert.model", quantize.Options{Scheme: kernels.W4, Group: 7}, "7"},
		{"everything kept", context.Background(), golden + "bert.model", quantize.Options{Scheme: kernels.W8, Keep: regexp.MustCompile("")}, "no linear layer"},
		{"no model", context.Background(), t.TempDir(), w8, "config.json"},
		{"quantized already", context.Background(), "testdata/compressed_tensors/w8", w8, "already"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parent := t.TempDir()
			_, err := quantize.Dir(c.ctx, c.src, filepath.Join(parent, "new"), c.o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v; want an error that names %q", err, c.want)
			}
			if names := list(t, parent); len(names) > 0 {
				t.Errorf("there is %v", names)
			}
		})
	}
	t.Run("a directory in use", func(t *testing.T) {
		dst := t.TempDir()
		if err := os.WriteFile(filepath.Join(dst, "mine"), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := quantize.Dir(context.Background(), golden+"bert.model", dst, w8); !errors.Is(err, quantize.ErrExists) {
			t.Errorf("%v, want ErrExists", err)
		}
		if names := list(t, dst); len(names) != 1 {
			t.Errorf("there is %v", names)
		}
	})
	t.Run("an empty directory", func(t *testing.T) {
		dst := t.TempDir()
		if _, err := quantize.Dir(context.Background(), golden+"bert.model", dst, w8); err != nil {
			t.Error(err)
		}
		if !slices.Contains(list(t, dst), "model.safetensors") {
			t.Error("nothing was written")
		}
	})
}

// TestCopies: the other files come along, those below too; hidden ones and
// weights for other programs do not.
func TestCopies(t *testing.T) {
	src := copyDir(t, golden+"bert.model", nil)
	for name, content := range map[string]string{"vocab.txt": "a\nb\n", "1_Pooling/config.json": "{}", ".hidden": "x", "pytorch_model.bin": "x", "onnx/model.onnx": "x"} {
		p := filepath.Join(src, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o777), os.WriteFile(p, []byte(content), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	if runtime.GOOS != "windows" {
		if err := os.Symlink("/etc/hostname", filepath.Join(src, "out")); err != nil {
			t.Fatal(err)
		}
	}
	dst := filepath.Join(t.TempDir(), "new")
	r, err := quantize.Dir(context.Background(), src, dst, quantize.Options{Scheme: kernels.W8})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(dst + "/vocab.txt"); string(b) != "a\nb\n" {
		t.Errorf("vocab.txt: %q, %v", b, err)
	}
	if b, err := os.ReadFile(dst + "/1_Pooling/config.json"); string(b) != "{}" {
		t.Errorf("1_Pooling/config.json: %q, %v", b, err)
	}
	for _, name := range []string{".hidden", "pytorch_model.bin", "onnx/model.onnx", "out"} {
		if _, err := os.Lstat(filepath.Join(dst, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s was copied", name)
		}
	}
	if !slices.Contains(r.Left, "pytorch_model.bin") {
		t.Errorf("left: %v", r.Left)
	}
}

// TestKilled kills a process that quantizes, at different moments: the new
// directory is whole or not there.
func TestKilled(t *testing.T) {
	if dst := os.Getenv("QUANTIZE_TEST_INTO"); dst != "" {
		quantize.Dir(context.Background(), golden+"bert.model", dst, quantize.Options{Scheme: kernels.W8})
		return
	}
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("starts processes")
	}
	for i := range 10 {
		dst := filepath.Join(t.TempDir(), "new")
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilled$")
		cmd.Env = append(os.Environ(), "QUANTIZE_TEST_INTO="+dst)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(3*i) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		if _, err := os.Stat(dst); err != nil {
			continue
		}
		outputs(t, dst, inputs(t, golden+"bert.model/in.safetensors"))
	}
}

// TestOutputs: every output of every golden model, quantized on load, keeps its
// direction; those of a layer more so.
func TestOutputs(t *testing.T) {
	dirs, err := filepath.Glob(golden + "*/config.json")
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no golden folders (%v)", err)
	}
	for _, dir := range dirs {
		c := goldens.Open(t, filepath.Dir(dir))
		t.Run(filepath.Base(c.Dir), func(t *testing.T) {
			m, err := weft.Open(c.Dir, weft.WithClass(c.Class), weft.WithQuantization(weft.Quantization{Scheme: kernels.W8A8}))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			out, err := m.Run(t.Context(), c.Inputs, weft.RunOptions{Set: c.Set, HiddenStates: true})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range c.Want {
				if w.DType() != tensor.F32 || w.Len() < 2 || w.Mask != nil {
					continue
				}
				least := 0.99
				if strings.Contains(w.Name, "hidden_states") {
					least = 0.999
				}
				if x := cosine(out.Get(w.Name).F32(), w.F32()); x < least {
					t.Errorf("%s: cosine %v", w.Name, x)
				}
			}
		})
	}
}
