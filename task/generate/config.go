package generate

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// Config is what generation_config.json can say, under its names.
type Config struct {
	// Length. -1: not given.
	MaxLength, MaxNewTokens int
	MinLength, MinNewTokens int
	MaxTime                 time.Duration // 0: unbounded
	StopStrings             []string

	// Strategy.
	DoSample           bool
	NumBeams           int
	NumReturnSequences int
	LengthPenalty      float64
	EarlyStopping      EarlyStopping
	Seed               uint64

	// Changes to the scores, in the order in which they are applied.
	SequenceBias                  []Bias
	EncoderRepetitionPenalty      float64
	RepetitionPenalty             float64
	NoRepeatNGramSize             int
	EncoderNoRepeatNGramSize      int
	BadWordsIDs                   [][]int
	ForcedBOSTokenID              int   // -1: none
	ForcedEOSTokenID              []int // nil: none
	RemoveInvalidValues           bool
	ExponentialDecayLengthPenalty *Decay
	SuppressTokens                []int
	BeginSuppressTokens           []int
	RenormalizeLogits             bool

	// Changes to the scores that only sampling makes. 1, 0 or negative: none.
	Temperature   float64
	TopH          float64
	TopK          int
	TopP          float64
	MinP          float64
	TypicalP      float64
	EpsilonCutoff float64
	EtaCutoff     float64

	// Tokens. -1: none.
	BOSTokenID          int
	EOSTokenID          []int
	PadTokenID          int
	DecoderStartTokenID int
}

// EarlyStopping says when a beam search ends.
type EarlyStopping uint8

// The values of early_stopping: false, true and "never".
const (
	StopByHeuristic EarlyStopping = iota // when a better end is unlikely
	StopWhenFull                         // when there are num_beams ends
	StopNever                            // when there can be no better end
)

// Bias is added to the score of the last token of IDs where the others came
// before it.
type Bias struct {
	IDs   []int
	Value float32
}

// Decay raises the score of the end after Start new tokens, by powers of Factor.
type Decay struct {
	Start  int
	Factor float64
}

// supported are the keys that Config knows and ignored those that change
// nothing here; others that Hugging Face has are refused if they are set.
var (
	ignored = []string{
		"use_cache", "cache_implementation", "cache_config", "max_cache_len", "output_attentions", "output_hidden_states",
		"output_scores", "output_logits", "return_dict_in_generate", "compile_config", "disable_compile", "low_memory",
		"prefill_chunk_size", "transformers_version", "_from_model_config", "is_assistant", "num_assistant_tokens",
		"num_assistant_tokens_schedule", "assistant_confidence_threshold", "assistant_lookbehind", "target_lookbehind",
		"max_matching_ngram_size", "continuous_batching_config",
	}
	// refused maps a key to the value that switches it off.
	refused = map[string]any{
		"num_beam_groups": 1., "diversity_penalty": 0., "penalty_alpha": 0., "dola_layers": nil, "constraints": nil,
		"force_words_ids": nil, "guidance_scale": 1., "watermarking_config": nil, "token_healing": false,
		"prompt_lookup_num_tokens": nil, "assistant_early_exit": nil, "assistant_ensemble_weight": nil, "use_mtp": false,
		"speculation_type": nil,
	}
)

// ParseConfig reads the settings of a model: file is its generation_config.json
// or, if it has none, its config.json, where what is not set is looked for in
// the configuration of the decoder; set overrides single keys, null meaning
// none. A key that no version of Hugging Face knows is ignored in the file and
// an error in set.
func ParseConfig(file *hfconfig.Config, set map[string]json.RawMessage) (Config, error) {
	if set == nil {
		set = map[string]json.RawMessage{}
	}
	b, err := json.Marshal(set)
	if err != nil {
		return Config{}, nn.InputError("set", "%v", err)
	}
	over, err := hfconfig.Parse(b)
	if err != nil {
		return Config{}, nn.InputError("set", "%v", err)
	}
	f := &fields{file: file, over: over, known: map[string]bool{}}
	for _, part := range []string{"decoder", "generator", "text_config"} {
		if b := file.JSON(part); b[0] == '{' && string(b) != "{}" {
			f.decoder = file.Sub(part)
			break
		}
	}
	c := f.parse()
	if err := over.Err(); err != nil {
		return c, fmt.Errorf("%w: %w", nn.ErrInput, err)
	}
	if err := file.Err(); err != nil {
		return c, fmt.Errorf("generation_config.json: %w", err)
	}
	if err := f.refuse(); err != nil {
		return c, err
	}
	for _, k := range over.Keys() {
		if !f.known[k] && !slices.Contains(ignored, k) {
			return c, nn.InputError(k, "no setting of generation")
		}
	}
	return c, c.Check()
}

// fields looks a key up in the overrides, then in the file.
type fields struct {
	file, over *hfconfig.Config
	decoder    *hfconfig.Config // a part of file, or nil
	known      map[string]bool
}

