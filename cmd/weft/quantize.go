package main

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/quantize"
	"github.com/seed-512d3d71/weft/tensor"
	"github.com/seed-512d3d71/weft/text"
)

// runQuantize writes a quantized copy of a model directory. The report goes to
// stderr as it is made, or to stdout as JSON.
func runQuantize(ctx context.Context, c *call) error {
	out := c.String("out", "", "new `directory`")
	scheme := c.String("scheme", "w8a8", "w8a8, w8 or w4")
	group := c.Int("group-size", 0, "inputs that share a scale in w4; 0: a power of two from 128 to 8 that divides nearly all")
	embeddings := c.Bool("embeddings", false, "store embeddings in 8 bits too")
	auto := c.Float64("auto", 0, "keep as few layers in float32 as reach this `cosine` with the outputs of the float32 model")
	method := c.String("calibrate-method", "auto", "how scales of weights are chosen: max, mse or percentile; auto is mse in 4 bits or with --calibrate, else max")
	percentile := c.Float64("percentile", 99.99, "of the magnitudes of weights that share a scale: those beyond are clipped by --calibrate-method percentile")
	smooth := c.Float64("smooth", 0, "migrate the scales of large inputs to weights, as SmoothQuant does by this `alpha`: 0.5 is usual, 0 leaves them")
	var keep, calibrate []string
	c.Func("keep", "`regex` of layers that stay as they are; may be repeated", func(s string) error {
		_, err := regexp.Compile(s)
		keep = append(keep, "(?:"+s+")")
		return err
	})
	c.Func("calibrate", "`file` of sample inputs: safetensors by the names of forward()'s arguments, or JSON lines of text; may be repeated or a list with commas", func(s string) error {
		calibrate = append(calibrate, strings.Split(s, ",")...)
		return nil
	})
	rest, err := c.parse()
	if err != nil {
		return err
	}
	if err := c.need("model", "out"); err != nil {
		return err
	}
	o := quantize.Options{Group: *group, Embeddings: *embeddings, Cosine: *auto, Percentile: *percentile, Smooth: *smooth}
	if o.Method, err = quantize.ParseMethod(*method); err != nil {
		return usagef("%v", err)
	}
	if o.Scheme, err = kernels.ParseScheme(*scheme); err != nil || o.Scheme == kernels.Float32 {
		return usagef("--scheme %q is none of w8a8, w8, w4", *scheme)
	}
	switch {
	case *auto < 0 || *auto > 1:
		return usagef("--auto %v is no cosine", *auto)
	case !(*percentile > 0 && *percentile <= 100):
		return usagef("--percentile %v is not between 0 and 100", *percentile)
	case *smooth < 0 || *smooth > 1:
		return usagef("--smooth %v is not between 0 and 1", *smooth)
	case *group < 0 || *group%8 != 0:
		return usagef("--group-size %d is not a multiple of 8", *group)
	case c.quant != "":
		return usagef("--quant is for the commands that run a model; give --scheme")
	}
	if len(keep) > 0 {
		o.Keep = regexp.MustCompile(strings.Join(keep, "|"))
	}
	if o.Samples, err = c.samples(append(calibrate, rest...)); err != nil {
		return err
	}
	if !c.json {
		o.Progress = func(l quantize.Layer) {
			if l.Bits == 0 {
				fmt.Fprintf(c.stderr, "%-60s %12v  kept: %s\n", l.Name, l.Shape, l.Why)
				return
			}
			fmt.Fprintf(c.stderr, "%-60s %12v  %d bits  error %.4f  cosine %.6f\n", l.Name, l.Shape, l.Bits, l.RMS, l.Cosine)
		}
	}
	r, err := quantize.Dir(ctx, c.model, *out, o)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, r)
	}
	for _, name := range r.Left {
		fmt.Fprintf(c.stderr, "not copied: %s\n", name)
	}
	if *smooth > 0 {
		fmt.Fprintf(c.stderr, "smoothed: %d norms\n", r.Smoothed)
	}
	if r.Cosine > 0 {
		fmt.Fprintf(c.stderr, "cosine of the outputs: %.6f\n", r.Cosine)
	}
	fmt.Fprintf(c.stderr, "weights: %s, were %s (%.3f)\n", size(r.After), size(r.Before), float64(r.After)/float64(max(1, r.Before)))
	return nil
}

// samples reads the inputs that --calibrate names.
func (c *call) samples(files []string) ([]weft.Inputs, error) {
	var list []weft.Inputs
	var tok *text.Tokenizer
	for _, file := range files {
		if strings.HasSuffix(file, ".safetensors") {
			in, err := readInputs(file)
			if err != nil {
				return nil, err
			}
			list = append(list, in)
			continue
		}
		if tok == nil {
			var err error
			if tok, err = weft.OpenTokenizer(c.model); err != nil {
				return nil, err
			}
		}
		err := c.jsonLines(file, func(_ int, raw []byte) error {
			enc, err := encodeLine(tok, raw, text.EncodeOptions{NoPadding: true})
			if err != nil || len(enc.IDs) == 0 {
				return err
			}
			ids := make([]int64, len(enc.IDs))
			for i, id := range enc.IDs {
				ids[i] = int64(id)
			}
			list = append(list, weft.Inputs{"input_ids": tensor.FromI64(ids, 1, len(ids))})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}
