package weft_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"image"
	"image/png"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

// folder is a copy of a small checkpoint that a test spoils.
type folder struct {
	t   *testing.T
	dir string
}

func copyOf(t *testing.T, model string) folder {
	t.Helper()
	f := folder{t, t.TempDir()}
	if err := os.CopyFS(f.dir, os.DirFS(filepath.FromSlash(model))); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f folder) check(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f folder) path(name string) string { return filepath.Join(f.dir, name) }
func (f folder) write(name, data string) {
	f.t.Helper()
	f.check(os.WriteFile(f.path(name), []byte(data), 0o600))
}
func (f folder) remove(name string) { f.t.Helper(); f.check(os.Remove(f.path(name))) }

// config sets keys of config.json; nil removes.
func (f folder) config(set map[string]any) {
	f.t.Helper()
	b, err := os.ReadFile(f.path("config.json"))
	f.check(err)
	var c map[string]any
	f.check(json.Unmarshal(b, &c))
	for k, v := range set {
		if c[k] = v; v == nil {
			delete(c, k)
		}
	}
	b, err = json.Marshal(c)
	f.check(err)
	f.write("config.json", string(b))
}

// tensors rewrites model.safetensors; edit may change, drop or keep an entry.
func (f folder) tensors(edit func(e *safetensors.Entry) (keep bool)) {
	f.t.Helper()
	file, err := safetensors.Open(f.path("model.safetensors"))
	f.check(err)
	var entries []safetensors.Entry
	for _, name := range file.Names() {
		x, _ := file.Lookup(name)
		e := safetensors.Entry{Name: name, DType: x.DType, Shape: x.Shape, Data: slices.Clone(x.Data())}
		if edit(&e) {
			entries = append(entries, e)
		}
	}
	f.check(file.Close())
	f.check(safetensors.WriteFile(f.path("model.safetensors"), entries, nil))
}

func (f folder) replace(name string, e safetensors.Entry) {
	f.t.Helper()
	e.Name = name
	f.tensors(func(x *safetensors.Entry) bool {
		if x.Name == name {
			*x = e
		}
		return true
	})
}

func (f folder) index(file string) {
	f.t.Helper()
	f.remove("model.safetensors")
	b, err := json.Marshal(map[string]any{"weight_map": map[string]string{queryWeight: file}})
	f.check(err)
	f.write("model.safetensors.index.json", string(b))
}

const queryWeight = "encoder.layer.0.attention.self.query.weight"

