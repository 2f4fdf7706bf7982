package weft

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/seed-512d3d71/weft/kernels"
	"github.com/seed-512d3d71/weft/nn"
)

// The errors of a device that there is not: see [WithDevice].
var (
	// ErrNoDriver: there is no NVIDIA driver, or it does not start.
	ErrNoDriver = nn.ErrNoDriver
	// ErrNoDevice: there is no GPU of that index that weft runs on.
	ErrNoDevice = nn.ErrNoDevice
	// ErrMemory: a device's memory is used up.
	ErrMemory = nn.ErrMemory
)

// WithDevice names the device to compute on: "cpu", the default, or "cuda" or
// "cuda:1" for an NVIDIA GPU by its index. A GPU needs a program built with -tags
// cuda, else opening is an [ErrUnsupported], and NVIDIA's driver: see
// [ErrNoDriver]. Its results are those of the CPU within rounding, not to the
// bit. Models that compute on a GPU hold its memory until they are closed.
func WithDevice(name string) Option { return func(o *options) { o.device = name } }

// cudaIndex returns the index of the GPU that a device's name stands for, false
// if it stands for none.
func cudaIndex(device string) (int, bool) {
	if device == "cuda" {
		return 0, true
	}
	n, ok := strings.CutPrefix(device, "cuda:")
	if !ok {
		return 0, false
	}
	index, err := strconv.ParseUint(n, 10, 16)
	return int(index), err == nil
}

// newBackend makes the backend that the options ask for.
func newBackend(o options) (nn.Backend, error) {
	precision := kernels.PrecisionF32
	if o.precision != "" {
		var err error
		if precision, err = kernels.ParsePrecision(o.precision); err != nil {
			return nil, nn.Unsupported("%v", err)
		}
	}
	if o.device == "" || o.device == "cpu" {
		return newCPU(o, precision)
	}
	index, ok := cudaIndex(o.device)
	if !ok {
		return nil, nn.Unsupported("device %q", o.device)
	}
	if o.quant.Scheme != kernels.Float32 || o.quant.Embeddings {
		return nil, nn.Unsupported("quantization on device %q", o.device)
	}
	gpu, err := nn.OpenCUDA(index)
	if err != nil {
		return nil, fmt.Errorf("device %q: %w", o.device, err)
	}
	gpu.SetPrecision(precision)
	return gpu, nil
}

func newCPU(o options, precision kernels.Precision) (nn.Backend, error) {
	cpu, err := nn.NewCPU(o.threads)
	if err != nil {
		return nil, err
	}
	cpu.SetQuantization(o.quant)
	if err := cpu.SetPrecision(precision); err != nil {
		return nil, err
	}
	if o.wrap != nil {
		return o.wrap(cpu), nil
	}
	return cpu, nil
}

// closeBackend gives the device of a backend back, if it holds one.
func closeBackend(b nn.Backend) error {
	if c, ok := b.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
