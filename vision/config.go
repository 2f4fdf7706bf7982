package vision

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// options is what preprocessor_config.json says, over the defaults of its class.
// The comments give the keys.
type options struct {
	resize        bool     // do_resize
	size          *size    // size
	resample      *Filter  // resample
	centerCrop    bool     // do_center_crop
	cropSize      *size    // crop_size
	rescale       bool     // do_rescale
	rescaleFactor *float64 // rescale_factor
	normalize     bool     // do_normalize
	mean, std     []float64
	pad           bool     // do_pad
	padSize       *size    // pad_size
	cropPct       *float64 // crop_pct
	sizeDivisor   *int     // size_divisor
	rescaleOffset bool     // rescale_offset
	includeTop    bool     // include_top
	multiple      int      // ensure_multiple_of
	keepAspect    bool     // keep_aspect_ratio
	flip          bool     // do_flip_channel_order
	convertRGB    bool     // do_convert_rgb
}

// size is a size dictionary; 0 is an absent key.
type size struct {
	height, width, shortestEdge, longestEdge, maxHeight, maxWidth, minPixels, maxPixels int
}

// fields lists the size dictionary's keys.
func (s *size) fields() map[string]*int {
	return map[string]*int{
		"height": &s.height, "width": &s.width,
		"shortest_edge": &s.shortestEdge, "longest_edge": &s.longestEdge,
		"max_height": &s.maxHeight, "max_width": &s.maxWidth,
		"min_pixels": &s.minPixels, "max_pixels": &s.maxPixels,
	}
}

// shortestEdge is size's shortest_edge, 0 when it has none.
func (p *options) shortestEdge() int {
	if p.size == nil {
		return 0
	}
	return p.size.shortestEdge
}

// sizeKeys are the sets of keys that a size dictionary may have.
var sizeKeys = [][]string{
	{"height", "width"}, {"shortest_edge"}, {"longest_edge", "shortest_edge"}, {"longest_edge"},
	{"max_height", "max_width"}, {"max_pixels", "min_pixels"},
}

// maxEdge bounds every length in a configuration.
const maxEdge = 1 << 24

const maxConfig = 1 << 20 // bytes of a configuration file

// object is a JSON object whose values are read as they are wanted.
type object map[string]json.RawMessage

func parseObject(b []byte) (object, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLarge, len(b), maxConfig)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	var o object
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	if o == nil {
		return nil, errors.New("not an object")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("text after the object")
	}
	return o, nil
}

// optionReader reads keys into fields. A key that is absent leaves the
// field; null clears it, as in Transformers. The first error sticks.
type optionReader struct {
	o   object
	err error
}

func (r *optionReader) fail(key string, err error) {
	if r.err == nil {
		r.err = fmt.Errorf("%s: %w", key, err)
	}
}

// value is the text of a key's value; ok is false when it is absent.
func (r *optionReader) value(key string) (raw json.RawMessage, null, ok bool) {
	raw, ok = r.o[key]
	return raw, ok && string(raw) == "null", ok
}

func (r *optionReader) boolean(key string, p *bool) {
	raw, null, ok := r.value(key)
	if !ok {
		return
	}
	switch s := string(raw); {
	case null || s == "false" || s == "0":
		*p = false
	case s == "true" || s == "1":
		*p = true
	default:
		r.fail(key, fmt.Errorf("%s, want true or false", raw))
	}
}

func (r *optionReader) number(key string, p **float64) {
	raw, null, ok := r.value(key)
	if !ok {
		return
	}
	if *p = nil; null {
		return
	}
	v, err := number(raw)
	if err != nil {
		r.fail(key, err)
	}
	*p = &v
}

func number(raw json.RawMessage) (float64, error) {
	var v float64
	if err := json.Unmarshal(raw, &v); err != nil {
		return 0, fmt.Errorf("%s, want a number", clip(raw))
	}
	return v, nil
}

// clip shortens a value for an error message.
func clip(raw json.RawMessage) string {
	if len(raw) > 60 {
		return string(raw[:60]) + "…"
	}
	return string(raw)
}

