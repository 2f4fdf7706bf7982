package audio

import (
	"errors"
	"fmt"
	"math"
)

// Extractor is a Hugging Face feature extractor. It is safe for concurrent use.
type Extractor struct {
	class string
	name  string // of the model input
	rate  int    // Hz
	front front
}

// front computes the features of one sound at the extractor's rate.
type front interface {
	// features returns a tensor without the batch dimension.
	features(x []float32) (data []float32, shape []int, err error)
}

// masker is a front that returns an attention mask whatever the batch.
type masker interface {
	// mask is of a sound of so many samples that features takes; nil if the
	// configuration wants none.
	mask(samples int) []int64
}

// batcher is a front whose features depend on the batch.
type batcher interface {
	batch(sounds [][]float32) (data []float32, shape []int, mask []int64, err error)
}

// classes are the feature extractors and what their inputs are called.
var classes = map[string]struct {
	input string
	parse func(*config) front
}{
	"Wav2Vec2FeatureExtractor":    {"input_values", parseWav2Vec2},
	"WhisperFeatureExtractor":     {"input_features", parseWhisper},
	"ASTFeatureExtractor":         {"input_values", parseAST},
	"Speech2TextFeatureExtractor": {"input_features", parseSpeech2Text},
	"SeamlessM4TFeatureExtractor": {"input_features", parseSeamlessM4T},
}

// modelClasses are the classes that AutoFeatureExtractor takes by model_type
// when no file names one.
var modelClasses = map[string]string{
	"audio-spectrogram-transformer": "ASTFeatureExtractor",
	"audioflamingo3":                "WhisperFeatureExtractor",
	"data2vec-audio":                "Wav2Vec2FeatureExtractor",
	"glmasr":                        "WhisperFeatureExtractor",
	"hubert":                        "Wav2Vec2FeatureExtractor",
	"moonshine":                     "Wav2Vec2FeatureExtractor",
	"qwen2_5_omni":                  "WhisperFeatureExtractor",
	"qwen2_audio":                   "WhisperFeatureExtractor",
	"qwen3_omni_moe":                "WhisperFeatureExtractor",
	"seamless_m4t":                  "SeamlessM4TFeatureExtractor",
	"seamless_m4t_v2":               "SeamlessM4TFeatureExtractor",
	"sew":                           "Wav2Vec2FeatureExtractor",
	"sew-d":                         "Wav2Vec2FeatureExtractor",
	"speech_to_text":                "Speech2TextFeatureExtractor",
	"unispeech":                     "Wav2Vec2FeatureExtractor",
	"unispeech-sat":                 "Wav2Vec2FeatureExtractor",
	"voxtral":                       "WhisperFeatureExtractor",
	"wav2vec2":                      "Wav2Vec2FeatureExtractor",
	"wav2vec2-bert":                 "Wav2Vec2FeatureExtractor",
	"wav2vec2-conformer":            "Wav2Vec2FeatureExtractor",
	"wavlm":                         "Wav2Vec2FeatureExtractor",
	"whisper":                       "WhisperFeatureExtractor",
}

// ParseExtractor reads preprocessor_config.json, or a processor_config.json that
// holds one under "feature_extractor", and the model's config.json, which may be
// nil. The class is feature_extractor_type of the first, else of the second,
// else that of the second's model_type; keys that are absent have the class's
// defaults. Returns [ErrUnsupported] for a class or an option that this package
// lacks.
func ParseExtractor(preprocessorConfig, modelConfig []byte) (*Extractor, error) {
	c, err := parseConfig(preprocessorConfig)
	if err != nil {
		return nil, fmt.Errorf("audio: preprocessor_config.json: %w", err)
	}
	for _, key := range []string{"feature_extractor", "audio_processor"} {
		if s := c.sub(key); s != nil {
			c = s
			break
		}
	}
	class := c.str("feature_extractor_type", "")
	if class == "" && c.err == nil {
		model := &config{}
		if len(modelConfig) > 0 {
			if model, err = parseConfig(modelConfig); err != nil {
				return nil, fmt.Errorf("audio: config.json: %w", err)
			}
		}
		class = model.str("feature_extractor_type", "")
		if kind := model.str("model_type", ""); class == "" && kind != "" {
			if class = modelClasses[kind]; class == "" {
				return nil, fmt.Errorf("audio: %w: no feature_extractor_type is given, and none is known for model type %q", ErrUnsupported, kind)
			}
		}
		if model.err != nil {
			return nil, fmt.Errorf("audio: config.json: %w", model.err)
		}
		if class == "" {
			return nil, errors.New("audio: preprocessor_config.json: no feature_extractor_type")
		}
	}
	known, ok := classes[class]
	if !ok && c.err == nil {
		return nil, fmt.Errorf("audio: %w: feature extractor %s", ErrUnsupported, class)
	}
	x := &Extractor{class: class, name: known.input, rate: c.int("sampling_rate", 16000, 1, math.MaxInt32)}
	if c.err == nil {
		x.front = known.parse(c)
	}
	if c.err != nil {
		return nil, fmt.Errorf("audio: preprocessor_config.json: %w", c.err)
	}
	return x, nil
}

