// Package llama runs the decoders built of RMS norm, rotary positions, grouped
// queries and gated feed-forward layers: Llama, Mistral, Qwen2, and with a
// mixture of experts in place of some feed-forward layers Mixtral and
// Qwen2-MoE.
//
//   - Touvron et al. 2023, Llama 2, arXiv:2307.09288
//   - Jiang et al. 2023, Mistral 7B, arXiv:2310.06825
//   - Jiang et al. 2024, Mixtral of Experts, arXiv:2401.04088
//   - Yang et al. 2024, Qwen2, arXiv:2407.10671
//   - model cards mistralai/Mixtral-8x7B-v0.1 and Qwen/Qwen1.5-MoE-A2.7B
//   - transformers/models/{llama,mistral,qwen2,mixtral,qwen2_moe}
package llama
