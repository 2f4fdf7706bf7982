// Package ptx runs PTX without a GPU, for tests: a parser and an interpreter of
// the subset that the kernels under kernels/cuda use, with a [Device] that is a
// queue for their launchers.
//
// It is stricter than a GPU. An access outside of what was allocated or not
// aligned, a read of a register or of memory that nothing wrote, two threads
// that touch the same shared memory with no barrier between them, and a
// barrier, shuffle or matrix instruction that not all of its threads reach are
// errors, with the line of the PTX. Threads run in warps of 32, block after
// block; a warp that has diverged runs whichever of its threads are furthest
// back.
package ptx
