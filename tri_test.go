package weft_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/demo"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/task/match"
)

// TestEmbedded: the model in the program and the same model in a folder give the
// same bits, for any number of threads.
func TestEmbedded(t *testing.T) {
	f := folder{t, t.TempDir()}
	f.check(os.CopyFS(f.dir, demo.Model()))
	var items []match.Item
	f.check(fs.WalkDir(demo.Samples(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(demo.Samples(), path)
		f.check(err)
		more, err := match.Decode(path, b)
		items = append(items, more...)
		return err
	}))
	var want []float32
	var said []string
	for _, threads := range []int{1, 3} {
		carried, err := demo.Open(weft.WithThreads(threads))
		f.check(err)
		defer carried.Close()
		opened, err := weft.Open(f.dir, weft.WithThreads(threads))
		f.check(err)
		defer opened.Close()
		for _, m := range []*weft.Model{carried, opened} {
			x, err := match.Embed(t.Context(), m, items...)
			f.check(err)
			captions, err := m.CaptionsOf(t.Context(), x)
			f.check(err)
			if want == nil {
				want, said = x.F32(), captions
			}
			if !slices.Equal(x.F32(), want) || !slices.Equal(captions, said) {
				t.Errorf("%d threads: other vectors or captions", threads)
			}
		}
	}
	info, err := weft.Inspect(f.dir)
	f.check(err)
	if !info.Runs || info.Class != "TriEncoder" || len(info.Parts) != 4 || len(info.Unused) != 0 || info.Parts["speech"].Class != "Wav2Vec2Model" {
		t.Errorf("%+v", info)
	}
	if info.WeightBytes > 8<<20 {
		t.Errorf("%d bytes of weights, want 8 MB at most", info.WeightBytes)
	}
}

// TestBadTri: a model of several folders that cannot be run is an error that
// names the folder and what is wrong.
func TestBadTri(t *testing.T) {
	inside := func(part string, do func(f folder)) func(f folder) {
		return func(f folder) { do(folder{f.t, filepath.Join(f.dir, part)}) }
	}
	heads := func(edit func(e *safetensors.Entry) bool) func(f folder) {
		return func(f folder) {
			f.check(os.Rename(f.path("heads.safetensors"), f.path("model.safetensors")))
			f.tensors(edit)
			f.check(os.Rename(f.path("model.safetensors"), f.path("heads.safetensors")))
		}
	}
	set := func(key string, v any) func(f folder) {
		return func(f folder) { f.config(map[string]any{key: v}) }
	}
	const unsupported = true
	for _, c := range []struct {
		name        string
		spoil       func(f folder)
		want        string
		unsupported bool
	}{
		{"no heads", func(f folder) { f.remove("heads.safetensors") }, "heads.safetensors|no such file", false},
		{"heads are no safetensors", func(f folder) { f.write("heads.safetensors", "{}") }, "heads.safetensors", false},
		{"head missing", heads(func(e *safetensors.Entry) bool { return e.Name != "image_projection.weight" }), "image_projection.weight|missing", false},
		{"scale missing", heads(func(e *safetensors.Entry) bool { return e.Name != "logit_scale" }), "logit_scale|missing", false},
		{"head misshapen", heads(func(e *safetensors.Entry) bool {
			if e.Name == "speech_projection.weight" {
				*e = safetensors.F32Entry(e.Name, make([]float32, 6), 2, 3)
			}
			return true
		}), "speech_projection.weight|[2 3]", false},
		{"head of integers", heads(func(e *safetensors.Entry) bool {
			if e.Name == "logit_scale" {
				*e = safetensors.I64Entry(e.Name, []int64{3})
			}
			return true
		}), "logit_scale|I64", true},
		{"another class", set("architectures", []string{"QuadEncoder"}), `class "QuadEncoder"`, unsupported},
		{"another projection_dim", set("projection_dim", 64), "text_projection.weight|[64 ", false},
		{"another prefix_length", set("prefix_length", 2), "prefix.weight", false},
		{"folder missing", set("speech", "voices"), "voices", false},
		{"folder outside", set("image", "../image"), "../image|invalid", false},
		{"folder is itself", set("text", "."), "tri-encoder", unsupported},
		{"folder without a model", inside("image", func(f folder) { f.remove("config.json") }), "image|config.json", false},
		{"folder without weights", inside("speech", func(f folder) { f.remove("model.safetensors") }), "speech|no weights", false},
		{"part of an unknown kind", inside("text", set("model_type", "telepath")), `text|model_type "telepath"`, unsupported},
		{"part of another width", inside("text", set("hidden_size", 64)), "text|shape", false},
		{"captions by an encoder", set("caption", "text"), "text|generate with BertModel", unsupported},
		{"captions without tokens to begin with", inside("caption", func(f folder) { f.write("generation_config.json", `{"bos_token_id":999999}`) }), "caption|bos_token_id|999999", false},
		{"captions with odd settings", inside("caption", func(f folder) { f.write("generation_config.json", `{"max_new_tokens":"many"}`) }), "caption|max_new_tokens", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := folder{t, t.TempDir()}
			f.check(os.CopyFS(f.dir, demo.Model()))
			c.spoil(f)
			m, err := weft.Open(f.dir)
			if err == nil {
				m.Close()
				t.Fatal("it opened")
			}
			for _, part := range strings.Split(c.want, "|") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v, want %q in it", err, part)
				}
			}
			if weft.IsUnsupported(err) != c.unsupported {
				t.Errorf("%v: unsupported is %v", err, weft.IsUnsupported(err))
			}
			if info, err := weft.Inspect(f.dir); err == nil && info.Runs {
				t.Error("Inspect says that it runs")
			}
		})
	}
}

// TestTriParts: a model reads what it has encoders for, says so, and names what
// it lacks.
func TestTriParts(t *testing.T) {
	f := folder{t, t.TempDir()}
	f.check(os.CopyFS(f.dir, demo.Model()))
	f.config(map[string]any{"speech": nil, "caption": nil})
	m, err := weft.Open(f.dir)
	f.check(err)
	defer m.Close()
	if !m.Has(match.Text) || !m.Has(match.Image) || m.Has(match.Sound) {
		t.Error("Has")
	}
	x, err := match.Embed(t.Context(), m, match.Item{Text: "a red circle"})
	f.check(err)
	if _, err := m.CaptionsOf(t.Context(), x); !weft.IsUnsupported(err) {
		t.Errorf("captions without decoder: %v", err)
	}
	if _, err := m.SpeechFeatures(t.Context()); err == nil {
		t.Error("features of sounds without an encoder")
	}
	if _, err := m.Run(t.Context(), weft.Inputs{}, weft.RunOptions{}); !errors.Is(err, weft.ErrInput) {
		t.Errorf("nothing to encode: %v", err)
	}
	if _, err := m.Run(t.Context(), weft.Inputs{"query": x}, weft.RunOptions{}); !errors.Is(err, weft.ErrInput) || !strings.Contains(err.Error(), "query") {
		t.Errorf("an unknown input: %v", err)
	}
	// A decoder that fails: a NaN in the heads is named.
	full, err := demo.Open()
	f.check(err)
	defer full.Close()
	if _, err := full.CaptionsOf(t.Context(), weft.Tensor{}); !errors.Is(err, weft.ErrInput) {
		t.Errorf("captions of nothing: %v", err)
	}
}
