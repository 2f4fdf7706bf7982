package generate_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/internal/ktest"
	"github.com/seed-512d3d71/weft/nn"
	"github.com/seed-512d3d71/weft/task/generate"
	"github.com/seed-512d3d71/weft/tensor"
)

// scripted is a model whose logits are a function of the last token.
type scripted struct {
	nn.Model
	info   nn.DecoderInfo
	logits func(last int32) []float32
	steps  int
	onStep func(n int) error
}

func (m *scripted) DecoderInfo() nn.DecoderInfo { return m.info }
func (m *scripted) NewDecoder() nn.Decoder      { return &scriptedDecoder{m: m} }

type scriptedDecoder struct {
	m    *scripted
	last []int32
}

func (d *scriptedDecoder) Prefill(_ context.Context, p nn.Prompt) (tensor.Tensor, error) {
	d.last = nil
	for _, ids := range p.IDs {
		d.last = append(d.last, ids[len(ids)-1])
	}
	return d.out()
}

func (d *scriptedDecoder) Step(ctx context.Context, ids []int32) (tensor.Tensor, error) {
	d.m.steps++
	if d.m.onStep != nil {
		if err := d.m.onStep(d.m.steps); err != nil {
			return tensor.Tensor{}, err
		}
	}
	if err := ctx.Err(); err != nil {
		return tensor.Tensor{}, err
	}
	d.last = slices.Clone(ids)
	return d.out()
}

func (d *scriptedDecoder) Reorder(from []int32) {
	old := d.last
	d.last = nil
	for _, s := range from {
		d.last = append(d.last, old[s])
	}
}

func (d *scriptedDecoder) out() (tensor.Tensor, error) {
	var rows []float32
	for _, id := range d.last {
		rows = append(rows, d.m.logits(id)...)
	}
	return tensor.FromF32(rows, len(d.last), len(rows)/len(d.last)), nil
}

// counting says that after n comes n+1.
func counting(vocab int) *scripted {
	return &scripted{info: nn.DecoderInfo{VocabSize: vocab, MaxPositions: 64}, logits: func(last int32) []float32 {
		row := make([]float32, vocab)
		row[(int(last)+1)%vocab] = 5
		return row
	}}
}

func settings(pairs ...string) map[string]json.RawMessage {
	set := map[string]json.RawMessage{}
	for i := 0; i < len(pairs); i += 2 {
		set[pairs[i]] = json.RawMessage(pairs[i+1])
	}
	return set
}

