"""Mixtral, Qwen2-MoE and Switch Transformers, and the dense models that share
their blocks: Llama, Mistral, Qwen2 and T5."""

import numpy as np

from bert import labels
from common import Case, rng, tokens

ROPE = {
    "linear": dict(rope_type="linear", factor=2.5),
    "dynamic": dict(rope_type="dynamic", factor=2.0),
    "llama3": dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16),
    "yarn": dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=16),
}


def decoder(**kw):
    c = dict(vocab_size=29, hidden_size=16, intermediate_size=10, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64)
    c.update(kw)
    return c


def qwen(**kw):
    return decoder(moe_intermediate_size=6, shared_expert_intermediate_size=7, num_experts=4, num_experts_per_tok=2, **kw)


def switch(**kw):
    c = dict(vocab_size=31, d_model=12, d_kv=4, d_ff=10, num_layers=2, num_decoder_layers=2, num_sparse_encoder_layers=1, num_sparse_decoder_layers=1,
             num_heads=2, num_experts=3, expert_capacity=64, relative_attention_num_buckets=8, relative_attention_max_distance=10)  # fmt: skip
    c.update(kw)
    return c


def ids(name, batch=2, length=8, vocab=29):
    return {"input_ids": tokens(rng(name), batch, length, vocab)}


def masked(x, pad, left=True, prefix=""):
    """Hides some positions of the second sequence."""
    m = np.ones_like(x[prefix + "input_ids"])
    if left:
        m[1, :pad] = 0
    else:
        m[1, -pad:] = 0
    return {**x, prefix + "attention_mask": m}


def pair(name, batch=2, length=8, target=5):
    return {**ids(name, batch, length, 31), "decoder_input_ids": tokens(rng(name + ".d"), batch, target, 31)}


def fused(sd):
    """The experts as Transformers' modules hold them: stacked."""
    out = {k: v for k, v in sd.items() if ".experts." not in k}
    import torch

    for layer in sorted({k.split(".experts.")[0] for k in sd if ".experts." in k}):
        new = layer.replace("block_sparse_moe", "mlp")
        one = lambda e, *names: next(sd[f"{layer}.experts.{e}.{n}.weight"] for n in names if f"{layer}.experts.{e}.{n}.weight" in sd)
        n = len({k.split(".experts.")[1].split(".")[0] for k in sd if k.startswith(layer + ".experts.")})
        out[new + ".experts.gate_up_proj"] = torch.stack([torch.cat([one(e, "w1", "gate_proj"), one(e, "w3", "up_proj")]) for e in range(n)])
        out[new + ".experts.down_proj"] = torch.stack([one(e, "w2", "down_proj") for e in range(n)])
    return {k.replace(".block_sparse_moe.gate.", ".mlp.gate."): v for k, v in out.items()}


def calls(x, **kw):
    """Greedy and beam search from a batch, part of which is padded."""
    batch = {k: v.tolist() for k, v in x.items() if not k.startswith("decoder_")}
    one = {"input_ids": batch["input_ids"][:1]}
    return [
        {**one, "set": {"max_new_tokens": 64, "eos_token_id": None, "pad_token_id": 0, **kw}},
        {**batch, "set": {"max_new_tokens": 24, "num_beams": 4, "eos_token_id": [5, 9], "pad_token_id": 0, "length_penalty": 1.5, **kw}},
        {**batch, "set": {"max_new_tokens": 12, "repetition_penalty": 1.6, "no_repeat_ngram_size": 2, "eos_token_id": 5, "pad_token_id": 0, **kw}},
    ]


def golden():
    for case in _golden():
        case.dtype = "F16"  # half the room
        yield case


def _golden():
    x = ids
    mixtral = dict(num_local_experts=4, num_experts_per_tok=2)
    yield Case("mixtral.lm", "MixtralForCausalLM", decoder(**mixtral), x("mixtral.lm"), set={"output_router_logits": True}, generate=calls(masked(x("mixtral.calls"), 3)))
    yield Case("mixtral.left_window", "MixtralModel", decoder(**mixtral, sliding_window=4, head_dim=8, num_hidden_layers=1), masked(x("mixtral.lw"), 4))
    yield Case("mixtral.stacked", "MixtralForCausalLM", decoder(num_local_experts=3, num_experts_per_tok=3, num_hidden_layers=1, tie_word_embeddings=True), x("mixtral.st"), rename=fused, hidden=False, dtype="F16")
    yield Case("qwen2moe.lm", "Qwen2MoeForCausalLM", qwen(decoder_sparse_step=2, norm_topk_prob=True), masked(x("qwen2moe.lm"), 3, left=False), generate=calls(masked(x("qwen2moe.calls"), 3)))
    yield Case("qwen2moe.model", "Qwen2MoeModel", qwen(mlp_only_layers=[0], use_sliding_window=True, sliding_window=3, max_window_layers=1), x("qwen2moe.model"), hidden=False)
    yield Case("llama.yarn", "LlamaForCausalLM", decoder(rope_parameters={**ROPE["yarn"], "rope_theta": 500.0}, num_hidden_layers=1, attention_bias=True, mlp_bias=True), x("llama.yarn"))
    yield Case("llama.dynamic", "LlamaModel", decoder(rope_parameters=ROPE["dynamic"], num_hidden_layers=1, max_position_embeddings=8), x("llama.dynamic"), hidden=False)
    yield Case("llama.llama3", "LlamaForSequenceClassification", decoder(rope_parameters=ROPE["llama3"], num_hidden_layers=1, pad_token_id=0, **labels(3)), x("llama.llama3"), hidden=False)
    yield Case("mistral.window", "MistralForTokenClassification", decoder(sliding_window=3, num_hidden_layers=1, rope_parameters=ROPE["linear"], **labels(3)), x("mistral.window"), hidden=False)
    yield Case("qwen2.lm", "Qwen2ForCausalLM", decoder(num_hidden_layers=1, tie_word_embeddings=True), x("qwen2.lm"), hidden=False, set={"logits_to_keep": 3})
    yield Case("switch.seq2seq", "SwitchTransformersForConditionalGeneration", switch(decoder_start_token_id=0), masked(pair("switch.seq2seq"), 3, left=False), generate=calls(masked(pair("switch.seq2seq"), 3, left=False)))
    yield Case("switch.capacity", "SwitchTransformersModel", switch(expert_capacity=2, num_sparse_encoder_layers=2, num_layers=2, router_bias=True), masked(pair("switch.capacity"), 2))
    yield Case("switch.encoder", "SwitchTransformersEncoderModel", switch(), ids("switch.encoder", vocab=31))
    yield Case("t5.gated", "T5ForConditionalGeneration", dict(vocab_size=31, d_model=12, d_kv=4, d_ff=10, num_layers=1, num_heads=2, feed_forward_proj="gated-gelu", tie_word_embeddings=False, relative_attention_num_buckets=8, relative_attention_max_distance=10), pair("t5.gated"))


def cases():
    yield from golden()
