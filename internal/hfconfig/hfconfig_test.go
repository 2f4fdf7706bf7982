package hfconfig

import (
	"math"
	"strings"
	"testing"
)

func TestGetters(t *testing.T) {
	c, err := Parse([]byte(`{"a":3,"f":1e-12,"n":NaN,"i":[-Infinity,2],"s":"NaN","z":null,"b":true,"sub":{"k":[1,2]},"one":"x","a2":1,"a2":2}`))
	if err != nil {
		t.Fatal(err)
	}
	if c.Dim("a", 1) != 3 || c.Dim("absent", 7) != 7 || c.Dim("z", 8) != 8 || c.Dim("a2", 1) != 2 {
		t.Error("Dim")
	}
	if c.Float("f", 0) != 1e-12 || !math.IsNaN(c.Float("n", 0)) || !math.IsInf(c.Floats("i")[0], -1) {
		t.Error("Float")
	}
	if c.Str("s", "") != "NaN" || !c.Bool("b", false) || !c.Null("z") || c.Null("absent") || c.Has("absent") {
		t.Error("Str, Bool, Null, Has")
	}
	if k := c.Sub("sub").Ints("k"); len(k) != 2 || k[1] != 2 {
		t.Error("Sub", k)
	}
	if s := c.Strs("one"); len(s) != 1 || s[0] != "x" {
		t.Error("Strs", s)
	}
	if err := c.Err(); err != nil {
		t.Error(err)
	}
}

func TestErrorsNameTheKey(t *testing.T) {
	for _, tc := range []struct {
		json, want string
		get        func(c *Config)
	}{
		{`{"n":2147483648}`, "n: 2147483648", func(c *Config) { c.Dim("n", 1) }},
		{`{"n":0}`, "n: 0", func(c *Config) { c.Dim("n", 1) }},
		{`{"n":-1}`, "n: -1", func(c *Config) { c.Dim("n", 1) }},
		{`{"n":3.0}`, "n: 3.0", func(c *Config) { c.Dim("n", 1) }},
		{`{"n":"3"}`, `n: string "3"`, func(c *Config) { c.Dim("n", 1) }},
		{`{"n":1e999}`, "n: 1e999", func(c *Config) { c.Float("n", 1) }},
		{`{"n":99999999999999999999}`, "n: 9999", func(c *Config) { c.Dim("n", 1) }},
		{`{"x":{"n":NaN}}`, "x.n: NaN", func(c *Config) { c.Sub("x").Str("n", "") }},
		{`{"n":[1,"a"]}`, "n: element 1", func(c *Config) { c.Ints("n") }},
		{`{}`, "n: missing", func(c *Config) { c.Dim("n", 0) }},
		{`{"n":"q"}`, "want one of", func(c *Config) { c.OneOf("n", "a", "a", "b") }},
	} {
		c, err := Parse([]byte(tc.json))
		if err != nil {
			t.Fatal(err)
		}
		tc.get(c)
		if c.Err() == nil || !strings.Contains(c.Err().Error(), tc.want) {
			t.Errorf("%s: %v, want %q", tc.json, c.Err(), tc.want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{"", "[]", "3", `{"a":1} x`, `{"a":`, strings.Repeat(`{"a":`, 70), `{"a":nan}`} {
		if _, err := Parse([]byte(s)); err == nil {
			t.Errorf("%.20q was accepted", s)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"a":[NaN,-Infinity,1],"b":{"c":"\"d"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse(b)
		if err != nil {
			return
		}
		for _, k := range c.Keys() {
			c.Dim(k, 1)
			c.Floats(k)
			c.Sub(k)
			c.Str(k, "")
		}
		_ = c.Err()
	})
}