// TestBadModels: a model folder that cannot be run is an error that names what
// is wrong, at once.
func TestBadModels(t *testing.T) {
	set := func(key string, v any) func(f folder) {
		return func(f folder) { f.config(map[string]any{key: v}) }
	}
	truncate := func(n int64) func(f folder) {
		return func(f folder) { f.check(os.Truncate(f.path("model.safetensors"), n)) }
	}
	nan := make([]float32, 32)
	nan[7] = float32(math.NaN())
	const unsupported = true
	for _, c := range []struct {
		name        string
		spoil       func(f folder)
		want        string // in the error, all of them
		unsupported bool
	}{
		{"tensor missing", func(f folder) {
			f.tensors(func(e *safetensors.Entry) bool { return e.Name != queryWeight })
		}, queryWeight + "|missing", false},
		{"tensor misshapen", func(f folder) {
			f.replace(queryWeight, safetensors.F32Entry("", make([]float32, 32*31), 32, 31))
		}, queryWeight + "|[32 31]|[32 32]", false},
		{"tensor of another rank", func(f folder) {
			f.replace(queryWeight, safetensors.F32Entry("", make([]float32, 32), 32))
		}, queryWeight + "|[32]|[32 32]", false},
		{"tensor of integers", func(f folder) {
			f.replace(queryWeight, safetensors.I64Entry("", make([]int64, 32*32), 32, 32))
		}, queryWeight + "|I64", unsupported},
		{"tensor empty", func(f folder) {
			f.replace(queryWeight, safetensors.F32Entry("", nil, 0, 32))
		}, queryWeight + "|[0 32]|[32 32]", false},
		{"weight NaN", func(f folder) {
			f.replace("embeddings.LayerNorm.weight", safetensors.F32Entry("", nan, 32))
		}, "embeddings.LayerNorm.weight|element 7|NaN", false},

		{"vocabulary more than rows", set("vocab_size", 38), "embeddings.word_embeddings.weight|[37 32]|[38 32]", false},
		{"layers more than there are", set("num_hidden_layers", 3), "encoder.layer.2.", false},
		{"layers 2^31", set("num_hidden_layers", int64(1<<31)), "num_hidden_layers|2147483648", false},
		{"layers negative", set("num_hidden_layers", -1), "num_hidden_layers|-1", false},
		{"heads zero", set("num_attention_heads", 0), "num_attention_heads", false},
		{"heads that do not divide", set("num_attention_heads", 5), "32|5 attention heads", false},
		{"width a string", set("hidden_size", "32"), "hidden_size|want an integer", false},
		{"width a fraction", set("hidden_size", 32.5), "hidden_size|32.5", false},
		{"width 2^62", set("hidden_size", int64(1<<62)), "hidden_size", false},
		{"width an object", set("hidden_size", map[string]any{"a": 1}), "hidden_size|an object", false},
		{"eps a list", set("layer_norm_eps", []int{1}), "layer_norm_eps|an array", false},
		{"cross attention without a decoder", set("add_cross_attention", true), "add_cross_attention", false},
		{"activation unknown", set("hidden_act", "snake"), `"snake"`, unsupported},
		{"model type unknown", set("model_type", "perceiver"), `"perceiver"`, unsupported},
		{"model type missing", set("model_type", nil), "model_type", false},
		{"class unknown", set("architectures", []string{"BertForTelepathy"}), "BertForTelepathy", unsupported},
		{"class of another family", set("architectures", []string{"ViTModel"}), "ViTModel", unsupported},
		{"class missing", set("architectures", nil), "architectures", false},
		{"positions relative", set("position_embedding_type", "relative_key"), "position_embedding_type|relative_key", unsupported},

		{"config an array", func(f folder) { f.write("config.json", "[]") }, "config.json|an array", false},
		{"config cut", func(f folder) { f.write("config.json", `{"model_type":"bert"`) }, "config.json", false},
		{"config empty", func(f folder) { f.write("config.json", "") }, "config.json", false},
		{"config nested", func(f folder) {
			f.write("config.json", strings.Repeat(`{"a":`, 5000)+"1"+strings.Repeat("}", 5000))
		}, "config.json|nested", false},
		{"config missing", func(f folder) { f.remove("config.json") }, "config.json", false},
		{"weights missing", func(f folder) { f.remove("model.safetensors") }, "model.safetensors", false},
		{"weights empty", func(f folder) { f.write("model.safetensors", "") }, "model.safetensors", false},
		{"header cut", truncate(100), "model.safetensors", false},
		{"data cut", truncate(20000), "model.safetensors", false},
		{"header 2^60", func(f folder) {
			f.write("model.safetensors", string(binary.LittleEndian.AppendUint64(nil, 1<<60)))
		}, "model.safetensors", false},
		{"weights a folder", func(f folder) {
			f.remove("model.safetensors")
			f.check(os.Mkdir(f.path("model.safetensors"), 0o700))
		}, "model.safetensors", false},
		{"weights a pipe", func(f folder) {
			f.remove("model.safetensors")
			if err := exec.Command("mkfifo", f.path("model.safetensors")).Run(); err != nil {
				f.t.Skip("no mkfifo: ", err)
			}
		}, "model.safetensors|regular", false},
		{"weights a link out", func(f folder) {
			outside := filepath.Join(f.t.TempDir(), "weights")
			f.check(os.Rename(f.path("model.safetensors"), outside))
			if err := os.Symlink(outside, f.path("model.safetensors")); err != nil {
				f.t.Skip(err)
			}
		}, "model.safetensors", false},
		{"index to the parent", func(f folder) { f.index("../model.safetensors") }, "../model.safetensors", false},
		{"index to the root", func(f folder) { f.index("/etc/hostname") }, "/etc/hostname", false},
		{"index to a missing shard", func(f folder) { f.index("model-00001-of-00002.safetensors") }, "model-00001-of-00002.safetensors", false},
		{"index an array", func(f folder) {
			f.remove("model.safetensors")
			f.write("model.safetensors.index.json", "[1]")
		}, "model.safetensors.index.json", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := copyOf(t, "testdata/golden/bert.model")
			c.spoil(f)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			err := openAndRun(t, f.dir)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Fatal("it runs")
			}
			for _, part := range strings.Split(c.want, "|") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q", err, part)
				}
			}
			if weft.IsUnsupported(err) != c.unsupported {
				t.Errorf("%q: unsupported = %v", err, !c.unsupported)
			}
			// A quarter of a second: ten times what the slowest takes, on a busy machine.
			if took > 250*time.Millisecond {
				t.Errorf("took %v", took)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
				t.Errorf("allocated %d MiB", n>>20)
			}
		})
	}
}

