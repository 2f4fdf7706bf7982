package llama

import (
	"fmt"
	"math"

	"github.com/seed-512d3d71/weft/internal/hfconfig"
	"github.com/seed-512d3d71/weft/nn"
)

// RopeConfig describes the rotary positions: the key rope_parameters, in older
// files rope_theta and rope_scaling.
type RopeConfig struct {
	Type  string // "default", "linear", "dynamic", "yarn", "longrope" or "llama3"
	Theta float64
	Dim   int // of a head

	Factor       float64
	MaxPositions int // max_position_embeddings
	Original     int // original_max_position_embeddings

	LowFreqFactor, HighFreqFactor float64 // llama3

	// yarn and longrope
	AttentionFactor         float64 // 0: derived
	BetaFast, BetaSlow      float64
	MScale, MScaleAllDim    float64
	Truncate                bool
	ShortFactor, LongFactor []float64
}

func parseRope(c *hfconfig.Config, d familyDefaults, dim int) (RopeConfig, error) {
	r := RopeConfig{Dim: dim, MaxPositions: c.Dim("max_position_embeddings", d.positions)}
	key := "rope_parameters"
	if s := c.Sub("rope_scaling"); s.Len() > 0 {
		key = "rope_scaling"
	}
	s := c.Sub(key)
	for _, nested := range []string{"full_attention", "sliding_attention"} {
		if s.Has(nested) {
			return r, nn.Unsupported("%s by layer type", key)
		}
	}
	r.Type = s.Str("rope_type", s.Str("type", "default"))
	r.Theta = s.Float("rope_theta", c.Float("rope_theta", d.theta))
	if p := s.Float("partial_rotary_factor", c.Float("partial_rotary_factor", 1)); p != 1 && r.Type != "default" {
		return r, nn.Unsupported("partial_rotary_factor %v", p)
	}
	if !(r.Theta > 0) || math.IsInf(r.Theta, 0) {
		c.Fail("rope_theta", "%v", r.Theta)
	}
	original := func() int {
		n := s.Dim("original_max_position_embeddings", r.MaxPositions)
		return c.Dim("original_max_position_embeddings", n)
	}
	factor := func() float64 {
		if !s.Has("factor") {
			s.Fail("factor", "missing")
		}
		f := s.Float("factor", 1)
		if !(f > 0) || math.IsInf(f, 0) {
			s.Fail("factor", "%v", f)
			return 1
		}
		return f
	}
	switch r.Type {
	case "default":
	case "linear", "dynamic":
		r.Factor = factor()
		if r.Type == "dynamic" && dim == 2 {
			s.Fail("rope_type", "dynamic with a head_dim of 2")
		}
	case "llama3":
		r.Factor, r.Original = factor(), original()
		r.LowFreqFactor, r.HighFreqFactor = s.Float("low_freq_factor", 0), s.Float("high_freq_factor", 0)
		if !(r.LowFreqFactor > 0 && r.HighFreqFactor > r.LowFreqFactor) {
			s.Fail("high_freq_factor", "%v, with low_freq_factor %v", r.HighFreqFactor, r.LowFreqFactor)
		}
	case "yarn":
		r.Original = original()
		if r.Factor = float64(r.MaxPositions) / float64(r.Original); !s.Null("factor") {
			r.Factor = factor()
		}
		r.AttentionFactor = s.Float("attention_factor", 0)
		r.MScale, r.MScaleAllDim = s.Float("mscale", 0), s.Float("mscale_all_dim", 0)
		r.Truncate = s.Bool("truncate", true)
		if r.BetaFast = s.Float("beta_fast", 0); r.BetaFast == 0 {
			r.BetaFast = 32
		}
		if r.BetaSlow = s.Float("beta_slow", 0); r.BetaSlow == 0 {
			r.BetaSlow = 1
		}
	case "longrope":
		r.Original = original()
		r.Factor = s.Float("factor", float64(r.MaxPositions)/float64(r.Original))
		r.AttentionFactor = s.Float("attention_factor", 0)
		r.ShortFactor, r.LongFactor = s.Floats("short_factor"), s.Floats("long_factor")
		if len(r.ShortFactor) != dim/2 || len(r.LongFactor) != dim/2 {
			s.Fail("short_factor", "%d and %d (long_factor) elements, want %d", len(r.ShortFactor), len(r.LongFactor), dim/2)
		}
	default:
		return r, nn.Unsupported("%s.rope_type %q", key, r.Type)
	}
	return r, nil
}

