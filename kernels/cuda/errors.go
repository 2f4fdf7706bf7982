package cuda

import (
	"errors"
	"fmt"
	"strings"
)

// Why there is no GPU to compute on.
var (
	// ErrNotBuilt: the program is built without the binding to the driver.
	ErrNotBuilt = errors.New("built without -tags cuda, which needs cgo and Linux")
	// ErrNoDriver: NVIDIA's driver is not there, or not one that can be used.
	ErrNoDriver = errors.New("no NVIDIA driver")
	// ErrNoDevice: no GPU of that index, or one that is too old.
	ErrNoDevice = errors.New("no usable GPU")
)

// ErrMemory: the device has no memory left.
var ErrMemory = errors.New("out of device memory")

// Error is a call of the driver that failed.
type Error struct {
	Call string // what was called, and on what
	Code int    // CUresult
	Name string // CUDA's name of the code, such as CUDA_ERROR_OUT_OF_MEMORY
	Text string // CUDA's description of it
	Log  string // what the compiler of kernels said
}

// outOfMemory is the code of CUDA_ERROR_OUT_OF_MEMORY.
const outOfMemory = 2

// Error returns "cuda: CALL: NAME (TEXT)", and the log.
func (e *Error) Error() string {
	name := e.Name
	if name == "" {
		name = fmt.Sprintf("CUresult %d", e.Code)
	}
	if e.Text != "" {
		name += " (" + e.Text + ")"
	}
	if log := strings.TrimSpace(e.Log); log != "" {
		name += ": " + log
	}
	return "cuda: " + e.Call + ": " + name
}

// Is makes errors.Is(err, ErrMemory) true where memory ran out.
func (e *Error) Is(target error) bool { return target == ErrMemory && e.Code == outOfMemory }
