package tri

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

func parse(b string) (Config, error) {
	c, err := hfconfig.Parse([]byte(b))
	if err != nil {
		return Config{}, err
	}
	return ParseConfig(c, Class)
}

func TestConfig(t *testing.T) {
	got, err := parse(`{"projection_dim":8,"text":"t","speech":"s","image":null,"caption":"c","prefix_length":3}`)
	if want := (Config{ProjectionDim: 8, Text: "t", Speech: "s", Caption: "c", PrefixLength: 3}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	for config, says := range map[string]string{
		`{"text":"t","image":"i"}`:                                                          "projection_dim: missing",
		`{"projection_dim":0,"text":"t","image":"i"}`:                                       "projection_dim: 0",
		`{"projection_dim":2147483648,"text":"t","image":"i"}`:                              "projection_dim: 2147483648",
		`{"projection_dim":8,"text":"t"}`:                                                   "name 1 folders",
		`{"projection_dim":8,"text":["t"],"image":"i"}`:                                     "text: an array",
		`{"projection_dim":8,"text":"t","image":"i","caption":"c","prefix_length":-1}`:      "prefix_length: -1",
		`{"projection_dim":8,"text":"t","image":"i","caption":"c","prefix_length":1000000}`: "prefix_length: 1000000",
		`{"projection_dim":8,"text":"t","image":"i","caption":"c","prefix_length":"many"}`:  `prefix_length: string "many"`,
		`{"projection_dim":8,"text":"t","image":"i","speech":5}`:                            "speech: number 5",
	} {
		if _, err := parse(config); !errors.Is(err, hfconfig.ErrFormat) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want %q", config, err, says)
		}
	}
	c, _ := hfconfig.Parse([]byte(`{}`))
	if _, err := ParseConfig(c, "CLIPModel"); !errors.Is(err, nn.ErrUnsupported) {
		t.Error(err)
	}
}

// FuzzConfig: what is taken has sizes whose product fits and two encoders.
func FuzzConfig(f *testing.F) {
	f.Add(`{"projection_dim":8,"text":"t","speech":"s","image":null,"caption":"c","prefix_length":3}`)
	f.Add(`{"projection_dim":16777217,"text":"../t","image":"/i"}`)
	f.Add(`{"projection_dim":1e3,"text":"t","image":"t","prefix_length":0}`)
	f.Fuzz(func(t *testing.T, b string) {
		c, err := parse(b)
		if err == nil && (c.ProjectionDim < 1 || c.ProjectionDim > 1<<24 || c.Caption != "" && (c.PrefixLength < 1 || c.PrefixLength > 1<<12)) {
			t.Errorf("%q: %+v", b, c)
		}
	})
}
