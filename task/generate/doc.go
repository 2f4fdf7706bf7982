// Package generate writes text token by token with a model that implements
// [nn.Generator]: greedy search, sampling and beam search, with the settings of
// generation_config.json.
//
// Names, defaults, the order of the steps and the results are those of
// Hugging Face's generate() (transformers 5.23, generation/utils.py): the same
// ids come out of greedy and beam search. Sampling draws from the same
// distribution with another source of random numbers: sequence n of a call
// takes one Float64 a token from math/rand/v2's PCG seeded with (Seed, n), and
// the token is the first, in the order of the ids, at which the running sum of
// the probabilities exceeds it.
//
// Rows of a batch may have different lengths: padding on the left, as
// attention_mask marks it, is not computed.
package generate
