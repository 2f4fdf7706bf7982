// Package kernels computes: one facade function an operation, and behind it a
// table of implementations chosen once by what the CPU has. It works on slices
// and ints; package nn turns tensors into them. A violated precondition panics:
// callers check shapes at load and on input.
//
// # Numbers
//
// A result does not depend on the instruction set, the number of threads or
// what else is computed in the same call, to the bit (NaN's sign and payload
// excepted):
//
//   - An element of a matrix product is one chain of float32 fused
//     multiply-adds in rising k, from +0. Blocking over k stores and reloads the
//     partial. Then the bias is added, the activation applied, the residual
//     added.
//   - A reduction along a row has 32 lanes: lane i takes the elements j with
//     j mod 32 = i, in order, from +0 (sums) or -Inf (maxima); then lane i takes
//     lane i+16, i+8, i+4, i+2, i+1.
//   - Attention takes keys in blocks counted from a sequence's first key, with a
//     running maximum and sum; a key that is masked or absent adds nothing. So a
//     query alone, with its keys from a cache, gives what it gives within a
//     batch or a causal pass.
//   - exp, erf, tanh and what is made of them are one polynomial each.
//
// Package ref states every operation so, in Go. WEFT_ISA forces a set of rows:
// those that need no more than the instruction set it names, avx512vnni, avx512,
// avxvnni or avx2 on amd64, neoni8mm, neondot or neon on arm64, or ref.
package kernels