func empty(tb testing.TB) *hfconfig.Config {
	tb.Helper()
	c, err := hfconfig.Parse([]byte("{}"))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestGreedy(t *testing.T) {
	m := counting(10)
	g := generator(t, m, empty(t), settings("max_new_tokens", "4", "eos_token_id", "[7]", "pad_token_id", "9"))
	g.LogProbs = true
	r, err := g.Generate(t.Context(), nn.Inputs{"input_ids": grid([][]int64{{1, 2}, {5, 6}, {0, 5}})})
	if err != nil {
		t.Fatal(err)
	}
	want := [][]int{{1, 2, 3, 4, 5, 6}, {5, 6, 7, 9, 9, 9}, {0, 5, 6, 7, 9, 9}}
	if !slices.EqualFunc(r.Sequences, want, slices.Equal) || !slices.Equal(r.Lengths, []int{6, 3, 4}) || r.Prompt != 2 {
		t.Error(r)
	}
	p := float32(5 - math.Log(math.Exp(5)+9))
	for _, row := range r.LogProbs {
		for _, v := range row {
			if math.Abs(float64(v-p)) > 1e-6 {
				t.Errorf("log-probability %v, want %v", v, p)
			}
		}
	}
	if len(r.LogProbs[1]) != 1 || m.steps != 3 {
		t.Error(r.LogProbs, m.steps)
	}
}

// TestCancel: a call that is cut off returns what it had.
func TestCancel(t *testing.T) {
	for _, beams := range []string{"1", "3"} {
		ctx, cancel := context.WithCancel(t.Context())
		m := counting(40)
		m.onStep = func(n int) error {
			if n == 5 {
				cancel()
			}
			return nil
		}
		g := generator(t, m, empty(t), settings("max_new_tokens", "20", "num_beams", beams))
		r, err := g.Generate(ctx, nn.Inputs{"input_ids": grid([][]int64{{1}})})
		if !errors.Is(err, context.Canceled) || r == nil || !slices.Equal(r.Sequences[0], []int{1, 2, 3, 4, 5, 6}) {
			t.Errorf("%s beams: %v, %v", beams, r, err)
		}
	}
}

// TestFails: an error of the model leaves no result.
func TestFails(t *testing.T) {
	for _, beams := range []string{"1", "3"} {
		m := counting(40)
		m.onStep = func(int) error { return nn.ErrNotFinite }
		g := generator(t, m, empty(t), settings("max_new_tokens", "20", "num_beams", beams))
		if r, err := g.Generate(t.Context(), nn.Inputs{"input_ids": grid([][]int64{{1}})}); !errors.Is(err, nn.ErrNotFinite) || r != nil {
			t.Errorf("%s beams: %v, %v", beams, r, err)
		}
	}
}

func TestStream(t *testing.T) {
	for _, beams := range []string{"1", "2"} {
		g := generator(t, counting(40), empty(t), settings("max_new_tokens", "3", "num_beams", beams))
		var got []int
		for token, err := range g.Stream(t.Context(), nn.Inputs{"input_ids": grid([][]int64{{1}})}) {
			if err != nil || token.Last != (len(got) == 2) {
				t.Fatal(token, err)
			}
			got = append(got, token.ID)
		}
		if !slices.Equal(got, []int{2, 3, 4}) {
			t.Error(got)
		}
		n := 0
		for range g.Stream(t.Context(), nn.Inputs{"input_ids": grid([][]int64{{1}, {2}})}) {
			if n++; n == 2 {
				break
			}
		}
		failed := false
		for _, err := range g.Stream(t.Context(), nn.Inputs{}) {
			failed = failed || errors.Is(err, nn.ErrInput)
		}
		if !failed {
			t.Error("no error of a stream without a prompt")
		}
	}
}

// TestSampling: the frequencies are the probabilities, and a seed's ids do not
// depend on what else is in the batch.
func TestSampling(t *testing.T) {
	logits := []float32{0, 1, 2, -1, float32(math.Inf(-1)), 0.5}
	m := &scripted{info: nn.DecoderInfo{VocabSize: len(logits)}, logits: func(int32) []float32 { return slices.Clone(logits) }}
	const n = 4000
	g := generator(t, m, empty(t), settings("max_new_tokens", "4000", "do_sample", "true", "top_k", "0", "temperature", "0.8", "seed", "7", "num_return_sequences", "2"))
	in := nn.Inputs{"input_ids": grid([][]int64{{1}})}
	r, err := g.Generate(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v) / 0.8)
	}
	for _, ids := range r.Sequences {
		count := make([]int, len(logits))
		for _, id := range ids[1:] {
			count[id]++
		}
		for id, v := range logits {
			p := math.Exp(float64(v)/0.8) / sum
			if math.Abs(float64(count[id])/n-p) > 4*math.Sqrt(p/n) {
				t.Errorf("token %d: %d of %d, want a share of %.3f", id, count[id], n, p)
			}
		}
	}
	if slices.Equal(r.Sequences[0], r.Sequences[1]) {
		t.Error("two sequences drew the same")
	}
	g.Config.NumReturnSequences = 1
	again, err := g.Generate(t.Context(), in)
	if err != nil || !slices.Equal(again.Sequences[0], r.Sequences[0]) {
		t.Error("the same seed drew other ids", err)
	}
}

