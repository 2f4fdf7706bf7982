// Package gpt is GPT-2: a decoder-only Transformer with its norms before the
// blocks and learned positions, with the heads that Hugging Face puts on it.
//
// Paper: Radford et al. 2019, Language Models are Unsupervised Multitask
// Learners. Reference: transformers 5.23, models/gpt2.
//
// reorder_and_upcast_attn names another order of the same computation and
// changes nothing here, where everything is float32.
package gpt