// length reads a positive number of pixels.
func length(raw json.RawMessage) (int, error) {
	v, err := number(raw)
	if err != nil {
		return 0, err
	}
	if v != math.Trunc(v) || v < 1 || v > maxEdge {
		return 0, fmt.Errorf("%s, want an integer from 1 to %d", clip(raw), maxEdge)
	}
	return int(v), nil
}

// length reads a positive number of pixels; nil when it is absent or null.
func (r *optionReader) length(key string) *int {
	raw, null, ok := r.value(key)
	if !ok || null {
		return nil
	}
	n, err := length(raw)
	if err != nil {
		r.fail(key, err)
	}
	return &n
}

// filter reads a resampling filter's number.
func (r *optionReader) filter(key string, p **Filter) {
	_, _, ok := r.value(key)
	if !ok {
		return
	}
	*p = nil
	var v *float64
	if r.number(key, &v); v == nil {
		return
	}
	if *v != math.Trunc(*v) || *v < 0 || *v > float64(MKS2021) {
		r.fail(key, fmt.Errorf("%w filter %v", ErrUnsupported, *v))
		return
	}
	*p = ptr(Filter(*v))
}

// stats reads image_mean or image_std: a list of numbers, or one for all channels.
func (r *optionReader) stats(key string, p *[]float64) {
	raw, null, ok := r.value(key)
	if !ok {
		return
	}
	if *p = nil; null {
		return
	}
	if v, err := number(raw); err == nil {
		*p = []float64{v, v, v}
		return
	}
	var v []float64
	if err := json.Unmarshal(raw, &v); err != nil {
		r.fail(key, fmt.Errorf("%s, want a number or a list of numbers", clip(raw)))
		return
	}
	*p = v
}

// size reads a size: a dictionary, a [height, width] list, or an integer,
// which is a square or the shortest edge (get_size_dict).
func (r *optionReader) size(key string, square bool, p **size) {
	raw, null, ok := r.value(key)
	if !ok {
		return
	}
	if *p = nil; null {
		return
	}
	s, err := parseSize(raw, square)
	if err != nil {
		r.fail(key, err)
		return
	}
	*p = s
}

func parseSize(raw json.RawMessage, square bool) (*size, error) {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) == nil {
		if len(list) < 2 {
			return nil, fmt.Errorf("%s, want [height, width]", clip(raw))
		}
		h, err := length(list[0])
		if err != nil {
			return nil, err
		}
		w, err := length(list[1])
		return &size{height: h, width: w}, err
	}
	var dict map[string]json.RawMessage
	if json.Unmarshal(raw, &dict) != nil {
		n, err := length(raw)
		if err != nil {
			return nil, err
		}
		if square {
			return hw(n), nil
		}
		return shortest(n), nil
	}
	s := &size{}
	fields := s.fields()
	keys := make([]string, 0, len(dict))
	for k, v := range dict {
		keys = append(keys, k)
		if fields[k] == nil {
			continue
		}
		n, err := length(v)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		*fields[k] = n
	}
	slices.Sort(keys)
	for _, want := range sizeKeys {
		if slices.Equal(keys, want) {
			return s, nil
		}
	}
	return nil, fmt.Errorf("keys %q, want one of %q", keys, sizeKeys)
}

// ParseProcessor reads preprocessor_config.json, and config.json (nil: none)
// for the class when the former does not name it. Keys that are absent have
// the defaults of the class; keys that the class does not know are ignored, as
// Transformers does. A class that is not implemented is [ErrUnsupported].
func ParseProcessor(preprocessorConfig, modelConfig []byte) (*Processor, error) {
	o, err := parseObject(preprocessorConfig)
	if err != nil {
		return nil, fmt.Errorf("vision: preprocessor config: %w", err)
	}
	c, err := findClass(o, modelConfig)
	if err != nil {
		return nil, fmt.Errorf("vision: %w", err)
	}
	p := &Processor{class: c, opt: c.options}
	if err := p.opt.read(o, c); err != nil {
		return nil, fmt.Errorf("vision: preprocessor config: %s: %w", c.name, err)
	}
	return p, nil
}

