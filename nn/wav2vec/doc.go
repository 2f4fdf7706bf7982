// Package wav2vec is wav2vec 2.0 and HuBERT, with their heads for CTC, sequence
// and frame classification, x-vectors and pre-training.
//
// Papers: Baevski et al. 2020, arXiv:2006.11477 (wav2vec 2.0); Hsu et al. 2021,
// arXiv:2106.07447 (HuBERT). Reference: transformers 5.23,
// models/{wav2vec2,hubert}.
//
// With feat_extract_norm "group" the first convolution is normalised over time,
// padding included, so that a padded sound gives other features than the bare
// one; a padded batch gets Hugging Face's values.
//
// Left out: the contrastive loss of pre-training, for which negatives are drawn.
package wav2vec
