package cuda

import (
	"fmt"
	"time"
)

// Info describes a GPU.
type Info struct {
	Index        int
	Name         string
	Major, Minor int   // compute capability
	Memory       int64 // bytes
	PCI          string
	CUDA         int    // the version of the driver's CUDA: 12040 is 12.4
	Driver       string // the driver's own version; "" if unknown
	SMs          int    // multiprocessors
	ClockKHz     int    // of the multiprocessors
	MemoryKHz    int    // of the memory
	BusBits      int    // of the memory
	L2Bytes      int
}

// Target returns the compute capability times ten.
func (i Info) Target() int { return 10*i.Major + i.Minor }

// minTarget is the oldest compute capability that kernels are written for,
// times ten.
const minTarget = 75

// Check returns an error if kernels do not run on the GPU.
func (i Info) Check() error {
	if i.Target() >= minTarget {
		return nil
	}
	return fmt.Errorf("cuda: %w: %s has compute capability %d.%d, want %d.%d or later", ErrNoDevice, i.Name, i.Major, i.Minor, minTarget/10, minTarget%10)
}

// Bandwidth returns the peak of the memory in bytes a second: two transfers a
// clock.
func (i Info) Bandwidth() float64 { return 2 * float64(i.MemoryKHz) * 1e3 * float64(i.BusBits) / 8 }

// CUDAVersion returns the version of the driver's CUDA as NVIDIA writes it.
func (i Info) CUDAVersion() string { return fmt.Sprintf("%d.%d", i.CUDA/1000, i.CUDA%1000/10) }

// Device is a GPU and its memory. The interpreter of kernels that tests use in
// its place is one too. It is safe for concurrent use.
type Device interface {
	Info() Info
	// Alloc returns the address, a multiple of 256, of so many bytes. They are not
	// cleared.
	Alloc(bytes int) (Ptr, error)
	// Free gives back what Alloc returned; what uses it must be done.
	Free(p Ptr)
	// FreeMemory returns how many bytes are not in use, by this process or others.
	FreeMemory() (int64, error)
	// Pinned returns host memory that the device itself can read and write, and
	// Unpin gives it back.
	Pinned(bytes int) ([]byte, error)
	Unpin(b []byte)
	NewStream() (Stream, error)
	// Close gives the device back. Its memory and streams must have been.
	Close() error
}

// Stream is a queue of kernels and copies. It belongs to one goroutine. Errors
// are kept: Sync returns the first one, and after it nothing more is queued.
type Stream interface {
	Queue
	// Upload, Download and Copy queue a copy. The host's memory must be pinned and
	// must stay as it is until Sync returns.
	Upload(dst Ptr, src []byte)
	Download(dst []byte, src Ptr)
	Copy(dst, src Ptr, bytes int)
	// Run queues the commands.
	Run(c *Commands)
	// Graph makes a graph of the commands, which is queued by one call.
	Graph(c *Commands) (Graph, error)
	// Elapsed returns how long the device took for what queue puts on the stream,
	// by the device's clock. It waits for it.
	Elapsed(queue func()) (time.Duration, error)
	// Sync waits until all that is queued is done.
	Sync() error
	// Close gives the stream back, after what is queued is done.
	Close()
}

// Graph is commands that are queued by one call, on the stream that made it.
type Graph interface {
	Launch()
	Close()
}

// TensorMapper is a queue whose device copies tiles by a description of the
// tensor (sm_90 and later).
type TensorMapper interface {
	// TensorMap returns the description, 128 bytes.
	TensorMap(m *TensorMap) ([]byte, error)
}

// TensorMap describes a tensor in device memory and its tiles, innermost
// dimension first, as cuTensorMapEncodeTiled takes it.
type TensorMap struct {
	Type       MapType
	Base       Ptr      // a multiple of 16
	Dims       []uint64 // elements
	Strides    []uint64 // bytes from one to the next, of all dimensions but the first; multiples of 16
	Box        []uint32 // elements of a tile, at most 256
	Steps      []uint32 // elements from one that is copied to the next; nil: 1
	Interleave int      // CUtensorMapInterleave
	Swizzle    int      // CUtensorMapSwizzle: 0 none, 1 32 bytes, 2 64, 3 128
	L2         int      // CUtensorMapL2promotion
	NaN        bool     // elements outside are NaN, not 0
}

// MapType is a CUtensorMapDataType.
type MapType int

// The types of elements that kernels copy by a tensor map.
const (
	MapU8   MapType = 0
	MapF16  MapType = 6
	MapF32  MapType = 7
	MapBF16 MapType = 9
)