// rope is the embedding of one model. Some kinds depend on how far the call's
// positions reach.
type rope struct {
	c     RopeConfig
	fixed *nn.Rotary
	long  *nn.Rotary // longrope, beyond the original context
}

func newRope(c RopeConfig) (*rope, error) {
	r := &rope{c: c, fixed: nn.NewRotary(c.Dim, c.Theta)}
	freq := r.fixed.Freq
	switch c.Type {
	case "linear":
		for i := range freq {
			freq[i] /= float32(c.Factor)
		}
	case "llama3":
		scaleLlama3(freq, c)
	case "yarn":
		scaleYaRN(freq, c)
		r.fixed.Scale = float32(c.attentionFactor())
	case "longrope":
		r.long = nn.NewRotary(c.Dim, c.Theta)
		for i := range freq {
			power := 1 / freq[i]
			freq[i] = 1 / (float32(c.ShortFactor[i]) * power)
			r.long.Freq[i] = 1 / (float32(c.LongFactor[i]) * power)
		}
		r.fixed.Scale = float32(c.attentionFactor())
		r.long.Scale = r.fixed.Scale
	}
	for _, f := range freq {
		if f-f != 0 {
			return nil, fmt.Errorf("config.json: rope_theta %v and factor %v give an angle that is not finite", c.Theta, c.Factor)
		}
	}
	return r, nil
}

// upTo returns the embedding for a call whose sequences are n tokens long.
func (r *rope) upTo(n int) *nn.Rotary {
	switch {
	case r.c.Type == "longrope" && n > r.c.Original:
		return r.long
	case r.c.Type == "dynamic" && n > r.c.MaxPositions:
		// PyTorch computes this in float32.
		grown := float32(r.c.Factor)*float32(n)/float32(r.c.MaxPositions) - float32(r.c.Factor-1)
		dim := float64(r.c.Dim)
		base := float32(r.c.Theta) * float32(math.Pow(float64(grown), dim/(dim-2)))
		return nn.NewRotary(r.c.Dim, float64(base))
	}
	return r.fixed
}

// attentionFactor is what cosines and sines are multiplied by.
func (c RopeConfig) attentionFactor() float64 {
	if c.AttentionFactor != 0 {
		return c.AttentionFactor
	}
	if c.Type == "longrope" {
		if c.Factor <= 1 {
			return 1
		}
		return math.Sqrt(1 + math.Log(c.Factor)/math.Log(float64(c.Original)))
	}
	scale := func(m float64) float64 {
		if c.Factor <= 1 {
			return 1
		}
		return 0.1*m*math.Log(c.Factor) + 1
	}
	if c.MScale != 0 && c.MScaleAllDim != 0 {
		return scale(c.MScale) / scale(c.MScaleAllDim)
	}
	return scale(1)
}

// scaleLlama3 divides the low frequencies by the factor, with a smooth passage.
func scaleLlama3(freq []float32, c RopeConfig) {
	old, low, factor := float32(c.Original), float32(c.LowFreqFactor), float32(c.Factor)
	for i, f := range freq {
		switch length := 2 * math.Pi / f; {
		case length > float32(float64(c.Original)/c.LowFreqFactor):
			freq[i] = f / factor
		case length >= float32(float64(c.Original)/c.HighFreqFactor):
			smooth := (old/length - low) / float32(c.HighFreqFactor-c.LowFreqFactor)
			freq[i] = float32((1-smooth)*f/factor) + float32(smooth*f)
		}
	}
}

// scaleYaRN interpolates the low frequencies and leaves the high ones: Peng et
// al. 2023, arXiv:2309.00071.
func scaleYaRN(freq []float32, c RopeConfig) {
	dim := float64(c.Dim)
	at := func(rotations float64) float64 {
		return dim * math.Log(float64(c.Original)/(rotations*2*math.Pi)) / (2 * math.Log(c.Theta))
	}
	low, high := at(c.BetaFast), at(c.BetaSlow)
	if c.Truncate {
		low, high = math.Floor(low), math.Ceil(high)
	}
	low, high = max(low, 0), min(high, dim-1)
	if low == high {
		high += 0.001
	}
	for i, f := range freq {
		ramp := (float32(i) - float32(low)) / float32(high-low)
		keep := 1 - min(max(ramp, 0), 1)
		power := 1 / f
		freq[i] = float32(1/(float32(c.Factor)*power)*(1-keep)) + float32(f*keep)
	}
}