func openAndRun(t *testing.T, dir string) error {
	m, err := weft.Open(dir)
	if err != nil {
		return err
	}
	defer m.Close()
	_, err = m.Run(t.Context(), weft.Inputs{"input_ids": tensor.FromI64([]int64{1, 2, 3}, 1, 3)}, weft.RunOptions{})
	return err
}

// TestShrunkenWeights: a weight file that is cut under an open model is an
// error of the call, and other models live on.
func TestShrunkenWeights(t *testing.T) {
	f := copyOf(t, "testdata/golden/bert.model")
	f.tensors(func(e *safetensors.Entry) bool {
		x, n := make([]float32, len(e.Data)/2), 1 // from BF16; F32 is read where it lies
		for i := range x {
			x[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(e.Data[2*i:])) << 16)
		}
		for _, d := range e.Shape {
			n *= d
		}
		*e = safetensors.F32Entry(e.Name, x[:n], e.Shape...)
		return true
	})
	other, err := weft.Open("testdata/golden/bert.model")
	f.check(err)
	defer other.Close()
	cut, err := weft.Open(f.dir)
	f.check(err)
	defer cut.Close()
	if err := os.Truncate(f.path("model.safetensors"), 0); err != nil {
		t.Skip(err)
	}
	in := weft.Inputs{"input_ids": tensor.FromI64([]int64{1, 2, 3}, 1, 3)}
	defer func() { // qemu-user does not tell the address of a bus error
		if runtime.GOARCH != "amd64" {
			if r := recover(); r != nil {
				t.Skip("no address of the fault:", r)
			}
		}
	}()
	if _, err := cut.Run(t.Context(), in, weft.RunOptions{}); !errors.Is(err, safetensors.ErrFault) {
		t.Errorf("%v", err)
	}
	if _, err := other.Run(t.Context(), in, weft.RunOptions{}); err != nil {
		t.Error(err)
	}
}

