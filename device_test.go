package weft_test

import (
	"errors"
	"testing"

	"github.com/seed-512d3d71/weft"
)

// TestWithDevice: where there is no GPU the error says why.
func TestWithDevice(t *testing.T) {
	const dir = "testdata/golden/bert.model"
	for _, c := range []struct {
		device string
		opts   []weft.Option
	}{
		{device: "tpu"}, {device: "cuda:x"}, {device: "cuda:-1"}, {device: "cuda:"}, {device: "cuda0"},
		{"cuda", []weft.Option{weft.WithQuantization(weft.Quantization{Embeddings: true})}},
		{"cuda", []weft.Option{weft.WithPrecision("f8")}},
	} {
		m, err := weft.Open(dir, append(c.opts, weft.WithDevice(c.device))...)
		if m != nil || !errors.Is(err, weft.ErrUnsupported) {
			t.Errorf("%s: %v", c.device, err)
		}
	}
	m, err := weft.Open(dir, weft.WithDevice("cuda:0"))
	switch {
	case err == nil:
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	case !errors.Is(err, weft.ErrUnsupported) && !errors.Is(err, weft.ErrNoDriver) && !errors.Is(err, weft.ErrNoDevice):
		t.Error(err)
	default:
		t.Log(err)
	}
	cpu, err := weft.Open(dir, weft.WithDevice("cpu"))
	if err != nil {
		t.Fatal(err)
	}
	if err := cpu.Close(); err != nil {
		t.Error(err)
	}
}
