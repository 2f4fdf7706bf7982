// Package hfconfig reads the JSON of Hugging Face configuration files with
// checked, typed getters, so that a model's config.go reads as a flat list.
//
// Python writes these files, so NaN, Infinity and -Infinity are numbers here.
// The first error is kept: getters after it return their defaults.
package hfconfig

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
)

// Limits of a configuration file.
const (
	maxBytes = 16 << 20
	maxDepth = 64
)

// ErrFormat is the error of a file that is not a JSON object within the
// limits, or whose value has the wrong type or range.
var ErrFormat = errors.New("bad configuration")

// Config is one JSON object of a configuration file.
type Config struct {
	path string // of the object, for errors
	m    map[string]any
	err  *error // shared with the nested objects
}

// Parse reads a JSON object. Of a key given twice the last counts, as in
// Python.
func Parse(b []byte) (*Config, error) {
	if len(b) > maxBytes {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrFormat, len(b), maxBytes)
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	b, err := pythonLiterals(b)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if d.More() {
		return nil, fmt.Errorf("%w: data after the object", ErrFormat)
	}
	m, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%w: %s, want an object", ErrFormat, kind(v))
	}
	return &Config{m: m, err: new(error)}, nil
}

// literal marks a string that stands for one of Python's float literals.
const literal = "\x00float:"

// pythonLiterals checks the depth and replaces NaN, Infinity and -Infinity
// outside strings by marked strings.
func pythonLiterals(b []byte) ([]byte, error) {
	var out []byte
	depth, last := 0, 0
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '"':
			for i++; i < len(b) && b[i] != '"'; i++ {
				if b[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			if depth++; depth > maxDepth {
				return nil, fmt.Errorf("%w: nested deeper than %d", ErrFormat, maxDepth)
			}
		case '}', ']':
			depth--
		case 'N', 'I', '-':
			for _, word := range []string{"NaN", "Infinity", "-Infinity"} {
				if bytes.HasPrefix(b[i:], []byte(word)) {
					out = append(out, b[last:i]...)
					out = append(out, `"\u0000float:`+word+`"`...)
					last = i + len(word)
					i = last - 1
					break
				}
			}
		}
	}
	if out == nil {
		return b, nil
	}
	return append(out, b[last:]...), nil
}

// Err returns the first error met by a getter of this object, of the object
// it came from or of one taken from it.
func (c *Config) Err() error { return *c.err }

// Fail records an error about key, as the getters do.
func (c *Config) Fail(key, format string, args ...any) {
	if *c.err == nil {
		*c.err = fmt.Errorf("%w: %s: %s", ErrFormat, c.name(key), fmt.Sprintf(format, args...))
	}
}

func (c *Config) name(key string) string {
	if c.path == "" {
		return key
	}
	return c.path + "." + key
}

// Has reports whether the object holds key, null included.
func (c *Config) Has(key string) bool { _, ok := c.m[key]; return ok }

// Null reports whether key is there and null.
func (c *Config) Null(key string) bool { v, ok := c.m[key]; return ok && v == nil }

// Len returns the number of keys.
func (c *Config) Len() int { return len(c.m) }

// Keys returns the keys, in no order.
func (c *Config) Keys() []string {
	keys := make([]string, 0, len(c.m))
	for k := range c.m {
		keys = append(keys, k)
	}
	return keys
}

// get returns the value of key; absent and null count as not given.
func (c *Config) get(key string) (any, bool) {
	v := c.m[key]
	return v, v != nil
}

// Str returns a string.
func (c *Config) Str(key, def string) string {
	v, ok := c.get(key)
	if !ok {
		return def
	}
	s, ok := v.(string)
	if !ok || strings.HasPrefix(s, literal) {
		c.Fail(key, "%s, want a string", kind(v))
		return def
	}
	return s
}

// OneOf returns a string that must be one of allowed.
func (c *Config) OneOf(key, def string, allowed ...string) string {
	s := c.Str(key, def)
	for _, a := range allowed {
		if s == a {
			return s
		}
	}
	c.Fail(key, "%q, want one of %s", s, strings.Join(allowed, ", "))
	return def
}

// Bool returns a boolean.
func (c *Config) Bool(key string, def bool) bool {
	v, ok := c.get(key)
	if !ok {
		return def
	}
	b, ok := v.(bool)
	if !ok {
		c.Fail(key, "%s, want true or false", kind(v))
		return def
	}
	return b
}

// IntRange returns an integer within [lo, hi].
func (c *Config) IntRange(key string, def, lo, hi int) int {
	v, ok := c.get(key)
	if !ok {
		return def
	}
	n, err := toInt(v)
	if err == nil && (n < lo || n > hi) {
		err = fmt.Errorf("%d, want %d … %d", n, lo, hi)
	}
	if err != nil {
		c.Fail(key, "%v", err)
		return def
	}
	return n
}

