// Package t5 runs the T5 encoder-decoder and Switch Transformers, which is T5
// with a mixture of experts in place of some feed-forward layers.
//
// An expert of Switch sees no more than expert_capacity tokens of a sequence:
// those beyond pass it by. The count begins anew at each call, so that a
// sequence read token by token, as in generation, loses none.
//
//   - Raffel et al. 2019, T5, arXiv:1910.10683
//   - Fedus et al. 2021, Switch Transformers, arXiv:2101.03961
//   - model cards google-t5/t5-base, google/flan-t5-base and google/switch-base-8
//   - transformers/models/{t5,switch_transformers}
package t5