// TestRefused: what is wrong or missing is named.
func TestRefused(t *testing.T) {
	prompt := nn.Inputs{"input_ids": grid([][]int64{{1, 2, 3}})}
	with := func(name string, x tensor.Tensor) nn.Inputs {
		return nn.Inputs{"input_ids": prompt["input_ids"], name: x}
	}
	for _, c := range []struct {
		name string
		set  map[string]json.RawMessage
		in   nn.Inputs
		want error
	}{
		{"max_tokens", settings("max_tokens", "3"), prompt, nn.ErrInput},
		{"max_new_tokens", settings("max_new_tokens", "0"), prompt, nn.ErrInput},
		{"max_new_tokens", settings("max_new_tokens", "63"), prompt, nn.ErrInput}, // 64 positions
		{"max_new_tokens", settings("max_new_tokens", `"many"`), prompt, nn.ErrInput},
		{"max_length", settings("max_length", "3"), prompt, nn.ErrInput},
		{"num_beams", settings("num_beams", "0"), prompt, nn.ErrInput},
		{"num_return_sequences", settings("num_beams", "2", "num_return_sequences", "3"), prompt, nn.ErrInput},
		{"num_return_sequences", settings("num_return_sequences", "2"), prompt, nn.ErrInput},
		{"temperature", settings("do_sample", "true", "temperature", "0"), prompt, nn.ErrInput},
		{"repetition_penalty", settings("repetition_penalty", "-1"), prompt, nn.ErrInput},
		{"early_stopping", settings("early_stopping", `"soon"`), prompt, nn.ErrInput},
		{"bad_words_ids", settings("bad_words_ids", "[[1],[400]]"), prompt, nn.ErrInput},
		{"bad_words_ids", settings("bad_words_ids", "[[]]"), prompt, nn.ErrInput},
		{"bad_words_ids", settings("bad_words_ids", "[3]"), prompt, nn.ErrInput},
		{"sequence_bias", settings("sequence_bias", "[[3, 1.5]]"), prompt, nn.ErrInput},
		{"forced_bos_token_id", settings("forced_bos_token_id", "10"), prompt, nn.ErrInput},
		{"forced_eos_token_id", settings("forced_eos_token_id", "[3]", "suppress_tokens", "[3]"), prompt, nn.ErrInput},
		{"stop_strings", settings("stop_strings", `["x"]`), prompt, nn.ErrInput},
		{"num_beam_groups", settings("num_beam_groups", "2", "num_beams", "4"), prompt, nn.ErrUnsupported},
		{"penalty_alpha", settings("penalty_alpha", "0.6", "top_k", "4"), prompt, nn.ErrUnsupported},
		{"guidance_scale", settings("guidance_scale", "1.5"), prompt, nn.ErrUnsupported},
		{"do_sample with num_beams", settings("num_beams", "2", "do_sample", "true"), prompt, nn.ErrUnsupported},
		{"input_ids", nil, nn.Inputs{}, nn.ErrInput},
		{"input_ids", nil, nn.Inputs{"input_ids": grid([][]int64{{1, 12}})}, nn.ErrInput},
		{"empty", nil, nn.Inputs{"input_ids": tensor.FromI64(nil, 1, 0)}, nn.ErrInput},
		{"empty", nil, with("attention_mask", grid([][]int64{{0, 0, 0}})), nn.ErrInput},
		{"padded on the right", nil, with("attention_mask", grid([][]int64{{1, 1, 0}})), nn.ErrInput},
		{"attention_mask", nil, with("attention_mask", grid([][]int64{{1, 1}})), nn.ErrInput},
		{"pixel_values", nil, with("pixel_values", grid([][]int64{{1, 1}})), nn.ErrInput},
		{"inputs_embeds", nil, with("inputs_embeds", grid([][]int64{{1, 1}})), nn.ErrUnsupported},
		{"inputs_embeds", nil, nn.Inputs{"inputs_embeds": grid([][]int64{{1, 1}})}, nn.ErrInput},
		{"empty", nil, nn.Inputs{"inputs_embeds": tensor.FromF32(nil, 1, 0, 4)}, nn.ErrInput},
		{"on the left", nil, nn.Inputs{"inputs_embeds": tensor.FromF32(make([]float32, 8), 1, 2, 4), "attention_mask": grid([][]int64{{1, 0}})}, nn.ErrInput},
		{"on the left", nil, nn.Inputs{"inputs_embeds": tensor.FromF32(make([]float32, 8), 1, 2, 4), "attention_mask": grid([][]int64{{0, 0}})}, nn.ErrInput},
	} {
		err := func() error {
			config, err := generate.ParseConfig(empty(t), c.set)
			if err != nil {
				return err
			}
			g := &generate.Generator{Model: counting(10), Config: config}
			_, err = g.Generate(t.Context(), c.in)
			return err
		}()
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.name) {
			t.Errorf("%s %s: %v", c.name, c.set, err)
		}
	}
	long := make([]int64, 65)
	g := generator(t, counting(10), empty(t), nil)
	if _, err := g.Generate(t.Context(), nn.Inputs{"input_ids": grid([][]int64{long})}); !errors.Is(err, nn.ErrInput) || !strings.Contains(err.Error(), "64 positions") {
		t.Error(err)
	}
}

