package audio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
)

// maxConfig bounds a configuration file: old Whisper ones carry their filters.
const maxConfig = 16 << 20

// config reads the keys of a JSON object. A key that is absent has its default;
// the first bad value is kept in err.
type config struct {
	m   map[string]json.RawMessage
	err error
}

func parseConfig(b []byte) (*config, error) {
	if len(b) > maxConfig {
		return nil, fmt.Errorf("%d bytes, limit %d", len(b), maxConfig)
	}
	c := &config{}
	if err := json.Unmarshal(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")), &c.m); err != nil {
		return nil, err
	}
	if c.m == nil {
		return nil, fmt.Errorf("null, want an object")
	}
	return c, nil
}

func (c *config) fail(key, format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("%s: %s", key, fmt.Sprintf(format, args...))
	}
}

// given reports whether key is there and not null.
func (c *config) given(key string) bool {
	v, ok := c.m[key]
	return ok && string(v) != "null"
}

// sub returns the object key, nil if it is absent or no object.
func (c *config) sub(key string) *config {
	if !c.given(key) {
		return nil
	}
	s, err := parseConfig(c.m[key])
	if err != nil {
		return nil
	}
	return s
}

func (c *config) str(key, def string) string {
	if !c.given(key) {
		return def
	}
	var s string
	if err := json.Unmarshal(c.m[key], &s); err != nil {
		c.fail(key, "want a string")
		return def
	}
	return s
}

// bool follows Python's truth: null and 0 are false.
func (c *config) bool(key string, def bool) bool {
	v, ok := c.m[key]
	if !ok {
		return def
	}
	switch s := string(v); s {
	case "true":
		return true
	case "false", "null":
		return false
	}
	return c.float(key, 0) != 0
}

func (c *config) float(key string, def float64) float64 {
	if !c.given(key) {
		return def
	}
	var f float64
	if err := json.Unmarshal(c.m[key], &f); err != nil {
		c.fail(key, "want a number")
		return def
	}
	return f
}

// int returns an integer within [lo, hi], which may be written 16000.0.
func (c *config) int(key string, def, lo, hi int) int {
	f := c.float(key, float64(def))
	if f != math.Trunc(f) || f < float64(lo) || f > float64(hi) {
		c.fail(key, "%v, want an integer of %d … %d", f, lo, hi)
		return def
	}
	return int(f)
}
