package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/seed-512d3d71/weft"
	"github.com/seed-512d3d71/weft/safetensors"
	"github.com/seed-512d3d71/weft/tensor"
)

// settings collects repeated --set KEY=VALUE flags.
type settings map[string]json.RawMessage

func (s settings) String() string { return "" }

func (s settings) Set(kv string) error {
	key, value, ok := strings.Cut(kv, "=")
	if !ok || key == "" {
		return fmt.Errorf("%q is not KEY=VALUE", kv)
	}
	raw := json.RawMessage(value)
	if !json.Valid(raw) {
		raw, _ = json.Marshal(value) // VALUE is JSON, else a string
	}
	s[key] = raw
	return nil
}

func runRun(ctx context.Context, c *call) error {
	set := settings{}
	in := c.String("in", "", "safetensors `file` of the inputs, named as forward()'s arguments")
	out := c.String("out", "", "safetensors `file` to write")
	class := c.String("class", "", "Hugging Face class to run as, instead of architectures[0]")
	hidden := c.Bool("hidden-states", false, "add every layer's output")
	c.Var(set, "set", "`KEY=VALUE` argument of forward(); repeatable")
	if err := c.parseNone(); err != nil {
		return err
	}
	if err := c.need("model", "in", "out"); err != nil {
		return err
	}
	inputs, err := readInputs(*in)
	if err != nil {
		return err
	}
	m, err := c.open(c.model, weft.WithClass(*class))
	if err != nil {
		return err
	}
	defer m.Close()
	outputs, err := m.Run(ctx, inputs, weft.RunOptions{HiddenStates: *hidden, Set: set})
	if err != nil {
		return err
	}
	return writeOutputs(*out, outputs)
}

// readInputs reads every tensor of a file: integers as I64, floats as F32.
func readInputs(path string) (weft.Inputs, error) {
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := weft.Inputs{}
	for _, name := range f.Names() {
		t, _ := f.Lookup(name)
		if len(t.Shape) > tensor.MaxRank {
			return nil, fmt.Errorf("%s: %s: rank %d, at most %d", path, name, len(t.Shape), tensor.MaxRank)
		}
		switch t.DType {
		case safetensors.F64, safetensors.F32, safetensors.F16, safetensors.BF16:
			data, err := t.Float32()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			in[name] = tensor.FromF32(data, t.Shape...).Clone() // the file is unmapped before the pass
		default:
			data, err := t.Int64()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			in[name] = tensor.FromI64(data, t.Shape...).Clone()
		}
	}
	return in, nil
}

// writeOutputs writes floats as F32 and integers as I64.
func writeOutputs(path string, outputs weft.Outputs) error {
	entries := make([]safetensors.Entry, 0, len(outputs))
	for _, o := range outputs {
		switch o.DType() {
		case tensor.F32:
			entries = append(entries, safetensors.F32Entry(o.Name, o.F32(), o.Shape()...))
		case tensor.I64:
			entries = append(entries, safetensors.I64Entry(o.Name, o.I64(), o.Shape()...))
		}
	}
	return safetensors.WriteFile(path, entries, nil)
}