// read returns the key's value: none if it is overridden by null, def if it is
// nowhere.
func read[T any](f *fields, key string, def, none T, get func(c *hfconfig.Config) T) T {
	f.known[key] = true
	switch {
	case f.over.Null(key):
		return none
	case f.over.Has(key):
		return get(f.over)
	case f.file.Has(key) && !f.file.Null(key):
		return get(f.file)
	case f.decoder != nil && f.decoder.Has(key) && !f.decoder.Null(key):
		return get(f.decoder)
	}
	return def
}

func (f *fields) float(key string, def, none float64) float64 {
	return read(f, key, def, none, func(c *hfconfig.Config) float64 { return c.Float(key, def) })
}

func (f *fields) int(key string, def, none int) int {
	return read(f, key, def, none, func(c *hfconfig.Config) int { return c.IntRange(key, def, -1<<31, 1<<31-1) })
}

func (f *fields) bool(key string) bool {
	return read(f, key, false, false, func(c *hfconfig.Config) bool { return c.Bool(key, false) })
}

// ids reads one integer or several.
func (f *fields) ids(key string) []int {
	return read(f, key, nil, nil, func(c *hfconfig.Config) []int {
		if list, ok := c.List(key); ok {
			return list
		}
		return []int{c.IntRange(key, 0, -1<<31, 1<<31-1)}
	})
}

func decode[T any](f *fields, key, want string) T {
	var zero T
	return read(f, key, zero, zero, func(c *hfconfig.Config) T {
		var v T
		if err := json.Unmarshal(c.JSON(key), &v); err != nil {
			c.Fail(key, "want %s", want)
		}
		return v
	})
}

func (f *fields) parse() Config {
	c := Config{
		MaxLength:    f.int("max_length", -1, -1),
		MaxNewTokens: f.int("max_new_tokens", -1, -1),
		MinLength:    f.int("min_length", 0, 0),
		MinNewTokens: f.int("min_new_tokens", -1, -1),
		MaxTime:      time.Duration(f.float("max_time", 0, 0) * float64(time.Second)),
		StopStrings:  read(f, "stop_strings", nil, nil, func(c *hfconfig.Config) []string { return c.Strs("stop_strings") }),

		DoSample:           f.bool("do_sample"),
		NumBeams:           f.int("num_beams", 1, 1),
		NumReturnSequences: f.int("num_return_sequences", 1, 1),
		LengthPenalty:      f.float("length_penalty", 1, 1),
		Seed:               uint64(f.int("seed", 0, 0)),

		EncoderRepetitionPenalty: f.float("encoder_repetition_penalty", 1, 1),
		RepetitionPenalty:        f.float("repetition_penalty", 1, 1),
		NoRepeatNGramSize:        f.int("no_repeat_ngram_size", 0, 0),
		EncoderNoRepeatNGramSize: f.int("encoder_no_repeat_ngram_size", 0, 0),
		BadWordsIDs:              decode[[][]int](f, "bad_words_ids", "lists of ids"),
		ForcedBOSTokenID:         f.int("forced_bos_token_id", -1, -1),
		ForcedEOSTokenID:         f.ids("forced_eos_token_id"),
		RemoveInvalidValues:      f.bool("remove_invalid_values"),
		SuppressTokens:           f.ids("suppress_tokens"),
		BeginSuppressTokens:      f.ids("begin_suppress_tokens"),
		RenormalizeLogits:        f.bool("renormalize_logits"),

		Temperature:   f.float("temperature", 1, 1),
		TopH:          f.float("top_h", 0, 0),
		TopK:          f.int("top_k", 50, 0),
		TopP:          f.float("top_p", 1, 1),
		MinP:          f.float("min_p", 0, 0),
		TypicalP:      f.float("typical_p", 1, 1),
		EpsilonCutoff: f.float("epsilon_cutoff", 0, 0),
		EtaCutoff:     f.float("eta_cutoff", 0, 0),

		BOSTokenID:          f.int("bos_token_id", -1, -1),
		EOSTokenID:          f.ids("eos_token_id"),
		PadTokenID:          f.int("pad_token_id", -1, -1),
		DecoderStartTokenID: f.int("decoder_start_token_id", -1, -1),
	}
	c.EarlyStopping = read(f, "early_stopping", StopByHeuristic, StopByHeuristic, earlyStopping)
	for _, pair := range decode[[][2]json.RawMessage](f, "sequence_bias", "pairs of a list of ids and a number") {
		var b Bias
		if json.Unmarshal(pair[0], &b.IDs) != nil || json.Unmarshal(pair[1], &b.Value) != nil {
			f.over.Fail("sequence_bias", "%s, %s: want a list of ids and a number", pair[0], pair[1])
		}
		c.SequenceBias = append(c.SequenceBias, b)
	}
	if d := decode[[]float64](f, "exponential_decay_length_penalty", "a start and a factor"); len(d) == 2 {
		c.ExponentialDecayLengthPenalty = &Decay{int(d[0]), d[1]}
	} else if d != nil {
		f.over.Fail("exponential_decay_length_penalty", "%v, want a start and a factor", d)
	}
	return c
}