// TestBadInputs: an input that a model cannot take is an error that names it.
func TestBadInputs(t *testing.T) {
	i64 := func(n int, shape ...int) weft.Tensor { return tensor.FromI64(make([]int64, n), shape...) }
	f32 := func(n int, shape ...int) weft.Tensor { return tensor.FromF32(make([]float32, n), shape...) }
	const bert, vit, speech = "bert.model", "vit.model", "wav2vec2.group"
	for _, c := range []struct {
		model string
		in    weft.Inputs
		want  string
	}{
		{bert, weft.Inputs{}, "input_ids"},
		{bert, weft.Inputs{"input_ids": i64(15, 1, 15)}, "15 tokens need position 14"},
		{bert, weft.Inputs{"input_ids": i64(0, 1, 0)}, "input_ids|[1 0]"},
		{bert, weft.Inputs{"input_ids": i64(0, 0, 3)}, "input_ids|[0 3]"},
		{bert, weft.Inputs{"input_ids": i64(3, 3)}, "input_ids|[3]"},
		{bert, weft.Inputs{"input_ids": tensor.FromI64([]int64{1, 37}, 1, 2)}, "input_ids|element 1 is 37"},
		{bert, weft.Inputs{"input_ids": tensor.FromI64([]int64{1, -1}, 1, 2)}, "input_ids|element 1 is -1"},
		{bert, weft.Inputs{"input_ids": f32(2, 1, 2)}, "input_ids|F32|I64"},
		{bert, weft.Inputs{"input_ids": i64(2, 1, 2), "inputs_embeds": f32(64, 1, 2, 32)}, "exactly one"},
		{bert, weft.Inputs{"inputs_embeds": f32(62, 1, 2, 31)}, "inputs_embeds|[1 2 31]"},
		{bert, weft.Inputs{"input_ids": i64(2, 1, 2), "attention_mask": i64(4, 1, 2, 2)}, "attention_mask|[1 2 2]"},
		{bert, weft.Inputs{"input_ids": i64(2, 1, 2), "attention_mask": tensor.FromI64([]int64{1, 5}, 1, 2)}, "attention_mask|element 1 is 5"},
		{bert, weft.Inputs{"input_ids": i64(2, 1, 2), "token_type_ids": tensor.FromI64([]int64{0, 2}, 1, 2)}, "token_type_ids|element 1 is 2"},
		{bert, weft.Inputs{"input_ids": i64(2, 1, 2), "position_ids": tensor.FromI64([]int64{0, 14}, 1, 2)}, "position_ids|element 1 is 14"},
		{bert, weft.Inputs{"input_ids": i64(2, 1, 2), "pixel_values": f32(1, 1)}, "pixel_values"},
		{bert, weft.Inputs{"input_ids": i64(2, 1, 2), "encoder_hidden_states": f32(64, 1, 2, 32)}, "encoder_hidden_states"},
		{vit, weft.Inputs{"pixel_values": f32(16*16, 1, 1, 16, 16)}, "pixel_values|[1 1 16 16]"},
		{vit, weft.Inputs{"pixel_values": f32(3*16, 1, 3, 1, 16)}, "pixel_values|[1 3 1 16]"},
		{vit, weft.Inputs{"pixel_values": f32(3*16*20, 1, 3, 16, 20)}, "pixel_values|16×20|16×16"},
		{vit, weft.Inputs{"pixel_values": f32(0, 0, 3, 16, 16)}, "pixel_values|[0 3 16 16]"},
		{speech, weft.Inputs{"input_values": f32(0, 1, 0)}, "input_values|[1 0]"},
		{speech, weft.Inputs{"input_values": f32(9, 1, 9)}, "input_values|too short"},
		{speech, weft.Inputs{"input_values": f32(400, 400)}, "input_values|[400]"},
		{speech, weft.Inputs{"input_values": f32(400, 1, 400), "attention_mask": i64(3, 1, 3)}, "attention_mask|[1 3]"},
	} {
		m, err := weft.Open("testdata/golden/" + c.model)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Run(t.Context(), c.in, weft.RunOptions{})
		if !errors.Is(err, weft.ErrInput) {
			t.Errorf("%s: %v is no input error", c.want, err)
		}
		for _, part := range strings.Split(c.want, "|") {
			if err != nil && !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
		m.Close()
	}
}

// TestNotFinite: NaN in an input comes out as an error.
func TestNotFinite(t *testing.T) {
	m, err := weft.Open("testdata/golden/vit.model")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pixels := make([]float32, 3*16*16)
	pixels[100] = float32(math.Inf(1))
	_, err = m.Run(t.Context(), weft.Inputs{"pixel_values": tensor.FromF32(pixels, 1, 3, 16, 16)}, weft.RunOptions{})
	if !errors.Is(err, weft.ErrNotFinite) || !strings.Contains(err.Error(), "last_hidden_state") {
		t.Errorf("%v", err)
	}
}

// TestBadMedia: pictures and sounds that a model cannot use.
func TestBadMedia(t *testing.T) {
	sound, err := weft.Open("testdata/demo/encoders/audio")
	if err != nil {
		t.Fatal(err)
	}
	defer sound.Close()
	for _, c := range []struct {
		clip *audio.Clip
		want string
	}{
		{&audio.Clip{Samples: nil, Channels: 1, Rate: 16000}, "audio"},
		{&audio.Clip{Samples: make([]float32, 30), Channels: 1, Rate: 16000}, "too short"},
		{&audio.Clip{Samples: make([]float32, 4000), Channels: 1, Rate: 0}, "0 Hz"},
		{&audio.Clip{Samples: make([]float32, 4001), Channels: 2, Rate: 16000}, "2 channels"},
	} {
		if _, err := sound.EncodeAudio(t.Context(), c.clip); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	picture, err := weft.OpenImageProcessor("testdata/demo/encoders/image")
	if err != nil {
		t.Fatal(err)
	}
	// A line of one pixel is stretched to the model's size, as Pillow does it.
	for _, size := range []image.Point{{1, 300}, {300, 1}, {1, 1}} {
		var file bytes.Buffer
		if err := png.Encode(&file, image.NewGray(image.Rectangle{Max: size})); err != nil {
			t.Fatal(err)
		}
		img, err := vision.Decode(&file, vision.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if _, shape, err := picture.Process(img); err != nil || shape != [3]int{3, 64, 64} {
			t.Errorf("%v: %v, %v", size, shape, err)
		}
	}
	// The header of a picture of 2³¹ × 2³¹ pixels.
	huge := "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x7f\xff\xff\xff\x7f\xff\xff\xff\x08\x02\x00\x00\x00"
	huge += string(binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(huge[12:]))))
	if _, err := vision.Decode(strings.NewReader(huge), vision.Limits{}); err == nil || !strings.Contains(err.Error(), "2147483647") {
		t.Errorf("%v", err)
	}
}

// TestOddConfigs sets every key of the golden configurations, nested ones
// included, to odd values. The models may fail, and must not panic.
func TestOddConfigs(t *testing.T) {
	folders := goldenFolders(t)
	for n, name := range slices.Sorted(maps.Keys(folders)) {
		x := folders[name]
		var config map[string]any
		if err := json.Unmarshal(x.config, &config); err != nil {
			t.Fatal(err)
		}
		count := n
		spoil(config, "", func(key string, value json.RawMessage) {
			if count++; testing.Short() && count%7 != 0 {
				return
			}
			b, err := json.Marshal(config)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if e := recover(); e != nil {
					t.Errorf("%s: %s = %s: %v", name, key, value, e)
				}
			}()
			x.run(t, b)
		})
	}
}