// TestParseConfig: overrides come before the file, the file before defaults,
// and a null switches off.
func TestParseConfig(t *testing.T) {
	file, err := hfconfig.Parse([]byte(`{"eos_token_id": [3, 4], "top_k": 7, "temperature": 0.5, "max_length": 99, "length_penalty": null, "vocab_size": 5, "use_cache": false}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := generate.ParseConfig(file, settings("eos_token_id", "null", "temperature", "0.9", "early_stopping", `"never"`, "top_p", "0.5", "use_cache", "true"))
	if err != nil {
		t.Fatal(err)
	}
	if c.EOSTokenID != nil || c.TopK != 7 || c.Temperature != 0.9 || c.MaxLength != 99 || c.LengthPenalty != 1 ||
		c.EarlyStopping != generate.StopNever || c.TopP != 0.5 || c.PadTokenID != -1 {
		t.Errorf("%+v", c)
	}
	nested, err := hfconfig.Parse([]byte(`{"eos_token_id": 3, "decoder": {"eos_token_id": 5, "pad_token_id": 6}}`))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := generate.ParseConfig(nested, nil); err != nil || !slices.Equal(c.EOSTokenID, []int{3}) || c.PadTokenID != 6 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, _ := generate.ParseConfig(file, settings("top_k", "null")); c.TopK != 0 || !slices.Equal(c.EOSTokenID, []int{3, 4}) {
		t.Errorf("%+v", c)
	}
}

// TestAllocations: greedy search allocates nothing a token.
func TestAllocations(t *testing.T) {
	m, c, _ := load(t, "gpt2.lm", 1)
	in := nn.Inputs{"input_ids": grid([][]int64{{1, 2, 3}, {4, 5, 6}})}
	run := func(tokens string) float64 {
		g := generator(t, m, c, settings("eos_token_id", "null", "pad_token_id", "0", "max_new_tokens", tokens, "repetition_penalty", "1.1"))
		return testing.AllocsPerRun(5, func() {
			if _, err := g.Generate(t.Context(), in); err != nil {
				t.Fatal(err)
			}
		})
	}
	run("60")
	if few, many := run("12"), run("60"); many > few+4 && !ktest.Race { // the cache's own growth
		t.Errorf("%v allocations for 12 tokens, %v for 60", few, many)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"eos_token_id":[1,2],"num_beams":3,"early_stopping":"never","bad_words_ids":[[1,2],[3]]}`))
	f.Add([]byte(`{"sequence_bias":[[[1],2.5]],"exponential_decay_length_penalty":[3,1.5],"max_time":1e300,"seed":-1}`))
	f.Add([]byte(`{"temperature":NaN,"top_k":-Infinity,"stop_strings":"x","do_sample":true,"typical_p":1e-9}`))
	f.Add([]byte(`{"suppress_tokens":[-1,99],"forced_eos_token_id":3,"do_sample":true,"top_p":0.1,"min_p":1,"top_h":0.5,"eta_cutoff":0.1}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		file, err := hfconfig.Parse(b)
		if err != nil {
			return
		}
		c, err := generate.ParseConfig(file, nil)
		if err != nil {
			return
		}
		c.MaxNewTokens, c.NumBeams, c.NumReturnSequences = 3, min(c.NumBeams, 4), 1
		g := &generate.Generator{Model: counting(10), Config: c}
		r, err := g.Generate(context.Background(), nn.Inputs{"input_ids": grid([][]int64{{1, 2}, {3, 4}})})
		if err == nil && len(r.Sequences) != 2 {
			t.Errorf("%d sequences", len(r.Sequences))
		}
	})
}