// Class returns the name of the Hugging Face class.
func (x *Extractor) Class() string { return x.class }

// SamplingRate returns the rate in Hz that the model takes, to which
// [Extractor.Process] resamples.
func (x *Extractor) SamplingRate() int { return x.rate }

// Process turns a sound into the model's input: mixed to mono, resampled, then
// what the class does.
//
//	Wav2Vec2FeatureExtractor     input_values    [1, samples]
//	WhisperFeatureExtractor      input_features  [1, feature_size, frames]
//	ASTFeatureExtractor          input_values    [1, max_length, num_mel_bins]
//	Speech2TextFeatureExtractor  input_features  [1, frames, num_mel_bins]
//	SeamlessM4TFeatureExtractor  input_features  [1, frames/stride, num_mel_bins·stride]
//
// A sound without samples, with a sample that is not finite, or shorter than the
// first window of a class that does not pad it is an error.
func (x *Extractor) Process(c *Clip) (name string, data []float32, shape []int, err error) {
	samples, err := x.prepare(c)
	if err != nil {
		return "", nil, nil, err
	}
	data, shape, err = x.front.features(samples)
	if err != nil {
		return "", nil, nil, fmt.Errorf("audio: %s: %w", x.class, err)
	}
	return x.name, data, append([]int{1}, shape...), nil
}

// Batch is the input that [Extractor.ProcessBatch] makes.
type Batch struct {
	Name  string // of the model input
	Data  []float32
	Shape []int // the first dimension counts the sounds
	// Mask is attention_mask, a row a sound, or nil if the class and its
	// configuration return none. Rows count what Hugging Face counts: samples
	// of Wav2Vec2, samples (not frames) of Whisper's chunk, frames of
	// Speech2Text, and every stride-th frame of SeamlessM4T.
	Mask []int64
}

// ProcessBatch is [Extractor.Process] for several sounds as one batch, padded to
// the longest as Hugging Face does with padding=True. Classes whose features
// have one length each need no padding; sounds of different length are
// [ErrUnsupported] for Speech2Text and SeamlessM4T.
func (x *Extractor) ProcessBatch(clips ...*Clip) (*Batch, error) {
	if len(clips) == 0 {
		return nil, errors.New("audio: no clips")
	}
	sounds := make([][]float32, len(clips))
	for i, c := range clips {
		var err error
		if sounds[i], err = x.prepare(c); err != nil {
			return nil, fmt.Errorf("clip %d: %w", i, err)
		}
	}
	b := &Batch{Name: x.name}
	var err error
	if f, ok := x.front.(batcher); ok {
		b.Data, b.Shape, b.Mask, err = f.batch(sounds)
	} else {
		b.Data, b.Shape, b.Mask, err = x.stack(sounds)
	}
	if err != nil {
		return nil, fmt.Errorf("audio: %s: %w", x.class, err)
	}
	return b, nil
}

// stack puts features of equal length side by side.
func (x *Extractor) stack(sounds [][]float32) (all []float32, shape []int, mask []int64, err error) {
	m, masked := x.front.(masker)
	for i, s := range sounds {
		data, sh, err := x.front.features(s)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("clip %d: %w", i, err)
		}
		if i > 0 && len(data) != len(all)/i {
			return nil, nil, nil, fmt.Errorf("%w: batches of different length", ErrUnsupported)
		}
		all, shape = append(all, data...), append([]int{len(sounds)}, sh...)
		if masked {
			mask = append(mask, m.mask(len(s))...)
		}
	}
	return all, shape, mask, nil
}

// prepare returns the sound as one channel at the extractor's rate.
func (x *Extractor) prepare(c *Clip) ([]float32, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if len(c.Samples) == 0 {
		return nil, errors.New("audio: no samples")
	}
	for i, v := range c.Samples {
		if v-v != 0 {
			return nil, fmt.Errorf("audio: sample %d is %v", i, v)
		}
	}
	return Resample(c.Mono(), c.Rate, x.rate)
}