// findClass follows AutoImageProcessor.from_pretrained.
func findClass(o object, modelConfig []byte) (*class, error) {
	text := func(o object, key string) (string, error) {
		raw, ok := o[key]
		if !ok || string(raw) == "null" {
			return "", nil
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return "", fmt.Errorf("%s: %s, want a string", key, clip(raw))
		}
		return s, nil
	}
	for _, key := range []string{"image_processor_type", "feature_extractor_type"} {
		name, err := text(o, key)
		if err != nil {
			return nil, fmt.Errorf("preprocessor config: %w", err)
		}
		if name != "" {
			if c := classOf(name); c != nil {
				return c, nil
			}
			return nil, fmt.Errorf("%w image processor %q", ErrUnsupported, name)
		}
	}
	if modelConfig == nil {
		return nil, errors.New("preprocessor config: no image_processor_type, and no model config to tell it by")
	}
	m, err := parseObject(modelConfig)
	if err != nil {
		return nil, fmt.Errorf("model config: %w", err)
	}
	name, err := text(m, "image_processor_type")
	if err != nil {
		return nil, fmt.Errorf("model config: %w", err)
	}
	if name == "" {
		kind, err := text(m, "model_type")
		if err != nil {
			return nil, fmt.Errorf("model config: %w", err)
		}
		if name = modelClass[kind]; name == "" {
			return nil, fmt.Errorf("%w: image processor of model type %q", ErrUnsupported, kind)
		}
	}
	if c := classOf(name); c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("%w image processor %q", ErrUnsupported, name)
}

// read takes the options of o that class c knows.
func (p *options) read(o object, c *class) error {
	r := &optionReader{o: o}
	square := c.square
	r.boolean("default_to_square", &square)
	r.boolean("do_resize", &p.resize)
	if c.oldMaxSize {
		p.readMaxSize(r)
	} else {
		r.size("size", square, &p.size)
	}
	if c.oldSize {
		r.size("image_size", true, &p.size)
	}
	r.boolean("do_center_crop", &p.centerCrop)
	r.size("crop_size", true, &p.cropSize)
	r.boolean("do_rescale", &p.rescale)
	if c.oldRescale {
		r.boolean("rescale", &p.rescale)
	}
	r.number("rescale_factor", &p.rescaleFactor)
	r.boolean("do_normalize", &p.normalize)
	r.stats("image_mean", &p.mean)
	r.stats("image_std", &p.std)
	if c.oldMaxSize {
		r.boolean("pad_and_return_pixel_mask", &p.pad)
	}
	r.boolean("do_pad", &p.pad)
	r.size("pad_size", true, &p.padSize)
	r.filter("resample", &p.resample)
	r.boolean("do_convert_rgb", &p.convertRGB)
	switch c.rule {
	case resizeCropPct, resizeScalePct:
		r.number("crop_pct", &p.cropPct)
		if v := p.cropPct; v != nil && !(*v > 0 && *v <= 1e6) {
			r.fail("crop_pct", fmt.Errorf("%v, want a positive number", *v))
		}
	case resizeMultiple:
		r.boolean("keep_aspect_ratio", &p.keepAspect)
		if n := r.length("ensure_multiple_of"); n != nil {
			p.multiple = *n
		}
		p.sizeDivisor = r.length("size_divisor")
	case resizeDivisible, resizeRoundUp, resizeRoundDown:
		if n := r.length("size_divisor"); n != nil {
			p.sizeDivisor = n
		}
	}
	if c.flip {
		r.boolean("do_flip_channel_order", &p.flip)
	}
	if c.topOptions {
		r.boolean("rescale_offset", &p.rescaleOffset)
		r.boolean("include_top", &p.includeTop)
	}
	var old bool
	if r.boolean("use_square_size", &old); old && c.name == "CLIPImageProcessor" {
		p.size = hw(c.options.size.shortestEdge) // Kosmos-2
	}
	if r.err != nil {
		return r.err
	}
	return p.validate(c)
}

