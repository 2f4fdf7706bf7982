//go:build !(cuda && cgo && linux)

package cuda

// Devices lists the GPUs, or says why there are none.
func Devices() ([]Info, error) { return nil, ErrNotBuilt }

// Open returns the GPU of an index.
func Open(index int) (Device, error) { return nil, ErrNotBuilt }
