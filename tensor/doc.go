// Package tensor holds the values that flow between weft's parts: a shape, an
// element type and storage. It does no arithmetic.
//
// A Tensor is a small value: copying it copies no elements. Activations are
// float32, row-major, with an optional stride between rows, so that the query,
// key and value columns of one fused projection are three views of one matrix.
// Token ids and other integers are int32 inside a pass and int64 at the edges,
// as Hugging Face has them.
package tensor