// spoil calls run with one key of config after the other set to odd values.
func spoil(config map[string]any, path string, run func(key string, value json.RawMessage)) {
	for _, key := range slices.Sorted(maps.Keys(config)) {
		was := config[key]
		for _, value := range []string{"0", "1", "2", "3", "7", "-1", "1000000", "1e30", "null", `"x"`, "[]", "[1,2]", "{}", "true", "false", "0.5"} {
			config[key] = json.RawMessage(value)
			run(path+key, json.RawMessage(value))
		}
		config[key] = was
		if nested, ok := was.(map[string]any); ok {
			spoil(nested, path+key+".", run)
		}
	}
}

// goldenFolder is a golden folder's files.
type goldenFolder struct {
	config, weights []byte
	inputs          weft.Inputs
}

func goldenFolders(tb testing.TB) map[string]goldenFolder {
	tb.Helper()
	paths, err := filepath.Glob("testdata/golden/*/model.safetensors")
	if err != nil || len(paths) == 0 {
		tb.Fatal("no golden folders: ", err)
	}
	folders := map[string]goldenFolder{}
	for _, p := range paths {
		dir := filepath.Dir(p)
		read := func(name string) []byte {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				tb.Fatal(err)
			}
			return b
		}
		x := goldenFolder{read("config.json"), read("model.safetensors"), weft.Inputs{}}
		in, err := safetensors.Parse(read("in.safetensors"))
		if err != nil {
			tb.Fatal(err)
		}
		for _, e := range in.Tensors() {
			if v, err := e.Int64(); err == nil {
				x.inputs[e.Name] = tensor.FromI64(v, e.Shape...)
			} else if v, err := e.Float32(); err == nil {
				x.inputs[e.Name] = tensor.FromF32(v, e.Shape...)
			}
		}
		folders[filepath.Base(dir)] = x
	}
	return folders
}

// run opens and runs the folder's weights under another configuration.
func (x goldenFolder) run(t *testing.T, config []byte) {
	m, err := weft.OpenFS(fstest.MapFS{"config.json": {Data: config}, "model.safetensors": {Data: x.weights}}, weft.WithThreads(1))
	if err != nil {
		return
	}
	defer m.Close()
	for _, set := range []map[string]json.RawMessage{nil, {"interpolate_pos_encoding": json.RawMessage("true")}} {
		m.Run(t.Context(), x.inputs, weft.RunOptions{HiddenStates: true, Set: set})
	}
}

// FuzzConfig runs a golden folder's weights and inputs under another
// configuration: it may fail, and must not panic.
func FuzzConfig(f *testing.F) {
	folders := goldenFolders(f)
	names := slices.Sorted(maps.Keys(folders))
	for i, name := range names {
		f.Add(uint16(i), folders[name].config)
	}
	f.Fuzz(func(t *testing.T, i uint16, config []byte) {
		folders[names[int(i)%len(names)]].run(t, config)
	})
}