// maxDim bounds every dimension: no tensor of a real model is longer.
const maxDim = 1 << 24

// Dim returns a dimension or count: an integer of at least 1. A def of 0 says
// that the key must be there.
func (c *Config) Dim(key string, def int) int {
	if _, ok := c.get(key); !ok && def == 0 {
		c.Fail(key, "missing")
		return 1
	}
	return c.IntRange(key, def, 1, maxDim)
}

// Float returns a number.
func (c *Config) Float(key string, def float64) float64 {
	v, ok := c.get(key)
	if !ok {
		return def
	}
	f, err := toFloat(v)
	if err != nil {
		c.Fail(key, "%v", err)
		return def
	}
	return f
}

// Ints returns an array of integers, nil if it is absent.
func (c *Config) Ints(key string) []int { return list(c, key, toInt) }

// List returns an array of integers and whether the value is an array at all,
// for keys that hold one integer or several.
func (c *Config) List(key string) ([]int, bool) {
	if _, ok := c.m[key].([]any); !ok {
		return nil, false
	}
	return c.Ints(key), true
}

// JSON returns the value of key as JSON, null if it is absent, for values of
// more than one type.
func (c *Config) JSON(key string) []byte {
	b, err := json.Marshal(c.m[key])
	if err != nil {
		c.Fail(key, "%v", err)
		return []byte("null")
	}
	return b
}

// Floats returns an array of numbers, nil if it is absent.
func (c *Config) Floats(key string) []float64 { return list(c, key, toFloat) }

// Strs returns an array of strings, nil if it is absent. A single string
// counts as an array of one.
func (c *Config) Strs(key string) []string {
	if s, ok := c.m[key].(string); ok {
		return []string{s}
	}
	return list(c, key, func(v any) (string, error) {
		s, ok := v.(string)
		if !ok {
			return "", fmt.Errorf("%s, want a string", kind(v))
		}
		return s, nil
	})
}

// Bools returns an array of booleans, nil if it is absent.
func (c *Config) Bools(key string) []bool {
	return list(c, key, func(v any) (bool, error) {
		b, ok := v.(bool)
		if !ok {
			return false, fmt.Errorf("%s, want true or false", kind(v))
		}
		return b, nil
	})
}

func list[T any](c *Config, key string, convert func(any) (T, error)) []T {
	v, ok := c.get(key)
	if !ok {
		return nil
	}
	items, ok := v.([]any)
	if !ok {
		c.Fail(key, "%s, want an array", kind(v))
		return nil
	}
	out := make([]T, len(items))
	for i, item := range items {
		x, err := convert(item)
		if err != nil {
			c.Fail(key, "element %d: %v", i, err)
			return nil
		}
		out[i] = x
	}
	return out
}

// Sub returns the nested object key; an empty one if it is absent.
func (c *Config) Sub(key string) *Config {
	sub := &Config{path: c.name(key), m: map[string]any{}, err: c.err}
	v, ok := c.get(key)
	if !ok {
		return sub
	}
	m, ok := v.(map[string]any)
	if !ok {
		c.Fail(key, "%s, want an object", kind(v))
		return sub
	}
	sub.m = m
	return sub
}

func toInt(v any) (int, error) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s, want an integer", kind(v))
	}
	i, err := n.Int64()
	if err != nil || int64(int(i)) != i {
		return 0, fmt.Errorf("%s is not an integer in range", n)
	}
	return int(i), nil
}

func toFloat(v any) (float64, error) {
	if s, ok := v.(string); ok {
		switch strings.TrimPrefix(s, literal) {
		case s: // an ordinary string
		case "NaN":
			return math.NaN(), nil
		case "Infinity":
			return math.Inf(1), nil
		case "-Infinity":
			return math.Inf(-1), nil
		}
	}
	n, ok := v.(json.Number)
	if !ok {
		return 0, fmt.Errorf("%s, want a number", kind(v))
	}
	f, err := n.Float64()
	if err != nil {
		return 0, fmt.Errorf("%s is out of range", n)
	}
	return f, nil
}

// kind names a JSON value's type for an error.
func kind(v any) string {
	switch x := v.(type) {
	case nil:
		return "null"
	case bool:
		return fmt.Sprint(x)
	case json.Number:
		return "number " + x.String()
	case string:
		if s, ok := strings.CutPrefix(x, literal); ok {
			return s
		}
		if len(x) > 40 {
			x = x[:40] + "…"
		}
		return fmt.Sprintf("string %q", x)
	case []any:
		return "an array"
	}
	return "an object"
}
