// Package cuda holds the kernels for NVIDIA GPUs, PTX written by the module in
// gen/, and their launchers: one function an operation, which chooses a kernel
// and puts it on a [Queue]. The files under ptx/ are plain text that the driver
// compiles for the card at hand. Those that end in sm75 run on any card from
// Turing on and cover every operation; the others use what newer cards have.
//
// A launcher checks nothing and waits for nothing: shapes are the caller's, and
// errors are the queue's.
package cuda

//go:generate go -C ../../gen run ./cuda -dir ../kernels/cuda/ptx
