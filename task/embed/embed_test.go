package embed_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft"
)

const encoder = "../../testdata/demo/encoders/text"

// directory writes a sentence-transformers directory over the demonstration
// encoder.
func directory(t *testing.T, modules, pooling string, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(encoder)); err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"modules.json": modules, "1_Pooling/config.json": pooling}
	for name, data := range files {
		all[name] = data
	}
	for name, data := range all {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const poolOnly = `[{"path":"","type":"sentence_transformers.models.Transformer"},{"path":"1_Pooling","type":"sentence_transformers.models.Pooling"}]`

// hidden returns the token vectors of a sentence.
func hidden(t *testing.T, sentence string) [][]float32 {
	t.Helper()
	m, err := weft.Open(encoder)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	out, err := m.EncodeText(context.Background(), sentence)
	if err != nil {
		t.Fatal(err)
	}
	h := out.Get("last_hidden_state")
	rows := make([][]float32, h.Dim(1))
	for i := range rows {
		rows[i] = h.F32()[i*h.Dim(2) : (i+1)*h.Dim(2)]
	}
	return rows
}

func TestPooling(t *testing.T) {
	const sentence = "the cat looks at the camera"
	tokens := hidden(t, sentence)
	n := float64(len(tokens))
	sum := func(weight func(i int) float64) func(j int) float64 {
		return func(j int) (s float64) {
			for i, row := range tokens {
				s += weight(i) * float64(row[j])
			}
			return s
		}
	}
	for mode, want := range map[string]func(j int) float64{
		"cls":                  func(j int) float64 { return float64(tokens[0][j]) },
		"lasttoken":            func(j int) float64 { return float64(tokens[len(tokens)-1][j]) },
		"mean":                 sum(func(int) float64 { return 1 / n }),
		"mean_sqrt_len_tokens": sum(func(int) float64 { return 1 / math.Sqrt(n) }),
		"weightedmean":         sum(func(i int) float64 { return float64(i+1) / (n * (n + 1) / 2) }),
		"max": func(j int) float64 {
			m := math.Inf(-1)
			for _, row := range tokens {
				m = math.Max(m, float64(row[j]))
			}
			return m
		},
	} {
		e, err := weft.OpenEmbedder(directory(t, poolOnly, fmt.Sprintf(`{"embedding_dimension":48,"pooling_mode":%q}`, mode), nil))
		if err != nil {
			t.Fatal(err)
		}
		// Beside a longer sentence, so that padding would show.
		out, err := e.Embed(context.Background(), []string{sentence, strings.Repeat("a ", 40)})
		if err != nil {
			t.Fatal(err)
		}
		for j := range e.Dim() {
			if got, w := float64(out.F32()[j]), want(j); math.Abs(got-w) > 1e-5 {
				t.Errorf("%s: element %d is %v, want %v", mode, j, got, w)
				break
			}
		}
	}
}

func TestNormalize(t *testing.T) {
	modules := strings.Replace(poolOnly, "}]", `},{"path":"2_Normalize","type":"sentence_transformers.models.Normalize"}]`, 1)
	e, err := weft.OpenEmbedder(directory(t, modules, `{"word_embedding_dimension":48,"pooling_mode_mean_tokens":true,"pooling_mode_cls_token":true}`, nil))
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.Embed(context.Background(), []string{"two dogs"})
	if err != nil {
		t.Fatal(err)
	}
	norm := 0.0
	for _, v := range out.F32() {
		norm += float64(v) * float64(v)
	}
	if e.Dim() != 96 || math.Abs(norm-1) > 1e-6 {
		t.Errorf("%d elements of norm² %v", e.Dim(), norm)
	}
}

// TestLength: a sentence is cut to max_seq_length tokens, special ones included.
func TestLength(t *testing.T) {
	cut, err := weft.OpenEmbedder(directory(t, poolOnly, `{"embedding_dimension":48}`, map[string]string{"sentence_bert_config.json": `{"max_seq_length":5}`}))
	if err != nil {
		t.Fatal(err)
	}
	out, err := cut.Embed(context.Background(), []string{"the cat looks at the camera", "the cat looks", strings.Repeat("the cat looks ", 300)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 48 {
		if a, b, c := out.F32()[i], out.F32()[48+i], out.F32()[96+i]; a != b || b != c {
			t.Fatalf("element %d: %v, %v, %v", i, a, b, c)
		}
	}
}

// TestTruncateDim: embeddings are cut to truncate_dim, where that is shorter.
func TestTruncateDim(t *testing.T) {
	const settings = "config_sentence_transformers.json"
	var whole []float32
	for _, c := range []struct{ dim, want int }{{60, 48}, {7, 7}} {
		files := map[string]string{settings: fmt.Sprintf(`{"truncate_dim":%d}`, c.dim)}
		e, err := weft.OpenEmbedder(directory(t, poolOnly, `{"embedding_dimension":48}`, files))
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.Embed(context.Background(), []string{"the cat"})
		if err != nil {
			t.Fatal(err)
		}
		if whole == nil {
			whole = out.F32()
		}
		if e.Dim() != c.want || !slices.Equal(out.F32(), whole[:c.want]) {
			t.Errorf("truncate_dim %d: %d numbers, %v, want the first %d of %v", c.dim, e.Dim(), out.F32(), c.want, whole)
		}
	}
	if _, err := weft.OpenEmbedder(directory(t, poolOnly, `{"embedding_dimension":48}`, map[string]string{settings: `{"truncate_dim":0}`})); err == nil || !strings.Contains(err.Error(), "truncate_dim") {
		t.Errorf("%v, want an error about truncate_dim", err)
	}
}

// TestNoModules: a transformer alone is averaged, and its head left out.
func TestNoModules(t *testing.T) {
	const sentence = "two dogs run"
	var want []float32
	for i, dir := range []string{directory(t, poolOnly, `{"embedding_dimension":48,"pooling_mode":"mean"}`, nil), encoder, directory(t, poolOnly, "{}", nil)} {
		if i == 2 {
			if err := os.Remove(filepath.Join(dir, "modules.json")); err != nil {
				t.Fatal(err)
			}
			config, err := os.ReadFile(filepath.Join(dir, "config.json"))
			if err != nil {
				t.Fatal(err)
			}
			head := strings.Replace(string(config), `"BertModel"`, `"BertForMaskedLM"`, 1)
			if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(head), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		e, err := weft.OpenEmbedder(dir)
		if err != nil {
			t.Fatal(err)
		}
		out, err := e.Embed(context.Background(), []string{sentence})
		if err != nil {
			t.Fatal(err)
		}
		if want == nil {
			want = out.F32()
		}
		if !slices.Equal(out.F32(), want) || e.Dim() != 48 {
			t.Errorf("folder %d: %v, want %v", i, out.F32()[:4], want[:4])
		}
	}
}

func TestBadDirectories(t *testing.T) {
	for _, c := range []struct{ modules, pooling, want string }{
		{`{}`, `{}`, "modules.json"},
		{`[]`, `{}`, "Pooling"},
		{strings.ReplaceAll(poolOnly, "models.Pooling", "models.CNN"), `{}`, "order of modules"},
		{strings.Replace(poolOnly, "}]", `},{"path":"","type":"sentence_transformers.models.LSTM"}]`, 1), `{"embedding_dimension":48}`, "LSTM"},
		{poolOnly, `{"embedding_dimension":48,"pooling_mode":"median"}`, `"median"`},
		{poolOnly, `{}`, "word_embedding_dimension"},
		{strings.Replace(poolOnly, "1_Pooling", "../x", 1), `{}`, "../x"},
	} {
		if _, err := weft.OpenEmbedder(directory(t, c.modules, c.pooling, nil)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
}
