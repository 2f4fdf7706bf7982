// Package weft runs multimodal models from Hugging Face checkpoints in pure Go.
//
// A model is a directory in Hugging Face's layout (config.json, safetensors,
// tokenizer.json, preprocessor_config.json), read as it is. The kernels are
// hand-written assembly chosen by cpuid; no cgo, no Python and no shared
// library is needed.
package weft
