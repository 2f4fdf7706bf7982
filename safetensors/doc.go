// Package safetensors reads and writes the safetensors format: an 8-byte
// little-endian length, a JSON header of that length, and the tensors' bytes.
//
// A file opens exactly where the official library (0.8.0) opens it, with the
// same names, types, shapes and bytes, save that a tensor name given twice,
// which the format forbids and that library lets through, is an error.
// testdata/diff.py compares the two.
//
// Files are mapped, and data is used where it lies when its type and alignment
// allow. A mapped file that another process cuts short makes the functions of
// this package return [ErrFault]; code that reads slices of a mapping itself
// can run under [Guard] to get an error too.
//
// A checkpoint of one file or several (shards, named by an index file) opens
// as a [Set]. Its files are opened through [DirFS], which lets no name leave
// the directory.
//
// Format: https://github.com/huggingface/safetensors.
package safetensors