// validate checks that the options fit together
// (validate_preprocess_arguments), and drops those that the class ignores.
func (p *options) validate(c *class) error {
	p.pad = p.pad && !c.noPad
	switch {
	case p.resize && p.size == nil && c.rule != resizeRoundDown:
		return errors.New("do_resize without size")
	case p.resize && p.resample == nil && c.rule != resizeRoundDown:
		return errors.New("do_resize without resample")
	case p.centerCrop && p.cropSize == nil:
		return errors.New("do_center_crop without crop_size")
	case c.cropEdge && p.centerCrop && p.cropSize.shortestEdge == 0:
		return errors.New("crop_size without shortest_edge")
	case p.centerCrop && p.cropSize.height == 0 && !c.noCrop && !c.cropEdge:
		return errors.New("crop_size without height and width")
	case c.cropFirst && p.centerCrop && (p.size == nil || p.size.height == 0):
		return errors.New("size without height and width")
	case p.rescale && p.rescaleFactor == nil:
		return errors.New("do_rescale without rescale_factor")
	case p.normalize && (p.mean == nil || p.std == nil):
		return errors.New("do_normalize without image_mean and image_std")
	case p.includeTop && p.std == nil:
		return errors.New("include_top without image_std")
	case p.pad && p.padSize != nil && p.padSize.height == 0:
		return errors.New("pad_size without height and width")
	}
	p.centerCrop = p.centerCrop && !c.noCrop
	p.normalize = p.normalize && !c.noNormalize
	if n := len(p.mean); p.normalize && n != 3 {
		return fmt.Errorf("image_mean: %d values, want 3", n)
	}
	if p.normalize || p.includeTop {
		if n := len(p.std); n != 3 {
			return fmt.Errorf("image_std: %d values, want 3", n)
		}
		for i, v := range p.std {
			if float32(v) == 0 {
				return fmt.Errorf("image_std[%d] is zero", i)
			}
		}
	}
	return p.checkResize(c)
}

// readMaxSize reads size where max_size may give the limit of the longest
// edge: to an integer size, which is the shortest edge.
func (p *options) readMaxSize(r *optionReader) {
	limit := ptr(1333)
	if _, _, ok := r.value("max_size"); ok {
		limit = r.length("max_size")
	}
	if _, null, _ := r.value("size"); null {
		return
	}
	r.size("size", false, &p.size)
	if raw := r.o["size"]; limit != nil && p.size != nil && len(raw) > 0 && raw[0] != '{' && p.size.shortestEdge != 0 {
		p.size.longestEdge = *limit
	}
}

// checkResize refuses sizes that the class cannot resize to.
func (p *options) checkResize(c *class) error {
	if !p.resize || c.rule == resizeRoundDown {
		return nil
	}
	s := p.size
	switch c.rule {
	case resizeCropPct, resizeDivisible, resizeRoundUp:
		if s.shortestEdge == 0 {
			return errors.New("size without shortest_edge")
		}
		if c.rule == resizeCropPct && p.cropPct == nil && s.shortestEdge < 384 {
			return errors.New("crop_pct is null")
		}
	case resizeMultiple:
		if s.height == 0 {
			return errors.New("size without height and width")
		}
	case resizeDetr, resizeYolos:
		if s.height == 0 && s.maxHeight == 0 && (s.shortestEdge == 0 || s.longestEdge == 0) {
			return errors.New("size has neither height and width, nor max_height and max_width, nor shortest_edge and longest_edge")
		}
	default:
		if s.shortestEdge == 0 && s.height == 0 && s.maxHeight == 0 {
			return errors.New("size has neither height and width, nor max_height and max_width, nor shortest_edge")
		}
		if c.rule != resizeSize && s.maxHeight != 0 && (c.rule == resizeLevit || p.cropPct != nil) {
			return errors.New("size has neither height and width nor shortest_edge")
		}
	}
	return nil
}
