package match_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/audio"
	"github.com/seed-512d3d71/weft/demo"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/match"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/vision"
)

const files = "../../testdata/demo/"

func open(t *testing.T, name string) match.Item {
	t.Helper()
	items, err := match.Open(name)
	if err != nil || len(items) != 1 {
		t.Fatal(items, err)
	}
	return items[0]
}

// TestEmbed: vectors have length 1 and do not depend on what else is embedded,
// nor on the order.
func TestEmbed(t *testing.T) {
	m, err := demo.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	voice := open(t, files+"voice.flac")
	items := []match.Item{{Text: "a red circle"}, open(t, files+"photo.jpg"), voice, {Text: "three large green stars above a blue square"}}
	for n := range 3 { // sounds of other lengths in one batch
		s := voice.Sound
		items = append(items, match.Item{Sound: &audio.Clip{Samples: s.Samples[:len(s.Samples)/(n+2)], Channels: s.Channels, Rate: s.Rate}})
	}
	for range 40 { // more than a batch
		items = append(items, match.Item{Text: "a word"})
	}
	all, err := match.Embed(t.Context(), m, items...)
	if err != nil {
		t.Fatal(err)
	}
	row := func(i int) []float32 { return all.F32()[i*all.Cols():][:all.Cols()] }
	for i := range 7 {
		one, err := match.Embed(t.Context(), m, items[i])
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(one.F32(), row(i)) {
			t.Errorf("item %d differs from itself alone", i)
		}
		sum := 0.0
		for _, v := range row(i) {
			sum += float64(v) * float64(v)
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("item %d has squared length %v", i, sum)
		}
	}
	cos, err := match.Cosines(all, all)
	if err != nil || cos.Dim(0) != len(items) || math.Abs(float64(cos.F32()[0])-1) > 1e-6 || cos.F32()[1] != cos.F32()[len(items)] {
		t.Errorf("cosines %v, %v", cos, err)
	}
	for name, bad := range map[string]match.Item{
		`"both"`:  {Name: "both", Text: "a", Image: items[1].Image},
		`"empty"`: {Name: "empty"},
		"image":   {Name: "image", Image: &vision.Image{W: 5, H: 5}},
		"sound":   {Name: "sound", Sound: &audio.Clip{Channels: 1, Rate: 16000}},
		"short":   {Name: "short", Sound: &audio.Clip{Samples: make([]float32, 9), Channels: 1, Rate: 16000}},
	} {
		if _, err := match.Embed(t.Context(), m, bad); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := match.Embed(t.Context(), m); !errors.Is(err, nn.ErrInput) {
		t.Errorf("nothing: %v", err)
	}
	// A text of any length is cut to what the model reads.
	if _, err := match.Embed(t.Context(), m, match.Item{Text: strings.Repeat("red ", 1000)}); err != nil {
		t.Error(err)
	}
	if _, err := match.Cosines(all, tensor.FromF32([]float32{1}, 1, 1)); !errors.Is(err, nn.ErrInput) {
		t.Errorf("vectors of other lengths: %v", err)
	}
}

func TestIndex(t *testing.T) {
	m, err := demo.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	x := match.NewIndex(m)
	if _, err := x.Search(t.Context(), match.Item{Text: "a"}, 1); !errors.Is(err, nn.ErrInput) {
		t.Errorf("an empty index: %v", err)
	}
	words := []string{"monday", "a large white star", "a red circle", "monday"}
	for i, s := range words {
		if err := x.Add(t.Context(), match.Item{Name: string(rune('a' + i)), Text: s}); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.Add(t.Context(), match.Item{Text: "fine"}, match.Item{}); err == nil || x.Len() != len(words) {
		t.Errorf("%d items, %v", x.Len(), err)
	}
	hits, err := x.Search(t.Context(), match.Item{Text: "monday"}, 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(hits) != 2 || hits[0].Name != "a" || hits[1].Name != "d" || hits[0].Index != 0 || hits[1].Score != hits[0].Score || hits[0].Text != "monday" {
		t.Errorf("%+v", hits)
	}
	if hits, err = x.Search(t.Context(), open(t, files+"photo.jpg"), 0); err != nil || len(hits) != len(words) {
		t.Errorf("%+v, %v", hits, err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	items, err := match.Open(write("notes", "\ufeffone\r\n\n  two \n"))
	if err != nil || len(items) != 2 || items[0].Text != "one" || items[1].Text != "two" || !strings.HasSuffix(items[1].Name, "notes:3") {
		t.Errorf("%+v, %v", items, err)
	}
	picture, err := os.ReadFile(files + "photo.jpg")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want error
		says string
	}{
		{write("bytes", "\x00\x01\x02"), nn.ErrUnsupported, "no picture"},
		{write("nothing", ""), nn.ErrUnsupported, "no picture"},
		{write("space", " \n "), nn.ErrInput, "space"},
		{write("cut.jpg", string(picture[:1000])), nil, "cut.jpg"},
		{write("song.ogg", "OggS\x00\x02"), audio.ErrUnsupported, "Ogg"},
		{write("long", strings.Repeat("word ", 1<<18)), nn.ErrInput, "bytes"},
		{dir, nil, "not a regular file"},
		{filepath.Join(dir, "none"), os.ErrNotExist, "none"},
	} {
		_, err := match.Open(c.path)
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.path, err)
		}
	}
}

// FuzzDecode: any bytes are items of one kind, each whole, or an error.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"one\ntwo", "\xff\xd8\xff\xe0", "fLaC", "RIFF\x24\x00\x00\x00WAVEfmt ", "\x89PNG\r\n\x1a\n", "GIF89a", "\xef\xbb\xbf ", "a\x00b"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		items, err := match.Decode("name", b)
		if (err == nil) != (len(items) > 0) {
			t.Fatalf("%d items, %v", len(items), err)
		}
		for _, item := range items {
			if item.Kind() == "" || item.Kind() != items[0].Kind() || !strings.HasPrefix(item.Name, "name") {
				t.Fatalf("%+v", item)
			}
		}
	})
}