func earlyStopping(c *hfconfig.Config) EarlyStopping {
	const key = "early_stopping"
	if string(c.JSON(key)) == `"never"` {
		return StopNever
	}
	if c.Bool(key, false) {
		return StopWhenFull
	}
	return StopByHeuristic
}

// refuse returns an error that names a key which asks for what this package
// lacks.
func (f *fields) refuse() error {
	for _, key := range sortedKeys(refused) {
		f.known[key] = true
		c := f.file
		if f.over.Has(key) {
			c = f.over
		}
		if !c.Has(key) || c.Null(key) {
			continue
		}
		var v any
		if err := json.Unmarshal(c.JSON(key), &v); err != nil || v != refused[key] {
			return nn.Unsupported("generation with %s", key)
		}
	}
	return nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Check returns an error that names the first setting out of range.
func (c *Config) Check() error {
	bad := func(key string, v any, want string) error { return nn.InputError(key, "%v, want %s", v, want) }
	switch {
	case c.MaxNewTokens == 0 || c.MaxNewTokens < -1:
		return bad("max_new_tokens", c.MaxNewTokens, "at least 1")
	case c.MaxLength == 0 || c.MaxLength < -1:
		return bad("max_length", c.MaxLength, "at least 1")
	case c.MinLength < 0:
		return bad("min_length", c.MinLength, "at least 0")
	case c.MinNewTokens < -1:
		return bad("min_new_tokens", c.MinNewTokens, "at least 0")
	case c.MaxTime < 0:
		return bad("max_time", c.MaxTime, "at least 0")
	case c.NumBeams < 1 || c.NumBeams > 1<<12:
		return bad("num_beams", c.NumBeams, "1 … 4096")
	case c.NumReturnSequences < 1 || c.NumReturnSequences > 1<<12:
		return bad("num_return_sequences", c.NumReturnSequences, "1 … 4096")
	case c.NumBeams > 1 && c.NumReturnSequences > c.NumBeams:
		return bad("num_return_sequences", c.NumReturnSequences, fmt.Sprintf("at most num_beams (%d)", c.NumBeams))
	case c.NumBeams == 1 && !c.DoSample && c.NumReturnSequences > 1:
		return bad("num_return_sequences", c.NumReturnSequences, "1 without sampling or beams")
	case c.NumBeams > 1 && c.DoSample:
		return nn.Unsupported("do_sample with num_beams %d", c.NumBeams)
	case !positive(c.RepetitionPenalty):
		return bad("repetition_penalty", c.RepetitionPenalty, "more than 0")
	case !positive(c.EncoderRepetitionPenalty):
		return bad("encoder_repetition_penalty", c.EncoderRepetitionPenalty, "more than 0")
	case c.NoRepeatNGramSize < 0:
		return bad("no_repeat_ngram_size", c.NoRepeatNGramSize, "at least 0")
	case c.EncoderNoRepeatNGramSize < 0:
		return bad("encoder_no_repeat_ngram_size", c.EncoderNoRepeatNGramSize, "at least 0")
	case math.IsNaN(c.LengthPenalty) || math.IsInf(c.LengthPenalty, 0):
		return bad("length_penalty", c.LengthPenalty, "a number")
	}
	for _, forced := range []struct {
		key string
		ids []int
	}{{"forced_bos_token_id", []int{c.ForcedBOSTokenID}}, {"forced_eos_token_id", c.ForcedEOSTokenID}} {
		free := func(id int) bool { return id < 0 || !slices.Contains(c.SuppressTokens, id) }
		if len(forced.ids) > 0 && !slices.ContainsFunc(forced.ids, free) {
			return bad(forced.key, forced.ids, "a token that suppress_tokens leaves possible")
		}
	}
	if !c.DoSample {
		return nil
	}
	switch {
	case !positive(c.Temperature):
		return bad("temperature", c.Temperature, "more than 0 (do_sample=false takes the best token)")
	case c.TopK < 0:
		return bad("top_k", c.TopK, "at least 0")
	case !(c.TopP >= 0):
		return bad("top_p", c.TopP, "0 … 1")
	case !(c.MinP >= 0 && c.MinP <= 1):
		return bad("min_p", c.MinP, "0 … 1")
	case !(c.TopH >= 0 && c.TopH <= 1):
		return bad("top_h", c.TopH, "0 … 1")
	case !positive(c.TypicalP):
		return bad("typical_p", c.TypicalP, "more than 0")
	}
	return nil
}

func positive(x float64) bool { return x > 0 && !math.IsInf(x, 1) }
