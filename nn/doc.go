// Package nn holds what models are built from: the op set ([Pass]) that every
// backend implements, the binding of checkpoint tensors by name ([Params]) and
// the blocks (Linear, LayerNorm, Attention, …) that models share.
//
// A model is written once, against Pass. A new backend touches no model and a
// new model touches no backend.
//
// # Shapes
//
// One alphabet is used everywhere: B batch, T tokens, C channels, H heads,
// D head size, V vocabulary. Inside a pass a batch is ragged: the tokens of all
// sequences lie end to end in one matrix [ΣT, C], with offsets that say where
// each sequence starts (see [Ragged]). Nothing is padded: linear layers see
// real tokens only and attention works sequence by sequence. Padding that a
// caller passes in is stripped on entry and put back on exit.
//
// # Numbers
//
// Everything is float32 whatever the checkpoint's type. On the CPU every
// result is the same to the bit for any thread count, batch composition,
// padding and instruction set: package kernels says how.
package nn
